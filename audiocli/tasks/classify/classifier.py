"""From audio to probabilities of classes: models loaded once, one pass over a stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, tee, zip_longest
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from audiocli.dsp.signals import as_blocks, as_rate
from audiocli.errors import AudioError, ModelError, UsageError
from audiocli.io.audio.downmix import downmix
from audiocli.io.audio.streaming import Block, resample
from audiocli.nn import models, registry
from audiocli.nn.clipwise import (
    ClipNetwork,
    Embed,
    Piece,
    embedded,
    embedded_together,
    steps_of_stream,
)
from audiocli.nn.licences import CLASSES, class_of
from audiocli.nn.threads import ordered
from audiocli.tasks.classify.decisions import SILENCE, Track, decode, merged, probable
from audiocli.tasks.classify.domains import (
    DOMAINS,
    Excerpts,
    out_of_domain,
    probability_in,
    sounds_like,
)
from audiocli.tasks.classify.encoders import encoders_of, fitting_heads, load_encoder
from audiocli.tasks.classify.pooling import Pooler, SharedEncoder, Spans, pooler

__all__ = [
    "Classifier",
    "Encoder",
    "Track",
    "decode",
    "merged",
]

Floats = NDArray[np.float32]
#: Logits (segments, labels) and where segments begin and end, by the place of the model.
_Logits = dict[int, tuple[Floats, Spans]]
#: The models that tell what a recording is, the second only where the first is in doubt.
CONTENT_MODEL, EVENT_MODEL = "content", "audioset"
#: If no other model uses its encoder, it gets only the first seconds of each period of seconds.
EXCERPT, EVERY = 2.56, 20.48
#: A recording or segment whose peak is below this is silent.
SILENT = 0.5 / 32768


class Classifier:
    """Models for classes and tags of recordings, loaded once.

    Parameters
    ----------
    task : {"classify", "tag"} or None
        What the models are made for; None takes both, their names with the task before them.
    names : sequence of str
        Names or model folders.
    device : str
        As in :func:`audiocli.nn.models.device`.
    segment, hop : float, optional
        Classify segments of `segment` seconds, one every `hop` seconds (by default as long),
        and not the recording as a whole.

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
        self.device = device
        where = models.device(device)
        self._encoders: dict[Path, SharedEncoder] = {}
        for place, entry in enumerate(self.entries):
            self._add(place, entry, where)
        self._domains = {str(entry.config.get("domain")) for entry in self.entries} & set(DOMAINS)
        self._content = self._add_content_model(where)
        self._events: Classifier | None = None  # loaded when it is first needed

    def _add(
        self, place: int, entry: registry.ModelEntry, where: torch.device, *, sparse: bool = False
    ) -> None:
        """Add a model; models on the same encoder share it."""
        parts, encoders = encoders_of(entry), []
        for part in parts:
            key = part.entry.folder.resolve()  # the same weights may have another front-end
            if key not in self._encoders:
                network = load_encoder(part.entry, where)
                absent = _absent(part.entry)
                self._encoders[key] = SharedEncoder(network, sparse=sparse, absent=absent)
            encoders.append(self._encoders[key])
        networks = [each.network for each in encoders]
        own = parts[0].entry is entry
        head = networks[0].head if own else models.load(entry, where)
        shares = fitting_heads(entry, head, list(zip(parts, networks, strict=True)))
        for part, encoder, share in zip(parts, encoders, shares, strict=True):
            encoder.heads.append((place, share, encoder.network.places(part.part)))

    def _add_content_model(self, where: torch.device) -> registry.ModelEntry | None:
        """Add the model that tells speech from music, on the whole stream or on excerpts of it.

        Where it may be used for less than the models that it would decide for, or is not
        installed, AudioSet's classes decide alone.
        """
        asking = {name for name in self._domains if DOMAINS[name].enough is not None}
        decided = [each for each in self.entries if str(each.config.get("domain")) in asking]
        if not decided:
            return None
        try:
            entry = registry.find("classify", CONTENT_MODEL)
        except UsageError:  # none is installed
            return None
        if CLASSES.index(class_of(entry)) > max(CLASSES.index(class_of(each)) for each in decided):
            return None
        self._add(-1, entry, where, sparse=True)
        return entry

    def _out_of_domain(
        self, content: Sequence[Mapping[str, float]], excerpts: Sequence[tuple[Floats, int]]
    ) -> list[dict[str, str]]:
        """Say of which of the models' domains recordings are not, and what they sound like."""
        found: list[dict[str, str]] = [{} for _ in content]
        doubtful: dict[int, list[str]] = {}
        for place, sure in enumerate(content):
            doubts = [name for name in self._domains if not DOMAINS[name].found_by(sure)]
            doubtful |= {place: doubts} if doubts else {}
        if not doubtful:
            return found
        if self._events is None:
            try:
                self._events = Classifier("classify", [EVENT_MODEL], device=self.device)
            except UsageError:  # none is installed
                for place, doubts in doubtful.items():
                    if content[place]:  # else nothing decides
                        kind = sounds_like(content[place])
                        sure_of = [name for name in doubts if DOMAINS[name].enough is not None]
                        found[place] = dict.fromkeys(sure_of, kind)
                return found
        parents = self._events.entries[0].config.get("parents") or {}
        tracks = self._events.batch([excerpts[place] for place in doubtful])
        for (place, doubts), [track] in zip(doubtful.items(), tracks, strict=True):
            events = dict(zip(track.labels, track.probabilities[0].tolist(), strict=True))
            least = {name: probability_in(name, events, parents) for name in DOMAINS}
            kind = sounds_like({name: least[name] for name in ("music", "speech")})
            found[place] = {name: kind for name in doubts if least[name] < DOMAINS[name].least}
        return found

    def warnings(self, track: Track) -> tuple[str, ...]:
        """Say why a result may be meaningless."""
        return track.warnings

    def stream(self, blocks: Iterable[Block], sample_rate: int) -> list[Track]:
        """Classify a recording with every model, in one pass and in constant memory.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (channels, samples)
            Consecutive blocks; channels are averaged.
        sample_rate : int
            In Hz.

        Returns
        -------
        list of Track
            One for each model, in their order.
        """
        recording = self._recording(blocks, sample_rate, embedded)
        with torch.inference_mode():
            for parts in zip_longest(*recording.streams):
                recording.add(parts)
        [tracks] = self._tracks([recording])
        return tracks

    def batch(self, recordings: Sequence[tuple[Floats, int]]) -> list[list[Track]]:
        """Classify short recordings that are in memory, several at once.

        The result is that of :meth:`stream`. On a processor clips of half a second take a quarter
        less time, and those of five seconds the same.

        Parameters
        ----------
        recordings : sequence of tuple of ndarray and int
            Audio (channels, samples), and its sample rate in Hz.

        Returns
        -------
        list of list of Track
            For each recording, a track for each model.

        Examples
        --------
        >>> clips = [(np.zeros((1, 8000), np.float32), 16000)] * 3
        >>> [track.seconds for [track] in Classifier("classify", ["event"]).batch(clips)]
        [0.5, 0.5, 0.5]
        """
        if len(recordings) == 1:
            [(audio, sample_rate)] = recordings
            return [self.stream([audio], sample_rate)]
        cut = list(ordered(self._cut, recordings))
        with torch.inference_mode():
            for place, encoder in enumerate(self._encoders.values()):
                pieces = [piece for _, found in cut for piece in found[place]]
                steps = iter(embedded_together(encoder.network, pieces))
                for recording, found in cut:
                    for part in islice(steps, len(found[place])):
                        recording.gathered[place].add(part)
        return self._tracks([recording for recording, _ in cut])

    def _cut(self, recording: tuple[Floats, int]) -> tuple[_Recording, list[list[Piece]]]:
        """Cut a recording into what each encoder gets of it."""
        audio, sample_rate = recording
        pieces: dict[ClipNetwork, list[Piece]] = {}

        def keep(network: ClipNetwork, found: Iterable[Piece]) -> Iterator[Floats]:
            pieces.setdefault(network, []).extend(found)
            return iter(())

        made = self._recording([audio], sample_rate, keep)
        for _ in zip_longest(*made.streams):
            pass
        return made, [pieces.get(each.network, []) for each in self._encoders.values()]

    def _recording(self, blocks: Iterable[Block], sample_rate: int, embed: Embed) -> _Recording:
        """Open a recording, for its blocks to be taken as its streams are read."""
        sample_rate, encoders = as_rate(sample_rate), list(self._encoders.values())
        counted = _Counted(as_blocks(blocks), sample_rate)
        excerpts = Excerpts(counted, sample_rate) if self._domains else None
        signal = counted if excerpts is None else excerpts
        spread = self.segment is None
        return _Recording(
            counted,
            excerpts,
            [
                pooler(each, *((None, None) if each.sparse else (self.segment, self.hop)))
                for each in encoders
            ],
            _steps(encoders, signal, sample_rate, spread=spread, embed=embed),
        )

    def _tracks(self, recordings: Sequence[_Recording]) -> list[list[Track]]:
        """Make the results of recordings whose steps are all there."""
        logits = [recording.logits() for recording in recordings]
        outside: list[dict[str, str]] = [{} for _ in recordings]
        asked, content, excerpts = [], list[dict[str, float]](), []
        for place, recording in enumerate(recordings):
            if recording.excerpts is None or recording.silent:
                continue
            asked.append(place)
            excerpts.append((recording.excerpts.signal[np.newaxis], recording.counted.rate))
            content.append({})
            if self._content is not None:
                kind = _track(self._content, *logits[place][-1], recording.seconds)
                likely = kind.probabilities.mean(axis=0).tolist()
                content[-1] = dict(zip(kind.labels, likely, strict=True))
        for place, found in zip(asked, self._out_of_domain(content, excerpts), strict=True):
            outside[place] = found
        return list(map(self._of_models, recordings, logits, outside))

    def _of_models(
        self, recording: _Recording, logits: _Logits, outside: Mapping[str, str]
    ) -> list[Track]:
        """Make the result of each model."""
        tracks = [
            _track(
                entry,
                *logits[place],
                recording.seconds,
                kind=outside.get(str(entry.config.get("domain"))),
                silent=recording.silent,
                is_silent=recording.counted.is_silent,
            )  # fmt: skip
            for place, entry in enumerate(self.entries)
        ]
        if self.segment is None:
            return tracks
        return [replace(track, out_of_domain=False) for track in tracks]  # it was not told when


