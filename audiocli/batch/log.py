"""The log of a run: what is known of its jobs from before, and what is written of them."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from audiocli.batch.inputs import Job
from audiocli.batch.joint import JointFile
from audiocli.batch.manifest import Known, Manifest
from audiocli.batch.workers import Outcome, Task, failure
from audiocli.io import urls

__all__ = ["Log"]

#: Of jobs whose log is in a store: so many are announced together, and after so many seconds what
#: became of them is sent.
TOGETHER, PAUSE = 64, 30.0


class Log:
    """The manifest and the joint file of a run, either of which may be missing.

    Parameters
    ----------
    jobs : sequence of Job
        What there is to do.
    manifest : Manifest, optional
        Opened, and with it the joint file.
    joint : JointFile, optional
        One file for the results of all jobs.
    pruning : bool
        Whether the results of inputs that are gone are to be removed.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        manifest: Manifest | None,
        joint: JointFile | None,
        pruning: bool,
    ) -> None:
        self.jobs, self.manifest, self.joint, self.pruning = jobs, manifest, joint, pruning
        self.begun: set[int] = set()  # may have written something, and no record says so yet
        self.pruned = 0
        self._together = TOGETHER if manifest is not None and manifest.is_remote else 1
        self._sent_at = time.monotonic()
        self._renamed = self._gone_rows()  # by the hash of their audio
        self._moved: set[int] = set()

    def tasks(self) -> Iterator[tuple[int, Task]]:
        """Give the jobs, each looked up when its turn comes; before that, it is in the log."""
        tasks = self._tasks()
        while group := list(itertools.islice(tasks, self._together)):
            self._send()
            yield from group

    def _tasks(self) -> Iterator[tuple[int, Task]]:
        for index, job in enumerate(self.jobs):
            if self.manifest is None:
                yield index, Task(job, own=job.replace or not job.existing())
                continue
            has = partial(self._has, job.input.label)
            task = self.manifest.task(job, complete=has)
            if not task.done_sha256 and self._renamed and not job.outputs:
                self._moved.add(index)
                task = dataclasses.replace(task, done_sha256=frozenset(self._renamed))
            elif not task.done_sha256:
                self.manifest.begin(task.job)
            yield index, task

    def finished(self, index: int, outcome: Outcome) -> Outcome:
        """Write down what became of a job; give what the callbacks are told."""
        rows = None
        if outcome.status == "skipped" and index in self._moved:
            rows = self._rename_rows(outcome)
        if outcome.status == "done" and self.joint is not None:
            rows = self.joint.add(outcome.value, outcome.job.input.label)
        if self.manifest is not None:
            self.manifest.record(outcome, touched=index in self.begun, rows=rows)
        self.begun.discard(index)
        if time.monotonic() - self._sent_at > PAUSE:
            self._send()
        return outcome if self.joint is None else dataclasses.replace(outcome, value=None)

    def _send(self) -> None:
        """Have stores keep what was logged, if it is kept in one."""
        if self.joint is not None:
            self.joint.flush()
        if self.manifest is not None:
            self.manifest.flush()
        self._sent_at = time.monotonic()

    def prune(self) -> None:
        """Remove the results of inputs that are gone, unless some input could not be found."""
        if not self.pruning or self.manifest is None:
            return
        if any(job.input.problem is not None for job in self.jobs):
            return
        present = {job.input.location for job in self.jobs}
        labels = {job.input.label for job in self.jobs}
        gone: dict[str, Known] = {}
        for record in self.manifest.latest.values():
            path = record.path
            if path not in present and not urls.is_url(path) and not os.path.lexists(path):
                gone[path] = record
        for record in gone.values():
            label = record.input
            if self.joint is not None:
                if label in labels or not self.joint.drop(label):
                    continue  # renamed, or without rows
            self.manifest.remove(record)
            self.pruned += 1

    def close(self) -> None:
        """Write down what was interrupted, and put the joint file together."""
        if self.manifest is None:
            return
        try:
            for index in sorted(self.begun):
                interrupted = failure(self.jobs[index], "interrupted")
                self.manifest.record(interrupted, touched=True)
            self.manifest.check()
        finally:
            if self.joint is not None:
                self.joint.finish([job.input.label for job in self.jobs])

    def _has(self, label: str, record: Known) -> bool:
        if self.joint is None:
            return True
        rows, there = record.rows, self.joint.rows(label)
        return rows == 0 or (there is not None and rows in (there, None))

    def _gone_rows(self) -> dict[str, str]:
        """Find rows of files that are not there any more: they may have another name now."""
        if self.manifest is None or self.joint is None:
            return {}
        names: dict[str, str] = {}
        for record, sha256 in self.manifest.done():
            label, path = record.input, record.path
            is_gone = not urls.is_url(path) and not os.path.lexists(path)
            if self.joint.rows(label) is not None and is_gone:
                names[sha256] = label
        return names

    def _rename_rows(self, outcome: Outcome) -> int | None:
        """Name the rows of a file that was renamed by its new name."""
        assert self.joint is not None  # narrows the type
        hashes: tuple[Any, ...] = (outcome.audio_sha256, outcome.input_sha256)
        old = next(self._renamed[sha256] for sha256 in hashes if sha256 in self._renamed)
        self.joint.rename(old, outcome.job.input.label)
        return self.joint.rows(old)
