"""Features of files, one or many, as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audiocli import __version__
from audiocli.batch import Callbacks, Progress, Summary
from audiocli.batch.databases import MOST_COLUMNS
from audiocli.batch.destination import Destination
from audiocli.batch.placing import Export
from audiocli.errors import FieldError, UsageError
from audiocli.io.audio import AudioReader
from audiocli.io.formats.plain import SCHEMA
from audiocli.tasks.declaration import Declaration, Item, Work
from audiocli.tasks.features import tables
from audiocli.tasks.features.block import Settings
from audiocli.tasks.features.extractor import STATISTICS, Describer, Extractor
from audiocli.tasks.features.tables import FeatureResults, Layout, Part, TableRows
from audiocli.tasks.runner import BatchOptions, filled, run_files

if TYPE_CHECKING:
    from audiocli.nn.registry import ModelEntry

__all__ = ["FeatureRequest", "declare", "describer", "extract_file", "extract_files", "layout_of"]

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class FeatureRequest:
    """What feature extraction is to do.

    Parameters
    ----------
    names : sequence of str
        Features and sets, see :data:`audiocli.tasks.features.SETS`.
    settings : Settings
        Rate, frames and hop.
    statistics : sequence of str
        ``mean``, ``std``, ``min``, ``max``, ``median``, ``p10`` and the like.
    basis : str, optional
        A model for the task ``features``, in the place of names and settings: a basis of spectra
        learned from data.
    model : str, optional
        Likewise a model of any task: its last hidden layer.
    frames : bool
        A row a frame, with its time, and not a row a file.
    form : str, optional
        One of :data:`audiocli.tasks.features.tables.FORMATS`; by default as the output ends.
    plot : str, optional
        A picture of the features; a folder where there are several inputs, and "" for a name
        like the input's.
    device : str
        Where a basis or model runs, as in :func:`audiocli.nn.models.device`.

    Examples
    --------
    >>> FeatureRequest(["rms"], statistics=["max"]).make().columns()[0].name
    'rms_max'
    """

    names: Sequence[str] = ("common",)
    settings: Settings = field(default_factory=Settings)
    statistics: Sequence[str] = STATISTICS
    basis: str | None = None
    model: str | None = None
    frames: bool = False
    form: str | None = None
    plot: str | None = None
    device: str = "auto"

    def make(self) -> Describer:
        """Load an :class:`Extractor`, a ``Basis`` or an ``Embedder``."""
        return describer(
            self.names,
            self.settings,
            self.statistics,
            basis=self.basis,
            model=self.model,
            device=self.device,
        )()

    def make_work(self) -> Work[Part]:
        """Load the extractor; return the function that computes the features of a file."""
        import threadpoolctl

        made = self.make()
        threads = threadpoolctl.ThreadpoolController()

        def work(item: Item) -> tuple[float, Part]:
            with threads.limit(limits=1 if made.single_threaded else None):
                seconds, values = extract_file(
                    made,
                    item.path,
                    name=item.input.name,
                    frames=self.frames,
                    progress=item.progress,
                )
            if "plot" in item.outputs:
                _plot(made, item)
            return seconds, Part(item.input.label, values)

        return work


def declare(request: FeatureRequest, output: Path | None) -> Declaration[Part]:
    """Turn a request into a declaration: see :mod:`audiocli.tasks.runner`."""
    extractor = request.make()
    columns = extractor.columns(frames=request.frames)
    layout = layout_of(extractor, frames=request.frames)
    if request.frames or request.plot is not None:
        extractor.check_frames(plot=request.plot is not None)
    if output is not None and output.is_dir():
        raise UsageError(f"{output}: is a folder; name a file, as in {output / 'features.csv'}")
    form = tables.find_form(output, request.form)
    if form == "sqlite" and len(layout.heading) > MOST_COLUMNS:
        raise FieldError(
            f"{len(layout.heading)} columns: SQLite takes {MOST_COLUMNS}; use parquet or csv",
            "form",
        )
    settings = {
        **extractor.facts,
        "columns": list(layout.columns),
        "frames": request.frames,
    }
    units = {
        **({"time": "s"} if request.frames else {}),
        **{each.name: each.unit for each in columns},
    }
    made_with = {"schema": SCHEMA, "command": "features", "version": __version__,
                 "settings": settings, "units": units,
                 "models": [name for name in (request.basis, request.model) if name]}  # fmt: skip
    return Declaration(
        command="features",
        what="features",
        make_work=request.make_work,
        settings=settings,
        destination=Destination(form, file=output),
        results=FeatureResults(form, layout) if form in tables.TEXTS else None,
        rows=TableRows(layout, form, made_with),
        exports=[] if request.plot is None else [Export("plot", request.plot, "features")],
        units=units,
        models=_models(extractor),
        network=not extractor.single_threaded,
        in_order=True,
    )


def _models(extractor: Describer) -> list[ModelEntry]:
    """List the models that hand-made features depend on."""
    if not isinstance(extractor, Extractor) or not extractor.needs_beats:
        return []
    from audiocli.nn import registry
    from audiocli.tasks.beat_tracker import DEFAULT_MODEL

    return [registry.find("beats", DEFAULT_MODEL)]


def describer(
    names: Sequence[str] = ("common",),
    settings: Settings | None = None,
    statistics: Sequence[str] = STATISTICS,
    *,
    basis: str | None = None,
    model: str | None = None,
    device: str = "auto",
) -> Callable[[], Describer]:
    """Choose the extractor; the result loads it when it is called."""
    if basis is not None and model is not None:
        raise FieldError("{basis} and {model}: choose one of them", "basis", "model")
    if basis is None and model is None:
        return partial(Extractor, tuple(names), settings, tuple(statistics))
    from audiocli.tasks.features.learned import Basis, Embedder  # loads torch

    if basis is not None:
        return partial(Basis, basis, tuple(statistics), device=device)
    return partial(Embedder, str(model), tuple(statistics), device=device)


def layout_of(extractor: Describer, *, frames: bool = False) -> Layout:
    """Columns of an extractor's table."""
    columns = tuple(column.name for column in extractor.columns(frames=frames))
    return Layout(columns, extractor.frame_rate if frames else None)


