"""Score separation where there is nothing to separate: music without voice, or a voice alone.

Ratios of sources are not defined where one of them is silent. What counts there is how much of
the sound ends in the stem that ought to stay silent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiocli.batch import Callbacks, Collector, Progress, Summary, Worker, run
from audiocli.batch.inputs import Job, find_inputs
from audiocli.errors import UsageError, suggest
from audiocli.io.audio import AudioReader
from audiocli.io.audio.levels import Level
from audiocli.nn import registry
from audiocli.nn.models import share_processor
from audiocli.tasks.separate.clips import SOURCES
from audiocli.tasks.separate.separator import Separator

__all__ = ["Leak", "Leakage", "evaluate_leakage", "leak_of", "record_leakage"]

BLOCK = 1 << 16  # samples
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
        Energy of that stem relative to the recording's, in dB; -120 is none at all.

    Examples
    --------
    >>> Leak("a.wav", 30.0, -31.5).leak
    -31.5
    """

    file: str
    seconds: float
    leak: float


@dataclass(frozen=True)
class Leakage:
    """The leaks of a set of recordings.

    Parameters
    ----------
    files : list of Leak
        In their order.
    total : Leak
        The mean of their decibels, weighted by length.
    summary : Summary
        What failed.

    Examples
    --------
    >>> from audiocli.batch import Summary
    >>> total = Leak("total", 0.0, math.nan)
    >>> Leakage([], total, Summary(0, 0, 0, [], 0.0, 0.0)).summary.exit_code
    0
    """

    files: list[Leak]
    total: Leak
    summary: Summary


def leak_of(separator: Separator, source: Path, only: str, *, name: str | None = None) -> Leak:
    """Separate a recording of one source and measure what ends in the others.

    Parameters
    ----------
    separator : Separator
        The model.
    source : Path
        The recording.
    only : {"vocals", "accompaniment"}
        What it holds.
    name : str, optional
        How to call it.

    Returns
    -------
    Leak

    Raises
    ------
    AudioError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     music = Path(folder) / "stems" / "accompaniment.wav"
    ...     leak_of(Separator(), music, "accompaniment").leak < 0
    True
    """
    with AudioReader(source, name=name) as reader:
        rate = reader.info.sample_rate
        level = Level(rate)
        for block in reader.blocks(BLOCK):
            level.hear(block)
        heard = leaked = 0.0
        for stems in separator.blocks(reader.blocks(BLOCK), rate, level.rms):
            whole = stems.sum(axis=0)
            vocals = stems[separator.stems.index("vocals")]
            heard += float(np.sum(whole**2, dtype=np.float64))
            wrong = vocals if only == "accompaniment" else whole - vocals
            leaked += float(np.sum(wrong**2, dtype=np.float64))
    ratio = 10 * math.log10(leaked / heard) if leaked > 0 else NONE
    return Leak(name or str(source), level.frames / rate, max(ratio, NONE))


@dataclass(frozen=True)
class _MakeWorker:
    """Makes what measures a file; pickled to worker processes."""

    model: str
    only: str
    device: str
    n_jobs: int

    def __call__(self) -> Worker:
        share_processor(self.n_jobs)
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
    listener: Callbacks | None = None,
) -> Leakage:
    """Measure how much of the recordings in a folder ends in the wrong stem.

    Parameters
    ----------
    folder : Path
        Recordings of one source.
    model : str
        A model's name or folder.
    only : {"vocals", "accompaniment"}
        What they hold.
    every : int
        Take each so-manyth only.
    n_jobs : int
        Worker processes.
    device : str
        As in :func:`audiocli.nn.models.device`.
    listener : Callbacks, optional
        Hears how it goes.

    Returns
    -------
    Leakage

    Raises
    ------
    UsageError
        If `only` is no source, or there is no such model.
    """
    if only not in SOURCES:
        raise UsageError(f"unknown source {only!r}: {suggest(only, SOURCES)}")
    found = find_inputs([str(folder)])[::every]
    jobs = [Job(item, ()) for item in found]
    heard = Collector(listener)
    make_worker = _MakeWorker(model, only, device, n_jobs)
    summary = run(jobs, make_worker, settings={}, n_jobs=n_jobs, listener=heard)
    return Leakage(heard.values, _total(heard.values), summary)


def _total(leaks: Sequence[Leak]) -> Leak:
    seconds = sum(leak.seconds for leak in leaks)
    mean = sum(leak.leak * leak.seconds for leak in leaks) / seconds if seconds else math.nan
    return Leak("total", seconds, mean)


def record_leakage(model: str, leakage: Leakage, only: str, data: str) -> None:
    """Write the mean into a model folder, configuration and card.

    Parameters
    ----------
    model : str
        The model's name or folder.
    leakage : Leakage
        What :func:`evaluate_leakage` gave.
    only : {"vocals", "accompaniment"}
        What the recordings hold.
    data : str
        What they are, in words.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    wrong = SOURCES[1 - SOURCES.index(only)]
    score = {
        "metric": f"leak into {wrong}",
        "value": round(leakage.total.leak, 1),
        "unit": "dB",
        "measure": f"energy relative to the recording's, of {only} alone",
        "data": f"{data}; number of recordings: {len(leakage.files)}",
        "command": registry.command_line(),
    }
    registry.add_scores(registry.find("separate", model), [score], last=True)
