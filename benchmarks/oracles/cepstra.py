"""Checks of cepstra, of linear prediction and of perceptual linear prediction."""

from __future__ import annotations

import librosa
import numpy as np
import scipy.fft
import scipy.linalg
import scipy.signal

from oracles import FREQUENCIES, HANN, LENGTH, RATE, Array, Sound, against, exact, middle, of_song
from oracles.waveform import heard

MFCC, BANDS = 20, 26
ORDER = 16


def every_tenth(sound: Sound) -> Array:
    """Choose some of the frames that are not silent, for oracles that take long."""
    return heard(sound)[::10]


# cepstra


def librosa_mfcc(sound: Sound) -> Array:
    """Make MFCC as librosa does, but without a limit of 80 dB, (20, frames)."""
    mel = librosa.feature.melspectrogram(S=sound.power.T, sr=RATE)
    return librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=None), n_mfcc=MFCC)


@against("mfcc", "librosa")
def mfcc(sound: Sound) -> Array:
    """Librosa `feature.mfcc` with top_db=None."""
    return librosa_mfcc(sound).T


@against("mfcc_delta", "librosa")
def mfcc_delta(sound: Sound) -> Array:
    """Librosa `feature.delta`, mode nearest."""
    return librosa.feature.delta(librosa_mfcc(sound), mode="nearest").T


@against("mfcc_delta2", "librosa")
def mfcc_delta2(sound: Sound) -> Array:
    """Librosa `feature.delta` of order 2, mode nearest."""
    return librosa.feature.delta(librosa_mfcc(sound), order=2, mode="nearest").T


@against("mfcc_htk", "kaldi_native_fbank", chosen=heard)
def mfcc_htk(sound: Sound) -> Array:
    """Kaldi's MFCC with htk_compat, in kaldi-native-fbank.

    Kaldi works in single precision throughout.
    """
    import kaldi_native_fbank

    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.samp_freq = RATE
    options.frame_opts.frame_length_ms = options.frame_opts.frame_shift_ms = 1000 * LENGTH / RATE
    options.frame_opts.window_type = "rectangular"
    options.frame_opts.dither = options.frame_opts.preemph_coeff = 0
    options.frame_opts.remove_dc_offset = False
    options.mel_opts.num_bins, options.mel_opts.low_freq = BANDS, 0
    options.use_energy, options.htk_compat = False, True
    found = []
    for windowed in sound.frames[heard(sound)] * HANN:
        kaldi = kaldi_native_fbank.OnlineMfcc(options)
        kaldi.accept_waveform(RATE, windowed.astype(np.float32).tolist())
        kaldi.input_finished()
        found.append(np.roll(kaldi.get_frame(0), 1))  # c0 comes last there
    return np.array(found)


@against("mfcc_htk", "scipy")
def mfcc_htk_by_the_book(sound: Sound) -> Array:
    """The HTK Book's formulas, band by band, and scipy `fft.dct`."""
    mel = 2595 * np.log10(1 + FREQUENCIES / 700)
    edges = np.linspace(0, mel[-1], BANDS + 2)
    bands = np.stack([np.interp(mel, edges[m : m + 3], [0, 1, 0]) for m in range(BANDS)], axis=1)
    logs = np.log(np.maximum(sound.power @ bands, 1e-10))
    cepstra = scipy.fft.dct(logs, axis=1)[:, :13] * np.sqrt(2 / BANDS) / 2
    return cepstra * (1 + 11 * np.sin(np.pi * np.arange(13) / 22))


@against("cepstrum", "scipy")
def cepstrum(sound: Sound) -> Array:
    """Scipy `fft.ifft` of the whole log spectrum, squared."""
    logs = np.log(np.maximum(sound.power, 1e-10))
    both = np.concatenate([logs, logs[:, -2:0:-1]], axis=1)
    return np.abs(scipy.fft.ifft(both, axis=1)[:, :20]) ** 2


def praats_prominence(frames: Array) -> Array:
    """Measure the prominence of the cepstral peak by Praat, with a straight line."""
    from parselmouth import Sound as PraatSound
    from parselmouth.praat import call

    found = []
    for windowed in frames * HANN:
        spectrum = PraatSound(windowed, RATE).to_spectrum(fast=True)
        line = (0.001, LENGTH / 2 / RATE, "Straight", "Least squares")
        praat = call(spectrum, "To PowerCepstrum")
        found.append(call(praat, "Get peak prominence", 60, 1000 / 3, "none", *line))
    return np.array(found)


@against("cepstral_peak_prominence", "parselmouth", on=["noise"], chosen=every_tenth)
def cepstral_peak_prominence(sound: Sound) -> Array:
    """Praat `Get peak prominence` of its power cepstrum."""
    return praats_prominence(sound.frames[every_tenth(sound)])


