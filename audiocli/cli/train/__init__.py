"""``audiocli train``: one subcommand a task."""

import click

from audiocli.cli.train.beats import beats
from audiocli.cli.train.chords import chords
from audiocli.cli.train.classify import classify, tag
from audiocli.cli.train.features import features
from audiocli.cli.train.onsets import onsets
from audiocli.cli.train.separate import separate


@click.group()
def train() -> None:
    """Train a network and write a model folder."""


train.add_command(beats)
train.add_command(chords)
train.add_command(classify)
train.add_command(features)
train.add_command(onsets)
train.add_command(separate)
train.add_command(tag)
