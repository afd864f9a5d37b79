"""A page holds all it needs, says what is so, and plays in a browser."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from browser import Tab, browsing, open_tab

from audiocli.errors import UsageError
from audiocli.io.audio import AudioInfo, read
from audiocli.io.audio.excerpt import Excerpt
from audiocli.page import Answer, Key, Page, PlayedChord, Span, render
from audiocli.page.sound import BUDGET, Levels, Sound, fits
from audiocli.page.waveform import Outliner
from audiocli.tasks.separate.report import About, Report

STEMS = ("vocals", "accompaniment")
TITLE = '<script>alert(1)</script> & "quotes" {{rows}} \udcff.wav'


def noise(seconds: float, rate: int, channels: int = 2) -> np.ndarray:
    shape = (channels, round(seconds * rate))
    return np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)


def page(
    path: Path,
    mixture: np.ndarray,
    rate: int = 8000,
    *,
    about: About | None = None,
    excerpt: Excerpt | None = None,
    share: float = 0.25,
    more: Callable[[Page], Page] | None = None,
) -> str:
    channels, frames = mixture.shape
    info = AudioInfo("a.wav", rate, channels, frames, 16, False, "wav")
    about = about or About(TITLE, "some-model", "none <needed>", frames / rate)
    folder = path.parent / "between"
    folder.mkdir(exist_ok=True)
    with Report(folder, about, STEMS, info, frames, excerpt=excerpt) as report:
        for start in range(0, frames, 5000):
            block = mixture[:, start : start + 5000]
            report.take(block, np.stack([share * block, (1 - share) * block]))
    if more is None:
        report.write(path)
    else:
        path.write_text(render(more(report.page())), "utf-8")
    return path.read_text("utf-8")


def full(page: Page) -> Page:
    """Give a page all sections: two beats a second in bars of four, a chord each bar."""
    count = int(page.seconds / 2)
    roots = [(0, ""), (9, "m"), (5, "maj7"), (7, "7")]
    return dataclasses.replace(
        page,
        onsets=[0.1 + 0.5 * number for number in range(4 * count)],
        beats=[(0.5 * number, number % 4 + 1) for number in range(4 * count)],
        chords=[PlayedChord(2.0 * bar, 2.0 * bar + 2, *_chord(*roots[bar % 4]))
                for bar in range(count)],
        keys=[Key(0.0, page.seconds, 0, "major")],
        notes=[(0.5 * number, 0.5 * number + 0.4, 60.0 + number % 12) for number in range(count)],
        events=[Span(0.0, page.seconds, "Music", 0.9), Span(1.0, 2.0, "</script>Dog", 0.5)],
        answers=[Answer("Genre", [("<b>rock</b>", 0.7), ("jazz", 0.2)])],
        loudness=[-20.0, -18.0, float("nan"), -22.0],
        loudness_step=1.0,
    )  # fmt: skip


def _chord(root: int, suffix: str) -> tuple[int, int, str, str]:
    return root, root, suffix, {0: "I", 9: "vi", 5: "IVmaj7", 7: "V7"}[root]


class Elements(HTMLParser):
    """All elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_all_is_inside_and_named(tmp_path: Path) -> None:
    text = page(tmp_path / "a.html", noise(1.0, 8000))
    elements = Elements(text)
    for tag, attributes in elements.found:
        for name in ("src", "href", "srcset", "action", "data"):
            assert (attributes.get(name) or "data:").startswith("data:"), tag
    # What the drawing library has of addresses are the names of SVG.
    assert not re.search(r"url\(|@import|https?:(?!//www\.w3\.org/)", text)
    assert "default-src 'none'" in text and "connect-src" not in text
    assert len(elements.of("audio")) == 3
    assert "Redistributions in binary form must reproduce" in text  # the library's licence
    assert all(image["alt"] is not None for image in elements.of("img"))
    assert "{{rows}} " in text and "{{title}}" not in text and "{{data}}" not in text


def test_text_from_elsewhere_is_no_markup(tmp_path: Path) -> None:
    text = page(tmp_path / "a.html", noise(0.5, 8000))
    assert "alert(1)</script>" not in text and "&lt;script&gt;alert(1)" in text
    assert r"\udcff" in text and "none &lt;needed&gt;" in text
    more = page(tmp_path / "b.html", noise(4.0, 8000), more=full)
    assert "</script>Dog" not in more and "<b>rock" not in more and "&lt;b&gt;rock" in more
    data = re.search(r'id="data">(.*?)</script>', more)
    assert data is not None
    held = json.loads(data[1])  # without NaN, which is no JSON
    assert held["events"][1][2] == "</script>Dog" and held["loudness"]["values"][2] is None
    assert held["chords"][1] == [2.0, 4.0, 9, 9, "m", "vi"]


