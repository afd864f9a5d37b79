"""Where results go: a file for all inputs, a folder with a file each, or standard output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audiocli import formats
from audiocli.batch.inputs import Input, check_joint_output
from audiocli.errors import UsageError

__all__ = ["check_joined", "settle"]


def settle(
    target: Path | None, form: str | None, kind: str, default: str
) -> tuple[str, Path | None]:
    """Settle the format, and the folder if the output is one.

    Parameters
    ----------
    target : Path, optional
        What the user named: a file if it ends like a format, else a folder.
    form : str, optional
        The format that was asked for, one of :data:`audiocli.formats.FORMATS`.
    kind : {"instants", "segments"}
        What it shall write.
    default : str
        The format where nothing tells.

    Returns
    -------
    form : str
    folder : Path or None
        None where the output is a file, or standard output.

    Raises
    ------
    UsageError
        If the format cannot write that, or the output is a file that ends like none.

    Examples
    --------
    >>> settle(Path("new.csv"), None, "segments", "lab")
    ('csv', None)
    >>> settle(Path("new"), None, "segments", "lab")
    ('lab', PosixPath('new'))
    """
    if form is not None:
        formats.find_format(form, kind)
    if target is None:
        return form or default, None
    endings = {end for each in formats.FORMATS.values() for end in each.extensions}
    if not target.is_dir() and target.suffix.lower() in endings:
        return form or formats.format_of(target, kind), None
    if target.exists() and not target.is_dir():
        able = [each for each in formats.FORMATS.values() if kind in each.kinds]
        known = dict.fromkeys(each.extension for each in able)
        raise UsageError(
            f"{target}: is a file that does not end like a format; name a folder, or end the name "
            f"in {', '.join(known)}"
        )
    return form or default, target


def check_joined(
    target: Path, form: str, found: Sequence[Input], what: str, *, overwrite: bool, resume: bool
) -> None:
    """Refuse one file for all inputs where it would lose something, before any work.

    Parameters
    ----------
    target : Path
        The file.
    form : str
        Its format.
    found : sequence of Input
        What it is to hold the results of.
    what : str
        What these are, in the plural, for the message.
    overwrite, resume : bool
        Whether it may be replaced; whether a stopped run was to go on.

    Raises
    ------
    UsageError
        If the format holds one result only, or a file written as a whole was to be resumed, or
        it is there already.

    Examples
    --------
    >>> song = Input(Path("a.wav"), "a.wav", Path("a.wav"))
    >>> check_joined(Path("no-such.csv"), "csv", [song], "chords", overwrite=False, resume=False)
    """
    if len(found) > 1 and not formats.FORMATS[form].joins:
        raise UsageError(
            f"{target}: {form} holds the {what} of one file; name a folder, or use csv or jsonl"
        )
    if resume:
        raise UsageError(f"--resume: {target} is written as a whole; name a folder as the output")
    check_joint_output(target, found, replace=overwrite)
