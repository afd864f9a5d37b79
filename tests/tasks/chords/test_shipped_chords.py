"""What every shipped chord recogniser must do: recognise the demo and plain chords, in any key."""

from __future__ import annotations

import numpy as np
import pytest

from audiocli import demo_song
from audiocli.demo import SAMPLE_RATE
from audiocli.io.formats import Segments
from audiocli.nn import registry
from audiocli.tasks.chords import Chord, ChordRecognizer
from audiocli.tasks.chords.labels import pitches_of
from audiocli.tasks.chords.scoring import score_song

SHIPPED = [entry.name for entry in registry.list_models("chords")]
RATE = 22_050


@pytest.fixture(scope="module", params=SHIPPED)
def recognizer(request: pytest.FixtureRequest) -> ChordRecognizer:
    return ChordRecognizer(request.param, device="cpu")


def plucked(chord: Chord, seconds: float = 3.0, rate: int = RATE, cents: float = 0.0) -> np.ndarray:
    """Pluck a chord: harmonics that die away, the higher the sooner."""
    time = np.arange(round(seconds * rate)) / rate
    sound = np.zeros_like(time)
    for pitch in pitches_of(chord.label()):
        frequency = 440 * 2 ** ((pitch + cents / 100 - 69) / 12)
        for harmonic in range(1, 9):
            decay = np.exp(-time * harmonic / 1.5)
            sound += decay * np.sin(2 * np.pi * frequency * harmonic * time) / harmonic
    return (0.08 * sound).astype(np.float32)[np.newaxis]


def longest(recognizer: ChordRecognizer, audio: np.ndarray, rate: int = RATE) -> Chord:
    passages = recognizer(audio, rate).passages
    return max(passages, key=lambda passage: passage.seconds).chord


def test_the_demo_is_analysed_right(recognizer: ChordRecognizer) -> None:
    song = demo_song()
    starts, ends, labels = zip(*((c.start, c.end, c.label) for c in song.chords), strict=True)
    reference = Segments(np.array(starts), np.array(ends), labels, "chord")
    chords = recognizer(song.mixture.astype(np.float32) / 32768, SAMPLE_RATE)
    scores = score_song(reference, chords.segments())
    least = 0.95 if recognizer.entry.name == "crnn" else 0.9  # others were trained on less
    assert scores["majmin"] >= least and scores["root"] >= least
    assert str(chords.key) == "C major"


@pytest.mark.parametrize("quality", ["maj", "min"])
@pytest.mark.parametrize("root", range(12))
def test_triads_in_every_key(recognizer: ChordRecognizer, root: int, quality: str) -> None:
    found = longest(recognizer, plucked(Chord(root, quality)))
    assert (found.root, found.quality) == (root, quality)


@pytest.mark.parametrize("quality", ["7", "maj7", "min7"])
def test_sevenths(recognizer: ChordRecognizer, quality: str) -> None:
    found = [longest(recognizer, plucked(Chord(root, quality))) for root in range(0, 12, 3)]
    assert [(chord.root, chord.quality) for chord in found] == [(r, quality) for r in (0, 3, 6, 9)]


@pytest.mark.parametrize("cents", [-35, 35])
def test_other_tunings(recognizer: ChordRecognizer, cents: int) -> None:
    for chord in (Chord(2), Chord(9, "min")):
        found = longest(recognizer, plucked(chord, cents=cents))
        assert (found.root, found.quality) == (chord.root, chord.quality)


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_other_sample_rates(recognizer: ChordRecognizer, rate: int) -> None:
    assert longest(recognizer, plucked(Chord(7), rate=rate), rate).root == 7


@pytest.mark.parametrize("level", [1e-3, 1.0])
def test_level_hardly_matters(recognizer: ChordRecognizer, level: float) -> None:
    assert longest(recognizer, np.float32(level) * plucked(Chord(5, "min"))).root == 5


def test_silence_has_no_chord(recognizer: ChordRecognizer) -> None:
    chords = recognizer(np.zeros((1, 10 * RATE), np.float32), RATE)
    assert [passage.chord.label() for passage in chords.passages] == ["N"]
    assert chords.key is None and len(chords.keys()) == 0


def test_blocks_of_any_size_give_the_same_chords(recognizer: ChordRecognizer) -> None:
    parts = [plucked(Chord(root), 8.0) for root in (0, 5, 7, 0, 2, 9)]
    audio = np.concatenate(parts, axis=1)
    whole = recognizer(audio, RATE).passages
    blocks = np.array_split(audio, 37, axis=1)
    assert recognizer.stream(blocks, RATE).passages == whole
    assert [passage.chord.root for passage in whole] == [0, 5, 7, 0, 2, 9]
