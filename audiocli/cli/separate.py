"""``audiocli separate``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from audiocli.cli.options import (
    Batch,
    RequestCommand,
    batch_options,
    device_option,
    pitches_option,
    plot_option,
    split_words,
)

if TYPE_CHECKING:
    from audiocli.batch import Outcome


@click.command(cls=RequestCommand)
@batch_options(
    "Folder for the stems; mirrors the folders given.",
    default_output="separated",
    name="{name}.{stem}.{ext}",
    manifest="Log of what was done. [audiocli.jsonl in the output folder]",
)
@click.option("--model", default="stereo-drnn", show_default=True, help="Name or model folder.")
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
    help="Separate only the loudest stretch of this length, into NAME.STEM.preview.EXT.",
)
@pitches_option
@plot_option("Draw spectrograms of mixture and stems, and the mask. [NAME.stems.png]")
@click.option("--report", metavar="FILE", help="Write a web page to hear and see it, .html.")
@device_option
def separate(
    batch: Batch,
    model: str,
    stems: str | None,
    karaoke: bool,
    container: str | None,
    bits: int | None,
    clip: str,
    metadata: bool,
    gains: tuple[str, ...],
    preview: float | None,
    pitches: int | None,
    plot: str | None,
    report: str | None,
    device: str,
) -> None:
    """Separate songs into vocals and accompaniment, or what stems the model has.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    The stems have the input's sample rate, channels and exact length, and add up to it.
    """
    from audiocli.cli.running import run_command
    from audiocli.tasks.separate import SeparationRequest, parse_gains
    from audiocli.tasks.separate.files import declare

    if karaoke and stems:
        raise click.UsageError("--karaoke writes the accompaniment alone; leave out --stems")
    wanted = "accompaniment" if karaoke else stems
    request = SeparationRequest(
        model=model,
        stems=split_words(wanted) if wanted else None,
        container=container,
        bits=bits,
        clip=clip,
        metadata=metadata,
        plot=plot,
        report=report,
        gains=parse_gains(gains) or None,
        preview=preview,
        pitches=pitches,
        device=device,
    )
    run_command(
        batch,
        declare(request, batch.output),
        lines=lambda outcome: map(str, outcome.job.outputs),
        remarks=partial(_remarks, quiet=batch.quiet, verbose=batch.verbose),
    )


def _remarks(outcome: Outcome, *, quiet: bool, verbose: bool) -> Iterator[str]:
    """Say what is not to be seen from the names of the outputs."""
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
