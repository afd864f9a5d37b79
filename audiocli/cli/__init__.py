"""The command line: Click only. Commands import what they run when they run.

So ``--help`` of every command comes at once: nothing here loads numpy, torch,
librosa or pandas at import, and a test holds that.
"""

from __future__ import annotations

import io
import sys

import click

from audiocli import __version__
from audiocli.cli.chords import chords
from audiocli.cli.classify import classify
from audiocli.cli.compare import compare
from audiocli.cli.demo import demo
from audiocli.cli.evaluate import evaluate
from audiocli.cli.features import features
from audiocli.cli.models import models
from audiocli.cli.onsets import onsets
from audiocli.cli.separate import separate
from audiocli.cli.tag import tag
from audiocli.cli.train import train
from audiocli.errors import AudioCliError, UsageError

__all__ = ["cli", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="audiocli")
def cli() -> None:
    """Audio analysis on the command line.

    Results go to standard output or to files, everything else to standard error. Exit
    status: 0 all good, 1 some inputs failed (the others are done), 2 wrong usage, 130 interrupted.
    """


cli.add_command(classify)
cli.add_command(tag)
cli.add_command(compare)
cli.add_command(chords)
cli.add_command(features)
cli.add_command(onsets)
cli.add_command(separate)
cli.add_command(train)
cli.add_command(evaluate)
cli.add_command(models)
cli.add_command(demo)


def main() -> None:
    """Run the command line; turn errors and interrupts into exit statuses."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names go out with the bytes that they have on disk, be they text or not.
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        cli(prog_name="audiocli", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AudioCliError as error:
        click.echo(f"audiocli: {error}", err=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("audiocli: interrupted", err=True)
        sys.exit(130)
