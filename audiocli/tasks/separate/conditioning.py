"""Bring a segment of any recording to what separation networks are trained on, and back.

Training examples are excerpts of music at one level, without a DC offset, whose channels belong
together. Recordings are not all like that, and what differs says nothing about the vocals. So each
segment is conditioned before the network, and the estimates are brought back afterwards:

* what lies below 20 Hz (DC, rumble) is taken out; as the accompaniment is what the vocals leave of
  the mixture, it stays there;
* the level is measured between 50 Hz and 8 kHz, gated at both ends, and over the segment alone, so
  that neither an inaudible tone nor one loud second makes the song too quiet for the network;
* a channel whose polarity is inverted, or that comes late, is aligned with the other;
* channels of which one is silent, or next to it, are separated each by itself, and so are the
  channels of more than two.

References
----------
ITU-R BS.1770-5, 2023 (gating in blocks of 0.4 s).
Knapp, Carter: The generalized correlation method for estimation of time delay. IEEE TASSP 24(4),
1976 (the phase transform, which finds inverted and late channels).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
import soxr
from numpy.typing import NDArray

from audiocli.nn.masking import SILENCE

__all__ = [
    "Alignment",
    "ProgrammeLevel",
    "alignment",
    "conditioned",
    "infrasound",
    "muted",
    "peak_of",
]

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]
Estimate = Callable[[Audio], Audio]

#: Vocals have nothing below it, in Hz.
LOWEST = 20.0
TRANSITION = 12.0  # Hz, of the filter there
#: Where the level is measured, in Hz: nearly all power of music lies there.
BAND = (50.0, 8000.0)
#: Length of the blocks whose power is measured, and their distance within a segment, in s.
BLOCK_SECONDS, HOP_SECONDS = 0.4, 0.2
#: Blocks further below the loud ones than this, in dB, are pauses.
PAUSE = 30.0
#: Blocks count as no louder than this much above the median, in dB.
LOUDEST = 6.0
#: Up to this part of the blocks is an exception; more is how the recording is.
FEW = 0.25
#: What is louder than the segment by more than this, in dB, is turned down to it for the network.
HEADROOM = 12.0
#: A segment is taken as no quieter than this much below the whole recording, in dB. Training
#: draws no quieter excerpts either.
QUIETEST = 26.0
#: Below so much of the other, in dB, a channel shares nothing with it that would help.
APART = 40.0
#: Where channels are compared, in Hz, and by how much one may be late, in s.
COMPARED, LATEST = (100.0, 6000.0), 0.005
#: Correlation (phase transform) from which on channels are taken for delayed or inverted, and how
#: many times that without delay it must be.
CORRELATED, STANDING_OUT = 0.2, 1.5
#: How far below the strongest a bin may lie to be compared, as power, and how many bins there must
#: be to tell a delay.
FAINT, BROAD = 1e-5, 100


class ProgrammeLevel:
    """The level of a stream, robust against all that is no music, and its peak and length.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.frames = 0
        self.peak = 0.0
        self._size = _block_length(sample_rate)
        self._rest: Audio | None = None
        self._powers: list[float] = []

    def add(self, block: Audio) -> None:
        """Take in a block (channels, samples)."""
        if not block.size:
            return
        self.frames += block.shape[1]
        self.peak = max(self.peak, peak_of(block))
        joined = block if self._rest is None else np.concatenate([self._rest, block], axis=1)
        whole = joined.shape[1] - joined.shape[1] % self._size
        if whole:
            self._measure(joined[:, :whole])
        self._rest = joined[:, whole:].copy()

    def _measure(self, audio: Audio) -> None:
        power = _powers(_spectra(audio, self._size, self._size), self._size, self.sample_rate)
        self._powers += power.mean(axis=0).tolist()

    @property
    def level(self) -> float:
        """Root mean square of what sounds; 0 for silence."""
        powers = self._powers
        if not powers and self._rest is not None:  # shorter than a block
            rest = np.pad(self._rest, [(0, 0), (0, self._size - self._rest.shape[1])])
            spectra = _spectra(rest, self._size, self._size)
            power = _powers(spectra, self._size, self.sample_rate).mean()
            powers = [float(power) * self._size / max(self._rest.shape[1], 1)]
        return float(np.sqrt(_gated(np.array(powers))))


@dataclass(frozen=True)
class Alignment:
    """How the second of two channels is changed to go with the first, and back.

    Parameters
    ----------
    delay : float
        By how many samples the second comes late.
    inverted : bool
        Whether its polarity is the other.
    """

    delay: float = 0.0
    inverted: bool = False

    def apply(self, pair: Audio) -> Audio:
        """Align two channels (..., 2, samples)."""
        return self._changed(pair, self.delay)

    def undo(self, pair: Audio) -> Audio:
        """Bring aligned channels (..., 2, samples) back to what they were."""
        return self._changed(pair, -self.delay)

    def _changed(self, pair: Audio, advance: float) -> Audio:
        if not advance and not self.inverted:
            return pair
        changed = pair.copy()
        if advance:
            changed[..., 1, :] = _advanced(pair[..., 1, :], advance)
        if self.inverted:
            changed[..., 1, :] *= -1
        return changed


