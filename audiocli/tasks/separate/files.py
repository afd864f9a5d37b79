"""Separate files into files, one or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audiocli.batch import Callbacks, Progress, Summary, Worker, run
from audiocli.batch.inputs import Job, find_inputs, plan
from audiocli.batch.stdin import standard_input
from audiocli.errors import UsageError, suggest
from audiocli.io.audio import AudioInfo
from audiocli.nn import models, registry
from audiocli.tasks.separate.clipping import clip_format
from audiocli.tasks.separate.clips import PARTS
from audiocli.tasks.separate.pitches import spread
from audiocli.tasks.separate.products import NAME, REMIX, Asked, Naming, container_of
from audiocli.tasks.separate.separator import DEFAULT_MODEL, Separator, stems_of
from audiocli.tasks.separate.song import ACCOMPANIMENT, Extras, Separation, separate_file

__all__ = ["NAME", "separate_files"]

#: The model to name to whoever wants drums, bass and the rest apart.
LARGE = "htdemucs"


@dataclass(frozen=True)
class _MakeWorker:
    """Makes what separates a file; pickled to worker processes."""

    model: str
    device: str
    stems: tuple[str, ...]
    kinds: tuple[str, ...]  # of each job's outputs: stems, remix, plot, report
    asked: Asked
    container: str | None
    bits: int | None
    clip: str
    metadata: bool
    pitches: int | None
    n_jobs: int

    def __call__(self) -> Worker:
        models.share_processor(self.n_jobs)
        separator = Separator(self.model, device=self.device, pitches=self.pitches)

        def work(job: Job, progress: Progress) -> tuple[float, Separation]:
            paths = dict(zip(self.kinds, job.outputs, strict=True))
            extras = Extras(
                paths.get(REMIX),
                self.asked.gains or {},
                paths.get("plot"),
                paths.get("report"),
                self.asked.preview,
            )
            done = separate_file(
                separator,
                job.input.path,
                {stem: paths[stem] for stem in self.stems},
                extras=extras,
                name=job.input.name,
                container=self.container or container_of(job.input),
                bits=self.bits,
                clip=self.clip,
                metadata=self.metadata,
                overwrite=job.replace,
                progress=progress,
            )
            return done.seconds, done

        return work


def _who_has(stem: str) -> str:
    """Name a model that has a stem, for a message about one that has not."""
    having = [entry.name for entry in registry.list_models("separate") if stem in stems_of(entry)]
    if having:
        return f"; --model {having[0]} has it"
    if stem in PARTS:
        return f"; --model {LARGE} has it, once audiocli models install {LARGE} has fetched it"
    return ""


def separate_files(
    inputs: Sequence[str],
    output: str | Path = "separated",
    *,
    files_from: str | None = None,
    model: str = DEFAULT_MODEL,
    stems: Sequence[str] | None = None,
    container: str | None = None,
    bits: int | None = None,
    clip: str = "rescale",
    metadata: bool = True,
    template: str = NAME,
    asked: Asked | None = None,
    pitches: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    manifest: Path | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    listener: Callbacks | None = None,
) -> Summary:
    """Separate files and folders; what ``audiocli separate`` does.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, patterns, or ``-`` for standard input.
    output : str or Path
        Folder for the stems; mirrors the folders given.
    files_from : str, optional
        A list of more inputs.
    model : str
        A model's name or folder.
    stems : sequence of str
        Which to write, of those the model has; ``accompaniment`` is always among them, all but
        the vocals. By default all that the model has.
    container, bits, clip, metadata
        As in :func:`separate_file`.
    template : str
        Name of an output, of ``{name}``, ``{stem}``, ``{ext}`` and ``{parent}``.
    asked : Asked, optional
        What to make besides the stems.
    pitches : int, optional
        As in :class:`audiocli.tasks.separate.separator.Separator`.
    overwrite, resume : bool
        Replace outputs that are there; skip what the manifest says is done.
    manifest : Path, optional
        By default ``audiocli.jsonl`` in `output`.
    n_jobs : int
        Worker processes.
    device : str
        As in :func:`audiocli.nn.models.device`.
    listener : Callbacks, optional
        Hears how it goes.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If the request cannot be carried out as asked; nothing was written then.
    ModelError
        If the model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     song = str(Path(folder) / "song.wav")
    ...     separate_files([song], Path(folder) / "out", stems=["vocals"]).done
    1
    """
    output = Path(output)
    # Whatever can be refused is refused here, before anything is written.
    clip_format(clip, container, bits, AudioInfo("", 44100, 2, None, 16, False, "wav"))
    if clip == "float":
        container = "wav"
    models.device(device)
    spread(pitches)
    found = find_inputs(inputs, files_from=files_from, exclude=output)
    entry = registry.find("separate", model)
    asked = asked or Asked()
    known = stems_of(entry)
    stems = known if stems is None else stems
    for stem in stems:
        if stem not in (*known, ACCOMPANIMENT):
            hint = suggest(stem, list(dict.fromkeys([*known, ACCOMPANIMENT])))
            raise UsageError(f"model {entry.name} has no stem {stem!r}: {hint}{_who_has(stem)}")
    asked.check(known)
    naming = Naming(output, tuple(stems), container, template, asked, len(found) > 1)
    jobs = plan(found, naming, overwrite=overwrite, resume=resume)
    # The manifest names the model by its weights, so that a renamed folder is still the same.
    settings = {"stems": list(stems), "container": container, "bits": bits, "template": template}
    if pitches is not None:
        settings["pitches"] = pitches
    if clip != "rescale":
        settings["clip"] = clip
    if not metadata:
        settings["metadata"] = metadata
    request = _MakeWorker(model, device, tuple(stems), naming.kinds, asked, container, bits,
                          clip, metadata, pitches, n_jobs)  # fmt: skip
    with standard_input(jobs) as ready:
        return run(
            ready,
            request,
            settings={**settings, **asked.settings},
            n_jobs=n_jobs,
            model_sha256=str(entry.config["weights_sha256"]),
            manifest=manifest or output / "audiocli.jsonl",
            resume=resume,
            listener=listener,
        )
