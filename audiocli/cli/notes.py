"""``audiocli notes``."""

from __future__ import annotations

import click

from audiocli.cli.options import (
    TIME_FORMATS,
    Batch,
    RequestCommand,
    batch_options,
    device_option,
    format_option,
    plot_option,
)

GRIDS = ["auto", "1", "2", "3", "4", "6", "8"]


@click.command(cls=RequestCommand)
@batch_options("A file for all, or a folder for a file each. [standard output]")
@format_option(TIME_FORMATS, "txt")
@click.option(
    "--from",
    "source",
    type=click.Choice(["mixture", "vocals"]),
    default="mixture",
    show_default=True,
    help="vocals: separate the singing from a song first.",
)
@click.option("--model", default="crnn", show_default=True, help="Onset detector, name or folder.")
@click.option("--fmin", default=55.0, show_default=True, help="Lowest pitch, in Hz.")
@click.option("--fmax", default=2100.0, show_default=True, help="Highest pitch, in Hz.")
@click.option("--min-duration", type=float, help="Leave shorter notes out, in s. [0.13]")
@click.option("--bend", is_flag=True, help="In MIDI: the cents too, by the pitch wheel.")
@click.option(
    "--key",
    metavar="KEY",
    help="Spell notes in this key, such as 'Ab major'. [what the notes fit best]",
)
@click.option(
    "--quantize",
    type=click.Choice(GRIDS),
    metavar="[N]",
    help="Move notes to the beats, each in N parts: 1, 2, 3, 4, 6, 8; without N two, "
    "three or four, as the notes fit best.",
)
@click.option("--beats", is_flag=True, help="Find beats and bars too: MIDI has the song's tempo.")
@click.option(
    "--beats-from",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Take the beats from a file, such as audiocli beats writes.",
)
@plot_option("Draw a piano roll. [NAME.notes.png]")
@device_option
def notes(
    batch: Batch,
    form: str | None,
    source: str,
    model: str,
    fmin: float,
    fmax: float,
    min_duration: float | None,
    bend: bool,
    key: str | None,
    quantize: str | None,
    beats: bool,
    beats_from: str | None,
    plot: str | None,
    device: str,
) -> None:
    """Transcribe a melody: print start, end (s) and pitch (MIDI number, with cents) of each note.

    It is for one voice: a singer, a wind instrument, a bass. Of a song, --from vocals takes the
    singing. INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard
    input. Of several inputs, each line ends in the file's name.
    """
    from audiocli.cli.running import run_command
    from audiocli.pipelines.notes import declare
    from audiocli.tasks.notes import NoteRequest

    request = NoteRequest(
        form=form,
        source=source,
        model=model,
        fmin=fmin,
        fmax=fmax,
        min_duration=min_duration,
        bend=bend,
        key=key,
        quantize=quantize,
        beats=beats,
        beats_from=beats_from,
        plot=plot,
        device=device,
    )
    run_command(batch, declare(request, batch.output))
