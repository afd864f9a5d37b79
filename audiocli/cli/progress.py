"""What a batch shows on standard error: a bar on a terminal, and each failure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from audiocli.batch import Callbacks, Outcome, Summary
from audiocli.batch.inputs import Job
from audiocli.cli.streams import OutputError, escaped
from audiocli.errors import printable

__all__ = ["Reporter", "finish"]


class Reporter(Callbacks):
    """Show how a batch goes.

    Parameters
    ----------
    quiet : bool
        Only failures, no warnings.
    verbose : bool
        A line for every file.
    expected : callable
        Told the number of files, before the first.
    results : callable
        Makes the lines of standard output from the outcome of a file that is done.
    remarks : callable
        Makes lines of standard error from it, to come before those.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        expected: Callable[[int], None] = lambda total: None,
        results: Callable[[Outcome], Iterable[str]] = lambda outcome: (),
        remarks: Callable[[Outcome], Iterable[str]] = lambda outcome: (),
    ) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.expected = expected
        self.results = results
        self.remarks = remarks
        self.console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),  # a name may hold [brackets]
            BarColumn(),
            TextColumn("{task.completed:.1f}/{task.total:.0f} files"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=quiet or not sys.stderr.isatty(),
        )
        self.bar: TaskID | None = None
        self.finished_jobs = 0
        self.finished_seconds = 0.0
        # Of the files in work only: a batch may have a hundred thousand.
        self.parts: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def started(self, total_jobs: int) -> None:
        """Open the bar."""
        self.expected(total_jobs)
        self.progress.start()
        self.bar = self.progress.add_task("", total=total_jobs, speed="")

    def advanced(self, job: Job, done_seconds: float, total_seconds: float | None) -> None:
        """Move the bar by the share of a file that is done."""
        name = job.input.name
        self.parts[name] = done_seconds / total_seconds if total_seconds else 0.0
        self.seconds[name] = done_seconds
        self._update(name)

    def finished(self, outcome: Outcome) -> None:
        """Count a file, print its warnings and results; name it where it failed."""
        name = printable(outcome.job.input.name)
        self.parts.pop(outcome.job.input.name, None)
        self.seconds.pop(outcome.job.input.name, None)
        self.finished_seconds += outcome.audio_seconds
        self.finished_jobs += 1
        self._update(name)
        if not self.quiet:
            for message in outcome.warnings:
                self._say(f"warning: {name}: {message}")
        if outcome.status == "done":
            for line in self.remarks(outcome):
                self._say(line)
            self._print_results(outcome)
        if outcome.status == "failed":
            self._say(f"audiocli: {outcome.error}")
            if outcome.traceback:
                self._say(outcome.traceback)
        elif self.verbose and outcome.status == "skipped":
            self._say(f"{name}: done before")
        elif self.verbose:
            speed = outcome.audio_seconds / max(outcome.elapsed, 1e-9)
            self._say(f"{name}: {outcome.audio_seconds:.1f} s, {speed:.1f} times real time")

    def closed(self) -> None:
        """Take the bar away."""
        self.progress.stop()

    def _print_results(self, outcome: Outcome) -> None:
        try:
            for line in self.results(outcome):
                self._say(line, err=False)
        except OutputError:
            # What is asked for is in files: they are made all the same, and the end tells.
            if not outcome.job.outputs:
                raise

    def _update(self, name: str) -> None:
        if self.bar is None:
            return
        elapsed = self.progress.tasks[0].elapsed or 0.0
        seconds = self.finished_seconds + sum(self.seconds.values())
        speed = f"{seconds / elapsed:.0f} x real time" if elapsed > 1 else ""
        done = self.finished_jobs + sum(self.parts.values())
        name = printable(name)
        shown = name if len(name) <= 40 else "..." + name[-37:]
        fields: dict[str, Any] = {"speed": speed}
        self.progress.update(self.bar, completed=done, description=shown, **fields)

    def _say(self, line: str, *, err: bool = True) -> None:
        # On a terminal through the console that draws the bar, so that neither tears the other.
        if self.progress.disable or not (err or sys.stdout.isatty()):
            click.echo(line, err=err)
        else:
            plain: dict[str, Any] = dict.fromkeys(("markup", "emoji", "highlight"), False)
            self.console.print(escaped(line), soft_wrap=True, **plain)


def finish(summary: Summary, *, quiet: bool = False) -> None:
    """Name what failed at the end, and exit with 1 if anything did."""
    total = summary.done + summary.failed + summary.skipped
    if summary.failed and total > 1:
        click.echo(f"audiocli: {summary.failed} of {total} inputs failed:", err=True)
        for outcome in summary.failures:
            click.echo(f"  {outcome.error}", err=True)
    if summary.done and not quiet and total > 1:
        speed = summary.audio_seconds / max(summary.elapsed, 1e-9)
        click.echo(
            f"{summary.done} done, {summary.skipped} skipped, {summary.failed} failed; "
            f"{summary.audio_seconds:.0f} s of audio at {speed:.1f} times real time",
            err=True,
        )
    if summary.exit_code:
        sys.exit(summary.exit_code)
