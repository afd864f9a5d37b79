"""Put tables or manifests of several runs together, such as those of the shards of one batch.

Rows of csv, jsonl and ARFF stay as they are, byte by byte, and no more than one recording's
of each table are in memory; a table of parquet is put together in memory. If every table has its
manifest beside it, the manifests are put together too, so that ``--resume`` works on the whole.
"""

from __future__ import annotations

import contextlib
import csv
import heapq
import itertools
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from audiocli.batch import databases
from audiocli.batch.manifest import Record, is_manifest
from audiocli.batch.rows import csv_rows
from audiocli.errors import FieldError, UsageError
from audiocli.io.atomic import write_whole

__all__ = ["MERGED", "Merged", "merge_files"]

#: Endings of tables that can be put together.
MERGED = (".csv", ".jsonl", ".arff", ".parquet", *databases.ENDINGS)


@dataclass(frozen=True)
class Merged:
    """What was put together.

    Parameters
    ----------
    path : Path
        The file.
    recordings, rows : int
        What is in it; of a manifest, its inputs and records.
    manifest : Path or None
        The manifest beside it, where every table had one.

    Examples
    --------
    >>> Merged(Path("all.csv"), recordings=2, rows=9).rows
    9
    """

    path: Path
    recordings: int
    rows: int
    manifest: Path | None = None


def merge_files(
    inputs: Sequence[str | Path], output: str | Path, *, overwrite: bool = False
) -> Merged:
    r"""Put tables of several runs, or their manifests, together; what ``audiocli merge`` does.

    Parameters
    ----------
    inputs : sequence of str or Path
        Tables of one format and of the same columns (csv, jsonl, ARFF, parquet, SQLite), or
        manifests.
    output : str or Path
        The file to write, of the same format. Rows come by the names of the recordings, if those
        of each table do.
    overwrite : bool
        Whether it may be there already.

    Returns
    -------
    Merged

    Raises
    ------
    UsageError
        If they do not belong together, hold rows of the same recording, or would be lost.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, two, both = (Path(folder, name) for name in ("1.csv", "2.csv", "both.csv"))
    ...     _ = one.write_text("file,rms\nb.wav,0.5\n")
    ...     _ = two.write_text("file,rms\na.wav,0.25\n")
    ...     merge_files([one, two], both).recordings
    ...     both.read_text()
    2
    'file,rms\na.wav,0.25\nb.wav,0.5\n'
    """
    paths, target = [Path(each) for each in inputs], Path(output)
    _check_paths(paths, target)
    if all(map(is_manifest, paths)):
        return _merge_manifests(paths, target, overwrite)
    beside = [Path(f"{path}.manifest.jsonl") for path in paths]
    with_manifests = all(map(is_manifest, beside))
    if with_manifests:
        _check_made_alike(beside)
    manifest = Path(f"{target}.manifest.jsonl")
    if with_manifests and os.path.lexists(manifest) and not overwrite:
        raise UsageError(
            f"{manifest}: exists already; use {{overwrite}} to replace it", "overwrite"
        )
    ending = target.suffix.lower()
    merge = _merge_databases if ending in databases.ENDINGS else _merge_text
    merge = _merge_parquet if ending == ".parquet" else merge
    recordings, rows = merge(paths, target, overwrite)
    if with_manifests:
        _merge_manifests(beside, manifest, overwrite)
    return Merged(target, recordings, rows, manifest if with_manifests else None)


def _check_paths(paths: Sequence[Path], target: Path) -> None:
    """Refuse what is no table, and what would lose one."""
    if not paths:
        raise UsageError("nothing to merge: name tables or manifests")
    ending = target.suffix.lower()
    if ending not in MERGED:
        raise FieldError(f"{{output}} {target}: must end in {', '.join(MERGED)}", "output")
    for place, path in enumerate(paths):
        if not path.is_file():
            raise UsageError(f"{path}: no such file; was its shard done?")
        if path.suffix.lower() != ending:
            raise UsageError(f"{path}: does not end in {ending}; name tables of one format")
        same = [other for other in paths[:place] if os.path.samefile(path, other)]
        if same:
            raise UsageError(f"{path}: is named twice")
        if target.exists() and os.path.samefile(path, target):
            raise UsageError(f"{target}: is an input, which would be lost; choose another name")


