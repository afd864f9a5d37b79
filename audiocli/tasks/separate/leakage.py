"""Score separation where there is nothing to separate: music without voice, or a voice alone.

Ratios of sources are not defined where one of them is silent. What counts there is how much of
the sound ends in the stem that ought to stay silent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiocli.batch import Callbacks, Progress
from audiocli.batch.inputs import Job, find_inputs
from audiocli.errors import check_choice
from audiocli.io.audio import AudioReader
from audiocli.nn import registry
from audiocli.tasks.evaluation import Evaluation, Measured, evaluate_jobs, record_measures
from audiocli.tasks.separate.clips import SOURCES
from audiocli.tasks.separate.conditioning import ProgrammeLevel
from audiocli.tasks.separate.separator import Separator

__all__ = ["Leak", "Leakage", "evaluate_leakage", "leak_of", "record_leakage"]

#: What counts as none at all, in dB.
NONE = -120.0


@dataclass(frozen=True)
class Leak:
    """How much of one recording ends in the stem that ought to stay silent.

    Parameters
    ----------
    file : str
        The recording.
    seconds : float
        Its length.
    leak : float
        Energy of that stem relative to the recording's, in dB; -120 is none at all, and NaN
        that of a silent recording.
    """

    file: str
    seconds: float
    leak: float


#: The leaks of a set of recordings; the total is the mean of their decibels, weighted by length.
Leakage = Evaluation[Leak, Leak]


def leak_of(separator: Separator, source: Path, only: str, *, name: str | None = None) -> Leak:
    """Separate a recording of one source and measure what ends in the others."""
    with AudioReader(source, name=name) as reader:
        rate = reader.info.sample_rate
        level = ProgrammeLevel(rate)
        for block in reader.blocks():
            level.add(block)
        total_energy = leaked = 0.0
        for stems in separator.blocks(reader.blocks(), rate, level.level):
            whole = stems.sum(axis=0)
            vocals = stems[separator.stems.index("vocals")]
            total_energy += float(np.sum(whole**2, dtype=np.float64))
            wrong = vocals if only == "accompaniment" else whole - vocals
            leaked += float(np.sum(wrong**2, dtype=np.float64))
    if not total_energy:
        return Leak(name or str(source), level.frames / rate, math.nan)
    ratio = 10 * math.log10(leaked / total_energy) if leaked > 0 else NONE
    return Leak(name or str(source), level.frames / rate, max(ratio, NONE))


@dataclass(frozen=True)
class _MakeScorer:
    """Makes what measures a file; pickled to worker processes."""

    model: str
    only: str
    device: str

    def __call__(self) -> Callable[[Job, Progress], tuple[float, Leak]]:
        separator = Separator(self.model, device=self.device)

        def work(job: Job, progress: Progress) -> tuple[float, Leak]:
            leak = leak_of(separator, job.input.path, self.only, name=job.input.name)
            return leak.seconds, leak

        return work


def evaluate_leakage(
    folder: Path,
    model: str,
    only: str,
    *,
    every: int = 1,
    n_jobs: int = 1,
    device: str = "auto",
    callbacks: Callbacks | None = None,
) -> Leakage:
    """Measure how much of the recordings in a folder ends in the wrong stem."""
    check_choice("source", only, SOURCES)
    found = find_inputs([str(folder)])[::every]
    jobs = [Job(item, ()) for item in found]
    make_scorer = _MakeScorer(model, only, device)
    return evaluate_jobs(jobs, make_scorer, _total, n_jobs=n_jobs, callbacks=callbacks)


def _total(leaks: Sequence[Leak]) -> Leak:
    sounding = [leak for leak in leaks if not math.isnan(leak.leak)]
    seconds = sum(leak.seconds for leak in sounding)
    mean = sum(leak.leak * leak.seconds for leak in sounding) / seconds if seconds else math.nan
    return Leak("total", seconds, mean)


def record_leakage(model: str, leakage: Leakage, only: str, data: str) -> None:
    """Write the mean into a model folder, configuration and card."""
    wrong = SOURCES[1 - SOURCES.index(only)]
    if leakage.total is None:
        return
    measure = f"energy relative to the recording's, of {only} alone"
    leak = Measured(f"leak into {wrong}", round(leakage.total.leak, 1), "dB", measure)
    where = f"{data}; number of recordings: {len(leakage.scores)}"
    record_measures(registry.find("separate", model), [leak], where, last=True)
