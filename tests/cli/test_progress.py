"""What a batch and an evaluation show."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from audiocli.batch import Outcome, Summary
from audiocli.batch.inputs import Input, Job
from audiocli.cli.progress import Reporter
from audiocli.cli.tables import show_scores
from audiocli.tasks.separate.evaluation import ClipScore, Evaluation


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_names_are_shown_as_they_are_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither [brackets] nor :colons: mean anything in a name."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(
        "audiocli.cli.progress.Console",
        lambda stderr: Console(file=screen, force_terminal=True, width=200, color_system=None),
    )
    name = "[live] :fire: [/x].wav"
    job = Job(Input(Path(name), name, Path(name)), ())
    reporter = Reporter(verbose=True, results=lambda outcome: [f"out/{name}"])
    reporter.started(1)
    reporter.advanced(job, 1.0, 2.0)
    reporter.progress.refresh()
    reporter.finished(Outcome(job, "done", audio_seconds=2.0, elapsed=1.0))
    reporter.closed()
    shown = screen.getvalue()
    assert f"{name} ━" in shown  # before the bar
    assert f"out/{name}\n" in shown
    assert f"{name}: 2.0 s, 2.0 times real time" in shown


def test_scores_in_json_are_numbers_or_null(capsys: pytest.CaptureFixture[str]) -> None:
    score = ClipScore("a", 1.0, "network", "vocals", 3, math.nan, -math.inf, 1.5, math.inf)
    show_scores(Evaluation([score], [], Summary(1, 0, 0, [], 1.0, 1.0)), "json")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    (clip,) = json.loads(capsys.readouterr().out, parse_constant=refuse)["clips"]
    assert (clip["nsdr"], clip["sdr"], clip["sir"], clip["sar"]) == (None, None, 1.5, None)


@pytest.mark.parametrize("quiet", [False, True])
def test_each_warning_is_a_line_of_standard_error_with_the_files_name(
    capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    job = Job(Input(Path("a.wav"), "a.wav", Path("a.wav")), ())
    reporter = Reporter(quiet=quiet, results=lambda outcome: ["a result"])
    reporter.started(1)
    reporter.finished(Outcome(job, "done", warnings=("too short", "silent")))
    reporter.closed()
    shown = capsys.readouterr()
    assert shown.out == "a result\n"
    assert shown.err == ("" if quiet else "warning: a.wav: too short\nwarning: a.wav: silent\n")
