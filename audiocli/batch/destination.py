"""Where results go: a file for all inputs, a folder with a file each, or standard output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audiocli.errors import FieldError, UsageError
from audiocli.io import formats

__all__ = ["Destination", "settle"]


@dataclass(frozen=True)
class Destination:
    """Where results go; with neither a file nor a folder, to the callbacks alone.

    Parameters
    ----------
    form : str
        The format, one of :data:`audiocli.io.formats.FORMATS`.
    file : Path, optional
        One for all inputs.
    folder : Path, optional
        With a file for each.
    """

    form: str
    file: Path | None = None
    folder: Path | None = None


def settle(target: Path | None, form: str | None, kind: str, default: str) -> Destination:
    """Settle the format, and whether the output is a file or a folder."""
    if form is not None:
        formats.find_format(form, kind)
    if target is None:
        return Destination(form or default)
    endings = {end for each in formats.FORMATS.values() for end in each.extensions}
    if not target.is_dir() and target.suffix.lower() in endings:
        return Destination(form or formats.format_of(target, kind), file=target)
    if target.exists() and not target.is_dir():
        able = [each for each in formats.FORMATS.values() if kind in each.kinds]
        known = dict.fromkeys(each.extension for each in able)
        raise UsageError(
            f"{target}: is a file that does not end like a format; name a folder, or end the name "
            f"in {', '.join(known)}"
        )
    if form == "sqlite":
        raise FieldError(f"{{output}} {target}: a database holds the results of all; name a file, "
                         f"say {target}.sqlite", "output")  # fmt: skip
    return Destination(form or default, folder=target)
