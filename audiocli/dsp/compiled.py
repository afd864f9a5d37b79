"""Librosa, imported by one process at a time.

Numba compiles parts of librosa at the first import and keeps them on disk. Where two processes do
so at once, the pieces of a function are mixed up, and who reads them crashes, at every start from
then on (numba issue 10128).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import ModuleType

from filelock import FileLock

from audiocli.errors import AudioCliError

__all__ = ["import_librosa"]


def import_librosa() -> ModuleType:
    """Import librosa with what it compiles, which takes seconds, and half a minute at first.

    Returns
    -------
    module

    Examples
    --------
    >>> round(float(import_librosa().hz_to_midi(440.0)))
    69
    """
    user = os.getuid() if hasattr(os, "getuid") else ""  # on Windows each has a folder of their own
    try:
        folder = tempfile.gettempdir()
    except OSError as error:
        raise AudioCliError(f"{error.strerror}; set TMPDIR to a folder with room") from error
    with FileLock(Path(folder, f"audiocli-numba-{user}.lock")):
        import librosa.beat  # and through it whatever is compiled

        return librosa
