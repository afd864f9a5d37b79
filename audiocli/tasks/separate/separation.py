"""Separate one file into files: its stems, and its exports in the same pass."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from audiocli.batch import Progress
from audiocli.io.audio import AudioFormat, AudioInfo, AudioReader, AudioWriter
from audiocli.io.audio.excerpt import Excerpt, Loudest, cut
from audiocli.io.audio.streaming import prefetch
from audiocli.io.metadata import Metadata, read_metadata
from audiocli.io.scratch import scratch_folder
from audiocli.tasks.separate.clipping import clip_format, decibels, warn_of_clipping
from audiocli.tasks.separate.conditioning import ProgrammeLevel, peak_of
from audiocli.tasks.separate.plot import StemsViewer, plot_stems
from audiocli.tasks.separate.remix import Remix
from audiocli.tasks.separate.report import EXCERPT_SECONDS, LONGEST_SECONDS, About, Report
from audiocli.tasks.separate.separator import Audio, Separator

__all__ = ["ACCOMPANIMENT", "SeparationExports", "Separation", "separate_file"]

#: Samples decoded at once, at the file's rate.
BLOCK = 1 << 16
#: What there is of every song, whatever its model's stems are: all but the vocals.
ACCOMPANIMENT = "accompaniment"


@dataclass(frozen=True)
class SeparationExports:
    """Files to write besides the stems of a recording; None for what is not wanted.

    A :class:`SeparationRequest` names exports as they are typed, for any number of inputs; here is
    the path of each for one input.

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

    Examples
    --------
    >>> SeparationExports(plot=Path("a.png")).report is None
    True
    """

    remix: Path | None = None
    gains: Mapping[str, float] = field(default_factory=dict)
    plot: Path | None = None
    report: Path | None = None


@dataclass(frozen=True)
class Separation:
    """The outcome of one file.

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
    exports: SeparationExports | None = None,
    preview: float | None = None,
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
    exports : SeparationExports, optional
        What else to write.
    preview : float, optional
        Separate only the loudest excerpt of so many seconds.
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
    exports = exports or SeparationExports()
    with AudioReader(source, name=name) as reader:
        form = clip_format(clip, container, bits, reader.info)  # refuses before any work
        mixture = _survey(reader, source, name, preview, page=exports.report is not None)
    carried = read_metadata(source, name=name) if metadata else Metadata()
    if preview is not None:
        carried = carried.excerpt(mixture.excerpt.start)
    files = _Files(outputs, form, carried, overwrite, form.is_integer and clip == "rescale")
    # Floating point holds what is beyond full scale; all else is scaled, every stem alike.
    # A loud master decoded from mp3 is beyond it already.
    gain = 1 / max(1.0, mixture.level.peak) if files.rescale else 1.0
    with ExitStack() as stack:
        scratch = Path()
        if exports.remix or exports.report:
            scratch = Path(stack.enter_context(scratch_folder()))
        try:
            writing = _Exports(exports, separator, mixture, scratch)
            clamped = _write(separator, mixture, files, writing, gain, progress)
        except _Clipped as clipped:  # a stem peaks above the mixture: rare, worth a second run
            gain *= (1 - 1e-6) / clipped.peak
            writing = _Exports(exports, separator, mixture, scratch)
            clamped = _write(separator, mixture, files, writing, gain, progress)
        remix_gain = writing.finish(files)
    start = mixture.start if preview is not None else None
    done = Separation(dict(outputs), mixture.seconds, gain, remix_gain, start, clamped)
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

    def writer(self, path: Path, mixture: _Mixture) -> AudioWriter:
        return AudioWriter(
            path,
            mixture.info.sample_rate,
            mixture.info.channels,
            self.form,
            overwrite=self.overwrite,
            frames=mixture.excerpt.frames,
            finish=self.metadata.write if self.metadata else None,
        )


@dataclass(frozen=True)
class _Mixture:
    """What is known of a file before it is separated."""

    path: Path
    name: str | None
    info: AudioInfo
    level: ProgrammeLevel  # of the whole, so that a preview sounds as it does in the whole
    excerpt: Excerpt  # what is separated
    on_page: Excerpt | None  # what of that a page holds, where it cannot hold all

    @property
    def start(self) -> float:
        return self.excerpt.start / self.info.sample_rate

    @property
    def seconds(self) -> float:
        return self.excerpt.frames / self.info.sample_rate

    def blocks(self, reader: AudioReader) -> Iterator[Audio]:
        blocks = reader.blocks(BLOCK, self.excerpt.start)
        partly = self.excerpt.frames < self.level.frames
        return cut(blocks, self.excerpt.frames) if partly else blocks


