"""Small synthesisers: a singing voice, a bass, an electric piano, drums and a room.

Each function turns a few musical numbers into sound with formulas short enough
to check by hand; :mod:`audiocli.demo` plays a song on them. Signals are float64
with full scale around 1.0 at :data:`SAMPLE_RATE`, times are in samples unless a
name says seconds, and pitches are MIDI note numbers (69 is A4, 440 Hz).

The voice is the source-filter model of speech: a glottal pulse (Rosenberg 1971)
through a cascade of formant resonators (Klatt 1980) at the vowel formants of
Peterson and Barney (1952). It sings vowels well and consonants only softly.

References
----------
.. [1] A. E. Rosenberg, "Effect of glottal pulse shape on the quality of natural
   vowels", J. Acoust. Soc. Am. 49(2B), 1971.
.. [2] D. H. Klatt, "Software for a cascade/parallel formant synthesizer",
   J. Acoust. Soc. Am. 67(3), 1980.
.. [3] G. E. Peterson and H. L. Barney, "Control methods used in a study of the
   vowels", J. Acoust. Soc. Am. 24(2), 1952.
.. [4] J. Chowning, "The synthesis of complex audio spectra by means of frequency
   modulation", J. Audio Eng. Soc. 21(7), 1973.
.. [5] J. Sundberg, "The Science of the Singing Voice", 1987: vibrato, and singers
   who raise the first formant to stay above a high note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

__all__ = [
    "DRUMS",
    "SAMPLE_RATE",
    "Syllable",
    "bass",
    "consonant_seconds",
    "electric_piano",
    "pan",
    "reverberate",
    "sing",
]

Signal = NDArray[np.float64]

SAMPLE_RATE = 44100  # Hz

_RELEASE_SECONDS = 0.12  # what a note still sounds after it is let go


def _hertz(pitch: float | Signal) -> Signal:
    """Frequency in Hz of a MIDI pitch in equal temperament, A4 = 440 Hz."""
    return np.asarray(440.0 * 2.0 ** ((np.asarray(pitch, dtype=np.float64) - 69.0) / 12.0))


# ---------------------------------------------------------------- space


def pan(mono: Signal, position: float) -> Signal:
    """Place a mono sound (samples,) between two loudspeakers at constant power."""
    angle = (position + 1.0) * np.pi / 4.0
    return np.stack([np.cos(angle) * mono, np.sin(angle) * mono])


def reverberate(dry: Signal, seconds: float, wet: float, rng: np.random.Generator) -> Signal:
    """Add the reverberation of a small room, whose impulse response is decaying noise."""
    n = round(seconds * SAMPLE_RATE)
    t = np.arange(n) / SAMPLE_RATE
    low, high = 300.0, 5000.0  # Hz; walls swallow the rest
    walls = signal.butter(1, [low, high], "bandpass", fs=SAMPLE_RATE)
    noise = signal.lfilter(*walls, rng.standard_normal((2, n)))
    predelay = np.clip(t / 0.012, 0.0, 1.0) ** 2  # no wall answers at once
    tail = noise * 10.0 ** (-3.0 * t / seconds) * predelay * _fade(n, n // 4)
    tail *= wet * np.sqrt((high - low) / (SAMPLE_RATE / 2.0) / np.sum(tail**2, axis=1))[:, None]
    return np.asarray(dry + signal.oaconvolve(dry, tail, axes=1)[:, : dry.shape[1]])


def _fade(length: int, fade: int, *, attack: int = 0) -> Signal:
    """Ones that rise over `attack` samples and end in a raised cosine of `fade` samples."""
    envelope = np.ones(length)
    envelope[length - fade :] = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fade) + 1) / fade)
    envelope[:attack] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(attack) / max(1, attack))
    return envelope


def _note_times(seconds: float) -> tuple[Signal, Signal]:
    """Time axis in seconds of a held note and its release, and the envelope of its edges."""
    release = round(_RELEASE_SECONDS * SAMPLE_RATE)
    n = round(seconds * SAMPLE_RATE) + release
    return np.arange(n) / SAMPLE_RATE, _fade(n, release, attack=SAMPLE_RATE // 500)


def _without_dc(y: Signal) -> Signal:
    return np.asarray(signal.lfilter(*signal.butter(1, 20.0, "highpass", fs=SAMPLE_RATE), y))


# ---------------------------------------------------------------- bass and keys


def bass(pitch: float, seconds: float, velocity: float = 1.0) -> Signal:
    r"""Pluck a bass: a sawtooth whose overtones die first, as if a filter closed.

    .. math:: \sum_{k=1}^\infty \frac{r^k}{k} \sin k\theta =
              \arctan \frac{r \sin\theta}{1 - r \cos\theta},
              \quad r = 0.80\,e^{-1.5 t} + 0.17\,e^{-25 t}
    """
    t, edges = _note_times(seconds)
    theta = 2 * np.pi * float(_hertz(pitch)) * t
    r = 0.80 * np.exp(-1.5 * t) + 0.17 * np.exp(-25.0 * t)  # r^k has died before Nyquist
    y = np.exp(-1.2 * t) * np.arctan2(r * np.sin(theta), 1.0 - r * np.cos(theta))
    return _without_dc(velocity * y * edges)


def electric_piano(pitch: float, seconds: float, velocity: float = 1.0) -> Signal:
    """Strike an electric piano: two pairs of frequency-modulated sines [4]_.

    The body is modulated by its own frequency, less and less as the note dies;
    the tine, fourteen times as high, is the short bell of the attack.
    """
    t, edges = _note_times(seconds)
    phase = 2 * np.pi * float(_hertz(pitch)) * t
    index = (1.0 + 2.5 * velocity) * np.exp(-t / 0.4)
    body = np.exp(-t / 1.4) * np.sin(phase + index * np.sin(phase))
    tine = 0.3 * velocity * np.exp(-t / 0.12) * np.sin(phase + 0.9 * np.sin(14.0 * phase))
    return np.asarray(velocity * (body + tine) * edges)


# ---------------------------------------------------------------- drums


def _hit_times(seconds: float) -> tuple[Signal, Signal]:
    """Time axis in seconds of a drum hit, and a fade that ends it."""
    n = round(seconds * SAMPLE_RATE)
    return np.arange(n) / SAMPLE_RATE, _fade(n, n // 3)


def _noise(n: int, low: float, high: float, rng: np.random.Generator) -> Signal:
    """White noise between two frequencies in Hz, at about unit RMS."""
    sos = signal.butter(2, [low, high], "bandpass", fs=SAMPLE_RATE, output="sos")
    y = signal.sosfilt(sos, rng.standard_normal(n))
    return np.asarray(y * np.sqrt(SAMPLE_RATE / 2.0 / (high - low)))


def _membrane(t: Signal, f0: float, bend: float, decay: float) -> Signal:
    """Sound a skin whose pitch falls from f0 + bend to f0 Hz, with the knock of the beater."""
    fall = 0.03  # s
    phase = 2 * np.pi * (f0 * t + bend * fall * (1.0 - np.exp(-t / fall)))
    knock = 0.3 * np.exp(-t / 0.003) * np.sin(2 * np.pi * 1800.0 * t)
    return np.asarray(np.exp(-t / decay) * np.sin(phase) + knock)


def _kick(rng: np.random.Generator) -> Signal:
    t, end = _hit_times(0.45)
    return _without_dc(np.tanh(1.8 * _membrane(t, 47.0, 130.0, 0.16)) * end)


def _tom(rng: np.random.Generator) -> Signal:
    t, end = _hit_times(0.4)
    return np.asarray(0.8 * _membrane(t, 105.0, 60.0, 0.14) * end)


def _snare(rng: np.random.Generator) -> Signal:
    t, end = _hit_times(0.3)
    skin = np.exp(-t / 0.06) * (np.sin(2 * np.pi * 186.0 * t) + 0.6 * np.sin(2 * np.pi * 331.0 * t))
    wires = np.exp(-t / 0.075) * _noise(t.size, 800.0, 9000.0, rng)
    return np.asarray(np.tanh(0.55 * skin + 0.4 * wires) * end)


def _cymbal(seconds: float, decay: float, low: float) -> Callable[[np.random.Generator], Signal]:
    def strike(rng: np.random.Generator) -> Signal:
        t, end = _hit_times(seconds)
        return np.asarray(np.exp(-t / decay) * _noise(t.size, low, 15000.0, rng) * end)

    return strike


# one hit of each drum at full loudness, from a source of noise
DRUMS: dict[str, Callable[[np.random.Generator], Signal]] = {
    "kick": _kick,
    "snare": _snare,
    "tom": _tom,
    "hihat": _cymbal(0.12, 0.03, 7000.0),
    "open hihat": _cymbal(0.4, 0.12, 6500.0),
    "crash": _cymbal(1.8, 0.4, 4000.0),
}

# ---------------------------------------------------------------- voice

# F1, F2, F3 in Hz of women's vowels [3]_: as in father, bet, beet, bought, boot
_VOWELS: dict[str, tuple[float, float, float]] = {
    "a": (850.0, 1220.0, 2810.0),
    "e": (610.0, 2330.0, 2990.0),
    "i": (310.0, 2790.0, 3310.0),
    "o": (590.0, 920.0, 2710.0),
    "u": (370.0, 950.0, 2670.0),
}


@dataclass(frozen=True)
class _Consonant:
    """How a syllable begins, before its vowel."""

    seconds: float
    voicing: float  # loudness of the voice during it, 0 to 1
    formants: tuple[float, float, float] | None = None  # Hz; none, and the vowel's own stand
    noise: tuple[float, float, float, float] | None = None  # low Hz, high Hz, RMS, decay in s


_CONSONANTS: dict[str, _Consonant] = {
    "": _Consonant(0.03, 0.6),
    "m": _Consonant(0.025, 0.8, (280.0, 1000.0, 2400.0)),
    "n": _Consonant(0.025, 0.8, (280.0, 1600.0, 2600.0)),
    "l": _Consonant(0.025, 0.9, (380.0, 1100.0, 2900.0)),
    "d": _Consonant(0.012, 0.5, (300.0, 1800.0, 2900.0), (2500.0, 6000.0, 0.15, 0.008)),
    "t": _Consonant(0.015, 0.0, (350.0, 1900.0, 2900.0), (3500.0, 9000.0, 0.16, 0.014)),
    "k": _Consonant(0.015, 0.0, (350.0, 2000.0, 2600.0), (1500.0, 4000.0, 0.2, 0.014)),
    "s": _Consonant(0.025, 0.0, (350.0, 1800.0, 2900.0), (5000.0, 11000.0, 0.12, 0.030)),
}


def consonant_seconds(consonant: str) -> float:
    """Tell how many seconds a syllable's consonant lasts before its vowel."""
    return _CONSONANTS[consonant].seconds


