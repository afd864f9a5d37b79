"""Write metadata into a copy, and let nobody have it before its sound is known to be the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from audiocli.errors import AudioError
from audiocli.io.atomic import write_whole
from audiocli.io.audio.info import printable
from audiocli.io.metadata import sound
from audiocli.io.metadata.tags import KINDS, REPAIR, SENSELESS, Tags, opener, put
from audiocli.io.remote import RemotePath

__all__ = ["check_kind", "put_tags", "write_tags"]


def write_tags(
    source: Path,
    target: Path,
    tags: Tags,
    *,
    remove: Sequence[str] = (),
    name: str | None = None,
    overwrite: bool = False,
    before_it_is_there: Callable[[Path], None] = lambda written: None,
) -> None:
    """Write a copy of a file with tags in its metadata, or change the file itself.

    The tags are written into a copy under a hidden name. Both are decoded, by every decoder that
    reads the original to its end, and only if all samples are the same the copy gets its name,
    also in place. Permissions stay; the time of the last change is that of the writing.
    `before_it_is_there` is told of the copy, complete and still under its hidden name.
    """
    shown = name or printable(os.fspath(source))
    is_local = not isinstance(target, RemotePath)
    if is_local and os.path.exists(target) and os.path.samefile(source, target):
        target, overwrite = Path(os.path.realpath(target)), True
    check_kind(source, name=shown)

    def fill(partial: Path) -> None:
        before = _state(source)
        shutil.copy2(source, partial)
        if tags or remove:
            _put(partial, tags, shown, remove)
            _check(source, partial, shown)
        _to_disk(partial)
        if _state(source) != before:
            raise AudioError(f"{shown}: was changed by another program meanwhile; try again")
        before_it_is_there(partial)

    write_whole(target, fill, overwrite=overwrite)


def check_kind(path: Path, *, name: str | None = None) -> None:
    """Refuse a file that tags cannot be written into, before anything is done with it."""
    shown = name or printable(os.fspath(path))
    if opener(path, shown) is None:
        raise _unknown_kind(shown)


def put_tags(path: Path, tags: Tags, *, name: str | None = None) -> None:
    """Put tags into a file that this program has just written, before it gets its name.

    Nothing is compared: a file that may be odd is for :func:`write_tags`.
    """
    _put(path, tags, name or printable(os.fspath(path)))


def _put(path: Path, tags: Tags, shown: str, remove: Sequence[str] = ()) -> None:
    from mutagen import MutagenError

    open_tags = opener(path, shown)
    if open_tags is None:
        raise _unknown_kind(shown)
    try:
        put(open_tags(path), tags, remove)
    except (MutagenError, *SENSELESS) as error:
        reason = printable(str(error)) or type(error).__name__
        raise AudioError(
            f"{shown}: its metadata cannot be written ({reason}); it was left as it is; {REPAIR}"
        ) from error


def _unknown_kind(shown: str) -> AudioError:
    return AudioError(
        f"{shown}: metadata cannot be written into this kind of file; "
        f"into these they can: {', '.join(KINDS)}"
    )


def _check(source: Path, partial: Path, shown: str) -> None:
    """Refuse a copy whose sound is not that of its source."""
    before = sound.decoded(source)
    if not before:
        raise AudioError(
            f"{shown}: its metadata cannot be written, because neither FFmpeg nor libsndfile can "
            "decode it to its end, and so none can tell whether its sound stays as it is"
        )
    reason = sound.difference(before, sound.decoded(partial))
    if reason is not None:
        raise AudioError(
            f"{shown}: its metadata cannot be written without harm to its sound ({reason}), "
            f"because its header is odd; it was left as it is; {REPAIR}"
        )


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _to_disk(path: Path) -> None:
    """Have the content on the disk before the name, should the power fail."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
