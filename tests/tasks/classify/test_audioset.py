"""YAMNet's classes: the same numbers as the original's, pooled, joined by their parents, mapped."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from places import DATA, ROOT

from audiocli.cli import cli
from audiocli.errors import DataError, ModelError
from audiocli.nn import models, registry
from audiocli.nn.clip_mobile import ClipMobile
from audiocli.nn.clipwise import steps_of_stream
from audiocli.nn.frontend import FilterbankConfig
from audiocli.tasks.classify.classifier import Classifier
from audiocli.tasks.classify.decisions import Track, decode, merged
from audiocli.tasks.classify.mapping import mapped, read_mapping
from audiocli.tasks.classify.ontology import at_level, families
from audiocli.tasks.classify.pooling import SharedEncoder, WindowPooler

DOCS = ROOT / "docs"
RATE = 16_000
BANK = FilterbankConfig(8000, (256,), 80, 8, fmin=100.0, fmax=4000.0, difference=False)


@pytest.fixture(scope="module")
def entry() -> registry.ModelEntry:
    return registry.find("classify", "audioset")


def small(**arguments: object) -> ClipMobile:
    """A network of windows of 16 frames, of 0.16 s, every 0.08 s."""
    torch.manual_seed(0)
    made = {"num_outputs": 3, "channels": (4, 6), "strides": (2, 1), "window": 16, **arguments}
    network = models.build("clip-mobile", BANK, made)
    assert isinstance(network, ClipMobile)
    return network.eval()


def test_yamnet_says_what_the_original_says(entry: registry.ModelEntry) -> None:
    """Though its weights are in half precision, and the triangles of the bands are in Hz."""
    golden = np.load(DATA / "yamnet.npz")
    network = models.load(entry)
    assert isinstance(network, ClipMobile) and network.head is not None
    audio = torch.from_numpy(golden["sound"].astype(np.float32) / 32768)[None]
    with torch.no_grad():
        images = network.images(audio)
        features = network.features(images)[0]
        logits = network.head(features.T)[0].numpy()
    np.testing.assert_allclose(images[0, 0].mean(dim=-1).numpy(), golden["mel"], atol=0.06)
    embedding = features[:, 0].numpy()
    error = np.linalg.norm(embedding - golden["embedding"]) / np.linalg.norm(golden["embedding"])
    assert error < 0.02
    np.testing.assert_allclose(logits, golden["logits"], atol=0.3)
    assert np.corrcoef(logits, golden["logits"])[0, 1] > 0.9998


def test_every_window_is_classified_by_itself() -> None:
    network = small()
    audio = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 8000)).astype(np.float32))
    with torch.no_grad():
        images = network.images(torch.nn.functional.pad(audio, (128, 128)))
        features = network.features(images)
        assert features.shape == (1, 6, network.steps(images.shape[-1]))
        # Around step 5, which lasts from frame 40 to 48, lie the frames from 36 to 52.
        alone = network.features(images[..., 36:52])
        torch.testing.assert_close(features[..., 5], alone[..., 0])
        # At the ends, the first and the last window are as near as there are frames.
        torch.testing.assert_close(features[..., 0], network.features(images[..., :16])[..., 0])
        torch.testing.assert_close(features[..., -1], network.features(images[..., -16:])[..., 0])


@pytest.mark.parametrize("samples", [0, 50, 900, 1300, 20_000])
def test_a_stream_of_any_length_has_all_its_steps(samples: int) -> None:
    network = small()
    audio = np.random.default_rng(1).normal(size=samples).astype(np.float32)
    steps = np.concatenate(list(steps_of_stream(network, [audio])))
    assert steps.shape == (network.steps(1 + samples // 80), 6) and np.isfinite(steps).all()


def test_windows_that_cannot_be() -> None:
    for window in (-4, 6):
        with pytest.raises(ModelError, match="window"):
            small(window=window)


def test_a_short_sound_counts_and_a_label_for_silence_needs_all_of_it() -> None:
    network = small()
    encoder = SharedEncoder(network, absent=[2])
    assert network.head is not None
    encoder.heads.append((0, network.head, network.places()))
    pooler = WindowPooler(encoder, None, None)
    likely = np.full((100, 3), 0.01, np.float32)
    likely[:2, 0], likely[:, 1], likely[2:, 2] = 0.95, 0.4, 0.99
    flipped = likely.copy()
    flipped[:, 2] = 1 - flipped[:, 2]
    [logits] = [pooler.of_segment(flipped)]
    event, steady, silence = 1 / (1 + np.exp(-logits))
    assert event > 0.6 and steady == pytest.approx(0.4, abs=1e-5) and silence < 0.35
    for row in (likely[:1], likely[:1] * 0, likely[:1] * 0 + 1):
        assert np.isfinite(pooler.of_segment(row)).all()


def test_pooling_a_whole_is_pooling_one_segment(entry: registry.ModelEntry) -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=(1, 3 * RATE)).astype(np.float32)
    [whole] = Classifier("classify", ["audioset"]).stream([noise], RATE)
    [one] = Classifier("classify", ["audioset"], segment=60.0).stream([noise], RATE)
    np.testing.assert_allclose(whole.probabilities, one.probabilities, atol=1e-5)
    labels = entry.config["labels"]
    assert labels[int(whole.probabilities.argmax())] in ("Noise", "White noise", "Static")
    assert whole.multi_label and whole.independent and whole.task == "classify"


def test_events_begin_and_end() -> None:
    """A siren between two pauses, every half second."""
    time = np.arange(3 * RATE) / RATE
    siren = 0.3 * np.sin(2 * np.pi * (900 * time + 80 * np.sin(2 * np.pi * 0.7 * time)))
    nothing = np.zeros(4 * RATE)
    audio = np.concatenate([nothing, siren, nothing]).astype(np.float32)[None]
    [track] = Classifier("classify", ["audioset"], segment=1.0, hop=0.5).stream([audio], RATE)
    events = merged(track)
    assert len(events) and min(events.starts) > 3 and max(events.ends) < 8
    assert decode(track)[0][0][0] == "silence"


def rows(*values: list[float], hop: float = 1.0, length: float = 1.0) -> Track:
    starts = np.arange(len(values)) * hop
    seconds = float(starts[-1] + length)
    return Track("m", "classify", ("a", "b"), np.array(values, np.float32), starts,
                 starts + length, seconds, 0.5, multi_label=True, release=0.5)  # fmt: skip


def test_an_event_lasts_until_the_release() -> None:
    track = rows([0.1, 0.6], [0.3, 0.3], [0.9, 0.1], [0.3, 0.1], [0.1, 0.3], [0.3, 0.1])
    found = merged(track)
    assert list(zip(found.labels, found.starts, found.ends, strict=True)) == [
        ("b", 0, 2), ("a", 1, 4)
    ]  # fmt: skip


def test_overlapping_segments_are_smoothed() -> None:
    lonely = [[0.0, 0.0], [0.0, 0.9], [0.0, 0.0], [0.9, 0.0], [0.9, 0.0], [0.0, 0.0]]
    assert set(merged(rows(*lonely, hop=0.3)).labels) == {"a"}
    assert set(merged(rows(*lonely)).labels) == {"a", "b"}


PAIR = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=2)


@given(st.lists(PAIR, min_size=1, max_size=9))
def test_every_event_reaches_the_threshold_somewhere(values: list[list[float]]) -> None:
    track = rows(*values)
    for start, end, label in zip(*(merged(track).starts, merged(track).ends, merged(track).labels),
                                 strict=True):  # fmt: skip
        inside = (track.starts >= start) & (track.ends <= end)
        column = track.probabilities[inside, track.labels.index(label)]
        assert column.max() >= 0.5 and column.min() >= 0.25


def test_multi_label_answers() -> None:
    track = rows([0.6, 0.7], [0.1, 0.2])
    assert [[name for name, _ in each] for each in decode(track)] == [["b", "a"], ["unknown"]]
    assert [len(each) for each in decode(track, top=2)] == [2, 2]


def test_levels_of_the_ontology(entry: registry.ModelEntry) -> None:
    parents, labels = entry.config["parents"], entry.config["labels"]
    widest = families(parents, labels, 1)
    assert {name for names in widest.values() for name in names} == {
        "Animal", "Channel, environment and background", "Human sounds", "Music",
        "Natural sounds", "Sounds of things", "Source-ambiguous sounds",
    }  # fmt: skip
    assert widest["Bark"] == ["Animal"]
    assert families(parents, labels, 2)["Bark"] == ["Domestic animals, pets"]
    assert families(parents, labels, 3)["Bark"] == ["Dog"]
    assert families(parents, labels, 9)["Bark"] == ["Bark"]
    assert families(parents, labels, 1)["Bell"] == ["Music", "Sounds of things"]


def test_families_are_as_probable_as_their_likeliest_or_as_all() -> None:
    named = {"a": ["x"], "b": ["x", "y"]}
    joined = at_level(rows([0.6, 0.7]), named)
    assert joined.labels == ("x", "y")
    np.testing.assert_allclose(joined.probabilities, [[0.7, 0.7]])
    one = Track("m", "classify", ("a", "b"), np.array([[0.6, 0.4]], np.float32), np.zeros(1),
                np.ones(1), 1.0, 0.5)  # fmt: skip
    np.testing.assert_allclose(at_level(one, named).probabilities, [[0.8, 0.2]])


@pytest.mark.parametrize("name", ["esc10", "urbansound8k"])
def test_mappings_name_classes_that_there_are(name: str, entry: registry.ModelEntry) -> None:
    found = read_mapping(DOCS / "mappings" / f"{name}.csv", entry.config["labels"])
    assert len(found) == 10 and found["dog_bark"][:3] == ["Dog", "Bark", "Bow-wow"]
    classes = [each for several in found.values() for each in several]
    assert len(classes) == len(set(classes))  # none stands for two labels


#: Subclasses of what a label of UrbanSound8K is mapped to that are something else.
NOT_MEANT = {
    "Growling", "Howl", "Whimper (dog)", "Accelerating, revving, vroom", "Engine knocking",
    "Engine starting", "Jet engine", "Light engine (high frequency)",
    "Dental drill, dentist's drill",
}  # fmt: skip


def test_urban_sounds_are_mapped_with_their_kinds(entry: registry.ModelEntry) -> None:
    """As AudioSet's ontology has them; of music, all kinds are music besides."""
    found = read_mapping(DOCS / "mappings/urbansound8k.csv", entry.config["labels"])
    parents, known = entry.config["parents"], set(entry.config["labels"])
    for label, classes in found.items():
        kinds = {name for name in known if set(parents.get(name, ())) & set(classes)}
        missing = kinds - set(classes) - NOT_MEANT
        assert label == "street_music" or not missing, label


