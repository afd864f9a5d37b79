"""``audiocli evaluate``: one subcommand a task."""

import click

from audiocli.cli.evaluate.beats import beats
from audiocli.cli.evaluate.chords import chords
from audiocli.cli.evaluate.classify import classify, tag
from audiocli.cli.evaluate.features import features
from audiocli.cli.evaluate.notes import notes
from audiocli.cli.evaluate.onsets import onsets
from audiocli.cli.evaluate.separate import separate


@click.group()
def evaluate() -> None:
    """Score a model on data with reference annotations."""


evaluate.add_command(beats)
evaluate.add_command(chords)
evaluate.add_command(classify)
evaluate.add_command(features)
evaluate.add_command(notes)
evaluate.add_command(onsets)
evaluate.add_command(separate)
evaluate.add_command(tag)
