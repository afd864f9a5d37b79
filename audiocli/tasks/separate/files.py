"""Separate files into files, one or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from audiocli.batch import Callbacks, Summary
from audiocli.batch.destination import Destination
from audiocli.errors import UsageError, suggest
from audiocli.io.audio import AudioInfo
from audiocli.nn import models, registry
from audiocli.tasks.declaration import Declaration, Item, Work
from audiocli.tasks.runner import BatchOptions, filled, run_files
from audiocli.tasks.separate.clipping import clip_format
from audiocli.tasks.separate.clips import PARTS
from audiocli.tasks.separate.request import (
    NAME,
    REMIX,
    SeparationRequest,
    container_of,
    name_sounds,
)
from audiocli.tasks.separate.separation import (
    ACCOMPANIMENT,
    Separation,
    SeparationExports,
    separate_file,
)
from audiocli.tasks.separate.separator import Separator, stems_of
from audiocli.tasks.separate.tta import spread

__all__ = ["NAME", "SeparationRequest", "declare", "separate_files"]

#: The model to name to whoever wants drums, bass and the rest apart.
LARGE = "htdemucs"


@dataclass(frozen=True)
class _MakeWork:
    """Makes what separates a file; pickled to worker processes."""

    request: SeparationRequest
    stems: tuple[str, ...]

    def __call__(self) -> Work[Separation]:
        request = self.request
        separator = Separator(request.model, device=request.device, tta_pitches=request.tta_pitches)

        def work(item: Item) -> tuple[float, Separation]:
            exports = SeparationExports(
                item.outputs.get(REMIX),
                request.gains or {},
                item.outputs.get("plot"),
                item.outputs.get("report"),
            )
            done = separate_file(
                separator,
                item.path,
                {stem: item.outputs[stem] for stem in self.stems},
                exports=exports,
                preview=request.preview,
                name=item.input.name,
                container=request.container or container_of(item.input),
                bits=request.bits,
                clip=request.clip,
                metadata=request.metadata,
                overwrite=item.overwrite,
                progress=item.progress,
            )
            return done.seconds, done

        return work


def _who_has(stem: str) -> str:
    """Name a model that has a stem, for a message about one that has not."""
    having = [entry.name for entry in registry.list_models("separate") if stem in stems_of(entry)]
    if having:
        return f"; the model {having[0]} has it"
    if stem in PARTS:
        return f"; the model {LARGE} has it, once `audiocli models install {LARGE}` has fetched it"
    return ""


def declare(request: SeparationRequest, output: Path | None) -> Declaration[Separation]:
    """Turn a request into a declaration: see :mod:`audiocli.tasks.runner`."""
    folder = output or Path("separated")
    # Whatever can be refused is refused here, before anything is written.
    like = AudioInfo("", 44100, 2, None, 16, False, "wav")
    clip_format(request.clip, request.container, request.bits, like)
    if request.clip == "float":
        request = replace(request, container="wav")
    models.device(request.device)
    spread(request.tta_pitches)
    entry = registry.find("separate", request.model)
    known = stems_of(entry)
    stems = tuple(known if request.stems is None else request.stems)
    for stem in stems:
        if stem not in (*known, ACCOMPANIMENT):
            hint = suggest(stem, list(dict.fromkeys([*known, ACCOMPANIMENT])))
            raise UsageError(f"model {entry.name} has no stem {stem!r}: {hint}{_who_has(stem)}")
    request.check_gains(known)
    sounds = (*stems, REMIX) if request.gains else stems
    return Declaration(
        command="separate",
        what="stems",
        make_work=_MakeWork(request, stems),
        settings=request.settings,
        destination=Destination(request.container or "wav", folder=folder),
        exports=request.exports,
        outputs=partial(name_sounds, folder, sounds, request),
        models=[entry],
        template=NAME,
    )


def separate_files(
    inputs: Sequence[str],
    output: str | Path = "separated",
    request: SeparationRequest | None = None,
    *,
    options: BatchOptions | None = None,
    callbacks: Callbacks | None = None,
    **fields: Any,
) -> Summary:
    """Separate files and folders; what ``audiocli separate`` does.

    Parameters
    ----------
    inputs, callbacks, **fields
        As in :func:`audiocli.detect_files`.
    output : str or Path
        Folder for the stems; mirrors the folders given.
    request : SeparationRequest, optional
        What to write, and how.
    options : BatchOptions, optional
        How the run goes; names are of ``{name}``, ``{stem}``, ``{ext}`` and ``{parent}``.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError, ModelError
        As there.

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
    made = filled(SeparationRequest, request, options, fields)
    return run_files(declare, inputs, output, made, callbacks)
