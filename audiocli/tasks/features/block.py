"""What features share: settings, and intermediate results of a block of frames, computed once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.bands import band_edges
from audiocli.dsp.cepstral import FLOOR, power_cepstrum
from audiocli.dsp.filterbanks import (
    BandGroups,
    apply_filterbank,
    band_groups,
    bark_centres,
    mel_filterbank,
)
from audiocli.dsp.frames import Framing, frequencies, hann, power_spectrum
from audiocli.dsp.harmonic import Harmonics, harmonics
from audiocli.dsp.linear_prediction import LinearPrediction, lpc
from audiocli.dsp.pitch import Pitch
from audiocli.dsp.spectral import Shape, centroid_and_spread, shape
from audiocli.dsp.tonal import chroma, chroma_filters
from audiocli.errors import UsageError

__all__ = ["RATE", "Block", "Settings"]

Floats = NDArray[np.floating[Any]]

#: Hz. The same for all files, or the same sound would have other features at another rate: the
#: bands of contrast and MFCC, the range of centroid and roll-off all hang on it. librosa's default.
RATE = 22_050
LOWEST_RATE, HIGHEST_RATE = 4000, 192_000
N_MELS = 128
LPC_ORDER = 16
PRE_EMPHASIS = 0.97
F0_RANGE = (65.0, 2093.0)  # Hz: C2 to C7
CONTRAST_FROM = 200.0  # Hz
CPP_RANGE = (60.0, 1000.0 / 3.0)  # Hz


@dataclass(frozen=True)
class Settings:
    """Sample rate and frames of the analysis; what follows from them is derived here, once.

    Parameters
    ----------
    sample_rate : int
        All audio is resampled to this rate, in Hz.
    frame_length, hop_length : int
        In samples at that rate.
    rolloff : tuple of float
        Of the spectral roll-off: parts of the magnitude, above 0 and up to 1.
    """

    sample_rate: int = RATE
    frame_length: int = 2048
    hop_length: int = 512
    rolloff: tuple[float, ...] = (0.85,)

    def __post_init__(self) -> None:
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            raise UsageError(
                f"a rate of {self.sample_rate} Hz: use {LOWEST_RATE} to {HIGHEST_RATE} Hz"
            )
        if self.frame_length < 64 or self.hop_length < 1:
            raise UsageError(
                f"frames of {self.frame_length} samples, hop {self.hop_length}: use frames of 64 "
                "samples or more, and a hop of 1 or more"
            )
        if not self.rolloff or not all(0 < part <= 1 for part in self.rolloff):
            raise UsageError("roll-off: name at least one percentage above 0 and up to 100")

    @property
    def framing(self) -> Framing:
        """How the signal is cut."""
        return Framing(self.frame_length, self.hop_length)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length

    @property
    def n_fft(self) -> int:
        """Length of the transform: that of a frame, made even."""
        return self.frame_length + self.frame_length % 2

    @cached_property
    def window(self) -> Floats:
        """Hann window."""
        return hann(self.frame_length)

    @cached_property
    def frequencies(self) -> Floats:
        """Frequencies of the bins, in Hz."""
        return frequencies(self.n_fft, self.sample_rate)

    @cached_property
    def mel_filters(self) -> Floats:
        """Slaney's mel filterbank, (128, bins)."""
        return mel_filterbank(self.sample_rate, self.n_fft, N_MELS)

    @cached_property
    def mel_groups(self) -> BandGroups:
        """Which bins the mel bands use."""
        return band_groups(self.mel_filters)

    @cached_property
    def chroma_filters(self) -> Floats:
        """Chroma filterbank for A4 = 440 Hz, (12, bins)."""
        return chroma_filters(self.sample_rate, self.n_fft)

    @cached_property
    def flatness_edges(self) -> Floats:
        """MPEG-7's bands of a quarter of an octave, (bands, 2), in Hz."""
        return band_edges(250.0, min(16_000.0, self.sample_rate / 2), 4, overlap=0.05)

    @property
    def contrast_octaves(self) -> int:
        """How many octaves above 200 Hz there is room for, 6 at most."""
        return min(6, int(np.ceil(np.log2(self.sample_rate / 2 / CONTRAST_FROM))))

    @property
    def f0_range(self) -> tuple[float, float]:
        """Range of the pitch, in Hz: two periods fit into a frame."""
        lowest = 2.1 * self.sample_rate / (self.frame_length - 4)
        return max(F0_RANGE[0], lowest), min(F0_RANGE[1], self.sample_rate / 4)

    @property
    def cpp_range(self) -> tuple[float, float]:
        """Range of the pitch of the cepstral peak, in Hz: a period fits into half a frame."""
        return max(CPP_RANGE[0], 2.0 * self.sample_rate / self.n_fft + 0.1), CPP_RANGE[1]

    @property
    def plp_order(self) -> int:
        """Number of poles of PLP: 12, or fewer where the rate leaves few critical bands."""
        return min(12, len(bark_centres(self.sample_rate)) - 2)

    @property
    def formant_order(self) -> int:
        """Number of poles to find formants with: 2 and the rate in kHz."""
        return 2 + round(self.sample_rate / 1000)


