"""Every feature there is: name, columns, unit, definition, what it belongs to, how it is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp import bands, cepstral, energy, harmonic, perceptual, rhythm, spectral, tonal
from audiocli.dsp import linear_prediction as prediction
from audiocli.dsp.loudness import LoudnessMeter
from audiocli.errors import UsageError, suggest
from audiocli.io.audio.layouts import Layout
from audiocli.tasks.features.aliases import canonical, elsewhere
from audiocli.tasks.features.block import CONTRAST_FROM, LPC_ORDER, Block, Settings

__all__ = ["FEATURES", "SETS", "Feature", "select"]

Floats = NDArray[np.floating[Any]]
#: Of a recording that has a tempo: two intervals that can be alike.
FEWEST_ONSETS = 3
RISING = 80.0  # dB below the loudest band that the onset strength looks at, as librosa does
N_MFCC, N_CEPSTRUM, N_LPCC, N_FORMANTS = 20, 20, 13, 4


@dataclass(frozen=True)
class Feature:
    """One feature, of one column or several.

    Parameters
    ----------
    name : str
        What it is called, and how its columns begin.
    family : str
        The set of its kind.
    unit : str
        "1" for a plain number.
    description : str
        What it tells.
    source : str
        Where its definition comes from.
    compute : callable, optional
        Makes the feature, (frames,) or (frames, columns), of a block of frames.
    endings : callable
        What its columns end in; one empty ending for a feature of one column.
    pitched : bool
        Whether the pitch is needed.
    voiced : bool
        Whether its statistics are of voiced frames only.
    delta_of, order : str and int
        The feature of which this is the slope in time, and the order of the derivative.
    summarise : callable, optional
        For a feature of a whole file: makes the number of the column `summary_of`, (frames,).
    summary_of : str
        That column.
    meter : callable, optional
        For a feature of a whole file that is measured on the sound as it comes: makes what
        measures it, given the sample rate and the speakers.
    tracked : str
        For a feature of a whole file that the beats tell: which attribute of
        :class:`audiocli.tasks.beat_tracker.Tempo` it is.
    silent : bool
        Whether it is defined of digital silence: a level is, a shape of nothing is not.
    """

    name: str
    family: str
    unit: str
    description: str
    source: str
    compute: Callable[[Block], Floats] | None = None
    endings: Callable[[Settings], Sequence[object]] = lambda settings: ("",)
    pitched: bool = False
    voiced: bool = False
    delta_of: str = ""
    order: int = 0
    summarise: Callable[[Floats, Settings], float] | None = None
    summary_of: str = ""
    meter: Callable[[int, Layout | None], LoudnessMeter] | None = None
    tracked: str = ""
    silent: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is defined for a whole file only."""
        return self.summarise is not None or self.meter is not None or bool(self.tracked)

    def columns(self, settings: Settings) -> list[str]:
        """Name the columns, without any statistic."""
        endings = self.endings(settings)
        return [self.name if end == "" else f"{self.name}_{end}" for end in endings]


def _numbered(count: int, first: int = 1) -> Callable[[Settings], Sequence[object]]:
    return lambda settings: range(first, first + count)


def _rasta(block: Block) -> Floats:
    settings = block.settings
    cepstra, block.memory["rasta"] = perceptual.rasta_plp(
        block.power, settings.sample_rate, state=block.memory.get("rasta"), order=settings.plp_order
    )
    return cepstra


def _flux(definition: spectral.FluxDefinition) -> Callable[[Block], Floats]:
    return lambda b: spectral.flux(b.magnitude, definition, previous=b.magnitude_before)


def _frequencies_of_lines(block: Block) -> Floats:
    lines = prediction.line_spectral_frequencies(block.predictor.coefficients)
    return lines * np.float32(block.settings.sample_rate / (2 * np.pi))


def _pulse_rate(envelope: Floats, settings: Settings) -> float:
    """Rate of the pulse, or NaN where too few onsets tell it."""
    beaten = _is_beaten(envelope, settings)
    return rhythm.tempo(envelope, settings.sample_rate, settings.hop_length) if beaten else math.nan


def _pulse_clarity(envelope: Floats, settings: Settings) -> float:
    beaten = _is_beaten(envelope, settings)
    return (
        rhythm.pulse_clarity(envelope, settings.sample_rate, settings.hop_length) if beaten else 0.0
    )


