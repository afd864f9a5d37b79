"""Checks of pitch, partials, chroma and rhythm."""

from __future__ import annotations

import librosa
import numpy as np
import scipy.signal
import scipy.stats

from audiocli.dsp import harmonic
from audiocli.dsp.frames import hann
from audiocli.dsp.harmonic import Harmonics, harmonics
from audiocli.tasks.features import Extractor, Settings
from oracles import HOP, LENGTH, RATE, Array, Sound, against, exact, extract, middle, rows, sounds

#: Amplitudes of the partials of the tones below.
PARTIALS = np.array([1.0, 0.6, 0.8, 0.3, 0.4, 0.2, 0.1, 0.15])
PITCHES = (110.0, 196.0, 261.626, 440.0, 700.0)


def tone(
    f0: float, amplitudes: Array = PARTIALS, stretch: float = 0.0, seconds: float = 2.0
) -> Array:
    """Make a steady tone; partial k is at k f0 sqrt(1 + stretch k^2)."""
    time = np.arange(round(seconds * RATE)) / RATE
    k = np.arange(1, len(amplitudes) + 1)
    hz = k * f0 * np.sqrt(1 + stretch * k**2)
    phase = np.random.default_rng(6).uniform(0, 2 * np.pi, len(k))
    return 0.1 * amplitudes @ np.sin(2 * np.pi * hz[:, None] * time + phase[:, None])


def of_tones(name: str, true: Array, **options: float) -> tuple[Array, Array]:
    """Make a feature of all pitches; the exact value is the same for each, or one for each."""
    ours = [middle(tone(f0, **options), name) for f0 in PITCHES]
    each = true if len(true) == len(PITCHES) else [true] * len(PITCHES)
    wanted = [np.broadcast_to(value, got.shape) for value, got in zip(each, ours, strict=True)]
    return np.concatenate(ours), np.concatenate(wanted)


def voiced(sound: Sound) -> Array:
    """Choose voiced frames."""
    return np.flatnonzero(sound.ours("f0") > 0)


def partials(sound: Sound) -> Harmonics:
    """Find the partials of the voiced frames."""
    chosen = voiced(sound)
    magnitude = sound.magnitude[chosen].astype(np.float32)
    return harmonics(magnitude, Settings().frequencies, sound.ours("f0")[chosen])


# pitch


def cents_of_tones(pitches: tuple[float, ...]) -> tuple[Array, Array]:
    """Say how far the pitches of sines and of tones are from what they are, in cents."""
    tones = [(f0, PARTIALS[: int(9000 / f0)]) for f0 in pitches]
    sines = [(f0, np.ones(1)) for f0 in pitches]
    found = [middle(tone(*each), "f0") / each[0] for each in (*tones, *sines)]
    cents = 1200 * np.log2(np.concatenate(found))
    return cents, np.zeros(len(cents))


@exact("f0", "sines and tones of eight partials, 70 to 1047 Hz", unit="cents")
def f0_of_tones() -> tuple[Array, Array]:
    """The exact value."""
    return cents_of_tones((70.0, 110.0, 261.626, 523.25, 1046.5))


@exact("f0", "the same at 1900 Hz", unit="cents")
def f0_of_high_tones() -> tuple[Array, Array]:
    """The exact value.

    A period is 11.6 samples, and the parabola through three of them is not quite its trough.
    """
    return cents_of_tones((1900.0,))


def heard_by_both(sound: Sound) -> tuple[Array, Array, Array]:
    """Run librosa's pYIN: our f0, its f0, and where both find one."""
    theirs, flags, _ = librosa.pyin(
        sound.signal, fmin=65, fmax=2093, sr=RATE, frame_length=LENGTH, hop_length=HOP
    )
    ours = sound.ours("f0")
    return ours, np.nan_to_num(theirs), flags & (ours > 0)