@dataclass(frozen=True)
class _Recording:
    """What is found of a recording as its blocks pass."""

    counted: _Counted
    excerpts: Excerpts | None
    gathered: list[Pooler]  # one for each encoder
    streams: list[Iterator[Floats]]  # their steps

    @property
    def seconds(self) -> float:
        return self.counted.samples / self.counted.rate

    @property
    def silent(self) -> bool:
        return self.counted.peak < SILENT

    def add(self, parts: Sequence[Floats | None]) -> None:
        """Take the next steps of each encoder."""
        for gatherer, part in zip(self.gathered, parts, strict=True):
            if part is not None:
                gatherer.add(part)

    def logits(self) -> _Logits:
        """Run the heads: logits and segments, by the places of the models."""
        found: _Logits = {}
        for gatherer in self.gathered:
            spans = gatherer.spans(self.seconds)
            for place, rows in gatherer.finish():
                before = found[place][0] if place in found else 0
                found[place] = before + rows, spans
        return found


class Encoder:
    """An encoder that embeds recordings, for comparison by example.

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
        self._network = load_encoder(self.entry, models.device(device))

    def stream(self, blocks: Iterable[Block], sample_rate: int) -> Floats:
        """Embed a recording as a vector (units,), in constant memory.

        Raises
        ------
        AudioError
            If it is silent.
        """
        gatherer = Pooler(SharedEncoder(self._network), None, None)
        counted = _Counted(as_blocks(blocks), as_rate(sample_rate))
        for part in _steps_of(self._network, counted, as_rate(sample_rate)):
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


def _absent(entry: registry.ModelEntry) -> list[int]:
    """Say which labels of a model are for the absence of sound."""
    absent = entry.config.get("absence") or ()
    return [place for place, label in enumerate(entry.config["labels"]) if label in absent]


class _Counted:
    """Mono blocks, with the number of samples so far and their peaks."""

    def __init__(self, blocks: Iterable[Block], sample_rate: int) -> None:
        self.blocks, self.samples, self.peak = downmix(blocks, sample_rate), 0, 0.0
        self.rate = sample_rate
        self.span = max(1, round(0.05 * sample_rate))
        self.seconds = self.span / sample_rate
        self.peaks: list[float] = []  # of each span of 50 ms

    def __iter__(self) -> Iterator[Block]:
        for block in self.blocks:
            self.samples += block.shape[-1]
            self.peak = max(self.peak, float(np.abs(block).max(initial=0)))
            self._measure(np.abs(block[0]))
            yield block

    def _measure(self, levels: Floats) -> None:
        """Keep the peaks of spans of 50 ms, whatever blocks they come in."""
        first = self.samples - len(levels)
        cuts = np.arange(-first % self.span, len(levels), self.span)
        for start, part in zip([0, *cuts.tolist()], np.split(levels, cuts), strict=True):
            if len(part):
                number = (first + start) // self.span
                self.peaks += [0.0] * (number + 1 - len(self.peaks))
                self.peaks[number] = max(self.peaks[number], float(part.max()))

    def is_silent(self, start: float, end: float) -> bool:
        """Tell whether nothing sounds between two times, but for less than 50 ms."""
        first, last = math.ceil(start / self.seconds - 1e-6), math.floor(end / self.seconds + 1e-6)
        return max(self.peaks[first : max(last, first + 1)], default=0.0) < SILENT


def _steps(
    encoders: Sequence[SharedEncoder],
    blocks: Iterable[Block],
    sample_rate: int,
    *,
    spread: bool,
    embed: Embed = embedded,
) -> list[Iterator[Floats]]:
    """Compute the steps of each encoder; the stream is resampled once for each rate."""
    rates = sorted({encoder.rate for encoder in encoders})
    by_rate: dict[int, list[Iterator[Block]]] = {}
    for rate, copy in zip(rates, tee(blocks, len(rates)), strict=True):
        wanted = sum(encoder.rate == rate for encoder in encoders)
        by_rate[rate] = list(tee(resample(copy, sample_rate, rate), wanted))
    streams = [(block[0] for block in by_rate[encoder.rate].pop()) for encoder in encoders]
    return [
        _sparse_steps(encoder, mono, embed)
        if encoder.sparse
        else steps_of_stream(encoder.network, mono, spread=spread, embed=embed)
        for encoder, mono in zip(encoders, streams, strict=True)
    ]


def _sparse_steps(
    encoder: SharedEncoder, blocks: Iterable[Floats], embed: Embed = embedded
) -> Iterator[Floats]:
    """Compute the steps (steps, units) of excerpts of a stream, the first of them longer."""
    buffer, every = np.zeros(0, np.float32), round(EVERY * encoder.rate)
    length = every

    def give() -> Iterator[Floats]:
        found = list(steps_of_stream(encoder.network, [buffer[:length]], embed=embed))
        if found:
            yield np.concatenate(found)

    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) >= every:  # as often as other encoders give steps
            yield from give()
            buffer, length = buffer[every:], round(EXCERPT * encoder.rate)
    if length == every or len(buffer):
        yield from give()


def _steps_of(network: ClipNetwork, counted: _Counted, sample_rate: int) -> Iterator[Floats]:
    [steps] = _steps([SharedEncoder(network)], counted, sample_rate, spread=True)
    return steps


def _track(
    entry: registry.ModelEntry,
    logits: Floats,
    spans: Spans,
    seconds: float,
    *,
    kind: str | None = None,
    silent: bool = False,
    is_silent: Callable[[float, float], bool] = lambda start, end: False,
) -> Track:
    """Turn logits into calibrated probabilities; `kind` is what it sounds like, out of domain."""
    decoder = entry.config.get("decoder") or {}
    independent = entry.task == "tag" or bool(entry.config.get("multi_label"))
    scaled = logits / float(decoder.get("temperature", 1.0)) + float(decoder.get("bias", 0.0))
    probabilities = probable(scaled, "tag" if independent else entry.task)
    threshold = decoder.get("threshold", 0.5) if independent else decoder.get("unknown", 0)
    labels = tuple(str(label) for label in entry.config["labels"])
    warnings = []
    quiet = np.array([silent or is_silent(*span) for span in zip(*spans, strict=True)], bool)
    if silent:
        warnings.append("is silent")
    # Where nothing sounds there is no answer, unless silence is a class.
    probabilities[quiet] = 0 if independent or SILENCE in labels else 1 / len(labels)
    named = np.array([label == SILENCE for label in labels], bool)
    named[_absent(entry)] = True
    probabilities[np.ix_(quiet, named)] = 1
    axes = {
        str(name): probabilities @ np.array([signs.get(label, 0.0) for label in labels], np.float32)
        for name, signs in (entry.config.get("axes") or {}).items()
    }
    if kind is not None:
        warnings.append(out_of_domain(entry.name, entry.config["domain"], kind))
    return Track(
        entry.name, entry.task, labels, probabilities, *spans, seconds, float(threshold), axes,
        tuple(warnings), quiet, independent and entry.task != "tag",
        float(decoder.get("release", 1.0)), kind is not None,
    )  # fmt: skip
