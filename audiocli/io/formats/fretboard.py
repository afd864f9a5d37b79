"""Fingerings of chords on fretted instruments, and their diagrams.

On the guitar chords with the root in the bass have the open fingerings of the books, or those of E
and A moved up the neck; that of C7 leaves the fifth out, as the books do. All else is found by
search: what sounds exactly the pitch classes of the chord, with the bass on the lowest string where
strings rise, and is held by four fingers within four frets; the easiest is taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["INSTRUMENTS", "Fingering", "Instrument", "diagram", "fingering"]

HIGHEST = 9  # the fret at which a hand may begin
SPAN = 4  # frets under a hand
FINGERS = 4


@dataclass(frozen=True)
class Instrument:
    """A fretted instrument.

    Parameters
    ----------
    strings : tuple of int
        MIDI pitches of the open strings, from left to right in a diagram.
    rises : bool
        Whether the leftmost string is the lowest, so that it has the bass.
    mutes : int
        How many strings may be left out.
    """

    strings: tuple[int, ...]
    rises: bool
    mutes: int


INSTRUMENTS = {
    "guitar": Instrument((40, 45, 50, 55, 59, 64), True, 2),
    "ukulele": Instrument((67, 60, 64, 69), False, 0),
}

Frets = tuple[int | None, ...]


#: Open fingerings of the guitar by root and semitones above it: what books begin with.
_OPEN = {
    (0, "0 4 7"): "x32010", (2, "0 4 7"): "xx0232", (4, "0 4 7"): "022100",
    (7, "0 4 7"): "320003", (9, "0 4 7"): "x02220",
    (2, "0 3 7"): "xx0231", (4, "0 3 7"): "022000", (9, "0 3 7"): "x02210",
    (0, "0 4 7 10"): "x32310", (2, "0 4 7 10"): "xx0212", (4, "0 4 7 10"): "020100",
    (7, "0 4 7 10"): "320001", (9, "0 4 7 10"): "x02020", (11, "0 4 7 10"): "x21202",
    (0, "0 4 7 11"): "x32000", (2, "0 4 7 11"): "xx0222", (5, "0 4 7 11"): "xx3210",
    (7, "0 4 7 11"): "320002", (2, "0 3 7 10"): "xx0211", (2, "0 5 7"): "xx0233",
    (2, "0 2 7"): "xx0230", (2, "0 4 7 9"): "xx0202",
    (7, "0 4 7 9"): "320000", (2, "0 3 7 9"): "xx0201",
}  # fmt: skip
#: Those that move up the neck, of E and of A.
_MOVED = {
    4: {"0 4 7": "022100", "0 3 7": "022000", "0 4 7 10": "020100", "0 4 7 11": "021100",
        "0 3 7 10": "020000", "0 5 7": "022200", "0 4 7 9": "022120", "0 3 7 9": "022020",
        "0 3 7 11": "021000", "0 5 7 10": "020200", "0 7": "022xxx"},
    9: {"0 4 7": "x02220", "0 3 7": "x02210", "0 4 7 10": "x02020", "0 4 7 11": "x02120",
        "0 3 7 10": "x02010", "0 5 7": "x02230", "0 2 7": "x02200", "0 4 7 9": "x02222",
        "0 3 7 9": "x02212", "0 3 7 11": "x02110", "0 5 7 10": "x02030", "0 7": "x022xx",
        "0 3 6": "x0121x", "0 4 8": "x03221", "0 3 6 9": "x01212", "0 3 6 10": "x0101x"},
}  # fmt: skip


@dataclass(frozen=True)
class Fingering:
    """Where fingers are: a fret for each string, 0 for an open one, None for one left out.

    Parameters
    ----------
    frets : tuple
        From left to right.
    barre : int
        The fret at which one finger holds several strings; 0 for none.
    """

    frets: Frets
    barre: int = 0


def fingering(
    pitch_classes: Iterable[int], root: int, bass: int, instrument: Instrument
) -> Fingering | None:
    """Find the easiest fingering of a chord; None where there is none.

    Examples
    --------
    >>> fingering([0, 4, 7], 0, 0, INSTRUMENTS["guitar"]).frets
    (None, 3, 2, 0, 1, 0)
    >>> fingering([0, 4, 7], 0, 0, INSTRUMENTS["ukulele"]).frets
    (0, 0, 0, 3)
    """
    wanted = frozenset(pitch % 12 for pitch in pitch_classes)
    if instrument is INSTRUMENTS["guitar"] and root % 12 == bass % 12:
        known = _of_the_books(wanted, root % 12)
        if known is not None:
            return known
    best: tuple[float, Fingering] | None = None
    for base in range(1, HIGHEST + 1):
        if best is not None and best[0] <= base:  # no fret beyond it can be easier
            break
        for frets in _candidates(wanted, instrument, base):
            rated = _rated(frets, wanted, bass % 12, instrument)
            if rated is not None and (best is None or rated[0] < best[0]):
                best = rated
    return None if best is None else best[1]


def _of_the_books(wanted: frozenset[int], root: int) -> Fingering | None:
    steps = " ".join(str(step) for step in sorted((pitch - root) % 12 for pitch in wanted))
    if (root, steps) in _OPEN:
        return Fingering(_read(_OPEN[root, steps], 0))
    moved = sorted(((root - tonic) % 12, shapes[steps]) for tonic, shapes in _MOVED.items()
                   if steps in shapes)  # fmt: skip
    if not moved:
        return None
    frets = _read(moved[0][1], moved[0][0])
    held = [fret for fret in frets if fret]
    lowest = min(held, default=0)
    barre = lowest if 0 not in frets and held.count(lowest) > 1 and len(held) > FINGERS else 0
    return Fingering(frets, barre)


def _read(shape: str, up: int) -> Frets:
    return tuple(None if sign == "x" else int(sign) + up for sign in shape)


def _candidates(wanted: frozenset[int], instrument: Instrument, base: int) -> Iterator[Frets]:
    """List what can be held from a fret on; strings are left out on the left and the right."""
    choices: list[list[int | None]] = []
    for open_pitch in instrument.strings:
        reached = [0, *range(base, base + SPAN)]
        choices.append([fret for fret in reached if (open_pitch + fret) % 12 in wanted])
    count = len(choices)
    for left in range(instrument.mutes + 1):
        for right in range(min(2, instrument.mutes - left + 1)):
            inner = choices[left : count - right]
            for frets in itertools.product(*inner):
                yield (*(None,) * left, *frets, *(None,) * right)


def _rated(
    frets: Frets, wanted: frozenset[int], bass: int, instrument: Instrument
) -> tuple[float, Fingering] | None:
    """Tell how hard a fingering is; None where it is another chord or cannot be held."""
    sounding = [(pitch + fret, fret) for pitch, fret in zip(instrument.strings, frets, strict=True)
                if fret is not None]  # fmt: skip
    if {pitch % 12 for pitch, _ in sounding} != wanted:
        return None
    if instrument.rises and sounding[0][0] % 12 != bass:
        return None
    held = [fret for _, fret in sounding if fret]
    if not held:
        return 0.0, Fingering(frets)
    lowest, fingers, barre = min(held), len(held), 0
    if fingers > FINGERS or (held.count(lowest) > 2 and fingers > 3):
        first = next(place for place, (_, fret) in enumerate(sounding) if fret == lowest)
        if any(fret == 0 for _, fret in sounding[first:]):
            return None  # a finger across the strings leaves none of them open
        fingers, barre = 1 + sum(fret > lowest for fret in held), lowest
    if fingers > FINGERS:
        return None
    missing = len(frets) - len(sounding)
    span = max(held) - lowest
    hard = max(held) + 0.6 * fingers + 2.0 * bool(barre) + 1.5 * missing + 0.7 * span
    return hard, Fingering(frets, barre)


def diagram(found: Fingering, label: str) -> str:
    """Draw a fingering as SVG; the label is for those who do not see it."""
    strings, held = len(found.frets), [fret for fret in found.frets if fret]
    first = 1 if not held or max(held) <= SPAN else min(held)
    width, rows = 10 * (strings - 1), max(SPAN, 4)
    parts = [f'<path d="{_grid(strings, rows)}" class="grid"/>']
    if first == 1:
        parts.append(f'<path d="M-1 0H{width + 1}" class="nut"/>')
    else:
        parts.append(f'<text x="{width + 5}" y="8.5" class="fret">{first}</text>')
    if found.barre:
        row = 10 * (found.barre - first) + 5
        covered = [place for place, fret in enumerate(found.frets) if fret == found.barre]
        parts.append(f'<path d="M{10 * covered[0]} {row}H{10 * covered[-1]}" class="barre"/>')
    for place, fret in enumerate(found.frets):
        parts.append(_string(place, fret, first))
    return (f'<svg viewBox="-6 -11 {width + 22} {10 * rows + 14}" role="img" '
            f'aria-label="{label}">{"".join(parts)}</svg>')  # fmt: skip


def _string(place: int, fret: int | None, first: int) -> str:
    if fret:
        return f'<circle cx="{10 * place}" cy="{10 * (fret - first) + 5}" r="3.6"/>'
    if fret == 0:
        return f'<circle cx="{10 * place}" cy="-5" r="2.4" class="open"/>'
    x = 10 * place
    return f'<path d="M{x - 2.3} -7.3l4.6 4.6m0 -4.6l-4.6 4.6" class="muted"/>'


def _grid(count: int, rows: int) -> str:
    width = 10 * (count - 1)
    lines = [f"M{10 * place} 0V{10 * rows}" for place in range(count)]
    return "".join([*lines, *(f"M0 {10 * row}H{width}" for row in range(rows + 1))])
