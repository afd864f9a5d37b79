"""Songs that are rendered to train on: what is played is what the labels say."""

from __future__ import annotations

import shutil
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from audiocli.errors import DataError, UsageError
from audiocli.io.formats import read_segments
from audiocli.io.soundfont import Part
from audiocli.tasks.chords import rendering
from audiocli.tasks.chords.band import (
    drums_alone,
    is_song,
    random_song,
    read_song,
    single_chords,
    solo_piano,
    with_band,
)
from audiocli.tasks.chords.labels import QUALITIES, parse
from audiocli.tasks.chords.rendering import find_songs, pieces, render_pieces

SEEDS = range(12)


def write_song(folder: Path) -> Path:
    """Write a song as in POP909: eight bars of C and A minor at 120 beats a minute."""
    folder.mkdir(parents=True)
    midi = mido.MidiFile(ticks_per_beat=480)
    for name, pitches in (("MELODY", [[72], [69]]), ("PIANO", [[48, 64, 67], [45, 60, 64]])):
        track = mido.MidiTrack()
        track.append(mido.MetaMessage("track_name", name=name))
        for bar in range(8):
            chord = pitches[bar % 2]
            track += [mido.Message("note_on", note=p, velocity=80) for p in chord]
            for rank, pitch in enumerate(chord):
                rest = 0 if rank else 4 * 480
                track.append(mido.Message("note_off", note=pitch, time=rest))
        midi.tracks.append(track)
    midi.save(folder / f"{folder.name}.mid")
    labels = [f"{2 * bar} {2 * bar + 2} {('C:maj', 'A:min')[bar % 2]}\n" for bar in range(8)]
    (folder / "chord_midi.txt").write_text("".join(labels))
    beats = [f"{beat / 2} {int(beat % 2 == 0)} {int(beat % 4 == 0)}\n" for beat in range(32)]
    (folder / "beat_midi.txt").write_text("".join(beats))
    return folder


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_song(tmp_path / "songs" / "001")


def harmony(parts: tuple[Part, ...], name: str) -> list[Part]:
    return [part for part in parts if part.name == name]


def test_songs_are_found(song: Path) -> None:
    assert is_song(song) and not is_song(song.parent)
    assert find_songs(song) == [song] == find_songs(song.parent)
    read = read_song(song)
    assert read.seconds == 16 and read.chords.labels[:2] == ("C:maj", "A:min")
    assert len(read.beats) == 32 and read.bars.sum() == 8
    assert {part.name for part in read.parts} == {"MELODY", "PIANO"}