def test_a_data_set_of_other_labels_is_scored(tmp_path: Path) -> None:
    """Sounds made by code, as UrbanSound8K would call them."""
    rng, rate = np.random.default_rng(0), 16_000
    time = np.arange(3 * rate) / rate
    shots = sum(np.exp(-12 * (time - start).clip(0)) * (time >= start) for start in (0.3, 1.6))
    horn = sum(np.sin(2 * np.pi * k * f * time) / k for f in (420, 510) for k in range(1, 9))
    scale = [0, 4, 7, 12, 7, 4, 0, 5, 9, 12, 9, 5]
    notes = [262 * 2 ** (pitch / 12) for pitch in scale]
    tune = sum(
        np.where(time >= k / 4, np.exp(-4 * (time - k / 4).clip(0)), 0)
        * (np.sin(2 * np.pi * note * time) + 0.25 * np.sin(6 * np.pi * note * time))
        for k, note in enumerate(notes)
    )
    sounds = {
        "gun_shot": shots * rng.normal(size=len(time)),
        "car_horn": horn * (time % 1.3 < 0.8),
        "street_music": tune,
    }
    for name, sound in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", 0.5 * sound / np.abs(sound).max(), rate)
    rows = "".join(f"{name}.wav,{name}\n" for name in sounds)
    (tmp_path / "labels.csv").write_text(f"path,label\n{rows}")
    mapping = DOCS / "mappings/urbansound8k.csv"
    command = f"evaluate classify {tmp_path} --model audioset --mapping {mapping} -q --format json"
    done = CliRunner().invoke(cli, shlex.split(command))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["total"]["accuracy"] == 1


def test_mappings_that_are_wrong(tmp_path: Path) -> None:
    table = tmp_path / "m.csv"
    for text, message in (
        ("label,class\ndog,Dogg\n", "line 2: the model has no class 'Dogg': did you mean 'Dog'"),
        ("label,class\n,Dog\n", "line 2: has no label"),
        ("label,class\n", "holds no pairs"),
        ("a,b\n", "needs the columns"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            read_mapping(table, ["Dog", "Cat"])
    with pytest.raises(DataError, match="cannot be read"):
        read_mapping(tmp_path / "none.csv", [])


def test_a_label_is_as_probable_as_its_likeliest_class() -> None:
    found = mapped(np.array([[0.6, 0.2, 0.3]]), ["a", "b", "c"], {"x": ["a", "b"], "y": ["c"]})
    np.testing.assert_allclose(found, [[0.6, 0.3]])
