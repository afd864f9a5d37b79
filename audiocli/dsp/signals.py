"""What callers may pass as audio, and what becomes of it: one gate for every entry from Python.

Inside, audio is float32 of shape (channels, samples) with full scale 1.0, and a sample rate is an
``int`` in Hz. Other libraries have other conventions, and an array does not say which it follows:

- **One dimension** is mono, as librosa and torchaudio's ``waveform[0]`` have it.
- **Two dimensions** are (channels, samples), or (samples, channels) as soundfile and scipy have it.
  There are at most 8 channels, so one side that is longer tells which. What both could be is
  refused as a whole signal; a block of a stream, which may be that short, is (channels, samples).
- **Integers** are divided by their full scale: 8 bits without a sign (around 128), 8, 16 and 32
  bits with a sign. 64 bits are what numpy makes of a list of numbers and say nothing of the scale,
  so they are refused.
- **float16, float64 and longer** become float32.
- **NaN, infinity, nothing at all**, samples beyond a million times full scale, and whatever is no
  array of numbers, are refused: no network and no formula answers them with anything but nonsense.
- **A sample rate** is a whole number of Hz from 4000 to 192000, of any type.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import AudioError, UsageError

__all__ = [
    "HIGHEST_RATE",
    "LOUDEST",
    "LOWEST_RATE",
    "MAX_CHANNELS",
    "Gate",
    "as_audio",
    "as_blocks",
    "as_mono",
    "as_rate",
]

Audio = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]

MAX_CHANNELS = 8
LOWEST_RATE, HIGHEST_RATE = 4000, 192_000
#: Louder samples than these are no sound, and their powers would not fit into float32.
LOUDEST = 1e6
FLOAT32_MAX = float(np.finfo(np.float32).max)
#: Zero and full scale of the integers that audio comes in.
SCALES = {"uint8": (128, 2.0**7), "int8": (0, 2.0**7), "int16": (0, 2.0**15), "int32": (0, 2.0**31)}


def as_rate(sample_rate: float, name: str = "sample_rate") -> int:
    """Check a sample rate.

    Parameters
    ----------
    sample_rate : int or float
        In Hz.
    name : str
        What messages call it.

    Returns
    -------
    int

    Raises
    ------
    UsageError
        If it is no whole number from 4000 to 192000.

    Examples
    --------
    >>> as_rate(22050.0)
    22050
    """
    try:
        value = float(sample_rate) if not isinstance(sample_rate, bool | str | bytes) else math.nan
    except (TypeError, ValueError):
        value = math.nan
    if not value.is_integer() or not LOWEST_RATE <= value <= HIGHEST_RATE:
        raise UsageError(
            f"{name} {sample_rate!r}: must be a whole number of Hz from {LOWEST_RATE} to "
            f"{HIGHEST_RATE}; pass the rate that the audio was read with"
        )
    return int(value)


def as_audio(signal: Any, name: str = "audio", *, keep_double: bool = False) -> Audio:
    """Make audio of what a caller passes.

    Parameters
    ----------
    signal : array_like
        See the module's page for what is taken.
    name : str
        What messages call it.
    keep_double : bool
        Leave float64 as it is.

    Returns
    -------
    ndarray of float32, shape (channels, samples)
        The same array where it is that already.

    Raises
    ------
    AudioError
        If it holds NaN, infinity or nothing.
    UsageError
        If it is no array of samples, or its shape may mean either of two things.

    Examples
    --------
    >>> as_audio(np.array([0, 16384], np.int16)).tolist()
    [[0.0, 0.5]]
    >>> as_audio(np.zeros((1000, 2))).shape
    (2, 1000)
    """
    audio = Gate(name, keep_double=keep_double, whole=True).take(signal)
    if not audio.size:
        raise _nothing(name)
    return audio


def as_blocks(blocks: Any, name: str = "blocks") -> Iterator[Audio]:
    """Make blocks of audio of what a caller streams, one by one.

    Parameters
    ----------
    blocks : iterable of array_like
        Consecutive pieces of one recording. A single array is taken for the whole of it.
    name : str
        What messages call them.

    Yields
    ------
    ndarray of float32, shape (channels, samples)
        Those that hold samples; all with as many channels as the first.

    Raises
    ------
    AudioError
        If one holds NaN or infinity, or none holds a sample.
    UsageError
        If they are no arrays of samples, or not all of as many channels.

    Examples
    --------
    >>> [block.shape for block in as_blocks([np.zeros(3), np.zeros((1, 2), np.float32)])]
    [(1, 3), (1, 2)]
    """
    if isinstance(blocks, str | bytes):
        raise UsageError(f"{name}: text is no audio; read a file by audiocli.read")
    if hasattr(blocks, "__array__"):
        blocks = [as_audio(blocks, name)]
    if not isinstance(blocks, Iterable):
        raise UsageError(f"{name}: {_described(blocks)} is no iterable of arrays")
    gate = Gate(name)
    for block in blocks:
        audio = gate.take(block)
        if audio.size:
            yield audio
    if gate.channels is None:
        raise _nothing(name)


def as_mono(
    signal: Any, name: str = "signal", *, empty: bool = False, loudest: float = FLOAT32_MAX
) -> Floats:
    """Make one channel of what a caller passes to a function on a mono signal.

    Parameters
    ----------
    signal : array_like, shape (samples,), (1, samples) or (samples, 1)
    name : str
        What messages call it.
    empty : bool
        Whether it may hold nothing.
    loudest : float
        Any finite level by default: behind a filter or a resampler samples may be a little above
        what is refused elsewhere.

    Returns
    -------
    ndarray, shape (samples,)
        float64 stays float64; all else becomes float32.

    Raises
    ------
    AudioError
        If it holds NaN or infinity, or nothing.
    UsageError
        If it is no array of samples, or has several channels.

    Examples
    --------
    >>> as_mono(np.zeros((1, 4))).shape
    (4,)
    """
    values = _floats(signal, name, keep_double=True, loudest=loudest)
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    if values.ndim != 1:
        raise UsageError(
            f"{name}: has shape {values.shape}, and must be one channel, (samples,); average the "
            "channels, or pass one of them"
        )
    if not len(values) and not empty:
        raise _nothing(name)
    return values


class Gate:
    """Checks consecutive blocks of one recording; they all lie as the first one does.

    Parameters
    ----------
    name : str
        What messages call them.
    keep_double : bool
        Leave float64 as it is.
    whole : bool
        Whether a block is all there is, so that (2, 2) may mean either.

    Examples
    --------
    >>> gate = Gate("block")
    >>> gate.take(np.zeros((100, 2))).shape, gate.take(np.zeros((2, 2))).shape
    ((2, 100), (2, 2))
    """

    def __init__(self, name: str, *, keep_double: bool = False, whole: bool = False) -> None:
        self.name, self.keep_double, self.whole = name, keep_double, whole
        self.channels: int | None = None
        self.transposed = False

    def take(self, block: Any) -> Audio:
        """Make the next block (channels, samples); one without samples has any channels."""
        values = _floats(block, self.name, keep_double=self.keep_double)
        if values.ndim == 1:
            values = values[np.newaxis]
        elif values.ndim != 2:
            raise UsageError(
                f"{self.name}: has shape {values.shape}, and must be (channels, samples), or "
                "(samples,) for mono; pass one recording at a time"
            )
        elif not values.size:
            return np.zeros((self.channels or 1, 0), np.float32)
        elif self._is_transposed(values.shape[0], values.shape[1]):
            values = np.ascontiguousarray(values.T)
        if self.channels is None and values.size:
            self.channels = values.shape[0]
        if values.size and values.shape[0] != self.channels:
            raise UsageError(
                f"{self.name}: a block has {values.shape[0]} channels after one of "
                f"{self.channels}; all must have the same"
            )
        return values

    def _is_transposed(self, rows: int, columns: int) -> bool:
        """Tell whether a block is (samples, channels), by itself or by those before it."""
        if self.channels is not None:
            fits = rows == self.channels, columns == self.channels
            return fits[1] if fits[0] != fits[1] else self.transposed
        if rows > MAX_CHANNELS and columns > MAX_CHANNELS:
            raise UsageError(
                f"{self.name}: has shape ({rows}, {columns}), and there are at most {MAX_CHANNELS} "
                "channels; pass (channels, samples)"
            )
        if self.whole and 1 < rows <= MAX_CHANNELS and columns <= rows:
            raise UsageError(
                f"{self.name}: shape ({rows}, {columns}) may be (channels, samples) or (samples, "
                "channels); pass more samples at a time, or a channel by itself as (samples,)"
            )
        self.transposed = rows > MAX_CHANNELS
        return self.transposed


def _floats(
    values: Any, name: str, *, keep_double: bool = False, loudest: float = LOUDEST
) -> Floats:
    """Make finite floating point numbers of full scale 1.0."""
    try:
        array = np.asarray(values)
    except Exception as error:  # whatever a foreign object's own conversion may raise
        raise UsageError(f"{name}: {_described(values)} is no array of samples: {error}") from error
    # The name of a type takes numpy as long as to look at a thousand samples.
    kind = "" if array.dtype.kind == "f" else array.dtype.name
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # refused below
            double = keep_double and array.dtype.itemsize > 4
            made: Floats = array.astype(np.float64 if double else np.float32, copy=False)
    elif kind in SCALES:
        zero, scale = SCALES[kind]
        made = ((array.astype(np.float64) - zero) / scale).astype(np.float32)
    elif array.dtype.kind in "iu" and array.size:
        raise UsageError(
            f"{name}: {kind} says nothing of its full scale; pass int16 or int32, or divide by "
            "full scale, as in (samples / 32768).astype('float32')"
        )
    elif not array.size and array.dtype.kind in "iu":
        made = array.astype(np.float32)
    else:
        raise UsageError(
            f"{name}: {_described(values)} is no array of samples; read a file by audiocli.read"
        )
    if made.ndim == 0:
        raise UsageError(f"{name}: is a single number; pass an array of samples")
    # Two passes without a copy; NaN goes through both, so that it fails the comparison.
    if made.size and not (-loudest <= made.min() and made.max() <= loudest):
        raise _no_sound(made, name, loudest)
    return made


def _no_sound(values: Floats, name: str, loudest: float) -> AudioError:
    """Say which sample is none."""
    finite = np.isfinite(values)
    bad = ~finite if not finite.all() else np.abs(values) > loudest
    first = tuple(np.argwhere(bad)[0].tolist())
    place = ", ".join(map(str, first))
    if not finite.all():
        return AudioError(
            f"{name}: holds NaN or infinity, first at [{place}]; every sample must be a finite "
            "float32: repair it, say by numpy.nan_to_num"
        )
    return AudioError(
        f"{name}: holds {values[first]:g} at [{place}]; full scale is 1.0: divide integers by "
        "theirs, as in samples / 32768"
    )


def _nothing(name: str) -> AudioError:
    return AudioError(f"{name}: holds no samples; there is nothing to analyse")


def _described(value: object) -> str:
    """Say what a value is, for messages."""
    dtype = getattr(value, "dtype", None)
    kind = type(value).__name__
    return f"{kind} of {dtype}" if dtype is not None else f"a value of type {kind}"
