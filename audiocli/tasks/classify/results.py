"""Results of classification as text, in many formats."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.batch.destination import Destination
from audiocli.errors import FieldError, UsageError, suggest
from audiocli.io import formats
from audiocli.io.formats import Segments
from audiocli.io.formats.plain import SCHEMA, seconds
from audiocli.io.names import words
from audiocli.nn.registry import ModelEntry
from audiocli.tasks.classify.decisions import Track, decode, merged

__all__ = [
    "FORMATS",
    "SPANS",
    "ClassResults",
    "ClassifyRequest",
    "Result",
    "describe",
    "destination",
    "name_of",
    "render",
]

TABLES = ("csv", "json", "jsonl", "sqlite")  # hold all labels, unless told otherwise
SPANS = ("lab", "jams", "audacity")  # hold what begins and ends, and for one recording only
FORMATS = ("txt", *TABLES, *SPANS)

Row = dict[str, Any]


@dataclass(frozen=True)
class ClassifyRequest:
    """What classification or tagging is to do.

    Parameters
    ----------
    form : str, optional
        One of ``FORMATS``; by default what the output's name says, or txt.
    top : int, optional
        How many labels, the best first. By default csv, json and jsonl hold all, and the other
        formats the best one, or of tags those that reach the threshold. Of a classifier with
        any number of labels, all hold those that reach it.
    threshold : float, optional
        Below this probability the best label becomes ``unknown``, or a tag is not given. By default
        the model's own. Among people who are enrolled: the least cosine.
    level : int, optional
        Join labels by their parents: 1 for the widest families, 2 for theirs. By default the labels
        stay as they are.
    segment, hop : float, optional
        Seconds of the segments to answer for, and from the start of one to that of the next. By
        default there is one answer for the whole recording.
    entries : sequence of ModelEntry
        The models, as :func:`find_models` finds them. All are given a file in one pass.
    enroll : Path, optional
        A folder a person, to be told apart by their voices. The entry is then an encoder;
        without one the encoder of voices.
    plot : str, optional
        A picture; a folder where there are several inputs, and "" for a name beside the output.
    write : bool
        Put genres and moods into copies of the files, in the output folder.
    in_place : bool
        Put them into the files themselves.
    device : str
        As in :func:`audiocli.nn.models.device`.
    batch_size : int, optional
        Short files, of up to 10 s, that are processed together; 1 is one by one. By default 32, on
        a GPU 128. The results are the same.

    Raises
    ------
    FieldError
        If a value is out of range, or needs another field.

    Examples
    --------
    >>> ClassifyRequest("csv", top=3).top
    3
    """

    form: str | None = None
    top: int | None = None
    threshold: float | None = None
    level: int | None = None
    segment: float | None = None
    hop: float | None = None
    entries: Sequence[ModelEntry] = ()
    enroll: Path | None = None
    plot: str | None = None
    write: bool = False
    in_place: bool = False
    device: str = "auto"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.form not in (None, *FORMATS):
            raise FieldError(f"{{form}} {self.form!r}: {suggest(str(self.form), FORMATS)}", "form")
        if self.top is not None and self.top < 1:
            raise FieldError(f"{{top}} {self.top}: at least 1", "top")
        if self.batch_size is not None and self.batch_size < 1:
            raise FieldError(f"{{batch_size}} {self.batch_size}: at least 1", "batch_size")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise FieldError(f"{{threshold}} {self.threshold}: between 0 and 1", "threshold")
        self._check_segments()
        if self.level is not None and self.level < 1:
            raise FieldError(f"{{level}} {self.level}: 1 is the widest", "level")
        if self.level is not None and self.write:
            raise FieldError("{write} goes by the tags themselves; leave out {level}",
                             "write", "level")  # fmt: skip
        if self.in_place and not self.write:
            raise FieldError("{in_place} says where {write} writes; give {write} as well",
                             "in_place", "write")  # fmt: skip

    def _check_segments(self) -> None:
        both = ("hop", "segment")
        if self.hop is not None and self.segment is None:
            raise FieldError(
                "{hop} is the distance between segments; give {segment} as well", *both
            )
        for name in both:
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise FieldError(f"{{{name}}} {value}: more than 0 seconds", name)
        if self.hop is not None and self.segment is not None and self.hop > self.segment:
            raise FieldError(
                f"{{hop}} {self.hop}: no longer than {{segment}} {self.segment}", *both
            )
        for name in ("enroll", "write"):
            if self.segment is not None and getattr(self, name):
                raise FieldError(f"{{{name}}} goes by the whole recording; leave out {{segment}}",
                                 name, "segment")  # fmt: skip


@dataclass(frozen=True)
class Result:
    """The labels of one recording.

    Parameters
    ----------
    file : str
        The recording, as results name it.
    seconds : float
        Its duration.
    tasks : tuple of str
        The models, as rows name them.
    columns : tuple of str
        Which parts of the rows to write.
    rows : list of dict
        ``start``, ``end``, ``label``, ``probability``, ``task`` and ``meaning``.
    events : Segments
        The same as labelled segments; neighbours of one label are joined.
    axes : dict of str to list
        Scales that models derive from their labels, such as valence; a value a segment.
    warnings : tuple of str
        Why the labels may be meaningless.

    Examples
    --------
    >>> none = Segments(np.zeros(0), np.zeros(0), [])
    >>> Result("a.wav", 2.0, ("genre",), ("label", "probability"), [], none).warnings
    ()
    """

    file: str
    seconds: float
    tasks: tuple[str, ...]
    columns: tuple[str, ...]
    rows: list[Row]
    events: Segments
    axes: Mapping[str, list[float]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def destination(target: Path | None, request: ClassifyRequest, *, folder: bool) -> Destination:
    """Choose the format, and whether the output is a file or a folder."""
    # Of txt and audacity, which end alike, txt is meant.
    endings = {end: name for name in reversed(FORMATS)
               for end in formats.FORMATS[name].extensions if end != ".onsets"}  # fmt: skip
    suffix = "" if target is None or target.is_dir() else target.suffix.lower()
    if suffix in endings and not folder:
        return Destination(request.form or endings[suffix], file=target)
    if target is not None and (suffix in endings or (target.exists() and not target.is_dir())):
        ends = "" if folder else f", or end the name in {', '.join(sorted(endings))}"
        raise UsageError(f"{target}: is not a folder; name a folder{ends}")
    if request.form == "sqlite":
        raise FieldError(f"{{output}} {target}: a database holds the results of all; name a file, "
                         f"say {target}.sqlite", "output")  # fmt: skip
    return Destination(request.form or "txt", folder=target)


def describe(
    tracks: Sequence[Track],
    request: ClassifyRequest,
    file: str,
    *,
    meanings: Mapping[str, Mapping[str, str]] | None = None,
    warnings: Sequence[str] = (),
) -> Result:
    """Turn the estimates of models into rows and segments."""
    meanings = meanings or {}
    several, along = len(tracks) > 1, request.segment is not None
    text = request.form in (None, "txt")
    names = tuple(name_of(track) for track in tracks)
    rows: list[Row] = []
    events: list[Row] = []
    for track in tracks:
        plain = meanings.get(name_of(track), {})
        rows += _answers(track, plain, request)
        if along:
            events += _events(track, plain, request.threshold)
        else:
            events += _answers(track, plain, replace(request, form=None))
    events.sort(key=lambda event: float(event["start"]))
    columns = ["start", "end"] if along else []
    columns += ["label"] if along and text else ["label", "probability"]
    columns += (["task"] if several else []) + (["meaning"] if any(meanings.values()) else [])
    labels = [f"{each['task']}:{each['label']}" if several else each["label"] for each in events]
    return Result(
        file,
        tracks[0].seconds,
        names,
        tuple(columns),
        events if along and text else rows,
        Segments(
            np.array([event["start"] for event in events]),
            np.array([event["end"] for event in events]),
            labels,
            confidences=_confidences(events),
            file=file,
            duration=tracks[0].seconds,
            metadata={"model": ", ".join(names)},
        ),
        {
            axis: [round(float(value), 4) for value in values]
            for track in tracks
            for axis, values in track.axes.items()
        },
        tuple(warnings),
    )


def name_of(track: Track) -> str:
    """Name a model in results: a classifier by its name alone, a tagger as ``tag/NAME``."""
    return track.model if track.task == "classify" else f"{track.task}/{track.model}"


def _row(
    track: Track, plain: Mapping[str, str], start: float, end: float, label: str, sure: float
) -> Row:
    return {
        "start": round(float(start), 6),
        "end": round(float(end), 6),
        "label": label,
        "probability": None if math.isnan(sure) else round(float(sure), 6),
        "task": name_of(track),
        "meaning": plain.get(label, ""),
    }


def _confidences(events: Sequence[Row]) -> NDArray[np.float64] | None:
    """Probabilities of events, or None if one has none (unknown or silence)."""
    sure = [event["probability"] for event in events]
    return None if None in sure else np.array(sure, np.float64)


def _best(track: Track, request: ClassifyRequest) -> list[list[tuple[str, float]]]:
    """Choose the labels of each segment that the format holds."""
    top = request.top
    if (
        top is None
        and request.form in TABLES
        and not track.multi_label
        and (track.task != "tag" or request.threshold is None)
    ):
        top = len(track.labels) + 1  # one of them may be "unknown"
    elif top is None and not track.independent:
        top = 1
    return decode(track, top=top, threshold=request.threshold)


def _answers(track: Track, plain: Mapping[str, str], request: ClassifyRequest) -> list[Row]:
    spans = zip(track.starts, track.ends, _best(track, request), strict=True)
    return [_row(track, plain, start, end, *pair) for start, end, pairs in spans for pair in pairs]


def _events(track: Track, plain: Mapping[str, str], threshold: float | None) -> list[Row]:
    """Join neighbouring segments of one label."""
    found = merged(track, threshold=threshold)
    assert found.confidences is not None  # narrows the type
    spans = zip(found.starts, found.ends, found.labels, found.confidences, strict=True)
    return [_row(track, plain, *span) for span in spans]


def render(result: Result, form: str, *, named: bool = True, header: bool = True) -> str:
    """Write a result as text."""
    if form in SPANS:
        return str(formats.render(result.events, form))  # bytes are midi's alone
    if form == "json":
        kept = [name for name in result.columns if name != "task"]
        tasks: dict[str, list[Row]] = {task: [] for task in result.tasks}
        for row in result.rows:
            tasks[row["task"]].append({name: row[name] for name in kept if row[name] != ""})
        document: Row = {"schema": SCHEMA, "file": result.file, "duration": result.seconds,
                     "tasks": tasks}  # fmt: skip
        if result.axes:
            along = "start" in result.columns
            document["axes"] = {axis: values if along else values[0]
                            for axis, values in result.axes.items()}  # fmt: skip
        lines = [json.dumps(document, ensure_ascii=False)]
    elif form == "jsonl":
        kept = list(dict.fromkeys([*result.columns, "task"]))
        lines = [
            json.dumps({"file": result.file, **{name: row[name] for name in kept}},
                       ensure_ascii=False)
            for row in result.rows
        ]  # fmt: skip
    elif form in ("csv", "sqlite"):
        lines = [",".join(["file", *result.columns])] if header else []
        lines += [",".join(map(words, [result.file, *_text(row, result.columns)]))
                  for row in result.rows]  # fmt: skip
    else:
        last = [name for name in ("task", "meaning") if name in result.columns]
        first = [name for name in result.columns if name not in last]
        name = [result.file] if named else []
        lines = [
            "\t".join([*_text(row, first), *name, *_text(row, last)]).rstrip("\t")
            for row in result.rows
        ]
    joined = "".join(f"{line}\n" for line in lines)
    return joined.encode("utf-8", "backslashreplace").decode("utf-8")  # names may be no text


def _text(row: Row, columns: Sequence[str]) -> list[str]:
    cells = dict(row, start=seconds(row["start"]), end=seconds(row["end"]))
    sure = row["probability"]
    cells["probability"] = "" if sure is None else f"{sure:.4f}"
    return [str(cells[name]) for name in columns]


@dataclass(frozen=True)
class ClassResults:
    """Results as text; see :class:`audiocli.tasks.runner.Results`.

    Parameters
    ----------
    form : str
        One of ``FORMATS``.
    along : bool
        Whether there is a result for each segment.
    """

    form: str
    along: bool = False

    @property
    def extension(self) -> str:
        """What the name of a file ends in."""
        return formats.FORMATS[self.form].extension

    @property
    def joins(self) -> bool:
        """Whether one file can hold the results of several recordings."""
        return formats.FORMATS[self.form].joins

    @property
    def prints(self) -> bool:
        """Whether it is text."""
        return self.form != "sqlite"

    @property
    def prints_several(self) -> bool:
        """Whether the text of several recordings can stand in one stream."""
        return self.joins

    @property
    def column(self) -> int:
        """In txt: which of the cells between tabs is the name of the recording."""
        return 3 if self.along else 2

    def render(self, value: Result, named: bool, header: bool) -> str:
        """Make text of the result for a recording."""
        return render(value, self.form, named=named, header=header)
