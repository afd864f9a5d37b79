"""What a task declares of a run over files, for :mod:`audiocli.tasks.runner` to carry out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from audiocli.batch import Progress
from audiocli.batch.destination import Destination
from audiocli.batch.inputs import Input
from audiocli.batch.joint import RowFormat
from audiocli.batch.placing import NAME, Export, Namer
from audiocli.io import formats
from audiocli.nn.registry import ModelEntry

__all__ = ["AnnotationResults", "Declaration", "Item", "LooksAhead", "Results", "Work"]

Value = TypeVar("Value")


@dataclass(frozen=True)
class Item:
    """One input as a task's worker gets it.

    Parameters
    ----------
    input : Input
        What to open, and what to call it.
    outputs : mapping of str to Path
        What to write besides the result, by kind.
    overwrite : bool
        Whether files that are there may be replaced.
    progress : callable
        Told the seconds done, and of how many.
    note : callable
        Puts facts into the manifest, before the input is changed in place.
    """

    input: Input
    outputs: Mapping[str, Path]
    overwrite: bool
    progress: Progress
    note: Callable[[Mapping[str, Any]], None] = lambda facts: None

    @property
    def path(self) -> Path:
        """The file to open."""
        return self.input.path


Work = Callable[[Item], "tuple[float, Value]"]
"""Analyses one input; returns the seconds of audio in it and the result, which is pickled."""


@runtime_checkable
class LooksAhead(Protocol):
    """Work that does short inputs together, before each has its turn.

    The results are those of each by itself. Nothing is written, and nothing said of any input:
    one with which something is wrong is left for its turn.
    """

    def look_ahead(self, inputs: Sequence[Input]) -> None:
        """Analyse those of the inputs that are short, and keep the results for their turns."""


class Results(Protocol):
    """How results become text. Pickled to worker processes."""

    @property
    def form(self) -> str:
        """The name of the format."""

    @property
    def extension(self) -> str:
        """What the name of a file ends in, with its dot."""

    @property
    def joins(self) -> bool:
        """Whether one file can hold the results of several recordings."""

    @property
    def prints(self) -> bool:
        """Whether it is text."""

    @property
    def prints_several(self) -> bool:
        """Whether the text of several recordings can stand in one stream."""

    @property
    def column(self) -> int:
        """In txt: which of the cells between tabs is the name of the recording."""

    def render(self, value: Any, named: bool, header: bool) -> str | bytes:
        """Make text of a result; with the name of the recording, and with a head, or without."""


@dataclass(frozen=True)
class AnnotationResults:
    """Instants or segments, in one of the formats of :mod:`audiocli.io.formats`.

    Parameters
    ----------
    form : str
        The name of the format.
    options : formats.Options
        How to write.
    column : int
        As in :class:`Results`.
    """

    form: str
    options: formats.Options = field(default_factory=formats.Options)
    column: int = 1

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
        return self.form not in ("midi", "sqlite")

    @property
    def prints_several(self) -> bool:
        """Whether the text of several recordings can stand in one stream."""
        return self.joins

    def render(self, value: Any, named: bool, header: bool) -> str | bytes:
        """Make text of a result."""
        options = dataclasses.replace(self.options, file=named, header=header)
        return formats.render(value, self.form, options)


@dataclass(frozen=True)
class Declaration(Generic[Value]):
    """What a task needs for one run.

    Parameters
    ----------
    command : str
        The command, which names its manifest.
    what : str
        What the results are, in the plural, for messages.
    make_work : callable
        Makes what analyses one input, once a process. Pickled to worker processes.
    settings : mapping
        All that results depend on, besides the weights of the models, ready for JSON.
    destination : Destination
        Where results go.
    results : Results, optional
        How a result becomes text, in files and on standard output.
    exports : sequence of Export
        What to write besides the result.
    outputs : callable, optional
        Names what is written in the place of a result, by kind, for a task that makes sound.
    rows : RowFormat, optional
        How one file holds the results of all, where that is not text of `results`.
    models : sequence of ModelEntry
        Whose weights the results depend on.
    units : mapping of str to str
        The units of a table's columns, for the manifest.
    template : str
        What outputs in folders are called by default.
    network : bool
        Whether torch is at work, whose threads the processes share.
    batch_size : int
        Inputs that a worker which looks ahead, see :class:`LooksAhead`, is told of at once.
    in_order : bool
        Whether results come by the names of the recordings.
    check_inputs : callable, optional
        Told what was found; refuses what the task cannot work on.
    prepare : callable, optional
        Completes the declaration with what takes time, when nothing is left to be refused.
    """

    command: str
    what: str
    make_work: Callable[[], Work[Value]]
    settings: Mapping[str, Any]
    destination: Destination = field(default_factory=lambda: Destination(""))
    results: Results | None = None
    exports: Sequence[Export] = ()
    outputs: Callable[[Input, Namer], dict[str, Path]] | None = None
    rows: RowFormat | None = None
    models: Sequence[ModelEntry] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    template: str = NAME
    network: bool = True
    batch_size: int = 1
    in_order: bool = False
    check_inputs: Callable[[Sequence[Input]], None] | None = None
    prepare: Callable[[Declaration[Value]], Declaration[Value]] | None = None
