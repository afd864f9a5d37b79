"""Clicks stand where the times say, on a song that is otherwise as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from audiofiles import only_file, tone
from hypothesis import given
from hypothesis import strategies as st

from audiocli.errors import AudioError, UsageError
from audiocli.io.overlay import Layer, overlaid
from audiocli.tasks.clicks import LENGTH, QUIETEST, _clicks, write_clicks


def clicked(
    tmp_path: Path, song: np.ndarray, rate: int, times: list[float], suffix: str = ".wav"
) -> np.ndarray:
    """The song with clicks, (channels, samples)."""
    source, target = tmp_path / "song.wav", tmp_path / f"clicks{suffix}"
    soundfile.write(source, song.T, rate, subtype="FLOAT")
    write_clicks(source, target, np.array(times), overwrite=True)
    clicks, its_rate = soundfile.read(target, dtype="float32", always_2d=True)
    assert its_rate == rate
    return np.asarray(clicks.T)


@pytest.mark.parametrize("rate", [4000, 8000, 44_100, 96_000])
def test_clicks_are_clicks_over_silence_at_any_rate(tmp_path: Path, rate: int) -> None:
    clicks = clicked(tmp_path, np.zeros((1, rate), np.float32), rate, [0.25, 0.5])[0]
    for time in (0.25, 0.5):
        first = round(time * rate)
        assert not clicks[first - round(0.1 * rate) : first].any()
        assert np.abs(clicks[first : first + round(0.005 * rate)]).max() > QUIETEST / 2
        assert not clicks[first + round(LENGTH * rate) : first + round(0.2 * rate)].any()


@pytest.mark.parametrize("rate", [4000, 8000, 16_000, 44_100])
def test_accents_are_higher_at_any_rate(tmp_path: Path, rate: int) -> None:
    source, target = tmp_path / "song.wav", tmp_path / "clicks.wav"
    soundfile.write(source, np.zeros(rate), rate)
    write_clicks(source, target, np.array([0.2, 0.6]), accents=np.array([True, False]))
    sound = soundfile.read(target)[0]
    accent, other = (sound[round(at * rate) :][: rate // 10] for at in (0.2, 0.6))
    pitches = [np.abs(np.fft.rfft(click, rate)).argmax() for click in (accent, other)]
    assert pitches[0] > 1.3 * pitches[1]
    assert np.abs(accent).max() > 1.2 * np.abs(other).max()


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_the_song_under_the_clicks_is_the_same(tmp_path: Path, channels: int) -> None:
    song = tone(1.0, channels) * np.float32(0.2)
    clicks = clicked(tmp_path, song, 44_100, [0.5])
    assert clicks.shape == song.shape
    first, last = 22_050, 22_050 + round(LENGTH * 44_100)
    np.testing.assert_array_equal(clicks[:, :first], song[:, :first])
    np.testing.assert_array_equal(clicks[:, last:], song[:, last:])
    added = clicks[:, first:last] - song[:, first:last]
    # In all channels alike, and well above what is there.
    np.testing.assert_allclose(added, np.repeat(added[:1], channels, axis=0), atol=1e-6)
    assert np.abs(added).max() > 2 * np.sqrt(np.mean(song**2))


def test_one_gain_for_all_where_a_click_would_clip(tmp_path: Path) -> None:
    song = tone(1.0, 1) * np.float32(1.98)
    clicks = clicked(tmp_path, song, 44_100, [0.5])
    assert np.abs(clicks).max() <= 1
    gains = clicks[:, 1000:20_000:7] / song[:, 1000:20_000:7]
    assert np.ptp(gains) < 1e-3 and 0 < gains.mean() < 0.5


@pytest.mark.parametrize(("suffix", "exact"), [(".flac", True), (".ogg", False), (".mp3", False)])
def test_other_formats_have_the_length_of_the_source(
    tmp_path: Path, suffix: str, exact: bool
) -> None:
    clicks = clicked(tmp_path, tone(0.7, 2) * np.float32(0.1), 44_100, [0.3], suffix)
    assert clicks.shape == (2, 30_870)
    peak = int(np.abs(clicks).max(axis=0).argmax())
    assert peak == pytest.approx(0.3 * 44_100, abs=50 if exact else 100)


def test_clicks_at_the_edges(tmp_path: Path) -> None:
    clicks = clicked(tmp_path, np.zeros((1, 8000), np.float32), 8000, [0.0, 0.9999, 1.0, 2.0])[0]
    assert len(clicks) == 8000
    assert np.abs(clicks[:40]).max() > 0.02
    assert not clicks[400:7990].any()


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=6),
    st.lists(st.floats(0, 1.2), max_size=5),
)
def test_blocks_do_not_show(sizes: list[int], times: list[float]) -> None:
    rate, samples = 2000, 2000
    layer = Layer(0.5, _clicks(np.array(times), rate, 0.5, rate / 4))

    def run(lengths: list[int]) -> np.ndarray:
        blocks, left = [], samples
        while left:
            blocks.append(np.zeros((2, min(left, lengths[len(blocks) % len(lengths)])), np.float32))
            left -= blocks[-1].shape[1]
        return np.concatenate(list(overlaid(blocks, layer)), axis=1)

    np.testing.assert_allclose(run(sizes), run([samples]), atol=1e-7)


def test_nothing_is_lost(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    target.write_text("mine")
    song = tmp_path / "song.flac"
    soundfile.write(song, np.zeros(800), 8000)
    with pytest.raises((AudioError, UsageError), match="overwrit"):
        write_clicks(song, target, np.array([0.01]))
    assert target.read_text() == "mine"
    song.write_text("no audio")
    with pytest.raises(AudioError, match="my song"):
        write_clicks(song, target, np.array([]), name="my song", overwrite=True)
    assert target.read_text() == "mine"
    song.unlink()
    only_file(tmp_path, "a.wav")
