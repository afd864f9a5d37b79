"""Chord sheets as pages to print: bars of chords, with fingerings above them.

The page is one file without programs and loads nothing; a browser prints it, or saves it as PDF.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import PurePath

import numpy as np

from audiocli.dsp.bar_pointer import tempo_of
from audiocli.io.formats.annotations import Annotation, Options, Segments
from audiocli.io.formats.fretboard import INSTRUMENTS, diagram, fingering
from audiocli.io.formats.plain import one_line
from audiocli.io.formats.sheet import NO_CHORD, bars_of, changes_of, chord_name

__all__ = ["write_printed"]

STYLE = """
@page { size: A4; margin: 14mm 13mm; }
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 52rem; padding: 1.2rem; color: #111; background: #fff;
  font: 15px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
.about { margin: .15rem 0 1rem; color: #444; }
h2 { font-size: .8rem; margin: .6rem 0 .2rem; color: #444; font-weight: 600; }
.fingerings { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: 0 0 .8rem; padding: 0;
  list-style: none; }
.fingerings li { text-align: center; font-weight: 600; break-inside: avoid; }
.fingerings svg { display: block; height: 4.6rem; }
.fingerings .none { color: #555; font-weight: 400; font-size: .8rem; }
svg path { fill: none; stroke: #111; stroke-width: .7; }
svg .nut { stroke-width: 2.6; } svg .barre { stroke-width: 6.4; stroke-linecap: round; }
svg circle { fill: #111; } svg .open { fill: none; stroke: #111; stroke-width: .8; }
svg .muted { stroke-width: .9; } svg text { font: 8px sans-serif; fill: #111; }
.bars { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); margin: 0; padding: 0;
  list-style: none; }
.bars li { border-left: 1.5px solid #111; border-bottom: 1px solid #bbb; min-height: 2.5rem;
  padding: .35rem .2rem .25rem .45rem; display: flex; gap: .25rem; overflow: hidden;
  align-items: center; break-inside: avoid; }
.bars li:nth-child(4n), .bars li:last-child { border-right: 1.5px solid #111; }
.bars li > span { flex: 1 0 auto; font-weight: 700; white-space: nowrap; }
.bars .goes { color: #777; font-weight: 400; }
.times { columns: 3; margin: 0; padding: 0; list-style: none; }
.times b { margin-left: .4rem; }
footer { margin-top: 1.2rem; color: #555; font-size: .75rem; }
@media (max-width: 36rem) { .bars { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .bars li:nth-child(2n) { border-right: 1.5px solid #111; } }
@media print { body { padding: 0; max-width: none; } }
"""


def write_printed(annotation: Annotation, options: Options) -> str:
    """Make a chord sheet as a page."""
    assert isinstance(annotation, Segments)  # narrows the type; the format is for these alone
    title = one_line(options.title or PurePath(annotation.file or "").stem) or "Chords"
    changes, end = changes_of(annotation)
    if not changes:
        body = "<p>There are no chords.</p>"
    elif options.bars is not None and len(options.bars):
        beats = np.zeros(0) if options.beats is None else np.sort(options.beats)
        body = _bars(bars_of(changes, end, np.unique(options.bars), beats))
    else:
        cells = "".join(f"<li>{_clock(time)} <b>{_name(name)}</b></li>" for time, name in changes)
        body = f'<ul class="times">{cells}</ul>'
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{_text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{_text(title)}</h1>
<p class="about">{" · ".join(_about(options))}</p>
{"".join(_fingerings(annotation, options))}
{body}
<footer>Recognised by audiocli: check it by ear.</footer>
</body>
</html>
"""  # noqa: E501


def _text(text: str) -> str:
    return escape(text, quote=True)


def _name(name: str) -> str:
    """Write a name with the signs of music."""
    return _text(name if name == NO_CHORD else name.replace("b", "♭").replace("#", "♯"))


def _about(options: Options) -> Iterator[str]:
    if options.key:
        tonic, _, mode = options.key.replace(":", " ").partition(" ")
        mode = {"maj": "major", "min": "minor"}.get(mode, mode)
        held = " (as held)" if options.capo else ""
        yield f"Key {_name(tonic)} {_text(mode)}{held}"
    if options.capo:
        yield f"Capo {options.capo}"
    beats = np.zeros(0) if options.beats is None else np.unique(options.beats)
    if (tempo := tempo_of(beats)) is not None:
        yield f"{tempo:.0f} BPM"


def _fingerings(segments: Segments, options: Options) -> Iterator[str]:
    """Draw each chord once, in the order in which they come."""
    if options.pitches is None:
        return
    labels = {chord_name(label): label for label in reversed(segments.labels)}
    names = [name for name in dict.fromkeys(map(chord_name, segments.labels)) if name != NO_CHORD]
    for instrument in options.diagrams:
        drawn = "".join(f"<li>{_name(name)}{_drawn(labels[name], name, instrument, options)}</li>"
                        for name in names)  # fmt: skip
        if drawn:
            several = f"<h2>{instrument.capitalize()}</h2>" * (len(options.diagrams) > 1)
            yield f'{several}<ul class="fingerings">{drawn}</ul>'


def _drawn(label: str, name: str, instrument: str, options: Options) -> str:
    assert options.pitches is not None  # narrows the type
    pitches = options.pitches(label)
    root = options.pitches(label.partition("/")[0])
    if not pitches or not root:
        return ""
    found = fingering(pitches, root[0], pitches[0], INSTRUMENTS[instrument])
    if found is None:
        return '<div class="none">no fingering</div>'
    frets = " ".join("x" if fret is None else str(fret) for fret in found.frets)
    return diagram(found, _text(f"{name} on the {instrument}: {frets}"))


def _bars(bars: Sequence[Sequence[Sequence[str]]]) -> str:
    return f'<ol class="bars">{"".join(map(_bar, bars))}</ol>'


def _bar(cells: Sequence[Sequence[str]]) -> str:
    words = [
        f"<span>{' '.join(map(_name, names))}</span>" if names else '<span class="goes">·</span>'
        for names in cells
    ]
    return f"<li>{''.join(words)}</li>"


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