@dataclass(frozen=True)
class Syllable:
    """One sung note.

    Parameters
    ----------
    start, stop : int
        Samples from the start of the phrase.
    pitch : float
        MIDI note number.
    consonant : str
        One of ``m n l d t k s``, or empty.
    vowel : str
        One of ``a e i o u``.
    """

    start: int
    stop: int
    pitch: float
    consonant: str
    vowel: str


_HOP = 128  # samples between two settings of the voice, 3 ms


def sing(phrase: Sequence[Syllable], rng: np.random.Generator) -> Signal:
    """Sing a phrase in one breath."""
    n = phrase[-1].stop + round(_RELEASE_SECONDS * SAMPLE_RATE)
    frames = n // _HOP + 2
    formants, loudness = _articulate(phrase, frames)
    f0 = _hertz(_intone(phrase, frames, rng))
    formants[:, 0] = np.maximum(formants[:, 0], 1.05 * f0)  # formant tuning [5]_
    loudness *= 1.0 + _wander(frames, 30.0, 0.05, rng)  # shimmer

    phase = 2 * np.pi * np.cumsum(_to_samples(f0)) / SAMPLE_RATE
    escaping = (1.0 + np.cos(phase)) * rng.standard_normal(phase.size)  # while the glottis is open
    voice = _voiced(phase, f0, formants) + _breath(escaping, formants)
    voice = _compress(_to_samples(loudness) * voice)[:n]
    for syllable in phrase:
        noise = _CONSONANTS[syllable.consonant].noise
        if noise is not None:
            hiss = _hiss(noise, rng)
            voice[syllable.start : syllable.start + hiss.size] += hiss[: n - syllable.start]
    rumble = signal.butter(2, 110.0, "highpass", fs=SAMPLE_RATE, output="sos")
    edges = _fade(n, SAMPLE_RATE // 50, attack=SAMPLE_RATE // 500)
    return np.asarray(signal.sosfilt(rumble, voice) * edges)


def _to_samples(track: Signal) -> Signal:
    """Straight lines between the values of a track, one a frame, at the sample rate."""
    steps = np.diff(track)[:, np.newaxis] * (np.arange(_HOP) / _HOP)
    return np.asarray((track[:-1, np.newaxis] + steps).ravel())


def _articulate(phrase: Sequence[Syllable], frames: int) -> tuple[Signal, Signal]:
    """Formants in Hz, shape (frames, 3), and loudness, shape (frames,), of the words."""
    formants = np.empty((frames, 3))
    loudness = np.zeros(frames)
    formants[:] = _VOWELS[phrase[0].vowel]
    closing = round(0.04 * SAMPLE_RATE / _HOP)  # the lips close before the next syllable
    for syllable in phrase:
        consonant = _CONSONANTS[syllable.consonant]
        vowel = _VOWELS[syllable.vowel]
        start, stop = -(-syllable.start // _HOP), syllable.stop // _HOP  # never early
        opened = start + round(consonant.seconds * SAMPLE_RATE / _HOP)
        formants[start:] = consonant.formants or vowel
        formants[opened:] = vowel
        if start:
            loudness[max(0, start - closing) : start] *= consonant.voicing
        loudness[start:opened] = consonant.voicing
        loudness[opened:stop] = np.linspace(1.0, 0.8, stop - opened)
    loudness[stop:] = np.linspace(0.8, 0.0, frames - stop)
    return _glide(formants, 0.06), _glide(loudness, 0.025, initial=0.0)


def _intone(phrase: Sequence[Syllable], frames: int, rng: np.random.Generator) -> Signal:
    """Pitch as sung, in MIDI note numbers: portamento, late vibrato, drift and jitter."""
    pitch = np.full(frames, phrase[0].pitch - 0.7)  # a phrase is scooped into
    vibrato = np.zeros(frames)
    for syllable in phrase:
        start = -(-syllable.start // _HOP) + 1
        pitch[start:] = syllable.pitch
        held = (np.arange(frames - start) * _HOP) / SAMPLE_RATE
        vibrato[start:] = 0.4 * np.clip((held - 0.3) / 0.4, 0.0, 1.0)  # semitones
    rate = 5.6 * (1.0 + _wander(frames, 1.0, 0.04, rng))  # Hz
    wave = np.sin(2 * np.pi * np.cumsum(rate) * _HOP / SAMPLE_RATE)
    unsteady = _wander(frames, 2.0, 0.05, rng) + _wander(frames, 100.0, 0.03, rng)
    return _glide(pitch, 0.04) + _glide(vibrato, 0.1) * wave + unsteady


def _glide(track: Signal, seconds: float, initial: float | None = None) -> Signal:
    """Reach each value of a track within `seconds`, never before it is set."""
    window = np.hanning(round(seconds * SAMPLE_RATE / _HOP) + 2)[1:-1]
    first = track[:1] if initial is None else np.full_like(track[:1], initial)
    padded = np.concatenate([np.repeat(first, window.size - 1, axis=0), track])
    smooth = signal.lfilter(window / window.sum(), 1.0, padded, axis=0)
    return np.asarray(smooth[window.size - 1 :])


def _wander(frames: int, cutoff: float, rms: float, rng: np.random.Generator) -> Signal:
    """Noise below `cutoff` Hz, one value a frame."""
    sos = signal.butter(1, cutoff, fs=SAMPLE_RATE / _HOP, output="sos")
    y = signal.sosfilt(sos, rng.standard_normal(frames + 512))[512:]
    return np.asarray(y * rms / np.std(y))


def _glottis() -> NDArray[np.complex128]:
    """Fourier series of a Rosenberg pulse [1]_, differentiated as lips do to flow."""
    opening, closing = 0.40, 0.12  # of the period
    x = np.arange(4096) / 4096
    rise = 0.5 - 0.5 * np.cos(np.pi * x / opening)
    fall = np.cos(np.pi / 2 * (x - opening) / closing)
    flow = np.where(x < opening, rise, np.where(x < opening + closing, fall, 0.0))
    return np.asarray(np.fft.rfft(flow) / 4096 * 2j * np.pi * np.arange(2049))


def _vocal_tract(frequencies: Signal, formants: Signal) -> NDArray[np.complex128]:
    """Gain of a cascade of formant resonators [2]_, of unit gain at 0 Hz.

    Both arguments are in Hz, of shape (frames or 1, bins) and (frames, 3); so is
    the result, (frames, bins). The first three formants move; the fourth and fifth
    cluster as a singer's do, and a tract of 14.7 cm has one more each c / 2L = 1190 Hz.
    """
    above = np.concatenate([[3950.0, 4700.0], 6000.0 + 1190.0 * np.arange(14)])
    bandwidths = [90.0, 110.0, 160.0, *(0.05 * above)]
    gain = np.ones((1, 1), dtype=np.complex128)
    for formant, bandwidth in zip([*formants.T, *above], bandwidths, strict=True):
        square = np.reshape(formant**2, (-1, 1))
        gain = gain * (square / (square - frequencies**2 + 1j * bandwidth * frequencies))
    return gain


def _voiced(phase: Signal, f0: Signal, formants: Signal) -> Signal:
    """Sum the harmonics of the glottis as the vocal tract lets them through."""
    limit = 12000.0  # Hz; no harmonic comes near Nyquist, so nothing aliases
    harmonics = np.arange(1, 1 + int(limit / f0.min()))
    frequencies = f0[:, np.newaxis] * harmonics
    gains = _glottis()[harmonics] * _vocal_tract(frequencies, formants)
    gains *= np.clip((limit - frequencies) / 2000.0, 0.0, 1.0)
    turn = np.exp(1j * phase)
    harmonic = np.ones_like(turn)
    y = np.zeros_like(phase)
    for gain in gains.T:
        harmonic *= turn
        y += _to_samples(gain.real) * harmonic.real - _to_samples(gain.imag) * harmonic.imag
    return y


def _breath(escaping: Signal, formants: Signal) -> Signal:
    """Filter noise by the vocal tract, a short-time spectrum a frame."""
    sizes = {"nperseg": 4 * _HOP, "noverlap": 3 * _HOP}
    frequencies, _, spectra = signal.stft(escaping, SAMPLE_RATE, **sizes)
    spectra *= 0.02 * np.abs(_vocal_tract(frequencies[np.newaxis], formants)).T
    return np.asarray(signal.istft(spectra, SAMPLE_RATE, **sizes)[1][: escaping.size])


def _hiss(noise: tuple[float, float, float, float], rng: np.random.Generator) -> Signal:
    """Noise of a consonant: quick to come, then dying away."""
    low, high, gain, decay = noise
    t = np.arange(round(4 * decay * SAMPLE_RATE)) / SAMPLE_RATE
    rise = np.clip(t / (0.3 * decay), 0.0, 1.0)
    envelope = rise * np.exp(-((t / (1.5 * decay)) ** 2)) * _fade(t.size, t.size // 4)
    return np.asarray(gain * envelope * _noise(t.size, low, high, rng))


def _compress(voice: Signal) -> Signal:
    """Even out the loudness of the syllables by two thirds of it in dB, as a studio would."""
    voice = voice / np.std(voice)
    window = np.hanning(round(0.08 * SAMPLE_RATE))
    power = signal.oaconvolve(voice**2, window / window.sum(), mode="same")
    return np.asarray(0.25 * voice / np.maximum(power, 0.1) ** (1 / 3))
