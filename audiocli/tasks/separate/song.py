"""Separate one file into files: its stems, and what else is made of them in the same pass."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audiocli.batch import Progress
from audiocli.io.atomic import scratch_folder
from audiocli.io.audio import AudioFormat, AudioInfo, AudioReader, AudioWriter
from audiocli.io.audio.streaming import prefetch
from audiocli.io.audio.stretch import Loudest, Stretch, cut
from audiocli.io.metadata import Metadata, read_metadata
from audiocli.tasks.separate.clipping import clip_format, decibels, warn_of_clipping
from audiocli.tasks.separate.conditioning import ProgrammeLevel
from audiocli.tasks.separate.plot import StemsViewer, plot_stems
from audiocli.tasks.separate.remix import Remix
from audiocli.tasks.separate.report import EXCERPT_SECONDS, LONGEST_SECONDS, About, Report
from audiocli.tasks.separate.separator import Audio, Separator

__all__ = ["ACCOMPANIMENT", "Extras", "Separation", "separate_file"]

#: Samples decoded at once, at the file's rate.
BLOCK = 1 << 16
#: What there is of every song, whatever its model's stems are: all but the vocals.
ACCOMPANIMENT = "accompaniment"


@dataclass(frozen=True)
class Extras:
    """What to make of a file besides its stems, and where; None for what is not wanted.

    Parameters
    ----------
    remix : Path, optional
        The stems together again, with gains.
    gains : mapping of str to float
        Of the remix, in dB by stem; the others have 0, and -inf leaves one out.
    plot : Path, optional
        A picture, ``.png``, ``.svg`` or ``.pdf``.
    report : Path, optional
        A web page.
    preview : float, optional
        Take only the loudest stretch of so many seconds.

    Examples
    --------
    >>> Extras(plot=Path("a.png")).preview is None
    True
    """

    remix: Path | None = None
    gains: Mapping[str, float] = field(default_factory=dict)
    plot: Path | None = None
    report: Path | None = None
    preview: float | None = None


@dataclass(frozen=True)
class Separation:
    """What became of one file.

    Parameters
    ----------
    outputs : dict of str to Path
        The file of each stem.
    seconds : float
        Length of the audio.
    gain : float
        Factor on all stems alike: 1, or less where one of them would have clipped.
    remix_gain : float or None
        The same of the remix; None without one.
    preview_start : float or None
        Where the preview begins, in seconds; None where all of the file was separated.
    clamped : int
        Samples of the stems beyond full scale that were set to it.

    Examples
    --------
    >>> Separation({"vocals": Path("a.vocals.wav")}, 3.0, 1.0).facts
    {}
    """

    outputs: dict[str, Path]
    seconds: float
    gain: float
    remix_gain: float | None = None
    preview_start: float | None = None
    clamped: int = 0

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of it besides."""
        facts: dict[str, Any] = {}
        if self.preview_start is not None:
            facts["preview"] = {"start": round(self.preview_start, 3),
                                "seconds": round(self.seconds, 3)}  # fmt: skip
        if self.gain < 1:
            facts["gain_db"] = decibels(self.gain)
        if self.clamped:
            facts["clamped_samples"] = self.clamped
        if self.remix_gain is not None:
            facts["remix_gain_db"] = decibels(self.remix_gain)
        return facts


