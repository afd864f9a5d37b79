"""Run a task over files: find inputs, name outputs, refuse what would lose something, and go.

This is the one way from a request to files and results, whatever the task. A task declares what a
request comes to (:class:`Declaration`): how a worker is made, how results are written, what else
it exports. It holds nothing of folders, formats, manifests or processes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from audiocli import __version__
from audiocli.batch import Callbacks, Plan, Progress, Summary, Worker, run
from audiocli.batch.databases import DatabaseRows
from audiocli.batch.inputs import Input, Job, check_joint_output, find_inputs, plan
from audiocli.batch.joint import JointFile, RowFormat
from audiocli.batch.manifest import command_of, digest, note_begin
from audiocli.batch.placing import Namer
from audiocli.batch.rows import TextRows
from audiocli.batch.sharding import Shard, parse_shard
from audiocli.batch.stdin import standard_input
from audiocli.errors import FieldError, UsageError, suggest
from audiocli.io import remote as stores
from audiocli.io.atomic import write_bytes
from audiocli.io.remote import RemotePath
from audiocli.nn.registry import ModelEntry
from audiocli.tasks.declaration import Declaration, Item, LooksAhead, Results, Work

if TYPE_CHECKING:
    from audiocli.batch.cluster import Cluster

__all__ = [
    "BatchOptions",
    "filled",
    "run_declared",
    "run_files",
]

Value = TypeVar("Value")
Request = TypeVar("Request")


@dataclass(frozen=True)
class BatchOptions:
    """How a run over files goes, whatever the task.

    Parameters
    ----------
    files_from, files_from0 : str, optional
        A list of more inputs, one a line, or each with a NUL character behind it.
    name : str, optional
        What outputs in folders are called, see :class:`audiocli.batch.placing.Namer`.
    overwrite, resume : bool
        Replace outputs that are there; skip what the manifest says is done.
    prune : bool
        With `resume`: remove outputs, or rows, of inputs that are gone.
    manifest : str or Path, optional
        By default ``audiocli.jsonl`` in an output folder (``audiocli.COMMAND.jsonl`` if that is
        of another command), or the name of a joint file and ``.manifest.jsonl``.
    n_jobs : int
        Worker processes.
    threads : int, optional
        Segments of a recording that go through a network at once, each on one core; by default the
        processes share the cores, or as many as ``OMP_NUM_THREADS`` says.
    shard : str, optional
        ``I/N``: do the part I, from 1 to N, of N. What all shards would write, a table or a
        manifest, gets I and N into its name; see :func:`audiocli.merge_files`.
    scheduler : str, optional
        The address of a dask scheduler, whose workers do the jobs; they see the same files.
    cluster : {"local", "slurm"}, optional
        Do them on a dask cluster of `n_jobs` processes, on this machine or each in a job of Slurm.
    dry_run : bool
        Check everything and hand the plan to the callbacks, but do and write nothing.
    fail_fast : bool
        Stop at the first input that fails.

    Examples
    --------
    >>> BatchOptions(resume=True).n_jobs
    1
    """

    files_from: str | None = None
    files_from0: str | None = None
    name: str | None = None
    overwrite: bool = False
    resume: bool = False
    prune: bool = False
    manifest: str | Path | None = None
    n_jobs: int = 1
    threads: int | None = None
    shard: str | None = None
    scheduler: str | None = None
    cluster: str | None = None
    dry_run: bool = False
    fail_fast: bool = False


def filled(
    request_type: type[Request],
    request: Request | None,
    options: BatchOptions | None,
    fields: Mapping[str, Any],
) -> tuple[Request, BatchOptions]:
    """Complete request and options by keywords.

    Parameters
    ----------
    request_type : type
        A frozen dataclass.
    request, options : optional
        As they were given; keywords change fields of them.
    fields : mapping
        The keywords, of both.

    Returns
    -------
    request, options

    Raises
    ------
    TypeError
        If there is no such field.

    Examples
    --------
    >>> filled(BatchOptions, None, None, {"n_jobs": 2})[1].n_jobs
    2
    """
    own = {each.name for each in dataclasses.fields(request_type)}  # type: ignore[arg-type]
    common = {each.name for each in dataclasses.fields(BatchOptions)}
    for name in fields:
        if name not in own | common:
            raise TypeError(f"unexpected keyword {name!r}: {suggest(name, own | common)}")
    mine = {name: value for name, value in fields.items() if name in own}
    theirs = {name: value for name, value in fields.items() if name in common}
    made = request_type(**mine) if request is None else dataclasses.replace(request, **mine)  # type: ignore[type-var]
    return made, dataclasses.replace(options or BatchOptions(), **theirs)


def run_files(
    declare: Callable[[Request, Path | None], Declaration[Any]],
    inputs: Sequence[str],
    output: str | Path | None,
    made: tuple[Request, BatchOptions],
    callbacks: Callbacks | None = None,
) -> Summary:
    """Carry out a request: what every function for many files does.

    Parameters
    ----------
    declare : callable
        Of the task: makes a declaration of a request and the output.
    inputs : sequence of str
        Files, folders, patterns, or ``-`` for standard input.
    output : str or Path, optional
        A file or a folder, here or as a URL.
    made : tuple of request and BatchOptions
        As :func:`filled` makes it.
    callbacks : Callbacks, optional
        Told how it goes.

    Returns
    -------
    Summary
    """
    request, options = made
    declared = declare(request, None if output is None else stores.place(output))
    return run_declared(declared, inputs, options, callbacks)


def run_declared(
    task: Declaration[Any],
    inputs: Sequence[str],
    options: BatchOptions,
    callbacks: Callbacks | None = None,
) -> Summary:
    """Do what a task declared, over all inputs.

    Parameters
    ----------
    task : Declaration
        What to do.
    inputs : sequence of str
        Files, folders, patterns, or ``-`` for standard input.
    options : BatchOptions
        How the run goes.
    callbacks : Callbacks, optional
        Told how it goes.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If it cannot be carried out as asked; nothing was written then.
    """
    if options.shard is not None:
        task = _sharded(task, parse_shard(options.shard))
    place = task.destination
    found = find_inputs(
        inputs,
        files_from=options.files_from,
        files_from0=options.files_from0,
        exclude=place.folder,
        remote=True,
    )
    settled = _settled(task, found, options)
    _check_stores(settled, options)
    if options.dry_run:
        (callbacks or Callbacks()).planned(settled)
        return Summary(0, 0, 0, [], 0.0, 0.0)
    if task.prepare is not None:
        task = task.prepare(task)
    cluster = _cluster(options)
    threads = options.threads if cluster is None else options.threads or 1
    joint = _joint(task, options, found) if settled.file is not None else None
    with standard_input(settled.jobs) as ready:
        return run(
            ready,
            _MakeWorker(
                task.make_work,
                task.results,
                task.network,
                options.n_jobs,
                threads,
                settled.manifest,
            ),  # fmt: skip
            settings=task.settings,
            n_jobs=options.n_jobs,
            batch_size=task.batch_size,
            model_sha256=_sums(task.models),
            manifest=settled.manifest,
            resume=options.resume,
            prune=options.prune,
            command=task.command,
            about=_about(task),
            joint=joint,
            fail_fast=options.fail_fast,
            cluster=cluster,
            callbacks=callbacks,
        )


def _check_stores(settled: Plan, options: BatchOptions) -> None:
    """Refuse what would be lost with the process that wrote it."""
    if options.n_jobs == 1 and options.scheduler is None and options.cluster is None:
        return
    for output in itertools.chain(*(job.outputs for job in settled.jobs)):
        if isinstance(output, RemotePath) and output.protocol == "memory":
            raise UsageError(f"{output}: is in the memory of one process; use one, or another URL")


def _cluster(options: BatchOptions) -> Cluster | None:
    """Find out where the jobs are to be done, if not in processes of this run."""
    if options.cluster not in (None, "local", "slurm"):
        raise FieldError(
            f"{{cluster}} {options.cluster}: must be local or slurm; of others name the "
            "{scheduler}",
            "cluster",
            "scheduler",
        )
    if options.scheduler is not None and options.cluster is not None:
        raise FieldError("{scheduler} and {cluster}: choose one", "scheduler", "cluster")
    if options.scheduler is None and options.cluster is None:
        return None
    from audiocli.batch.cluster import Cluster

    return Cluster(
        options.scheduler,
        options.n_jobs,
        slurm=options.cluster == "slurm",
        threads=options.threads or 1,
    )


def _settled(task: Declaration[Any], found: list[Input], options: BatchOptions) -> Plan:
    """Settle what is written for each input and for all; refuse what would lose something."""
    shard = None if options.shard is None else parse_shard(options.shard)
    place = task.destination
    if task.in_order:
        found.sort(key=lambda item: item.label)
    if task.check_inputs is not None:
        task.check_inputs(found)
    joins = place.file is not None and (task.rows is not None or _joins(task))
    name_outputs = partial(_outputs, task, Namer(options.name or task.template), len(found) > 1)
    jobs = plan(
        found, name_outputs, overwrite=options.overwrite, resume=options.resume, shard=shard
    )
    if place.file is not None:
        _check_file(task, place.file, found, options, joins)
    manifest = _manifest(task, options, joins, shard)
    if options.resume and manifest is None:
        raise FieldError(
            "{resume} goes by the manifest of an output; give one by {output}", "resume", "output"
        )
    return Plan(tuple(jobs), place.file if joins else None, manifest)


@dataclass(frozen=True)
class _MakeWorker:
    """Makes the batch's worker of a task's; pickled to worker processes."""

    make_work: Callable[[], Work[Any]]
    results: Results | None
    network: bool
    n_jobs: int
    threads: int | None
    manifest: Path | None

    def __call__(self) -> Worker:
        context: Callable[[], AbstractContextManager[None]] = nullcontext
        work = self.make_work()
        if self.network:
            from audiocli.nn.threads import threads_for, working  # loads torch

            context = partial(working, threads_for(self.n_jobs, self.threads))
        return _Worker(work, self.results, context, self.manifest)


@dataclass(frozen=True)
class _Worker:
    """Does one job, and writes its result."""

    work: Work[Any]
    results: Results | None
    context: Callable[[], AbstractContextManager[None]]
    manifest: Path | None

    def __call__(self, job: Job, progress: Progress) -> tuple[float, Any]:
        outputs = dict(zip(job.kinds, job.outputs, strict=True))
        target = outputs.pop("result", None)
        note = partial(note_begin, self.manifest, job.input)
        with self.context():
            seconds, value = self.work(Item(job.input, outputs, job.replace, progress, note))
        if target is not None and self.results is not None:
            content = self.results.render(value, False, True)
            data = content.encode("utf-8") if isinstance(content, str) else content
            write_bytes(target, data, overwrite=job.replace)
        return seconds, value

    def look_ahead(self, jobs: Sequence[Job]) -> None:
        """Let work that can do several inputs together do so."""
        if isinstance(self.work, LooksAhead):
            with self.context():
                self.work.look_ahead([job.input for job in jobs])


def _outputs(task: Declaration[Any], namer: Namer, several: bool, item: Input) -> dict[str, Path]:
    """Name all that is written for an input, by kind."""
    place = task.destination
    made: dict[str, Path] = {}
    if task.outputs is not None:
        made |= task.outputs(item, namer)
    elif task.results is not None and place.folder is not None:
        made["result"] = namer(place.folder, item, task.results.extension.removeprefix("."))
    elif task.results is not None and place.file is not None and not _joins(task):
        made["result"] = place.file
    for export in task.exports:
        made |= export.paths(item, namer, place.folder, several=several)
    return made


def _joins(task: Declaration[Any]) -> bool:
    return task.results is not None and task.results.joins


def _check_file(
    task: Declaration[Any], file: Path, found: Sequence[Input], options: BatchOptions, joins: bool
) -> None:
    """Refuse one file for the results of all where it cannot hold them or would lose something."""
    if len(found) > 1 and not joins:
        raise UsageError(
            f"{file}: {task.destination.form} holds the {task.what} of one file; name a folder, or "
            "use csv or jsonl"
        )
    fix = "use {overwrite} to replace it, or {resume} to add to it"
    check_joint_output(file, found, replace=options.overwrite or options.resume, fix=fix)


def _sharded(task: Declaration[Any], shard: Shard) -> Declaration[Any]:
    """Give a table that holds the results of all recordings the name of its shard."""
    place = task.destination
    if place.file is None or not (task.rows is not None or _joins(task)):
        return task
    return dataclasses.replace(
        task, destination=dataclasses.replace(place, file=shard.named(place.file))
    )


def _manifest(
    task: Declaration[Any], options: BatchOptions, joins: bool, shard: Shard | None
) -> Path | None:
    """Find the manifest: the one that was named, or the one that goes with the output."""
    if options.manifest is not None:
        manifest = stores.place(options.manifest)
        return manifest if shard is None else shard.named(manifest)
    place = task.destination
    if place.file is not None:
        kept = joins or options.resume
        return place.file.with_name(f"{place.file.name}.manifest.jsonl") if kept else None
    if place.folder is None:
        return None
    names = ["audiocli.jsonl", f"audiocli.{task.command}.jsonl"]
    paths = [place.folder / name for name in names]
    shared, own = paths if shard is None else map(shard.named, paths)
    return shared if command_of(shared) in (None, task.command) else own


def _joint(task: Declaration[Any], options: BatchOptions, found: Sequence[Input]) -> JointFile:
    """Make the file that holds the results of all inputs."""
    place = task.destination
    assert place.file is not None  # narrows the type
    rows = task.rows
    named = len(found) > 1
    if rows is None:
        assert task.results is not None
        rows = _rows(task, task.results, named)
    return JointFile(
        place.file,
        rows,
        digest({**task.settings, "models": _sums(task.models)}),
        resume=options.resume,
        replace=options.overwrite,
        in_order=task.in_order,
        empty=options.shard is not None,
    )


def _rows(task: Declaration[Any], results: Results, named: bool) -> RowFormat:
    """Choose how one file holds the results of all: as text, or in a database."""
    form = task.destination.form
    if form != "sqlite":
        return TextRows(form, results.render, named, results.column)
    made_with = {"command": task.command, "settings": dict(task.settings), "version": __version__,
                 **_about(task)}  # fmt: skip
    return DatabaseRows(task.command, results.render, made_with)


def _about(task: Declaration[Any]) -> dict[str, Any]:
    """Say what the manifest and the tables tell of a run, besides its settings."""
    about: dict[str, Any] = {"models": [entry.name for entry in task.models]}
    return {**about, "units": dict(task.units)} if task.units else about


def _sums(entries: Sequence[ModelEntry]) -> str | None:
    """Name the weights of all models, and of the encoders below them, by one sum."""
    sums = [str(entry.config["weights_sha256"]) for entry in entries]
    for entry in entries:
        sums += [str(each["weights_sha256"]) for each in entry.config.get("encoders") or ()]
    if len(sums) < 2:
        return sums[0] if sums else None
    return hashlib.sha256(" ".join(sums).encode()).hexdigest()
