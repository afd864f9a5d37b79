"""Harmonics: the partials of a pitched sound, and how much of it is not harmonic.

:func:`harmonics` finds the partials in spectra, given each frame's fundamental; the other
functions describe what it gives. :func:`harmonic_to_noise_ratio` works on the frames themselves.
Frames without a pitch (f0 = 0) and silent ones have 0 everywhere, unless said otherwise: weigh or
select by f0 before averaging.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.frames import hann
from audiocli.errors import UsageError

__all__ = [
    "Harmonics",
    "harmonic_centroid",
    "harmonic_deviation",
    "harmonic_energy_ratio",
    "harmonic_to_noise_ratio",
    "harmonics",
    "inharmonicity",
    "odd_to_even_ratio",
    "tristimulus",
]

Floats = NDArray[np.floating[Any]]
Deviation = Literal["relative", "decibel"]

#: Values that are worked on at a time, so that they stay in a core's own cache.
CHUNK = 2**17

#: Peaks are interpolated in magnitudes raised to this power. Under a Hann window the parabola then
#: fits to 0.001 bins and 0.02 dB (through logarithms, as is usual: 0.02 bins and 0.3 dB), under a
#: Hamming window to 0.004 bins and 0.06 dB.
PEAK_POWER = 0.2276

#: The period is looked for this far from what f0 says: half a semitone.
PERIOD_TOLERANCE = 0.03

#: Samples on each side, and steps between two lags, of the autocorrelation's interpolation.
INTERPOLATION_REACH = 16
INTERPOLATION_STEPS = 8

#: Below this part of a frame's power, what is left without its mean is rounding.
ROUNDING = 1e-12

#: Harmonic-to-noise ratios are kept within this many dB of 0: float32 tells no more.
HNR_LIMIT = 60.0


@dataclass(frozen=True)
class Harmonics:
    """The partials of each frame, from the fundamental on.

    Parameters
    ----------
    frequencies : ndarray, shape (frames, n_harmonics)
        In Hz: where the peak is, or k f0 where none was found. 0 without a
        pitch.
    amplitudes : ndarray, shape (frames, n_harmonics)
        In the unit of the spectrum. 0 above its highest frequency, and
        without a pitch.

    Examples
    --------
    >>> Harmonics(np.array([[100.0, 200.0]]), np.array([[1.0, 0.5]])).amplitudes.shape
    (1, 2)
    """

    frequencies: Floats
    amplitudes: Floats


def harmonics(
    magnitude: Floats,
    frequencies: Floats,
    f0: Floats,
    n_harmonics: int = 20,
    tolerance: float = 0.2,
) -> Harmonics:
    """Find the partials: the highest spectral peak near each multiple of f0.

    Peak k is looked for within `tolerance` f0 of k f0; its frequency and
    amplitude come from a parabola through three bins (Werner and Germain):
    within 0.001 bins and 0.02 dB for a sine under a Hann window.
    Where there is no peak, as for the even partials of a square wave, the
    amplitude is the spectrum's at k f0, between bins linearly.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz: equally spaced, from 0.
    f0 : ndarray, shape (frames,)
        Fundamental frequency in Hz, 0 where there is none.
    n_harmonics : int
        How many partials, the fundamental included.
    tolerance : float
        Half the width searched, as a part of f0: above 0 and below 0.5.

    Returns
    -------
    Harmonics
        Frequencies and amplitudes.

    Raises
    ------
    UsageError
        If the number of harmonics or the tolerance is out of range.

    References
    ----------
    K. J. Werner and F. G. Germain, "Sinusoidal parameter estimation using
    quadratic interpolation around power-scaled magnitude spectrum peaks",
    Applied Sciences 6(10), 2016.

    Examples
    --------
    >>> magnitude = np.zeros((1, 9), np.float32)
    >>> magnitude[0, [1, 2, 3, 5, 6, 7]] = [0.5, 1, 0.5, 0.2, 0.4, 0.2]
    >>> found = harmonics(magnitude, np.arange(9) * 100.0, np.array([200.0]), n_harmonics=3)
    >>> found.amplitudes.round(3)
    array([[1. , 0. , 0.4]], dtype=float32)
    """
    if n_harmonics < 1 or not 0 < tolerance < 0.5:
        raise UsageError(
            f"harmonics: n_harmonics {n_harmonics}, tolerance {tolerance:g}; "
            "use 1 harmonic or more and a tolerance between 0 and 0.5"
        )
    spacing = float(frequencies[1] - frequencies[0])
    shape = (len(magnitude), n_harmonics)
    found = Harmonics(np.zeros(shape, magnitude.dtype), np.zeros(shape, magnitude.dtype))
    for part in _chunks(len(magnitude), magnitude.shape[1]):
        frequency, amplitude = _partials(magnitude[part], f0[part] / spacing, shape[1], tolerance)
        found.frequencies[part] = frequency * spacing
        found.amplitudes[part] = amplitude
    return found


def _partials(
    magnitude: Floats, f0: Floats, n_harmonics: int, tolerance: float
) -> tuple[Floats, Floats]:
    """Find partials; frequencies are in bins here."""
    bins = magnitude.shape[1]
    middle = magnitude[:, 1:-1]
    peaks = np.zeros_like(magnitude)
    np.copyto(
        peaks[:, 1:-1],
        middle,
        where=(middle > magnitude[:, :-2]) & (middle >= magnitude[:, 2:]),
    )
    target = f0[:, None] * np.arange(1, n_harmonics + 1)  # (frames, n_harmonics)
    within = (target > 0) & (target <= bins - 2)
    reach = np.maximum(tolerance * f0, 0.5)[:, None, None]
    offsets = np.arange(-math.ceil(reach.max(initial=0.5)), math.ceil(reach.max(initial=0.5)) + 1)
    near = np.rint(target).astype(np.intp)[..., None] + offsets
    rows = np.arange(len(magnitude))[:, None]
    allowed = np.abs(near - target[..., None]) <= reach
    heights = np.where(allowed, peaks[rows[..., None], near.clip(0, bins - 1)], 0)
    best = np.take_along_axis(near, heights.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    best = best.clip(1, bins - 2)
    shift, amplitude = _interpolate_peak(magnitude, rows, best)
    below = np.minimum(target.astype(np.intp), bins - 2)
    rest = target - below
    between = (1 - rest) * magnitude[rows, below] + rest * magnitude[rows, below + 1]
    is_peak = heights.max(axis=-1) > 0
    frequency = np.where(is_peak & within, best + shift, target)
    return frequency, np.where(within, np.where(is_peak, amplitude, between), 0)


def _interpolate_peak(
    magnitude: Floats, row: NDArray[np.intp], column: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Put a parabola through a peak and its neighbours; give its offset and its height."""
    left, peak, right = (magnitude[row, column + offset] ** PEAK_POWER for offset in (-1, 0, 1))
    slope, bend = (right - left) / 2, left - 2 * peak + right
    shift = np.zeros_like(peak)
    np.divide(-slope, bend, out=shift, where=-bend > np.abs(slope))
    return shift, (peak + slope * shift / 2) ** (1 / PEAK_POWER)