def test_songs_without_readable_beats_are_refused(song: Path) -> None:
    (song / "beat_midi.txt").write_text("what\n")
    with pytest.raises(DataError, match="beat_midi.txt"):
        read_song(song)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_band_plays_the_chords(song: Path, seed: int) -> None:
    piece = with_band(read_song(song), np.random.default_rng(seed))
    assert len(piece.parts) <= 15 and piece.chords.labels[0] == "C:maj"
    for part in (*harmony(piece.parts, "HELD"), *harmony(piece.parts, "STRUCK")):
        for note in part.notes:
            chord = parse(piece.chords.labels[int((note.start + 0.05) // 2)])
            assert chord and note.pitch % 12 in chord.pitch_classes


@pytest.mark.parametrize("seed", SEEDS)
def test_random_songs_play_their_labels(seed: int) -> None:
    piece = random_song(20.0, np.random.default_rng(seed))
    assert piece.chords.ends[-1] >= 20
    np.testing.assert_allclose(piece.chords.starts[1:], piece.chords.ends[:-1])
    for name in ("HELD", "STRUCK", "BROKEN"):
        for part in harmony(piece.parts, name):
            for note in part.notes:
                middle = (note.start + min(note.end, note.start + 0.1)) / 2
                index = int(np.searchsorted(piece.chords.starts, middle, side="right")) - 1
                near = [
                    piece.chords.labels[max(index - 1, 0)],
                    piece.chords.labels[index],
                ]
                tones = {tone for label in near for tone in parse(label).pitch_classes}  # type: ignore[union-attr]
                assert note.pitch % 12 in tones
    assert all(note.end > note.start for part in piece.parts for note in part.notes)


def test_random_songs_have_every_quality_on_every_root() -> None:
    rng = np.random.default_rng(0)
    seen = {parse(label) for _ in range(60) for label in random_song(60.0, rng).chords.labels}
    assert {chord.quality for chord in seen if chord} == QUALITIES.keys()
    assert {chord.root for chord in seen if chord} == set(range(12))
    assert any(chord.bass for chord in seen if chord) and any(not chord for chord in seen)


def test_drums_alone_are_no_chord() -> None:
    piece = drums_alone(10.0, np.random.default_rng(0))
    assert piece.parts[0].drums and piece.chords.labels == ("N",) and piece.chords.ends[0] >= 10


@pytest.mark.parametrize("seed", SEEDS)
def test_single_chords_are_struck_once_each(seed: int) -> None:
    piece = single_chords(20.0, np.random.default_rng(seed))
    notes = piece.parts[0].notes
    for start, end, label in zip(
        piece.chords.starts, piece.chords.ends, piece.chords.labels, strict=True
    ):
        struck = [note for note in notes if start <= note.start < end]
        chord = parse(label)
        assert chord is not None
        assert {note.pitch % 12 for note in struck} <= chord.pitch_classes
        assert bool(struck) == bool(chord) and all(note.end <= end + 0.1 for note in struck)


@pytest.mark.parametrize(("muted", "low", "high"), [(0.0, 0.85, 1.15), (1.0, 0.3, 0.7)])
def test_muted_thirds_are_softer(muted: float, low: float, high: float) -> None:
    piece = single_chords(120.0, np.random.default_rng(1), muted=muted)
    thirds, others = [], []
    for start, end, label in zip(
        piece.chords.starts, piece.chords.ends, piece.chords.labels, strict=True
    ):
        chord = parse(label)
        assert chord is not None
        if chord and chord.quality in ("maj", "min"):
            third = (chord.root + (4 if chord.quality == "maj" else 3)) % 12
            for note in piece.parts[0].notes:
                if start <= note.start < end:
                    (thirds if note.pitch % 12 == third else others).append(note.velocity)
    assert low < np.mean(thirds) / np.mean(others) < high


def test_a_piano_is_alone(song: Path) -> None:
    piece = solo_piano(read_song(song), np.random.default_rng(0))
    assert piece.parts and all(part.program < 8 and not part.drums for part in piece.parts)


def test_excerpts_keep_notes_and_chords_together(song: Path) -> None:
    piece = solo_piano(read_song(song), np.random.default_rng(0)).excerpt(3.0, 7.0)
    assert [*piece.chords.starts] == [0.0, 1.0, 3.0] and [*piece.chords.ends] == [
        1.0,
        3.0,
        4.0,
    ]
    assert piece.chords.labels == ("A:min", "C:maj", "A:min")


def test_rendering_needs_fonts(song: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="more by fonts$"):
        list(render_pieces(pieces([song], tmp_path / "out", [])))


def test_rendered_pieces_are_whole_and_made_once(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def play(parts: list[Part], font: Path, *, sample_rate: int, **effects: bool) -> np.ndarray:
        made.append(font)
        return np.full(sample_rate * 3, 0.5, np.float32)

    monkeypatch.setattr(rendering, "render", play)
    work = pieces([song], tmp_path / "out", [Path("a.sf2")], random_songs=1, seconds=4.0)
    paths = list(render_pieces(work))
    assert [path.name for path in paths] == ["001.flac", "made-up-0000.flac"]
    chords = read_segments(tmp_path / "out/001.lab")
    assert chords.starts[0] == 0 and chords.ends[-1] <= 4.0
    assert soundfile.info(paths[0]).duration == pytest.approx(3.0)
    assert list(render_pieces(work)) == paths and len(made) == 2
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


FONTS = [*Path("/usr/share/sounds").glob("sf*/TimGM6mb.sf2")]


@pytest.mark.skipif(
    not (shutil.which("fluidsynth") and FONTS), reason="needs fluidsynth and TimGM6mb.sf2"
)
def test_real_rendering_sounds_in_the_key(song: Path, tmp_path: Path) -> None:
    work = pieces([song], tmp_path / "out", FONTS, kind="piano", seconds=None, clean=True)
    audio, rate = soundfile.read(next(render_pieces(work)))
    spectrum = np.abs(np.fft.rfft(audio[: 2 * rate]))
    peak = np.argmax(spectrum[60:1500]) + 60
    pitch = 69 + 12 * np.log2(peak / 2 / 440)
    assert round(pitch) % 12 in (0, 4, 7)
