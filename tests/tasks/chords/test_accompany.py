"""Chords sound where the segments say, softly and without clicks, on an unchanged song."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audiofiles import only_file, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocli.errors import AudioError, UsageError
from audiocli.io.formats import Segments
from audiocli.io.overlay import Layer, overlaid
from audiocli.tasks.chords.accompany import (
    QUIETEST,
    RELEASE,
    _peak,
    _playing,
    _Strike,
    write_chords,
)

PITCHES = {"A": [57, 61, 64], "low": [45], "bass": [28], "N": []}


def segments(*spans: tuple[float, float, str]) -> Segments:
    starts, ends, labels = zip(*spans, strict=True) if spans else ((), (), ())
    return Segments(np.array(starts, float), np.array(ends, float), labels, "chord")


def played(
    folder: Path,
    song: np.ndarray,
    rate: int,
    chords: Segments,
    suffix: str = ".wav",
    **options: float,
) -> np.ndarray:
    """The song with its chords, (channels, samples)."""
    source, target = folder / "song.wav", folder / f"chords{suffix}"
    soundfile.write(source, song.T, rate, subtype="FLOAT")
    write_chords(source, target, chords, PITCHES.__getitem__, overwrite=True, **options)
    audio, its_rate = soundfile.read(target, dtype="float32", always_2d=True)
    assert its_rate == rate
    return np.asarray(audio.T)


def rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


@pytest.mark.parametrize("rate", [4000, 8000, 44_100, 96_000])
def test_pitches_sound_from_start_to_end_at_any_rate(tmp_path: Path, rate: int) -> None:
    chords = segments((0.5, 2.0, "A"), (2.0, 3.0, "N"))
    audio = played(tmp_path, np.zeros((1, 3 * rate), np.float32), rate, chords)[0]
    assert not audio[: rate // 2].any()
    assert not audio[round((2.0 + RELEASE) * rate) + 1 :].any()
    part = audio[round(0.55 * rate) : round(1.95 * rate)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    hertz = np.fft.rfftfreq(len(part), 1 / rate)
    for pitch in PITCHES["A"]:
        near = np.abs(hertz - 440 * 2 ** ((pitch - 69) / 12)) < 3
        assert spectrum[near].max() > 0.2 * spectrum.max()
    assert spectrum[hertz < 200].max() < 0.01 * spectrum.max()


def test_a_chord_is_softer_than_the_song_by_its_level(tmp_path: Path) -> None:
    song = tone(3.0, 1) * np.float32(0.4)
    for level, chord in [(-9.0, "A"), (-9.0, "low"), (-20.0, "A")]:
        added = played(tmp_path, song, 44_100, segments((1.0, 2.0, chord)), level=level) - song
        struck = rms(added[:, 44_100 + 900 : 44_100 + 4500])
        assert 20 * np.log10(struck / rms(song)) == pytest.approx(level, abs=1.5)
    quiet = played(tmp_path, 0 * song, 44_100, segments((1.0, 2.0, "A")))
    assert rms(quiet[:, 45_000:48_600]) == pytest.approx(QUIETEST * 10 ** (-6 / 20), rel=0.2)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_the_song_beside_the_chords_is_the_same(tmp_path: Path, channels: int) -> None:
    song = tone(1.0, channels) * np.float32(0.2)
    audio = played(tmp_path, song, 44_100, segments((0.25, 0.5, "A")))
    assert audio.shape == song.shape
    first, last = 11_025, round((0.5 + RELEASE) * 44_100) + 1
    np.testing.assert_array_equal(audio[:, :first], song[:, :first])
    np.testing.assert_array_equal(audio[:, last:], song[:, last:])
    added = audio[:, first:last] - song[:, first:last]
    np.testing.assert_allclose(added, np.repeat(added[:1], channels, axis=0), atol=1e-6)


def test_one_gain_for_all_where_a_chord_would_clip(tmp_path: Path) -> None:
    song = tone(1.0, 1) * np.float32(1.98)
    audio = played(tmp_path, song, 44_100, segments((0.5, 0.8, "A")))
    assert np.abs(audio).max() <= 1
    gains = audio[:, 1000:20_000:7] / song[:, 1000:20_000:7]
    assert np.ptp(gains) < 1e-3 and 0 < gains.mean() < 1


def test_nothing_clicks(tmp_path: Path) -> None:
    chords = segments((0.0, 0.4, "low"), (0.4, 0.404, "A"), (0.404, 0.8, "low"), (0.8, 9.0, "A"))
    audio = played(tmp_path, np.zeros((1, 44_100), np.float32), 44_100, chords)[0]
    # A step of a sample has a second difference as large as itself, a tone a tiny one.
    bend = np.abs(np.diff(np.concatenate([[0.0], audio, [0.0]]), 2))
    assert np.abs(audio).max() > 0.02
    assert bend.max() < 0.1 * np.abs(audio).max()
    assert np.abs(audio[-20:]).max() < 1e-4  # let go before the end


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".mp3"])
def test_other_formats_have_the_length_of_the_source(tmp_path: Path, suffix: str) -> None:
    song = tone(0.7, 2) * np.float32(0.1)
    audio = played(tmp_path, song, 44_100, segments((0.1, 0.5, "A")), suffix)
    assert audio.shape == (2, 30_870)


def test_no_chords_change_nothing(tmp_path: Path) -> None:
    song = tone(0.5, 2)
    for chords in (segments(), segments((0, 0.5, "N")), segments((0.2, 0.2, "A")),
                   segments((7, 8, "A")), segments((0.45, 0.5, "A"))):  # fmt: skip
        np.testing.assert_array_equal(played(tmp_path, song, 44_100, chords), song)


def test_tones_that_the_rate_cannot_hold_are_left_out(tmp_path: Path) -> None:
    silence = np.zeros((1, 4000), np.float32)
    source, target = tmp_path / "song.wav", tmp_path / "chords.wav"
    soundfile.write(source, silence.T, 4000)
    write_chords(source, target, segments((0, 1, "high")), lambda label: [108])
    assert not soundfile.read(target)[0].any()


def strikes(spans: Sequence[tuple[float, float]], rate: int) -> list[_Strike]:
    return [_Strike(start, start + length, (45, 49, 52), rate, 0.1) for start, length in spans]


spans = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.8)), max_size=6).map(sorted)


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=6), spans)
def test_blocks_do_not_show(sizes: list[int], spans: list[tuple[float, float]]) -> None:
    rate, samples = 2000, 2000
    layer = Layer(1.0, _playing(strikes(spans, rate), rate))

    def run(lengths: list[int]) -> np.ndarray:
        blocks, left = [], samples
        while left:
            blocks.append(np.zeros((2, min(left, lengths[len(blocks) % len(lengths)])), np.float32))
            left -= blocks[-1].shape[1]
        return np.concatenate(list(overlaid(blocks, layer)), axis=1)

    np.testing.assert_allclose(run(sizes), run([samples]), atol=1e-6)


@settings(deadline=None)
@given(spans)
def test_the_peak_is_that_of_the_highest_sample(spans: list[tuple[float, float]]) -> None:
    played = strikes(spans, 2000)
    samples = _playing(played, 2000)
    assert np.abs(samples(0, 4000)).max() == pytest.approx(_peak(samples, 4000, 300), abs=1e-6)


def test_nothing_is_lost(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    target.write_text("mine")
    song = tmp_path / "song.flac"
    soundfile.write(song, np.zeros(8000), 8000)
    chords = segments((0, 0.5, "A"))
    with pytest.raises((AudioError, UsageError), match="overwrit"):
        write_chords(song, target, chords, PITCHES.__getitem__)
    with pytest.raises(KeyError):  # what the caller's own function does not know
        write_chords(song, target, segments((0, 1, "?")), PITCHES.__getitem__, overwrite=True)
    assert target.read_text() == "mine"
    song.write_text("no audio")
    with pytest.raises(AudioError, match="my song"):
        write_chords(song, target, chords, PITCHES.__getitem__, name="my song", overwrite=True)
    assert target.read_text() == "mine"
    song.unlink()
    only_file(tmp_path, "a.wav")
