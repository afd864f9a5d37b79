"""From what was found to what a page holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiocli.io.audio import AudioInfo
from audiocli.io.formats import Segments
from audiocli.io.formats.sheet import chord_name
from audiocli.nn import registry
from audiocli.page import Answer, Key, Page, PlayedChord, Span
from audiocli.page.picture import ticks
from audiocli.page.render import clock, number
from audiocli.pipelines.analyze.analyzer import CLASSES, best, of_music, sounding
from audiocli.pipelines.analyze.fields import Value
from audiocli.pipelines.report.collecting import Collector
from audiocli.tasks.beat_tracker import Beats
from audiocli.tasks.chords.key import roman
from audiocli.tasks.chords.recognizer import Chords
from audiocli.tasks.classify.decisions import Track, merged
from audiocli.tasks.notes.transcriber import SINGLE_VOICE, Melody
from audiocli.tasks.onsets.detector import Onsets
from audiocli.tasks.separate.report import MEASURED, format_facts, measured_levels

__all__ = ["Findings", "chords_of", "fill"]

LOUDNESS_STEP = 0.5  # seconds
#: Tags, and labels of another answer, that are shown; the least probability after the first.
TAGS, LABELS, LEAST = 12, 4, 0.02
#: Of less energy than this share of the mixture, vocals are what separation leaves of none.
VOICE = 0.01
NAMES = {"content": "Content", "instrument": "Instrument", "genre": "Genre", "mood": "Mood"}


@dataclass(frozen=True)
class Findings:
    """All that was found in a recording.

    Parameters
    ----------
    title : str
        Of the page.
    info : AudioInfo
        Of the recording.
    seconds : float
        Its length.
    collector : Collector
        What was taken of the signals.
    row : mapping
        The fields of the analysis of a library.
    classes : mapping of str to Track
        What the classifiers found, by field.
    found : mapping
        The results of the analyses, by name.
    sections : set of str
        What the page has.
    """

    title: str
    info: AudioInfo
    seconds: float
    collector: Collector
    row: Mapping[str, Value]
    classes: Mapping[str, Track]
    found: Mapping[str, Any]
    sections: set[str]

    @property
    def is_music(self) -> bool:
        """Whether beats, chords and melody apply; so they do where nobody asked what it is."""
        content = self.classes.get("content")
        return of_music(*((None, None) if content is None else best(content)), self.seconds)

    @property
    def is_silent(self) -> bool:
        """Whether nothing sounds."""
        return not self.collector.levels[0].peak > -90

    @property
    def has_harmony(self) -> bool:
        """Whether beats, chords and melody are shown."""
        return self.is_music and not self.is_silent

    @property
    def onsets(self) -> Onsets | None:
        """Onsets, if there are any to show."""
        found: Onsets | None = self.found.get("onsets")
        return None if self.is_silent else found

    @property
    def beats(self) -> Beats | None:
        """Beats, if it has any."""
        found = self.found.get("rhythm") if self.has_harmony else None
        return None if found is None else found.beats

    @property
    def chords(self) -> Chords | None:
        """Chords, if it has any."""
        return self.found.get("chords") if self.has_harmony else None

    @property
    def melody(self) -> Melody | None:
        """The notes of a solo, or else of the vocals, if there are any."""
        if not self.has_harmony:
            return None
        solo: Melody | None = self.found.get("solo")
        if solo is not None and solo.single_voice >= SINGLE_VOICE:
            return solo
        voice: Melody | None = self.found.get("voice")
        return voice if self.collector.vocal_share >= VOICE else None

    @property
    def events(self) -> Segments | None:
        """What sounds when, if that was looked for."""
        if "events" not in self.sections or self.is_silent:
            return None
        [track] = self.found["events"]
        return merged(track)


def fill(findings: Findings) -> Page:
    """Make the page."""
    collector, sections = findings.collector, findings.sections
    beats, chords, onsets = findings.beats, findings.chords, findings.onsets
    view = collector.tracks.viewer.view()
    return Page(
        findings.title,
        findings.seconds,
        facts=_facts(findings),
        notices=[*collector.notices, *_notices(findings)],
        tracks=collector.tracks.tracks(view, measured_levels(collector.levels)),
        outline=collector.tracks.outliner.outline(),
        ticks=ticks(view.frequencies),
        limits=(view.floor, view.loudest),
        onsets=[] if onsets is None else onsets.times.tolist(),
        beats=[] if beats is None else _beats(beats),
        chords=[] if chords is None else chords_of(chords),
        keys=[]
        if chords is None
        else [Key(start, end, key.tonic, key.mode) for start, end, key in chords.sections()],
        notes=_notes(findings.melody),
        events=_events(findings.events),
        answers=[] if findings.is_silent else list(_answers(findings)),
        loudness=(
            collector.meter.short_term(LOUDNESS_STEP).tolist() if "loudness" in sections else []
        ),
        loudness_step=LOUDNESS_STEP,
        measured=MEASURED.format(of="the recording"),
    )


def _facts(findings: Findings) -> dict[str, str]:
    row = findings.row
    facts = {"Duration": clock(findings.seconds), **format_facts(findings.info)}
    shown = (
        ("key", "Key", "{}"), ("tempo", "Tempo", "{:.0f} BPM"), ("metre", "Beats a bar", "{}"),
        ("genre", "Genre", "{}"), ("mood", "Mood", "{}"), ("instrument", "Instrument", "{}"),
        ("content", "Content", "{}"),
    )  # fmt: skip
    for field, name, form in shown:
        if row.get(field) is not None:
            facts[name] = form.format(row[field])
    for field, name, unit in (("loudness", "Loudness", "LUFS"), ("loudness_range", "Range", "LU"),
                              ("true_peak", "True peak", "dBTP")):  # fmt: skip
        value = row.get(field)
        if isinstance(value, float):
            facts[name] = f"{number(value)} {unit}"
    return facts


def _notices(findings: Findings) -> Iterator[str]:
    if findings.is_silent:
        yield "Nothing sounds in this recording: it is silent."
    elif not findings.is_music and findings.sections & {"beats", "chords", "melody"}:
        content = findings.classes.get("content")
        kind = None if content is None else best(content)[0]
        what = "short" if findings.seconds < 3 else f"no music ({kind})"
        yield f"This is {what}: beats, chords, key and melody are left out."


def _beats(beats: Beats) -> list[tuple[float, int]]:
    return list(zip(beats.times.tolist(), beats.positions.tolist(), strict=True))


def chords_of(chords: Chords) -> list[PlayedChord]:
    """Give the chords of a recording as a page writes them."""
    made = []
    for each, key in chords.keyed():
        chord = each.chord
        made.append(PlayedChord(
            each.start, each.end, chord.root, (chord.root + chord.bass) % 12 if chord else -1,
            chord_name(f"C:{chord.quality}").removeprefix("C") if chord else "",
            roman(chord, key).translate(ACCIDENTALS) if chord and key else "",
        ))  # fmt: skip
    return made


ACCIDENTALS = str.maketrans({"b": "♭", "#": "♯", "o": "°"})


def _notes(melody: Melody | None) -> list[tuple[float, float, float]]:
    if melody is None:
        return []
    return list(zip(melody.starts.tolist(), melody.ends.tolist(), melody.pitches.tolist(),
                    strict=True))  # fmt: skip


def _events(events: Segments | None) -> list[Span]:
    if events is None:
        return []
    sure = events.confidences
    assert sure is not None  # as merged() makes them
    rows = zip(events.starts.tolist(), events.ends.tolist(), events.labels, sure.tolist(),
               strict=True)  # fmt: skip
    return [Span(start, end, label.replace("_", " "), share) for start, end, label, share in rows]


def _answers(findings: Findings) -> Iterator[Answer]:
    if "tags" not in findings.sections:
        return
    for field, track in findings.classes.items():
        if findings.row.get(field) is None and field != "content":
            continue  # does not apply, or the model does not believe it
        words = registry.find("classify", CLASSES[field]).config.get("descriptions") or {}
        yield _answer(NAMES[field], track.labels, track.probabilities[0], LABELS, words)
    tags = findings.found.get("tags")
    if tags and findings.row.get("tags"):
        [track] = tags
        mean = sounding(track).mean(axis=0)
        yield _answer("Tags", track.labels, mean, TAGS, {}, track.threshold)


def _answer(
    title: str,
    labels: tuple[str, ...],
    probabilities: Any,
    most: int,
    words: Mapping[str, str],
    least: float = LEAST,
) -> Answer:
    order = np.argsort(-probabilities, kind="stable")[:most]
    shown = [
        (words.get(labels[place], labels[place].replace("_", " ")), float(probabilities[place]))
        for rank, place in enumerate(order)
        if rank == 0 or probabilities[place] >= least
    ]
    return Answer(title, shown)