def alignment(pair: Audio, sample_rate: int) -> Alignment:
    """Find out whether one of two channels (2, samples) is inverted or late."""
    size = _block_length(sample_rate)
    return _alignment(_spectra(pair, size, round(HOP_SECONDS * sample_rate)), size, sample_rate)


def conditioned(
    audio: Audio, sample_rate: int, estimate: Estimate, *, target: float, level: float = 0.0
) -> tuple[Audio, Audio]:
    """Estimate the sources of a segment as if it were a training example.

    Gives the estimates (sources, channels, samples), and the segment without infrasound.
    """
    if not audio.size:
        return estimate(audio), audio
    clean = audio - infrasound(audio, sample_rate)
    size, hop = _block_length(sample_rate), round(HOP_SECONDS * sample_rate)
    peak = peak_of(clean)
    if peak <= SILENCE:
        clean[:] = 0
        return estimate(clean), clean
    scaled = clean / np.float32(peak)  # powers of the quietest recordings underflow
    spectra = _spectra(scaled, size, hop)
    powers = _powers(spectra, size, sample_rate)
    least = (level / peak) ** 2 * 10 ** (-QUIETEST / 10)

    def at_level(part: Audio, power: Floats) -> Audio:
        level = _level_curve(power.mean(axis=0), least, hop, part.shape[1])
        return estimate(part * (np.float32(target) / level)) * (level * np.float32(peak / target))

    means = powers.mean(axis=1)
    apart = means.min() <= 10 ** (-APART / 10) * means.max()
    if len(audio) == 2 and not apart:
        found = _alignment(spectra, size, sample_rate)
        return found.undo(at_level(found.apply(scaled), powers)), clean
    if len(audio) == 1:
        return at_level(scaled, powers), clean
    alone = [at_level(scaled[[index]], powers[[index]]) for index in range(len(audio))]
    return np.concatenate(alone, axis=1), clean


