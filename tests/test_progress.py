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
