"""The text of a page: ``page.html`` with measures, sounds and pictures put in."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

import numpy as np

from audiocli import __version__
from audiocli.io.audio import AudioInfo
from audiocli.tasks.separate.plot import TICKS, StemsView
from audiocli.tasks.separate.report.pictures import LOUD, MASK, gradient, image
from audiocli.tasks.separate.report.tracks import Levels, Sound

__all__ = ["About", "fill"]

COLOURS = 5  # of signals, in the style sheet: --s0 and so on


@dataclass(frozen=True)
class About:
    """What a page says of a song and of the model that took it apart.

    Parameters
    ----------
    title : str
        The song.
    model, licence : str
        The model's name, and the licence of its weights.
    seconds : float
        Length of the song.
    start : float
        Where in it begins what the page is of, in seconds.
    preview : bool
        Whether that is a part of it.
    """

    title: str
    model: str
    licence: str
    seconds: float
    start: float = 0.0
    preview: bool = False


def fill(
    about: About,
    info: AudioInfo,
    seconds: float,
    excerpt: tuple[float, float],
    levels: Sequence[Levels],
    sounds: Sequence[Sound],
    view: StemsView,
    whole: StemsView | None,
) -> str:
    """Make the page."""
    start = about.start + excerpt[0]
    parts = {
        "version": __version__,
        "title": _text(about.title),
        "lead": f"Taken apart into {_text(_listed(view.names[1:]))}.",
        "facts": _facts(about, info),
        "notice": _notice(about, seconds, excerpt, whole is not None),
        "seconds": f"{excerpt[1]:.4f}",
        "start": f"{start:.4f}",
        "from": _clock(start),
        "to": _clock(start + excerpt[1]),
        "count": str(len(view.names)),
        "tracks": "\n".join(_tracks(view, sounds)),
        "mask": _mask(view),
        "ruler": _ruler(start, excerpt[1]),
        "legend": _legend(view),
        "sound": _sound(sounds, excerpt[1]),
        "whole": "" if whole is None else _whole(whole, about, excerpt),
        "measured": _measured(about, whole is not None),
        **_levels(view.names, levels),
    }
    template = (
        resources.files("audiocli.tasks.separate.report").joinpath("page.html").read_text("utf-8")
    )
    # In one pass: what is put in is not looked through for more to put in.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _text(text: str) -> str:
    """Escape a text, which may be a file's name and so anything."""
    return escape(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _clock(seconds: float) -> str:
    tenths = math.floor(seconds * 10 + 1e-6)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def _number(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}").replace("inf", "∞")


def _facts(about: About, info: AudioInfo) -> str:
    channels = {1: "mono", 2: "stereo"}.get(info.channels, f"{info.channels} channels")
    facts: Mapping[str, str] = {
        "Duration": _clock(about.seconds),
        "Sample rate": f"{info.sample_rate / 1000:g} kHz, {channels}",
        "Model": about.model,
        "Licence of the model": about.licence,
    }
    return "".join(
        f"<div><dt>{name}</dt><dd>{_text(value)}</dd></div>" for name, value in facts.items()
    )


def _notice(about: About, seconds: float, excerpt: tuple[float, float], cut: bool) -> str:
    says = []
    if about.preview:
        says.append(
            f"This is a preview: the loudest {seconds:.0f} s of the song, from "
            f"{_clock(about.start)} on. Nothing else of it was separated."
        )
    if cut:
        start = about.start + excerpt[0]
        says.append(
            f"To keep this page small, only the loudest {excerpt[1]:.0f} s are embedded and "
            f"drawn, from {_clock(start)} to {_clock(start + excerpt[1])}."
        )
    return f'<p class="notice" role="note">{" ".join(says)}</p>' if says else ""


def _hertz(view: StemsView) -> str:
    """Label the heights of a picture by their frequencies."""
    bands = len(view.frequencies)
    ticks = [hz for hz in TICKS[1:] if hz < view.frequencies[-1]]
    places = (np.interp(ticks, view.frequencies, np.arange(bands)) + 0.5) / bands
    return "".join(
        f'<span class="hertz" style="bottom:{100 * place:.1f}%">{hz / 1000:g} kHz</span>'
        for hz, place in zip(ticks, places, strict=True)
    )


def _tracks(view: StemsView, sounds: Sequence[Sound]) -> Iterator[str]:
    hertz = _hertz(view)
    for index, (name, sound) in enumerate(zip(view.names, sounds, strict=True)):
        shown, label = _text(name), escape(name, quote=True)
        picture = image(view.levels[index], (view.floor, view.loudest), LOUD)
        muted = "true" if index == 0 else "false"
        yield f"""<div class="track" data-name="{label}" style="--colour:var(--s{index % COLOURS})">
<div><h3>{shown}</h3>
<div class="controls" role="group" aria-label="{label}">
<button type="button" class="toggle mute" aria-pressed="{muted}" aria-label="Mute {label}"\
 title="Mute">M</button>
<button type="button" class="toggle solo" aria-pressed="false" aria-label="Solo {label}"\
 title="Solo">S</button>
<input type="range" class="volume" min="0" max="1.25" step="0.01" value="1"\
 aria-label="Volume of {label}" title="Volume">
</div>
<audio controls preload="none" aria-label="{label}" src="{sound.uri()}"></audio></div>
<div class="picture seekable"><img alt="Spectrogram of the {label}" src="{picture}">{hertz}\
<div class="head"></div></div>
</div>"""


def _mask(view: StemsView) -> str:
    stem = escape(view.names[1], quote=True)
    picture = image(view.mask(view.names[1]), (0.0, 1.0), MASK)
    return f"""<div class="track"><div><h3 class="plain">Mask of the {stem}</h3>
<div class="note" style="margin:0">their share of each point, from 0 to 1</div></div>
<div class="picture share seekable"><img alt="Mask of the {stem}" src="{picture}">\
<div class="head"></div></div></div>"""


def _ruler(start: float, seconds: float) -> str:
    """Label the time under the pictures: round numbers, about eight of them."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60)
    step = next((step for step in steps if seconds / step <= 8), steps[-1])
    first = math.ceil(start / step - 1e-6)
    marks = []
    for number in range(first, math.floor((start + seconds) / step) + 1):
        place = (number * step - start) / max(seconds, 1e-9)
        if place <= 0.97:  # one at the very end would stand out of the picture
            label = _clock(number * step)
            label = label.removesuffix(".0") if step >= 1 else label
            marks.append(f'<span style="left:{100 * place:.2f}%">{label}</span>')
    return "".join(marks)


def _legend(view: StemsView) -> str:
    scales = (
        (gradient(LOUD), _number(view.floor, 0), f"{_number(view.loudest, 0)} dB"),
        (gradient(MASK), "0", "1 (mask)"),
    )
    return "".join(
        f'<div><span>{low}</span><img alt="" src="{bar}"><span>{high}</span></div>'
        for bar, low, high in scales
    )


def _sound(sounds: Sequence[Sound], seconds: float) -> str:
    rate = sum(sound.size for sound in sounds) / len(sounds) * 8 / 1000 / max(seconds, 1e-9)
    return (
        f"The sounds on this page are mp3 of modest quality, about {rate:.0f} kbit/s each, to "
        "listen to; the stems that audiocli writes as files are not compressed like this."
    )


def _whole(view: StemsView, about: About, excerpt: tuple[float, float]) -> str:
    left, width = (100 * value / max(view.seconds, 1e-9) for value in excerpt)
    pictures = "".join(
        f'<div class="track" style="--colour:var(--s{index % COLOURS})"><h3>{_text(name)}</h3>'
        f'<div class="picture thin"><img alt="Spectrogram of the whole {escape(name)}" '
        f'src="{image(view.levels[index], (view.floor, view.loudest), LOUD)}">'
        f'<div class="part" style="left:{left:.2f}%;width:{width:.2f}%"></div></div></div>'
        for index, name in enumerate(view.names)
    )
    ruler = _ruler(about.start, view.seconds)
    return f"""<section class="card" aria-labelledby="whole"><h2 id="whole">The whole</h2>
{pictures}<div class="track" style="border-top:0;padding:0"><div class="ruler" aria-hidden="true">\
{ruler}</div></div><p class="note">The frame is what is embedded above.</p></section>"""


def _measured(about: About, cut: bool) -> str:
    of = "the preview" if about.preview else "the whole song" if cut else "the song"
    return (
        f"Measured over {of}, before any compression. RMS is over all channels, 0 dBFS for a "
        "constant of full scale; loudness is integrated after ITU-R BS.1770; the shares are of "
        "the energies of all stems together."
    )


def _levels(names: Sequence[str], levels: Sequence[Levels]) -> dict[str, str]:
    """Make the table of levels, and the bar of shares above it."""
    total = sum(signal.energy for signal in levels[1:])
    shares = [signal.energy / total if total else 0.0 for signal in levels[1:]]
    words = [f"{100 * share:.1f} %" for share in shares]
    rows = [
        f'<tr><th scope="row">{_text(name)}</th><td>{_number(signal.peak)}</td>'
        f"<td>{_number(signal.rms)}</td><td>{_number(signal.loudness)}</td><td>{share}</td></tr>"
        for name, signal, share in zip(names, levels, ["", *words], strict=True)
    ]
    bars = [
        f'<span style="--colour:var(--s{(index + 1) % COLOURS});flex:{share:.4f}"></span>'
        for index, share in enumerate(shares)
    ]
    said = [f"{name} {word}" for name, word in zip(names[1:], words, strict=True)]
    return {
        "rows": "".join(rows),
        "bars": "".join(bars),
        "shares": escape("Shares of the energy: " + ", ".join(said), quote=True),
    }
