"""Chord sheets: labels become lead-sheet names, and chords stand in their bars."""

from __future__ import annotations

import re
from pathlib import Path

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocli.errors import UsageError
from audiocli.io.formats import Instants, Options, Segments, format_of, render, write
from audiocli.io.formats.sheet import chord_name

NOTES = dict(zip("C D E F G A B".split(), (0, 2, 4, 5, 7, 9, 11), strict=True))


def chords(*spans: tuple[float, float, str], file: str | None = None) -> Segments:
    starts, ends, labels = zip(*spans, strict=True) if spans else ((), (), ())
    return Segments(np.array(starts, float), np.array(ends, float), labels, "chord", file=file)


def sheet(segments: Segments, **options: object) -> str:
    text = render(segments, "chordpro", Options(**options))  # type: ignore[arg-type]
    assert isinstance(text, str)
    return text


def grid(segments: Segments, bars: list[float], beats: list[float] | None = None) -> list[str]:
    """The lines of the grid alone."""
    known = None if beats is None else np.array(beats)
    lines = sheet(segments, bars=np.array(bars), beats=known).splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("{start_of_grid"))
    assert lines[-1] == "{end_of_grid}"
    return lines[first + 1 : -1]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("C", "C"),
        ("C:maj", "C"),
        ("A:min7", "Am7"),
        ("Bb:maj7", "Bbmaj7"),
        ("F#:dim", "F#dim"),
        ("G:sus4", "Gsus4"),
        ("G:sus4(b7)", "G7sus4"),
        ("C:hdim7", "Cm7b5"),
        ("C:dim7", "Cdim7"),
        ("C:aug", "C+"),
        ("C:maj6", "C6"),
        ("C:minmaj7", "Cmmaj7"),
        ("C:5", "C5"),
        ("C:(1,5)", "C5"),
        ("C:maj(*3)", "C5"),
        ("C:(b3,5,b7)", "Cm7"),
        ("C:7(#9)", "C7#9"),
        ("C:maj(9)", "Cadd9"),
        ("C:7(9)", "C9"),
        ("C:7(13)", "C7add13"),
        ("C:min7(*5)", "Cm7(no5)"),
        ("C:maj/3", "C/E"),
        ("C/5", "C/G"),
        ("C:maj/1", "C"),
        ("C:7/b7", "C7/Bb"),
        ("D:7/#4", "D7/G#"),
        # Notes that ChordPro does not know are written as those it does.
        ("Ab:min/b3", "Abm/B"),
        ("Cb:maj", "B"),
        ("E#:min", "Fm"),
        ("A#:maj/3", "A#/D"),
        ("F##:maj", "G"),
        ("N", "N.C."),
        *((label, label) for label in ("X", "", "C:", "C:foo", "C:()", "C:1", "H", "Am7", "C/5/5")),
    ],
)
def test_labels_are_named_as_on_lead_sheets(label: str, name: str) -> None:
    assert chord_name(label) == name


#: What ChordPro reads in its strict mode, of what can come from a shorthand.
READABLE = re.compile(
    r"[A-G][#b]?(m(?!aj)(6|7|9|11|13|7b5|maj7)?|\+|dim7?|(maj)?(7|9|13)|sus[24]|[5679]|11|)"
    r"(/[A-G][#b]?)?"
)


@given(
    st.sampled_from("CDEFGAB"),
    st.sampled_from(["", "#", "b"]),
    st.sampled_from(
        "maj min dim aug maj7 min7 7 dim7 hdim7 minmaj7 maj6 min6 9 maj9 min9 sus4 sus2".split()
    ),
    st.sampled_from(["", "b2", "2", "b3", "3", "4", "#4", "b5", "5", "#5", "6", "bb7", "b7", "7"]),
)
def test_roots_and_basses_sound_as_they_did(letter: str, sign: str, kind: str, bass: str) -> None:
    label = f"{letter}{sign}:{kind}" + (f"/{bass}" if bass else "")
    name = chord_name(label)
    assert READABLE.fullmatch(name), name
    root, _, over = mir_eval.chord.encode(label)
    names = [name[: 1 + (name[1:2] in ("#", "b"))], *name.split("/")[1:]]
    pitches = [NOTES[each[0]] + each.count("#") - each.count("b") for each in names]
    assert pitches[0] % 12 == root
    assert len(pitches) == 1 + bool(bass)
    assert pitches[-1] % 12 == (root + over) % 12


@given(st.text(max_size=12) | st.from_regex(r"[A-G][#b:/(),*0-9a-z]{0,12}", fullmatch=True))
def test_any_label_has_a_name_and_a_legal_sheet(label: str) -> None:
    name = chord_name(label)
    assert isinstance(name, str)
    for bars in (None, np.array([0.0])):
        lines = sheet(chords((0, 1, label)), bars=bars).splitlines()
        assert len(lines) == (1 if bars is None else 3)
        assert not lines[0].startswith("#")
        if bars is None:
            assert re.fullmatch(r"\[[^\s\[\]{}]+\]0:00\.0", lines[0])
        else:
            assert re.fullmatch(r"\| [^\s|{}]+ \. \. \. \|", lines[1])


def test_chords_stand_in_their_bars() -> None:
    song = chords((0, 2, "C:maj"), (2, 3, "G:maj/3"), (3, 4, "A:min"), (4, 10, "F:maj"))
    assert grid(song, [0, 2, 4, 6, 8]) == [
        "| C . . . | G/B . Am . | F . . . | F . . . |",
        "| F . . . |",
    ]


