"""``audiocli beats``."""

from __future__ import annotations

import click

from audiocli.cli.options import (
    TIME_FORMATS,
    Batch,
    Numbers,
    RequestCommand,
    batch_options,
    device_option,
    format_option,
    plot_option,
)


@click.command(cls=RequestCommand)
@batch_options("A file for all, or a folder for a file each. [standard output]")
@format_option(TIME_FORMATS, "txt")
@click.option("--model", default="tcn", show_default=True, help="Name or model folder.")
@click.option(
    "--tempo",
    is_flag=True,
    help="One line a file: beats a minute, confidence, beats a bar; half and double the tempo, "
    "each with its share.",
)
@click.option(
    "--meter",
    type=Numbers(int),
    default=(),
    metavar="N,...",
    help="Beats a bar that may be. [3,4]",
)
@click.option(
    "--tempo-range",
    type=Numbers(float, 2),
    metavar="LOW,HIGH",
    help="Slowest and fastest tempo, in beats a minute. [40,215]",
)
@click.option("--downbeat", type=float, metavar="SECONDS", help="A bar begins here, to help.")
@plot_option("Draw waveform, spectrogram and beats. [NAME.beats.png]")
@click.option("--click", metavar="FILE", help="Write the sound with a metronome.")
@device_option
def beats(
    batch: Batch,
    form: str | None,
    model: str,
    tempo: bool,
    meter: tuple[int, ...],
    tempo_range: tuple[float, float] | None,
    downbeat: float | None,
    plot: str | None,
    click: str | None,
    device: str,
) -> None:
    """Track beats: print the time of each in seconds, and its position in the bar.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    Position 1 is the downbeat. Of several inputs, each line ends in the file's name.
    """
    from audiocli.cli.running import run_command
    from audiocli.tasks.beats import BeatRequest
    from audiocli.tasks.beats.files import declare

    request = BeatRequest(
        form=form,
        tempo=tempo,
        model=model,
        meter=meter,
        tempo_range=tempo_range,
        downbeat=downbeat,
        plot=plot,
        click=click,
        device=device,
    )
    run_command(batch, declare(request, batch.output))
