"""What the classifiers in the package must do, on sound that needs no data."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Run

from audiocli.demo import compose, write_demo
from audiocli.io.audio import read
from audiocli.nn import registry
from audiocli.tasks.classify.classifier import Classifier, Encoder, Track
from audiocli.tasks.classify.clips import LabelledClip, folds

CLASSIFIERS = [entry.name for entry in registry.list_models("classify")]
RATE = 16_000


@cache
def everything() -> Classifier:
    names = [f"{entry.task}/{entry.name}" for task in ("classify", "tag")
             for entry in registry.list_models(task)]  # fmt: skip
    return Classifier(None, names)


def classified(signal: np.ndarray, rate: int = RATE) -> dict[str, Track]:
    tracks = everything().stream([np.atleast_2d(signal).astype(np.float32)], rate)
    return {track.model: track for track in tracks}


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Track]:
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder)
    samples, rate = read(folder / "song.wav")
    return classified(samples, rate)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_song_has_one_class_of_each_kind(name: str, song: dict[str, Track]) -> None:
    [row] = song[name].probabilities
    assert song[name].multi_label or row.sum() == pytest.approx(1, abs=1e-5)
    assert (row >= 0).all() and (row <= 1).all()


def test_a_song_is_music_and_noise_is_not(song: dict[str, Track]) -> None:
    assert song["content"].best == ["music"]
    noise = np.random.default_rng(0).normal(size=5 * RATE) * 0.1
    assert classified(noise)["content"].best == ["sound"]


@pytest.mark.parametrize("samples", [1, 3 * RATE])
def test_nothing_is_made_up_of_silence(samples: int) -> None:
    for track in classified(np.zeros(samples)).values():
        assert np.isfinite(track.probabilities).all()
        assert track.warnings == ("is silent",)  # and not that it sounds like speech
        assert track.task != "tag" or not track.probabilities.any()
    assert classified(np.zeros(RATE))["keywords"].best == ["silence"]


def test_tags_of_a_song_are_likelier_than_those_of_noise(song: dict[str, Track]) -> None:
    tags = song["music"]
    assert len(tags.labels) >= 50
    assert ((tags.probabilities > 0) & (tags.probabilities < 1)).all()


def test_tags_are_of_four_kinds() -> None:
    config = registry.find("tag", "music").config
    groups = config["groups"]
    assert list(groups) == ["genre", "mood", "instrument", "voice"]
    assert sorted(label for group in groups.values() for label in group) == sorted(config["labels"])


def test_mood_has_valence_and_arousal(song: dict[str, Track]) -> None:
    mood = song["mood"]
    assert set(mood.axes) == {"valence", "arousal"}
    happy, angry, sad, calm = (mood.probabilities[0, mood.labels.index(q)]
                               for q in ("Q1", "Q2", "Q3", "Q4"))  # fmt: skip
    assert mood.axes["valence"][0] == pytest.approx(happy + calm - angry - sad, abs=1e-5)
    assert mood.axes["arousal"][0] == pytest.approx(happy + angry - sad - calm, abs=1e-5)


def test_a_voice_is_more_like_itself_than_like_another() -> None:
    encoder = Encoder("voice")

    def voice(pitch: float, seed: int) -> np.ndarray:
        """A buzz through three formants, with a random melody of speech."""
        rng = np.random.default_rng(seed)
        time = np.arange(3 * RATE) / RATE
        contour = pitch * 2 ** (np.interp(time, np.linspace(0, 3, 9), rng.normal(size=9)) / 8)
        phase = 2 * np.pi * np.cumsum(contour) / RATE
        sound = sum(np.sin(k * phase) / k for k in range(1, 30))
        level = np.interp(time, np.linspace(0, 3, 25), rng.uniform(0, 1, 25))
        vector = encoder.stream([(sound * level)[np.newaxis].astype(np.float32)], RATE)
        return vector / np.linalg.norm(vector)

    low, again, high = voice(100, 1), voice(100, 2), voice(240, 3)
    assert low @ again > low @ high


@pytest.mark.parametrize("entry", registry.list_models("classify"), ids=lambda each: each.name)
def test_confidence_is_calibrated_and_said_on_the_card(entry: registry.ModelEntry) -> None:
    scores = {score["metric"]: score for score in entry.config["scores"]}
    assert scores["expected calibration error"]["value"] < 15
    assert scores["accuracy"]["value"] > 100 / len(entry.config["labels"])
    least = "threshold" if entry.config.get("multi_label") else "unknown"
    assert 0 < entry.config["decoder"][least] <= 0.5
    assert entry.config["domain"] in ("music", "speech", "sound", "instrument")


def test_folds_of_the_cards_can_be_made_again() -> None:
    clips = [
        LabelledClip(Path(f"{n}.wav"), f"{n}.wav", Path("d"), (str(n % 3),), {"by": str(n // 4)})
        for n in range(40)
    ]
    assert folds(clips, "by", 5) == folds(clips, "by", 5)


def test_compare_says_where_nobody_speaks(run: Run, tmp_path: Path) -> None:
    """Two pieces of music get a number, and a word that it means nothing."""
    song = compose().mixture.T
    for name, start in (("a", 8), ("b", 17)):
        piece = song[44_100 * start : 44_100 * (start + 6)]
        soundfile.write(tmp_path / f"{name}.wav", piece, 44_100)
    done = run("compare", tmp_path / "a.wav", tmp_path / "b.wav")
    assert done.status == 0 and len(done.out.splitlines()) == 1
    assert done.err.count("speaker similarity is defined for speech alone") == 2