def harmonic_to_noise_ratio(
    frames: Floats, sample_rate: float, f0: Floats, unvoiced: float = 0.0
) -> Floats:
    """Compare the power that repeats after a period with the power that does not, in dB.

    10 log10(r / (1 - r)), where r is the normalised autocorrelation of the
    frame at its period: that of the frame under a Hann window, divided by
    that of the window, and interpolated between lags (Boersma). The period
    is the highest autocorrelation within half a semitone of 1 / f0. A frame
    should hold four periods or more: with fewer the window is uncertain.

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        The frames, without a window.
    sample_rate : float
        In Hz.
    f0 : ndarray, shape (frames,)
        Fundamental frequency in Hz, 0 where there is none.
    unvoiced : float
        What frames without a pitch have, in dB, and those that are silent
        or hold less than two periods. openSMILE gives 0, Praat -200.

    Returns
    -------
    ndarray, shape (frames,)
        In dB, within -60 and 60. 0 dB: as much noise as harmonics.

    References
    ----------
    P. Boersma, "Accurate short-term analysis of the fundamental frequency
    and the harmonics-to-noise ratio of a sampled sound", Proc. Institute of
    Phonetic Sciences 17, University of Amsterdam, 1993.

    Examples
    --------
    >>> time = np.arange(2048) / 22050
    >>> noise = np.random.default_rng(0).normal(size=2048)
    >>> frame = np.sqrt(2) * np.sin(2 * np.pi * 220 * time) + 0.1 * noise  # 20 dB
    >>> harmonic_to_noise_ratio(frame[None], 22050, np.array([220.0])).round()
    array([20.])
    """
    length = frames.shape[1]
    reach = INTERPOLATION_REACH
    window = hann(length).astype(frames.dtype)
    longest = length // 2
    lags = math.ceil(longest * (1 + PERIOD_TOLERANCE)) + reach + 2
    window_correlation = _autocorrelation(window[None], lags)[0]
    out = np.full(len(frames), unvoiced, frames.dtype)
    period = sample_rate / np.maximum(f0, 1e-9)
    usable = np.flatnonzero((f0 > 0) & (period <= longest) & (period >= 2))
    for part in _chunks(len(usable), length):
        chosen = usable[part]
        inputs = frames[chosen]
        windowed = (inputs - inputs.mean(axis=1, keepdims=True)) * window
        correlation = _autocorrelation(windowed, lags)
        power = correlation[:, :1].copy()
        power[power <= ROUNDING * np.square(inputs).sum(axis=1, keepdims=True)] = 0
        correlation /= np.where(power > 0, power, 1) * (window_correlation / window_correlation[0])
        strength = _strength(correlation, period[chosen]).clip(0, 1)
        edge = 1 / (1 + 10 ** (HNR_LIMIT / 10))
        strength = strength.clip(edge, 1 - edge)
        ratio = 10 * np.log10(strength / (1 - strength))
        out[chosen] = np.where(power[:, 0] > 0, ratio, unvoiced)
    return out