@exact("cepstral_peak_prominence", "breathy pulse trains, 70 to 320 Hz", needs="parselmouth")
def cepstral_peak_prominence_of_voices() -> tuple[Array, Array]:
    """Praat `Get peak prominence`, likewise."""
    rng = np.random.default_rng(5)
    ours, theirs = [], []
    for f0 in (70, 110, 180, 320):
        pulses = np.diff(np.floor(np.arange(2 * RATE + 1) * f0 / RATE))
        voice = scipy.signal.lfilter(
            [0.3], [1.0, -0.9], pulses + 0.02 * rng.standard_normal(2 * RATE)
        )
        sound = Sound("", voice)
        ours.append(sound.ours("cepstral_peak_prominence")[5:-5:5])
        theirs.append(praats_prominence(sound.frames[5:-5:5]))
    return np.concatenate(ours), np.concatenate(theirs)


# linear prediction


def predictor(windowed: Array, order: int) -> tuple[Array, float]:
    """Solve the normal equations by scipy: coefficients from 1 on, and the error's power."""
    r = scipy.signal.correlate(windowed, windowed, method="direct")
    r = r[len(windowed) - 1 :][: order + 1] / len(windowed)
    a = np.append(1.0, scipy.linalg.solve_toeplitz(r[:-1], -r[1:]))
    return a, float(a @ r)


@against("lpc_coefficient", "scipy", on=["voice", "noise"], chosen=every_tenth)
def lpc_coefficient(sound: Sound) -> Array:
    """Scipy `linalg.solve_toeplitz` of the normal equations."""
    frames = sound.frames[every_tenth(sound)] * HANN
    return np.array([predictor(row, ORDER)[0][1:] for row in frames])


@against("lpc_coefficient", "spectrum", on=["voice", "noise"], chosen=every_tenth)
def lpc_coefficient_of_spectrum(sound: Sound) -> Array:
    """Spectrum `aryule`."""
    import spectrum

    frames = sound.frames[every_tenth(sound)] * HANN
    return np.array([spectrum.aryule(row, ORDER)[0] for row in frames]).real


@exact("lpc_coefficient", "20 s of noise through 1 / (1 - 1.2 z^-1 + 0.8 z^-2)")
def lpc_coefficient_of_a_process() -> tuple[Array, Array]:
    """The exact value, of the mean over frames.

    20 s of a random process scatter by 0.002, and a window biases towards less resonance.
    """
    rng = np.random.default_rng(1)
    samples = scipy.signal.lfilter([0.01], [1, -1.2, 0.8], rng.standard_normal(20 * RATE))
    ours = middle(samples, "lpc_coefficient").mean(axis=0)
    return ours, np.array([-1.2, 0.8, *[0.0] * 14])


@against("lpc_burg", "librosa", on=["voice", "noise"], chosen=heard)
def lpc_burg(sound: Sound) -> Array:
    """Librosa `lpc`."""
    return librosa.lpc(sound.frames[heard(sound)], order=ORDER)[:, 1:]


@against("lpc_burg", "spectrum", on=["noise"], chosen=every_tenth)
def lpc_burg_of_spectrum(sound: Sound) -> Array:
    """Spectrum `arburg`."""
    import spectrum

    frames = sound.frames[every_tenth(sound)]
    return np.array([spectrum.arburg(row, ORDER)[0] for row in frames]).real


@against("reflection", "spectrum", on=["voice", "noise"], chosen=every_tenth)
def reflection(sound: Sound) -> Array:
    """Spectrum `aryule`."""
    import spectrum

    frames = sound.frames[every_tenth(sound)] * HANN
    return np.array([spectrum.aryule(row, ORDER)[2] for row in frames]).real


@against("reflection", "scipy", on=["voice", "noise"], chosen=every_tenth)
def reflection_by_orders(sound: Sound) -> Array:
    """Scipy `linalg.solve_toeplitz`, the last coefficient of each order."""
    frames = sound.frames[every_tenth(sound)] * HANN
    orders = range(1, ORDER + 1)
    return np.array([[predictor(row, order)[0][-1] for order in orders] for row in frames])


@against("lsf", "spectrum", on=["voice", "noise"], chosen=every_tenth)
def lsf(sound: Sound) -> Array:
    """Spectrum `poly2lsf`."""
    import spectrum

    frames = sound.frames[every_tenth(sound)] * HANN
    lines = [spectrum.poly2lsf(predictor(row, ORDER)[0]) for row in frames]
    return np.array(lines) * RATE / (2 * np.pi)


