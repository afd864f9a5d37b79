"""``audiocli models``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audiocli.cli.renaming import RenamingCommand

if TYPE_CHECKING:
    from audiocli.errors import ModelError


#: As :data:`audiocli.nn.licences.CLASSES`, which must not be loaded for the help.
LICENCES = ["permissive", "share-alike", "unstated", "non-commercial", "research"]


@click.group()
def models() -> None:
    """List, describe, check, install and publish models."""


@models.command("list", cls=RenamingCommand)
@click.option("--task", help="Only models of this task.")
@click.option(
    "--licence",
    type=click.Choice(LICENCES),
    help="Only models whose weights, encoders included, are under such a licence, by their cards.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
def list_(task: str | None, licence: str | None, as_json: bool) -> None:
    """List the models that --model can name."""
    from audiocli.errors import ModelError, UsageError, suggest
    from audiocli.nn import licences, registry

    damaged: list[ModelError] = []
    entries = registry.list_models(damaged=damaged)
    tasks = {entry.task for entry in entries}
    if task is not None and task not in tasks:
        raise UsageError(f"no model for task {task!r}: {suggest(task, tasks)}")
    rows = []
    for entry in entries:
        kind = licences.class_of(entry)
        if task in (None, entry.task) and licence in (None, kind):
            try:
                rows.append({**entry.summary(), "licence_class": kind})
            except ModelError as error:  # of its weights
                damaged.append(error)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        from audiocli.cli.tables import print_table

        columns = ("task", "name", "size", "parameters", "licence", "score")
        print_table("", columns, [[_readable(row, column) for column in columns] for row in rows])
    _finish(damaged)


def _finish(damaged: Sequence[ModelError]) -> None:
    """Name the model folders that are damaged, and exit with 1 if there are any."""
    for error in damaged:
        click.echo(f"audiocli: {error}", err=True)
    if damaged:
        sys.exit(1)


def _readable(row: dict[str, object], column: str) -> object:
    if column == "size":
        return f"{int(str(row[column])) / 1e6:.1f} MB"
    return row[column]


@models.command(cls=RenamingCommand)
@click.argument("name")
def info(name: str) -> None:
    """Print a model's card. NAME: a name, task/name or a model folder."""
    from audiocli.nn import registry
    from audiocli.nn.card import render

    click.echo(render(registry.find(None, name).config), nl=False)


@models.command(cls=RenamingCommand)
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Check the SHA-256 of the weights of all models, or of those named."""
    from audiocli.errors import ModelError
    from audiocli.nn import registry

    damaged: list[ModelError] = []
    entries = [registry.find(None, name) for name in names]
    for entry in entries or registry.list_models(damaged=damaged):
        try:
            registry.verify(entry)
            click.echo(f"{entry.task}/{entry.name}: ok")
        except ModelError as error:
            damaged.append(error)
    _finish(damaged)


@models.command(cls=RenamingCommand)
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """Print the folder of a model, or the folders that are searched."""
    from audiocli.nn import registry

    folders = [registry.find(None, name).folder] if name else registry.roots()
    for folder in folders:
        click.echo(str(folder))


@models.command(cls=RenamingCommand)
@click.argument("name")
@click.option(
    "--onnx",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="ONNX file to write.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def export(name: str, onnx: Path, overwrite: bool) -> None:
    """Write a model's network to a file for programs without torch, and compare it with torch.

    NAME: a name, task/name or a model folder. Needs audiocli[onnx]; with onnxruntime installed, the
    file is run, and must compute what torch does within 1e-4.
    """
    from audiocli.nn import registry
    from audiocli.nn.export import export_onnx

    done = export_onnx(registry.find(None, name), onnx, overwrite=overwrite)
    click.echo(str(done.path))
    click.echo(f"input: {done.inputs}; output: {done.outputs}", err=True)
    if done.difference is None:
        click.echo("not compared with torch: onnxruntime is not installed", err=True)
    else:
        click.echo(f"largest difference from torch: {done.difference:.1e}", err=True)


@models.command(cls=RenamingCommand)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--mirror",
    metavar="DIR_OR_URL",
    help="Folder or URL with the authors' files. [AUDIOCLI_MIRROR, or the authors' site]",
)
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of models to install into, as in AUDIOCLI_MODELS. [the user's cache]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON objects.")
def install(names: tuple[str, ...], mirror: str | None, to: Path | None, as_json: bool) -> None:
    """Install big models by others, or list those on offer.

    They need optional packages and have licences of their own. Run it again to resume a
    download that was interrupted.
    """
    from audiocli.nn import installing

    if not names:
        _print_offers(to, as_json)
        return
    for wanted in [installing.offer(name) for name in names]:
        there = installing.installed(wanted, to, whole=True)
        if there is None:
            click.echo(
                f"{wanted.name}: {wanted.megabytes} MB, licence of the weights: {wanted.licence}",
                err=True,
            )
            with _Downloads() as downloads:
                there = installing.install(
                    wanted.name, to=to, mirror=mirror, progress=downloads.show
                )
        else:
            click.echo(f"{wanted.name}: installed already", err=True)
        click.echo(str(there.folder))


@models.command(cls=RenamingCommand)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", help="What to call it. [the folder's name]")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of models to put it into, as in AUDIOCLI_MODELS. [the user's cache]",
)
def publish(folder: Path, name: str | None, to: Path | None) -> None:
    """Put a trained model where --model finds it by name.

    FOLDER: what `audiocli train` wrote. Its weights are verified, its card must state licence, data
    and a held-out score, and no model is replaced.
    """
    from audiocli.nn.publishing import publish

    entry = publish(folder, name, to=to)
    click.echo(f"--model {entry.name}", err=True)
    click.echo(str(entry.folder))


def _print_offers(root: Path | None, as_json: bool) -> None:
    from audiocli.nn import installing
    from audiocli.nn.catalogue import CATALOGUE

    rows = [
        {
            "task": offer.task,
            "name": offer.name,
            "megabytes": offer.megabytes,
            "installed": "yes" if installing.installed(offer, root) else "no",
            "needs": f"audiocli[{offer.extra}]",
            "licence": offer.licence,
        }
        for offer in CATALOGUE.values()
    ]
    if as_json:
        told = [{**row, "installed": row["installed"] == "yes"} for row in rows]
        click.echo(json.dumps(told, indent=1))
        return
    from audiocli.cli.tables import print_table

    print_table("", tuple(rows[0]), [list(row.values()) for row in rows])


class _Downloads:
    """Bars on a terminal, one a file; nothing elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self.bars: dict[str, Any] = {}
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> _Downloads:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def show(self, name: str, done: int, total: int | None) -> None:
        if name not in self.bars:
            self.bars[name] = self.progress.add_task(name, total=total)
        self.progress.update(self.bars[name], completed=done, total=total)