def _onset_rate(envelope: Floats, settings: Settings) -> float:
    seconds = len(envelope) * settings.hop_length / settings.sample_rate
    return len(_onsets(envelope, settings)) / seconds if len(envelope) else 0.0


def _onsets(envelope: Floats, settings: Settings) -> NDArray[np.intp]:
    """Find onsets, but not in frames that reach beyond the end: it would count as one."""
    inside = max(len(envelope) - settings.n_fft // 2 // settings.hop_length, 0)
    return rhythm.pick_onsets(envelope[:inside], settings.sample_rate, settings.hop_length)


def _is_beaten(envelope: Floats, settings: Settings) -> bool:
    """Tell whether there are two intervals between onsets: a hum is periodic without any."""
    return len(_onsets(envelope, settings)) >= FEWEST_ONSETS


PEETERS = "Peeters 2004"
PITCH_CLASSES = ("c", "c_sharp", "d", "d_sharp", "e", "f", "f_sharp", "g", "g_sharp", "a",
                 "a_sharp", "b")  # fmt: skip
TONNETZ = ("fifth_x", "fifth_y", "minor_third_x", "minor_third_y", "major_third_x", "major_third_y")

_ENERGY = [
    Feature("rms", "energy", "full scale", "Root mean square of the frame", "librosa rms",
            lambda b: energy.rms(b.frames), silent=True),
    Feature("zero_crossing_rate", "energy", "1/sample", "Changes of sign a sample",
            "librosa zero_crossing_rate", lambda b: energy.zero_crossing_rate(b.edges),
            silent=True),
    Feature("log_energy", "energy", "ln", "Natural log of the sum of squares", "HTK Book 5.8",
            lambda b: energy.log_energy(b.frames), silent=True),
    Feature("crest_factor", "energy", "1", "Peak over root mean square of the waveform",
            "textbook", lambda b: energy.crest_factor(b.frames)),
    Feature("peak_level", "energy", "dBFS", "Highest sample", "textbook",
            lambda b: energy.peak_dbfs(b.frames), silent=True),
]  # fmt: skip

_SPECTRAL = [
    Feature("spectral_centroid", "spectral", "Hz", "Centre of gravity of the spectrum",
            f"{PEETERS}; librosa spectral_centroid", lambda b: b.centre[0]),
    Feature("spectral_bandwidth", "spectral", "Hz", "Standard deviation about the centroid",
            f"{PEETERS}; librosa spectral_bandwidth", lambda b: b.centre[1]),
    Feature("spectral_skewness", "spectral", "1", "Third moment about the centroid", PEETERS,
            lambda b: b.shape.skewness),
    Feature("spectral_kurtosis", "spectral", "1", "Fourth moment about the centroid", PEETERS,
            lambda b: b.shape.kurtosis),
    Feature("spectral_entropy", "spectral", "1", "Evenness of the spectrum, 0 to 1",
            "Misra 2004", lambda b: bands.entropy(b.magnitude)),
    Feature("spectral_flatness", "spectral", "1", "Geometric over arithmetic mean of the power",
            "Dubnov 2004; librosa spectral_flatness", lambda b: bands.flatness(b.power)),
    Feature("spectral_rolloff", "spectral", "Hz", "Frequency below which so many % lie",
            f"{PEETERS}; librosa spectral_rolloff",
            lambda b: spectral.rolloff(b.magnitude, b.settings.frequencies, b.settings.rolloff),
            lambda s: [f"{100 * part:g}".replace(".", "_") for part in s.rolloff]),
    Feature("spectral_flux", "spectral", "magnitude", "Change since the frame before, root of "
            "summed squares", "Tzanetakis 2002, unnormalised; Essentia Flux", _flux("l2"),
            silent=True),
    Feature("spectral_contrast", "spectral", "dB", "Peaks over valleys: up to 200 Hz, then "
            "by octaves", "Jiang 2002; librosa spectral_contrast, without top_db",
            lambda b: bands.contrast(b.magnitude, b.settings.frequencies, fmin=CONTRAST_FROM,
                                     n_bands=b.settings.contrast_octaves),
            lambda s: range(s.contrast_octaves + 1)),
    Feature("spectral_flux_l1", "spectral", "magnitude", "Change, sum of absolute values",
            "Essentia Flux, L1", _flux("l1"), silent=True),
    Feature("spectral_flux_rectified", "spectral", "magnitude", "Change, sum of rises",
            "Dixon 2006", _flux("rectified"), silent=True),
    Feature("spectral_flux_normalised", "spectral", "1", "Change of the spectrum over its sum",
            "Tzanetakis 2002", _flux("normalised")),
    Feature("spectral_flux_log", "spectral", "log10", "Change, sum of rises of log10(1 + m)",
            "Boeck 2012, without filters", _flux("log"), silent=True),
    Feature("spectral_slope", "spectral", "1/Hz", "Slope of the straight line that fits the "
            "spectrum over its sum", PEETERS,
            lambda b: spectral.slope(b.magnitude, b.settings.frequencies, normalise=True)),
    Feature("spectral_decrease", "spectral", "1", "Fall from the first bin on", PEETERS,
            lambda b: spectral.decrease(b.magnitude)),
    Feature("spectral_crest", "spectral", "1", "Highest bin over the mean", PEETERS,
            lambda b: bands.crest(b.magnitude)),
    Feature("spectral_irregularity_jensen", "spectral", "1", "Squared differences of neighbours "
            "over the energy", "Jensen 1999", lambda b: bands.irregularity_jensen(b.magnitude)),
    Feature("spectral_irregularity_krimphoff", "spectral", "magnitude", "What stands out of the "
            "mean of three bins", "Krimphoff 1994; LibXtract",
            lambda b: bands.irregularity_krimphoff(b.magnitude), silent=True),
    Feature("high_frequency_content", "spectral", "Hz power", "Power weighted by frequency",
            "Masri 1996; Essentia HFC",
            lambda b: spectral.high_frequency_content(b.magnitude, b.settings.frequencies),
            silent=True),
    Feature("band_flatness", "spectral", "1", "Flatness in quarters of an octave from 250 Hz",
            "MPEG-7 AudioSpectrumFlatness",
            lambda b: bands.band_flatness(b.power, b.settings.frequencies,
                                          b.settings.flatness_edges),
            lambda s: range(1, len(s.flatness_edges) + 1)),
]  # fmt: skip

_CEPSTRAL = [
    Feature("mfcc", "cepstral", "dB", "Mel-frequency cepstral coefficients from c0 on, of 128 "
            "bands", "librosa mfcc (Slaney), top_db=None",
            lambda b: cepstral.cepstrum_of_bands(b.log_mel, N_MFCC), _numbered(N_MFCC, 0)),
    Feature("mfcc_delta", "cepstral", "dB/frame", "First difference, by regression over 9 frames",
            "HTK Book 5.9; librosa delta, mode nearest", None, _numbered(N_MFCC, 0),
            delta_of="mfcc", order=1),
    Feature("mfcc_delta2", "cepstral", "dB/frame^2", "Second difference, by regression over 9 "
            "frames", "librosa delta of order 2, mode nearest", None, _numbered(N_MFCC, 0),
            delta_of="mfcc", order=2),
    Feature("mfcc_htk", "cepstral", "ln", "Mel-frequency cepstral coefficients from c0 on, of 26 "
            "bands, liftered", "HTK Book 5.6",
            lambda b: cepstral.mfcc(b.power, b.settings.sample_rate, variant="htk"),
            _numbered(13, 0)),
    Feature("cepstrum", "cepstral", "ln^2", "Power cepstrum |F^-1 log |F x|^2|^2 at the first "
            "quefrencies, in samples", "Bogert 1963",
            lambda b: b.cepstrum[:, :N_CEPSTRUM], _numbered(N_CEPSTRUM, 0)),
    Feature("cepstral_peak_prominence", "cepstral", "dB", "How far the pitch stands out of the "
            "cepstrum", "Hillenbrand 1994; Praat CPP",
            lambda b: cepstral.cepstral_peak_prominence(
                b.cepstrum, b.settings.sample_rate,
                f0_min=b.settings.cpp_range[0], f0_max=b.settings.cpp_range[1])),
]  # fmt: skip

_HARMONIC = [
    Feature("f0", "harmonic", "Hz", "Fundamental frequency", "Mauch 2014 (pYIN)",
            lambda b: b.f0, pitched=True, voiced=True),
    Feature("voicing", "harmonic", "1", "Whether the frame has a pitch, 0 or 1",
            "Mauch 2014 (pYIN)", lambda b: (b.f0 > 0).astype(np.float32), pitched=True,
            silent=True),
    Feature("voiced_probability", "harmonic", "1", "How likely the frame has a pitch",
            "Mauch 2014 (pYIN)",
            lambda b: b.voiced_probability, pitched=True, silent=True),
    Feature("harmonic_to_noise_ratio", "harmonic", "dB", "Power that repeats after a period over "
            "the rest", "Boersma 1993",
            lambda b: harmonic.harmonic_to_noise_ratio(b.frames, b.settings.sample_rate, b.f0),
            pitched=True, voiced=True),
    Feature("inharmonicity", "harmonic", "1", "Distance of partials from multiples of f0",
            "Peeters 2011", lambda b: harmonic.inharmonicity(b.harmonics, b.f0),
            pitched=True, voiced=True),
    Feature("odd_to_even_ratio", "harmonic", "1", "Energy of odd over even partials",
            "Peeters 2011", lambda b: harmonic.odd_to_even_ratio(b.harmonics.amplitudes),
            pitched=True, voiced=True),
    Feature("tristimulus", "harmonic", "1", "Share of partial 1, of 2 to 4, of the rest",
            "Pollard 1982", lambda b: harmonic.tristimulus(b.harmonics.amplitudes),
            _numbered(3), pitched=True, voiced=True),
    Feature("harmonic_centroid", "harmonic", "Hz", "Mean frequency of partials by amplitude",
            "MPEG-7 HarmonicSpectralCentroid",
            lambda b: harmonic.harmonic_centroid(b.harmonics), pitched=True, voiced=True),
    Feature("harmonic_deviation", "harmonic", "1", "Distance of partials from a smooth envelope",
            "Krimphoff 1994", lambda b: harmonic.harmonic_deviation(b.harmonics.amplitudes),
            pitched=True, voiced=True),
    Feature("harmonic_energy_ratio", "harmonic", "1", "Part of the energy that is in partials",
            "Peeters 2011",
            lambda b: harmonic.harmonic_energy_ratio(b.magnitude, b.harmonics.amplitudes),
            pitched=True, voiced=True),
    Feature("chroma", "harmonic", "1", "Pitch classes, the strongest 1, for A4 = 440 Hz",
            "Ellis 2007; librosa chroma_stft, tuning=0", lambda b: b.chroma,
            lambda s: PITCH_CLASSES),
    Feature("tonnetz", "harmonic", "1", "Tonal centroids of chroma", "Harte 2006; librosa tonnetz",
            lambda b: tonal.tonnetz(b.chroma), lambda s: TONNETZ),
]  # fmt: skip

_LPC = [
    Feature("lpc_coefficient", "lpc", "1", "Predictor a_1 ... a_16, by autocorrelation",
            "Makhoul 1975", lambda b: b.predictor.coefficients[:, 1:], _numbered(LPC_ORDER)),
    Feature("lpc_burg", "lpc", "1", "Predictor a_1 ... a_16, by Burg's lattice",
            "Marple 1980; librosa lpc",
            lambda b: prediction.lpc(b.frames, LPC_ORDER, method="burg").coefficients[:, 1:],
            _numbered(LPC_ORDER)),
    Feature("reflection", "lpc", "1", "Reflection coefficients", "Makhoul 1975",
            lambda b: b.predictor.reflection, _numbered(LPC_ORDER)),
    Feature("lsf", "lpc", "Hz", "Line spectral frequencies", "Itakura 1975",
            _frequencies_of_lines, _numbered(LPC_ORDER)),
    Feature("lpcc", "lpc", "ln", "Cepstrum of the predictor's spectrum, from c0 on", "Atal 1974",
            lambda b: prediction.lpcc(b.predictor, N_LPCC), _numbered(N_LPCC, 0)),
    Feature("formant", "lpc", "Hz", "Resonances of the voice; 0 for those that are not there",
            "Snell 1993",
            lambda b: prediction.formants(b.voice.coefficients, b.settings.sample_rate,
                                          N_FORMANTS)[0], _numbered(N_FORMANTS)),
]  # fmt: skip

_PERCEPTUAL = [
    Feature("plp", "perceptual", "ln", "Cepstra of perceptual linear prediction, from c0 on",
            "Hermansky 1990",
            lambda b: perceptual.plp(b.power, b.settings.sample_rate, order=b.settings.plp_order),
            _numbered(13, 0)),
    Feature("rasta_plp", "perceptual", "ln", "The same after RASTA's band pass over time",
            "Hermansky 1994", _rasta, _numbered(13, 0)),
    Feature("loudness", "perceptual", "LUFS", "Integrated loudness of all channels of the file, "
            "at its own rate; -70 for silence, undefined below 0.4 s", "ITU-R BS.1770-4",
            meter=LoudnessMeter, silent=True),
]  # fmt: skip

_RHYTHM = [
    Feature("onset_strength", "rhythm", "dB", "Mean rise of the mel bands since the frame before",
            "Boeck 2013; librosa onset_strength_multi",
            lambda b: rhythm.onset_envelope(b.log_mel, b.before("log_mel", b.log_mel),
                                            dynamic_range=RISING),
            silent=True),
    Feature("tempo", "rhythm", "BPM", "Beats a minute, of the file, as audiocli beats tracks "
            "them; undefined without beats",
            "Boeck and Davies 2020", tracked="bpm"),
    Feature("pulse_rate", "rhythm", "BPM", "Rate of the pulse that the onset strength repeats "
            "with, of the file, which may be half or double the tempo; undefined with fewer than "
            "three onsets",
            "Ellis 2007", summary_of="onset_strength",
            summarise=_pulse_rate),
    Feature("onset_rate", "rhythm", "Hz", "Onsets a second, of the file", "Boeck 2012",
            summary_of="onset_strength",
            summarise=_onset_rate, silent=True),
    Feature("pulse_clarity", "rhythm", "1", "How clearly a pulse runs through the file; 0 with "
            "fewer than three onsets",
            "Lartillot 2008", summary_of="onset_strength",
            summarise=_pulse_clarity, silent=True),
]  # fmt: skip

_ALL = [*_ENERGY, *_SPECTRAL, *_CEPSTRAL, *_HARMONIC, *_LPC, *_PERCEPTUAL, *_RHYTHM]

#: All features by name, in the order of their columns.
FEATURES: dict[str, Feature] = {feature.name: feature for feature in _ALL}

_COMMON = ("rms", "zero_crossing_rate", "spectral_centroid", "spectral_bandwidth",
           "spectral_flatness", "spectral_rolloff", "spectral_flux", "spectral_contrast",
           "mfcc", "mfcc_delta", "mfcc_delta2", "chroma")  # fmt: skip
_LECTURE = ("rms", "zero_crossing_rate", "spectral_centroid", "spectral_bandwidth",
            "spectral_skewness", "spectral_kurtosis", "spectral_entropy", "spectral_flatness",
            "spectral_rolloff", "spectral_flux", "spectral_slope", "spectral_crest",
            "spectral_irregularity_jensen", "spectral_irregularity_krimphoff", "mfcc", "cepstrum",
            "f0", "voicing", "harmonic_to_noise_ratio", "inharmonicity", "odd_to_even_ratio",
            "tristimulus", "chroma", "lpc_coefficient", "lpcc", "plp", "rasta_plp", "loudness",
            "pulse_rate", "onset_rate")  # fmt: skip

#: Names that stand for several features.
SETS: dict[str, tuple[str, ...]] = {
    "common": _COMMON,
    "lecture": _LECTURE,
    **{
        family: tuple(feature.name for feature in _ALL if feature.family == family)
        for family in dict.fromkeys(feature.family for feature in _ALL)
    },
    "all": tuple(FEATURES),
}


def select(names: Sequence[str]) -> list[Feature]:
    """Find the features that names of features and sets stand for."""
    wanted: set[str] = set()
    for name in names:
        if name in SETS:
            wanted.update(SETS[name])
        elif name in FEATURES:
            wanted.add(name)
        elif (found := canonical(name)) in SETS:
            wanted.update(SETS[found])
        elif found is not None:
            wanted.add(found)
        elif (where := elsewhere(name)) is not None:
            raise UsageError(f"feature {name!r} {where}")
        else:
            raise UsageError(f"feature {name!r}: {suggest(name, [*SETS, *FEATURES])}")
    if not wanted:
        raise UsageError(f"no features: name some, or one of the sets {', '.join(SETS)}")
    return [feature for feature in _ALL if feature.name in wanted]