@exact("f0", "the demo's voice", unit="cents", needs="librosa")
def f0_of_librosa() -> tuple[Array, Array]:
    """Librosa `pyin`, where both find a pitch, octaves apart.

    librosa's pitches lie on a grid of 10 cents; the largest difference is of one frame within a
    glide, the median 2.5 cents. Both are taken within an octave.
    """
    ours, theirs, both = heard_by_both(sounds()["voice"])
    cents = 1200 * np.log2(ours[both] / theirs[both])
    return (cents + 600) % 1200 - 600, np.zeros(len(cents))


@exact("voicing", "notes between rests, half a frame at their edges left out", unit="of frames")
def voicing_of_notes() -> tuple[Array, Array]:
    """The exact value, as a share of frames."""
    rest = np.random.default_rng(7).normal(scale=1e-3, size=RATE)
    samples = np.concatenate([rest, tone(220.0), rest, tone(523.25), rest])
    ours = extract(samples, ["voicing"])["voicing"]
    time = np.arange(len(ours)) * HOP / RATE
    edges = np.array([1.0, 3.0, 4.0, 6.0])
    true = (np.searchsorted(edges, time) % 2).astype(float)
    clear = np.abs(time[:, None] - edges).min(axis=1) > LENGTH / 2 / RATE
    wrong = np.mean(ours[clear] != true[clear])
    return np.array([wrong]), np.zeros(1)


@exact("voicing", "the demo's voice", unit="of frames", needs="librosa")
def voicing_of_librosa() -> tuple[Array, Array]:
    """Librosa `pyin`, the share of frames where one finds a pitch and the other none.

    The two weigh an unvoiced frame differently: see `audiocli.dsp.pitch.pyin`.
    """
    ours, theirs, _ = heard_by_both(sounds()["voice"])
    return np.array([np.mean((ours > 0) != (theirs > 0))]), np.zeros(1)


def troughs(frame: Array) -> Array:
    """Find the depths of the troughs of YIN's normalised difference, by its definition."""
    first, last = int(RATE / 2093), int(np.ceil(RATE / 65))
    lags = np.arange(1, last + 2)
    d = np.array([np.mean((frame[lag:] - frame[:-lag]) ** 2) for lag in lags])
    normal = np.concatenate([[1.0], d * lags / np.cumsum(d)])
    depths = []
    for lag in range(first, last + 1):
        left, here, right = normal[lag - 1 : lag + 2]
        if here < left and here <= right:
            slope, bend = (right - left) / 2, left - 2 * here + right
            shift = -slope / bend if bend > abs(slope) else 0.0
            depths.append(np.clip(here + slope * shift / 2, 0, 1))
    return np.array(depths)


@exact("voiced_probability", "every tenth frame of the demo's voice", needs="scipy")
def voiced_probability() -> tuple[Array, Array]:
    """YIN by its definition, its threshold drawn from scipy `stats.beta`.

    Single precision against double where the difference function is near 0.
    """
    sound = sounds()["voice"]
    chosen = np.flatnonzero(np.abs(sound.frames).max(axis=1) > 1e-3)[::10]
    true = []
    for frame in sound.frames[chosen]:
        depths = troughs(frame)
        beyond = scipy.stats.beta.cdf(depths.min(), 2, 18)
        true.append(1 - beyond + 0.1 * (1 - depths.min()) ** 2 * beyond)
    return sound.ours("voiced_probability")[chosen], np.array(true)


@exact("harmonic_to_noise_ratio", "tones in white noise, 10 to 30 dB, mean over frames")
def ratio_of_mixtures() -> tuple[Array, Array]:
    """The exact value.

    A frame of 93 ms is a small sample of noise.
    """
    rng = np.random.default_rng(8)
    levels = np.array([10.0, 20.0, 30.0])
    ours = []
    for level in levels:
        clean = tone(220.0)
        noise = rng.standard_normal(len(clean)) * np.sqrt(np.mean(clean**2) / 10 ** (level / 10))
        found = extract(clean + noise, ["f0", "harmonic_to_noise_ratio"])
        ours.append(found["harmonic_to_noise_ratio"][found["f0"] > 0][3:-3].mean())
    return np.array(ours), levels


