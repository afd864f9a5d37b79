"""``audiocli onsets``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from audiocli.cli.options import (
    FILE_OPTIONS,
    TIME_FORMATS,
    Batch,
    RequestCommand,
    batch_options,
    complete_models,
    device_option,
    format_option,
    plot_option,
    refuse_given,
    split_words,
)

if TYPE_CHECKING:
    from audiocli.tasks.onsets import OnsetRequest

#: Options that mean nothing where onsets are printed as they come.
OFFLINE = (*FILE_OPTIONS, "form", "combine", "backtrack", "activations", "plot", "click")


@click.command(cls=RequestCommand)
@batch_options("A file for all, or a folder for a file each. [standard output]")
@format_option(TIME_FORMATS, "txt")
@click.option(
    "--model",
    shell_complete=complete_models("onsets"),
    help="Name or model folder. [crnn; with --online: online]",
)
@click.option(
    "--columns",
    default="",
    callback=lambda context, option, value: split_words(value),
    help="What stands beside each time: strength, salience (rise of the level in dB), or both.",
)
@click.option("--threshold", type=float, help="What a peak must reach, 0 to 1. [the model's own]")
@click.option("--combine", type=float, help="Of peaks this close, in s, the strongest. [0.03]")
@click.option("--min-gap", type=float, help="Least distance of onsets, in s; the first counts. [0]")
@click.option("--backtrack", is_flag=True, help="Move onsets back to where the level is lowest.")
@click.option("--activations", metavar="FILE", help="Write the onset strength too, .csv or .npz.")
@plot_option("Draw waveform, spectrogram and onsets. [NAME.onsets.png]")
@click.option("--click", metavar="FILE", help="Write the sound with a click at each.")
@click.option("--online", is_flag=True, help="Read - (WAV or raw) and print onsets as they come.")
@click.option("--rate", default=44_100, show_default=True, help="Of raw audio, in Hz.")
@click.option("--channels", default=1, show_default=True, help="Of raw audio.")
@click.option(
    "--encoding",
    default="s16le",
    show_default=True,
    type=click.Choice(["s16le", "s32le", "f32le"]),
    help="Of raw audio.",
)
@device_option
def onsets(
    batch: Batch,
    online: bool,
    rate: int,
    channels: int,
    encoding: str,
    form: str | None,
    model: str | None,
    columns: tuple[str, ...],
    threshold: float | None,
    combine: float | None,
    min_gap: float | None,
    backtrack: bool,
    activations: str | None,
    plot: str | None,
    click: str | None,
    device: str,
) -> None:
    """Detect onsets: print the time of each in seconds, one a line.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    Of several inputs, each line ends in the file's name.
    """
    from audiocli.cli.running import run_command
    from audiocli.tasks.onsets import OnsetRequest
    from audiocli.tasks.onsets.detector import DEFAULT_MODEL
    from audiocli.tasks.onsets.files import declare
    from audiocli.tasks.onsets.online import ONLINE_MODEL

    request = OnsetRequest(
        form=form,
        columns=columns,
        model=model or (ONLINE_MODEL if online else DEFAULT_MODEL),
        threshold=threshold,
        combine=combine,
        min_gap=min_gap,
        backtrack=backtrack,
        plot=plot,
        click=click,
        activations=activations,
        device=device,
    )
    if online:
        _run_online(batch, request, rate, channels, encoding)
    else:
        run_command(batch, declare(request, batch.output))


def _run_online(
    batch: Batch, request: OnsetRequest, rate: int, channels: int, encoding: str
) -> None:
    """Print onsets while the sound is still coming."""
    from audiocli.batch.stdin import binary_input
    from audiocli.errors import FieldError
    from audiocli.tasks.onsets import OnlineDetector, RawAudio, open_stream

    if batch.inputs != ("-",):
        raise FieldError("{online} reads standard input; give - as the only input", "online")
    refuse_given(OFFLINE, "online")
    if "salience" in request.columns:
        raise FieldError("{columns} salience: cannot be used with {online}", "columns", "online")
    form, blocks = open_stream(binary_input(), RawAudio(rate, channels, encoding))
    detector = OnlineDetector(
        form.sample_rate,
        request.model,
        device=request.device,
        threshold=request.threshold,
        min_gap=request.min_gap,
    )

    def show(onsets: list[tuple[float, float]]) -> None:
        for time, strength in onsets:
            click.echo(f"{time:.3f}\t{strength:.3f}" if request.columns else f"{time:.3f}")
        sys.stdout.flush()  # a pipe would wait for more

    for block in blocks:
        show(detector.feed(block))
    show(detector.finish())
