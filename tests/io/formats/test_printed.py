"""Chord sheets to print, and the fingerings on them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from audiocli.errors import UsageError
from audiocli.io.formats import Options, Segments, render
from audiocli.io.formats.fretboard import INSTRUMENTS, diagram, fingering
from audiocli.tasks.chords import ChordRequest
from audiocli.tasks.chords.files import declare
from audiocli.tasks.chords.labels import QUALITIES, pitches_of


def frets(label: str, instrument: str) -> str:
    pitches, root = pitches_of(label), pitches_of(label.partition("/")[0])[0]
    found = fingering(pitches, root, pitches[0], INSTRUMENTS[instrument])
    assert found is not None
    return "".join("x" if fret is None else str(fret) for fret in found.frets)


@pytest.mark.parametrize("instrument", ["guitar", "ukulele"])
def test_fingerings_sound_their_chords_and_can_be_held(instrument: str) -> None:
    strings = INSTRUMENTS[instrument].strings
    missing = []
    for root in range(12):
        for quality, steps in QUALITIES.items():
            classes = {(root + step) % 12 for step in steps}
            found = fingering(classes, root, root, INSTRUMENTS[instrument])
            if found is None:
                missing.append(quality)
                continue
            pairs = [(pitch + fret, fret) for pitch, fret in zip(strings, found.frets, strict=True)
                     if fret is not None]  # fmt: skip
            sounding = {pitch % 12 for pitch, _ in pairs}
            fifth = {7} if (root, quality) == (0, "7") and instrument == "guitar" else set()
            assert sounding | fifth == classes, (root, quality)
            held = [fret for _, fret in pairs if fret]
            assert max(held, default=0) - min(held, default=0) <= 4
            if instrument == "guitar":
                assert pairs[0][0] % 12 == root, (root, quality)
    assert set(missing) <= {"5"}  # four strings hold two pitches in a few keys only


def test_fingerings_are_those_of_the_books() -> None:
    guitar = {"C": "x32010", "F": "133211", "Bb": "x13331", "G:7": "320001", "B:min": "x24432",
              "E:min": "022000", "F#:min7": "242222", "C/5": "332010"}  # fmt: skip
    assert {label: frets(label, "guitar") for label in guitar} == guitar
    ukulele = {
        "C": "0003",
        "F": "2010",
        "G": "0232",
        "A:min": "2000",
        "Bb": "3211",
        "D:min": "2210",
    }
    assert {label: frets(label, "ukulele") for label in ukulele} == ukulele


def test_a_diagram_shows_nut_barre_and_what_is_left_out() -> None:
    open_c = fingering([0, 4, 7], 0, 0, INSTRUMENTS["guitar"])
    assert open_c is not None
    drawn = diagram(open_c, "C")
    assert drawn.count("<circle") == 5 and drawn.count('class="muted"') == 1 and "nut" in drawn
    high = fingering([8, 0, 3], 8, 8, INSTRUMENTS["guitar"])
    assert high is not None and high.frets == (4, 6, 6, 5, 4, 4) and high.barre == 4
    drawn = diagram(high, "Ab")
    assert ">4</text>" in drawn and "barre" in drawn and "nut" not in drawn


def sheet(**options: object) -> str:
    segments = Segments(
        np.array([0.0, 2.0, 4.0]), np.array([2.0, 4.0, 8.0]), ["C:maj", "Bb:min7/b3", "N"],
        "chord", file='<b>"x".wav',
    )  # fmt: skip
    made = Options(pitches=pitches_of, **options)  # type: ignore[arg-type]
    return str(render(segments, "html", made))


def test_a_sheet_has_bars_and_fingerings_and_is_no_markup_of_others() -> None:
    text = sheet(bars=np.arange(0.0, 8, 2), beats=np.arange(0.0, 8, 0.5), key="C major",
                 diagrams=("guitar", "ukulele"), capo=3)  # fmt: skip
    assert "<b>" not in text and "&lt;b&gt;" in text and "<script" not in text
    assert "Key C major (as held)" in text and "Capo 3" in text and "120 BPM" in text
    bars = re.findall(r"<li>(<span.*?)</li>", text)
    assert len(bars) == 4 and bars[0].startswith("<span>C</span>")
    assert bars[0].count("·") == 3 and bars[1].startswith("<span>B♭m7/D♭</span>")
    assert text.count("<svg") == 4 and "C on the guitar: x 3 2 0 1 0" in text
    assert "Guitar" not in sheet(diagrams=("guitar",)) and "<svg" not in sheet()
    assert "0:02.0 <b>B♭m7/D♭</b>" in sheet()  # without bars


def test_a_capo_names_chords_as_they_are_held() -> None:
    from audiocli.tasks.chords.key import Passage
    from audiocli.tasks.chords.labels import Chord
    from audiocli.tasks.chords.recognizer import Chords

    chords = Chords((Passage(0.0, 4.0, Chord(0)),), np.zeros((12, 8)), 2.0, 4.0)
    assert ChordRequest(capo=3).of(chords).segments().labels == ("A:maj",)
    assert ChordRequest(capo=2, transpose=2).of(chords).segments().labels == ("C:maj",)
    with pytest.raises(UsageError, match="capo"):
        ChordRequest(capo=12)
    with pytest.raises(UsageError, match="chord sheets"):
        declare(ChordRequest(capo=2, form="csv"), None)
    segments = ChordRequest(capo=3).of(chords).segments()
    assert "{capo: 3}" in str(render(segments, "chordpro", Options(capo=3)))