def test_beats_make_the_cells_and_tell_the_tempo() -> None:
    waltz = chords((0, 1.2, "C:maj"), (1.2, 1.8, "G:7"))
    text = sheet(waltz, bars=np.array([0, 1.8]), beats=np.arange(7) * 0.6, key="A minor")
    assert text == ("{key: Am}\n{tempo: 100}\n\n{start_of_grid: 4x3}\n| C . G7 |\n{end_of_grid}\n")
    slow = sheet(waltz, bars=np.array([0.0, 1.8]))
    assert "{start_of_grid}\n" in slow and "tempo" not in slow


def test_bars_of_other_lengths_have_room() -> None:
    beats = np.arange(18.0)
    song = chords((0, 18, "C:maj"))
    text = sheet(song, bars=np.array([0.0, 4, 8, 14]), beats=beats)
    assert "{start_of_grid: 18}\n" in text
    assert "| C . . . | C . . . | C . . . . . | C . . . |" in text  # the last is as most


def test_changes_go_to_the_nearest_beat_and_blips_go() -> None:
    song = chords((0.0, 1.9, "C:maj"), (1.9, 3.1, "G:maj"), (3.1, 3.2, "D:maj"), (3.2, 4, "E:min"))
    assert grid(song, [0, 2]) == ["| C . . . | G . Em . |"]
    fast = chords((0.0, 1.0, "C:maj"), (1.0, 1.2, "G:maj"), (1.2, 2.0, "D:maj"))
    assert grid(fast, [0, 2]) == ["| C . G~D . |"]


def test_bars_go_on_where_chords_do() -> None:
    upbeat = chords((0.0, 1.5, "N"), (1.5, 2.0, "G:7"), (2.0, 7.0, "C:maj"), (7.0, 8.0, "N"))
    assert grid(upbeat, [2, 4]) == ["| N.C. . . G7 | C . . . | C . . . | C . N.C. . |"]
    late = chords((0.0, 2.0, "N"), (2.0, 4.0, "C:maj"))
    assert grid(late, [2, 4, 6]) == ["| C . . . |"]


def test_gaps_are_no_chord_and_overlaps_end() -> None:
    song = chords((0, 1, "C:maj"), (1.04, 2, "D:min"), (3, 4, "G:maj"))
    assert sheet(song) == "[C]0:00.0 [Dm]0:01.0 [N.C.]0:02.0 [G]0:03.0\n"
    over = chords((0, 9, "C:maj"), (1, 2, "C:maj"), (2, 2, "D:maj"), (2, 3, "G:maj"))
    assert sheet(over) == "[C]0:00.0 [G]0:02.0\n"


def test_without_bars_changes_have_their_times() -> None:
    song = chords(*((20.0 * n, 20.0 * n + 20, "CGDAE"[n % 5]) for n in range(5)))
    assert sheet(song) == "[C]0:00.0 [G]0:20.0 [D]0:40.0 [A]1:00.0\n[E]1:20.0\n"
    assert sheet(chords((59.96, 61, "C"))) == "[N.C.]0:00.0 [C]1:00.0\n"


def test_the_head_says_what_is_known() -> None:
    song = chords((0, 1, "C"), file="music/{my} song.v2.wav")
    assert sheet(song).splitlines()[0] == "{title: (my) song.v2}"
    assert sheet(song, title="Yes\n{eog}").splitlines()[0] == "{title: Yes (eog)}"
    for key, written in [("C:maj", "C"), ("Eb:min", "Ebm"), ("F# minor", "F#m"), ("Am", "Am"),
                         ("Cb major", "B"), ("D dorian", "D dorian")]:  # fmt: skip
        assert f"{{key: {written}}}\n" in sheet(song, key=key)


@pytest.mark.parametrize("bars", [None, np.zeros(0), np.array([0.0, 2.0])])
def test_no_chords_are_no_lines(bars: np.ndarray | None) -> None:
    assert sheet(chords(), bars=bars) == ""
    assert sheet(chords(file="a.wav"), bars=bars) == "{title: a}\n"
    assert sheet(chords((1, 1, "C")), bars=bars) == ""


@given(
    st.lists(st.floats(0, 300), min_size=1, max_size=12).map(sorted),
    st.lists(st.floats(0, 300), max_size=12),
    st.lists(st.floats(0, 300), max_size=40),
)
def test_every_line_fills_the_shape(starts: list[float], bars: list[float], beats: list[float]):
    spans = [(start, start + 2, "CDEFG"[n % 5]) for n, start in enumerate(starts)]
    text = sheet(chords(*spans), bars=np.array(bars), beats=np.array(beats))
    shape = re.search(r"{start_of_grid(?:: (?:4x)?(\d+))?}", text)
    if shape:
        room = int(shape[1] or 4) * (1 if shape[1] and "4x" not in shape[0] else 4)
        for line in text[shape.end() :].splitlines()[1:-1]:
            assert line.startswith("| ") and line.endswith(" |")
            assert len(line.replace("|", " ").split()) <= room
            assert not re.search(r"\| [.|]", line)  # every bar begins with a name


def test_it_is_for_segments(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="chordpro cannot write instants"):
        render(Instants(np.array([1.0])), "chordpro")
    with pytest.raises(UsageError, match="chordpro holds the result of one file"):
        render([chords((0, 1, "C"))] * 2, "chordpro")
    assert format_of("a.CHO", "segments") == "chordpro"
    with pytest.raises(UsageError) as caught:
        format_of("a.cho", "instants")
    assert "'.cho'; end the name in .txt, " in str(caught.value)
    assert str(caught.value).count(".cho") == 2  # it is not among what is offered
    write(tmp_path / "a.cho", chords((0, 1, "C")))
    assert (tmp_path / "a.cho").read_text() == "[C]0:00.0\n"
