"""Clips of two sources: the three layouts, what is refused, and what is read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.errors import AudioError, DataError
from audiocli.tasks.separate.clips import SOURCES, Clip, find_clips, unit_energy

RATE = 8000


def touch(root: Path, *names: str) -> None:
    """Make empty files: what is found does not depend on what is in them."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def write(path: Path, *channels: float, samples: int = 800, rate: int = RATE) -> Path:
    """Write one constant a channel."""
    soundfile.write(path, np.tile(channels, (samples, 1)), rate)
    return path


def found(root: Path) -> dict[str, list[str]]:
    return {
        clip.name: [path.relative_to(root).as_posix() for path in clip.files]
        for clip in find_clips(root)
    }


def test_pairs_are_found_at_any_depth_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.voice.ogg", "b.music.ogg", "x/a.1.MUSIC.wav", "x/a.1.Voice.FLAC")
    touch(tmp_path, "a.accompaniment.wav", "a.vocals.wav", "mixture.wav", "notes.txt")
    assert found(tmp_path) == {
        "a": ["a.vocals.wav", "a.accompaniment.wav"],
        "b": ["b.voice.ogg", "b.music.ogg"],
        "x/a.1": ["x/a.1.Voice.FLAC", "x/a.1.MUSIC.wav"],
    }
    assert list(found(tmp_path)) == ["a", "b", "x/a.1"]


def test_folders_with_both_stems_are_found_and_other_files_ignored(tmp_path: Path) -> None:
    touch(tmp_path, "two/vocals.wav", "two/accompaniment.flac", "two/drums.wav")
    touch(tmp_path, "set/one/vocals.opus", "set/one/accompaniment.opus", "set/voice.wav")
    assert found(tmp_path) == {
        "set/one": ["set/one/vocals.opus", "set/one/accompaniment.opus"],
        "two": ["two/vocals.wav", "two/accompaniment.flac"],
    }


def test_a_folder_that_is_a_clip_goes_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = tmp_path / "song-a"
    touch(song, "vocals.wav", "accompaniment.wav")
    assert [clip.name for clip in find_clips(song)] == ["song-a"]
    monkeypatch.chdir(song)
    assert [clip.name for clip in find_clips(Path())] == ["song-a"]


def test_other_files_are_stereo_clips_where_there_is_nothing_else(tmp_path: Path) -> None:
    touch(tmp_path, "b.flac", "x/a.1.wav", "cover.jpg")
    assert found(tmp_path) == {"b": ["b.flac"], "x/a.1": ["x/a.1.wav"]}
    touch(tmp_path, "y/c.voice.wav", "y/c.music.wav")
    assert list(found(tmp_path)) == ["y/c"]


def test_what_is_hidden_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.voice.wav", "a.music.wav", "._a.voice.wav", ".cache/b.voice.wav")
    assert list(found(tmp_path)) == ["a"]


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        ("x/a.voice.ogg", "a.music.ogg"),
        ("x/a.music.ogg", "a.voice.ogg"),
        ("a.vocals.wav", "a.accompaniment.wav"),
        ("a.accompaniment.wav", "a.vocals.wav"),
        ("x/vocals.wav", "accompaniment.wav"),
        ("accompaniment.wav", "vocals.wav"),
    ],
)
def test_half_a_pair_names_its_missing_partner(tmp_path: Path, present: str, missing: str) -> None:
    touch(tmp_path, present, "ok.voice.wav", "ok.music.wav")
    with pytest.raises(DataError) as error:
        find_clips(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / present}: ")
    assert f"expected {missing}" in str(error.value)


@pytest.mark.parametrize(
    "names",
    [
        ("a.voice.wav", "a.voice.flac", "a.music.wav"),
        ("a.voice.wav", "a.vocals.wav", "a.music.wav"),
        ("a.voice.wav", "a/vocals.wav", "a/accompaniment.wav"),
        ("a.wav", "a.flac"),
    ],
)
def test_two_files_for_the_same_thing_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DataError, match="is there too") as error:
        find_clips(tmp_path)
    assert all(str(tmp_path / name) in str(error.value) for name in names[:2])


def test_a_folder_without_clips_is_told_what_is_expected(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(DataError) as error:
        find_clips(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}: ") and "\n" not in message
    for part in ("NAME.voice.EXT", "NAME.music.EXT", "vocals.EXT", "accompaniment.EXT", "stereo"):
        assert part in message


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    for path in (tmp_path / "none", tmp_path / "a.wav"):
        with pytest.raises(DataError, match="cannot be read as a folder") as error:
            find_clips(path)
        assert str(error.value).startswith(f"{path}: ")


def test_a_folder_named_like_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "-/a.voice.wav", "-/a.music.wav")
    monkeypatch.chdir(tmp_path)
    (clip,) = find_clips(Path("-"))
    assert clip == Clip("a", (Path("-/a.voice.wav"), Path("-/a.music.wav")))


def test_a_pair_is_read_in_the_order_of_the_sources(tmp_path: Path) -> None:
    write(tmp_path / "a.music.wav", 0.5, 0.75)
    write(tmp_path / "a.voice.wav", 0.25, -0.25)
    (clip,) = find_clips(tmp_path)
    sources, rate = clip.load()
    assert (sources.shape, sources.dtype, rate) == ((2, 2, 800), np.float32, RATE)
    np.testing.assert_array_equal(sources[:, :, 7], [[0.25, -0.25], [0.5, 0.75]])
    assert SOURCES == ("vocals", "accompaniment")


