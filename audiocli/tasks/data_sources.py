"""Training data that is no folder on this machine: shards, and URLs of folders, tables and shards.

Each becomes a folder in the user's cache, whole or not at all, and is trained on as any folder is.
What was not used for longest goes when the cache is full.
"""

from __future__ import annotations

import glob
import hashlib
import itertools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from filelock import FileLock

from audiocli.errors import AudioCliError, AudioError, DataError, warn
from audiocli.io import urls
from audiocli.tasks.shards import Unpacking, is_shard, shard_name
from audiocli.tasks.training_data import Stage

__all__ = ["LIMIT", "cache", "expanded", "is_source", "local_data"]

#: Bytes that the cache may hold.
LIMIT = 50_000_000_000
#: Seconds after its last use in which a folder may still be read from, and is not deleted.
RECENT = 24 * 3600.0
TABLES = (".csv", ".parquet", ".jsonl", ".ndjson")
_KEY = re.compile(r"[0-9a-f]{24}")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def cache() -> Path:
    """Name the folder that data comes into: ``AUDIOCLI_DATA``, or one of the user's cache."""
    named = os.environ.get("AUDIOCLI_DATA")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("audiocli")) / "data"


def is_source(text: str) -> bool:
    """Tell whether training data is named by a URL or as shards, and not as a folder or table."""
    return urls.is_url(text) or (_means_shards(text) and not os.path.isdir(text))


def _means_shards(text: str) -> bool:
    return all(map(is_shard, expanded(text)))


def expanded(pattern: str) -> list[str]:
    """Write out the braces of a pattern.

    Examples
    --------
    >>> expanded("a-{08..11}.tar"), expanded("{x,y}.tar")
    (['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar'], ['x.tar', 'y.tar'])
    """
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    span = _RANGE.fullmatch(found[1])
    if span:
        first, last = int(span[1]), int(span[2])
        if abs(last - first) > 1_000_000:
            raise DataError(f"{pattern}: names more than a million shards")
        width = len(span[1]) if span[1].startswith("0") else 0
        step = 1 if last >= first else -1
        choices = [str(each).zfill(width) for each in range(first, last + step, step)]
    else:
        choices = found[1].split(",")
    start, end = pattern[: found.start()], pattern[found.end() :]
    return [text for each in choices for text in expanded(start + each + end)]


def local_data(
    source: str,
    *,
    skip_unreadable: bool = False,
    stage: Stage = lambda what, done, total: None,
) -> Path:
    """Bring training data into a folder of the cache, unless it is there.

    Parameters
    ----------
    source : str
        Shards, as a path or URL with braces (``shards-{000..009}.tar``) or wildcards, or the URL of
        a folder or table of any kind that fsspec knows.
    skip_unreadable : bool
        Leave out shards and files that cannot be read, with a warning each.
    stage : callable
        Told how far it is.

    Returns
    -------
    Path
        A folder, or a table.

    Raises
    ------
    DataError, AudioError
        If something is not there, broken, or too large.

    Examples
    --------
    >>> local_data("shards-{0..2}.tar")
    Traceback (most recent call last):
    audiocli.errors.DataError: shards-0.tar: is not there; check the name
    """
    source = urls.local_path(source) or source
    if not is_source(source):
        return Path(source)
    found = _Shards.of(source) if _means_shards(source) else _Remote.of(source)
    facts = [*found.facts, "skip" if skip_unreadable else ""]
    key = hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    root = cache()
    folder = root / key / found.name
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{key}.lock"):  # of several processes one works, the others wait
            if not folder.is_dir():
                _make_room(root, found.size)
                with _becoming(root, key) as part:
                    found.fill(part / found.name, skip_unreadable, stage)
            os.utime(root / key)
    except OSError as error:
        raise AudioCliError(
            f"{root}: data cannot be kept there ({error.strerror or error}); set AUDIOCLI_DATA to "
            "a folder with room"
        ) from error
    return folder / found.table if found.table else folder


@contextmanager
def _becoming(root: Path, key: str) -> Iterator[Path]:
    """Have a folder filled under a hidden name; it gets its own when it is complete."""
    part = root / f".{key}.part"
    shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
    part.mkdir()
    try:
        yield part
        part.rename(root / key)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _make_room(root: Path, size: int, limit: int | None = None) -> None:
    """Delete what was not used for longest, but nothing recent, and see that there is room."""
    limit = LIMIT if limit is None else limit
    folders = [each for each in root.iterdir() if _KEY.fullmatch(each.name) and each.is_dir()]
    kept = sorted(folders, key=lambda each: each.stat().st_mtime)
    total = size + sum(map(_size, kept))
    for each in kept:
        if total <= limit or time.time() - each.stat().st_mtime < RECENT:
            break
        total -= _size(each)
        shutil.rmtree(each, ignore_errors=True)
    free = shutil.disk_usage(root).free
    if size > free:
        raise DataError(f"{root}: has {free / 1e9:.3g} GB free, and the data takes "
                        f"{size / 1e9:.3g}; set AUDIOCLI_DATA to a folder with room")  # fmt: skip
    if size > limit:
        raise DataError(f"the data takes {size / 1e9:.3g} GB, and {root} may hold "
                        f"{limit / 1e9:.3g}; bring it into a folder yourself")  # fmt: skip


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def _tolerant(act: Callable[[], None], skip: bool) -> None:
    """Act; warn of what cannot be read, where that is left out."""
    try:
        act()
    except (AudioError, DataError) as error:
        if not skip:
            raise
        warn(f"{error}; it is left out")


