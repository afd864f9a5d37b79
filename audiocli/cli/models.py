"""``audiocli models``."""

from __future__ import annotations

import json
import sys

import click


@click.group()
def models() -> None:
    """List, describe and check the models."""


@models.command("list")
@click.option("--task", help="Only those of this task.")
@click.option("--json", "as_json", is_flag=True, help="As a list of objects.")
def list_(task: str | None, as_json: bool) -> None:
    """List the models that --model can name."""
    from audiocli import registry
    from audiocli.errors import UsageError, suggest

    entries = registry.list_models()
    tasks = {entry.task for entry in entries}
    if task is not None and task not in tasks:
        raise UsageError(f"no model for task {task!r}: {suggest(task, tasks)}")
    rows = [entry.summary() for entry in entries if task in (None, entry.task)]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    from audiocli.cli.tables import print_table

    columns = ("task", "name", "size", "parameters", "licence", "score")
    print_table("", columns, [[_readable(row, column) for column in columns] for row in rows])


def _readable(row: dict[str, object], column: str) -> object:
    if column == "size":
        return f"{int(str(row[column])) / 1e6:.1f} MB"
    return row[column]


@models.command()
@click.argument("name")
def info(name: str) -> None:
    """Print a model's card. NAME: a name, task/name or a model folder."""
    from audiocli import registry
    from audiocli.card import render

    click.echo(render(registry.find(None, name).config), nl=False)


@models.command()
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Check the SHA-256 of the weights of all models, or of those named."""
    from audiocli import registry
    from audiocli.errors import ModelError

    entries = [registry.find(None, name) for name in names] or registry.list_models()
    damaged = 0
    for entry in entries:
        try:
            registry.verify(entry)
            click.echo(f"{entry.task}/{entry.name}: ok")
        except ModelError as error:
            damaged += 1
            click.echo(f"audiocli: {error}", err=True)
    if damaged:
        sys.exit(1)


@models.command()
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """Print the folder of a model, or the folders that are searched."""
    from audiocli import registry

    folders = [registry.find(None, name).folder] if name else registry.roots()
    for folder in folders:
        click.echo(str(folder))
