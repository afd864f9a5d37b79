"""From audio to probabilities of classes: models loaded once, one pass over a stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import tee, zip_longest
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from audiocli.dsp.signals import as_blocks, as_rate
from audiocli.errors import AudioError, ModelError, UsageError
from audiocli.io.audio.downmix import downmix
from audiocli.io.audio.streaming import Block, resample
from audiocli.nn import models, registry
from audiocli.nn.clipwise import ClipNetwork, Head, pool, steps_of_stream
from audiocli.tasks.classify.decisions import SILENCE, Track, decode, merged, probable
from audiocli.tasks.classify.encoders import ears_of, fitting_heads, load_trunk

__all__ = [
    "Classifier",
    "Encoder",
    "Track",
    "decode",
    "merged",
]

Floats = NDArray[np.float32]
#: Where stretches of a recording begin and end, in seconds.
Spans = tuple[NDArray[np.float64], NDArray[np.float64]]
#: What tells speech from music, and from when on a recording is taken for speech.
JUDGE, SPOKEN = "content", 0.8
#: If nothing else listens through its encoder, it hears the first so many seconds of each so many.
GLANCE, EVERY = 2.56, 20.48
#: A recording, or a stretch, that peaks below this is silent.
SILENT = 0.5 / 32768
#: Segments that wait for the heads, at most: what a long recording keeps is its logits alone.
WAITING = 256


class _Listener:
    """An encoder, and the heads of the models that listen through it."""

    def __init__(self, network: ClipNetwork, *, glancing: bool = False) -> None:
        self.network, self.glancing = network, glancing
        # A model's place, its head, or a share of that, and the features that this hears.
        self.heads: list[tuple[int, Head, NDArray[np.intp]]] = []

    @property
    def rate(self) -> int:
        return self.network.frontend.config.sample_rate

    @property
    def step(self) -> float:
        """Seconds a step."""
        return self.network.stride / self.network.frontend.config.frame_rate


class Classifier:
    """Models that say what a recording is, loaded once.

    Parameters
    ----------
    task : {"classify", "tag"} or None
        What the models are made for; None takes both, their names with the task before them.
    names : sequence of str
        Names or model folders.
    device : str
        As in :func:`audiocli.nn.models.device`.
    segment, hop : float, optional
        Say something of every `segment` seconds, each `hop` seconds (by default as long), and
        not of the recording as a whole.

    Raises
    ------
    UsageError
        If a model is not known, or segments have no length.
    ModelError
        If a model is damaged, or its encoder is not the one it was trained with.

    Examples
    --------
    >>> classifier = Classifier("classify", ["event"])
    >>> [track] = classifier.stream([np.zeros((1, 16000), np.float32)], 16000)
    >>> track.probabilities.shape
    (1, 10)
    """

    def __init__(
        self,
        task: str | None,
        names: Sequence[str],
        *,
        device: str = "auto",
        segment: float | None = None,
        hop: float | None = None,
    ) -> None:
        if not all(0 < each < np.inf for each in (segment, hop) if each is not None):
            raise UsageError("segments and their hop must be longer than 0 s")
        self.segment, self.hop = segment, hop or segment
        self.entries = [_find(task, name) for name in names]
        where = models.device(device)
        self._listeners: dict[Path, _Listener] = {}
        for place, entry in enumerate(self.entries):
            self._put_on(place, entry, where)
        self._judge = self._with_judge(where)

    def _put_on(
        self, place: int, entry: registry.ModelEntry, where: torch.device, *, glancing: bool = False
    ) -> None:
        """Let a model listen; what listens through the same encoder shares it."""
        ears, listeners = ears_of(entry), []
        for ear in ears:
            key = ear.entry.folder.resolve()  # the same weights may listen in other ways
            if key not in self._listeners:
                network = load_trunk(ear.entry, where)
                self._listeners[key] = _Listener(network, glancing=glancing)
            listeners.append(self._listeners[key])
        networks = [each.network for each in listeners]
        own = ears[0].entry is entry
        head = networks[0].head if own else models.load(entry, where)
        shares = fitting_heads(entry, head, list(zip(ears, networks, strict=True)))
        for ear, listener, share in zip(ears, listeners, shares, strict=True):
            listener.heads.append((place, share, listener.network.places(ear.part)))

    def _with_judge(self, where: torch.device) -> registry.ModelEntry | None:
        """Let what tells speech from music listen along: to all, or else now and then."""
        if not any(entry.config.get("domain") == "music" for entry in self.entries):
            return None
        try:
            entry = registry.find("classify", JUDGE)
        except UsageError:  # none is installed
            return None
        self._put_on(-1, entry, where, glancing=True)
        return entry

    def warnings(self, track: Track) -> tuple[str, ...]:
        """Say why an answer may mean nothing."""
        return track.doubts

    def stream(self, blocks: Iterable[Block], sample_rate: int) -> list[Track]:
        """Listen to a recording once, in constant memory, with every model.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (channels, samples)
            Consecutive pieces; the models hear the channels' mean.
        sample_rate : int
            In Hz.

        Returns
        -------
        list of Track
            One for each model, in their order.
        """
        sample_rate = as_rate(sample_rate)
        counted, listeners = (
            _Counted(as_blocks(blocks), sample_rate),
            list(self._listeners.values()),
        )
        gathered = [
            _Gatherer(each, *((None, None) if each.glancing else (self.segment, self.hop)))
            for each in listeners
        ]
        streams = _steps(listeners, counted, sample_rate, spread=self.segment is None)
        with torch.inference_mode():
            for parts in zip_longest(*streams):
                for gatherer, part in zip(gathered, parts, strict=True):
                    if part is not None:
                        gatherer.add(part)
        seconds = counted.samples / sample_rate
        logits: dict[int, tuple[Floats, Spans]] = {}
        for gatherer in gathered:
            spans = gatherer.spans(seconds)
            for place, rows in gatherer.finish():
                before = logits[place][0] if place in logits else 0
                logits[place] = before + rows, spans
        silent, spoken = counted.peak < SILENT, False
        if self._judge is not None:
            kind = _track(self._judge, *logits.pop(-1), seconds)
            sure = dict(zip(kind.labels, kind.probabilities.mean(axis=0), strict=True))
            spoken = not silent and sure.get("speech", 0.0) > SPOKEN
        return [
            _track(
                entry,
                *logits[place],
                seconds,
                spoken=spoken,
                silent=silent,
                is_silent=counted.is_silent,
            )  # fmt: skip
            for place, entry in enumerate(self.entries)
        ]


class Encoder:
    """A trunk that says what a recording is like, in numbers: for comparison by example.

    Parameters
    ----------
    name : str
        Name or model folder.
    device : str
        As in :func:`audiocli.nn.models.device`.

    Raises
    ------
    UsageError, ModelError
        As :class:`Classifier`.

    Examples
    --------
    >>> encoder = Encoder("general")
    >>> noise = np.random.default_rng(0).normal(size=(1, 16000)).astype(np.float32)
    >>> encoder.stream([noise / 10], 16000).shape
    (512,)
    """

    def __init__(self, name: str = "voice", *, device: str = "auto") -> None:
        self.entry = registry.find("encode", name)
        self._network = load_trunk(self.entry, models.device(device))

    def stream(self, blocks: Iterable[Block], sample_rate: int) -> Floats:
        """Compute what a recording is compared by (units,), in constant memory.

        Raises
        ------
        AudioError
            If it is silent.
        """
        gatherer = _Gatherer(_Listener(self._network), None, None)
        counted = _Counted(as_blocks(blocks), as_rate(sample_rate))
        for part in _heard(self._network, counted, as_rate(sample_rate)):
            gatherer.add(part)
        mean = torch.from_numpy(gatherer.whole()[: self._network.units])
        with torch.inference_mode():
            where = next(self._network.buffers()).device
            vector: Floats = self._network.compared(mean.to(where).unsqueeze(0))[0].cpu().numpy()
        if counted.peak < SILENT:
            raise AudioError("is silent: there is nothing to compare it by")
        return vector


def _find(task: str | None, name: str) -> registry.ModelEntry:
    if task is None and "/" in name and name.split("/")[0] in ("classify", "tag"):
        task = name.split("/")[0]
    entry = registry.find(task, name)
    if entry.task not in ("classify", "tag"):
        raise ModelError(f"{name}: is a model for {entry.task!r}, not for classes or tags")
    return entry


class _Counted:
    """Mono blocks, how many samples there were, and how loud the loudest was."""

    def __init__(self, blocks: Iterable[Block], sample_rate: int) -> None:
        self.blocks, self.samples, self.peak = downmix(blocks, sample_rate), 0, 0.0
        self.stretch = max(1, round(0.05 * sample_rate))
        self.seconds = self.stretch / sample_rate
        self.peaks: list[float] = []  # of each stretch

    def __iter__(self) -> Iterator[Block]:
        for block in self.blocks:
            self.samples += block.shape[-1]
            self.peak = max(self.peak, float(np.abs(block).max(initial=0)))
            self._measure(np.abs(block[0]))
            yield block

    def _measure(self, levels: Floats) -> None:
        """Note the peaks of stretches of 50 ms, whatever blocks they come in."""
        first = self.samples - len(levels)
        cuts = np.arange(-first % self.stretch, len(levels), self.stretch)
        for start, part in zip([0, *cuts.tolist()], np.split(levels, cuts), strict=True):
            if len(part):
                number = (first + start) // self.stretch
                self.peaks += [0.0] * (number + 1 - len(self.peaks))
                self.peaks[number] = max(self.peaks[number], float(part.max()))

    def is_silent(self, start: float, end: float) -> bool:
        """Tell whether nothing sounds from a time to another, but for less than 50 ms."""
        first, last = math.ceil(start / self.seconds - 1e-6), math.floor(end / self.seconds + 1e-6)
        return max(self.peaks[first : max(last, first + 1)], default=0.0) < SILENT


def _steps(
    listeners: Sequence[_Listener], blocks: Iterable[Block], sample_rate: int, *, spread: bool
) -> list[Iterator[Floats]]:
    """Give each listener the stream, resampled once for each rate."""
    rates = sorted({listener.rate for listener in listeners})
    by_rate: dict[int, list[Iterator[Block]]] = {}
    for rate, copy in zip(rates, tee(blocks, len(rates)), strict=True):
        wanted = sum(listener.rate == rate for listener in listeners)
        by_rate[rate] = list(tee(resample(copy, sample_rate, rate), wanted))
    heard = [(block[0] for block in by_rate[listener.rate].pop()) for listener in listeners]
    return [
        _glances(listener, mono)
        if listener.glancing
        else steps_of_stream(listener.network, mono, spread=spread)
        for listener, mono in zip(listeners, heard, strict=True)
    ]


def _glances(listener: _Listener, blocks: Iterable[Floats]) -> Iterator[Floats]:
    """Compute the steps (steps, units) of a part of each stretch of a stream, all of the first."""
    buffer, every = np.zeros(0, np.float32), round(EVERY * listener.rate)
    glance = every

    def give() -> Floats:
        return np.concatenate(list(steps_of_stream(listener.network, [buffer[:glance]])))

    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) >= every:  # as often as others give what they heard
            yield give()
            buffer, glance = buffer[every:], round(GLANCE * listener.rate)
    if glance == every or len(buffer):
        yield give()


def _heard(network: ClipNetwork, counted: _Counted, sample_rate: int) -> Iterator[Floats]:
    [steps] = _steps([_Listener(network)], counted, sample_rate, spread=True)
    return steps


class _Gatherer:
    """Pools the steps of a stream, as a whole or segment by segment, and asks the heads."""

    def __init__(self, listener: _Listener, segment: float | None, hop: float | None) -> None:
        self.listener = listener
        units = listener.network.units
        self.count, self.sums = 0, np.zeros((2, units))
        self.length = None if segment is None else max(1, round(segment / listener.step))
        self.hop = None if hop is None else max(1, round(hop / listener.step))
        self.kept, self.first, self.taken = np.zeros((0, units), np.float32), 0, 0
        self.pooled: list[Floats] = []  # what waits for the heads
        self.logits: list[list[Floats]] = [[] for _ in listener.heads]

    def add(self, part: Floats) -> None:
        """Take the next steps (steps, units)."""
        self.count += len(part)
        if self.length is None or self.hop is None:
            wide = part.astype(np.float64)
            self.sums += wide.sum(axis=0), np.square(wide).sum(axis=0)
            return
        self.kept = np.concatenate([self.kept, part])
        while (begin := self.taken * self.hop) + self.length <= self.count:
            self._take(begin, begin + self.length)

    def _take(self, begin: int, end: int) -> None:
        rows = torch.from_numpy(self.kept[begin - self.first : end - self.first])
        self.pooled.append(pool(rows.T).numpy())
        self.taken += 1
        drop = max(self.taken * (self.hop or 1) - self.first, 0)
        self.first += min(drop, len(self.kept))
        self.kept = self.kept[drop:]
        if len(self.pooled) >= WAITING:
            self._ask()

    def whole(self) -> Floats:
        """Pool all steps from their sums, as :func:`audiocli.nn.clipwise.pool` does."""
        mean, square = self.sums / max(self.count, 1)
        deviation = np.sqrt(np.maximum(square - np.square(mean), 1e-12))
        if self.count == 1:
            deviation[:] = np.nan
        return np.concatenate([mean, deviation]).astype(np.float32)

    def spans(self, seconds: float) -> Spans:
        """Close the last segment, and say where each begins and ends, in seconds."""
        if self.length is None or self.hop is None:
            return np.zeros(1), np.array([seconds])
        step, lead = self.listener.step, self.length - self.hop
        # The last step may begin where the recording ends: no segment is there for it alone.
        end = (seconds - 1e-6) / step
        while self.taken > 1 and (self.taken - 1) * self.hop + max(lead, 0) > end:
            self.taken -= 1
        begin = self.taken * self.hop
        left = seconds - (begin + lead) * step  # behind the last segment
        if not self.taken or (left > step and begin < min(end, self.count)):
            self._take(begin, self.count)
            left = 0.0
        starts = np.arange(self.taken, dtype=np.float64) * (self.hop * step)
        ends: NDArray[np.float64] = np.minimum(starts + self.length * step, seconds)
        if left <= step:  # nobody hears less than a step by itself
            ends[-1] = seconds
        return starts, ends

    def finish(self) -> list[tuple[int, Floats]]:
        """Compute the logits (segments, labels) of each head, with its model's place."""
        if self.length is None:
            self.pooled.append(self.whole())
        self._ask()
        count = self.taken or 1
        return [
            (place, np.concatenate(rows)[:count])
            for (place, *_), rows in zip(self.listener.heads, self.logits, strict=True)
        ]

    def _ask(self) -> None:
        if not self.pooled:
            return
        where = next(self.listener.network.buffers()).device
        heard = torch.from_numpy(np.stack(self.pooled).astype(np.float32)).to(where)
        self.pooled = []
        with torch.inference_mode():
            for (_, head, chosen), rows in zip(self.listener.heads, self.logits, strict=True):
                rows.append(head(heard[:, chosen]).float().cpu().numpy())


