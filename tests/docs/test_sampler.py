"""Notes that are added up from samples; the samples are tones made here in place of FluidSynth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from audiocli.io.soundfont import Note, Part

sys.path.insert(0, str(ROOT / "docs" / "recipes"))
import sampler
from sampler import LOWEST, Sampler

sys.path.pop(0)

RATE = 8000


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Play sines for FluidSynth, and note which programs it was asked for."""
    made: list[int] = []

    def tones(parts: Sequence[Part], font: Path, *, sample_rate: int) -> np.ndarray:
        (part,) = parts
        made.append(part.program)
        out = np.zeros(round((part.notes[-1].end + 2) * sample_rate), np.float32)
        for note in part.notes:
            time = np.arange(round((note.end - note.start) * sample_rate)) / sample_rate
            tone = np.sin(2 * np.pi * 440 * 2 ** ((note.pitch - 69) / 12) * time)
            out[round(note.start * sample_rate) :][: len(tone)] = tone
        return out

    monkeypatch.setattr(sampler, "render", tones)
    (tmp_path / "a.sf2").write_bytes(b"font")
    return made


def loudest(signal: np.ndarray) -> float:
    """Give the frequency with the most energy."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    return float(spectrum.argmax() * RATE / len(signal))


@pytest.mark.parametrize("pitch", [69, 70, 57])
def test_a_note_begins_ends_and_sounds_as_it_should(
    calls: list[int], tmp_path: Path, pitch: int
) -> None:
    audio = Sampler(tmp_path / "a.sf2", RATE).render([Part((Note(0.5, 1.5, pitch, 90),))])
    assert np.abs(audio).max() == pytest.approx(0.9, abs=1e-3)
    assert not audio[: round(0.5 * RATE)].any()
    assert np.abs(audio[round(1.9 * RATE) :]).max() < 0.01
    held = audio[round(0.6 * RATE) : round(1.4 * RATE)]
    assert loudest(held) == pytest.approx(440 * 2 ** ((pitch - 69) / 12), rel=0.01)


def test_soft_notes_and_soft_parts_are_softer(calls: list[int], tmp_path: Path) -> None:
    loud, soft = Part((Note(0, 0.5, 60, 120),)), Part((Note(1, 1.5, 60, 60),))
    quiet = Part((Note(2, 2.5, 60, 120),), volume=50)
    audio = Sampler(tmp_path / "a.sf2", RATE).render([loud, soft, quiet])
    peaks = [np.abs(audio[k * RATE : k * RATE + RATE // 2]).max() for k in range(3)]
    assert peaks[1] == pytest.approx(peaks[0] / 4, rel=0.02)
    assert peaks[2] == pytest.approx(peaks[0] / 4, rel=0.02)


def test_samples_are_rendered_once_and_kept(calls: list[int], tmp_path: Path) -> None:
    piece = [Part((Note(0, 0.5, LOWEST - 3, 90), Note(0.5, 1, 126, 90)), program=7)]
    first = Sampler(tmp_path / "a.sf2", RATE, tmp_path / "kept")
    audio = first.render(piece)
    assert first.render(piece) == pytest.approx(audio)
    again = Sampler(tmp_path / "a.sf2", RATE, tmp_path / "kept").render(piece)
    assert again == pytest.approx(audio)
    assert calls == [7]


def test_nothing_to_play_is_silence(calls: list[int], tmp_path: Path) -> None:
    assert not Sampler(tmp_path / "a.sf2", RATE).render([]).any()
