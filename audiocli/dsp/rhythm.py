"""Rhythm: onset envelope, onsets, tempo and pulse clarity.

An onset envelope has one value a frame, so that of hours of audio still fits
in memory; it is made block by block, and everything else here takes the
whole of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiocli.dsp.frames import hann
from audiocli.errors import UsageError

__all__ = ["onset_envelope", "onset_rate", "pick_onsets", "pulse_clarity", "tempo", "tempogram"]

Floats = NDArray[np.floating[Any]]

#: Frames of a tempogram that are worked on at a time.
CHUNK_FRAMES = 256

#: Range of tempi, in beats a minute.
MIN_BPM, MAX_BPM = 30.0, 320.0

#: So many multiples of a period are looked at: two bars of four beats.
MULTIPLES = 8

#: The part of a window that correlates at the longest lag, and how often a period must fit into a
#: window, or else chance has many.
LONGEST_LAG, LEAST_PERIODS = 0.75, 3


def onset_envelope(
    spectrum: Floats,
    previous: Floats | None = None,
    max_size: int = 1,
    dynamic_range: float | None = None,
) -> Floats:
    """Measure how much the spectrum rises from each frame to the next.

    The mean over bands of max(0, X[t] - X[t - 1]). Given a log-mel spectrum
    in dB this is librosa's `onset_strength_multi` with center=False: the mean
    rise in dB. Given magnitudes it is the spectral flux.

    Parameters
    ----------
    spectrum : ndarray, shape (frames, bands)
        Log-mel spectrum in dB, or any other spectrum. Levels need a floor:
        from silence the first sound rises by all that lies above it.
    previous : ndarray, shape (bands,), optional
        The frame before the first one, so that a stream's blocks give what
        the whole would. Without it the first value is 0.
    max_size : int
        Compare with the highest of so many bands around in the frame before
        (odd; 1 for the band itself): a vibrato then is no onset (SuperFlux).
    dynamic_range : float, optional
        What lies further below the highest band of two neighbouring frames, in dB, does not count:
        under a pure tone that is rounding, which rises and falls by itself.

    Returns
    -------
    ndarray, shape (frames,)
        In the unit of the spectrum; 0 for silence. A frame shows an onset as
        soon as it reaches it: with centred frames up to half a frame early,
        for which librosa shifts its envelope.

    Raises
    ------
    UsageError
        If `max_size` is not odd and positive.

    References
    ----------
    S. Böck and G. Widmer, "Maximum filter vibrato suppression for onset
    detection", Proc. DAFx, 2013.

    Examples
    --------
    >>> onset_envelope(np.array([[0.0, 0.0], [3.0, 1.0], [2.0, 2.0]]))
    array([0. , 2. , 0.5])
    """
    if max_size < 1 or max_size % 2 == 0:
        raise UsageError(f"onset envelope: max_size is {max_size}; use an odd number")
    if previous is None:
        previous = spectrum[0] if len(spectrum) else np.zeros(spectrum.shape[1])
    before = np.concatenate([previous[None].astype(spectrum.dtype), spectrum])[: len(spectrum)]
    if dynamic_range is not None and len(spectrum):
        highest = np.maximum(spectrum.max(axis=1), before.max(axis=1))[:, np.newaxis]
        floor = highest - spectrum.dtype.type(dynamic_range)
        spectrum, before = np.maximum(spectrum, floor), np.maximum(before, floor)
    if max_size > 1:
        import scipy.ndimage  # only what needs it waits for it

        before = scipy.ndimage.maximum_filter1d(before, max_size, axis=1)
    envelope: Floats = np.maximum(spectrum - before, 0).mean(axis=1)
    return envelope


def pick_onsets(
    envelope: Floats,
    sample_rate: float,
    hop_length: int,
    threshold: float = 1.5,
    minimum_interval: float = 0.05,
) -> NDArray[np.intp]:
    """Find the frames at which something begins: the peaks of an onset envelope.

    A frame is an onset if it is the highest within 30 ms on both sides, is
    above the mean of 100 ms on both sides by the threshold, and the onset
    before is far enough.

    Parameters
    ----------
    envelope : ndarray, shape (frames,)
        From :func:`onset_envelope`.
    sample_rate : float
        In Hz.
    hop_length : int
        From one frame to the next, in samples.
    threshold : float
        In the unit of the envelope. The default is for one in dB: steady
        noise stays below. It means the same at every level.
    minimum_interval : float
        Between two onsets, in seconds.

    Returns
    -------
    ndarray of int, shape (onsets,)
        Frames. Silence has none.

    References
    ----------
    S. Böck, F. Krebs and M. Schedl, "Evaluating the online capabilities of
    onset detection methods", Proc. ISMIR, 2012.

    Examples
    --------
    >>> envelope = np.zeros(40)
    >>> envelope[[10, 11, 30]] = 20.0, 12.0, 15.0
    >>> pick_onsets(envelope, sample_rate=22050, hop_length=512)
    array([10, 30])
    """
    if not len(envelope):
        return np.zeros(0, np.intp)
    rate = sample_rate / hop_length
    near, around = max(1, round(0.03 * rate)), max(1, round(0.1 * rate))
    import scipy.ndimage  # only what needs it waits for it

    highest = scipy.ndimage.maximum_filter1d(envelope, 2 * near + 1, mode="nearest")
    mean = scipy.ndimage.uniform_filter1d(envelope, 2 * around + 1, mode="nearest")
    peaks = np.flatnonzero((envelope == highest) & (envelope > mean + threshold))
    onsets: list[int] = []
    for peak in peaks.tolist():
        if not onsets or peak - onsets[-1] >= minimum_interval * rate:
            onsets.append(peak)
    return np.array(onsets, np.intp)


def onset_rate(
    envelope: Floats,
    sample_rate: float,
    hop_length: int,
    threshold: float = 1.5,
    minimum_interval: float = 0.05,
) -> float:
    """Count onsets a second.

    Parameters
    ----------
    envelope, sample_rate, hop_length, threshold, minimum_interval
        As for :func:`pick_onsets`.

    Returns
    -------
    float
        In Hz; 0.0 for silence.

    Examples
    --------
    >>> envelope = np.zeros(100)
    >>> envelope[5::20] = 10.0
    >>> onset_rate(envelope, sample_rate=1000, hop_length=10)
    5.0
    """
    if not len(envelope):
        return 0.0
    onsets = pick_onsets(envelope, sample_rate, hop_length, threshold, minimum_interval)
    return len(onsets) * sample_rate / (hop_length * len(envelope))


def tempogram(envelope: Floats, win_length: int, step: int = 1) -> Floats:
    """Correlate the onset envelope with itself, locally.

    Around each frame, the autocorrelation of the envelope under a Hann
    window, divided by its largest value. With step 1 this is librosa's
    `tempogram`.

    Parameters
    ----------
    envelope : ndarray, shape (frames,)
        From :func:`onset_envelope`.
    win_length : int
        Length of the window, in frames.
    step : int
        Every how many frames a row is made.

    Returns
    -------
    ndarray, shape (ceil(frames / step), win_length)
        At lags 0 ... win_length - 1, in frames. Silence has 0.

    Raises
    ------
    UsageError
        If the window or the step is shorter than one frame.

    References
    ----------
    P. Grosche, M. Müller and F. Kurth, "Cyclic tempogram: a mid-level tempo
    representation for music signals", Proc. ICASSP, 2010.

    Examples
    --------
    >>> envelope = np.tile([1.0, 0.0, 0.0, 0.0], 10)
    >>> tempogram(envelope, win_length=16)[20, :9].round(2)
    array([1.  , 0.  , 0.  , 0.  , 0.67, 0.  , 0.  , 0.  , 0.17])
    """
    if win_length < 1 or step < 1:
        raise UsageError(
            f"tempogram: win_length {win_length}, step {step}; use 1 frame or more for both"
        )
    frames = len(envelope)
    out = np.zeros((math.ceil(frames / step), win_length), envelope.dtype)
    if not frames:
        return out
    window = hann(win_length).astype(envelope.dtype)
    views = sliding_window_view(np.pad(envelope, win_length // 2, mode="linear_ramp"), win_length)
    views = views[:frames:step]
    for start in range(0, len(out), CHUNK_FRAMES):
        part = _autocorrelation(views[start : start + CHUNK_FRAMES] * window)
        largest = np.abs(part).max(axis=1, keepdims=True)
        np.divide(part, largest, out=out[start : start + CHUNK_FRAMES], where=largest > 0)
    return out


def tempo(
    envelope: Floats,
    sample_rate: float,
    hop_length: int,
    start_bpm: float = 120.0,
    spread: float = 1.0,
    window: float = 8.0,
) -> float:
    """Estimate the tempo of the whole envelope.

    A period is as good as its first eight multiples repeat, on average, in
    the local autocorrelation, times a log-normal prior about `start_bpm`.
    The multiples also refine it beyond the distance of frames. librosa's
    `tempo` takes the best single lag, a whole number of frames, of the
    autocorrelation with its mean.

    A period must fit three times into a window, so a short sound has no slow tempo.

    Octaves: a pulse of period P repeats at 2 P, 3 P and so on as well. So a
    steady click, which has no bars, is taken at its own rate up to 165 BPM,
    above at a half, from about 290 also at a third: at what is nearest to
    `start_bpm`, which can be changed to look elsewhere.

    Parameters
    ----------
    envelope : ndarray, shape (frames,)
        From :func:`onset_envelope`.
    sample_rate : float
        In Hz.
    hop_length : int
        From one frame to the next, in samples.
    start_bpm : float
        Centre of the prior, in beats a minute.
    spread : float
        Standard deviation of the prior, in octaves.
    window : float
        Length of the autocorrelation's windows, in seconds.

    Returns
    -------
    float
        In beats a minute, about 30 to 320; NaN where nothing repeats, as in
        silence. What is all but constant, say a hum, repeats as well: whether anything rises
        :func:`pick_onsets` tells.

    Raises
    ------
    UsageError
        If the centre, the spread or the window is not above 0.

    References
    ----------
    D. Ellis, "Beat tracking by dynamic programming", J. New Music Research
    36(1), 2007, for the prior.

    Examples
    --------
    >>> envelope = np.zeros(2000)
    >>> envelope[::60] = 1.0  # every 0.6 s
    >>> round(tempo(envelope, sample_rate=1000, hop_length=10), 2)
    100.0
    """
    if min(start_bpm, spread, window) <= 0:
        raise UsageError(
            f"tempo: start_bpm {start_bpm:g}, spread {spread:g}, window {window:g}; "
            "use values above 0"
        )
    rate = 60 * sample_rate / hop_length  # frames a minute
    repeats = _repetition(envelope, round(window * rate / 60))
    best, best_score = math.nan, -math.inf
    for lag in _peaks_within(repeats, rate):
        period, strength = _follow(repeats, lag)
        octaves = math.log2(rate / period / start_bpm)
        score = math.log(strength) - 0.5 * (octaves / spread) ** 2
        if score > best_score:
            best, best_score = rate / period, score
    return best


def pulse_clarity(
    envelope: Floats, sample_rate: float, hop_length: int, window: float = 8.0
) -> float:
    """Measure how clearly a pulse runs through the envelope.

    The highest peak of its autocorrelation at periods of 30 to 320 BPM: the
    "maximum autocorrelation" of Lartillot and others, here the mean over
    windows, so that it means the same for long and for short recordings. How
    far the envelope rises plays no part: a lone steady tone, whose envelope
    hardly moves but repeats, has a clear pulse and no onsets.

    Parameters
    ----------
    envelope : ndarray, shape (frames,)
        From :func:`onset_envelope`.
    sample_rate : float
        In Hz.
    hop_length : int
        From one frame to the next, in samples.
    window : float
        Length of the windows, in seconds.

    Returns
    -------
    float
        From 0 (nothing repeats, or silence) to 1 (repeats exactly). Of less than some seconds it
        says little: chance repeats.

    Raises
    ------
    UsageError
        If the window is not above 0.

    References
    ----------
    O. Lartillot, T. Eerola, P. Toiviainen and J. Fornari, "Multi-feature
    modeling of pulse clarity: design, validation and optimization", Proc.
    ISMIR, 2008.

    Examples
    --------
    >>> envelope = np.zeros(2000)
    >>> envelope[::60] = 1.0
    >>> round(pulse_clarity(envelope, sample_rate=1000, hop_length=10), 2)
    1.0
    """
    if window <= 0:
        raise UsageError(f"pulse clarity: window is {window:g} s; use a value above 0")
    rate = 60 * sample_rate / hop_length
    repeats = _repetition(envelope, round(window * rate / 60))
    lags = _peaks_within(repeats, rate)
    return min(max((float(repeats[lag]) for lag in lags), default=0.0), 1.0)


def _autocorrelation(rows: Floats) -> Floats:
    """Correlate rows with themselves, at lags from 0 to below their length."""
    length = rows.shape[-1]
    import scipy.fft  # only what needs it waits for it

    n_fft = scipy.fft.next_fast_len(2 * length, real=True)
    spectrum = scipy.fft.rfft(rows, n_fft, axis=-1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    correlation: Floats = scipy.fft.irfft(power, n_fft, axis=-1)[..., :length]
    return correlation


def _repetition(envelope: Floats, win_length: int) -> Floats:
    """Give how well the envelope repeats after each lag: at most 1, and 0 for silence.

    Without its mean, or else steady noise would repeat after every lag; each window's correlation
    is divided by that of the Hann window, or else short lags would win.
    """
    win_length = min(win_length, len(envelope))
    lags = int(win_length * LONGEST_LAG)  # beyond, the overlap is too short
    if lags < 3:
        return np.zeros(0)
    # Clicks lie between frames: so that a period of 21.5 frames is not torn into 21 and 22.
    smooth = np.convolve(np.pad(envelope, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    window = hann(win_length).astype(np.float64)
    bias = _autocorrelation(window)[:lags]
    views = sliding_window_view(smooth, win_length)[:: max(1, win_length // 16)]
    total = np.zeros(lags)
    for start in range(0, len(views), CHUNK_FRAMES):
        part = views[start : start + CHUNK_FRAMES]
        mean = part @ window / window.sum()
        correlation = _autocorrelation((part - mean[:, None]) * window)[:, :lags]
        power = correlation[:, :1]
        # What is left of a constant window is rounding.
        varying = power > 1e-9 * np.square(part * window).sum(axis=1, keepdims=True)
        np.divide(correlation, power, out=correlation, where=varying)
        total += np.where(varying, correlation, 0).sum(axis=0)
    repeats: Floats = total / len(views) / (bias / bias[0])
    return repeats


def _peaks_within(repeats: Floats, rate: float) -> list[int]:
    """List the lags of positive peaks at tempi that are allowed; rate in frames a minute."""
    if len(repeats) < 3:
        return []
    middle = repeats[1:-1]
    lags = 1 + np.flatnonzero((middle > repeats[:-2]) & (middle >= repeats[2:]) & (middle > 0))
    # A period may be half a frame longer or shorter than its lag.
    slow, fast = (lags - 0.5) * MIN_BPM, (lags + 0.5) * MAX_BPM
    short = lags * LEAST_PERIODS <= len(repeats) / LONGEST_LAG
    allowed: list[int] = lags[(slow <= rate) & (rate <= fast) & short].tolist()
    return allowed


def _follow(repeats: Floats, lag: int) -> tuple[float, float]:
    """Refine a period at its multiples; give it and how well they repeat on average."""
    period, strengths = lag + _vertex(repeats, lag), [float(repeats[lag])]
    for multiple in range(2, MULTIPLES + 1):
        expected = round(multiple * period)
        if expected + 3 > len(repeats):
            break
        near = expected - 1 + int(repeats[expected - 1 : expected + 2].argmax())
        strengths.append(max(float(repeats[near]), 0.0))
        if repeats[near - 1] < repeats[near] >= repeats[near + 1]:
            period = (near + _vertex(repeats, near)) / multiple
    return period, sum(strengths) / len(strengths)


def _vertex(values: Floats, index: int) -> float:
    """Put a parabola through a peak and its neighbours; give where it is highest."""
    left, middle, right = values[index - 1 : index + 2].tolist()
    return float((right - left) / 2 / (2 * middle - left - right))
