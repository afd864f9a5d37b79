"""``audiocli demo``."""

from __future__ import annotations

from pathlib import Path

import click

from audiocli.cli.renaming import RenamingCommand


@click.command(cls=RenamingCommand)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace files of the same names.")
def demo(folder: Path, overwrite: bool) -> None:
    """Write a synthesised demo song, its stems and reference annotations to FOLDER.

    The same bytes every time: song.wav, stems/, and onsets, chords, beats and labels.
    """
    from audiocli.demo import write_demo

    for path in write_demo(folder, overwrite=overwrite):
        click.echo(str(path))
