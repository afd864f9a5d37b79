"""Make training examples of separation that sound like produced songs.

A produced voice is more than a voice: it is compressed, saturated, doubled, harmonised, chopped,
echoed and put into a room, and all of that belongs to the vocals. A backing is a mastered
recording, or several on top of each other, ducked under the voice. What comes out is limited.
`Productions` draws all of this at random from packed recordings, see `pack_productions.py`;
`train_productions.py` trains on it.

Signals are float32 of shape (channels, samples) at 44.1 kHz.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import lfilter

from audiocli.nn.masking import LEVEL

Signal = NDArray[np.float32]
Take = Callable[[float], Signal]  # another take of the same voice, so many semitones higher

RATE = 44_100
NARROW = 12_000.0  # what reaches less high than this was recorded at a low rate


@dataclass(frozen=True)
class Shares:
    """How often what happens; the rest is in the functions below."""

    together: float = 0.32  # voice and backing of one song
    as_mixed: float = 0.7  # of excerpts of records
    no_voice: float = 0.14
    no_backing: float = 0.05
    second_voice: float = 0.12
    second_backing: float = 0.3
    ducked: float = 0.12
    level_mean: float = -2.0  # of the voice over the backing, in dB
    level_deviation: float = 5.0
    far: float = 0.2  # verses in which the voice stands far behind the music
    far_mean: float = -9.0  # dB
    far_deviation: float = 4.0  # dB


def root_mean_square(signal: Signal) -> float:
    """Measure the level, never 0."""
    return float(np.sqrt(np.mean(signal * signal))) + 1e-6


def decibels(low: float, high: float, rng: np.random.Generator) -> float:
    """Draw a gain between two levels in dB."""
    return float(10 ** (rng.uniform(low, high) / 20))


def cut(recording: NDArray[np.int16], start: int, samples: int, ratio: float) -> Signal:
    """Cut an excerpt that is played `ratio` times as fast, from `start`, as a loop."""
    needed = math.ceil(samples * ratio) + 64
    place = np.arange(start, start + needed) % recording.shape[1]
    piece = np.asarray(recording[:, place], np.float32) / 32768
    if ratio == 1:
        return piece[:, :samples]
    resampled = soxr.resample(piece.T, ratio, 1.0, quality="MQ").T[:, int(32 / ratio) :]
    missing = max(samples - resampled.shape[1], 0)
    return np.asarray(np.pad(resampled[:, :samples], [(0, 0), (0, missing)]), np.float32)


def sounding_start(
    recording: NDArray[np.int16], samples: int, rng: np.random.Generator, tries: int
) -> int:
    """Draw a start where there is sound: about the loudest of a few."""
    starts = rng.integers(recording.shape[1], size=tries)
    energies = [
        float(np.mean(recording[:, start : start + samples : 16].astype(np.float32) ** 2))
        for start in starts
    ]
    return int(starts[int(np.argmax(energies * rng.uniform(0.3, 1, tries)))])


def in_stereo(signal: Signal, rng: np.random.Generator, spread: float) -> Signal:
    """Place one channel left or right of the middle; widen, narrow or swap two."""
    if len(signal) == 2:
        width = rng.uniform(0.3, 1.3) if rng.random() < 0.35 else 1.0
        middle, side = signal.mean(axis=0), width * (signal[0] - signal[1]) / 2
        return np.stack([middle + side, middle - side][:: int(rng.choice([-1, 1]))])
    angle = math.pi / 4 * (1 + float(np.clip(rng.normal(0, spread), -0.9, 0.9)))
    return math.sqrt(2) * np.stack([math.cos(angle) * signal[0], math.sin(angle) * signal[0]])


def room(rng: np.random.Generator) -> Signal:
    """Make the impulse response of a room in stereo, without the direct sound."""
    decay = rng.uniform(0.2, 0.8) if rng.random() < 0.5 else rng.uniform(0.8, 3.0)
    time = np.arange(int(decay * RATE), dtype=np.float32) / RATE
    response = rng.standard_normal((2, len(time)), np.float32) * np.exp(-6.9 * time / decay)
    response[:, : int(rng.uniform(0.001, 0.06) * RATE)] = 0
    spectrum = fft.rfft(response, axis=1)
    place = np.linspace(0, RATE / 2, spectrum.shape[1])
    spectrum *= place / (place + rng.uniform(80, 400))
    spectrum /= np.sqrt(1 + (place / rng.uniform(2500, 12_000)) ** 2)
    coloured = fft.irfft(spectrum, len(time), axis=1)
    return np.asarray(coloured / np.sqrt(np.sum(coloured**2) / 2 + 1e-12), np.float32)


def convolve(signal: Signal, response: Signal) -> Signal:
    """Filter each channel by its own response, and keep the length."""
    size = fft.next_fast_len(signal.shape[1] + response.shape[1])
    product = fft.rfft(signal, size, axis=1) * fft.rfft(response, size, axis=1)
    return np.asarray(fft.irfft(product, size, axis=1)[:, : signal.shape[1]], np.float32)


def delayed(signal: Signal, samples: int) -> Signal:
    """Shift a signal later in time."""
    return np.pad(signal, [(0, 0), (samples, 0)])[:, : signal.shape[1]]


def envelope(signal: Signal, milliseconds: float) -> tuple[Signal, int]:
    """Follow the level of a signal; give it with the hop between its values."""
    hop = 64
    count = signal.shape[1] // hop
    power = (signal[:, : count * hop].reshape(len(signal), count, hop) ** 2).mean(axis=(0, 2))
    memory = math.exp(-hop / (milliseconds * RATE / 1000))
    return np.sqrt(lfilter([1 - memory], [1, -memory], power) + 1e-12), hop


def interpolated(curve: Signal, hop: int, samples: int) -> Signal:
    """Give a curve a value for every sample."""
    middles = (np.arange(len(curve)) + 0.5) * hop
    return np.interp(np.arange(samples), middles, curve).astype(np.float32)


def compression(signal: Signal, rng: np.random.Generator, strength: float = 1.0) -> Signal:
    """Draw a compressor and give its gain for every sample."""
    level, hop = envelope(signal, rng.uniform(5, 80))
    threshold = float(np.quantile(level, rng.uniform(0.3, 0.9))) + 1e-9
    ratio = 1 + strength * rng.uniform(0.3, 8)
    gain = np.minimum(1.0, (level / threshold) ** (1 / ratio - 1))
    return interpolated(gain, hop, signal.shape[1])


def produced(voice: Signal, rng: np.random.Generator, take: Take) -> Signal:
    """Produce a dry voice (one channel) as an engineer would; one in five stays dry."""
    if rng.random() < 0.2:
        return np.asarray(in_stereo(voice, rng, 0.08), np.float32)
    if rng.random() < 0.5:
        voice = voice * compression(voice, rng)
    if rng.random() < 0.2:  # saturation
        drive, peak = rng.uniform(0.5, 6), np.abs(voice).max() + 1e-9
        voice = np.tanh(drive * voice / peak) * peak / drive**0.7
    voice = edited(voice, rng)
    wide = in_stereo(voice, rng, 0.1)
    wide = wide + beside(rng, take)
    if rng.random() < 0.25:
        wide = wide + echoes(wide, rng)
    if rng.random() < 0.75:
        wide = wide + decibels(-26, -4, rng) * convolve(wide, room(rng))
    if rng.random() < 0.4:
        wide = high_passed(wide, rng)
    return np.asarray(wide, np.float32)


def edited(voice: Signal, rng: np.random.Generator) -> Signal:
    """Chop some voices, and have some stutter."""
    chance = rng.random()
    length = voice.shape[1]
    if chance < 0.1:
        step = int(rng.uniform(0.06, 0.4) * RATE)
        open_ = np.repeat(rng.random(length // step + 1) > 0.4, step)[:length]
        fade = np.hanning(441)
        return voice * np.convolve(open_, fade / fade.sum(), "same").astype(np.float32)
    if chance < 0.16:
        step = int(rng.uniform(0.08, 0.35) * RATE)
        start = int(rng.integers(max(1, length - 5 * step)))
        ramp = np.minimum(np.arange(step), np.arange(step)[::-1]) / 200
        syllable = voice[:, start : start + step] * np.minimum(1, ramp)[: length - start]
        voice = voice.copy()
        for number in range(int(rng.integers(2, 5))):
            part = voice[:, start + number * step : start + (number + 1) * step]
            part[:] = syllable[:, : part.shape[1]]
    return voice


def beside(rng: np.random.Generator, take: Take) -> Signal:
    """Sing the same beside: doubles a few cents off, or harmonies and octaves."""
    chance = rng.random()
    sung = np.zeros((2, 1), np.float32)
    if chance < 0.35:
        for _ in range(int(rng.integers(1, 4))):
            late = int(rng.uniform(0.008, 0.045) * RATE)
            double = in_stereo(delayed(take(rng.normal(0, 0.12)), late), rng, 0.6)
            sung = sung + decibels(-14, -1, rng) * double
    elif chance > 0.7:
        for _ in range(int(rng.integers(1, 3))):
            interval = float(rng.choice([-12, -5, 3, 4, 5, 7, 12]))
            sung = sung + decibels(-15, -2, rng) * in_stereo(take(interval), rng, 0.5)
    return sung


def echoes(wide: Signal, rng: np.random.Generator) -> Signal:
    """Give the returns of a delay, at times from side to side."""
    late = int(rng.uniform(0.07, 0.55) * RATE)
    feedback, from_side_to_side = rng.uniform(0.1, 0.6), rng.random() < 0.4
    echo = wide * decibels(-18, -4, rng)
    sum_ = np.zeros_like(wide)
    for number in range(4):
        echo = delayed(echo, late) * (feedback if number else 1.0)
        echo = echo[::-1] if from_side_to_side else echo
        sum_ = sum_ + echo
    return sum_


def high_passed(wide: Signal, rng: np.random.Generator) -> Signal:
    """Take the low end away; one in eight sounds as through a telephone."""
    spectrum = fft.rfft(wide, axis=1)
    place = np.maximum(np.linspace(0, RATE / 2, spectrum.shape[1]), 1)
    spectrum /= np.sqrt(1 + (rng.uniform(60, 250) / place) ** 4)
    if rng.random() < 0.12:
        spectrum /= np.sqrt(1 + (400 / place) ** 6)
        spectrum /= np.sqrt(1 + (place / rng.uniform(2500, 4500)) ** 8)
    return np.asarray(fft.irfft(spectrum, wide.shape[1], axis=1), np.float32)


class Productions:
    """Draws examples from a plan that `pack_productions.py` wrote.

    Parameters
    ----------
    plan : dict
        ``voices`` and ``backings``: lists of pools with ``share``, ``ceiling`` (Hz), ``files``,
        ``levels``; ``songs``: each with ``files`` (the voice first), ``level``, ``ceiling``,
        ``dry``, ``share``, and ``mixed`` if they add up to a record, to be heard as it is.
    seconds : float
        Length of an example.
    rng : numpy.random.Generator
    shares : Shares
    """

    def __init__(
        self,
        plan: dict[str, Any],
        seconds: float,
        rng: np.random.Generator,
        shares: Shares = Shares(),  # noqa: B008  # frozen
    ) -> None:
        self.plan, self.rng, self.shares = plan, rng, shares
        self.samples = round(seconds * RATE)
        self._opened: dict[str, NDArray[np.int16]] = {}

    def example(self) -> Signal:
        """Draw voice and backing, (2, 2, samples), whose sum is near ``LEVEL``."""
        rng, shares = self.rng, self.shares
        if self.plan["songs"] and rng.random() < shares.together:
            voice, backing, ceiling, mixed = self._song()
            if mixed:
                return self._mastered(np.stack([voice, backing]), ceiling)
        else:
            voice, ceiling = self._voice()
            backing = self._backing()
        usual = shares.level_mean, shares.level_deviation
        far = shares.far_mean, shares.far_deviation
        gain = 10 ** (rng.normal(*(far if rng.random() < shares.far else usual)) / 20)
        voice = voice * gain / root_mean_square(voice)
        backing = backing / root_mean_square(backing)
        chance = rng.random()
        if chance < shares.no_voice:
            voice = np.zeros_like(voice)
            ceiling = ceiling if rng.random() < 0.2 else RATE / 2
        elif chance < shares.no_voice + shares.no_backing:
            backing = np.zeros_like(backing)
        elif rng.random() < shares.ducked:
            level, hop = envelope(voice, 60)
            loud = level / (np.quantile(level, 0.9) + 1e-9)
            ducking = 1 / (1 + rng.uniform(0.3, 1.5) * loud)
            backing = backing * interpolated(ducking, hop, self.samples)
        return self._mastered(np.stack([voice, backing]).astype(np.float32), ceiling)

    def _drawn(self, pools: list[dict[str, Any]]) -> tuple[dict[str, Any], Signal, float]:
        shares = np.array([pool["share"] for pool in pools])
        pool = pools[int(self.rng.choice(len(pools), p=shares / shares.sum()))]
        number = int(self.rng.integers(len(pool["files"])))
        return pool, self._recording(pool["files"][number]), pool["levels"][number]

    def _recording(self, file: str) -> NDArray[np.int16]:
        if file not in self._opened:
            self._opened[file] = np.load(file, mmap_mode="r")
        return self._opened[file]

    def _voice(self) -> tuple[Signal, float]:
        """Draw one voice, at times two."""
        voice, ceiling = self._one_voice()
        voice = voice / root_mean_square(voice)
        if self.rng.random() < self.shares.second_voice:
            other, _ = self._one_voice()
            voice = voice + decibels(-14, 0, self.rng) * other / root_mean_square(other)
        # What the voice lacks above its ceiling is taken from the backing too: bandwidth must
        # not betray the voice.
        return voice, ceiling if ceiling < NARROW else RATE / 2

    def _one_voice(self) -> tuple[Signal, float]:
        rng = self.rng
        pool, recording, level = self._drawn(self.plan["voices"])
        start = sounding_start(recording, self.samples, rng, 4)
        base = rng.uniform(-4, 4)

        def take(semitones: float) -> Signal:
            ratio = 2 ** ((base + semitones) / 12)
            played = cut(recording, start, self.samples, ratio) / level
            return np.asarray(played.mean(axis=0, keepdims=True), np.float32)

        if len(recording) == 2 and pool.get("produced") and rng.random() < 0.7:
            played = cut(recording, start, self.samples, 2 ** (base / 12)) / level
            return in_stereo(played, rng, 0.3), pool["ceiling"]
        return produced(take(0.0), rng, take), pool["ceiling"]

    def _backing(self) -> Signal:
        """Draw one backing, at times two on top of each other."""
        backing = self._one_backing()
        if self.rng.random() < self.shares.second_backing:
            other = self._one_backing()
            backing = backing / root_mean_square(backing)
            backing = backing + decibels(-12, 2, self.rng) * other / root_mean_square(other)
        return backing

    def _one_backing(self) -> Signal:
        rng = self.rng
        _, recording, level = self._drawn(self.plan["backings"])
        start = sounding_start(recording, self.samples, rng, 2)
        played = cut(recording, start, self.samples, 2 ** (rng.uniform(-4, 4) / 12)) / level
        wide = in_stereo(played, rng, 0.15)
        if len(recording) == 1 and rng.random() < 0.7:
            response = room(rng)
            if rng.random() < 0.5:  # the same left and right, of opposite sign: only in the side
                response = np.stack([response[0], -response[0]])
            wide = wide + decibels(-20, -3, rng) * convolve(wide, response)
        return np.asarray(wide, np.float32)

    def _song(self) -> tuple[Signal, Signal, float, bool]:
        """Draw an excerpt whose voice and backing belong together, and say if they are mixed."""
        rng = self.rng
        shares = np.array([song["share"] for song in self.plan["songs"]])
        song = self.plan["songs"][int(rng.choice(len(shares), p=shares / shares.sum()))]
        recordings = [self._recording(file) for file in song["files"]]
        start = sounding_start(recordings[0], self.samples, rng, 3)
        base = rng.uniform(-4, 4)
        if song.get("mixed") and rng.random() < self.shares.as_mixed:
            side = int(rng.choice([-1, 1]))
            voice, backing = (
                cut(recording, start, self.samples, 2 ** (base / 12))[::side]
                for recording in recordings
            )
            return voice, backing, song["ceiling"], True

        def played(recording: Signal, semitones: float = 0.0) -> Signal:
            ratio = 2 ** ((base + semitones) / 12)
            return cut(recording, start, self.samples, ratio) / song["level"]

        def take(semitones: float) -> Signal:
            return played(recordings[0], semitones).mean(axis=0, keepdims=True)

        if song["dry"] and rng.random() < 0.5:
            voice = produced(take(0.0), rng, take)
        else:
            voice = in_stereo(played(recordings[0]), rng, 0.1)
        backing = np.zeros_like(voice)
        for recording in recordings[1:]:
            gain = 10 ** (rng.normal(0, 2.0 if len(recordings) > 2 else 0.0) / 20)
            backing = backing + gain * in_stereo(played(recording), rng, 0.2)
        return voice, backing, song["ceiling"], False

    def _mastered(self, pair: Signal, ceiling: float) -> Signal:
        """Equalise each source; compress and limit the sum, the same gain for both sources."""
        rng = self.rng
        if rng.random() < 0.15:
            ceiling = min(ceiling, math.exp(rng.uniform(math.log(3500), math.log(18_000))))
        spectrum = fft.rfft(pair, axis=-1)
        place = np.linspace(0, RATE / 2, spectrum.shape[-1])
        grid = np.linspace(0, 1, 257)
        orders = np.arange(1, 6)[:, None]
        for source in spectrum:
            weights = rng.normal(size=(5, 1)) / np.sqrt(orders)
            phases = rng.uniform(0, 2 * math.pi, (5, 1))
            curve = (weights * np.cos(math.pi * orders * grid + phases)).sum(axis=0) * 5 / 3
            source *= 10 ** (np.interp(np.sqrt(place / (RATE / 2)), grid, curve) / 20)
        if ceiling < 0.45 * RATE:
            spectrum *= 1 / (1 + (place / (0.97 * ceiling)) ** 80)
        pair = fft.irfft(spectrum, pair.shape[-1], axis=-1).astype(np.float32)
        if rng.random() < 0.35:
            pair = pair * compression(pair.sum(axis=0), rng, 0.5)
        level = LEVEL * 10 ** (rng.normal(0, 2.0) / 20)
        pair = pair * np.float32(level / root_mean_square(pair.sum(axis=0)))
        if rng.random() < 0.3:
            mixture = pair.sum(axis=0)
            limit = float(np.abs(mixture).max()) * rng.uniform(0.25, 0.8) + 1e-9
            pair = pair * (limit * np.tanh(mixture / limit) / np.where(mixture, mixture, 1))
        if rng.random() < 0.04:
            pair = np.repeat(pair.mean(axis=1, keepdims=True), 2, axis=1)
        return np.nan_to_num(pair.astype(np.float32))
