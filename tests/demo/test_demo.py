"""The demo song: the same bytes every time, and a reference that the sound bears out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import librosa
import mir_eval
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from audiocli.demo import SAMPLE_RATE, Chord, DemoSong, compose, synth, write_demo
from audiocli.demo import song as demo
from audiocli.errors import UsageError

PARTS = ("vocals", "bass", "chords", "drums")
REFERENCE = ("song.wav", "song.onsets", "song.lab", "song.beats", "song.json")


@pytest.fixture(scope="module")
def song() -> DemoSong:
    return compose()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, written by a process of its own whose surroundings differ."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    code = "import sys, pathlib, audiocli.demo as d; d.write_demo(pathlib.Path(sys.argv[1]))"
    settings = {"OMP_NUM_THREADS": "1", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    package = str(Path(demo.__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, **settings, "PYTHONPATH": package},
        check=True,
    )
    return folder


@pytest.fixture
def composed(song: DemoSong, monkeypatch: pytest.MonkeyPatch) -> DemoSong:
    """Spare a test of the writing the second it takes to compose."""
    monkeypatch.setattr(demo, "compose", lambda: song)
    return song


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def mono(stem: NDArray[np.int16]) -> NDArray[np.float64]:
    return stem.mean(axis=0) / 32768.0


def rises(stem: NDArray[np.int16], times: Sequence[float], seconds: float) -> NDArray[np.float64]:
    """Energy after each time over energy before it in dB, in the band where it rises most."""
    width = round(seconds * SAMPLE_RATE)
    at = np.rint(np.asarray(times) * SAMPLE_RATE).astype(int)
    bands = [(30, 120), (120, 400), (400, 1200), (1200, 3000), (3000, 8000), (8000, 15000)]
    rise = []
    for band in bands:
        sos = signal.butter(2, band, "bandpass", fs=SAMPLE_RATE, output="sos")
        energy = np.concatenate([[0.0], np.cumsum(signal.sosfilt(sos, mono(stem)) ** 2)])
        after, before = energy[at + width] - energy[at], energy[at] - energy[at - width]
        rise.append(10.0 * np.log10((after + 1e-6) / (before + 1e-6)))
    return np.max(rise, axis=0)


# ---------------------------------------------------------------- bytes


def test_two_compositions_are_the_same(song: DemoSong, folder: Path) -> None:
    for part in PARTS:
        written, rate = soundfile.read(folder / "stems" / f"{part}.wav", dtype="int16")
        assert rate == SAMPLE_RATE
        np.testing.assert_array_equal(written.T, song.stems[part])


def test_two_processes_write_the_same_bytes(
    composed: DemoSong, folder: Path, tmp_path: Path
) -> None:
    write_demo(tmp_path)
    assert len(digests(folder)) == 10
    assert digests(tmp_path) == digests(folder)


# ---------------------------------------------------------------- levels


def test_stems_add_up_to_the_mixture_as_integers(song: DemoSong) -> None:
    total = sum(song.stems[part].astype(int) for part in PARTS)
    np.testing.assert_array_equal(song.mixture, total)
    np.testing.assert_array_equal(
        song.mixture, song.stems["vocals"].astype(int) + song.accompaniment
    )
    for audio in (song.mixture, song.accompaniment, *song.stems.values()):
        assert audio.dtype == np.int16
        assert audio.shape == (2, round(29.7 * SAMPLE_RATE))


def test_mixture_peaks_at_minus_one_dbfs_and_has_no_offset(song: DemoSong) -> None:
    peak = np.abs(song.mixture.astype(int)).max() / 32768
    assert 20 * np.log10(peak) == pytest.approx(-1.0, abs=0.01)
    for part in PARTS:
        stem = song.stems[part] / 32768
        assert np.all(np.abs(stem.mean(axis=1)) < 0.005 * stem.std(axis=1))


def test_vocals_are_about_as_loud_as_the_accompaniment(song: DemoSong) -> None:
    def balance(start: float, end: float) -> float:
        span = slice(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))
        vocals, rest = song.stems["vocals"][:, span], song.accompaniment[:, span]
        return float(20 * np.log10(np.std(vocals) / np.std(rest)))

    assert -3.0 < balance(0.0, 29.7) < 0.0
    for start, end in song.labels["vocals"]:
        assert -2.0 < balance(start, end) < 2.0


def test_stereo_places_vocals_centre_chords_wide_and_hats_to_the_right(song: DemoSong) -> None:
    def correlation(part: str) -> float:
        return float(np.corrcoef(song.stems[part])[0, 1])

    assert 0.9 < correlation("vocals") < 1.0
    assert correlation("chords") < 0.8
    hats = signal.sosfilt(
        signal.butter(4, 8000, "highpass", fs=SAMPLE_RATE, output="sos"), song.stems["drums"]
    )[:, : 4 * SAMPLE_RATE]
    assert 1.1 < np.std(hats[1]) / np.std(hats[0]) < 2.0


# ---------------------------------------------------------------- reference against sound


def test_silence_until_the_first_onset(song: DemoSong) -> None:
    first = round(song.onsets[0] * SAMPLE_RATE)
    assert first == round(0.3 * SAMPLE_RATE)
    assert not song.mixture[:, :first].any()
    assert np.abs(song.mixture[:, first : first + 441].astype(int)).max() > 1000


def test_energy_rises_within_ten_milliseconds_of_onsets_and_not_between(song: DemoSong) -> None:
    at_onsets = rises(song.mixture, song.onsets, 0.010)
    gaps = np.diff(song.onsets)
    between = np.asarray(song.onsets[:-1])[gaps > 0.14] + 0.075
    assert np.mean(at_onsets > 5.0) > 0.9
    assert np.all(at_onsets > 0.0)
    assert np.mean(rises(song.mixture, list(between), 0.010) > 5.0) < 0.1


@pytest.mark.parametrize(
    ("part", "seconds", "decibels"),
    # a syllable begins in the middle of its consonant and swells; a hand strikes at once
    [("bass", 0.010, 10.0), ("chords", 0.010, 3.0), ("drums", 0.010, 1.0), ("vocals", 0.040, 1.0)],
)
def test_each_note_begins_where_it_says(
    song: DemoSong, part: str, seconds: float, decibels: float
) -> None:
    starts = sorted({note.start for note in song.notes if note.part == part})
    assert len(starts) > 30
    assert np.all(rises(song.stems[part], starts, seconds) > decibels)


def test_onsets_are_the_starts_of_the_notes_merged_within_thirty_milliseconds(
    song: DemoSong,
) -> None:
    onsets = np.asarray(song.onsets)
    assert np.all(np.diff(onsets) > 0.030)
    starts = np.asarray(sorted({note.start for note in song.notes}))
    before = onsets[np.searchsorted(onsets, starts, side="right") - 1]
    assert np.all(starts - before <= 0.030)
    assert set(onsets) <= set(starts)


def test_vocals_are_exactly_zero_in_the_breaks_and_sound_elsewhere(song: DemoSong) -> None:
    vocals = song.stems["vocals"]
    spans = sorted(song.labels["vocals"] + song.labels["breaks"])
    assert spans[0][0] == 0.0 and spans[-1][1] == vocals.shape[1] / SAMPLE_RATE
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
    for start, end in song.labels["breaks"]:
        assert not vocals[:, round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)].any()
    assert sum(end - start > 2.0 for start, end in song.labels["breaks"]) == 2  # intro, break
    for note in song.notes:
        if note.part == "vocals":
            held = slice(round((note.start + 0.1) * SAMPLE_RATE), round(note.end * SAMPLE_RATE))
            assert np.std(vocals[:, held]) > 300


def test_sung_pitches_are_those_of_the_score(song: DemoSong) -> None:
    f0 = librosa.yin(
        mono(song.stems["vocals"]), fmin=150, fmax=700, sr=SAMPLE_RATE, hop_length=1024
    )
    times = np.arange(f0.size) * 1024 / SAMPLE_RATE
    sung = [note for note in song.notes if note.part == "vocals"]
    for note in sung:
        held = (times > note.start + 0.14) & (times < note.end - 0.05)
        cents = 100 * (librosa.hz_to_midi(np.median(f0[held])) - float(note.pitch))
        assert abs(cents) < 50, note
    assert (min(n.pitch for n in sung), max(n.pitch for n in sung)) == (57, 76)  # A3 to E5


def test_vibrato_sets_in_late_on_long_notes(song: DemoSong) -> None:
    last = [note for note in song.notes if note.part == "vocals"][-1]
    start, end = round(last.start * SAMPLE_RATE), round(last.end * SAMPLE_RATE)
    f0 = librosa.yin(
        mono(song.stems["vocals"])[start:end], fmin=300, fmax=900, sr=SAMPLE_RATE, hop_length=256
    )
    cents = 100 * (librosa.hz_to_midi(f0) - float(last.pitch))
    frames = SAMPLE_RATE / 256
    early, late = cents[round(0.15 * frames) : round(0.35 * frames)], cents[round(0.8 * frames) :]
    late = late[: -round(0.1 * frames)]
    assert np.ptp(early) < 40 < np.ptp(late) < 120
    spectrum = np.abs(np.fft.rfft(late - late.mean(), 4096))
    assert 4.5 < np.argmax(spectrum) * frames / 4096 < 6.5  # Hz


@pytest.mark.parametrize("vowel", "aeiou")
def test_vowels_have_their_formants(vowel: str) -> None:
    phrase = [synth.Syllable(0, SAMPLE_RATE, 45, "", vowel)]  # low, so harmonics show the envelope
    y = synth.sing(phrase, np.random.default_rng(0))[SAMPLE_RATE // 4 : SAMPLE_RATE // 2]
    spectrum = np.abs(np.fft.rfft(y * np.hanning(y.size), SAMPLE_RATE)) ** 2
    envelope = np.convolve(spectrum, np.hanning(250), mode="same")  # 1 Hz a bin
    peaks, _ = signal.find_peaks(10 * np.log10(envelope + 1e-12), prominence=0.5)
    for formant, hertz in zip(synth._VOWELS[vowel], (100, 150, 150), strict=True):
        assert np.min(np.abs(peaks - formant)) < hertz, peaks


def pitch_classes(chord: Chord) -> set[int]:
    root, semitones, _ = mir_eval.chord.encode(chord.label)
    return {(root + i) % 12 for i in np.flatnonzero(semitones)}


def test_strongest_pitch_classes_of_the_keys_are_in_the_chord(song: DemoSong) -> None:
    keys = mono(song.stems["chords"])
    for chord in song.chords[1:-1]:
        span = slice(
            round((chord.start + 0.1) * SAMPLE_RATE), round((chord.end - 0.02) * SAMPLE_RATE)
        )
        y = keys[span]
        spectrum = np.abs(np.fft.rfft(y * np.hanning(y.size), 4 * SAMPLE_RATE))  # 1/4 Hz a bin
        hertz = np.arange(320, 4000) / 4
        classes = np.rint(librosa.hz_to_midi(hertz)).astype(int) % 12
        chroma = np.bincount(classes, spectrum[320:4000] ** 2, minlength=12)
        assert set(np.argsort(chroma)[-3:].tolist()) <= pitch_classes(chord), chord


def test_bass_and_keys_play_notes_of_the_chord_and_the_bass_makes_inversions(
    song: DemoSong,
) -> None:
    for chord in song.chords[1:-1]:
        inside = [n for n in song.notes if chord.start <= n.start < chord.end - 1e-9]
        keys = {int(n.pitch) % 12 for n in inside if n.part == "chords"}
        bass = {int(n.pitch) % 12 for n in inside if n.part == "bass"}
        root, _, interval = mir_eval.chord.encode(chord.label)
        assert keys == pitch_classes(chord), chord
        assert bass == {(root + interval) % 12}, chord
        assert min(n.start for n in inside if n.part == "chords") == chord.start


def test_chords_parse_and_cover_the_song(song: DemoSong) -> None:
    for chord in song.chords:
        mir_eval.chord.validate_chord_label(chord.label)
        assert chord.end > chord.start
    assert song.chords[0].start == 0.0
    assert song.chords[-1].end == song.mixture.shape[1] / SAMPLE_RATE
    assert [c.end for c in song.chords[:-1]] == [c.start for c in song.chords[1:]]
    qualities = {c.label.partition(":")[2] for c in song.chords}
    assert {"maj", "min", "7", "maj7", "min7", "sus4", "maj/3"} <= qualities


def test_beats_are_steady_and_a_beat_tracker_finds_the_tempo(song: DemoSong) -> None:
    assert len(song.beats) == 48
    np.testing.assert_allclose(np.diff(song.beats), 60.0 / song.tempo, atol=1e-9)
    kicks = {note.start for note in song.notes if note.pitch == "kick"}
    assert set(song.beats[::4]) <= kicks


def test_notes_end_without_a_click() -> None:
    rng = np.random.default_rng(0)
    sounds = {
        "bass": synth.bass(40, 0.3),
        "piano": synth.electric_piano(64, 0.3),
        "voice": synth.sing([synth.Syllable(0, 13230, 69, "m", "a")], rng),
        **{name: hit(rng) for name, hit in synth.DRUMS.items()},
    }
    for name, sound in sounds.items():
        assert np.abs(sound[-20:]).max() < 1e-3 * np.abs(sound).max(), name


# ---------------------------------------------------------------- files


def test_files_hold_the_reference(song: DemoSong, folder: Path) -> None:
    onsets = np.loadtxt(folder / "song.onsets")
    np.testing.assert_allclose(onsets, song.onsets, atol=1e-6)
    np.testing.assert_allclose(np.loadtxt(folder / "song.beats"), song.beats, atol=1e-6)
    intervals, labels = mir_eval.io.load_labeled_intervals(str(folder / "song.lab"))
    assert labels == [chord.label for chord in song.chords]
    np.testing.assert_allclose(intervals[:, 0], [c.start for c in song.chords], atol=1e-6)
    reference = json.loads((folder / "song.json").read_text())
    assert (reference["key"], reference["tempo"]) == ("C major", 100.0)
    assert reference["labels"] == song.labels
    assert len(reference["notes"]) == len(song.notes)
    mixture, _ = soundfile.read(folder / "song.wav", dtype="int16")
    rest, _ = soundfile.read(folder / "stems" / "accompaniment.wav", dtype="int16")
    np.testing.assert_array_equal(mixture.T, song.mixture)
    np.testing.assert_array_equal(rest.T, song.accompaniment)
    assert soundfile.info(folder / "song.wav").subtype == "PCM_16"


def test_returns_every_file_and_leaves_no_other(composed: DemoSong, tmp_path: Path) -> None:
    written = write_demo(tmp_path)
    assert sorted(written) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert {path.name for path in written} == {*REFERENCE, "accompaniment.wav"} | {
        f"{part}.wav" for part in PARTS
    }


def test_files_as_they_should_be_are_left_alone(composed: DemoSong, tmp_path: Path) -> None:
    written = write_demo(tmp_path)
    os.utime(tmp_path / "song.lab", ns=(1, 1))
    (tmp_path / "song.beats").unlink()
    assert write_demo(tmp_path) == written
    assert (tmp_path / "song.lab").stat().st_mtime_ns == 1
    assert (tmp_path / "song.beats").exists()


@pytest.mark.parametrize("name", ["song.wav", "stems/drums.wav", "song.json"])
def test_foreign_files_are_refused_before_anything_is_written(
    composed: DemoSong, tmp_path: Path, name: str
) -> None:
    foreign = tmp_path / name
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("mine")
    with pytest.raises(UsageError, match=foreign.name) as caught:
        write_demo(tmp_path)
    assert "\n" not in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [foreign]
    assert foreign.read_text() == "mine"
    write_demo(tmp_path, overwrite=True)
    assert foreign.read_bytes() != b"mine"


def test_a_folder_in_the_place_of_a_file_is_refused_even_when_overwriting(
    composed: DemoSong, tmp_path: Path
) -> None:
    (tmp_path / "song.beats").mkdir()
    with pytest.raises(UsageError, match=r"song\.beats"):
        write_demo(tmp_path, overwrite=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "song.beats"]


def test_a_file_in_the_place_of_the_folder_is_a_usage_error(
    composed: DemoSong, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(UsageError, match="taken: cannot be written to"):
        write_demo(tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_failed_write_leaves_no_half_file(
    composed: DemoSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match="no space left"):
        write_demo(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
