"""What a batch shows on standard error: how far it is, what was written, and each failure once."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from audiocli.batch import Callbacks, Outcome, Plan, Summary
from audiocli.batch.inputs import Job
from audiocli.cli.events import EventLog, event, job_fields
from audiocli.cli.streams import OutputError, escaped
from audiocli.errors import printable

__all__ = ["Reporter", "finish"]

#: Seconds between lines on progress where there is no terminal for a bar.
EVERY = 30.0


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
    exports : collection of str
        Kinds of outputs whose names are told on standard error.
    as_json : bool
        Write what goes to standard error as lines of JSON.
    log : Path, optional
        A file to which every event is appended as a line of JSON.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        expected: Callable[[int], None] = lambda total: None,
        results: Callable[[Outcome], Iterable[str]] = lambda outcome: (),
        remarks: Callable[[Outcome], Iterable[str]] = lambda outcome: (),
        exports: Collection[str] = (),
        as_json: bool = False,
        log: Path | None = None,
    ) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.expected = expected
        self.results = results
        self.remarks = remarks
        self.exports = exports
        self.as_json = as_json
        self.log = None if log is None else EventLog(log)
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
            disable=quiet or as_json or not sys.stderr.isatty(),
        )
        self.bar: TaskID | None = None
        self.total = 0
        self.failed: list[Outcome] = []
        self.started_at = self.told_at = time.monotonic()
        self.finished_jobs = 0
        self.finished_seconds = 0.0
        # Of the files in work only: a batch may have a hundred thousand.
        self.parts: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def planned(self, plan: Plan) -> None:
        """Print what a dry run would do."""
        for job in plan.jobs:
            outputs = [str(path) for path in job.outputs]
            name, problem = job.input.name, job.input.problem
            if self.as_json:
                exists = list(map(str, job.existing()))
                fields = {"file": job.input.label, "path": str(job.input.path), "outputs": outputs,
                          "replaces": exists, "problem": problem}  # fmt: skip
                self._say(event("plan", **fields), err=False)
            elif problem is None:
                self._say(" -> ".join([printable(name), *map(printable, outputs)]), err=False)
            else:
                self._say(f"audiocli: {problem}")
        files = {"table": plan.file, "manifest": plan.manifest}
        if self.as_json:
            named = {kind: None if path is None else str(path) for kind, path in files.items()}
            self._say(event("plan", inputs=len(plan.jobs), **named), err=False)
            return
        for kind, path in files.items():
            if path is not None:
                self._say(f"{kind}: {path}", err=False)

    def started(self, total_jobs: int) -> None:
        """Open the bar."""
        if self.log is not None:
            self.log.write("start", inputs=total_jobs)
        self.expected(total_jobs)
        self.total = total_jobs
        self.started_at = self.told_at = time.monotonic()
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
        if self.log is not None:
            self.log.write("job", **job_fields(outcome))
        if self.as_json:
            self._tell(outcome)
        elif not self.quiet:
            for message in outcome.warnings:
                self._say(f"warning: {name}: {message}")
        if outcome.status == "done":
            for line in (*self._written(outcome), *self.remarks(outcome)):
                self._say(line)
            self._print_results(outcome)
        if self.as_json:
            return
        if outcome.status == "failed":
            self.failed.append(outcome)
        elif self.verbose and outcome.status == "skipped":
            self._say(f"{name}: done before")
        elif self.verbose:
            speed = outcome.audio_seconds / max(outcome.elapsed, 1e-9)
            self._say(f"{name}: {outcome.audio_seconds:.1f} s, {speed:.1f} times real time")

    def _tell(self, outcome: Outcome) -> None:
        """Write what is to be said of a file as a line of JSON."""
        fields = job_fields(outcome)
        if outcome.status == "failed":
            self._say(event("error", **fields))
        elif self.verbose:
            self._say(event("job", **fields))
        elif outcome.warnings and not self.quiet:
            self._say(event("warning", file=fields["file"], warnings=fields["warnings"]))

    def closed(self) -> None:
        """Take the bar away, and name what failed."""
        self.progress.stop()
        if self.log is not None:
            self.log.write("end", done=self.finished_jobs, inputs=self.total)
            self.log.close()
        for outcome in self.failed:
            self._say(f"audiocli: {outcome.error}")
            if outcome.traceback:
                self._say(outcome.traceback)
        self.failed.clear()

    def _written(self, outcome: Outcome) -> Iterator[str]:
        """Tell where pictures and the like went."""
        if self.quiet:
            return
        job = outcome.job
        for kind, path in zip(job.kinds, job.outputs, strict=False):
            if kind.split(" ")[0] in self.exports:
                yield f"{job.input.name}: {kind} written to {path}"

    def _print_results(self, outcome: Outcome) -> None:
        try:
            for line in self.results(outcome):
                self._say(line, err=False)
        except OutputError:
            # The results are in files too: they are made all the same, and the end tells.
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
        now = time.monotonic()
        if self.progress.disable and not self.quiet and now - self.told_at >= EVERY:
            self.told_at = now
            speed = f", {seconds / (now - self.started_at):.1f} times real time"
            self._say(f"audiocli: {done:.1f} of {self.total} files{speed if seconds else ''}")

    def _say(self, line: str, *, err: bool = True) -> None:
        if err:  # a name may be no text
            line = line.encode("utf-8", "backslashreplace").decode("utf-8")
        # On a terminal through the console that draws the bar, so that neither tears the other.
        if self.progress.disable or not (err or sys.stdout.isatty()):
            click.echo(line, err=err)
        else:
            plain: dict[str, Any] = dict.fromkeys(("markup", "emoji", "highlight"), False)
            self.console.print(escaped(line), soft_wrap=True, **plain)


def finish(summary: Summary, *, quiet: bool = False, as_json: bool = False) -> None:
    """Say how it ended, and exit with 1 if anything failed."""
    total = summary.done + summary.failed + summary.skipped
    if as_json:
        if not quiet and total:
            counts = {"done": summary.done, "skipped": summary.skipped, "failed": summary.failed}
            seconds = {"duration": round(summary.audio_seconds, 3),
                       "elapsed": round(summary.elapsed, 3)}  # fmt: skip
            click.echo(event("summary", **counts, **seconds, pruned=summary.pruned), err=True)
        if summary.exit_code:
            sys.exit(summary.exit_code)
        return
    if summary.failed and total > 1:
        click.echo(f"audiocli: {summary.failed} of {total} inputs failed", err=True)
    if summary.skipped == total > 0 and not quiet:
        what = "the input was" if total == 1 else f"all {total} inputs were"
        click.echo(f"nothing to do: {what} done before with the same settings", err=True)
    if summary.pruned and not quiet:
        click.echo(f"{summary.pruned} removed, whose inputs are gone", err=True)
    if summary.done and not quiet and total > 1:
        speed = summary.audio_seconds / max(summary.elapsed, 1e-9)
        click.echo(
            f"{summary.done} done, {summary.skipped} skipped, {summary.failed} failed; "
            f"{summary.audio_seconds:.0f} s of audio at {speed:.1f} times real time",
            err=True,
        )
    if summary.exit_code:
        sys.exit(summary.exit_code)