def infrasound(audio: Audio, sample_rate: int) -> Audio:
    """Give what of audio (channels, samples) lies below 20 Hz, without delay."""
    samples = audio.shape[1]
    # Where a low-pass filter can be short; between the two rates there is no delay.
    narrow = round(25 * LOWEST)
    if samples * narrow < 4 * sample_rate or not audio.any():  # too short for all but DC
        return np.broadcast_to(audio.mean(axis=1, keepdims=True), audio.shape).astype(np.float32)
    margin = min(sample_rate // 2, samples - 1)
    padded = np.pad(audio, [(0, 0), (margin, margin)], mode="reflect")
    low = soxr.resample(padded.T, sample_rate, narrow, quality="MQ")
    taps = round(3.5 * narrow / TRANSITION) | 1
    kernel = np.sinc(2 * LOWEST / narrow * (np.arange(taps) - taps // 2)) * np.kaiser(taps, 6.0)
    low = np.pad(low, [(taps // 2, taps // 2), (0, 0)], mode="edge")
    filtered = [np.convolve(each, kernel / kernel.sum(), mode="valid") for each in low.T]
    wide = soxr.resample(
        np.stack(filtered, axis=1).astype(np.float32), narrow, sample_rate, quality="MQ"
    ).T
    wide = wide[:, margin : margin + samples]
    return np.pad(wide, [(0, 0), (0, samples - wide.shape[1])], mode="edge")


def peak_of(audio: Audio) -> float:
    """Find the highest absolute sample, without a copy."""
    return max(float(audio.max()), -float(audio.min()))


def muted(source: Audio, mixture: Audio, least: int) -> Audio:
    """Silence a source (..., channels, samples) where its mixture is digitally silent."""
    result = source
    for channel, samples in enumerate(mixture):
        if len(samples) - np.count_nonzero(samples) < least:
            continue  # as most blocks of most recordings are
        sounding = np.flatnonzero(samples)
        borders = np.concatenate([[-1], sounding, [len(samples)]])
        for gap in np.flatnonzero(np.diff(borders) > least):
            if result is source:
                result = source.copy()
            result[..., channel, borders[gap] + 1 : borders[gap + 1]] = 0
    return result


def _block_length(sample_rate: int) -> int:
    return max(2, round(BLOCK_SECONDS * sample_rate))


def _spectra(audio: Audio, size: int, hop: int) -> NDArray[np.complex64]:
    """Transform blocks (channels, blocks, bins); the window keeps DC out of the other bins."""
    blocks = max(1, 1 + -(-(audio.shape[1] - size) // hop))
    missing = max(0, (blocks - 1) * hop + size - audio.shape[1])
    padded = np.pad(audio, [(0, 0), (0, missing)])
    cut = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::hop][:, :blocks]
    spectra: NDArray[np.complex64] = scipy.fft.rfft(cut * _window(size), axis=-1)
    return spectra


@lru_cache(maxsize=8)
def _window(size: int) -> Audio:
    return np.hanning(size + 1)[:-1].astype(np.float32)


def _powers(spectra: NDArray[np.complex64], size: int, sample_rate: int) -> Floats:
    """Measure the power of blocks, (channels, blocks), as mean square in the band."""
    parts = spectra[..., _bins(BAND, size, sample_rate)].view(np.float32)
    energy = np.einsum("cbp,cbp->cb", parts, parts)
    total = 2 * energy.astype(np.float64)
    return np.asarray(total / (size * float(np.square(_window(size)).sum())))


def _bins(band: tuple[float, float], size: int, sample_rate: int) -> slice:
    """Tell which bins lie in a band, in Hz."""
    low, high = (edge * size / sample_rate for edge in band)
    return slice(math.ceil(low), math.floor(high) + 1)


def _gated(powers: Floats) -> float:
    """Average powers over what is neither a pause nor far louder than the rest.

    A few blocks that are turned down for the network anyway do not count: even at the ceiling one
    second of seven would make all others 1.5 dB too quiet.
    """
    if not powers.size or not powers.max() > 0:
        return 0.0
    sounding = powers[powers > np.quantile(powers, 0.75) * 10 ** (-PAUSE / 10)]
    ceiling = np.median(sounding) * 10 ** (LOUDEST / 10)
    ordinary = sounding[sounding <= ceiling * 10 ** (HEADROOM / 10)]
    if len(ordinary) >= (1 - FEW) * len(sounding):
        sounding = ordinary
    return float(np.minimum(sounding, ceiling).mean())


def _level_curve(powers: Floats, least: float, hop: int, samples: int) -> Audio:
    """Give the level of a segment, one number, or at each sample where a part is far louder."""
    level = max(_gated(powers), least, 1e-20)
    louder = powers * 10 ** (-HEADROOM / 10)
    if louder.max() <= level:
        return np.full(1, np.sqrt(level), np.float32)
    middles = (np.arange(len(powers)) + BLOCK_SECONDS / HOP_SECONDS / 2) * hop
    curve = np.interp(np.arange(samples), middles, np.log(np.maximum(louder, level)) / 2)
    return np.exp(curve).astype(np.float32)


def _alignment(spectra: NDArray[np.complex64], size: int, sample_rate: int) -> Alignment:
    """As :func:`alignment`, from the spectra of the channels' blocks."""
    band = _bins(COMPARED, size, sample_rate)
    cross = spectra[1][:, band] * spectra[0][:, band].conj()
    strength = np.abs(cross)
    energy = strength.sum(axis=1)
    sounding = energy > 1e-3 * energy.max(initial=0.0)
    if not sounding.any():
        return Alignment()
    # Bins next to silence hold rounding errors, and would count as much as all others.
    weights = strength[sounding]
    weights = weights / (weights + FAINT * weights.max(axis=1, keepdims=True))
    phases = np.zeros(spectra.shape[-1], np.complex128)
    phases[band] = (cross[sounding] / np.maximum(strength[sounding], 1e-30) * weights).mean(axis=0)
    counted = weights.mean(axis=0)
    correlation = scipy.fft.irfft(phases, size) * size / (2 * counted.sum())
    reach = min(round(LATEST * sample_rate), size // 2 - 2)
    around = correlation[np.arange(-reach - 1, reach + 2)]  # one more on each side to interpolate
    peak = 1 + int(np.argmax(np.abs(around[1:-1])))
    height, inverted = abs(around[peak]), bool(around[peak] < 0)
    if height < CORRELATED:
        return Alignment()
    bins = counted.sum() ** 2 / np.square(counted).sum()
    # A few partials correlate at many delays.
    if height < STANDING_OUT * abs(correlation[0]) or bins < BROAD:
        return Alignment(inverted=bool(correlation[0] < -CORRELATED))
    left, middle, right = np.abs(around[peak - 1 : peak + 2])
    delay = peak - reach - 1 + 0.5 * (left - right) / (left - 2 * middle + right)
    # Resolution of the parabola: a delay of whole samples is taken for one.
    whole = round(delay)
    return Alignment(float(whole) if abs(delay - whole) < 0.1 else float(delay), inverted)


def _advanced(signal: Audio, samples: float) -> Audio:
    """Move signals (..., samples) ahead in time by a fraction of samples."""
    margin = int(abs(samples)) + 256
    length = signal.shape[-1] + 2 * margin
    size = scipy.fft.next_fast_len(length, real=True)
    padding = [(0, 0)] * (signal.ndim - 1) + [(margin, size - margin - signal.shape[-1])]
    spectrum = scipy.fft.rfft(np.pad(signal, padding), axis=-1)
    spectrum *= np.exp(2j * np.pi * np.arange(spectrum.shape[-1]) * samples / size)
    moved = scipy.fft.irfft(spectrum, size, axis=-1)
    return np.asarray(moved[..., margin : margin + signal.shape[-1]], np.float32)
