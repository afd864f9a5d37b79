"""Write a file as a whole, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from audiocli.errors import UsageError

__all__ = ["write_whole"]


def write_whole(path: Path, fill: Callable[[Path], None], *, overwrite: bool = False) -> None:
    """Have a file written under a hidden name, and give it its own when it is complete.

    Parameters
    ----------
    path : Path
        The file; folders above it are made.
    fill : callable
        Writes the file that it is given, whose name ends like `path`: some writers go by that.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    UsageError
        If the file is there already, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "a.txt", lambda path: path.touch())
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.txt']
    """
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f"{path}: exists already; use --overwrite to replace it")
    partial = path.with_name(f".{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fill(partial)
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
