"""``audiocli chords``."""

from __future__ import annotations

import click

from audiocli.cli.options import (
    Batch,
    RequestCommand,
    batch_options,
    complete_models,
    device_option,
    format_option,
    plot_option,
)

FORMATS = ["lab", "csv", "json", "jsonl", "sqlite", "jams", "audacity", "sv", "midi", "chordpro",
           "html"]  # fmt: skip


@click.command(cls=RequestCommand)
@batch_options("A file for all, or a folder for a file each. [standard output]")
@format_option(FORMATS, "lab")
@click.option(
    "--model",
    shell_complete=complete_models("chords"),
    default="crnn",
    show_default=True,
    help="Name or model folder.",
)
@click.option(
    "--vocab",
    "vocabulary",
    type=click.Choice(["majmin", "sevenths", "full"]),
    help="Which chords there are; full has inversions too. [the model's own: full]",
)
@click.option(
    "--change",
    type=click.FloatRange(0),
    help="What a change of chord costs: more for fewer, longer chords. [the model's own]",
)
@click.option("--simplify", is_flag=True, help="Make each a major or minor triad.")
@click.option("--transpose", type=int, default=0, metavar="N", help="Move by N semitones.")
@click.option("--roman", is_flag=True, help="Write chords as degrees of the key.")
@click.option("--key", is_flag=True, help="Print the keys of the sections, not the chords.")
@click.option(
    "--beats", is_flag=True, help="Find beats and bars too, for json; sheets and midi have them."
)
@click.option(
    "--capo",
    type=int,
    default=0,
    metavar="FRET",
    help="In sheets (chordpro, html): name chords as they are held behind a capo.",
)
@click.option(
    "--diagrams",
    type=click.Choice(["guitar", "ukulele", "both", "none"]),
    default="guitar",
    show_default=True,
    help="Fingerings in html.",
)
@plot_option("Draw chords, chroma and key. [NAME.chords.png]")
@click.option("--click", metavar="FILE", help="Write the sound with the chords played.")
@device_option
def chords(
    batch: Batch,
    form: str | None,
    model: str,
    vocabulary: str | None,
    change: float | None,
    simplify: bool,
    transpose: int,
    roman: bool,
    key: bool,
    beats: bool,
    capo: int,
    diagrams: str,
    plot: str | None,
    click: str | None,
    device: str,
) -> None:
    """Recognise chords: print start, end and label of each, in seconds and Harte's syntax.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    Of several inputs, each line ends in the file's name.
    """
    from audiocli.cli.running import run_command
    from audiocli.tasks.chords import ChordRequest
    from audiocli.tasks.chords.files import declare

    request = ChordRequest(
        vocabulary=vocabulary,
        change=change,
        simplify=simplify,
        transpose=transpose,
        roman=roman,
        key=key,
        beats=beats,
        capo=capo,
        diagrams=diagrams,
        form=form,
        model=model,
        plot=plot,
        click=click,
        device=device,
    )
    run_command(batch, declare(request, batch.output))
