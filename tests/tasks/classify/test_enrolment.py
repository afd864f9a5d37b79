"""People are recognised by example: who it is, who it is not, and what cannot be enrolled."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiocli.errors import AudioError, DataError, ModelError
from audiocli.nn.registry import ModelEntry
from audiocli.tasks.classify.enrolment import Comparison, Enrolment, compare, enrol, recognise
from audiocli.tasks.classify.scoring import equal_error_rate

RATE = 8000
PITCHES = {"ann": 750, "bob": 1750, "zoë": 3250}  # each in the middle of a band


class Bands:
    """Stands in for an encoder: the mean magnitude of 8 bands, beside something all clips share."""

    def __init__(self, **decoder: object) -> None:
        self.entry = ModelEntry(Path("bands"), {"decoder": decoder} if decoder else {})

    def stream(self, blocks: Iterable[np.ndarray], sample_rate: int) -> np.ndarray:
        audio = np.concatenate(list(blocks), axis=1).mean(axis=0)
        spectrum = np.abs(np.fft.rfft(audio))
        bands = [np.square(part).mean() ** 0.5 for part in np.array_split(spectrum, 8)]
        return np.array([*bands, 100.0], np.float32)


SHARED = [0.0] * 8 + [100.0]


def clip(path: Path, pitch: int, take: int, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1000 * pitch + take)
    time = np.arange(rate // 4) / rate
    sine = np.sin(2 * np.pi * (pitch + random.uniform(-50, 50)) * time)
    soundfile.write(path, random.uniform(0.1, 0.5) * sine + random.normal(0, 0.02, len(time)), rate)
    return path


@pytest.fixture
def people(tmp_path: Path) -> Path:
    for name, pitch in PITCHES.items():
        for take in range(3):
            clip(tmp_path / "people" / name / f"{take}.wav", pitch, take)
    return tmp_path / "people"


def vector_of(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, always_2d=True)
    return Bands().stream([samples.T], rate)


@pytest.mark.parametrize(
    "decoder", [{"mean": SHARED}, {"mean": SHARED, "threshold": 0.7, "slope": 15.0}]
)
def test_people_are_recognised_and_strangers_are_not(
    people: Path, tmp_path: Path, decoder: dict[str, object]
) -> None:
    enrolled = enrol(people, Bands(**decoder))
    assert enrolled.names == tuple(PITCHES)
    assert np.linalg.norm(enrolled.centroids, axis=1) == pytest.approx(1)
    for name, pitch in PITCHES.items():
        answer = recognise(enrolled, vector_of(clip(tmp_path / "new.wav", pitch, 9)))
        assert answer[0][0] == name and len(answer) == 3 and answer[0][1] > 0.5
        assert sum(probability for _, probability in answer) <= 1
    stranger = vector_of(clip(tmp_path / "new.wav", 2250, 9))
    answer = recognise(enrolled, stranger)
    assert answer[0][0] == "unknown" and answer[0][1] > 0.5 and len(answer) == 4
    assert sum(probability for _, probability in answer) == pytest.approx(1)
    assert recognise(enrolled, stranger, threshold=-1.0)[0][0] in PITCHES
    assert recognise(enrol(people, Bands(**decoder), threshold=-1.0), stranger)[0][0] in PITCHES


def test_what_all_clips_share_is_subtracted(people: Path, tmp_path: Path) -> None:
    stranger = vector_of(clip(tmp_path / "new.wav", 2250, 9))
    one, other = (enrol(people, encoder) for encoder in (Bands(), Bands(mean=SHARED)))
    alike, apart = (each.centroids @ each.centroids.T for each in (one, other))
    assert np.all(alike > apart - 1e-9) and alike.min() > 0.6 > apart[0, 1]
    cosines = other.centroids @ ((stranger - SHARED) / np.linalg.norm(stranger - SHARED))
    assert cosines.max() < other.threshold
    assert one.mean.tolist() == [0.0] * 9 and other.mean.tolist() == SHARED


class Listed:
    """Stands in for an encoder of files whose length is the place of their vector in a list."""

    def __init__(self, vectors: np.ndarray, **decoder: float) -> None:
        self.vectors = vectors
        self.entry = ModelEntry(Path("listed"), {"decoder": decoder})

    def stream(self, blocks: Iterable[np.ndarray], sample_rate: int) -> np.ndarray:
        vector: np.ndarray = self.vectors[sum(block.shape[1] for block in blocks) - 1]
        return vector


@pytest.mark.parametrize("count", [2, 20])
def test_own_clips_and_strangers_are_both_told(tmp_path: Path, count: int) -> None:
    random = np.random.default_rng(0)
    voices = random.normal(size=(100, 64))
    clips = voices[:, None] + 1.2 * random.normal(size=(100, 5, 64))
    clips /= np.linalg.norm(clips, axis=-1, keepdims=True)
    cosines, own = clips[:, 0] @ clips[:, 1].T, np.eye(100, dtype=bool)
    rate, threshold = equal_error_rate(cosines[own], cosines[~own])
    for person in range(count):
        (tmp_path / f"{person:03}").mkdir()
        for take in range(4):
            samples = np.full(4 * person + take + 1, 0.1)
            soundfile.write(tmp_path / f"{person:03}" / f"{take}.wav", samples, RATE)
    encoder = Listed(clips[:count, 1:].reshape(-1, 64), threshold=threshold, slope=20.0)
    people = enrol(tmp_path, encoder)
    first = [recognise(people, vector)[0][0] for vector in clips[:, 0]]
    right = np.mean([name == f"{person:03}" for person, name in enumerate(first[:count])])
    refused = np.mean([name == "unknown" for name in first[count:]])
    assert 0.02 < rate < 0.06 and right >= 0.85 and refused > 0.85
    # A centroid is nearer than single clips, and among many some are like a stranger.
    assert people.threshold > threshold


def test_few_clips_ask_for_half_of_what_they_would(tmp_path: Path) -> None:
    """Two people who are much alike: their clips ask for more than the encoder does."""
    near = np.array([[1.0, 0.0], [0.98, 0.1], [0.99, 0.05]]) @ np.array([[1.0, 0], [0, 1]])
    turned = near @ np.array([[0.9, 0.436], [-0.436, 0.9]])  # by 26 degrees
    for person, count in (("ann", 0), ("bob", 3)):
        (tmp_path / person).mkdir()
        for take in range(3):
            path = tmp_path / person / f"{take}.wav"
            soundfile.write(path, np.full(count + take + 1, 0.1), RATE)
    vectors = np.concatenate([near, turned])
    usual = enrol(tmp_path, Listed(vectors)).threshold
    low, high = (enrol(tmp_path, Listed(vectors, threshold=each)).threshold for each in (0.5, 0.94))
    assert low == pytest.approx((0.5 + usual) / 2, abs=0.01) and low < usual
    assert high == pytest.approx(0.95, abs=0.01)


VECTORS = st.lists(st.floats(-5, 5), min_size=4, max_size=4)


@given(VECTORS, st.floats(-0.9, 0.9), st.floats(0.1, 40))
def test_probabilities_are_in_order_and_add_up(
    vector: list[float], threshold: float, scale: float
) -> None:
    people = Enrolment(("a", "b", "c"), np.eye(3, 4), np.zeros(4), threshold, scale)
    answer = recognise(people, np.array(vector))
    probabilities = [probability for _, probability in answer]
    assert probabilities == sorted(probabilities, reverse=True)
    assert {name for name, _ in answer} - {"unknown"} == {"a", "b", "c"}
    assert all(0 <= probability <= 1 for probability in probabilities)
    if answer[0][0] == "unknown":
        assert probabilities[0] >= 0.5 and sum(probabilities) == pytest.approx(1)
    else:
        assert sum(probabilities) >= 0.5 - 1e-9
    if np.linalg.norm(vector) > 1e-3:  # its length says nothing
        louder = recognise(people, 7 * np.array(vector))
        assert sorted(p for _, p in louder) == pytest.approx(sorted(probabilities), abs=1e-6)


def test_an_enrolment_stays_as_it_is_and_knows_its_encoder(people: Path) -> None:
    enrolled = enrol(people, Bands())
    with pytest.raises(FrozenInstanceError):
        enrolled.threshold = 0.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="shape"):
        recognise(enrolled, np.zeros(3))
    with pytest.raises(ModelError, match=r"decoder\.mean .* shape \(2,\), where .* 9 numbers"):
        enrol(people, Bands(mean=[0.0, 1.0]))


def test_one_person_can_be_enrolled(people: Path, tmp_path: Path) -> None:
    shutil.rmtree(people / "bob")
    shutil.rmtree(people / "zoë")
    enrolled = enrol(people, Bands(mean=SHARED))
    assert recognise(enrolled, vector_of(clip(tmp_path / "new.wav", 750, 9)))[0][0] == "ann"
    assert recognise(enrolled, vector_of(clip(tmp_path / "new.wav", 3250, 9)))[0][0] == "unknown"


def test_a_broken_clip_is_reported_and_left_out(people: Path) -> None:
    whole = enrol(people, Bands(mean=SHARED))
    (people / "bob" / "broken.wav").write_bytes(b"no audio")
    (people / "bob" / "notes.txt").write_text("no clip at all")
    (people / ".hidden").mkdir()
    warned: list[str] = []
    enrolled = enrol(people, Bands(mean=SHARED), warn=warned.append)
    assert len(warned) == 1 and "broken.wav" in warned[0]
    assert np.array_equal(enrolled.centroids, whole.centroids)
    assert np.array_equal(enrol(people, Bands(mean=SHARED)).centroids, whole.centroids)


def test_too_few_clips_are_refused_by_name(people: Path) -> None:
    (people / "bob" / "2.wav").write_bytes(b"no audio")
    with pytest.raises(DataError, match=r"bob: holds 2 clips .*bob needs 3 or more; add clips"):
        enrol(people, Bands())
    (people / "bob" / "1.wav").unlink()
    with pytest.raises(DataError, match="bob: holds 1 clip that"):
        enrol(people, Bands())
    shutil.rmtree(people / "bob")
    (people / "bob").mkdir()
    with pytest.raises(DataError, match="bob: holds 0 clips"):
        enrol(people, Bands())


def test_folders_that_hold_no_people_are_refused(people: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no folders; make one for each person"):
        enrol(people / "ann", Bands())
    with pytest.raises(DataError, match="no-such-folder: cannot be opened"):
        enrol(tmp_path / "no-such-folder", Bands())
    with pytest.raises(DataError, match="cannot be opened"):
        enrol(people / "ann" / "0.wav", Bands())
    (people / "ann").rename(people / "unknown")
    with pytest.raises(DataError, match="rename the folder"):
        enrol(people, Bands())


def test_two_recordings_are_compared(people: Path) -> None:
    encoder = Bands(mean=SHARED, threshold=0.6, slope=12.0)
    ann, again, bob = people / "ann/0.wav", people / "ann/1.wav", people / "bob/0.wav"
    same, different = compare(ann, again, encoder), compare(ann, bob, encoder)
    assert isinstance(same, Comparison) and same.cosine > 0.8 > 0.4 > different.cosine
    assert same.probability > 0.8 and different.probability < 0.3
    assert compare(bob, ann, encoder) == pytest.approx(different)
    expected = 1 / (1 + math.exp(-12.0 * (same.cosine - 0.6)))
    assert same.probability == pytest.approx(expected)
    cosine, probability = compare(ann, ann, encoder)
    assert cosine == pytest.approx(1) and probability > 0.98


def test_comparing_needs_a_calibrated_encoder_and_audio(people: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"bands: .*decoder\.threshold"):
        compare(people / "ann/0.wav", people / "ann/1.wav", Bands(mean=SHARED))
    (tmp_path / "a.wav").write_text("no audio")
    with pytest.raises(AudioError, match=r"a\.wav"):
        compare(people / "ann/0.wav", tmp_path / "a.wav", Bands(threshold=0.5, slope=1.0))