def _autocorrelation(frames: Floats, lags: int) -> Floats:
    import scipy.fft  # only what needs it waits for it

    n_fft = scipy.fft.next_fast_len(frames.shape[1] + lags, real=True)
    spectrum = scipy.fft.rfft(frames, n_fft, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    correlation: Floats = scipy.fft.irfft(power, n_fft, axis=1)[:, :lags]
    return correlation


def _strength(correlation: Floats, period: Floats) -> Floats:
    """Give the highest value of each autocorrelation near its period, between lags too."""
    reach, rows = INTERPOLATION_REACH, np.arange(len(period))[:, None]
    width = max(1, math.ceil(PERIOD_TOLERANCE * period.max(initial=1)))
    near = np.rint(period).astype(np.intp)[:, None] + np.arange(-width, width + 1)
    allowed = np.abs(near - period[:, None]) <= np.maximum(PERIOD_TOLERANCE * period[:, None], 1)
    near = near.clip(1, correlation.shape[1] - reach - 2)
    heights = np.where(allowed, correlation[rows, near], -np.inf)
    lag = np.take_along_axis(near, heights.argmax(axis=1)[:, None], axis=1)
    # Negative lags are those to the right, mirrored.
    around = correlation[rows, np.abs(lag + np.arange(-reach, reach + 1))]
    fine = around @ _sinc_matrix(around.dtype)
    best = fine.argmax(axis=1).clip(1, fine.shape[1] - 2)[:, None]
    left, middle, right = (np.take_along_axis(fine, best + step, axis=1) for step in (-1, 0, 1))
    slope, bend = (right - left) / 2, left - 2 * middle + right
    shift = np.zeros_like(middle)
    np.divide(-slope, bend, out=shift, where=-bend > np.abs(slope))
    strength: Floats = (middle + slope * shift / 2)[:, 0]
    return strength


def _sinc_matrix(dtype: np.dtype[Any]) -> Floats:
    """Make the matrix from samples around a lag to finer steps between its two neighbours."""
    samples = np.arange(-INTERPOLATION_REACH, INTERPOLATION_REACH + 1)[:, None]
    offset = np.arange(-INTERPOLATION_STEPS, INTERPOLATION_STEPS + 1) / INTERPOLATION_STEPS
    distance = samples - offset
    taper = 0.5 + 0.5 * np.cos(np.pi * distance / (INTERPOLATION_REACH + 1))
    matrix: Floats = (np.sinc(distance) * taper).astype(dtype)
    return matrix


def inharmonicity(found: Harmonics, f0: Floats) -> Floats:
    """Measure how far the partials are from multiples of f0, weighted by their energy.

    2 / f0 * sum(|f_k - k f0| a_k^2) / sum(a_k^2) (Peeters and others; half of
    this is Essentia's).

    Parameters
    ----------
    found : Harmonics
        From :func:`harmonics`.
    f0 : ndarray, shape (frames,)
        Fundamental frequency in Hz, as given to it.

    Returns
    -------
    ndarray, shape (frames,)
        Without unit, from 0 for a harmonic sound up to twice the tolerance
        of the search; 0 without a pitch.

    References
    ----------
    G. Peeters, B. Giordano, P. Susini, N. Misdariis and S. McAdams, "The
    Timbre Toolbox", J. Acoust. Soc. Am. 130(5), 2011.

    Examples
    --------
    >>> found = Harmonics(np.array([[100.0, 202.0]]), np.array([[1.0, 1.0]]))
    >>> inharmonicity(found, np.array([100.0]))
    array([0.02])
    """
    energy = np.square(found.amplitudes)
    orders = np.arange(1, energy.shape[1] + 1)
    deviation = np.abs(found.frequencies - orders * f0[:, None])
    weighted = (deviation * energy).sum(axis=1)
    return _divide(2 * weighted, f0 * energy.sum(axis=1)).astype(energy.dtype)


def odd_to_even_ratio(amplitudes: Floats, limit: float = 1000.0) -> Floats:
    """Compare the energy of odd partials, the fundamental among them, with that of even ones.

    (a_1^2 + a_3^2 + ...) / (a_2^2 + a_4^2 + ...). A clarinet's low notes
    have a high value. Essentia counts the fundamental as partial 0, so its
    value is one over this.

    Parameters
    ----------
    amplitudes : ndarray, shape (frames, n_harmonics)
        From :func:`harmonics`.
    limit : float
        The highest value given, as where there is no even partial.

    Returns
    -------
    ndarray, shape (frames,)
        Without unit; 0 without a pitch.

    References
    ----------
    G. Peeters and others, "The Timbre Toolbox", J. Acoust. Soc. Am. 130(5), 2011.

    Examples
    --------
    >>> odd_to_even_ratio(np.array([[2.0, 1.0, 1.0, 2.0], [1.0, 0.0, 0.0, 0.0]]))
    array([   1., 1000.])
    """
    energy = np.square(amplitudes)
    odd, even = energy[:, ::2].sum(axis=1), energy[:, 1::2].sum(axis=1)
    bounded: Floats = np.full_like(odd, limit)
    np.divide(odd, even, out=bounded, where=even * limit > odd)
    bounded[odd == 0] = 0
    return bounded


def tristimulus(amplitudes: Floats) -> Floats:
    """Divide the amplitude among the fundamental, partials 2 to 4, and the rest.

    a_1 / A, (a_2 + a_3 + a_4) / A and (a_5 + a_6 + ...) / A, where A is the
    sum of all. Pollard and Jansson used loudness; amplitude is usual since.

    Parameters
    ----------
    amplitudes : ndarray, shape (frames, n_harmonics)
        From :func:`harmonics`.

    Returns
    -------
    ndarray, shape (frames, 3)
        Without unit; a row adds up to 1, or is 0 without a pitch.

    References
    ----------
    H. Pollard and E. Jansson, "A tristimulus method for the specification of
    musical timbre", Acustica 51, 1982.

    Examples
    --------
    >>> tristimulus(np.array([[5.0, 1.0, 1.0, 1.0, 2.0]]))
    array([[0.5, 0.3, 0.2]])
    """
    groups = [amplitudes[:, :1], amplitudes[:, 1:4], amplitudes[:, 4:]]
    sums = np.stack([group.sum(axis=1) for group in groups], axis=1)
    return _divide(sums, sums.sum(axis=1, keepdims=True))


def harmonic_centroid(found: Harmonics) -> Floats:
    """Average the partials' frequencies, weighted by amplitude.

    sum(f_k a_k) / sum(a_k), MPEG-7's HarmonicSpectralCentroid of a frame.

    Parameters
    ----------
    found : Harmonics
        From :func:`harmonics`.

    Returns
    -------
    ndarray, shape (frames,)
        In Hz; 0 without a pitch.

    References
    ----------
    ISO/IEC 15938-4:2002, Multimedia content description interface: Audio.

    Examples
    --------
    >>> harmonic_centroid(Harmonics(np.array([[100.0, 200.0]]), np.array([[1.0, 3.0]])))
    array([175.])
    """
    total = found.amplitudes.sum(axis=1)
    return _divide((found.frequencies * found.amplitudes).sum(axis=1), total)


def harmonic_deviation(amplitudes: Floats, variant: Deviation = "relative") -> Floats:
    """Measure how far the partials' amplitudes are from a smooth envelope.

    The envelope e_k is the mean of a partial and its neighbours
    (Krimphoff). A clarinet's alternating partials deviate much, a trumpet's
    little.

    Parameters
    ----------
    amplitudes : ndarray, shape (frames, n_harmonics)
        From :func:`harmonics`. Partials of amplitude 0 are left out.
    variant : {"relative", "decibel"}
        sum |a_k - e_k| / sum a_k, without unit, or the mean of
        |20 log10(a_k / e_k)|, in dB. Krimphoff's own sum has the unit of the
        amplitude; MPEG-7 divides by sum log10 a_k, which depends on the
        level and may vanish.

    Returns
    -------
    ndarray, shape (frames,)
        0 where all partials are alike, and without a pitch.

    Raises
    ------
    UsageError
        If there is no such variant.

    References
    ----------
    J. Krimphoff, S. McAdams and S. Winsberg, "Caractérisation du timbre des
    sons complexes. II. Analyses acoustiques et quantification
    psychophysique", J. Physique IV 4(C5), 1994.

    Examples
    --------
    >>> harmonic_deviation(np.array([[1.0, 1.0, 1.0, 1.0], [4.0, 1.0, 4.0, 0.0]])).round(3)
    array([0.   , 0.556])
    """
    if variant not in get_args(Deviation):
        raise UsageError(
            f"harmonic deviation: there is no variant {variant!r}; "
            f"use {' or '.join(get_args(Deviation))}"
        )
    present = amplitudes > 0
    envelope = _divide(_with_neighbours(amplitudes), _with_neighbours(present * 1.0))
    if variant == "relative":
        deviation = np.where(present, np.abs(amplitudes - envelope), 0).sum(axis=1)
        return _divide(deviation, amplitudes.sum(axis=1)).astype(amplitudes.dtype)
    ratio = np.ones_like(amplitudes)
    np.divide(amplitudes, envelope, out=ratio, where=present, casting="same_kind")
    return _divide(20 * np.abs(np.log10(ratio)).sum(axis=1), present.sum(axis=1))


def harmonic_energy_ratio(
    magnitude: Floats, amplitudes: Floats, noise_bandwidth: float = 1.5
) -> Floats:
    """Give the part of a frame's energy that is in its partials.

    b sum(a_k^2) / sum(|X|^2): under a window of noise bandwidth b, in bins, a
    sine whose peak is a_k high has the energy b a_k^2.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    amplitudes : ndarray, shape (frames, n_harmonics)
        What :func:`harmonics` found in them.
    noise_bandwidth : float
        n_fft sum(w^2) / sum(w)^2: 1.5 for a Hann window as long as the
        transform, 1.36 for a Hamming window, 1 for none.

    Returns
    -------
    ndarray, shape (frames,)
        From 0 to 1; 0 without a pitch. Noise has its peaks too, so it is
        above 0 for noise with a pitch put upon it.

    References
    ----------
    G. Peeters and others, "The Timbre Toolbox", J. Acoust. Soc. Am. 130(5),
    2011, where 1 minus this is the noisiness.

    Examples
    --------
    >>> magnitude = np.array([[0.0, 0.5, 1.0, 0.5, 0.0]])
    >>> harmonic_energy_ratio(magnitude, np.array([[1.0, 0.0]]))
    array([1.])
    """
    total = np.einsum("ij,ij->i", magnitude, magnitude)
    partials = noise_bandwidth * np.einsum("ij,ij->i", amplitudes, amplitudes)
    # Wide lobes of close partials overlap and would count twice.
    return np.minimum(_divide(partials, total), 1)


def _chunks(frames: int, width: int) -> Iterator[slice]:
    size = max(1, CHUNK // width)
    return (slice(start, start + size) for start in range(0, frames, size))


def _with_neighbours(values: Floats) -> Floats:
    """Add its neighbours in the row to every value."""
    total = values.copy()
    total[:, 1:] += values[:, :-1]
    total[:, :-1] += values[:, 1:]
    return total


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide where the denominator is above 0; elsewhere give 0."""
    out = np.zeros(np.broadcast_shapes(numerator.shape, denominator.shape), numerator.dtype)
    np.divide(numerator, denominator, out=out, where=denominator > 0, casting="same_kind")
    return out
