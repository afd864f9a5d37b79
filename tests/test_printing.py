"""Lines of standard output, and which formats can have them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from audiocli.batch import Outcome
from audiocli.batch.inputs import Input, Job
from audiocli.cli.printing import Printer


def outcome(value: str) -> Outcome:
    return Outcome(Job(Input(Path("a.wav"), "a.wav", Path("a.wav")), ()), "done", value=value)


def render(text: str, several: bool, header: bool) -> str:
    return f"{header * 'head '}{text}{several * ' named'}\n" if text else ""


def test_the_head_comes_once_and_names_where_there_are_several() -> None:
    printer = Printer("csv", "onsets", render)
    printer.expect(2)
    assert list(printer(outcome("a\nb"))) == ["head a", "b named"]
    assert list(printer(outcome("c"))) == ["c named"]
    assert list(printer(outcome(""))) == []
    alone = Printer("lab", "chords", render)
    alone.expect(1)
    assert list(alone(outcome("a"))) == ["head a"]


def test_no_format_prints_nothing() -> None:
    printer = Printer(None, "onsets", render)
    printer.expect(2)
    assert list(printer(outcome("a"))) == []


def test_what_cannot_be_printed_is_refused() -> None:
    with pytest.raises(click.UsageError, match="midi is no text"):
        Printer("midi", "onsets", render)
    with pytest.raises(click.UsageError, match="holds the chords of one file"):
        Printer("lab", "chords", render).expect(2)
    Printer("lab", "chords", render, joined=["lab"]).expect(2)
