"""What analyses a recording for its page, in one pass over its blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.batch import Progress
from audiocli.errors import warn
from audiocli.io.audio import AudioInfo, AudioReader
from audiocli.io.audio.streaming import decoding
from audiocli.io.scratch import scratch_folder
from audiocli.nn import registry
from audiocli.page import Page
from audiocli.page.sections import check_sections
from audiocli.page.sound import fits
from audiocli.pipelines.analyze.analyzer import LibraryAnalyzer, models_of
from audiocli.pipelines.analyze.fields import Value
from audiocli.pipelines.analyze.streams import of_full_range, shared
from audiocli.pipelines.report.collecting import Collector, separated
from audiocli.pipelines.report.filling import Findings, fill
from audiocli.pipelines.report.stems import StemFiles
from audiocli.tasks.classify.classifier import Classifier
from audiocli.tasks.notes.transcriber import DEFAULT_MODEL as NOTES
from audiocli.tasks.notes.transcriber import Melody, NoteTranscriber
from audiocli.tasks.onsets.detector import DEFAULT_MODEL as ONSETS
from audiocli.tasks.onsets.detector import OnsetDetector
from audiocli.tasks.separate.conditioning import ProgrammeLevel
from audiocli.tasks.separate.separator import DEFAULT_MODEL as STEMS
from audiocli.tasks.separate.separator import Separator

__all__ = ["Reporter", "models_used"]

Audio = NDArray[np.float32]

#: What of the analysis of a library each section takes.
GROUPS = {"beats": "rhythm", "chords": "harmony", "tags": "tags"}
EVENTS = "audioset"
#: Seconds of the segments in which events are found.
EVENT_SEGMENT = 2.0
BLOCK = 1 << 16  # samples decoded at once


def models_used(sections: Sequence[str], separator: str = STEMS) -> list[registry.ModelEntry]:
    """List the models that a page depends on."""
    chosen = set(check_sections(sections))
    found = models_of(_fields(chosen))
    if chosen & {"stems", "melody"}:
        found.append(registry.find("separate", separator))
    if "onsets" in chosen:
        found.append(registry.find("onsets", ONSETS))
    if "melody" in chosen and NOTES != ONSETS:
        found.append(registry.find("onsets", NOTES))
    if "events" in chosen:
        found.append(registry.find("classify", EVENTS))
    return found


def _fields(sections: set[str]) -> list[str]:
    groups = ["file", "level", *(group for name, group in GROUPS.items() if name in sections)]
    return [*groups, "classes"] if "tags" in sections else groups


@dataclass(frozen=True)
class _Survey:
    """What a first pass tells."""

    info: AudioInfo
    frames: int
    peak: float
    level: float

    @property
    def seconds(self) -> float:
        return self.frames / self.info.sample_rate

    @property
    def gain(self) -> float:
        """What keeps the mixture below full scale."""
        return 1 / max(1.0, self.peak)


class Reporter:
    """Makes pages of recordings; its models are loaded once.

    Parameters
    ----------
    sections : sequence of str
        What a page has, of :data:`audiocli.page.sections.SECTIONS`; all by default.
    model : str
        A separator's name or folder, for stems and melody.
    device : str
        As in :func:`audiocli.nn.models.device`.

    Raises
    ------
    UsageError
        If there is no such section.
    ModelError
        If a model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     page = Reporter(["loudness"]).page(Path(folder) / "song.wav")
    >>> page.facts["Loudness"]
    '−14.3 LUFS'
    """

    def __init__(
        self, sections: Sequence[str] = (), *, model: str = STEMS, device: str = "auto"
    ) -> None:
        chosen = set(check_sections(sections))
        self.sections = chosen
        self.analyzer = LibraryAnalyzer(_fields(chosen), device=device)
        melody = "melody" in chosen
        self._separator = Separator(model, device=device) if chosen & {"stems", "melody"} else None
        self._onsets = OnsetDetector(device=device) if "onsets" in chosen else None
        # Of its own for each stream: a network is at work on one of them at a time.
        self._solo = NoteTranscriber(device=device) if melody else None
        self._voice = NoteTranscriber(device=device) if melody else None
        self._events = (
            Classifier("classify", [EVENTS], device=device, segment=EVENT_SEGMENT)
            if "events" in chosen
            else None
        )

    def page(
        self,
        source: Path,
        *,
        name: str | None = None,
        progress: Progress = lambda done, total: None,
    ) -> Page:
        """Analyse a file and fill its page; see :meth:`report`."""
        return self.report(source, name=name, progress=progress)[0]

    def report(
        self,
        source: Path,
        *,
        name: str | None = None,
        progress: Progress = lambda done, total: None,
    ) -> tuple[Page, dict[str, Value]]:
        """Analyse a file and fill its page.

        Parameters
        ----------
        source : Path
            Any audio file.
        name : str, optional
            How to call it in messages and on the page.
        progress : callable
            Told the seconds done and to do.

        Returns
        -------
        page : Page
        values : dict
            The fields of the analysis of a library.

        Raises
        ------
        AudioError
            If it cannot be read.
        """
        with self.analysed(source, name=name, progress=progress) as findings:
            return fill(findings), dict(findings.row)

    @contextmanager
    def analysed(
        self,
        source: Path,
        *,
        name: str | None = None,
        stems: Path | None = None,
        progress: Progress = lambda done, total: None,
    ) -> Iterator[Findings]:
        """Analyse a file; what is found holds its sounds until the block is left.

        Parameters
        ----------
        source, name, progress
            As in :meth:`report`.
        stems : Path, optional
            A folder for the files of the stems, if they are among the sections.
        """
        survey = _surveyed(source, name)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(scratch_folder()))
            files = None
            if stems is not None and self._separator is not None and "stems" in self.sections:
                files = StemFiles(stems, self._separator.stems, source, survey.info,
                                  survey.frames, survey.gain)  # fmt: skip
            collector = self._collector(survey, folder, files)
            with AudioReader(source, name=name) as reader, collector.tracks, files or nullcontext():
                found = self._found(reader, survey, collector, progress)
            row = self.analyzer.row(
                found, survey.frames, survey.info.sample_rate, survey.info.channels
            )
            yield Findings(
                "standard input" if name == "-" else Path(name or source).name,
                survey.info,
                survey.seconds,
                collector,
                row,
                self.analyzer.classes(found),
                found,
                self.sections,
            )

    def _collector(self, survey: _Survey, folder: Path, files: StemFiles | None) -> Collector:
        """Settle which sounds are embedded, and say what is not."""
        stems: Sequence[str] = ()
        if self._separator is not None and "stems" in self.sections:
            stems = self._separator.stems
        wanted, notices = "sound" in self.sections, []
        if stems and wanted and not fits(survey.seconds, 1 + len(stems), small=True):
            stems = ()
            notices.append("The recording is too long for its stems to be embedded.")
        count = 1 + len(stems)
        small = not fits(survey.seconds, count)
        sounding = wanted and fits(survey.seconds, count, small=small)
        if wanted and not sounding:
            notices.append("The recording is too long for its sound to be embedded.")
        for notice in notices:
            warn(notice[0].lower() + notice[1:].rstrip("."))
        return Collector(
            survey.info, survey.frames, folder, stems, notices,
            gain=survey.gain, sounding=sounding, small=small, files=files,
        )  # fmt: skip

    def _found(
        self, reader: AudioReader, survey: _Survey, collector: Collector, progress: Progress
    ) -> dict[str, Any]:
        rate, layout = survey.info.sample_rate, tuple(survey.info.layout or ())
        analyses = self.analyzer.analyses(rate, layout)
        if self._onsets is not None:
            analyses["onsets"] = of_full_range(self._onsets.stream, rate, layout)
        if self._events is not None:
            analyses["events"] = of_full_range(self._events.stream, rate, layout)
        if self._solo is not None:
            analyses["solo"] = of_full_range(
                partial(self._solo.stream, warning=False), rate, layout
            )
        if self._separator is not None:
            separate = self._separator
            voice = self._voice

            def stems(blocks: Iterator[Audio]) -> Melody | None:
                vocals = separated(separate, blocks, rate, survey.level, collector)
                if voice is not None:
                    return voice.stream(vocals, rate, warning=False)
                for _ in vocals:
                    pass
                return None

            analyses["voice"] = stems
        else:
            analyses["tracks"] = collector.mixture
        with decoding(reader.blocks(BLOCK), rate, survey.seconds, progress) as blocks:
            return shared(blocks, analyses)


def _surveyed(source: Path, name: str | None) -> _Survey:
    """Read a file once, for its length and its level."""
    with AudioReader(source, name=name) as reader:
        level = ProgrammeLevel(reader.info.sample_rate)
        for block in reader.blocks(BLOCK):
            level.add(block)
        return _Survey(reader.info, level.frames, level.peak, level.level)
