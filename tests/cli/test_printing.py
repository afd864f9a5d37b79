"""Lines of standard output, and which formats can have them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from audiocli.batch import Outcome
from audiocli.batch.inputs import Input, Job
from audiocli.cli.printing import Printer
from audiocli.errors import FieldError


def outcome(value: str) -> Outcome:
    return Outcome(Job(Input(Path("a.wav"), "a.wav", Path("a.wav")), ()), "done", value=value)


@dataclass(frozen=True)
class Text:
    form: str = "csv"
    prints: bool = True
    prints_several: bool = True
    joins: bool = True
    extension: str = ".csv"
    column: int = 0

    def render(self, value: str, named: bool, header: bool) -> str:
        return f"{header * 'head '}{value}{named * ' named'}\n" if value else ""


def test_the_head_comes_once_and_names_where_there_are_several() -> None:
    printer = Printer(Text(), "onsets")
    printer.expect(2)
    assert list(printer(outcome("a\nb"))) == ["head a\nb named"]
    assert list(printer(outcome("c"))) == ["c named"]
    assert list(printer(outcome(""))) == []
    alone = Printer(Text("lab", prints_several=False), "chords")
    alone.expect(1)
    assert list(alone(outcome("a"))) == ["head a"]


def test_no_results_print_nothing() -> None:
    printer = Printer(None, "onsets")
    printer.expect(2)
    assert list(printer(outcome("a"))) == []


def test_what_cannot_be_printed_is_refused() -> None:
    with pytest.raises(FieldError, match="midi is no text"):
        Printer(Text("midi", prints=False), "onsets")
    with pytest.raises(FieldError, match="holds the chords of one file"):
        Printer(Text("lab", prints_several=False), "chords").expect(2)