def _track(
    entry: registry.ModelEntry,
    logits: Floats,
    spans: Spans,
    seconds: float,
    *,
    spoken: bool = False,
    silent: bool = False,
    is_silent: Callable[[float, float], bool] = lambda start, end: False,
) -> Track:
    """Turn logits into calibrated probabilities."""
    decoder = entry.config.get("decoder") or {}
    probabilities = probable(logits / float(decoder.get("temperature", 1.0)), entry.task)
    threshold = decoder.get("threshold", 0.5) if entry.task == "tag" else decoder.get("unknown", 0)
    labels = tuple(str(label) for label in entry.config["labels"])
    doubts = []
    hushed = np.array([silent or is_silent(*span) for span in zip(*spans, strict=True)], bool)
    if silent:
        doubts.append("is silent")
    # Nothing sounds there, so nothing is said, but where silence is a class.
    probabilities[hushed] = 0 if entry.task == "tag" or SILENCE in labels else 1 / len(labels)
    named = np.array([label == SILENCE for label in labels], bool)
    probabilities[np.ix_(hushed, named)] = 1
    axes = {
        str(name): probabilities @ np.array([signs.get(label, 0.0) for label in labels], np.float32)
        for name, signs in (entry.config.get("axes") or {}).items()
    }
    if spoken and entry.config.get("domain") == "music":
        doubts.append(f"sounds like speech, and {entry.name!r} is made for music")
    return Track(
        entry.name, entry.task, labels, probabilities, *spans, seconds, float(threshold), axes,
        tuple(doubts), hushed,
    )  # fmt: skip