def test_mono_is_repeated_over_the_channels_of_its_partner(tmp_path: Path) -> None:
    files = write(tmp_path / "vocals.wav", 0.25), write(tmp_path / "music.wav", 0.5, 0.75)
    sources, _ = Clip("a", files).load()
    np.testing.assert_array_equal(sources[:, :, 7], [[0.25, 0.25], [0.5, 0.75]])
    swapped, _ = Clip("a", files[::-1]).load()
    np.testing.assert_array_equal(swapped, sources[::-1])


def test_padding_is_cut_to_the_shorter_and_more_is_refused(tmp_path: Path) -> None:
    voice = write(tmp_path / "voice.wav", 0.25, samples=1600)
    near = write(tmp_path / "near.wav", 0.5, samples=2400)
    far = write(tmp_path / "far.wav", 0.5, samples=2401)
    for files in ((voice, near), (near, voice)):
        assert Clip("a", files).load()[0].shape == (2, 1, 1600)
    with pytest.raises(DataError, match=r"voice.wav: lasts 0.200 s, but .*far.wav 0.300 s"):
        Clip("a", (voice, far)).load()


def test_a_pair_that_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    voice = write(tmp_path / "voice.wav", 0.1, 0.1)
    with pytest.raises(DataError, match=r"voice.wav: is at 8000 Hz, but .*music.wav at 16000 Hz"):
        Clip("a", (voice, write(tmp_path / "music.wav", 0.1, 0.1, rate=16000))).load()
    with pytest.raises(DataError, match=r"voice.wav: has 2 channels, but .*surround.wav 4"):
        Clip("a", (voice, write(tmp_path / "surround.wav", *[0.1] * 4))).load()
    touch(tmp_path, "damaged.wav")
    with pytest.raises(AudioError, match="damaged.wav"):
        Clip("a", (voice, tmp_path / "damaged.wav")).load()


def test_a_stereo_clip_has_its_music_left_and_its_voice_right(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 0.5, 0.25)
    (clip,) = find_clips(tmp_path)
    sources, rate = clip.load()
    assert (sources.shape, sources.dtype, rate) == ((2, 1, 800), np.float32, RATE)
    np.testing.assert_array_equal(sources[:, 0, 7], [0.25, 0.5])


@pytest.mark.parametrize(("channels", "counted"), [(1, "1 channel,"), (3, "3 channels,")])
def test_a_clip_in_one_file_must_be_stereo(tmp_path: Path, channels: int, counted: str) -> None:
    path = write(tmp_path / "a.wav", *[0.1] * channels)
    with pytest.raises(DataError, match=f"a.wav: has {counted}"):
        find_clips(path.parent)[0].load()


def test_load_mono_averages_channels_and_keeps_the_rate(tmp_path: Path) -> None:
    files = write(tmp_path / "v.wav", 0.25, 0.75), write(tmp_path / "a.wav", 0.25, -0.25)
    mono = Clip("a", files).load_mono(RATE)
    assert (mono.shape, mono.dtype) == ((2, 800), np.float32)
    np.testing.assert_array_equal(mono[:, 7], [0.5, 0.0])


def test_load_mono_resamples(tmp_path: Path) -> None:
    def tones(rate: int) -> NDArray[np.float64]:
        time = np.arange(rate) / rate
        return 0.5 * np.sin(2 * np.pi * np.array([[300.0], [500.0]]) * time)

    soundfile.write(tmp_path / "a.wav", tones(RATE)[::-1].T, RATE, subtype="FLOAT")
    mono = find_clips(tmp_path)[0].load_mono(12000)
    assert (mono.shape, mono.dtype) == ((2, 12000), np.float32)
    inner = slice(500, -500)  # away from the ends, where the filter sees silence
    np.testing.assert_allclose(mono[:, inner], tones(12000)[:, inner], atol=1e-4)


@given(
    levels=st.tuples(st.floats(-7, 3), st.floats(-7, 3)),
    samples=st.integers(1, 500),
    seed=st.integers(0, 2**32 - 1),
)
def test_unit_energy_keeps_the_shape_and_sets_the_energy(
    levels: tuple[float, float], samples: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sources = (rng.uniform(0.1, 1, (2, samples)) * 10 ** np.array(levels)[:, None]).astype("f4")
    scaled = unit_energy(sources)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(np.square(scaled, dtype=np.float64).sum(axis=1), 1, rtol=1e-5)
    gains = scaled / sources
    np.testing.assert_allclose(gains, gains[:, :1].repeat(samples, axis=1), rtol=1e-5)


@pytest.mark.parametrize("silent", [0, 1])
def test_unit_energy_names_the_silent_source(silent: int) -> None:
    sources = np.ones((2, 10), dtype=np.float32)
    sources[silent] = 0.0
    with pytest.raises(DataError, match=f"song: its {SOURCES[silent]} .* silent"):
        unit_energy(sources, name="song")


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_linked_folders_are_searched(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.voice.wav", "elsewhere/a.music.wav")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    assert [clip.name for clip in find_clips(tmp_path / "set")] == ["linked/a"]
