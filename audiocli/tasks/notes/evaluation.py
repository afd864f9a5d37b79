"""Score transcriptions of melodies on recordings whose notes are known.

The measures of MIREX and mir_eval: a note is right if its onset lies within 50 ms and its pitch
within 50 cents of a reference note, each of which counts once; besides, onsets alone, and notes
whose offset is right too, within 50 ms or a fifth of the note. Totals count all notes together.

Annotations whose pitches were read off a spectrogram lie on its bins, and above or below what was
sung by the same number of Hz throughout. `tuned` takes a recording's median deviation off its
reference first, as found within the reference's own notes.

References
----------
Molina, Barbancho, Tardón, Barbancho: Evaluation framework for automatic singing transcription.
ISMIR 2014.
Raffel et al.: mir_eval: a transparent implementation of common MIR metrics. ISMIR 2014.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.batch import Callbacks
from audiocli.errors import DataError
from audiocli.io.audio import AudioReader
from audiocli.io.formats import Notes, read_notes
from audiocli.tasks.annotated import Recording
from audiocli.tasks.evaluation import (
    Evaluation,
    annotated_recordings,
    evaluate_each,
    warn_of_late_times,
)
from audiocli.tasks.notes.decoding import midi_of
from audiocli.tasks.notes.files import as_notes
from audiocli.tasks.notes.transcriber import DEFAULT_MODEL, Melody, NoteTranscriber

__all__ = ["ANNOTATIONS", "Score", "evaluate", "score_notes", "total"]

#: Endings of annotations, the preferred first.
ANNOTATIONS = (".notes", ".jams", ".mid")
ONSET, PITCH, OFFSET = 0.05, 50.0, 0.2  # seconds, cents, part of a note
GRACE = 0.1  # seconds by which annotations may be late
SHORTEST = 0.001  # seconds; mir_eval takes no notes of no length


@dataclass(frozen=True)
class Score:
    """How many notes of a recording, or of all, were found.

    Parameters
    ----------
    name : str
        The recording; empty for all together.
    seconds : float
        Length of the audio.
    reference, estimated : int
        Notes there are, and notes found.
    onsets, notes, whole : int
        Notes with the right onset; with the right onset and pitch; with the right offset too.
    deviation : float
        Median of estimate minus reference over notes with the right onset, in cents; NaN without.
    """

    name: str
    seconds: float
    reference: int
    estimated: int
    onsets: int
    notes: int
    whole: int
    deviation: float

    def f_measure(self, hits: int) -> float:
        """Give the F-measure of one of the counts, from 0 to 1; 1 where there is nothing."""
        number = self.reference + self.estimated
        return 2 * hits / number if number else 1.0

    def row(self) -> dict[str, str | float | int]:
        """Give what a table shows."""
        return {
            "file": self.name,
            "precision": round(self.notes / self.estimated if self.estimated else 1.0, 4),
            "recall": round(self.notes / self.reference if self.reference else 1.0, 4),
            "f": round(self.f_measure(self.notes), 4),
            "f_onset": round(self.f_measure(self.onsets), 4),
            "f_offset": round(self.f_measure(self.whole), 4),
            "deviation": round(self.deviation, 1),
            "notes": self.reference,
            "found": self.estimated,
        }


def total(scores: Sequence[Score]) -> Score:
    """Count the notes of all recordings together."""
    fields = ("seconds", "reference", "estimated", "onsets", "notes", "whole")
    sums = {name: sum(getattr(score, name) for score in scores) for name in fields}
    known = [score.deviation for score in scores if np.isfinite(score.deviation)]
    return Score("", deviation=float(np.median(known)) if known else float("nan"), **sums)


def score_notes(reference: Notes, estimate: Notes, name: str = "", seconds: float = 0.0) -> Score:
    """Match estimated notes with those of a reference."""
    import mir_eval.transcription as measures  # loads scipy

    if not len(reference) or not len(estimate):
        return Score(name, seconds, len(reference), len(estimate), 0, 0, 0, float("nan"))
    times = [_intervals(reference), _intervals(estimate)]
    pitched = (times[0], reference.frequencies, times[1], estimate.frequencies)
    options = {"onset_tolerance": ONSET, "pitch_tolerance": PITCH}
    onsets = measures.match_note_onsets(*times, onset_tolerance=ONSET)
    notes = measures.match_notes(*pitched, offset_ratio=None, **options)
    whole = measures.match_notes(*pitched, offset_ratio=OFFSET, **options)
    cents = [100 * (estimate.pitches[b] - reference.pitches[a]) for a, b in onsets]
    deviation = float(np.median(cents)) if cents else float("nan")
    counts = (len(onsets), len(notes), len(whole))
    return Score(name, seconds, len(reference), len(estimate), *counts, deviation)


def _intervals(notes: Notes) -> NDArray[np.float64]:
    return np.stack([notes.starts, np.maximum(notes.ends, notes.starts + SHORTEST)], axis=1)


def tuned(reference: Notes, melody: Melody) -> Notes:
    """Take off what a reference lies above the pitch of its notes throughout, in Hz."""
    above = []
    spans = zip(reference.starts, reference.ends, reference.frequencies, strict=True)
    for start, end, frequency in spans:
        f0 = melody.f0[round(start * melody.frame_rate) : round(end * melody.frame_rate)]
        if (f0 > 0).any():
            above.append(frequency - float(np.median(f0[f0 > 0])))
    if not above:
        return reference
    return replace(reference, pitches=midi_of(reference.frequencies - float(np.median(above))))


@dataclass(frozen=True)
class _MakeScorer:
    """Makes what scores a recording; pickled to worker processes."""

    model: str
    is_tuned: bool
    estimates: Path | None
    device: str

    def __call__(self) -> Callable[[Recording], tuple[float, Score]]:
        transcriber = NoteTranscriber(self.model, device=self.device)

        def score(recording: Recording) -> tuple[float, Score]:
            reference = read_notes(recording.annotation)
            with AudioReader(recording.audio) as reader:
                melody = transcriber.stream(reader.blocks(), reader.info.sample_rate)
            warn_of_late_times(reference.ends, melody.seconds, "notes", grace=GRACE)
            estimate = as_notes(melody, recording.title)
            if self.estimates is not None:
                estimate = _read(self.estimates, recording.name)
            if self.is_tuned:
                reference = tuned(reference, melody)
            seconds = melody.seconds
            return seconds, score_notes(reference, estimate, recording.title, seconds)

        return score


def _read(folder: Path, name: str) -> Notes:
    """Read what something else found in a recording."""
    for ending in (*ANNOTATIONS, ".midi", ".csv", ".txt"):
        file = folder / f"{name}{ending}"
        if file.is_file():
            return read_notes(file)
    raise DataError(f"{folder}: has no notes of {name}; name them {name}{ANNOTATIONS[0]} or .mid")


def evaluate(
    folders: Sequence[Path],
    model: str = DEFAULT_MODEL,
    *,
    only: Sequence[str] = (),
    tuned: bool = False,
    estimates: Path | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    callbacks: Callbacks | None = None,
) -> Evaluation[Score, Score]:
    """Score transcriptions, ours or those of something else, on folders of annotated recordings.

    Parameters
    ----------
    folders, only, n_jobs, device, callbacks
        As in :func:`audiocli.evaluate_onsets`.
    model : str
        A model that detects onsets, by name or folder.
    tuned : bool
        Take off what the reference of a recording lies above the pitch throughout, in Hz.
    estimates : Path, optional
        A folder with NAME.notes or NAME.mid of each recording, to score in place of ours.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError, ModelError
        As there.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> time = np.arange(22050) / 22050
    >>> tone = np.sin(2 * np.pi * 440 * time) * (time > 0.3) / 2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(folder + "/a.wav", tone, 22050)
    ...     _ = Path(folder, "a.notes").write_text("0.3 1.0 69.0")
    ...     evaluate([Path(folder)]).total.notes
    1
    """
    recordings = annotated_recordings(folders, ANNOTATIONS, only)
    make_scorer = _MakeScorer(model, tuned, estimates, device)
    return evaluate_each(recordings, make_scorer, total, n_jobs=n_jobs, callbacks=callbacks)