def test_levels_are_those_of_the_signals(tmp_path: Path) -> None:
    time = np.arange(48_000) / 48_000
    sine = (0.5 * np.sin(2 * np.pi * 1000 * time))[None].astype(np.float32)
    text = page(tmp_path / "a.html", sine, 48_000)
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", text)
    cells = {name: re.findall(r"<td>(.*?)</td>", row) for name, row in rows}
    minus = "\N{MINUS SIGN}"
    assert cells["mixture"] == [f"{minus}6.0", f"{minus}9.0", f"{minus}9.0", ""]
    assert cells["vocals"] == [f"{minus}18.1", f"{minus}21.1", f"{minus}21.1", "10.0 %"]
    assert cells["accompaniment"][-1] == "90.0 %"


def test_silence_and_a_single_sample_have_a_page(tmp_path: Path) -> None:
    text = page(tmp_path / "a.html", np.zeros((1, 8000), np.float32))
    assert "<td>\N{MINUS SIGN}∞</td>" in text and "0.0 %" in text
    page(tmp_path / "b.html", np.ones((2, 1), np.float32))
    levels = Levels(8000)
    assert levels.peak == levels.rms == levels.loudness == -np.inf


@pytest.mark.parametrize(("rate", "channels"), [(4000, 1), (44_100, 2), (96_000, 6), (192_000, 1)])
def test_sounds_have_their_length_at_a_rate_that_all_play(
    tmp_path: Path, rate: int, channels: int
) -> None:
    sound = Sound(tmp_path / "a.mp3", rate, channels)
    with sound.writer:
        for block in np.array_split(noise(2.0, rate, channels), 7, axis=1):
            sound.take(block)
        sound.end()
    audio, played = read(tmp_path / "a.mp3")
    assert played in (32_000, 44_100, 48_000) and len(audio) == (channels if channels <= 2 else 1)
    assert audio.shape[1] / played == pytest.approx(2.0, abs=0.06)
    assert base64.b64decode(sound.uri().split(",")[1]) == (tmp_path / "a.mp3").read_bytes()
    # Three of them, in base64: four minutes stay below 15 MB, whatever sounds.
    assert sound.size / 2.0 * 240 * 3 * 4 / 3 < 14e6


def test_sounds_of_long_recordings_are_small(tmp_path: Path) -> None:
    sound = Sound(tmp_path / "a.mp3", 44_100, 2, small=True)
    with sound.writer:
        sound.take(noise(2.0, 44_100))
        sound.end()
    assert sound.channels == 1 and sound.size * 8 / 2 < 36_000  # bits a second, of noise
    assert fits(400, 3) and not fits(430, 3) and fits(1200, 3, small=True)
    assert not fits(4000, 1, small=True) and 4 / 3 * BUDGET <= 20e6


def test_an_outline_is_the_extremes_of_its_columns_however_blocks_fall() -> None:
    signal = noise(1.0, 4000, 2)
    for size in (7, 1000, 4000):
        outliner = Outliner(4000, columns=10)
        for start in range(0, 4000, size):
            outliner.take(signal[:, start : start + size])
        found = outliner.outline()
        assert found.tops == [round(127 * part.max()) for part in np.split(signal, 10, axis=1)]
        assert found.bottoms == [round(127 * part.min()) for part in np.split(signal, 10, axis=1)]


def test_of_a_long_song_a_part_is_embedded_and_said(tmp_path: Path) -> None:
    rate, mixture = 8000, noise(30.0, 8000, 1)
    mixture[:, 10 * rate : 12 * rate] *= 5
    whole = page(tmp_path / "a.html", mixture, rate)
    part = page(tmp_path / "b.html", mixture, rate, excerpt=Excerpt(10 * rate, 2 * rate))
    assert "only the loudest 2 s are embedded" in part and "from 0:10.0 to 0:12.0" in part
    assert "only the loudest" not in whole and "The whole" not in whole
    assert len(part) < len(whole) - 50_000
    rows = [re.search(r"<tbody>.*</tbody>", text) for text in (whole, part)]
    assert rows[0] and rows[1] and rows[0][0] == rows[1][0]  # levels are of all of it


def test_a_preview_says_that_it_is_one(tmp_path: Path) -> None:
    about = About("a.wav", "m", "l", 100.0, start=61.5, preview=True)
    text = page(tmp_path / "a.html", noise(1.0, 8000), about=about)
    assert "This is a preview: the loudest 1 s of the song, from 1:01.5 on" in text
    assert "<dd>1:40.0</dd>" in text and "Measured over the preview" in text


def test_what_is_there_is_kept_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("mine")
    with pytest.raises(UsageError, match="use overwrite"):
        page(tmp_path / "a.html", noise(0.5, 8000))
    assert (tmp_path / "a.html").read_text() == "mine"
    info = AudioInfo("a.wav", 8000, 1, 8000, 16, False, "wav")
    about = About("a", "m", "l", 1.0)
    folder = tmp_path / "other"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt), Report(folder, about, STEMS, info, 8000):
        raise KeyboardInterrupt
    assert list(folder.iterdir()) == []


