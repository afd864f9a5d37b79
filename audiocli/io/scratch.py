"""A private temporary folder."""

from __future__ import annotations

import tempfile

from audiocli.errors import AudioCliError, printable

__all__ = ["scratch_folder"]


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a temporary folder, which is deleted with what is in it when its block is left."""
    try:
        return tempfile.TemporaryDirectory(prefix="audiocli-")
    except OSError as error:
        reason = printable(error.strerror or str(error))
        raise AudioCliError(
            f"no temporary folder can be made ({reason}); set TMPDIR to a folder with room"
        ) from error
