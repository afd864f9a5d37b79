"""Tables of features: csv, parquet, npz, jsonl and ARFF, written whole and read back."""

from __future__ import annotations

import csv
import importlib.util
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import UsageError
from audiocli.io.atomic import write_whole

__all__ = ["FORMATS", "TEXTS", "Layout", "Part", "find_form", "lines", "read", "write"]

Floats = NDArray[np.floating[Any]]

FORMATS = ("csv", "parquet", "npz", "jsonl", "arff")
#: Those that can be printed.
TEXTS = ("csv", "jsonl", "arff")
FRAMES_AT_ONCE = 1000


@dataclass(frozen=True)
class Layout:
    """What stands in the columns.

    Parameters
    ----------
    columns : tuple of str
        Names, besides ``file`` and ``time``.
    frame_rate : float, optional
        Rows a second, where a row is a frame and has its time.

    Examples
    --------
    >>> Layout(("rms",), 100.0).heading
    ('file', 'time', 'rms')
    """

    columns: tuple[str, ...]
    frame_rate: float | None = None

    @property
    def heading(self) -> tuple[str, ...]:
        """Names of all columns."""
        return ("file", *(("time",) if self.frame_rate else ()), *self.columns)


@dataclass(frozen=True)
class Part:
    """The rows of one file.

    Parameters
    ----------
    file : str
        Its name in the table.
    values : ndarray, shape (rows, columns)
        One row, or one for each frame.

    Examples
    --------
    >>> Part("a.wav", np.zeros((1, 2))).file
    'a.wav'
    """

    file: str
    values: Floats


def find_form(path: Path | None, form: str | None) -> str:
    """Settle the format of a table, and that it can be written.

    Parameters
    ----------
    path : Path, optional
        Where the table goes; None for standard output.
    form : str, optional
        The format asked for.

    Returns
    -------
    str
        One of ``FORMATS``: the one asked for, else by the path's ending, else csv.

    Raises
    ------
    UsageError
        If it is unknown, cannot be printed, or needs what is not installed.

    Examples
    --------
    >>> find_form(Path("a.npz"), None), find_form(None, None)
    ('npz', 'csv')
    """
    ending = "csv" if path is None else path.suffix.lower().removeprefix(".")
    form = form or ending
    if form not in FORMATS:
        raise UsageError(
            f"{path or form}: a table ends in {', '.join('.' + name for name in FORMATS)}; "
            "choose one of these, or --format"
        )
    if path is None and form not in TEXTS:
        raise UsageError(f"--format {form} is no text; name a file by --output")
    if form == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError(f"{path}: parquet needs pyarrow; run: pip install pyarrow, or use .npz")
    return form


def lines(layout: Layout, part: Part | None, form: str) -> Iterator[str]:
    """Make the lines of a table that is text.

    Parameters
    ----------
    layout : Layout
        The columns.
    part : Part, optional
        Rows to write; None for what stands above all rows.
    form : str
        One of ``TEXTS``.

    Yields
    ------
    str
        Lines without their ends. Numbers have seven digits, as float32 has, and times
        microseconds.

    Examples
    --------
    >>> layout = Layout(("rms_mean",))
    >>> list(lines(layout, None, "csv"))
    ['file,rms_mean']
    >>> list(lines(layout, Part("a.wav", np.array([[0.25]])), "jsonl"))
    ['{"file": "a.wav", "rms_mean": 0.25}']
    """
    if part is None:
        if form == "csv":
            yield ",".join(layout.heading)
        if form == "arff":
            yield from ["@relation features", "", "@attribute file string"]
            yield from (f"@attribute {name} numeric" for name in layout.heading[1:])
            yield from ["", "@data"]
        return
    quoting: dict[str, Callable[[str], str]] = {
        "csv": _csv_text,
        "arff": _arff_text,
        "jsonl": json.dumps,
    }
    name = quoting[form](part.file)
    for index, row in enumerate(part.values):
        cells = [f"{value:.7g}" for value in row.tolist()]
        if layout.frame_rate:
            cells.insert(0, f"{index / layout.frame_rate:.6f}")
        if form == "jsonl":
            pairs = zip(layout.heading[1:], cells, strict=True)
            yield f'{{"file": {name}, ' + ", ".join(f'"{key}": {v}' for key, v in pairs) + "}"
        else:
            yield ",".join([name, *cells])


def _csv_text(text: str) -> str:
    quoted = any(character in text for character in ',"\r\n')
    return '"' + text.replace('"', '""') + '"' if quoted else text


