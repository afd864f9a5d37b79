"""Whether a recording is of the kind that a model is made for: music, speech, an instrument.

A model's own probabilities add up to 1 over its classes, whatever the recording is. So two other
models decide: `content`, which tells music, speech and other sounds, and AudioSet's classes, which
need excerpts only, and of music only those of recordings in which `content` finds little. The
thresholds were set on the sets of `docs/recipes/measure_unknown.py` and some more, so that hardly a
recording of the right kind is refused.

References
----------
Yang et al.: Generalized out-of-distribution detection: a survey. IJCV 2024 (detection by a model
of its own, trained on both).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocli.io.audio.streaming import Block

__all__ = ["DOMAINS", "Domain", "Excerpts", "out_of_domain", "probability_in", "sounds_like"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Domain:
    """What a model may be made for.

    Parameters
    ----------
    roots : tuple of str
        AudioSet's classes that belong to it, with all that is below them.
    least : float
        It is not there where all of these are less probable.
    noun : str
        What a message calls it.
    content : str
        What `content` calls it.
    enough : float, optional
        Probability by `content` from which it is there. Without it AudioSet's classes decide:
        notes of winds are speech to `content`, and single notes no music.
    """

    roots: tuple[str, ...]
    least: float
    noun: str
    content: str
    enough: float | None = None

    def found_by(self, content: Mapping[str, float]) -> bool:
        """Tell whether `content` finds it."""
        return self.enough is not None and content.get(self.content, 0.0) >= self.enough


DOMAINS: Mapping[str, Domain] = {
    "music": Domain(("Music", "Singing"), 0.2, "music", "music", 0.2),
    "speech": Domain(("Speech", "Whispering"), 0.2, "speech", "speech"),
    "instrument": Domain(("Music",), 0.1, "an instrument", "music"),
}
#: Seconds of a recording that are kept: of its beginning, and of each period after it.
BEGINNING, LENGTH, PERIOD = 10.24, 2.56, 20.48
#: How many pieces are kept; of a longer recording they lie further apart.
MOST = 24


class Excerpts:
    """Passes mono blocks (1, samples) on and keeps excerpts of them."""

    def __init__(self, blocks: Iterable[Block], sample_rate: int) -> None:
        self.blocks = blocks
        self.beginning, self.length, self.period = (
            round(seconds * sample_rate) for seconds in (BEGINNING, LENGTH, PERIOD)
        )
        self.position, self.stride = 0, 1
        self.pieces: dict[int, list[Floats]] = {}  # by the number of their period

    def __iter__(self) -> Iterator[Block]:
        for block in self.blocks:
            self._keep(block[0])
            yield block

    @property
    def signal(self) -> Floats:
        """All excerpts, one after another (samples,)."""
        parts = [part for number in sorted(self.pieces) for part in self.pieces[number]]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def _keep(self, samples: Floats) -> None:
        start, end = self.position, self.position + len(samples)
        self.position = end
        for number in range(start // self.period, -(-end // self.period)):
            first = number * self.period
            last = first + (self.length if number else self.beginning)
            part = samples[max(first - start, 0) : max(last - start, 0)]
            if number % self.stride == 0 and len(part):
                self.pieces.setdefault(number, []).append(part.astype(np.float32))
        while len(self.pieces) > MOST:
            self.stride *= 2
            self.pieces = {
                number: parts for number, parts in self.pieces.items() if number % self.stride == 0
            }


def probability_in(
    domain: str, probabilities: Mapping[str, float], parents: Mapping[str, Sequence[str]]
) -> float:
    """Take the likeliest of AudioSet's classes that belong to a domain."""
    known = dict.fromkeys(DOMAINS[domain].roots, True)  # classes share most of their parents

    def belongs(label: str) -> bool:
        if label not in known:
            known[label] = any(map(belongs, parents.get(label) or ()))
        return known[label]

    return max((sure for label, sure in probabilities.items() if belongs(label)), default=0.0)


def sounds_like(sure: Mapping[str, float]) -> str:
    """Say which domain a recording is of by its probabilities, or nothing."""
    likeliest = max(sure, key=lambda name: sure[name])
    return likeliest if sure[likeliest] >= 0.5 and likeliest in DOMAINS else ""


def out_of_domain(name: str, domain: str, kind: str) -> str:
    """Word the warning that a recording, of another kind or of none, is no input for a model."""
    made_for = DOMAINS[domain].noun
    if kind and kind != domain:
        return f"sounds like {DOMAINS[kind].noun}, and {name!r} is made for {made_for}"
    return f"does not sound like {made_for}, which {name!r} is made for"