# --- in a browser -----------------------------------------------------------------------------


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with open_tab(tmp_path / "profile") as opened:
        yield opened


CLOCK = "Number(document.querySelector('.seek').value)"
SILENT = "[...document.querySelectorAll('.stem')].map(x => x.matches('.silent'))"
AUDIBLE = "[audiocli.player.leader.muted, ...audiocli.player.stems.map(stem => stem.audio.paused)]"


def pressed(tab: Tab, kind: str) -> list[bool]:
    found = f"[...document.querySelectorAll('.{kind}')].map(x => x.ariaPressed === 'true')"
    return list(tab.run(found))


@browsing
def test_the_page_plays_in_a_browser_without_a_complaint(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    page(path, noise(20.0, 8000), more=full)
    tab("Page.navigate", url=path.as_uri())
    tab.wait("document.readyState === 'complete' && Boolean(window.audiocli?.wave)")
    assert tab.run("document.querySelectorAll('audio').length") == 3
    assert tab.run("document.querySelector('audio').checkVisibility()") is False
    assert tab.run("[...document.images].every(image => image.naturalWidth > 0)")
    names = "[...document.querySelectorAll('button, input, select')].filter(x => !(x.ariaLabel"
    assert tab.run(f"{names} || x.textContent.trim() || x.labels?.length)).length") == 0

    cursor = "new DOMMatrix(getComputedStyle(document.querySelector('.cursor')).transform).m41"
    assert tab.run(cursor) == 0
    tab.key(" ")
    tab.wait(f"{CLOCK} > 0.2")
    assert tab.run(cursor) > 0
    tab.wait("document.querySelector('.play').ariaLabel === 'Pause'")
    tab.key("ArrowRight")
    assert 5 < tab.run(CLOCK) < 20
    tab.key("1")  # the first stem alone
    assert pressed(tab, "solo") == [True, False]
    assert tab.run(SILENT)[:2] == [False, True]
    assert tab.run(AUDIBLE) == [True, False, True]
    step = (
        "Math.abs(audiocli.player.leader.currentTime - audiocli.player.stems[0].audio.currentTime)"
    )
    tab.wait(f"{step} < 0.05")
    tab.key("0")
    assert tab.run(AUDIBLE) == [False, True, True]
    tab.run("document.querySelector('.mute').click()")
    assert pressed(tab, "mute") == [True, False] and tab.run(SILENT)[:2] == [True, False]
    assert tab.run(AUDIBLE) == [True, True, False]

    tab.key("s")
    assert tab.run("audiocli.player.leader.playbackRate") == 0.9
    assert tab.run("audiocli.player.leader.preservesPitch")
    tab.run("audiocli.player.go(4.5)")
    tab.key("b")  # the third bar, from 4 s to 6 s
    assert tab.run("audiocli.player.loop") == [4, 6]
    tab.run("audiocli.player.go(5.9)")
    tab.wait(f"{CLOCK} >= 4 && {CLOCK} < 5.8")
    tab.key(" ")
    tab.wait("document.querySelector('.play').ariaLabel === 'Play'")  # once the browser says so

    width = "document.getElementById('lanes').clientWidth"
    before = tab.run(width)
    tab.key("+")
    assert tab.run(width) == pytest.approx(2 * before, abs=2)
    assert tab.run("audiocli.chordElements[1].firstChild.textContent") == "Am"
    tab.run("document.getElementById('higher').click()")
    assert tab.run("audiocli.chordElements[1].firstChild.textContent") == "B♭m"
    assert tab.run("document.querySelector('.key').textContent") == "D♭ major"
    sheet = "[...document.querySelectorAll('#sheet .bar')]"
    assert tab.run(f"{sheet}.length") == 10
    tab.run(f"{sheet}[3].click()")
    assert tab.run(CLOCK) == 6 and tab.run(f"{sheet}.findIndex(x => x.ariaCurrent)") == 3

    logged = tab.seen("Runtime.exceptionThrown") + tab.seen("Runtime.consoleAPICalled")
    logged += [entry for entry in tab.seen("Log.entryAdded") if entry["entry"]["level"] == "error"]
    assert logged == []
    requested = [event["request"]["url"] for event in tab.seen("Network.requestWillBeSent")]
    assert {url for url in requested if not url.startswith(("data:", "blob:"))} == {path.as_uri()}

    for width_ in (360, 1280):  # of a phone and of a screen
        tab("Emulation.setDeviceMetricsOverride", width=width_, height=800, deviceScaleFactor=1,
            mobile=False)  # fmt: skip
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            tab("Emulation.setEmulatedMedia", features=features)
            assert tab.run("document.documentElement.scrollWidth") <= width_
            colour = tab.run("getComputedStyle(document.body).backgroundColor")
            assert (int(re.findall(r"\d+", colour)[0]) > 128) == (scheme == "light")