class _Names:
    """Which table each recording stands in, so that none is in two."""

    def __init__(self) -> None:
        self.tables: dict[str, Path] = {}
        self.rows = 0

    def add(self, name: str, path: Path) -> None:
        self.rows += 1
        other = self.tables.setdefault(name, path)
        if other is not path:
            raise UsageError(
                f"{path}: has rows of {name}, and so has {other}; merge the shards of one run"
            )


# --- text ------------------------------------------------------------------------------------

Group = tuple[str, int, list[str]]
"""The name of a recording, the place of its table, and its rows as they stand."""


def _merge_text(paths: Sequence[Path], target: Path, overwrite: bool) -> tuple[int, int]:
    names = _Names()
    paths = [path for path in paths if path.stat().st_size] or paths[:1]  # those of empty shards
    with contextlib.ExitStack() as stack:
        heads, tables = [], []
        for place, path in enumerate(paths):
            stream = stack.enter_context(path.open(encoding="utf-8", newline=""))
            head, rows = _opened(path, stream)
            heads.append(head)
            tables.append(_groups(place, rows))
        for path, head in zip(paths[1:], heads[1:], strict=True):
            if head != heads[0]:
                raise UsageError(f"{path}: has other columns than {paths[0]}")

        def fill(partial: Path) -> None:
            with partial.open("w", encoding="utf-8", newline="") as out:
                out.write(heads[0])
                # A table of another order keeps its own: each of its recordings comes as it may.
                for name, place, rows in heapq.merge(*tables, key=lambda group: group[:2]):
                    for row in rows:
                        names.add(name, paths[place])
                        out.write(row)

        write_whole(target, fill, overwrite=overwrite)
    return len(names.tables), names.rows


def _opened(path: Path, stream: TextIO) -> tuple[str, Iterator[tuple[str, str]]]:
    """Read the head of a table; give it and the rows, each with its recording's name."""
    ending = path.suffix.lower()
    if ending == ".jsonl":
        return "", _guarded(path, ((str(json.loads(line)["file"]), line) for line in stream))
    if ending == ".arff":
        lines = []
        for line in stream:
            lines.append(line)
            if line.startswith("@data"):
                break
        return "".join(lines), _guarded(path, ((_arff_name(line), line) for line in stream))
    rows = csv_rows(stream)
    head, cells = next(rows, ("", []))
    if cells[:1] != ["file"]:
        raise UsageError(f"{path}: has no column file, so nothing says which recordings it is of")
    return head, _guarded(path, ((cells[0], raw) for raw, cells in rows))


def _arff_name(line: str) -> str:
    return next(csv.reader([line], quotechar="'", escapechar="\\", doublequote=False))[0]


