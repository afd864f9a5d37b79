"""The names that features have elsewhere: in librosa, Essentia, openSMILE, Praat and papers."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["ALIASES", "ELSEWHERE", "canonical", "elsewhere"]

_NAMES: dict[str, tuple[str, ...]] = {
    "rms": ("rmse", "rms_energy", "root_mean_square", "rms_level", "pcm_rmsenergy"),
    "zero_crossing_rate": ("zcr", "zero_crossings", "zerocrossingrate", "pcm_zcr"),
    "log_energy": ("logenergy", "pcm_logenergy"),
    "crest_factor": ("crest", "peak_to_average", "papr"),
    "peak_level": ("peak", "peak_dbfs"),
    "spectral_centroid": ("centroid", "brightness", "spectralcentroid", "sc"),
    "spectral_bandwidth": ("spread", "bandwidth", "spectral_spread", "spectralspread",
                           "spectral_variance"),
    "spectral_skewness": ("skewness", "spectral_skew", "spectralskewness"),
    "spectral_kurtosis": ("kurtosis", "spectralkurtosis"),
    "spectral_entropy": ("entropy", "spectralentropy"),
    "spectral_flatness": ("flatness", "wiener_entropy", "tonality_coefficient", "flatness_db",
                          "spectralflatness"),
    "spectral_rolloff": ("rolloff", "roll_off", "spectral_roll_off", "spectralrolloff"),
    "spectral_flux": ("flux", "spectralflux"),
    "spectral_contrast": ("contrast", "octave_contrast", "spectralcontrast"),
    "spectral_slope": ("slope", "spectralslope", "spectral_tilt"),
    "spectral_decrease": ("decrease", "spectraldecrease"),
    "spectral_crest": ("spectralcrest",),
    "spectral_irregularity_jensen": ("irregularity", "spectral_irregularity"),
    "high_frequency_content": ("hfc",),
    "band_flatness": ("audiospectrumflatness", "flatness_bands"),
    "mfcc": ("mfccs", "mel_cepstrum"),
    "mfcc_delta": ("delta_mfcc", "mfcc_d", "delta"),
    "mfcc_delta2": ("mfcc_delta_delta", "delta_delta_mfcc", "mfcc_dd", "delta2", "delta_delta"),
    "mfcc_htk": ("htk_mfcc",),
    "cepstral_peak_prominence": ("cpp", "cpps"),
    "f0": ("pitch", "pyin", "fundamental_frequency", "f0final"),
    "voicing": ("voiced", "voiced_flag", "voicedness"),
    "voiced_probability": ("voicing_probability", "voiced_probs", "voicingfinalunclipped"),
    "harmonic_to_noise_ratio": ("hnr", "harmonicity", "harmonics_to_noise_ratio", "loghnr"),
    "odd_to_even_ratio": ("odd_even_ratio", "oddtoevenharmonicenergyratio", "oer"),
    "harmonic_centroid": ("harmonicspectralcentroid",),
    "harmonic_deviation": ("harmonicspectraldeviation",),
    "chroma": ("chroma_stft", "chromagram", "chroma_vector", "pcp", "hpcp"),
    "tonnetz": ("tonal_centroid", "tonal_centroids"),
    "lpc_coefficient": ("lpc_coefficients", "lpc_autocorrelation"),
    "lpc_burg": ("burg",),
    "reflection": ("reflection_coefficients", "parcor", "rc"),
    "lsf": ("lsp", "line_spectral_frequencies", "line_spectral_pairs", "lspfreq"),
    "lpcc": ("lpc_cepstrum", "lpc_cepstra"),
    "formant": ("formants", "f1", "f2", "f3", "f4"),
    "rasta_plp": ("rasta", "rastaplp"),
    "loudness": ("lufs", "lkfs", "integrated_loudness", "ebur128", "loudness_ebur128"),
    "onset_strength": ("novelty", "onset_envelope", "odf"),
    "tempo": ("bpm", "beats_per_minute"),
    "onset_rate": ("onset_density", "event_density"),
    "pulse_clarity": ("beat_strength",),
    "lpc": ("linear_prediction",),
    "rhythm": ("rhythmic",),
    "harmonic": ("tonal", "pitched"),
    "cepstral": ("cepstra",),
    "common": ("default", "basic", "librosa"),
}  # fmt: skip


def _key(name: str) -> str:
    return re.sub(r"[-_ ./]+", "", name.lower())


#: Each other name, without its separators, and the name here of the feature or set.
ALIASES: Mapping[str, str] = {
    _key(other): name for name, others in _NAMES.items() for other in (name, *others)
}

_NOT_HERE = "is not here; --set {0} is the nearest"
#: Names that are no feature here, and what to use instead.
ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        ("egemaps", "gemaps", "compare2016", "emobase", "opensmile"),
        "is a set of openSMILE (`pip install opensmile`); of its descriptors, here are those of "
        "--set rms,mfcc_htk,f0,harmonic_to_noise_ratio,formant,spectral_slope,spectral_flux",
    ),
    **dict.fromkeys(
        ("jitter", "shimmer", "jitterlocal", "shimmerlocal"),
        "is not here (Praat and openSMILE have it); the nearest are "
        "--set harmonic_to_noise_ratio,cepstral_peak_prominence",
    ),
    **dict.fromkeys(
        ("beats", "beat", "beattimes", "downbeats"),
        "is no feature; `audiocli chords SONG --beats --format json` finds beats",
    ),
    **dict.fromkeys(("onsets", "onset", "onsettimes"), "is no feature; use `audiocli onsets SONG`"),
    **dict.fromkeys(("key", "keyscale"), "is no feature; use `audiocli chords SONG --key`"),
    **dict.fromkeys(("chords", "chord"), "is no feature; use `audiocli chords SONG`"),
    **dict.fromkeys(
        ("melspectrogram", "mel", "logmel", "fbank", "spectrogram", "stft", "cqt"),
        "is no feature here; the nearest are --set mfcc,spectral_contrast --frames, and "
        "`audiocli.dsp` in Python has spectra and filterbanks",
    ),
    **dict.fromkeys(("chromacqt", "chromacens", "cens"), _NOT_HERE.format("chroma")),
    **dict.fromkeys(("polyfeatures", "poly"), _NOT_HERE.format("spectral_slope")),
    **dict.fromkeys(
        ("embedding", "embeddings", "vggish", "openl3", "yamnet", "panns"),
        "is made by a network; use `audiocli features SONG --model NAME` "
        "(`audiocli models list` has the names)",
    ),
    **dict.fromkeys(
        ("danceability", "energylevel", "valence", "mood", "genre"),
        "is no feature; use `audiocli classify SONG --task mood`, `--task genre` or "
        "`audiocli tag SONG`",
    ),
    **dict.fromkeys(
        ("truepeak", "lra", "loudnessrange", "dynamicrange"),
        _NOT_HERE.format("loudness,peak_level"),
    ),
    **dict.fromkeys(
        ("duration", "length", "samplerate"),
        "is no feature; --manifest writes the duration of each file",
    ),
}


def canonical(name: str) -> str | None:
    """Find the name that a feature has here by one that it has elsewhere; None if there is none."""
    return ALIASES.get(_key(name))


def elsewhere(name: str) -> str | None:
    """Say what to use for a name that is no feature here, as the rest of a sentence."""
    return ELSEWHERE.get(_key(name))
