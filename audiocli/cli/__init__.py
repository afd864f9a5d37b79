"""The command line: Click only. Commands import what they run when they run.

So ``--help`` of every command comes at once: nothing here loads numpy, torch,
librosa or pandas at import, and a test holds that.
"""

from __future__ import annotations

import sys

import click

from audiocli import __version__
from audiocli.cli.analyze import analyze
from audiocli.cli.beats import beats
from audiocli.cli.chords import chords
from audiocli.cli.classify import classify
from audiocli.cli.compare import compare
from audiocli.cli.config import config
from audiocli.cli.demo import demo
from audiocli.cli.doctor import doctor
from audiocli.cli.evaluate import evaluate
from audiocli.cli.events import status_of
from audiocli.cli.features import features
from audiocli.cli.learn import learn
from audiocli.cli.merge import merge
from audiocli.cli.models import models
from audiocli.cli.notes import notes
from audiocli.cli.onsets import onsets
from audiocli.cli.report import report
from audiocli.cli.separate import separate
from audiocli.cli.serve import serve
from audiocli.cli.serve_jobs import serve_jobs
from audiocli.cli.settings import config_option, name_variables
from audiocli.cli.signposts import SignpostedGroup
from audiocli.cli.streams import ReaderGone, StandardOutput, standard_streams
from audiocli.cli.tag import tag
from audiocli.cli.train import train
from audiocli.errors import AudioCliError

__all__ = ["cli", "main"]


READER_GONE = 141
"""The exit status of programs that SIGPIPE ends, which is 128 + 13."""


@click.group(cls=SignpostedGroup, context_settings={"help_option_names": ["-h", "--help"]})
@config_option
@click.version_option(__version__, prog_name="audiocli")
def cli() -> None:
    """Audio analysis on the command line.

    Results go to standard output or to files, everything else to standard error. Exit
    status: 0 all good, 1 some inputs failed (the others are done), 2 wrong usage, 130 interrupted,
    141 who read the results left. Each option has a variable, as AUDIOCLI_ONSETS_JOBS=4 for
    onsets --jobs 4.
    """


cli.add_command(analyze)
cli.add_command(classify)
cli.add_command(tag)
cli.add_command(compare)
cli.add_command(beats)
cli.add_command(chords)
cli.add_command(features)
cli.add_command(notes)
cli.add_command(onsets)
cli.add_command(report)
cli.add_command(separate)
cli.add_command(serve)
cli.add_command(train)
cli.add_command(evaluate)
cli.add_command(models)
cli.add_command(serve_jobs)
cli.add_command(merge)
cli.add_command(config)
cli.add_command(doctor)
cli.add_command(demo)
cli.add_command(learn)
name_variables(cli, "AUDIOCLI")


def main() -> None:
    """Run the command line; turn errors and interrupts into exit statuses."""
    with standard_streams() as output:
        status = _run(output)
    if status:
        sys.exit(status)


def _run(output: StandardOutput) -> int:
    """Run a command, and find its exit status."""
    status = 0
    try:
        cli(prog_name="audiocli", standalone_mode=False)
        if output.error is None:
            output.flush()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        status = end.code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ReaderGone:
        return READER_GONE
    except AudioCliError as error:
        click.echo(f"audiocli: {error}", err=True)
        return status_of(error)
    except (KeyboardInterrupt, click.Abort):
        click.echo("audiocli: interrupted", err=True)
        return 130
    if output.error is None or isinstance(output.error, ReaderGone):
        return status
    click.echo(f"audiocli: {output.error}; the files are written", err=True)
    return status or 1
