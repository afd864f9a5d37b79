"""Detect onsets while the sound is still coming, in constant memory for days of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.dsp.signals import LOUDEST, as_mono, as_rate
from audiocli.errors import AudioError, ModelError, UsageError
from audiocli.io.audio.downmix import Downmix
from audiocli.nn.frame_crnn import FrameCRNN
from audiocli.tasks.onsets.detector import OnsetDetector
from audiocli.tasks.onsets.start import HEAD, start_curve

__all__ = ["ENCODINGS", "ONLINE_MODEL", "OnlineDetector", "RawAudio", "open_stream"]

Audio = NDArray[np.float32]

ONLINE_MODEL = "online"
#: How audio files begin that FFmpeg decodes as they come, beside WAV and MPEG audio.
MAGIC = (b"fLaC", b"OggS", b"FORM", b"RF64", b"RIFX", b"RIFF", b".snd", b"caff", b"wvpk", b"riff",
         b"\x1aE\xdf\xa3", b"TTA1")  # fmt: skip
#: What raw audio may consist of: numpy's name of a sample, and its full scale.
ENCODINGS = {"s16le": ("<i2", 2.0**15), "s32le": ("<i4", 2.0**31), "f32le": ("<f4", 1.0)}


class OnlineDetector:
    """A unidirectional detector that is fed block by block.

    Parameters
    ----------
    sample_rate : int
        Of the audio to come, in Hz.
    model : str
        A name or a folder of a model that does not need the future.
    device : str
        As in :func:`audiocli.nn.models.device`.
    threshold, min_gap : float, optional
        As in :class:`Decoder`. Of peaks closer than 30 ms the first counts, since the next
        is not known yet.

    Raises
    ------
    ModelError
        If the model needs the future.

    Examples
    --------
    >>> detector = OnlineDetector(44100)
    >>> noise = np.random.default_rng(0).normal(scale=1e-4, size=44100).astype(np.float32)
    >>> detector.feed(noise) + detector.finish()
    []
    """

    def __init__(
        self,
        sample_rate: int,
        model: str = ONLINE_MODEL,
        *,
        device: str = "auto",
        threshold: float | None = None,
        min_gap: float | None = None,
    ) -> None:
        sample_rate = as_rate(sample_rate)
        detector = OnsetDetector(model, device=device, threshold=threshold, min_gap=min_gap)
        network = detector.network
        if not isinstance(network, FrameCRNN) or network.recurrence.bidirectional:
            raise ModelError(f"{model}: needs the future, so it cannot run online; use 'online'")
        self.network = network
        own = detector.decoder
        self.decoder = replace(own, min_gap=max(own.min_gap, own.combine), combine=0.0)
        config = network.frontend.config
        self.hop, self.n_fft, self.frame_rate = config.hop_length, config.n_fft, config.frame_rate
        self.resampler = (
            soxr.ResampleStream(sample_rate, config.sample_rate, 1, "float32", quality="MQ")
            if sample_rate != config.sample_rate
            else None
        )
        self.audio = np.zeros(self.n_fft // 2, np.float32)
        self.images: Tensor | None = None  # the last frames that convolutions still need
        self.state: tuple[Tensor, Tensor] | None = None
        self.recent = [-1.0, -1.0]  # the two values of the curve before the next
        self.frames = 0  # values of the curve so far
        self.last = -np.inf  # time of the last onset
        self.head = np.zeros(0, np.float32)  # what tells whether an onset is at the very start
        self.early: list[float] | None = []  # the curve until that is known

    @property
    def latency(self) -> float:
        """Seconds from an onset until it is certain, without the time that computing takes.

        One at the very start is certain as soon as 0.14 s have come.
        """
        window = self.n_fft / 2 / self.hop
        return (window + self.network.reach + 1.5) / self.frame_rate

    def feed(self, audio: Audio) -> list[tuple[float, float]]:
        """Hear the next samples.

        Parameters
        ----------
        audio : array_like, shape (samples,) or (1, samples)
            Mono; nothing at all changes nothing.

        Returns
        -------
        list of (float, float)
            Time in seconds and strength of each onset that is now certain.

        Raises
        ------
        AudioError
            If it holds NaN or infinity.
        UsageError
            If it is no mono signal.
        """
        return self._feed(
            as_mono(audio, "audio", empty=True, loudest=LOUDEST).astype(np.float32, copy=False)
        )

    def _feed(self, audio: Audio, *, sounding: bool = True) -> list[tuple[float, float]]:
        if self.resampler is not None:
            audio = self.resampler.resample_chunk(audio)
        if self.early is not None and sounding:
            wanted = round(HEAD * self.network.frontend.config.sample_rate) - len(self.head)
            self.head = np.concatenate([self.head, audio[:wanted]])
        self.audio = np.concatenate([self.audio, audio])
        count = 1 + (len(self.audio) - self.n_fft) // self.hop
        if count < 1:
            return []
        heard = self.audio[: (count - 1) * self.hop + self.n_fft]
        self.audio = self.audio[count * self.hop :]
        where = next(self.network.parameters()).device
        with torch.inference_mode():
            images = self.network.images(torch.from_numpy(heard).to(where).unsqueeze(0))
        return self._see(images)

    def finish(self) -> list[tuple[float, float]]:
        """Say that nothing more will come, and get what was not yet certain."""
        onsets: list[tuple[float, float]] = []
        if self.resampler is not None:
            rest = self.resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            self.resampler = None
            onsets += self._feed(rest)
        onsets += self._feed(np.zeros(self.n_fft // 2, np.float32), sounding=False)
        if self.images is not None:
            onsets += self._see(self.images[..., -1:].expand(-1, -1, -1, self.network.reach))
        return onsets + self._taken([], last=True) + self._pick(-1.0)

    def _see(self, images: Tensor) -> list[tuple[float, float]]:
        reach = self.network.reach
        if self.images is None:  # the first frame again and again, as offline
            self.images = images[..., :1].expand(-1, -1, -1, reach)
        self.images = torch.cat([self.images, images], dim=-1)
        if self.images.shape[-1] <= 2 * reach:
            return []
        with torch.inference_mode():
            logits, self.state = self.network.advance(self.images, self.state)
        self.images = self.images[..., -2 * reach :]
        curve = torch.sigmoid(logits[0, 0]).cpu().numpy()
        return self._taken(curve.tolist())

    def _taken(self, values: list[float], *, last: bool = False) -> list[tuple[float, float]]:
        """Take the next values of the curve; the first wait until the start is known."""
        if self.early is not None:
            self.early += values
            rate = self.network.frontend.config.sample_rate
            if not last and len(self.head) < round(HEAD * rate):
                return []
            start = start_curve(self.network, self.head).tolist()
            raised = [max(pair) for pair in zip(self.early, start, strict=False)]
            values, self.early = raised + self.early[len(raised) :], None
        return [onset for value in values for onset in self._pick(value)]

    def _pick(self, value: float) -> list[tuple[float, float]]:
        """Take the next value of the curve; the one before it may now be known for a peak."""
        left, here = self.recent
        self.recent = [here, value]
        self.frames += 1
        if here < self.decoder.threshold or here <= left or here < value:
            return []
        bend = left - 2 * here + value
        shift = 0.5 * (left - value) / bend if left >= 0 and value >= 0 and bend < 0 else 0.0
        time = max((self.frames - 2 + shift) / self.frame_rate, 0.0)
        if time - self.last < self.decoder.min_gap:
            return []
        self.last = time
        return [(time, here)]


@dataclass(frozen=True)
class RawAudio:
    """What the bytes of a pipe mean that has no header.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    channels : int
        Interleaved.
    encoding : str
        One of ``ENCODINGS``.

    Raises
    ------
    UsageError
        On a value that cannot be.

    Examples
    --------
    >>> RawAudio().encoding
    's16le'
    """

    sample_rate: int = 44_100
    channels: int = 1
    encoding: str = "s16le"

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise UsageError(f"unknown encoding {self.encoding!r}; use {', '.join(ENCODINGS)}")
        if self.sample_rate < 4000 or self.channels < 1:
            raise UsageError("raw audio has a sample rate of 4000 Hz or more, and a channel")


def open_stream(stream: BinaryIO, raw: RawAudio) -> tuple[RawAudio, Iterator[Audio]]:
    """Read mono audio from a pipe as it comes: an audio file, or raw samples.

    Parameters
    ----------
    stream : binary file
        Read in small pieces, and never back.
    raw : RawAudio
        What the bytes mean if they do not begin like an audio file.

    Returns
    -------
    form : RawAudio
        What the bytes do mean.
    blocks : iterator of ndarray, shape (samples,)
        Mono, full scale 1.0, as soon as they are there.

    Raises
    ------
    AudioError
        If there is nothing, or an audio file that cannot be decoded without seeking.

    Examples
    --------
    >>> import io
    >>> form, blocks = open_stream(io.BytesIO(bytes(8)), RawAudio())
    >>> [len(block) for block in blocks]
    [4]
    """
    start = _exactly(stream, 12)
    if start[:4] == b"RIFF" and start[8:] == b"WAVE":
        return _wav(stream, start)
    if len(start) == 12 and _is_container(start):
        return _decoded(stream, start)
    return raw, _blocks(stream, raw, start)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


def _is_container(start: bytes) -> bool:
    """Tell whether bytes begin an audio file of a known kind, and not raw samples."""
    if start[:4] in MAGIC or start[:3] == b"ID3" or start[4:8] == b"ftyp":
        return True
    # An MPEG frame: eleven bits set, then a version, layer, bit rate and sample rate that exist.
    head = int.from_bytes(start[:4], "big")
    if head >> 21 != 0x7FF:
        return False
    version, layer = head >> 19 & 3, head >> 17 & 3
    return version != 1 and layer != 0 and head >> 12 & 15 not in (0, 15) and head >> 10 & 3 != 3


class _Pipe:
    """A stream whose first bytes were read; FFmpeg reads on from them and never seeks."""

    def __init__(self, stream: BinaryIO, start: bytes) -> None:
        self._start = start
        self._read = getattr(stream, "read1", stream.read)

    def read(self, size: int) -> bytes:
        if self._start:
            given, self._start = self._start[:size], self._start[size:]
            return given
        more: bytes = self._read(size)
        return more


def _decoded(stream: BinaryIO, start: bytes) -> tuple[RawAudio, Iterator[Audio]]:
    """Decode FLAC, MP3, AIFF, Ogg, RF64 and what else FFmpeg reads without seeking."""
    import av  # half as long to import as all the rest

    try:
        container = av.open(_Pipe(stream, start), "r", options={"probesize": "65536"})
        if not container.streams.audio:
            raise AudioError("standard input: holds no audio")
        source = container.streams.audio[0]
        form = RawAudio(int(source.rate), int(source.channels), "f32le")
        converter = av.AudioResampler(format="fltp", layout=source.layout, rate=source.rate)
    except (av.FFmpegError, ValueError) as error:
        raise AudioError(
            f"standard input: cannot be decoded as it comes ({error}); send WAV, FLAC, MP3 or "
            "AIFF, or leave out --online"
        ) from error

    def blocks() -> Iterator[Audio]:
        mixer, done = Downmix(form.channels, form.sample_rate, live=True), 0
        try:
            for frame in container.decode(source):
                for part in converter.resample(frame):
                    for mixed in mixer.push(part.to_ndarray().astype(np.float32)):
                        done += mixed.shape[1]
                        yield mixed[0]
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(
                f"standard input: is damaged or truncated: decoding stops after "
                f"{done / form.sample_rate:.2f} s ({error})"
            ) from error
        if not done:
            raise AudioError("standard input: holds no samples")

    return form, blocks()


def _wav(stream: BinaryIO, seen: bytes) -> tuple[RawAudio, Iterator[Audio]]:
    """Walk the chunks of a WAV header up to the samples; FFmpeg decodes other kinds of these."""
    form: RawAudio | None = None
    while len(header := _exactly(stream, 8)) == 8:
        name, size = header[:4], struct.unpack("<I", header[4:])[0]
        if name == b"data" and form is not None:
            return form, _blocks(stream, form, b"", None if _unfilled(size) else size)
        body = _exactly(stream, size + size % 2)
        seen += header + body
        if name == b"fmt " and len(body) >= 16:
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if kind == 0xFFFE and len(body) >= 26:  # the extensible form keeps its kind further on
                kind = struct.unpack("<H", body[24:26])[0]
            encoding = {(1, 16): "s16le", (1, 32): "s32le", (3, 32): "f32le"}.get((kind, bits))
            if encoding is None:
                return _decoded(stream, seen)
            form = RawAudio(rate, channels, encoding)
    raise AudioError("standard input: ends in the middle of a WAV header")


def _unfilled(size: int) -> bool:
    """Tell whether a header was written before the length was known."""
    return size == 0 or size >= 0xFFFF0000 or 0x7FFF0000 <= size <= 0x80000000


def _blocks(
    stream: BinaryIO, form: RawAudio, start: bytes, size: int | None = None
) -> Iterator[Audio]:
    """Read samples up to the end, or `size` bytes: other chunks may follow those of a WAV."""
    dtype, full_scale = ENCODINGS[form.encoding]
    frame = np.dtype(dtype).itemsize * form.channels
    read = getattr(stream, "read1", stream.read)  # what is there, not all that was asked for
    mixer = None
    if form.channels > 1:
        mixer = Downmix(form.channels, form.sample_rate, live=True)
    pending, done = start, False
    while True:
        whole = len(pending) - len(pending) % frame
        if whole:
            samples = np.frombuffer(pending[:whole], dtype).reshape(-1, form.channels)
            if mixer is None:
                yield (samples[:, 0] / full_scale).astype(np.float32)
            else:
                scaled = (samples.T / full_scale).astype(np.float32)
                yield from (mixed[0] for mixed in mixer.push(scaled))
            pending, done = pending[whole:], True
        more = read(16_384 if size is None else min(16_384, size))
        if not more and not done and not pending:
            raise AudioError("standard input: is empty; pipe audio into it")
        if not more:
            return
        if size is not None:
            size -= len(more)
        pending += more