def _named(path: str) -> str:
    """Name a folder of data by the last two parts of where it comes from, as cards do."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..", ".")]
    return "/".join(parts[-2:]) or "data"


@dataclass(frozen=True)
class _Shards:
    """Tar files here or elsewhere."""

    source: str
    files: Sequence[str]
    facts: Sequence[str]
    size: int
    table: str = ""

    @classmethod
    def of(cls, source: str) -> _Shards:
        files = [each for pattern in expanded(source) for each in _matching(pattern)]
        facts, size = ["shards"], 0
        for file in files:
            known = _stamp(file)
            size += known[0]
            facts.append(f"{file} {known}")
        return cls(source, files, facts, size)

    @property
    def name(self) -> str:
        remote = urls.is_url(self.source)
        path = self.source.split("://", 1)[1] if remote else os.path.abspath(self.source)
        return _named(shard_name(path))

    def fill(self, folder: Path, skip: bool, stage: Stage) -> None:
        folder.mkdir(parents=True)
        unpacking = Unpacking(folder, LIMIT)
        shown = urls.without_password(self.source)
        names = _unlike([shard_name(os.path.basename(file)) for file in self.files])
        for place, (file, name) in enumerate(zip(self.files, names, strict=True)):
            _tolerant(partial(_unpack, unpacking, file, name), skip)
            stage("unpacking", place + 1, len(self.files))
        unpacking.finish(shown)


def _unpack(unpacking: Unpacking, file: str, name: str) -> None:
    if urls.is_url(file):
        with urls.fetched(file) as path:
            unpacking.add(path, urls.without_password(file), name)
    else:
        unpacking.add(Path(file), file, name)


def _matching(pattern: str) -> list[str]:
    """List the shards that a pattern without braces means."""
    if urls.is_url(pattern):
        return [url for url, _ in urls.listed(pattern, {".tar", ".gz", ".tgz"}) if is_shard(url)]
    if os.path.isfile(pattern):
        return [pattern]
    found = sorted(glob.glob(pattern))
    if not found:
        raise DataError(f"{pattern}: is not there; check the name")
    return found


def _unlike(names: Sequence[str]) -> list[str]:
    """Give names of which some may be equal numbers, so that each is another."""
    counts: dict[str, Iterator[int]] = {}
    given = []
    for name in names:
        number = next(counts.setdefault(name, itertools.count(1)))
        given.append(name if number == 1 else f"{name}~{number}")
    return given


def _stamp(file: str) -> tuple[int, int]:
    """Give size and version of a file; one whose version nobody knows is another each time."""
    if urls.is_url(file):
        return urls.stamp(file) or (0, time.time_ns())
    known = os.stat(file)
    return known.st_size, known.st_mtime_ns


@dataclass(frozen=True)
class _Remote:
    """A folder or table elsewhere, with all that belongs to it."""

    source: str
    files: Sequence[tuple[str, str, bool]]  # URL, path in the folder, and whether it is empty
    facts: Sequence[str]
    size: int
    table: str = ""

    @classmethod
    def of(cls, source: str) -> _Remote:
        ending = PurePosixPath(urls.base_name(source)).suffix.lower()
        if ending in TABLES:
            return cls(source, (), ["table", source, repr(_stamp(source))], 0,
                       urls.base_name(source))  # fmt: skip
        found = urls.tree(source)
        facts = [f"{relative} {size} {version}" for _, relative, size, version in found]
        return cls(source, [(url, relative, not size) for url, relative, size, _ in found],
                   ["folder", source, *facts], sum(size for _, _, size, _ in found))  # fmt: skip

    @property
    def name(self) -> str:
        path = self.source.split("://", 1)[1].rstrip("/")
        return _named(os.path.dirname(path) if self.table else path)

    def fill(self, folder: Path, skip: bool, stage: Stage) -> None:
        folder.mkdir(parents=True)
        files = self._of_table(folder) if self.table else self.files
        written = 0
        for place, (url, relative, empty) in enumerate(files):
            path = folder / relative
            if empty:  # annotations of a recording in which nothing is
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            else:
                _tolerant(partial(_fetch, url, path), skip)
            written += path.stat().st_size if path.exists() else 0
            if written > LIMIT:
                raise DataError(f"{urls.without_password(self.source)}: holds more than "
                                f"{LIMIT / 1e9:.3g} GB; bring it into a folder yourself"
                                )  # fmt: skip
            stage("fetching", place + 1, len(files))

    def _of_table(self, folder: Path) -> list[tuple[str, str, bool]]:
        """Fetch the table, and list what stands in its column path."""
        from audiocli.tasks.label_tables import read_table

        _fetch(self.source, folder / self.table)
        base, shown = self.source.rpartition("/")[0], urls.without_password(self.source)
        columns, rows = read_table(folder / self.table)
        if "path" not in columns:
            raise DataError(f"{shown}: has no column 'path'; it has {', '.join(columns) or 'none'}")
        files = {}
        for number, row in rows:
            relative = PurePosixPath(row["path"])
            if not row["path"] or relative.is_absolute() or ".." in relative.parts:
                raise DataError(f"{shown}, line {number}: {row['path']!r} does not lie below the "
                                "table, so it cannot be fetched with it")  # fmt: skip
            files[str(relative)] = f"{base}/{relative}"
        return [(url, relative, False) for relative, url in files.items()]


def _fetch(url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with urls.fetched(url) as found:
        shutil.move(found, path)
