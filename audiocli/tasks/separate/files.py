"""Separate files into files, one or many."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from audiocli import models, registry
from audiocli.audio import AudioInfo, AudioReader, AudioWriter, output_format
from audiocli.audio.levels import Level
from audiocli.audio.streaming import prefetch
from audiocli.batch import Listener, Progress, Summary, Worker, run
from audiocli.batch.inputs import Input, Job, find_inputs, plan
from audiocli.batch.stdin import standard_input
from audiocli.errors import UsageError, suggest
from audiocli.stems import SOURCES
from audiocli.tasks.separate.separator import DEFAULT_MODEL, Audio, Separator

__all__ = ["NAME", "Separation", "separate_file", "separate_files"]

#: How outputs are called unless the user says otherwise.
NAME = "{name}.{stem}.{ext}"
#: Samples decoded at once, at the file's rate.
BLOCK = 1 << 16


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

    Examples
    --------
    >>> Separation({"vocals": Path("a.vocals.wav")}, 3.0, 1.0).seconds
    3.0
    """

    outputs: dict[str, Path]
    seconds: float
    gain: float


def separate_file(
    separator: Separator,
    source: Path,
    outputs: Mapping[str, Path],
    *,
    name: str | None = None,
    container: str | None = None,
    bits: int | None = None,
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
    name : str, optional
        How to call the source in messages.
    container : {"wav", "flac", "ogg", "mp3"}, optional
        By default wav and flac stay what they are and all else becomes wav.
    bits : int, optional
        Bit depth; by default that of the source.
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
    with AudioReader(source, name=name) as reader:
        info = reader.info
        level = Level(info.sample_rate)
        form = output_format(container, bits, info)  # refuses before any work
        for block in reader.blocks(BLOCK):
            level.hear(block)

    total = level.frames / info.sample_rate

    def write(gain: float) -> None:
        """Write the stems; where they would clip, leave no file and raise their peak."""
        with ExitStack() as stack:
            reader = stack.enter_context(AudioReader(source, name=name))
            # Decoding, the network and writing each run in a thread of their own.
            decoded = prefetch(reader.blocks(BLOCK))
            stems = prefetch(separator.blocks(decoded, info.sample_rate, level.rms))
            stack.callback(decoded.close)  # or its thread would read on from a closed file
            stack.callback(stems.close)
            writers = {
                SOURCES.index(stem): stack.enter_context(
                    AudioWriter(
                        path,
                        info.sample_rate,
                        info.channels,
                        form,
                        overwrite=overwrite,
                        frames=level.frames,
                    )
                )
                for stem, path in outputs.items()
            }
            peak, done = 0.0, 0
            for block in stems:
                peak = max(peak, _write_block(block, writers, gain))
                done += block.shape[-1]
                progress(done / info.sample_rate, total)
            if form.is_integer and peak > 1:
                raise _Clipped(peak)

    # Floating point holds what is beyond full scale; all else is scaled, every stem alike.
    # A loud master decoded from mp3 is beyond it already.
    gain = 1 / max(1.0, level.peak) if form.is_integer else 1.0
    try:
        write(gain)
    except _Clipped as clipped:  # a stem peaks higher than the mixture: rare, worth a second run
        gain *= (1 - 1e-6) / clipped.peak
        write(gain)
    return Separation(dict(outputs), total, gain)


def _write_block(block: Audio, writers: Mapping[int, AudioWriter], gain: float) -> float:
    """Write a block (stems, channels, samples), each stem to its file; give the peak."""
    peak = 0.0
    for stem, writer in writers.items():
        samples = block[stem] * np.float32(gain)
        peak = max(peak, float(np.abs(samples).max()))
        writer.write(samples)
    return peak


class _Clipped(Exception):
    """Raised among open writers so that they discard what would clip."""

    def __init__(self, peak: float) -> None:
        super().__init__(peak)
        self.peak = peak


@dataclass(frozen=True)
class _MakeWorker:
    """Makes what separates a file; pickled to worker processes."""

    model: str
    device: str
    stems: Sequence[str]
    container: str | None
    bits: int | None
    n_jobs: int

    def __call__(self) -> Worker:
        models.share_processor(self.n_jobs)
        separator = Separator(self.model, device=self.device)

        def work(job: Job, progress: Progress) -> tuple[float, Separation]:
            done = separate_file(
                separator,
                job.input.path,
                dict(zip(self.stems, job.outputs, strict=True)),
                name=job.input.name,
                container=self.container or _container(job.input),
                bits=self.bits,
                overwrite=job.replace,
                progress=progress,
            )
            return done.seconds, done

        return work


def separate_files(
    inputs: Sequence[str],
    output: str | Path = "separated",
    *,
    files_from: str | None = None,
    model: str = DEFAULT_MODEL,
    stems: Sequence[str] = SOURCES,
    container: str | None = None,
    bits: int | None = None,
    template: str = NAME,
    overwrite: bool = False,
    resume: bool = False,
    manifest: Path | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    listener: Listener | None = None,
) -> Summary:
    """Separate files and folders; what ``audiocli separate`` does.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, patterns, or ``-`` for standard input.
    output : str or Path
        Folder for the stems; mirrors the folders given.
    files_from : str, optional
        A list of more inputs.
    model : str
        A model's name or folder.
    stems : sequence of str
        Which of ``vocals`` and ``accompaniment`` to write.
    container, bits
        As in :func:`separate_file`.
    template : str
        Name of an output, of ``{name}``, ``{stem}``, ``{ext}`` and ``{parent}``.
    overwrite, resume : bool
        Replace outputs that are there; skip what the manifest says is done.
    manifest : Path, optional
        By default ``audiocli.jsonl`` in `output`.
    n_jobs : int
        Worker processes.
    device : str
        As in :func:`audiocli.models.device`.
    listener : Listener, optional
        Hears how it goes.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If the request cannot be carried out as asked; nothing was written then.
    ModelError
        If the model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     song = str(Path(folder) / "song.wav")
    ...     separate_files([song], Path(folder) / "out", stems=["vocals"]).done
    1
    """
    for stem in stems:
        if stem not in SOURCES:
            raise UsageError(f"unknown stem {stem!r}: {suggest(stem, SOURCES)}")
    output = Path(output)
    # Whatever can be refused is refused here, before anything is written.
    output_format(container or "wav", bits, AudioInfo("", 44100, 2, None, 16, False, "wav"))
    models.device(device)
    found = find_inputs(inputs, files_from=files_from, exclude=output)
    entry = registry.find("separate", model)
    name_outputs = partial(_outputs, output, tuple(stems), container, template)
    jobs = plan(found, name_outputs, overwrite=overwrite, resume=resume)
    # The manifest names the model by its weights, so that a renamed folder is still the same.
    settings = {"stems": list(stems), "container": container, "bits": bits, "template": template}
    with standard_input(jobs) as ready:
        return run(
            ready,
            _MakeWorker(model, device, tuple(stems), container, bits, n_jobs),
            settings=settings,
            n_jobs=n_jobs,
            model_sha256=str(entry.config["weights_sha256"]),
            manifest=manifest or output / "audiocli.jsonl",
            resume=resume,
            listener=listener,
        )


def _outputs(
    folder: Path, stems: Sequence[str], container: str | None, template: str, item: Input
) -> list[Path]:
    """Name the outputs of an input."""
    fields = {
        "name": item.relative.stem,
        "ext": container or _container(item),
        "parent": Path(os.path.abspath(item.path)).parent.name,
    }
    try:
        names = [Path(template.format(stem=stem, **fields)) for stem in stems]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"name template {template!r} is not understood ({error}); "
            "use {name}, {stem}, {ext} and {parent}"
        ) from error
    for name in names:
        if name.anchor or ".." in name.parts:
            raise UsageError(
                f"name template {template!r} leads out of the output folder, to {name}; "
                "name that folder by --output"
            )
    return [folder / item.relative.parent / name for name in names]


def _container(item: Input) -> str:
    """Choose the container by the input's name, as the name of the output was chosen."""
    return "flac" if item.relative.suffix.lower() == ".flac" else "wav"
