"""Make training examples of four stems, vocals, drums, bass and the rest, that sound like mixes.

Each example is an excerpt of one song whose stems are known, with some of them replaced by those of
other recordings, at levels of their own, in rooms, compressed and limited together. Voices are
produced as in `productions.py`; `pack_productions.py` packs the recordings and
`train_productions.py --four` trains on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
import torch
from productions import (
    RATE,
    Productions,
    Signal,
    compression,
    convolve,
    cut,
    decibels,
    in_stereo,
    produced,
    room,
    root_mean_square,
    sounding_start,
)

from audiocli.nn.masking import LEVEL
from audiocli.nn.stereo import StereoDRNN
from audiocli.tasks.separate.clips import PARTS, Clip

STEMS = ("vocals", *PARTS)
#: What is used of the plan.
ROLES = ("voices", "stems", *PARTS)


@dataclass(frozen=True)
class Mix:
    """How often what happens to each of the stems, and how loud they are.

    Parameters
    ----------
    replaced : tuple of float
        Share of examples in which another recording takes the place of the song's own stem.
    absent : tuple of float
        Share of examples without the stem.
    levels : tuple of float
        Mean level in dB.
    deviation : float
        Of the levels, in dB.
    """

    replaced: tuple[float, ...] = (0.5, 0.5, 0.35, 0.35)
    absent: tuple[float, ...] = (0.15, 0.03, 0.05, 0.03)
    levels: tuple[float, ...] = (0.0, 0.0, -1.0, 0.0)
    deviation: float = 4.0


class Mixes(Productions):
    """Draws examples from a plan with stems.

    Beside what :class:`productions.Productions` takes, the plan has ``stems``, songs with ``files``
    and ``levels`` by stem and a ``share``, and pools of ``drums``, ``bass`` and ``other``.
    """

    mix = Mix()

    def example(self) -> Signal:
        """Draw the four stems, (4, 2, samples), whose sum is near ``LEVEL``."""
        rng = self.rng
        songs: list[dict[str, Any]] = self.plan["stems"]
        shares = np.array([song["share"] for song in songs])
        song = songs[int(rng.choice(len(songs), p=shares / shares.sum()))]
        recordings = {stem: self._recording(file) for stem, file in song["files"].items()}
        first = recordings[str(rng.choice(sorted(recordings)))]
        start, base = sounding_start(first, self.samples, rng, 3), rng.uniform(-4, 4)
        signals = np.zeros((4, 2, self.samples), np.float32)
        while not signals.any():
            for index, stem in enumerate(STEMS):
                if rng.random() < self.mix.absent[index]:
                    continue
                if stem in recordings and rng.random() >= self.mix.replaced[index]:
                    level = song["levels"][stem]
                    signal = self._placed(stem, recordings[stem], level, start, base)
                else:
                    signal = self._other_recording(stem)
                gain = rng.normal(self.mix.levels[index], self.mix.deviation)
                signals[index] = signal * np.float32(10 ** (gain / 20))
        return self._mastered(signals, RATE / 2)

    def _other_recording(self, stem: str) -> Signal:
        if stem == "vocals":
            return self._voice()[0]
        _, recording, level = self._drawn(self.plan[stem])
        start = sounding_start(recording, self.samples, self.rng, 2)
        return self._placed(stem, recording, level, start, self.rng.uniform(-4, 4))

    def _placed(
        self, stem: str, recording: Signal, level: float, start: int, semitones: float
    ) -> Signal:
        """Cut an excerpt, and place it between left and right and in a room."""
        rng = self.rng

        def take(more: float) -> Signal:
            played = cut(recording, start, self.samples, 2 ** ((semitones + more) / 12)) / level
            return np.asarray(played.mean(axis=0, keepdims=True), np.float32)

        if stem == "vocals" and rng.random() < 0.5:
            return produced(take(0.0), rng, take)
        played = cut(recording, start, self.samples, 2 ** (semitones / 12)) / level
        wide = in_stereo(played, rng, 0.2 if stem == "other" else 0.08)
        if stem != "bass" and rng.random() < 0.4:
            wide = wide + decibels(-24, -6, rng) * convolve(wide, room(rng))
        if rng.random() < 0.3:
            wide = wide * compression(wide, rng)
        return np.asarray(wide, np.float32)


def begun(network: StereoDRNN, arguments: dict[str, Any]) -> StereoDRNN:
    """Make a network of four stems from one that tells voice and accompaniment apart.

    The mask of the accompaniment is where those of drums, bass and the rest begin. One of four
    stems goes on as it is. The arguments are those of the new network.
    """
    if network.num_sources == len(STEMS):
        return network
    four = StereoDRNN(network.stft.config, **arguments)
    weights = network.state_dict()
    rows = [0, 1, *[2, 3] * (len(STEMS) - 1)]  # middle and side of each source
    for name, axis in (("hourglass.output.weight", 1), ("hourglass.output.bias", 0)):
        weights[name] = weights[name].index_select(axis, torch.tensor(rows))
    four.load_state_dict(weights)
    return four


def validation_clip(clip: Clip, rate: int) -> Signal:
    """Read the four stems of a song, (4, channels, samples), and bring their sum to ``LEVEL``."""
    stems, source_rate = clip.load_parts()
    stems = np.stack([soxr.resample(stem.T, source_rate, rate).T for stem in stems])
    return np.asarray(stems * (LEVEL / root_mean_square(stems.sum(axis=0))), np.float32)
