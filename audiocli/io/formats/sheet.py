"""Chord sheets in ChordPro: segments labelled with chords, for people who play them.

Where bars are known, a grid of four bars a line, a cell a beat; elsewhere every change of chord
with its time. Names are those of lead sheets, spelled so that ChordPro reads and transposes them.

References
----------
.. [1] J. Vromans, "The ChordPro file format", version 6. https://www.chordpro.org/chordpro/
.. [2] C. Harte, M. Sandler, S. Abdallah and E. Gómez, "Symbolic representation of musical chords:
   a proposed syntax for text annotations", Proc. ISMIR, 2005.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.bar_pointer import tempo_of
from audiocli.dsp.keys import FLATS, SHARPS
from audiocli.io.formats.annotations import Annotation, Options, Segments
from audiocli.io.formats.plain import one_line

__all__ = ["NO_CHORD", "bars_of", "changes_of", "chord_name", "write_sheet"]

NO_CHORD = "N.C."
BARS_A_LINE = 4
CHANGES_A_LINE = 4
BEATS = 4  # of a bar, where they are not known
SHORTEST_GAP = 0.1  # seconds between two segments that are no chord and not carelessness
SHORTEST_BAR = 0.25  # seconds
BLIP = 0.25  # share of a beat; a chord that fills less is left out

Array = NDArray[np.float64]
Changes = list[tuple[float, str]]

# --- names of chords ---------------------------------------------------------------------------

_SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones of the degrees from 1
#: Lead-sheet name and shorthand, if there is one, of chords as degrees above the root. Of those
#: that sound alike the first names a chord without shorthand.
_QUALITIES: tuple[tuple[str, str, str], ...] = (
    ("", "maj", "1 3 5"),
    ("m", "min", "1 b3 5"),
    ("7", "7", "1 3 5 b7"),
    ("maj7", "maj7", "1 3 5 7"),
    ("m7", "min7", "1 b3 5 b7"),
    ("mmaj7", "minmaj7", "1 b3 5 7"),
    ("6", "maj6", "1 3 5 6"),
    ("m6", "min6", "1 b3 5 6"),
    ("dim", "dim", "1 b3 b5"),
    ("dim7", "dim7", "1 b3 b5 bb7"),
    ("m7b5", "hdim7", "1 b3 b5 b7"),
    ("+", "aug", "1 3 #5"),
    ("sus4", "sus4", "1 4 5"),
    ("sus2", "sus2", "1 2 5"),
    ("5", "5", "1 5"),
    ("7sus4", "", "1 4 5 b7"),
    ("7#5", "", "1 3 #5 b7"),
    ("7b5", "", "1 3 b5 b7"),
    ("add9", "", "1 3 5 9"),
    ("madd9", "", "1 b3 5 9"),
    ("69", "", "1 3 5 6 9"),
    ("9", "9", "1 3 5 b7 9"),
    ("maj9", "maj9", "1 3 5 7 9"),
    ("m9", "min9", "1 b3 5 b7 9"),
    ("9sus", "", "1 4 5 b7 9"),
    ("11", "11", "1 3 5 b7 9 11"),
    ("m11", "min11", "1 b3 5 b7 9 11"),
    ("13", "13", "1 3 5 b7 9 11 13"),
    ("m13", "min13", "1 b3 5 b7 9 11 13"),
    ("maj13", "maj13", "1 3 5 7 9 11 13"),
)
_SHORTHANDS = {short: (name, degrees.split()) for name, short, degrees in _QUALITIES if short}

_DEGREE = r"[#b]{0,3}(?:1[0-3]|[1-9])"
_HARTE = re.compile(
    r"(?P<letter>[A-G])(?P<accidentals>[#b]{0,3})"
    r"(?::(?P<short>[a-z0-9]*)(?:\((?P<degrees>[^()]*)\))?)?"
    rf"(?:/(?P<bass>{_DEGREE}))?"
)
_KEY = re.compile(r"([A-G][#b]{0,3})(?:[: ]?(maj|major|min|minor|m))?")


def chord_name(label: str) -> str:
    """Name a chord as lead sheets do."""
    if label == "N":
        return NO_CHORD
    found = _HARTE.fullmatch(label)
    if found is None:
        return label
    quality = "" if ":" not in label else _quality(found["short"], found["degrees"])
    if quality is None:
        return label
    letter = "CDEFGAB".index(found["letter"])
    root = _SCALE[letter] + _shift(found["accidentals"])
    name = _note(letter, root) + quality
    if found["bass"] and (above := _semitones(found["bass"])) % 12:
        number = int(found["bass"].lstrip("#b"))
        name += "/" + _note((letter + number - 1) % 7, root + above)
    return name


def _quality(short: str, listed: str | None) -> str | None:
    """Name what stands over a root; None if it cannot be read, or is a single note."""
    if short and short not in _SHORTHANDS:
        return None
    name, base = _SHORTHANDS.get(short, (None, ["1"]))
    degrees = base
    for degree in [] if listed is None else listed.replace(" ", "").split(","):
        if not re.fullmatch(rf"\*?{_DEGREE}", degree):
            return None
        step = _semitones(degree.lstrip("*")) % 12
        degrees = [each for each in degrees if _semitones(each) % 12 != step]
        degrees += [] if degree.startswith("*") else [degree]
    sounding = _classes(degrees)
    if sounding <= {0}:
        return None
    for known, _, steps in _QUALITIES:
        if _classes(steps.split()) == sounding:
            return known
    if name is None:  # the nearest there is, and what it lacks or has beyond
        near = min(_QUALITIES, key=lambda one: len(_classes(one[2].split()) ^ sounding))
        name, base = near[0], near[2].split()
    more = [degree for degree in degrees if _semitones(degree) % 12 not in _classes(base)]
    less = [degree for degree in base if _semitones(degree) % 12 not in sounding]
    # To a seventh an altered degree is written as it is: 7#9.
    is_seventh = bool(_classes(base) & {10, 11})
    added = "".join(each if is_seventh and each[0] in "#b" else f"add{each}" for each in more)
    return name + added + "".join(f"(no{degree.lstrip('#b')})" for degree in less)


def _classes(degrees: Iterable[str]) -> frozenset[int]:
    return frozenset(_semitones(degree) % 12 for degree in degrees)


def _semitones(degree: str) -> int:
    """Give the semitones from the root up to a degree such as b7 or 13."""
    number = int(degree.lstrip("#b")) - 1
    return _SCALE[number % 7] + 12 * (number // 7) + _shift(degree)


def _shift(text: str) -> int:
    return text.count("#") - text.count("b")


def _note(letter: int, pitch: int) -> str:
    """Spell a pitch on a letter (0 is C) if ChordPro knows that note, else on another.

    It has neither Cb nor E#, and no double accidentals.
    """
    for names in (SHARPS, FLATS):
        if names[pitch % 12][0] == "CDEFGAB"[letter]:
            return names[pitch % 12]
    raised = (pitch - _SCALE[letter] + 6) % 12 > 6
    return (SHARPS if raised else FLATS)[pitch % 12]


# --- the sheet ---------------------------------------------------------------------------------


def write_sheet(annotation: Annotation, options: Options) -> str:
    """Make a chord sheet in ChordPro.

    A change of chord goes to the nearest beat. The first beat of a bar always has a name; others
    without a change have a point. Chords that begin at one beat share its cell, and what fills
    less than a quarter of it is left out. Where chords sound before the first bar or after the
    last, bars go on at the pace of the others.
    """
    assert isinstance(annotation, Segments)  # narrows the type; the format is for these alone
    head = list(_directives(annotation, options))
    changes, end = changes_of(annotation)
    if not changes:
        body = []
    elif options.bars is not None and len(options.bars):
        beats = np.zeros(0) if options.beats is None else np.sort(options.beats)
        body = _grid(changes, end, np.unique(options.bars), beats)
    else:
        cells = [f"[{_token(name)}]{_clock(time)}" for time, name in changes]
        body = [" ".join(line) for line in _lines(cells, CHANGES_A_LINE)]
    between = [""] if head and body else []
    return "".join(f"{line}\n" for line in [*head, *between, *body])


def _directives(segments: Segments, options: Options) -> Iterator[str]:
    title = options.title or PurePath(segments.file or "").stem
    if title := one_line(title.translate(_BRACES)):
        yield f"{{title: {title}}}"
    if options.key:
        found = _KEY.fullmatch(options.key)
        minor = found is not None and (found[2] or "") in ("m", "min", "minor")
        key = options.key if found is None else chord_name(found[1]) + minor * "m"
        yield f"{{key: {one_line(key.translate(_BRACES))}}}"
    if options.capo:
        yield f"{{capo: {options.capo}}}"
    beats = np.zeros(0) if options.beats is None else np.unique(options.beats)
    if (tempo := tempo_of(beats)) is not None:
        yield f"{{tempo: {tempo:.0f}}}"


_BRACES = str.maketrans("{}[]", "()()")


def _token(name: str) -> str:
    """Make a name one word without the signs that mean something in ChordPro."""
    return "_".join(one_line(name.translate(_BRACES)).split()).translate(_SIGNS) or "-"


_SIGNS = str.maketrans("|~", "//")


def _clock(seconds: float) -> str:
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 // 10:02}.{tenths % 10}"


def _lines(cells: list[str], count: int) -> Iterator[list[str]]:
    for first in range(0, len(cells), count):
        yield cells[first : first + count]


def changes_of(segments: Segments) -> tuple[Changes, float]:
    """List when which chord begins, no two alike in a row, and when the last one ends."""
    changes: Changes = []
    last = 0.0
    following = [*segments.starts.tolist(), np.inf][1:]
    spans = zip(segments.starts.tolist(), segments.ends.tolist(), following, strict=True)
    for (start, end, cut), label in zip(spans, segments.labels, strict=True):
        end = min(end, cut)
        if end <= start:
            continue
        if start - last > SHORTEST_GAP:
            changes.append((last, NO_CHORD))
        changes.append((start, chord_name(label)))
        last = end
    named = [change for index, change in enumerate(changes)
             if not index or change[1] != changes[index - 1][1]]  # fmt: skip
    return named, last


def bars_of(changes: Changes, end: float, bars: Array, beats: Array) -> list[list[list[str]]]:
    """Give for each bar the chords in each of its beats; none where the one before goes on."""
    starts, firsts = _cells(_through(bars, changes, end), beats)
    lengths, middles = np.diff(starts), (starts[1:] + starts[:-1]) / 2
    begun: dict[int, list[str]] = {}
    changes = [*changes, (end, NO_CHORD)]
    for (start, name), (until, _) in zip(changes, [*changes[1:], (np.inf, "")], strict=True):
        cell = int(np.searchsorted(middles, start, side="right"))  # the nearest
        if cell < len(lengths):
            shared = min(until, starts[cell + 1]) - max(start, starts[cell])
            if shared >= BLIP * lengths[cell]:
                begun.setdefault(cell, []).append(name)
    cells: list[list[str]] = []
    now = NO_CHORD
    for cell in range(len(lengths)):
        names = begun.get(cell, [])
        cells.append((names or [now]) if cell in firsts or names not in ([], [now]) else [])
        now = names[-1] if names else now
    edges = sorted(firsts)
    return [cells[a:b] for a, b in zip(edges, [*edges[1:], None], strict=True)]


def _through(bars: Array, changes: Changes, end: float) -> Array:
    """Let bars go from where the first chord begins to where the last one ends.

    The last of these times only closes the last bar.
    """
    length = float(np.median(np.diff(bars))) if len(bars) > 1 else end - float(bars[0])
    length = max(length, SHORTEST_BAR)
    slack = length / (2 * BEATS)
    onset = next((time for time, name in changes if name != NO_CHORD), float(bars[0]))
    before = max(int(np.ceil((bars[0] - onset - slack) / length)), 0)
    after = max(int(np.ceil((end - bars[-1] - slack) / length)), 1)
    early, late = np.arange(-before, 0), np.arange(1, after + 1)
    bars = np.concatenate([bars[0] + length * early, bars, bars[-1] + length * late])
    return bars[: max(int(np.searchsorted(bars, end - slack)), 1) + 1]


def _cells(bars: Array, beats: Array) -> tuple[Array, set[int]]:
    """Give the start of each beat, the end of the last, and which beats begin bars."""
    inside = []
    for first, last in zip(bars, bars[1:], strict=False):
        margin = 0.06 * (last - first)  # where the bar's own beat may be
        inside.append(beats[(beats > first + margin) & (beats < last - margin)])
    counts = Counter(len(each) + 1 for each in inside if len(each))
    usual = counts.most_common(1)[0][0] if counts else BEATS
    starts: list[float] = []
    firsts = set()
    for first, last, within in zip(bars, bars[1:], inside, strict=False):
        firsts.add(len(starts))
        even = np.linspace(first, last, usual, endpoint=False)
        starts.extend([float(first), *within.tolist()] if len(within) else even.tolist())
    return np.array([*starts, float(bars[-1])]), firsts


def _grid(changes: Changes, end: float, bars_at: Array, beats: Array) -> list[str]:
    """Write lines of bars."""
    bars = [
        ["~".join(map(_token, names)) if names else "." for names in bar]
        for bar in bars_of(changes, end, bars_at, beats)
    ]
    usual = Counter(map(len, bars)).most_common(1)[0][0]
    lines, most = [], 0
    for line in _lines([" ".join(bar) for bar in bars], BARS_A_LINE):
        lines.append(f"| {' | '.join(line)} |")
        most = max(most, sum(len(bar.split()) for bar in line))
    room = BARS_A_LINE * usual
    shape = f": {BARS_A_LINE}x{usual}" if most <= room else f": {most}"
    usually = BARS_A_LINE == 4 and usual == 4 and most <= room  # what ChordPro takes unasked
    return [f"{{start_of_grid{'' if usually else shape}}}", *lines, "{end_of_grid}"]