@exact("lsf", "20 s of white noise")
def lsf_of_noise() -> tuple[Array, Array]:
    """The exact value m / 17 of half the rate, of the mean over frames.

    Over 20 s the lines still scatter by some Hz.
    """
    samples = np.random.default_rng(2).normal(scale=0.1, size=20 * RATE)
    true = np.arange(1, ORDER + 1) / (ORDER + 1) * RATE / 2
    return middle(samples, "lsf").mean(axis=0), true


@against("lpcc", "pysptk", on=["voice", "noise"], chosen=every_tenth)
def lpcc(sound: Sound) -> Array:
    """SPTK `lpc2c`, its c0 doubled.

    SPTK's c0 is the logarithm of the gain, half of that of the power.
    """
    import pysptk

    found = []
    for row in sound.frames[every_tenth(sound)] * HANN:
        a, error = predictor(row, ORDER)
        model = np.append(np.sqrt(max(error, 1e-10)), a[1:])
        cepstra = pysptk.lpc2c(model, 12)
        found.append(np.append(2 * cepstra[0], cepstra[1:]))
    return np.array(found)


@against("lpcc", "scipy", on=["voice", "noise"], chosen=every_tenth)
def lpcc_by_transform(sound: Sound) -> Array:
    """Scipy `fft.irfft` of the model's log spectrum, of 2^18 points."""
    found = []
    for row in sound.frames[every_tenth(sound)] * HANN:
        a, error = predictor(row, ORDER)
        response = np.abs(scipy.fft.rfft(a, 2**18)) ** 2
        found.append(scipy.fft.irfft(np.log(max(error, 1e-10) / response))[:13])
    return np.array(found)


@against("formant", "scipy", on=["voice", "noise"], chosen=every_tenth)
def formant(sound: Sound) -> Array:
    """Numpy `roots` of scipy's predictor."""
    found = []
    for row in sound.frames[every_tenth(sound)]:
        raised = np.append(row[0], row[1:] - 0.97 * row[:-1]) * HANN
        poles = np.roots(predictor(raised, 24)[0])
        hz = np.angle(poles) * RATE / (2 * np.pi)
        width = -np.log(np.abs(poles)) * RATE / np.pi
        inside = np.sort(hz[(hz > 90) & (hz < RATE / 2 - 90) & (width < 400)])[:4]
        found.append(np.pad(inside, (0, 4 - len(inside))))
    return np.array(found)


def vowel() -> tuple[Array, Array]:
    """Make 4 s of a whispered vowel, and its formants: (samples,) and (3,), in Hz."""
    true, widths = np.array([700.0, 1220.0, 2600.0]), np.array([60.0, 80.0, 120.0])
    poles = np.exp(-np.pi * widths / RATE + 2j * np.pi * true / RATE)
    a = np.poly(np.concatenate([poles, poles.conj()])).real
    noise = np.random.default_rng(3).standard_normal(4 * RATE)
    tilted = scipy.signal.lfilter([1.0], [1.0, -0.97], noise)
    return 0.002 * scipy.signal.lfilter([1.0], a, tilted), true


@exact("formant", "noise through poles at 700, 1220 and 2600 Hz, 60 to 120 Hz wide")
def formant_of_a_vowel() -> tuple[Array, Array]:
    """The exact value, of the median over frames.

    4 s of a random process: the estimate scatters.
    """
    samples, true = vowel()
    return np.median(middle(samples, "formant")[:, :3], axis=0), true


@exact("formant", "a vowel of noise at 10 kHz", needs="parselmouth")
def formant_of_praat() -> tuple[Array, Array]:
    """Praat `To Formant (burg)`: our poles of our Burg predictor in Praat's windows.

    The feature itself is of autocorrelation at 22 kHz, which Praat does not have.
    """
    import parselmouth

    from audiocli.dsp.linear_prediction import burg, formants

    rate, width = 10_000, 500  # Praat's window is twice as long as what it is asked for
    samples = scipy.signal.resample_poly(vowel()[0], 200, 441)
    praat = parselmouth.Sound(samples, rate).to_formant_burg(
        0.01, max_number_of_formants=5, maximum_formant=rate / 2, window_length=width / 2 / rate
    )
    flat = np.append(0.0, samples[1:] - np.exp(-2 * np.pi * 50 / rate) * samples[:-1])
    place = (np.arange(1, width + 1) - 0.5 * (width + 1)) / (width + 1)
    edge = np.exp(-12.0)
    gauss = (np.exp(-48 * place**2) - edge) / (1 - edge)
    ours, theirs = [], []
    for time in praat.ts()[5:300:7]:
        start = round(time * rate) - width // 2
        a = burg((flat[start : start + width] * gauss)[None], 10).coefficients
        ours.append(formants(a, rate, 3, fmin=50, max_bandwidth=np.inf)[0][0])
        theirs.append([praat.get_value_at_time(number, time) for number in (1, 2, 3)])
    return np.array(ours), np.array(theirs)