def _survey(
    reader: AudioReader, path: Path, name: str | None, preview: float | None, *, page: bool
) -> _Mixture:
    """Read a file once: its level, and where it is loudest."""
    rate = reader.info.sample_rate
    level = ProgrammeLevel(rate)
    loudest = None if preview is None else Loudest(max(1, round(preview * rate)))
    with closing(prefetch(reader.blocks(BLOCK))) as decoded:  # nothing else runs on other cores yet
        for block in decoded:
            level.add(block)
            if loudest is not None:
                loudest.update(block)
    excerpt = Excerpt(0, level.frames) if loudest is None else loudest.excerpt
    mixture = _Mixture(path, name, reader.info, level, excerpt, None)
    if not page or mixture.seconds <= LONGEST_SECONDS:
        return mixture
    loudest = Loudest(round(EXCERPT_SECONDS * rate))
    for block in mixture.blocks(reader):
        loudest.update(block)
    return replace(mixture, on_page=loudest.excerpt)


class _Exports:
    """Exports in the making, all in one pass over the blocks of the mixture and its stems."""

    def __init__(
        self, exports: SeparationExports, separator: Separator, mixture: _Mixture, folder: Path
    ) -> None:
        self.exports, self.mixture = exports, mixture
        frames, rate = mixture.excerpt.frames, mixture.info.sample_rate
        self.title = mixture.name or mixture.path.name
        self.remix = self.viewer = self.report = None
        if exports.remix is not None:
            self.remix = Remix(folder, mixture.info, separator.stems, exports.gains, frames)
        if exports.plot is not None:
            self.viewer = StemsViewer(separator.stems, rate, frames)
        if exports.report is not None:
            entry = separator.entry
            # A page is passed on: what folders it came from is nobody's business.
            title = "standard input" if self.title == "-" else Path(self.title).name
            about = About(
                title, entry.name, entry.licence, mixture.level.frames / rate, mixture.start,
                frames < mixture.level.frames,
            )  # fmt: skip
            gain = 1 / max(1.0, mixture.level.peak)
            self.report = Report(
                folder, about, separator.stems, mixture.info, frames,
                excerpt=mixture.on_page, gain=gain,
            )  # fmt: skip

    def open(self, stack: ExitStack) -> None:
        """Open the files in between; those of a pass that fails are removed."""
        for export in (self.remix, self.report):
            if export is not None:
                stack.enter_context(export)

    def take(self, mixture: Audio, stems: Audio) -> None:
        for export in (self.remix, self.viewer, self.report):
            if export is not None:
                export.take(mixture, stems)

    def finish(self, files: _Files) -> float | None:
        """Write the exports; give the gain of the remix."""
        gain, overwrite = None, files.overwrite
        if self.remix is not None and self.exports.remix is not None:
            gain = self.remix.write(
                self.exports.remix,
                files.form,
                overwrite=overwrite,
                rescale=files.rescale,
                metadata=files.metadata,
            )
        if self.viewer is not None and self.exports.plot is not None:
            view, start = self.viewer.view(), self.mixture.start
            plot_stems(self.exports.plot, view, start=start, title=self.title, overwrite=overwrite)
        if self.report is not None and self.exports.report is not None:
            self.report.write(self.exports.report, overwrite=overwrite)
        return gain


def _write(
    separator: Separator,
    source: _Mixture,
    files: _Files,
    exports: _Exports,
    gain: float,
    progress: Progress,
) -> int:
    """Write the stems, and give the number of samples that were clamped.

    Where they would clip and are to be rescaled, leave no file and raise their peak.
    """
    rate = source.info.sample_rate
    with ExitStack() as stack:
        reader = stack.enter_context(AudioReader(source.path, name=source.name))
        # Decoding, each writer and each segment in the network have a thread of their own.
        decoded = prefetch(source.blocks(reader))
        stack.callback(decoded.close)  # or its thread would read on from a closed file
        pairs = _pairs(separator, decoded, rate, source.level.level)
        writers = [
            (_parts(stem, separator.stems), stack.enter_context(files.writer(path, source)))
            for stem, path in files.outputs.items()
        ]
        exports.open(stack)
        peak, done, clamped = 0.0, 0, 0
        for mixture, stems in pairs:
            highest, beyond = _write_block(stems, writers, gain)
            peak, clamped = max(peak, highest), clamped + beyond
            exports.take(mixture, stems)
            done += stems.shape[-1]
            progress(done / rate, source.seconds)
        if files.rescale and peak > 1:
            raise _Clipped(peak)
    return clamped if files.form.is_integer else 0


def _pairs(
    separator: Separator, mixture: Iterable[Audio], rate: int, level: float
) -> Iterator[tuple[Audio, Audio]]:
    """Separate a stream; each block of stems has that of the mixture beside it."""
    inputs, beside = itertools.tee(mixture)
    yield from zip(beside, separator.blocks(inputs, rate, level), strict=True)


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
        samples = block[parts[0]] if len(parts) == 1 else block[parts].sum(axis=0)
        samples = samples * np.float32(gain) if gain != 1 else samples
        highest = peak_of(samples)
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
