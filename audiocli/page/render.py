"""The text of a page: the template in ``assets`` with what the page holds put in."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from audiocli import __version__
from audiocli.io.atomic import write_whole
from audiocli.page.content import Answer, Page, Track, data_of
from audiocli.page.picture import LOUD, gradient

__all__ = ["asset", "clock", "embedded", "fill", "number", "opening", "render", "text", "write"]

#: Programs of the page, in the order in which they run.
SCRIPTS = ("wavesurfer.min.js", "regions.min.js", "timeline.min.js",
           "player.js", "lanes.js", "sheet.js", "page.js")  # fmt: skip
COLOURS = 5  # of signals, in the style sheet: --s0 and so on


def render(page: Page) -> str:
    """Make the page."""
    return fill("page.html", {
        "opening": opening(page.title, "img-src data: blob:; media-src data: blob:"),
        "version": __version__,
        "title": text(page.title),
        "lead": f'<p class="lead">{text(page.lead)}</p>' if page.lead else "",
        "facts": _facts(page.facts),
        "notices": "".join(
            f'<p class="notice" role="note">{text(each)}</p>' for each in page.notices
        ),
        "tracks": "".join(_track(place, each) for place, each in enumerate(page.tracks)),
        "colours": _colours(page),
        "overview": _overview(page),
        "answers": _answers(page.answers),
        "levels": _levels(page),
        "data": embedded(json.dumps(data_of(page), allow_nan=False, separators=(",", ":"))),
        "scripts": "".join(_scripts()),
    })  # fmt: skip


def _scripts() -> Iterator[str]:
    """Give the programs; the library's licence wants to be in every copy."""
    yield f"<script>/*\nwavesurfer.js\n{asset('LICENSE-WAVESURFER')}*/</script>\n"
    yield from (f"<script>{asset(name)}</script>\n" for name in SCRIPTS)


def write(path: Path, page: Page, *, overwrite: bool = False) -> None:
    """Write the page."""
    content = render(page)

    def put(partial: Path) -> None:
        partial.write_text(content, "utf-8")

    write_whole(path, put, overwrite=overwrite)


def asset(name: str) -> str:
    """Read a file of the template."""
    return resources.files("audiocli.page").joinpath("assets", name).read_text("utf-8")


def fill(template: str, parts: Mapping[str, str]) -> str:
    """Fill a template; what is put in is not looked through for more to put in."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], asset(template))


def opening(title: str, sources: str, styles: Sequence[str] = ("page.css",)) -> str:
    """Make a page's text up to its body; it takes sounds and pictures from `sources` alone."""
    return fill("opening.html", {
        "title": text(title), "sources": sources, "version": __version__,
        "style": "".join(map(asset, styles)),
    })  # fmt: skip


def embedded(data: str) -> str:
    """Write JSON so that nothing in it ends the element that it stands in."""
    return data.replace("<", "\\u003c")


def text(content: str) -> str:
    """Escape a text, which may be a file's name and so anything."""
    return escape(content.encode("utf-8", "backslashreplace").decode("utf-8"), quote=True)


def clock(seconds: float) -> str:
    """Write a time as in 1:05.3."""
    tenths = math.floor(seconds * 10 + 1e-6)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def number(value: float, digits: int = 1) -> str:
    """Write a number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}").replace("inf", "∞")


def _facts(facts: Mapping[str, str]) -> str:
    listed = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts.items()
    )
    return f'<dl class="facts">{listed}</dl>' if listed else ""


def _track(place: int, track: Track) -> str:
    """Make the browser's own player of a track: it is shown where there are no scripts."""
    if not track.sound:
        return ""
    name = text(track.name)
    audio = f'<audio controls preload="none" data-track="{place}" aria-label="{name}"'
    return (
        f'<figure class="own"><figcaption>{name}</figcaption>{audio} src="{track.sound}"></audio>'
        "</figure>"
    )


def _colours(page: Page) -> str:
    """Say what the colours of spectrograms mean."""
    if page.limits is None:
        return ""
    low, high = page.limits
    return (f'<p class="legend">Spectrograms: <span>{number(low, 0)} dB</span> <img alt="" '
            f'src="{gradient(LOUD)}"> <span>{number(high, 0)} dB</span></p>')  # fmt: skip


def _overview(page: Page) -> str:
    if not page.overview:
        return ""
    whole = max(page.overview_seconds, 1e-9)
    left, width = (100 * value / whole for value in (page.overview_start, page.seconds))
    pictures = "".join(
        f'<h3>{text(each.name)}</h3><div class="thin"><img alt="Spectrogram of the whole '
        f'{text(each.name)}" src="{each.picture}"><div class="part" '
        f'style="left:{left:.2f}%;width:{width:.2f}%"></div></div>'
        for each in page.overview
    )
    return (f'<section class="card" aria-labelledby="whole"><h2 id="whole">The whole</h2>{pictures}'
            '<p class="note">The frame is what is embedded above.</p></section>')  # fmt: skip


def _answers(answers: Sequence[Answer]) -> str:
    if not answers:
        return ""
    return (f'<section class="card" aria-labelledby="kind"><h2 id="kind">What it is like</h2>'
            f'<div class="answers">{"".join(map(_answer, answers))}</div>'
            '<p class="note">Estimates of models, with their calibrated probabilities.</p>'
            "</section>")  # fmt: skip


def _answer(answer: Answer) -> str:
    rows = "".join(
        f'<li><span class="label">{text(label)}</span><span class="bar" aria-hidden="true">'
        f'<span style="width:{100 * share:.0f}%"></span></span>'
        f'<span class="share">{100 * share:.0f} %</span></li>'
        for label, share in answer.labels
    )
    return f"<div><h3>{text(answer.title)}</h3><ul>{rows}</ul></div>"


def _levels(page: Page) -> str:
    """Make the table of levels, and the bar of shares above it."""
    measured = [(place, each) for place, each in enumerate(page.tracks) if each.measures]
    if not measured:
        return ""
    shares = [(place, each.name, each.measures.share) for place, each in measured
              if each.measures is not None and each.measures.share is not None]  # fmt: skip
    words = ", ".join(f"{name} {100 * share:.1f} %" for _, name, share in shares)
    bars = "".join(
        f'<span style="--colour:var(--s{place % COLOURS});flex:{share:.4f}"></span>'
        for place, _, share in shares
    )
    heads = ["Signal", "Peak (dBFS)", "RMS (dBFS)", "Loudness (LUFS)"]
    heads += ["Share of the energy"] if shares else []
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    rows = "".join(_level_rows([each for _, each in measured], bool(shares)))
    return (
        '<section class="card" aria-labelledby="levels"><h2 id="levels">Levels</h2>'
        + (f'<div class="shares" role="img" aria-label="{text(words)}">{bars}</div>' * bool(shares))
        + f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        f'</div><p class="note">{text(page.measured)}</p></section>'
    )


def _level_rows(tracks: Sequence[Track], shared: bool) -> Iterator[str]:
    for track in tracks:
        measures = track.measures
        assert measures is not None  # narrows the type
        values = [number(each) for each in (measures.peak, measures.rms, measures.loudness)]
        if shared:
            values.append("" if measures.share is None else f"{100 * measures.share:.1f} %")
        cells = "".join(f"<td>{each}</td>" for each in values)
        yield f'<tr><th scope="row">{text(track.name)}</th>{cells}</tr>'
