"""``audiocli separate``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from audiocli.cli.options import (
    FILE_OPTIONS,
    Batch,
    RequestCommand,
    batch_options,
    complete_models,
    device_option,
    plot_option,
    refuse_given,
    split_words,
    tta_option,
)
from audiocli.errors import FieldError

if TYPE_CHECKING:
    from audiocli.batch import Outcome
    from audiocli.io.audio.piped import RawAudio

#: Options that mean nothing where a stem is written as it comes.
OFFLINE = (*FILE_OPTIONS, "container", "bits", "clip", "metadata", "gains", "preview",
           "tta_pitches", "plot", "report")  # fmt: skip


@click.command(cls=RequestCommand)
@batch_options(
    "Folder for the stems; mirrors the folders given.",
    default_output="separated",
    name="{name}.{stem}.{ext}",
    manifest="Log of what was done. [audiocli.jsonl in the output folder]",
)
@click.option(
    "--model",
    shell_complete=complete_models("separate"),
    help="Name or model folder. [stereo-drnn; with --live: live-drnn]",
)
@click.option("--stems", help="What to write, as in vocals,drums. [all that the model has]")
@click.option("--karaoke", is_flag=True, help="Write the accompaniment alone.")
@click.option(
    "--format",
    "container",
    type=click.Choice(["wav", "flac", "ogg", "mp3"]),
    help="Kind of file to write. [wav and flac stay what they are, the rest becomes wav]",
)
@click.option("--bits", type=int, help="Bits a sample: 8, 16, 24, 32 (float). [the input's]")
@click.option(
    "--clip",
    type=click.Choice(["rescale", "clamp", "float"]),
    default="rescale",
    show_default=True,
    help="Where a stem would clip: make all softer by one gain, clip it, or write floats (wav).",
)
@click.option(
    "--metadata/--no-metadata",
    default=True,
    show_default=True,
    help="Write tags, cover and time reference of the input into the stems.",
)
@click.option(
    "--gain",
    "gains",
    multiple=True,
    metavar="STEM=DB",
    help="Write a remix too, NAME.remix.EXT, with this gain, as in vocals=-6dB or vocals=-inf; "
    "may be repeated.",
)
@click.option(
    "--preview",
    type=float,
    metavar="SECONDS",
    help="Separate only the loudest segment of this length, into NAME.STEM.preview.EXT.",
)
@tta_option
@plot_option("Draw spectrograms of mixture and stems, and the mask. [NAME.stems.png]")
@click.option("--report", metavar="FILE", help="Write a web page with player and pictures, .html.")
@click.option(
    "--live",
    is_flag=True,
    help="Read - (WAV or raw), and write one stem to standard output as it comes.",
)
@click.option("--rate", default=44_100, show_default=True, help="Of raw audio, in Hz.")
@click.option("--channels", default=2, show_default=True, help="Of raw audio.")
@click.option(
    "--encoding",
    default="s16le",
    show_default=True,
    type=click.Choice(["s16le", "s32le", "f32le"]),
    help="Of raw audio.",
)
@device_option
def separate(
    batch: Batch,
    model: str | None,
    stems: str | None,
    karaoke: bool,
    container: str | None,
    bits: int | None,
    clip: str,
    metadata: bool,
    gains: tuple[str, ...],
    preview: float | None,
    tta_pitches: int | None,
    plot: str | None,
    report: str | None,
    live: bool,
    rate: int,
    channels: int,
    encoding: str,
    device: str,
) -> None:
    """Separate songs into vocals and accompaniment, or what stems the model has.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    The stems have the input's sample rate, channels and exact length, and add up to it.
    """
    from audiocli.cli.running import run_command
    from audiocli.io.audio.piped import RawAudio
    from audiocli.tasks.separate import SeparationRequest, parse_gains
    from audiocli.tasks.separate.files import declare
    from audiocli.tasks.separate.separator import DEFAULT_MODEL

    if karaoke and stems:
        raise click.UsageError("--karaoke writes the accompaniment alone; leave out --stems")
    wanted = "accompaniment" if karaoke else stems
    if live:
        _run_live(
            batch, wanted or "accompaniment", model, device, RawAudio(rate, channels, encoding)
        )
        return
    request = SeparationRequest(
        model=model or DEFAULT_MODEL,
        stems=split_words(wanted) if wanted else None,
        container=container,
        bits=bits,
        clip=clip,
        metadata=metadata,
        plot=plot,
        report=report,
        gains=parse_gains(gains) or None,
        preview=preview,
        tta_pitches=tta_pitches,
        device=device,
    )
    run_command(
        batch,
        declare(request, batch.output),
        lines=lambda outcome: map(str, outcome.job.outputs),
        remarks=partial(_remarks, quiet=batch.quiet, verbose=batch.verbose),
    )


def _run_live(batch: Batch, stem: str, model: str | None, device: str, raw: RawAudio) -> None:
    """Write a stem while the sound is still coming in."""
    from audiocli.batch.stdin import binary_input
    from audiocli.io.audio.piped import open_piped
    from audiocli.tasks.separate.live import (
        LIVE_MODEL,
        LiveSeparator,
        separated_bytes,
        wav_header,
    )

    if batch.inputs != ("-",):
        raise FieldError("{live} reads standard input; give - as the only input", "live")
    refuse_given(OFFLINE, "live")
    # The model first: without one nothing has to be piped to be told so.
    LiveSeparator(raw.sample_rate, 2, model or LIVE_MODEL, device=device)
    form, blocks = open_piped(binary_input(), raw)
    separator = LiveSeparator(form.sample_rate, form.channels, model or LIVE_MODEL, device=device)
    if not batch.quiet:
        click.echo(f"latency: {1000 * separator.latency:.0f} ms, without computing", err=True)
    write = sys.stdout.write_bytes  # type: ignore[union-attr]  # the command line's own stream
    if form is not raw:  # what came with a header goes on with one
        write(wav_header(form))
    for data in separated_bytes(separator, blocks, stem, form.encoding):
        write(data)


def _remarks(outcome: Outcome, *, quiet: bool, verbose: bool) -> Iterator[str]:
    """Say what the names of the outputs do not tell."""
    name, done = outcome.job.input.name, outcome.value
    start = done.preview_start
    if start is not None and not quiet:
        clock = f"{int(start // 60)}:{start % 60:05.2f}"
        yield f"{name}: preview of {done.seconds:.2f} s from {start:.2f} s ({clock}) on"
    if verbose:
        yield f"{name}: stems: {_level(done.facts)}"
    gain = done.facts.get("remix_gain_db")
    if verbose and gain is not None:
        clipped = f"all of it {gain:.2f} dB, or it would clip" if gain < 0 else "as asked for"
        yield f"{name}: remix: {clipped}"


def _level(facts: dict[str, Any]) -> str:
    """Say at which level stems were written."""
    clamped = facts.get("clamped_samples")
    if clamped:
        return f"at the input's level, {clamped} samples clipped"
    gain = facts.get("gain_db", 0.0)
    return f"all {gain:.2f} dB, or they would clip" if gain < 0 else "at the input's level"