def extract_file(
    extractor: Describer,
    source: Path,
    *,
    name: str | None = None,
    frames: bool = False,
    progress: Progress = lambda done, total: None,
) -> tuple[float, Floats]:
    """Compute the features of a file in blocks: its seconds, and values (rows, columns)."""
    with AudioReader(source, name=name) as reader:
        blocks = _Decoded(reader, progress)
        rate = reader.info.sample_rate
        if frames:
            values = np.concatenate(list(extractor.frames(blocks, rate)))
        else:
            row = extractor.summary(blocks, rate, layout=reader.full_range_layout)
            values = np.array([list(row.values())])
    return blocks.samples / rate, values


class _Decoded:
    """The blocks of a file, read anew for each iteration."""

    def __init__(self, reader: AudioReader, progress: Progress) -> None:
        self.reader = reader
        self.progress = progress
        self.samples = 0  # samples, the last time

    def __iter__(self) -> Iterator[Floats]:
        self.samples = 0
        info = self.reader.info
        for block in self.reader.full_range():
            yield block
            self.samples += block.shape[-1]
            self.progress(self.samples / info.sample_rate, info.duration)


def _plot(extractor: Describer, item: Item) -> None:
    """Draw the features of frames, whatever the table holds."""
    from audiocli.tasks import plotting  # loads torch

    name = item.input.name
    seen = plotting.overview(item.path, name=name)
    with AudioReader(item.path, name=name) as reader:
        blocks = _Decoded(reader, lambda done, total: None)
        extractor.draw(
            item.outputs["plot"],
            seen,
            blocks,
            reader.info.sample_rate,
            title=name,
            overwrite=item.overwrite,
        )


def extract_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    request: FeatureRequest | None = None,
    *,
    options: BatchOptions | None = None,
    callbacks: Callbacks | None = None,
    **fields: Any,
) -> Summary:
    """Make one table of the features of files and folders; what ``audiocli features`` does.

    Rows are sorted by the names of the files: relative to the folder given, or else as given. All
    files have the same columns.

    Parameters
    ----------
    inputs, **fields
        As in :func:`audiocli.detect_files`.
    output : str or Path, optional
        The table. Without it the rows go only to the callbacks.
    request : FeatureRequest, optional
        What to compute, and how.
    options : BatchOptions, optional
        How the run goes. To resume is to keep the rows of a table that is there, and to add those
        of files that are not in it yet or have changed since.
    callbacks : Callbacks, optional
        Told how it goes; without an output, the outcome of a file that is done holds its
        :class:`Part`.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError, ModelError
        As there.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     extract_files([folder + "/song.wav"], folder + "/features.csv", names=["rms"]).done
    1
    """
    made = filled(FeatureRequest, request, options, fields)
    return run_files(declare, inputs, output, made, callbacks)