def _arff_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def write(
    path: Path, layout: Layout, parts: Sequence[Part], form: str, *, overwrite: bool = False
) -> None:
    r"""Write a table that is complete or not there.

    Parameters
    ----------
    path : Path
        The file.
    layout : Layout
        The columns.
    parts : sequence of Part
        Its rows, in their order.
    form : str
        One of ``FORMATS``. An npz has the arrays ``files`` (rows,), ``columns`` (columns,),
        ``values`` (rows, columns), and ``time`` (rows,) where rows are frames.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    UsageError
        If the file is there already.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.csv"
    ...     write(path, Layout(("rms",)), [Part("a.wav", np.ones((1, 1)))], "csv")
    ...     path.read_text()
    'file,rms\na.wav,1\n'
    """

    def fill_text(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            for part in (None, *parts):
                stream.writelines(f"{line}\n" for line in lines(layout, part, form))

    fills: dict[str, Callable[[Path], None]] = {
        "npz": lambda partial: _fill_npz(partial, layout, parts),
        "parquet": lambda partial: _fill_parquet(partial, layout, parts),
    }
    write_whole(path, fills.get(form, fill_text), overwrite=overwrite)


def _arrays(layout: Layout, parts: Sequence[Part]) -> tuple[list[str], Floats, Floats]:
    """Give the file of each row, its time, and the values (rows, columns)."""
    files = [part.file for part in parts for _ in range(len(part.values))]
    empty = np.zeros((0, len(layout.columns)), np.float32)
    values = np.concatenate([empty, *(part.values.astype(np.float32) for part in parts)])
    rate = layout.frame_rate or 1.0
    times = np.concatenate([np.zeros(0), *(np.arange(len(part.values)) / rate for part in parts)])
    return files, times, values


def _fill_npz(partial: Path, layout: Layout, parts: Sequence[Part]) -> None:
    files, times, values = _arrays(layout, parts)
    arrays = {"files": np.array(files, str), "columns": np.array(layout.columns), "values": values}
    if layout.frame_rate:
        arrays["time"] = times
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # a mapping of arrays


def _fill_parquet(partial: Path, layout: Layout, parts: Sequence[Part]) -> None:
    import pandas  # type: ignore[import-untyped]  # it ships no hints

    files, times, values = _arrays(layout, parts)
    frame = pandas.DataFrame(values, columns=list(layout.columns))
    if layout.frame_rate:
        frame.insert(0, "time", times)
    # Parquet holds text only; a name of other bytes is written with their numbers.
    frame.insert(0, "file", [name.encode("utf-8", "backslashreplace").decode() for name in files])
    frame.to_parquet(partial, engine="pyarrow", index=False)


def read(path: Path, layout: Layout, form: str) -> list[Part]:
    """Read a table back that :func:`write` wrote, to add to it.

    Parameters
    ----------
    path : Path
        The file.
    layout : Layout
        The columns that it must have.
    form : str
        Its format.

    Returns
    -------
    list of Part
        In the order of the table.

    Raises
    ------
    UsageError
        If it is no such table, or has other columns.

    Examples
    --------
    >>> import tempfile
    >>> layout = Layout(("rms",))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.npz"
    ...     write(path, layout, [Part("a.wav", np.ones((1, 1)))], "npz")
    ...     read(path, layout, "npz")
    [Part(file='a.wav', values=array([[1.]]))]
    """
    readers = {"npz": _read_npz, "parquet": _read_parquet, "jsonl": _read_jsonl}
    try:
        heading, files, values = readers.get(form, _read_rows)(path)
    except (OSError, ValueError, KeyError, IndexError, StopIteration, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{path}: cannot be read as {form} to add to it; use --overwrite to make it anew"
        ) from error
    if tuple(heading) != layout.heading:
        raise UsageError(
            f"{path}: has other columns ({len(heading)}, not {len(layout.heading)}, or other "
            "names); use the options that it was made with, another name, or --overwrite"
        )
    table = np.array(values, np.float64).reshape(len(files), len(layout.heading) - 1)
    table = table[:, len(layout.heading) - 1 - len(layout.columns) :]  # time follows from the rate
    rows: dict[str, list[int]] = {}
    for index, name in enumerate(files):
        rows.setdefault(name, []).append(index)
    return [Part(name, table[places]) for name, places in rows.items()]


Read = tuple[Sequence[str], Sequence[str], Any]


def _read_rows(path: Path) -> Read:
    """Read csv, or ARFF, whose data are csv under another heading."""
    heading, quote = [], '"'
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        if path.read_bytes()[:9] == b"@relation":
            quote = "'"
            for line in stream:
                if line.startswith("@data"):
                    break
                if line.startswith("@attribute"):
                    heading.append(line.split()[1])
        escape = "\\" if quote == "'" else None
        reader = csv.reader(stream, quotechar=quote, escapechar=escape, doublequote=not escape)
        heading = heading or next(reader)
        rows = list(reader)
    return heading, [row[0] for row in rows], [list(map(float, row[1:])) for row in rows]


def _read_jsonl(path: Path) -> Read:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return list(rows[0]), [row.pop("file") for row in rows], [list(row.values()) for row in rows]


def _read_npz(path: Path) -> Read:
    found: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as stream:
                found[name] = np.lib.format.read_array(stream, allow_pickle=False)
    times = [found["time.npy"][:, None]] if "time.npy" in found else []
    heading = ["file", *(["time"] if times else []), *found["columns.npy"].tolist()]
    return heading, found["files.npy"].tolist(), np.hstack([*times, found["values.npy"]])


def _read_parquet(path: Path) -> Read:
    import pandas

    frame = pandas.read_parquet(path, engine="pyarrow")
    return list(frame.columns), list(frame["file"]), frame.drop(columns="file").to_numpy()
