"""Separate while the sound is still coming, in constant memory for days of it.

Each window of the transform is masked as soon as it is full and added to what came before, so a
sample is final one window after it came. Where the sample rate is not the network's, the filters of
two resamplers come on top; :attr:`LiveSeparator.latency` says how much altogether.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from audiocli.dsp.signals import as_rate
from audiocli.errors import ModelError, UsageError
from audiocli.io.audio.piped import ENCODINGS, RawAudio
from audiocli.nn import models, registry
from audiocli.nn.live import LiveDRNN, Memory
from audiocli.nn.threads import single_threaded
from audiocli.tasks.separate.clips import SOURCES

__all__ = ["LIVE_MODEL", "LiveSeparator", "separated_bytes", "wav_header"]

Audio = NDArray[np.float32]

LIVE_MODEL = "live-drnn"


class LiveSeparator:
    """A causal separation network that is fed block by block.

    Parameters
    ----------
    sample_rate : int
        Of the audio to come, in Hz.
    channels : int
        Its channels, 1 or 2.
    model : str
        A name or a folder of a model of the architecture ``live-drnn``.
    device : str
        As in :func:`audiocli.nn.models.device`.
    """

    def __init__(
        self, sample_rate: int, channels: int = 2, model: str = LIVE_MODEL, *, device: str = "auto"
    ) -> None:
        self.sample_rate = as_rate(sample_rate)
        if channels not in (1, 2):
            raise UsageError(
                f"live separation takes 1 or 2 channels, not {channels}; mix them down first"
            )
        self.channels = channels
        network = models.load(registry.find("separate", model), models.device(device))
        if not isinstance(network, LiveDRNN):
            raise ModelError(
                f"{model}: needs the future, so it cannot run live; name one that was trained by "
                "`audiocli train separate --arch live-drnn`"
            )
        self.network = network
        self.vocals = _labels(model).index("vocals")
        config = network.stft.config
        self.n_fft, self.hop, self.rate = config.n_fft, config.hop_length, config.sample_rate
        self.window = network.stft.window.cpu().numpy()
        self.memory = Memory()
        self._in, self._out = self._resamplers()
        # Half a window of silence before the first sample, as offline.
        self.audio = np.zeros((channels, self.n_fft // 2), np.float32)
        self.sound = np.zeros((channels, self.n_fft), np.float32)  # windows added so far
        self.weight = np.zeros(self.n_fft, np.float32)
        self.early = self.n_fft // 2  # samples before the first that are still to come out
        self.taken = 0  # samples at the network's rate
        self.mixture = np.zeros((channels, 0), np.float32)  # whose vocals are not yet known
        self.vocal = np.zeros((channels, 0), np.float32)

    def _resamplers(self) -> tuple[soxr.ResampleStream | None, soxr.ResampleStream | None]:
        if self.sample_rate == self.rate:
            return None, None
        rates = (self.sample_rate, self.rate)
        ways = (rates, rates[::-1])
        # The shortest filters that keep 16 bits: those of higher quality come 80 ms late at 22 kHz.
        first, second = (
            soxr.ResampleStream(*way, self.channels, "float32", quality="LQ") for way in ways
        )
        return first, second

    @property
    def latency(self) -> float:
        """Seconds from a sample to its stems, without the time that computing takes.

        Below 0.1 from 16 kHz on, but for 0.107 at 22.05 kHz. A block that is fed in has to be
        complete besides.
        """
        first, second = self._resamplers()
        if first is None or second is None:
            return self.network.latency
        # Resamplers give what they have in blocks of their own: the most that they ever hold.
        size, fed, given, held = 64, 0, 0, 0
        probe = np.zeros((size, self.channels), np.float32)
        while fed < self.sample_rate:
            fed += size
            given += len(second.resample_chunk(first.resample_chunk(probe)))
            held = max(held, fed - given)
        return self.network.latency + held / self.sample_rate

    def feed(self, audio: Audio) -> Audio:
        """Take the next samples (channels, samples), and give the stems of those that are final."""
        self.mixture = np.concatenate([self.mixture, audio], axis=1)
        narrow = audio if self._in is None else self._in.resample_chunk(_interleaved(audio)).T
        return self._stems(self._advance(narrow), last=False)

    def finish(self) -> Audio:
        """Take note that nothing more will come, and give the stems of the rest."""
        parts = []
        if self._in is not None:
            nothing = np.zeros((0, self.channels), np.float32)
            parts.append(self._advance(self._in.resample_chunk(nothing, last=True).T))
        # Whole hops and half a window of silence, as offline; the former are no samples of it.
        excess = -self.taken % self.hop
        silence = np.zeros((self.channels, excess + self.n_fft // 2), np.float32)
        parts.append(self._advance(silence))
        given = np.concatenate(parts, axis=1)
        return self._stems(given[:, : given.shape[1] - excess], last=True)

    def _advance(self, audio: Audio) -> Audio:
        """Separate as many windows as are full; give the vocals that are final."""
        self.taken += audio.shape[1]
        self.audio = np.concatenate([self.audio, audio], axis=1)
        count = 1 + (self.audio.shape[1] - self.n_fft) // self.hop
        if count < 1:
            return np.zeros((self.channels, 0), np.float32)
        windows = self.audio[:, : (count - 1) * self.hop + self.n_fft]
        self.audio = self.audio[:, count * self.hop :]
        where = next(self.network.parameters()).device
        with single_threaded(), torch.inference_mode():
            pair = torch.from_numpy(np.ascontiguousarray(windows)).to(where).expand(2, -1)
            spectrum = self.network.stft.frames(pair).unsqueeze(0)
            vocals = self.network.advance(spectrum, self.memory, [self.vocals])
            pieces = torch.fft.irfft(vocals[0, 0, : self.channels], dim=1).cpu().numpy()
        return self._overlap(pieces)

    def _overlap(self, pieces: Audio) -> Audio:
        """Add windows (channels, samples, windows), and give what no other will change."""
        final = []
        for index in range(pieces.shape[2]):
            self.sound += pieces[:, :, index] * self.window
            self.weight += self.window**2
            final.append(self.sound[:, : self.hop] / np.maximum(self.weight[: self.hop], 1e-9))
            self.sound = np.pad(self.sound[:, self.hop :], [(0, 0), (0, self.hop)])
            self.weight = np.pad(self.weight[self.hop :], (0, self.hop))
        given: Audio = np.concatenate(final, axis=1).astype(np.float32, copy=False)
        early = min(self.early, given.shape[1])
        self.early -= early
        return given[:, early:]

    def _stems(self, vocals: Audio, *, last: bool) -> Audio:
        """Put vocals at the network's rate beside the mixture that they belong to."""
        if self._out is not None:
            vocals = self._out.resample_chunk(_interleaved(vocals), last=last).T
        self.vocal = np.concatenate([self.vocal, vocals], axis=1)
        ready = self.mixture.shape[1] if last else min(self.vocal.shape[1], self.mixture.shape[1])
        mixture, self.mixture = self.mixture[:, :ready], self.mixture[:, ready:]
        known, self.vocal = self.vocal[:, :ready], self.vocal[:, ready:]
        known = np.pad(known, [(0, 0), (0, ready - known.shape[1])])
        return np.stack([known, mixture - known])