@exact("harmonic_to_noise_ratio", "a tone of 150 Hz in noise, mean", needs="parselmouth")
def ratio_of_praat() -> tuple[Array, Array]:
    """Praat `To Harmonicity (ac)`, windows of 93 ms.

    Praat looks for the best period anew; ours stays within half a semitone of f0.
    """
    import parselmouth

    samples = tone(150.0)
    samples += np.random.default_rng(9).normal(scale=np.std(samples) / 5.5, size=len(samples))
    praat = parselmouth.Sound(samples, RATE).to_harmonicity_ac(
        HOP / RATE, 4.5 * RATE / LENGTH, 0.01, 4.5
    )
    theirs = praat.values[0][praat.values[0] > -100]
    ours = middle(samples, "harmonic_to_noise_ratio")
    return np.array([ours.mean()]), np.array([theirs.mean()])


# partials


@exact("inharmonicity", "stretched tones: partial k at k f0 sqrt(1 + 0.0002 k^2)")
def inharmonicity_of_strings() -> tuple[Array, Array]:
    """The formula, at the partials that were made and the f0 that was found."""
    ours, true = [], []
    k, energy = np.arange(1, len(PARTIALS) + 1), PARTIALS**2
    for given in PITCHES:
        found = extract(tone(given, stretch=2e-4), ["f0", "inharmonicity"])
        f0 = found["f0"][4:-4, None]
        made = k * given * np.sqrt(1 + 2e-4 * k**2)
        ours.append(found["inharmonicity"][4:-4])
        away = (np.abs(made - k * f0) * energy).sum(axis=1)
        true.append(2 * away / (f0[:, 0] * energy.sum()))
    return np.concatenate(ours), np.concatenate(true)


@exact("inharmonicity", "partials found in the demo's voice", needs="essentia")
def inharmonicity_of_essentia() -> tuple[Array, Array]:
    """Essentia `Inharmonicity`, doubled.

    Peeters' definition has the factor 2, essentia has not.
    """
    import essentia.standard

    sound = sounds()["voice"]
    f0, found = sound.ours("f0")[voiced(sound)], partials(sound)
    found.frequencies[:, 0] = f0  # essentia knows no f0 but the first partial
    algorithm = essentia.standard.Inharmonicity()
    pairs = zip(found.frequencies, found.amplitudes, strict=True)
    return harmonic.inharmonicity(found, f0), 2 * rows(lambda pair: algorithm(*pair), pairs)


def square(f0: float) -> Array:
    """Make a square wave without aliases."""
    odd = np.arange(1, int(RATE / 2 / f0) + 1)
    return tone(f0, np.where(odd % 2, 1 / odd, 0.0))


@exact("odd_to_even_ratio", "tones of known partials")
def odd_to_even_ratio() -> tuple[Array, Array]:
    """The exact value."""
    energy = PARTIALS**2
    return of_tones("odd_to_even_ratio", np.array([energy[::2].sum() / energy[1::2].sum()]))


@exact("odd_to_even_ratio", "square waves")
def odd_to_even_ratio_of_squares() -> tuple[Array, Array]:
    """The exact value: no even partial, hence the limit of 1000."""
    ours = np.concatenate([middle(square(f0), "odd_to_even_ratio") for f0 in (196.0, 440.0)])
    return ours, np.full(len(ours), 1000.0)


@against("odd_to_even_ratio", "essentia", on=["voice"], chosen=voiced)
def odd_to_even_ratio_of_essentia(sound: Sound) -> Array:
    """Essentia `OddToEvenHarmonicEnergyRatio` of the partials found, one over it."""
    import essentia.standard

    algorithm = essentia.standard.OddToEvenHarmonicEnergyRatio()
    found = partials(sound)
    pairs = zip(found.frequencies, found.amplitudes, strict=True)
    return np.array([min(1 / max(algorithm(*pair), 1e-9), 1000.0) for pair in pairs])


