"""Detect onsets in a live stream, in constant memory for days of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.dsp.signals import LOUDEST, as_mono, as_rate
from audiocli.errors import ModelError
from audiocli.io.audio.downmix import Downmix, full_range_channels, without_effects
from audiocli.io.audio.piped import ENCODINGS, RawAudio, open_piped
from audiocli.nn.frame_crnn import FrameCRNN
from audiocli.nn.threads import single_threaded
from audiocli.tasks.onsets.detector import OnsetDetector
from audiocli.tasks.onsets.start import HEAD, start_activations

__all__ = ["ENCODINGS", "ONLINE_MODEL", "OnlineDetector", "RawAudio", "open_stream"]

Audio = NDArray[np.float32]

ONLINE_MODEL = "online"


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
        self.recent = [-1.0, -1.0]  # the two activations before the next
        self.frames = 0  # activations so far
        self.last = -np.inf  # time of the last onset
        self.head = np.zeros(0, np.float32)  # what tells whether an onset is at the very start
        self.early: list[float] | None = []  # the activations until that is known

    @property
    def latency(self) -> float:
        """Seconds from an onset until it is certain, without the time that computing takes.

        One at the very start is certain as soon as 0.14 s have come.
        """
        window = self.n_fft / 2 / self.hop
        return (window + self.network.reach + 1.5) / self.frame_rate

    def feed(self, audio: Audio) -> list[tuple[float, float]]:
        """Process the next samples.

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
        inputs = self.audio[: (count - 1) * self.hop + self.n_fft]
        self.audio = self.audio[count * self.hop :]
        where = next(self.network.parameters()).device
        with single_threaded(), torch.inference_mode():
            images = self.network.images(torch.from_numpy(inputs).to(where).unsqueeze(0))
        return self._process(images)

    def finish(self) -> list[tuple[float, float]]:
        """End the stream, and return the onsets that were not yet certain."""
        onsets: list[tuple[float, float]] = []
        if self.resampler is not None:
            rest = self.resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            self.resampler = None
            onsets += self._feed(rest)
        onsets += self._feed(np.zeros(self.n_fft // 2, np.float32), sounding=False)
        if self.images is not None:
            onsets += self._process(self.images[..., -1:].expand(-1, -1, -1, self.network.reach))
        return onsets + self._taken([], last=True) + self._pick(-1.0)

    def _process(self, images: Tensor) -> list[tuple[float, float]]:
        reach = self.network.reach
        if self.images is None:  # the first frame again and again, as offline
            self.images = images[..., :1].expand(-1, -1, -1, reach)
        self.images = torch.cat([self.images, images], dim=-1)
        if self.images.shape[-1] <= 2 * reach:
            return []
        with single_threaded(), torch.inference_mode():
            logits, self.state = self.network.advance(self.images, self.state)
        self.images = self.images[..., -2 * reach :]
        return self._taken(torch.sigmoid(logits[0, 0]).cpu().tolist())

    def _taken(self, values: list[float], *, last: bool = False) -> list[tuple[float, float]]:
        """Take the next activations; the first wait until the start is known."""
        if self.early is not None:
            self.early += values
            rate = self.network.frontend.config.sample_rate
            if not last and len(self.head) < round(HEAD * rate):
                return []
            start = start_activations(self.network, self.head).tolist()
            raised = [max(pair) for pair in zip(self.early, start, strict=False)]
            values, self.early = raised + self.early[len(raised) :], None
        return [onset for value in values for onset in self._pick(value)]

    def _pick(self, value: float) -> list[tuple[float, float]]:
        """Take the next activation; the one before it may now be known for a peak."""
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


def open_stream(stream: BinaryIO, raw: RawAudio) -> tuple[RawAudio, Iterator[Audio]]:
    """Read mono blocks (samples,) of an audio file or raw samples from a pipe as they come.

    A channel for effects (LFE) is left out, where the file names its speakers.
    """
    form, blocks = open_piped(stream, raw)
    channels = len(full_range_channels(form.layout)) or form.channels
    return form, _mono(without_effects(blocks, form.layout), channels, form.sample_rate)


def _mono(blocks: Iterator[Audio], channels: int, sample_rate: int) -> Iterator[Audio]:
    if channels == 1:
        yield from (block[0] for block in blocks)
        return
    mixer = Downmix(channels, sample_rate, live=True)
    for block in blocks:
        yield from (mixed[0] for mixed in mixer.push(block))
