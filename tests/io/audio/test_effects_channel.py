"""The channel for low-frequency effects is in no downmix and in no loudness, in whatever layout."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

import audiocli
from audiocli.errors import AudioCliWarning
from audiocli.io.audio import AudioFormat, AudioReader, AudioWriter, probe, read
from audiocli.tasks.features.files import extract_file

RATE = 48_000
LAYOUTS = {
    "2.1": "FL FR LFE",
    "3.1": "FL FR FC LFE",
    "4.1": "FL FR FC LFE BC",
    "5.1": "FL FR FC LFE BL BR",
    "5.1(side)": "FL FR FC LFE SL SR",
    "6.1": "FL FR FC LFE BC SL SR",
    "7.1": "FL FR FC LFE BL BR SL SR",
    "7.1(wide)": "FL FR FC LFE BL BR FLC FRC",
    "mono and effects": "FC LFE",
}
#: Of the recommendation's table 4: what stands at 60 to 120 degrees is worth 1.41.
SIDES = {"5.1": {"BL", "BR"}, "5.1(side)": {"SL", "SR"}, "6.1": {"SL", "SR"}, "7.1": {"SL", "SR"},
         "7.1(wide)": {"BL", "BR"}}  # fmt: skip


def recorded(path: Path, layout: tuple[str, ...], *, only_effects: bool = False) -> np.ndarray:
    """Write quiet noise in all speakers and a loud rumble in the one for effects."""
    rng = np.random.default_rng(len(layout))
    audio = (0.02 * rng.normal(size=(len(layout), 3 * RATE))).astype(np.float32)
    rumble = 0.9 * np.sin(2 * np.pi * 40 * np.arange(3 * RATE) / RATE)
    if only_effects:
        audio[:] = 0
    audio[layout.index("LFE")] = rumble
    form = AudioFormat("wav", "FLOAT", layout)
    with AudioWriter(path, RATE, len(layout), form) as writer:
        writer.write(audio)
    assert probe(path).layout == layout
    return audio


@pytest.mark.parametrize("name", LAYOUTS)
def test_effects_are_in_no_analysis(tmp_path: Path, name: str) -> None:
    layout = tuple(LAYOUTS[name].split())
    path = tmp_path / "a.wav"
    audio = recorded(path, layout)
    kept = [place for place, speaker in enumerate(layout) if speaker != "LFE"]
    mono, _ = read(path, mono=True)
    assert np.allclose(mono, audio[kept].mean(axis=0, keepdims=True), atol=1e-7)
    assert np.array_equal(read(path)[0], audio)  # reading as such gives all there is
    extractor = audiocli.FeatureExtractor(["rms", "spectral_centroid", "loudness"])
    _, row = extract_file(extractor, path)
    found = dict(zip((c.name for c in extractor.columns()), row[0], strict=True))
    expected = extractor.summary([audio[kept]], RATE, layout=tuple(layout[place] for place in kept))
    assert found == pytest.approx(expected, rel=1e-6)
    # pyloudnorm weights channels 4 and 5; the powers of all others simply add up.
    meter = pyloudnorm.Meter(RATE, filter_class="DeMan")
    powers = [
        (1.41 if layout[place] in SIDES.get(name, ()) else 1.0)
        * 10 ** (meter.integrated_loudness(audio[place]) / 10)
        for place in kept
    ]
    assert found["loudness"] == pytest.approx(10 * np.log10(sum(powers)), abs=0.02)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="FFmpeg's ebur128 is the oracle")
@pytest.mark.parametrize("name", ["2.1", "3.1", "5.1", "5.1(side)"])
def test_loudness_is_that_of_ffmpeg(tmp_path: Path, name: str) -> None:
    """Compare where FFmpeg follows the recommendation; it takes all that is behind for a side."""
    path = tmp_path / "a.wav"
    recorded(path, tuple(LAYOUTS[name].split()))
    told = subprocess.run(
        ["ffmpeg", "-hide_banner", "-nostats", "-i", path, "-af", "ebur128", "-f", "null", "-"],
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    expected = float(re.findall(r"I:\s+(-?[\d.]+) LUFS", told)[-1])
    extractor = audiocli.FeatureExtractor(["loudness"])
    _, row = extract_file(extractor, path)
    assert row[0, 0] == pytest.approx(expected, abs=0.06)  # it prints one decimal


def test_it_is_said_where_effects_are_all(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    recorded(path, ("FL", "FR", "LFE"), only_effects=True)
    with pytest.warns(AudioCliWarning, match="low-frequency effects"):
        mono, _ = read(path, mono=True)
    assert not mono.any()


def test_channels_that_are_no_speakers_all_count(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (6, 4000)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", audio.T, 8000, "FLOAT")  # six microphones, no mask
    assert probe(tmp_path / "a.wav").layout is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mono, _ = read(tmp_path / "a.wav", mono=True)
    assert np.allclose(mono, audio.mean(axis=0), atol=1e-7)
    with AudioReader(tmp_path / "a.wav") as reader:
        assert reader.full_range_layout is None
        assert np.array_equal(np.concatenate(list(reader.full_range(100)), axis=1), audio)