@exact("tristimulus", "tones of known partials")
def tristimulus() -> tuple[Array, Array]:
    """The exact value."""
    share = np.array([PARTIALS[0], PARTIALS[1:4].sum(), PARTIALS[4:].sum()])
    return of_tones("tristimulus", share / share.sum())


@against("tristimulus", "essentia", on=["voice"], chosen=voiced)
def tristimulus_of_essentia(sound: Sound) -> Array:
    """Essentia `Tristimulus` of the partials found."""
    import essentia.standard

    found = partials(sound)
    algorithm = essentia.standard.Tristimulus()
    pairs = zip(found.frequencies, found.amplitudes, strict=True)
    return rows(lambda pair: algorithm(*pair), pairs)


@exact("harmonic_centroid", "tones of known partials")
def harmonic_centroid() -> tuple[Array, Array]:
    """The exact value."""
    mean = PARTIALS @ np.arange(1, len(PARTIALS) + 1) / PARTIALS.sum()
    return of_tones("harmonic_centroid", mean * np.array(PITCHES))


@exact("harmonic_deviation", "tones of known partials")
def harmonic_deviation() -> tuple[Array, Array]:
    """The exact value."""
    all_there = np.pad(PARTIALS, 1)  # a ninth partial of 0 is there as well
    envelope = np.convolve(all_there, np.ones(3) / 3, "same")
    envelope[1] = PARTIALS[:2].mean()
    deviation = np.abs(all_there - envelope)[1:].sum() / PARTIALS.sum()
    return of_tones("harmonic_deviation", np.array([deviation]))


@exact("harmonic_energy_ratio", "tones in white noise, 10 to 30 dB, mean over frames")
def harmonic_energy_ratio() -> tuple[Array, Array]:
    """The exact value: r / (1 + r) for a power ratio r.

    The noise in the bins of the partials counts with them.
    """
    rng = np.random.default_rng(10)
    levels = np.array([10.0, 20.0, 30.0])
    ours = []
    for level in levels:
        clean = tone(440.0)
        noise = rng.standard_normal(len(clean)) * np.sqrt(np.mean(clean**2) / 10 ** (level / 10))
        ours.append(middle(clean + noise, "harmonic_energy_ratio").mean())
    ratio = 10 ** (levels / 10)
    return np.array(ours), ratio / (1 + ratio)


@against("chroma", "librosa")
def chroma(sound: Sound) -> Array:
    """Librosa `feature.chroma_stft` with tuning=0."""
    return librosa.feature.chroma_stft(S=sound.power.T, sr=RATE, tuning=0).T


@against("tonnetz", "librosa")
def tonnetz(sound: Sound) -> Array:
    """Librosa `feature.tonnetz` of its `chroma_stft`."""
    return librosa.feature.tonnetz(chroma=chroma(sound).T, sr=RATE).T


# rhythm


def clicks(bpm: float, seconds: float = 30.0) -> Array:
    """Make short bursts at a tempo; the first after a tenth of a second."""
    time = np.arange(round(seconds * RATE)) / RATE - 0.1
    noise = np.random.default_rng(11).standard_normal(len(time))
    burst = np.where(time >= 0, np.exp(-(time % (60 / bpm)) / 0.01), 0)
    return 0.3 * noise * burst + 1e-3 * noise


def whole(samples: Array, name: str) -> float:
    """Make one feature of a whole sound."""
    return Extractor([name]).summary([samples.astype(np.float32)[None]], RATE)[name]


@against("onset_strength", "librosa")
def onset_strength(sound: Sound) -> Array:
    """Librosa `onset.onset_strength` of its mel spectrogram in dB, center=False."""
    mel = librosa.feature.melspectrogram(S=sound.power.T, sr=RATE)
    decibels = librosa.power_to_db(mel, top_db=None)
    return librosa.onset.onset_strength(S=decibels, sr=RATE, center=False)


