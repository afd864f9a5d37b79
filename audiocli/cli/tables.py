"""Print results as tables, CSV or JSON on standard output."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from audiocli.errors import printable

if TYPE_CHECKING:
    from audiocli.tasks.evaluation import Evaluation
    from audiocli.tasks.separate.evaluation import ClipScore, Total

__all__ = ["plain", "print_table", "show_rows", "show_scores"]


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table as wide as it needs to be, so that a pipe gets whole rows."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numbers = [isinstance(row[index], int | float) for row in rows if row[index] != "-"]
        number = bool(numbers) and all(numbers)
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        cells = (f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row)
        # As text, because a name may hold [brackets], and what a terminal would obey.
        table.add_row(*(Text(printable(cell)) for cell in cells))
    wide = None if sys.stdout.isatty() else 500
    Console(width=wide).print(table, highlight=False, markup=False)


def show_scores(evaluation: Evaluation[ClipScore, list[Total]], form: str) -> None:
    """Print the scores of separation."""
    clips = [asdict(score) for score in evaluation.scores]
    totals = [asdict(total) for total in evaluation.total or []]
    if form == "json":
        # JSON has neither infinity, the SAR of an unchanged mixture, nor the nan of a silent stem.
        found = {"clips": list(map(plain, clips)), "totals": list(map(plain, totals))}
        click.echo(json.dumps(found, indent=1))
    elif form == "csv":
        # Totals follow under the clips' heading, with an empty clip: one table for every reader.
        names = {"gnsdr": "nsdr", "gsir": "sir", "gsar": "sar"}
        rows = clips + [
            {"clip": "", **{names.get(key, key): value for key, value in total.items()}}
            for total in totals
        ]
        writer = csv.DictWriter(sys.stdout, list(clips[0] if clips else ()), extrasaction="ignore")
        if clips:
            writer.writeheader()
        writer.writerows(rows)
    elif totals:
        columns = ("BSS Eval", "source", "system", "GNSDR", "GSIR", "GSAR", "clips")
        cells = [
            (total.version, total.source, total.system, total.gnsdr, total.gsir, total.gsar,
             total.clips)
            for total in evaluation.total or []
        ]  # fmt: skip
        print_table("", columns, cells)


def show_rows(
    rows: Sequence[Mapping[str, Any]], total: Mapping[str, Any] | None, form: str
) -> None:
    """Print a row a file and one for all."""
    cells = [plain(row) for row in (*rows, *([] if total is None else [total]))]
    if form == "json":
        found = {"files": cells[: len(rows)], "total": None if total is None else cells[-1]}
        click.echo(json.dumps(found, indent=1))
    elif not cells:
        return
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, list(cells[-1]))
        writer.writeheader()
        writer.writerows(cells)
    else:
        shown = [["-" if value is None else value for value in row.values()] for row in cells]
        print_table("", list(cells[-1]), shown)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Put nothing in the place of what is no number, which neither JSON nor a table can hold."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
