"""Frames: cutting signals, windows, and the spectra of frames.

Framing is centred, as in librosa with ``center=True``: frame `t` has its middle at sample
`t * hop_length`, and the signal is continued at both ends by half a frame. :class:`Framer` does
this for a stream, block by block, and gives the frames that the whole signal would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiocli.dsp.signals import as_mono
from audiocli.errors import UsageError

__all__ = [
    "WINDOWS",
    "Framer",
    "Framing",
    "frame",
    "frequencies",
    "hamming",
    "hann",
    "magnitude_spectrum",
    "pad_centred",
    "power_spectrum",
    "rectangular",
]

Floats = NDArray[np.floating[Any]]
PadMode = Literal["constant", "edge"]

#: Samples that are transformed at a time. Input and output of such a chunk, 0.5 MB each, stay near
#: to the core; the whole of a minute at once takes twice the time.
CHUNK = 2**16


@dataclass(frozen=True)
class Framing:
    """How a signal is cut into frames, in samples.

    Parameters
    ----------
    frame_length : int
        Length of a frame.
    hop_length : int
        Distance from one frame to the next.

    Raises
    ------
    UsageError
        If one of them is below 1.

    Examples
    --------
    >>> Framing(frame_length=2048, hop_length=512).count(22050)
    44
    """

    frame_length: int = 2048
    hop_length: int = 512

    def __post_init__(self) -> None:
        for name in ("frame_length", "hop_length"):
            if getattr(self, name) < 1:
                raise UsageError(f"framing: {name} is {getattr(self, name)}; use 1 sample or more")

    @property
    def margin(self) -> int:
        """Samples by which centred framing continues the signal at each end."""
        return self.frame_length // 2

    def count(self, samples: int) -> int:
        """Count the frames of centred framing.

        Parameters
        ----------
        samples : int
            Length of the signal.

        Returns
        -------
        int
            Number of frames. An empty signal has none.

        Examples
        --------
        >>> [Framing(4, 2).count(samples) for samples in range(5)]
        [0, 1, 2, 2, 3]
        """
        if samples == 0:
            return 0
        return 1 + (samples + 2 * self.margin - self.frame_length) // self.hop_length


def frame(signal: Floats, frame_length: int, hop_length: int) -> Floats:
    """Cut a signal into frames that start at 0, `hop_length`, 2 `hop_length`, ...

    Parameters
    ----------
    signal : ndarray, shape (samples,)
        The signal. What does not fill a frame at its end is left out; for
        centred framing, :func:`pad_centred` goes before.
    frame_length, hop_length : int
        In samples.

    Returns
    -------
    ndarray, shape (frames, frame_length)
        A read-only view of the signal: nothing is copied.

    Examples
    --------
    >>> frame(np.arange(6.0), frame_length=4, hop_length=2)
    array([[0., 1., 2., 3.],
           [2., 3., 4., 5.]])
    """
    return _windows(as_mono(signal, empty=True), frame_length, hop_length)


def _windows(signal: Floats, frame_length: int, hop_length: int) -> Floats:
    """Do as :func:`frame`, without looking at the samples."""
    if len(signal) < frame_length:
        return np.empty((0, frame_length), signal.dtype)
    return sliding_window_view(signal, frame_length)[::hop_length]


def pad_centred(signal: Floats, frame_length: int, mode: PadMode = "constant") -> Floats:
    """Continue a signal by half a frame at both ends.

    Parameters
    ----------
    signal : ndarray, shape (samples,)
        The signal. An empty one stays empty.
    frame_length : int
        In samples.
    mode : {"constant", "edge"}
        Continue with zeros, as for spectra and energies, or with the first
        and the last sample, as for the zero-crossing rate.

    Returns
    -------
    ndarray, shape (samples + 2 (frame_length // 2),)
        The signal with its margins.

    Examples
    --------
    >>> pad_centred(np.array([1.0, 2.0, 3.0]), frame_length=4)
    array([0., 0., 1., 2., 3., 0., 0.])
    >>> pad_centred(np.array([1.0, 2.0, 3.0]), frame_length=4, mode="edge")
    array([1., 1., 1., 2., 3., 3., 3.])
    """
    signal = as_mono(signal, empty=True)
    return np.pad(signal, frame_length // 2, mode=mode) if len(signal) else signal


class Framer:
    """Centred framing of a stream that comes in blocks of any size.

    All frames together are exactly those of
    ``frame(pad_centred(signal, frame_length, mode), frame_length, hop_length)`` for the whole
    signal. No more is kept than one frame and one block.

    Parameters
    ----------
    framing : Framing
        Length of a frame and hop.
    mode : {"constant", "edge"}
        How the signal is continued at its ends, see :func:`pad_centred`.

    Examples
    --------
    >>> framer = Framer(Framing(frame_length=4, hop_length=2))
    >>> framer.push(np.array([1.0, 2.0, 3.0]))
    array([[0., 0., 1., 2.]])
    >>> framer.push(np.array([4.0]))
    array([[1., 2., 3., 4.]])
    >>> framer.flush()
    array([[3., 4., 0., 0.]])
    """

    def __init__(self, framing: Framing, mode: PadMode = "constant") -> None:
        self.framing = framing
        self.mode = mode
        self._buffer: Floats | None = None  # from where the next frame begins
        self._skip = 0  # samples still to come before the next frame begins: hop > frame length
        self._last: Floats = np.zeros(1, np.float32)  # the last sample of the block before

    def push(self, block: Floats) -> Floats:
        """Take in the next block and give the frames that it completes.

        Parameters
        ----------
        block : ndarray, shape (samples,)
            Of any length, also none.

        Returns
        -------
        ndarray, shape (frames, frame_length)
            A read-only view, which later blocks leave as it is; often with
            no frames.
        """
        block = as_mono(block, "block", empty=True)
        if not len(block):
            return np.empty((0, self.framing.frame_length), block.dtype)
        if self._buffer is None:
            self._buffer = self._margin(block[:1])
        self._last = block[-1:].copy()
        return self._cut(block)

    def flush(self) -> Floats:
        """End the signal and give the frames that reach over its end.

        Returns
        -------
        ndarray, shape (frames, frame_length)
            The last frames. The framer is then ready for another signal.
        """
        if self._buffer is None:
            return np.empty((0, self.framing.frame_length), self._last.dtype)
        frames = self._cut(self._margin(self._last))
        self._buffer, self._skip = None, 0
        return frames

    def last(self, block: Floats) -> Floats:
        """Take in the last block and give all that is left: `push` and `flush` in one.

        Parameters
        ----------
        block : ndarray, shape (samples,)
            Of any length, also none.

        Returns
        -------
        ndarray, shape (frames, frame_length)
            The last frames. The framer is then ready for another signal.
        """
        block = as_mono(block, "block", empty=True)
        if not len(block):
            return self.flush()
        if self._buffer is None:
            self._buffer = self._margin(block[:1])
        frames = self._cut(np.concatenate([block, self._margin(block[-1:])]))
        self._buffer, self._skip = None, 0
        return frames

    def over(self, blocks: Iterable[Floats]) -> Iterator[Floats]:
        """Frame a whole stream.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (samples,)
            The stream.

        Yields
        ------
        ndarray, shape (frames, frame_length)
            What each block completes, and at last what reaches over the end;
            never empty.

        Examples
        --------
        >>> blocks = [np.ones(3000, np.float32), np.ones(100, np.float32)]
        >>> [len(frames) for frames in Framer(Framing(2048, 512)).over(blocks)]
        [4, 1, 2]
        """
        for block in blocks:
            frames = self.push(block)
            if len(frames):
                yield frames
        frames = self.flush()
        if len(frames):
            yield frames

    def _margin(self, sample: Floats) -> Floats:
        """Make what continues the signal next to this sample, (1,)."""
        value = sample if self.mode == "edge" else np.zeros_like(sample)
        return np.repeat(value, self.framing.margin)

    def _cut(self, more: Floats) -> Floats:
        """Put samples to the buffer and cut off the frames that are complete."""
        assert self._buffer is not None  # both callers have seen to it
        skipped = min(self._skip, len(more))
        self._skip -= skipped
        buffer = np.concatenate([self._buffer, more[skipped:]])
        frames = _windows(buffer, self.framing.frame_length, self.framing.hop_length)
        start = len(frames) * self.framing.hop_length  # of the next frame
        self._skip += max(start - len(buffer), 0)
        self._buffer = buffer[start:]
        return frames


def hann(length: int) -> Floats:
    """Make a Hann window, 0.5 - 0.5 cos(2 pi n / length).

    Parameters
    ----------
    length : int
        In samples. The window is periodic: the sample after the last would
        be the first again, as is right for spectra.

    Returns
    -------
    ndarray of float64, shape (length,)
        The window.

    Examples
    --------
    >>> hann(4)
    array([0. , 0.5, 1. , 0.5])
    """
    return _cosine(length, 0.5)


def hamming(length: int) -> Floats:
    """Make a Hamming window, 0.54 - 0.46 cos(2 pi n / length), periodic.

    Parameters
    ----------
    length : int
        In samples.

    Returns
    -------
    ndarray of float64, shape (length,)
        The window.

    Examples
    --------
    >>> hamming(4)
    array([0.08, 0.54, 1.  , 0.54])
    """
    return _cosine(length, 0.54)


def rectangular(length: int) -> Floats:
    """Make a rectangular window: ones.

    Parameters
    ----------
    length : int
        In samples.

    Returns
    -------
    ndarray of float64, shape (length,)
        The window.

    Examples
    --------
    >>> rectangular(3)
    array([1., 1., 1.])
    """
    return np.ones(length)


def _cosine(length: int, mean: float) -> Floats:
    """Make the raised cosine of this mean that reaches up to 1."""
    phase = 2 * np.pi * np.arange(length) / length
    window: Floats = mean - (1 - mean) * np.cos(phase)
    return window


#: The windows by name; each takes its length in samples.
WINDOWS: dict[str, Callable[[int], Floats]] = {
    "hann": hann,
    "hamming": hamming,
    "rectangular": rectangular,
}


def frequencies(n_fft: int, sample_rate: float) -> Floats:
    """Give the frequencies of a spectrum's bins, k sample_rate / n_fft.

    Parameters
    ----------
    n_fft : int
        Length of the transform, in samples.
    sample_rate : float
        In Hz.

    Returns
    -------
    ndarray, shape (n_fft // 2 + 1,)
        In Hz, from 0 up to half the sample rate.

    Examples
    --------
    >>> frequencies(4, 8000)
    array([   0., 2000., 4000.], dtype=float32)
    """
    return (np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)).astype(np.float32)


def power_spectrum(frames: Floats, window: Floats, n_fft: int | None = None) -> Floats:
    """Transform frames into power spectra, |DFT(window * frame)|^2.

    Nothing is scaled: a sine of amplitude 1 in the middle of a bin has the
    power (sum(window) / 2)^2 there.

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        The frames.
    window : ndarray, shape (frame_length,)
        The window.
    n_fft : int, optional
        Length of the transform: frames are filled up with zeros. The length
        of the frames unless given.

    Returns
    -------
    ndarray, shape (frames, n_fft // 2 + 1)
        Power, float32. Silence has 0.

    Raises
    ------
    UsageError
        If `n_fft` is shorter than the frames.

    Examples
    --------
    >>> power_spectrum(np.ones((1, 4), np.float32), hann(4))
    array([[4., 1., 0.]], dtype=float32)
    """
    return _spectra(frames, window, n_fft, _power)


def magnitude_spectrum(frames: Floats, window: Floats, n_fft: int | None = None) -> Floats:
    """Transform frames into magnitude spectra, |DFT(window * frame)|.

    The magnitude of librosa's `stft` for the same centred frames.

    Parameters
    ----------
    frames, window, n_fft
        As for :func:`power_spectrum`.

    Returns
    -------
    ndarray, shape (frames, n_fft // 2 + 1)
        Magnitude, float32. Silence has 0.

    Raises
    ------
    UsageError
        If `n_fft` is shorter than the frames.

    Examples
    --------
    >>> magnitude_spectrum(np.ones((1, 4), np.float32), hann(4))
    array([[2., 1., 0.]], dtype=float32)
    """
    return _spectra(frames, window, n_fft, _magnitude)


def _power(transform: NDArray[np.complex128], out: Floats) -> None:
    # Rounded first, each by a part of itself, they are squared in half the time.
    parts = transform.view(np.float64).astype(np.float32)
    np.square(parts, out=parts)
    np.add(parts[:, ::2], parts[:, 1::2], out=out)


def _magnitude(transform: NDArray[np.complex128], out: Floats) -> None:
    np.abs(transform, out=out, casting="same_kind")


def _spectra(
    frames: Floats,
    window: Floats,
    n_fft: int | None,
    measure: Callable[[NDArray[np.complex128], Floats], None],
) -> Floats:
    """Transform frames chunk by chunk, and measure each transform.

    In double precision: the rounding of float32 would fill what is empty, as the top of a sound
    that was resampled, up to 120 dB below the peak, and valleys there would be too high.
    """
    frame_length = frames.shape[1]
    n_fft = frame_length if n_fft is None else n_fft
    if n_fft < frame_length:
        raise UsageError(
            f"n_fft {n_fft} is shorter than the frames of {frame_length} samples; "
            f"use {frame_length} or more"
        )
    spectra = np.empty((len(frames), n_fft // 2 + 1), np.float32)
    size = max(1, CHUNK // n_fft)
    # One buffer for all chunks; what lies behind the frames stays zero.
    buffer = np.zeros((min(size, len(frames)), n_fft))
    for start in range(0, len(frames), size):
        part = frames[start : start + size]
        windowed = buffer[: len(part)]
        np.multiply(part, window, out=windowed[:, :frame_length], dtype=np.float64)
        measure(np.fft.rfft(windowed, axis=1), spectra[start : start + size])
    return spectra