def separated_bytes(
    separator: LiveSeparator, blocks: Iterable[Audio], stem: str, encoding: str
) -> Iterator[bytes]:
    """Yield the bytes of one stem as blocks (channels, samples) come in."""
    if stem not in SOURCES:
        raise UsageError(f"live separation has no stem {stem!r}; there are: {', '.join(SOURCES)}")
    index = SOURCES.index(stem)
    for block in blocks:
        if (stems := separator.feed(block)).size:
            yield _coded(stems[index], encoding)
    yield _coded(separator.finish()[index], encoding)


def wav_header(form: RawAudio) -> bytes:
    """Make the header of a WAV whose length is not known yet, as FFmpeg writes it into pipes."""
    kind = 3 if form.encoding == "f32le" else 1
    width = np.dtype(ENCODINGS[form.encoding][0]).itemsize
    frame = width * form.channels
    rate = form.sample_rate
    layout = struct.pack("<HHIIHH", kind, form.channels, rate, rate * frame, frame, 8 * width)
    unknown = b"\xff\xff\xff\xff"
    return b"RIFF" + unknown + b"WAVEfmt \x10\0\0\0" + layout + b"data" + unknown


def _labels(model: str) -> list[str]:
    labels = [str(label) for label in registry.find("separate", model).config["labels"]]
    if "vocals" not in labels:
        raise ModelError(f"{model}: has no vocals")
    return labels


def _interleaved(audio: Audio) -> Audio:
    return np.ascontiguousarray(audio.T)


def _coded(audio: Audio, encoding: str) -> bytes:
    kind, full_scale = ENCODINGS[encoding]
    if encoding == "f32le":
        return _interleaved(audio).astype(kind).tobytes()
    scaled = np.rint(audio.T.astype(np.float64) * full_scale)
    return np.clip(scaled, -full_scale, full_scale - 1).astype(kind).tobytes()