def _guarded(path: Path, rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    try:
        yield from rows
    except (ValueError, KeyError, TypeError, IndexError, StopIteration, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read as a table of audiocli: {error}") from error


def _groups(place: int, rows: Iterator[tuple[str, str]]) -> Iterator[Group]:
    name, group = None, list[str]()
    for other, row in rows:
        if name is not None and other != name:
            yield name, place, group
            group = []
        name = other
        group.append(row if row.endswith("\n") else f"{row}\n")
    if name is not None:
        yield name, place, group


# --- parquet ---------------------------------------------------------------------------------


def _merge_parquet(paths: Sequence[Path], target: Path, overwrite: bool) -> tuple[int, int]:
    try:
        import pyarrow  # type: ignore[import-untyped]  # it ships no hints
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(f"{target}: parquet needs pyarrow; run: pip install pyarrow") from error
    tables: list[Any] = []
    for path in paths:
        try:
            tables.append(parquet.read_table(path))
        except (OSError, pyarrow.ArrowException) as error:
            raise UsageError(f"{path}: cannot be read as parquet: {error}") from error
    for path, table in zip(paths, tables, strict=True):
        if table.schema != tables[0].schema or "file" not in table.schema.names:
            raise UsageError(f"{path}: has other columns than {paths[0]}, or none called file")
        if (table.schema.metadata or {}).get(b"audiocli") != (tables[0].schema.metadata or {}).get(
            b"audiocli"
        ):
            raise UsageError(f"{path}: was made with other settings than {paths[0]}")
    names, order = _Names(), list[str]()
    for path, table in zip(paths, tables, strict=True):
        for name in table.column("file").to_pylist():
            names.add(name, path)
            order.append(name)
    ranked = sorted(range(len(order)), key=order.__getitem__)  # stable: frames keep their order
    whole = pyarrow.concat_tables(tables).take(ranked)

    def fill(partial: Path) -> None:
        parquet.write_table(whole, partial)

    write_whole(target, fill, overwrite=overwrite)
    return len(names.tables), names.rows


# --- databases -------------------------------------------------------------------------------


def _merge_databases(paths: Sequence[Path], target: Path, overwrite: bool) -> tuple[int, int]:
    names, first = _Names(), None
    made: list[tuple[str, str, dict[str, str], Any]] = []
    for path in paths:
        try:
            table = databases.table_of(path)
            if table is None:  # of an empty shard
                continue
            columns = databases.column_types(path, table)
            kind = (table, columns, databases.made_with_of(path))
        except (sqlite3.Error, ValueError) as error:
            raise UsageError(f"{path}: cannot be read as a database: {error}") from error
        first = first or kind
        if kind[:2] != first[:2] or "file" not in columns:
            raise UsageError(f"{path}: has another table or other columns than {paths[0]}")
        if kind[2] != first[2]:
            raise UsageError(f"{path}: was made with other settings than {paths[0]}")
        made.append((str(path), *kind))

    def groups(place: int, path: Path, table: str, at: int) -> Iterator[tuple[str, int, list[Any]]]:
        rows = databases.read_rows(path, table)
        next(rows)
        for name, of in itertools.groupby(rows, key=lambda row: row[at]):
            yield str(name), place, list(of)

    def rows() -> Iterator[Sequence[Any]]:
        tables = [groups(place, Path(path), table, list(columns).index("file"))
                  for place, (path, table, columns, _) in enumerate(made)]  # fmt: skip
        for name, place, of in heapq.merge(*tables, key=lambda group: group[:2]):
            for row in of:
                names.add(name, Path(made[place][0]))
                yield row

    def fill(partial: Path) -> None:
        table, columns, made_with = first or ("", {}, {})
        columns = {name: kind if name != "file" or table != "recordings" else f"{kind} PRIMARY KEY"
                   for name, kind in columns.items()}  # fmt: skip
        databases.write_rows(partial, table, columns, rows(), made_with)

    write_whole(target, fill, overwrite=overwrite)
    return len(names.tables), names.rows


# --- manifests -------------------------------------------------------------------------------


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb") as stream:
        for line in stream:
            try:
                record = json.loads(line)
            except ValueError:
                continue  # half a line, from a run that was cut off
            if isinstance(record, dict):
                yield record


def _check_made_alike(manifests: Sequence[Path]) -> None:
    """Refuse tables that were made in different ways, by the last run of each."""
    first = None
    for path in manifests:
        made: dict[str, Any] = {}
        for record in _records(path):
            if record.get("record") == "run":
                keys = ("command", "settings_sha256", "model_sha256")
                made = {key: record.get(key) for key in keys}
        first = made if first is None else first
        if made != first:
            table, other = (str(each).removesuffix(".manifest.jsonl") for each in
                            (path, manifests[0]))  # fmt: skip
            raise UsageError(f"{table}: was made with other settings than {other}")


def _merge_manifests(paths: Sequence[Path], target: Path, overwrite: bool) -> Merged:
    """Put the records of manifests one behind the other, with outputs relative to the new one."""
    folder = Path(os.path.abspath(target)).parent
    inputs: set[str] = set()
    count = 0
    commands: dict[str, Path] = {}
    for path in paths:
        commands.setdefault(str(next(_records(path), {}).get("command")), path)
    if len(commands) > 1:
        (one, first), (two, second) = list(commands.items())[:2]
        raise UsageError(f"{second}: is of audiocli {two}, and {first} of {one}; merge them apart")

    def fill(partial: Path) -> None:
        nonlocal count
        with partial.open("w", encoding="utf-8") as out:
            for path in paths:
                moved = _moved(Path(os.path.abspath(path)).parent, folder)
                for record in _records(path):
                    if isinstance(record.get("outputs"), list):
                        record["outputs"] = [moved(str(each)) for each in record["outputs"]]
                    if record.get("record") == "job":
                        inputs.add(str(record.get("path")))
                    out.write(json.dumps(record) + "\n")
                    count += 1

    write_whole(target, fill, overwrite=overwrite)
    return Merged(target, len(inputs), count)


def _moved(old: Path, new: Path) -> Callable[[str], str]:
    """Make what names an output as a manifest in another folder has it."""

    def moved(output: str) -> str:
        path = old / output
        return str(path.relative_to(new) if path.is_relative_to(new) else path)

    return moved if old != new else lambda output: output