# perceptual


def bands_of_bark(power: Array) -> Array:
    """Gather critical bands as Hermansky's equations 3 to 5 say, one by one."""
    bark = 6 * np.arcsinh(FREQUENCIES / 600)
    count = int(np.ceil(bark[-1])) + 1
    found = []
    for centre in np.linspace(0, bark[-1], count):
        masked = centre - bark  # of a tone at that bin, from the bin to the band
        curve = np.zeros(len(bark))
        for place, z in enumerate(masked):
            if -1.3 <= z <= -0.5:
                curve[place] = 10 ** (2.5 * (z + 0.5))
            elif -0.5 < z < 0.5:
                curve[place] = 1
            elif 0.5 <= z <= 2.5:
                curve[place] = 10 ** (-1.0 * (z - 0.5))
        found.append(power @ curve)
    return np.stack(found, axis=1)


def cepstra_of_loudness(bands: Array) -> Array:
    """Weigh, compress and model the bands, and transform the model's log spectrum."""
    count = bands.shape[1]
    top = 6 * np.arcsinh(RATE / 2 / 600)
    w2 = (2 * np.pi * 600 * np.sinh(np.linspace(0, top, count) / 6)) ** 2
    curve = (w2 + 56.8e6) * w2**2 / ((w2 + 6.3e6) ** 2 * (w2 + 0.38e9))
    loudness = (bands * curve) ** 0.33
    loudness[:, 0], loudness[:, -1] = loudness[:, 1], loudness[:, -2]
    found = []
    for row in loudness:
        r = scipy.fft.irfft(row)[:13]
        a = np.append(1.0, scipy.linalg.solve_toeplitz(r[:-1], -r[1:]))
        model = max(a @ r, 1e-10) / np.abs(scipy.fft.rfft(a, 2**14)) ** 2
        found.append(scipy.fft.irfft(np.log(model))[:13])
    return np.array(found)


@against("plp", "scipy", on=["voice", "noise"], chosen=heard)
def plp(sound: Sound) -> Array:
    """Hermansky's equations written out, with scipy `linalg.solve_toeplitz` and `fft.irfft`."""
    return cepstra_of_loudness(bands_of_bark(sound.power[heard(sound)]))


@against("rasta_plp", "scipy", on=["voice", "noise"])
def rasta_plp(sound: Sound) -> Array:
    """The same after the difference equation of RASTA, a frame at a time."""
    logs = np.log(np.maximum(bands_of_bark(sound.power), 1e-10))
    before = np.concatenate([np.repeat(logs[:1], 4, axis=0), logs])
    out = np.zeros_like(logs)
    for t in range(len(logs)):
        x = before[t + 4], before[t + 3], before[t + 1], before[t]
        out[t] = 0.2 * x[0] + 0.1 * x[1] - 0.1 * x[2] - 0.2 * x[3]
        out[t] += 0.94 * out[t - 1] if t else 0
    return cepstra_of_loudness(np.exp(out))


@of_song("loudness", "pyloudnorm")
def loudness(sound: Sound) -> Array:
    """Pyloudnorm `Meter` with the filters of the recommendation."""
    import pyloudnorm

    return pyloudnorm.Meter(RATE, filter_class="DeMan").integrated_loudness(sound.signal)


@exact("loudness", "997 Hz at -23 dBFS peak in two channels, 48 kHz (EBU Tech 3341, 1)")
def loudness_of_a_sine() -> tuple[Array, Array]:
    """The exact value: -23 LUFS.

    The EBU asks for 0.1.
    """
    from audiocli.dsp.loudness import loudness

    sine = 10 ** (-23 / 20) * np.sin(2 * np.pi * 997 * np.arange(20 * 48_000) / 48_000)
    return np.array([loudness(np.stack([sine, sine]), 48_000)]), np.array([-23.0])


@exact("loudness", "bursts of noise in two channels, 48 kHz", needs="essentia")
def loudness_of_essentia() -> tuple[Array, Array]:
    """Essentia `LoudnessEBUR128`."""
    import essentia.standard

    from audiocli.dsp.loudness import loudness

    time = np.arange(8 * 48_000) / 48_000
    noise = np.random.default_rng(4).normal(scale=0.1, size=(2, len(time)))
    signal = (noise * np.where(time % 2 < 1.2, 1, 0.01)).astype(np.float32)
    theirs = essentia.standard.LoudnessEBUR128(sampleRate=48_000)(np.ascontiguousarray(signal.T))[2]
    return np.array([loudness(signal, 48_000)]), np.array([theirs])
