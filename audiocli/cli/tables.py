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

if TYPE_CHECKING:
    from audiocli.tasks.separate.evaluation import Evaluation

__all__ = ["print_table", "show_rows", "show_scores"]


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table as wide as it needs to be, so that a pipe gets whole rows.

    Parameters
    ----------
    title : str
        Above the table; may be empty.
    columns : sequence of str
        Headings.
    rows : sequence of sequences
        Floats are shown with two decimals and set to the right, as are integers.
    """
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        number = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    wide = None if sys.stdout.isatty() else 500
    Console(width=wide).print(table, highlight=False, markup=False)


def show_scores(evaluation: Evaluation, form: str) -> None:
    """Print the scores of separation.

    Parameters
    ----------
    evaluation : Evaluation
        Scores of the clips and their totals.
    form : {"table", "csv", "json"}
        How to print them.
    """
    clips = [asdict(score) for score in evaluation.clips]
    totals = [asdict(total) for total in evaluation.totals]
    if form == "json":
        # JSON has neither infinity, the SAR of an unchanged mixture, nor the nan of a silent stem.
        for row in (*clips, *totals):
            for key, value in row.items():
                if isinstance(value, float) and not math.isfinite(value):
                    row[key] = None
        click.echo(json.dumps({"clips": clips, "totals": totals}, indent=1))
    elif form == "csv":
        # Totals follow under the clips' heading, with an empty clip: one table for every reader.
        names = {"gnsdr": "nsdr", "gsir": "sir", "gsar": "sar"}
        rows = clips + [
            {"clip": "", **{names.get(key, key): value for key, value in total.items()}}
            for total in totals
        ]
        writer = csv.DictWriter(sys.stdout, list(clips[0] if clips else ()), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    else:
        columns = ("BSS Eval", "source", "system", "GNSDR", "GSIR", "GSAR", "clips")
        cells = [
            (total.version, total.source, total.system, total.gnsdr, total.gsir, total.gsar,
             total.clips)
            for total in evaluation.totals
        ]  # fmt: skip
        print_table("", columns, cells)


def show_rows(rows: Sequence[Mapping[str, Any]], total: Mapping[str, Any], form: str) -> None:
    """Print a row a file and one for all.

    Parameters
    ----------
    rows : sequence of mapping
        Alike in their keys.
    total : mapping
        With the same keys.
    form : {"table", "csv", "json"}
        How to print them.
    """
    if form == "json":
        click.echo(json.dumps({"files": list(rows), "total": total}, indent=1))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, list(total))
        writer.writeheader()
        writer.writerows([*rows, total])
    else:
        print_table("", list(total), [list(row.values()) for row in (*rows, total)])