def separate_file(
    separator: Separator,
    source: Path,
    outputs: Mapping[str, Path],
    *,
    extras: Extras | None = None,
    name: str | None = None,
    container: str | None = None,
    bits: int | None = None,
    clip: str = "rescale",
    metadata: bool = True,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Separation:
    """Separate a file into files, in constant memory.

    The stems have the rate, the channels and the exact length of the source.

    Parameters
    ----------
    separator : Separator
        The loaded model.
    source : Path
        Any audio file.
    outputs : mapping of str to Path
        Which stems to write, and where.
    extras : Extras, optional
        What else to make.
    name : str, optional
        How to call the source in messages.
    container : {"wav", "flac", "ogg", "mp3"}, optional
        By default wav and flac stay what they are and all else becomes wav.
    bits : int, optional
        Bit depth; by default that of the source.
    clip : {"rescale", "clamp", "float"}
        Where a stem would clip: make all stems softer by one gain, so that they add up to the
        mixture, softer; or keep the level, and set what is beyond full scale to it; or write
        floating-point samples (wav), which do not clip. The first two issue a warning.
    metadata : bool
        Write the tags, the cover and the chunks of the source into the stems and the remix.
    overwrite : bool
        Whether files that are there may be replaced.
    progress : callable
        Told the seconds done and to do.

    Returns
    -------
    Separation

    Raises
    ------
    AudioError
        If the source cannot be read or an output not be written.
    UsageError
        If the format cannot hold the source's rate, channels or bit depth.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     outputs = {"vocals": Path(folder) / "vocals.flac"}
    ...     song = Path(folder) / "song.wav"
    ...     separate_file(Separator(), song, outputs, container="flac").gain
    1.0
    """
    extras = extras or Extras()
    with AudioReader(source, name=name) as reader:
        form = clip_format(clip, container, bits, reader.info)  # refuses before any work
        song = _survey(reader, source, name, extras)
    carried = read_metadata(source, name=name) if metadata else Metadata()
    if extras.preview is not None:
        carried = carried.excerpt(song.stretch.start)
    files = _Files(outputs, form, carried, overwrite, form.is_integer and clip == "rescale")
    # Floating point holds what is beyond full scale; all else is scaled, every stem alike.
    # A loud master decoded from mp3 is beyond it already.
    gain = 1 / max(1.0, song.level.peak) if files.rescale else 1.0
    with ExitStack() as stack:
        scratch = Path()
        if extras.remix or extras.report:
            scratch = Path(stack.enter_context(scratch_folder()))
        try:
            made = _Products(extras, separator, song, scratch)
            clamped = _write(separator, song, files, made, gain, progress)
        except _Clipped as clipped:  # a stem peaks above the mixture: rare, worth a second run
            gain *= (1 - 1e-6) / clipped.peak
            made = _Products(extras, separator, song, scratch)
            clamped = _write(separator, song, files, made, gain, progress)
        remix_gain = made.finish(files)
    begin = song.start if extras.preview is not None else None
    done = Separation(dict(outputs), song.seconds, gain, remix_gain, begin, clamped)
    warn_of_clipping(gain, clamped, remix_gain)
    return done


@dataclass(frozen=True)
class _Files:
    """How the files are written."""

    outputs: Mapping[str, Path]  # of each stem
    form: AudioFormat
    metadata: Metadata
    overwrite: bool
    rescale: bool  # make everything softer where it would clip

    def writer(self, path: Path, song: _Song) -> AudioWriter:
        return AudioWriter(
            path,
            song.info.sample_rate,
            song.info.channels,
            self.form,
            overwrite=self.overwrite,
            frames=song.stretch.frames,
            finish=self.metadata.write if self.metadata else None,
        )


@dataclass(frozen=True)
class _Song:
    """What is known of a file before it is separated."""

    path: Path
    name: str | None
    info: AudioInfo
    level: ProgrammeLevel  # of the whole, so that a preview sounds as it does in the whole
    stretch: Stretch  # what is separated
    excerpt: Stretch | None  # what of that a page holds, where it cannot hold all

    @property
    def start(self) -> float:
        return self.stretch.start / self.info.sample_rate

    @property
    def seconds(self) -> float:
        return self.stretch.frames / self.info.sample_rate

    def blocks(self, reader: AudioReader) -> Iterator[Audio]:
        blocks = reader.blocks(BLOCK, self.stretch.start)
        partly = self.stretch.frames < self.level.frames
        return cut(blocks, self.stretch.frames) if partly else blocks


def _survey(reader: AudioReader, path: Path, name: str | None, extras: Extras) -> _Song:
    """Hear a file once: its level, and where it is loudest."""
    rate = reader.info.sample_rate
    level = ProgrammeLevel(rate)
    loudest = None if extras.preview is None else Loudest(max(1, round(extras.preview * rate)))
    for block in reader.blocks(BLOCK):
        level.add(block)
        if loudest is not None:
            loudest.update(block)
    stretch = Stretch(0, level.frames) if loudest is None else loudest.stretch
    song = _Song(path, name, reader.info, level, stretch, None)
    if extras.report is None or song.seconds <= LONGEST_SECONDS:
        return song
    loudest = Loudest(round(EXCERPT_SECONDS * rate))
    for block in song.blocks(reader):
        loudest.update(block)
    return _Song(path, name, reader.info, level, stretch, loudest.stretch)


class _Products:
    """All that is made of a song besides its stems, in one pass over it."""

    def __init__(self, extras: Extras, separator: Separator, song: _Song, folder: Path) -> None:
        self.extras, self.song = extras, song
        frames, rate = song.stretch.frames, song.info.sample_rate
        self.title = song.name or song.path.name
        self.remix = self.viewer = self.report = None
        if extras.remix is not None:
            self.remix = Remix(folder, song.info, separator.stems, extras.gains, frames)
        if extras.plot is not None:
            self.viewer = StemsViewer(separator.stems, rate, frames)
        if extras.report is not None:
            entry = separator.entry
            # A page is passed on: what folders it came from is nobody's business.
            title = "standard input" if self.title == "-" else Path(self.title).name
            about = About(
                title, entry.name, entry.licence, song.level.frames / rate, song.start,
                frames < song.level.frames,
            )  # fmt: skip
            gain = 1 / max(1.0, song.level.peak)
            self.report = Report(
                folder, about, separator.stems, song.info, frames, excerpt=song.excerpt, gain=gain
            )

    def open(self, stack: ExitStack) -> None:
        """Open the files in between; those of a pass that fails are removed."""
        for product in (self.remix, self.report):
            if product is not None:
                stack.enter_context(product)

    def take(self, mixture: Audio, stems: Audio) -> None:
        for product in (self.remix, self.viewer, self.report):
            if product is not None:
                product.take(mixture, stems)

    def finish(self, files: _Files) -> float | None:
        """Write what was asked for; give the gain of the remix."""
        gain, overwrite = None, files.overwrite
        if self.remix is not None and self.extras.remix is not None:
            gain = self.remix.write(
                self.extras.remix,
                files.form,
                overwrite=overwrite,
                rescale=files.rescale,
                metadata=files.metadata,
            )
        if self.viewer is not None and self.extras.plot is not None:
            view, start = self.viewer.view(), self.song.start
            plot_stems(self.extras.plot, view, start=start, title=self.title, overwrite=overwrite)
        if self.report is not None and self.extras.report is not None:
            self.report.write(self.extras.report, overwrite=overwrite)
        return gain


def _write(
    separator: Separator,
    song: _Song,
    files: _Files,
    made: _Products,
    gain: float,
    progress: Progress,
) -> int:
    """Write the stems, and give the number of samples that were clamped.

    Where they would clip and are to be rescaled, leave no file and raise their peak.
    """
    rate = song.info.sample_rate
    with ExitStack() as stack:
        reader = stack.enter_context(AudioReader(song.path, name=song.name))
        # Decoding, each writer and each segment in the network have a thread of their own.
        decoded = prefetch(song.blocks(reader))
        stack.callback(decoded.close)  # or its thread would read on from a closed file
        pairs = _pairs(separator, decoded, rate, song.level.level)
        writers = [
            (_parts(stem, separator.stems), stack.enter_context(files.writer(path, song)))
            for stem, path in files.outputs.items()
        ]
        made.open(stack)
        peak, done, clamped = 0.0, 0, 0
        for mixture, stems in pairs:
            highest, beyond = _write_block(stems, writers, gain)
            peak, clamped = max(peak, highest), clamped + beyond
            made.take(mixture, stems)
            done += stems.shape[-1]
            progress(done / rate, song.seconds)
        if files.rescale and peak > 1:
            raise _Clipped(peak)
    return clamped if files.form.is_integer else 0


def _pairs(
    separator: Separator, mixture: Iterable[Audio], rate: int, level: float
) -> Iterator[tuple[Audio, Audio]]:
    """Separate a stream; each block of stems has that of the mixture beside it."""
    heard, beside = itertools.tee(mixture)
    yield from zip(beside, separator.blocks(heard, rate, level), strict=True)


def _parts(stem: str, stems: Sequence[str]) -> list[int]:
    """Tell which of a model's stems make up the one to write."""
    if stem == ACCOMPANIMENT and stem not in stems:
        return [index for index, name in enumerate(stems) if name != "vocals"]
    return [stems.index(stem)]


def _write_block(
    block: Audio, writers: Sequence[tuple[list[int], AudioWriter]], gain: float
) -> tuple[float, int]:
    """Write a block (stems, channels, samples), each stem to its file.

    Give the peak, and the number of samples beyond full scale.
    """
    peak, beyond = 0.0, 0
    for parts, writer in writers:
        samples = block[parts].sum(axis=0) * np.float32(gain)
        highest = float(np.abs(samples).max())
        if highest > 1:
            beyond += int(np.count_nonzero(np.abs(samples) > 1))
        peak = max(peak, highest)
        writer.write(samples)
    return peak, beyond


class _Clipped(Exception):
    """Raised among open writers so that they discard what would clip."""

    def __init__(self, peak: float) -> None:
        super().__init__(peak)
        self.peak = peak