@exact("pulse_rate", "clicks at 60 to 160 BPM")
def pulse_rate() -> tuple[Array, Array]:
    """The exact value.

    Onsets are known to within a frame of 23 ms; over some seconds that averages out.
    """
    true = np.array([60.0, 72.5, 90.0, 100.0, 119.0, 140.0, 160.0])
    return np.array([whole(clicks(bpm), "pulse_rate") for bpm in true]), true


@exact("pulse_rate", "the demo song")
def pulse_rate_of_the_demo() -> tuple[Array, Array]:
    """The exact value: 100 BPM."""
    return np.array([sounds()["song"].whole["pulse_rate"]]), np.array([100.0])


@exact("tempo", "the demo song")
def tempo_of_the_beats() -> tuple[Array, Array]:
    """The exact value: 100 BPM."""
    return np.array([sounds()["song"].whole["tempo"]]), np.array([100.0])


@exact("pulse_rate", "clicks at 60 to 160 BPM", needs="librosa")
def pulse_rate_of_librosa() -> tuple[Array, Array]:
    """Librosa `feature.tempo`.

    librosa's period is a whole number of frames, 5 BPM apart at 120 and 9 at 160.
    """
    ours, theirs = [], []
    for bpm in (60.0, 72.5, 90.0, 100.0, 119.0, 140.0, 160.0):
        samples = clicks(bpm)
        ours.append(whole(samples, "pulse_rate"))
        theirs.append(librosa.feature.tempo(y=samples, sr=RATE)[0])
    return np.array(ours), np.array(theirs)


@exact("onset_rate", "clicks at 60 to 240 a minute")
def onset_rate() -> tuple[Array, Array]:
    """The exact value.

    The length is counted in whole frames.
    """
    rates = np.array([60.0, 120.0, 240.0])
    return np.array([whole(clicks(rate), "onset_rate") for rate in rates]), rates / 60


@exact("pulse_clarity", "clicks at random and at 60 to 160 BPM")
def pulse_clarity() -> tuple[Array, Array]:
    """Scipy `signal.correlate` of the envelope, window by window."""
    rng = np.random.default_rng(12)
    random = np.zeros(30 * RATE)
    for start in rng.integers(0, len(random) - 900, 60):
        random[start : start + 900] += 0.3 * rng.standard_normal(900)
    signals = [random + 1e-3 * rng.standard_normal(len(random)), *map(clicks, (60, 100, 160))]
    ours, true = [], []
    for samples in signals:
        ours.append(whole(samples, "pulse_clarity"))
        envelope = extract(samples, ["onset_strength"])["onset_strength"].astype(float)
        true.append(clarity(envelope))
    return np.array(ours), np.array(true)


def clarity(envelope: Array) -> float:
    """Find the highest peak of the mean autocorrelation between 30 and 320 BPM, step by step."""
    size = round(8 * RATE / HOP)
    window = hann(size)
    bias = scipy.signal.correlate(window, window, method="direct")[size - 1 :]
    padded = np.pad(envelope, 1, mode="edge")
    smooth = padded[:-2] / 4 + padded[1:-1] / 2 + padded[2:] / 4
    found = []
    for start in range(0, len(smooth) - size + 1, size // 16):
        part = smooth[start : start + size]
        part = (part - np.average(part, weights=window)) * window
        r = scipy.signal.correlate(part, part, method="direct")[size - 1 :]
        found.append(r / r[0])
    repeats = (np.mean(found, axis=0) / (bias / bias[0]))[: size * 3 // 4]
    peaks, _ = scipy.signal.find_peaks(repeats)
    frames_a_minute = 60 * RATE / HOP
    allowed = (peaks - 0.5 <= frames_a_minute / 30) & (peaks + 0.5 >= frames_a_minute / 320)
    return min(float(repeats[peaks[allowed]].max()), 1.0)
