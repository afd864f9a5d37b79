"""What the features are checked against: other packages, and values that follow from a formula.

Each check is a function; its docstring says what it compares with, and in a second paragraph why a
difference is more than rounding. It gives what the oracle says of a sound, or, of an exact value,
the pair of what the feature gives and what is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata, util
from typing import Any

import librosa
import numpy as np
import soxr

from audiocli import demo
from audiocli.tasks.features import Extractor, Settings

Array = np.ndarray
RATE, LENGTH, HOP = 22_050, 2048, 512
FREQUENCIES = np.arange(LENGTH // 2 + 1) * RATE / LENGTH
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(LENGTH) / LENGTH)

#: Distributions by the name that a check needs them under, and that of the module.
DISTRIBUTIONS = {
    "librosa": "librosa",
    "scipy": "scipy",
    "essentia": "essentia",
    "spectrum": "spectrum",
    "pysptk": "pysptk",
    "parselmouth": "praat-parselmouth",
    "pyloudnorm": "pyloudnorm",
    "audioflux": "audioflux",
    "kaldi_native_fbank": "kaldi-native-fbank",
}


class Sound:
    """A sound at 22050 Hz, what oracles need of it in double precision, and our features of it.

    Parameters
    ----------
    name : str
        How the table calls it.
    samples : ndarray, shape (samples,)
        Full scale 1.0.
    """

    def __init__(self, name: str, samples: Array) -> None:
        self.name = name
        self.samples = samples.astype(np.float32)

    @cached_property
    def signal(self) -> Array:
        """The same in double precision, (samples,)."""
        return self.samples.astype(np.float64)

    @cached_property
    def frames(self) -> Array:
        """Centred frames between zeros, (frames, 2048)."""
        padded = np.pad(self.signal, LENGTH // 2)
        return librosa.util.frame(padded, frame_length=LENGTH, hop_length=HOP, axis=0)

    @cached_property
    def magnitude(self) -> Array:
        """By librosa, (frames, bins)."""
        return np.abs(librosa.stft(self.signal, n_fft=LENGTH, hop_length=HOP)).T

    @property
    def power(self) -> Array:
        """By librosa, (frames, bins)."""
        return self.magnitude**2

    @cached_property
    def _ours(self) -> dict[str, Array]:
        return extract(self.samples, ["all"])

    @cached_property
    def whole(self) -> dict[str, float]:
        """Our features of the whole, by name."""
        return Extractor(["loudness", "rhythm"]).summary([self.samples[None]], RATE)

    def ours(self, name: str) -> Array:
        """Our feature of its frames, (frames,) or (frames, columns)."""
        return self._ours[name]


def extract(samples: Array, names: Sequence[str]) -> dict[str, Array]:
    """Make features as ``audiocli features --frames`` does; those of one column are (frames,)."""
    extractor = Extractor(names)
    blocks = np.array_split(samples.astype(np.float32)[None], 7, axis=1)
    values = np.concatenate(list(extractor.frames(blocks, RATE)))
    found, place = {}, 0
    for feature in extractor.features:
        if not feature.whole:
            width = len(feature.columns(Settings()))
            part = values[:, place : place + width]
            found[feature.name] = part[:, 0] if width == 1 else part
            place += width
    return found


def middle(samples: Array, name: str) -> Array:
    """Make one feature of the frames that lie wholly within the sound."""
    edge = LENGTH // 2 // HOP + 1
    return extract(samples, [name])[name][edge:-edge]


@cache
def sounds() -> dict[str, Sound]:
    """Make what the checks run on, always the same."""
    song = demo.compose()

    def mono(stem: Array) -> Array:
        return soxr.resample(stem.mean(axis=0) / 32768, demo.SAMPLE_RATE, RATE)

    noise = np.random.default_rng(0).normal(scale=0.1, size=3 * RATE)
    return {
        "song": Sound("the demo song", mono(song.mixture)),
        "noise": Sound("white noise", noise),
        "voice": Sound("the demo's voice", mono(song.stems["vocals"])),
    }


@dataclass(frozen=True)
class Check:
    """One comparison.

    Parameters
    ----------
    feature : str
        Its name in the catalogue.
    compare : callable
        Gives what is ours and what is right, as arrays of one shape.
    text, note : str
        What it is compared with, and why it differs if it does.
    on : str
        The sounds.
    needs : str
        The module of the oracle, if it is another package.
    unit : str
        Of the difference, where it is not that of the feature.
    """

    feature: str
    compare: Callable[[dict[str, Sound]], tuple[Array, Array]]
    text: str
    note: str
    on: str
    needs: str
    unit: str

    @property
    def possible(self) -> bool:
        """Whether the oracle is installed."""
        return not self.needs or util.find_spec(self.needs) is not None


CHECKS: list[Check] = []
Oracle = Callable[[Sound], Array]
Exact = Callable[[], tuple[Array, Array]]


def _said(function: Callable[..., Any]) -> tuple[str, str]:
    text, _, note = (function.__doc__ or "").partition("\n\n")
    return text.strip().removesuffix("."), " ".join(note.split())


def against(
    feature: str,
    needs: str = "",
    on: Sequence[str] = ("song", "noise"),
    chosen: Callable[[Sound], Array] = lambda sound: np.arange(len(sound.frames)),
) -> Callable[[Oracle], Oracle]:
    """Register an oracle for the feature, in all frames of the sounds or in those chosen."""

    def register(oracle: Oracle) -> Oracle:
        def compare(known: dict[str, Sound]) -> tuple[Array, Array]:
            ours = [known[name].ours(feature)[chosen(known[name])] for name in on]
            theirs = [oracle(known[name]) for name in on]
            return np.concatenate(ours), np.concatenate(theirs)

        names = {"song": "the demo song", "noise": "white noise", "voice": "the demo's voice"}
        where = " and ".join(names[name] for name in on)
        CHECKS.append(Check(feature, compare, *_said(oracle), where, needs, ""))
        return oracle

    return register


def exact(feature: str, on: str, unit: str = "", needs: str = "") -> Callable[[Exact], Exact]:
    """Register a comparison that brings its own sounds."""

    def register(function: Exact) -> Exact:
        CHECKS.append(Check(feature, lambda known: function(), *_said(function), on, needs, unit))
        return function

    return register


def of_song(feature: str, needs: str = "") -> Callable[[Oracle], Oracle]:
    """Register an oracle for a feature of the whole."""

    def register(oracle: Oracle) -> Oracle:
        def compare(known: dict[str, Sound]) -> tuple[Array, Array]:
            chosen = [known[name] for name in ("song", "noise")]
            ours = np.array([sound.whole[feature] for sound in chosen])
            return ours, np.array([oracle(sound) for sound in chosen])

        where = "the demo song and white noise"
        CHECKS.append(Check(feature, compare, *_said(oracle), where, needs, ""))
        return oracle

    return register


def rows(function: Callable[[Array], Any], values: Iterable[Array]) -> Array:
    """Apply what works on one frame to all."""
    return np.array([function(row) for row in values])


def version(module: str) -> str:
    """Say which version of an oracle is installed."""
    return metadata.version(DISTRIBUTIONS[module])