@dataclass
class Block:
    """Consecutive frames and what is computed from them, each once when a feature needs it.

    Parameters
    ----------
    settings : Settings
        Sample rate and frames.
    frames : ndarray, shape (frames, frame_length)
        The waveform, continued with zeros.
    edges : ndarray, shape (frames, frame_length)
        The waveform, continued with its first and last sample.
    pitch : Pitch, optional
        Of these frames, where a feature needs it.
    memory : dict
        What blocks leave behind for the next one: a spectrum before, the state of a filter.
    """

    settings: Settings
    frames: Floats
    edges: Floats
    pitch: Pitch | None = None
    memory: dict[str, Any] = field(default_factory=dict)

    def before(self, name: str, rows: Floats) -> Floats | None:
        """Return the last row of the block before, and keep that of this block."""
        previous: Floats | None = self.memory.get(name)
        self.memory[name] = rows[-1].copy()
        return previous

    @cached_property
    def peak(self) -> Floats:
        """Highest sample of each frame, (frames,)."""
        peak: Floats = np.maximum(self.frames.max(axis=1), -self.frames.min(axis=1))
        return peak

    @cached_property
    def power(self) -> Floats:
        """Power spectra, (frames, bins)."""
        return power_spectrum(self.frames, self.settings.window, self.settings.n_fft)

    @cached_property
    def magnitude(self) -> Floats:
        """Magnitude spectra, (frames, bins)."""
        return np.sqrt(self.power)

    @cached_property
    def magnitude_before(self) -> Floats | None:
        """The spectrum before the first, (bins,); None where there is none."""
        return self.before("magnitude", self.magnitude)

    @cached_property
    def centre(self) -> tuple[Floats, Floats]:
        """Centroid and spread of the magnitude spectra, without their higher moments."""
        return centroid_and_spread(self.magnitude, self.settings.frequencies)

    @cached_property
    def shape(self) -> Shape:
        """Moments of the magnitude spectra."""
        return shape(self.magnitude, self.settings.frequencies)

    @cached_property
    def log_mel(self) -> Floats:
        """Energies in mel bands, in dB, (frames, 128)."""
        bands = apply_filterbank(
            self.power, self.settings.mel_filters, groups=self.settings.mel_groups
        )
        # The natural logarithm takes a quarter of the time of the decimal one.
        decibels: Floats = np.log(np.maximum(bands, np.float32(FLOOR), out=bands), out=bands)
        decibels *= np.float32(10 / math.log(10))
        return decibels

    @cached_property
    def chroma(self) -> Floats:
        """Pitch classes, (frames, 12)."""
        return chroma(self.power, self.settings.chroma_filters)

    @cached_property
    def cepstrum(self) -> Floats:
        """Power cepstra, (frames, quefrencies)."""
        return power_cepstrum(self.power)

    @cached_property
    def f0(self) -> Floats:
        """Fundamental frequency in Hz, 0 where unvoiced, (frames,)."""
        assert self.pitch is not None  # the extractor follows it where a feature needs it
        return self.pitch.f0

    @cached_property
    def voiced_probability(self) -> Floats:
        """Probability that each frame by itself has a pitch, (frames,)."""
        assert self.pitch is not None  # as for f0
        return self.pitch.probability

    @cached_property
    def harmonics(self) -> Harmonics:
        """The partials of the pitch."""
        return harmonics(self.magnitude, self.settings.frequencies, self.f0)

    @cached_property
    def predictor(self) -> LinearPrediction:
        """Linear prediction of the windowed frames."""
        return lpc(self.frames * self.settings.window, LPC_ORDER)

    @cached_property
    def voice(self) -> LinearPrediction:
        """Linear prediction of the windowed frames after pre-emphasis, for formants."""
        raised = self.frames.copy()
        raised[:, 1:] -= np.float32(PRE_EMPHASIS) * self.frames[:, :-1]
        return lpc(raised * self.settings.window, self.settings.formant_order)
