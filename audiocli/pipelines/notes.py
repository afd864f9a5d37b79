"""Transcribe melodies, of one voice as recorded or of vocals that are separated first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiocli.batch import Callbacks, Summary
from audiocli.io.formats import Notes
from audiocli.pipelines.vocals import VocalsAlone
from audiocli.tasks.declaration import Declaration
from audiocli.tasks.notes import files
from audiocli.tasks.notes.files import NoteRequest
from audiocli.tasks.runner import BatchOptions, filled, run_files

__all__ = ["declare", "transcribe_files"]


def declare(request: NoteRequest, output: Path | None) -> Declaration[Notes]:
    """Turn a request into a declaration: see :mod:`audiocli.tasks.runner`."""
    vocals = VocalsAlone(device=request.device) if request.source == "vocals" else None
    return files.declare(request, output, vocals)


def transcribe_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    request: NoteRequest | None = None,
    *,
    options: BatchOptions | None = None,
    callbacks: Callbacks | None = None,
    **fields: Any,
) -> Summary:
    """Transcribe the melodies of files and folders; what ``audiocli notes`` does.

    Parameters
    ----------
    inputs, output, options, callbacks, **fields
        As in :func:`audiocli.detect_files`; a result is ``Notes``.
    request : NoteRequest, optional
        What is asked for.

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
    >>> import numpy as np
    >>> import soundfile
    >>> tone = np.sin(2 * np.pi * 330 * np.arange(22050) / 22050) / 2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(folder + "/a.wav", tone, 22050)
    ...     transcribe_files([folder + "/a.wav"], folder + "/a.mid").done
    1
    """
    made = filled(NoteRequest, request, options, fields)
    return run_files(declare, inputs, output, made, callbacks)
