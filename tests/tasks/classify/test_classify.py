"""Classifiers on signals whose answers are known: streams, segments, answers, heads, training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from stopping import stop_at
from torch import nn

from audiocli.errors import AudioError, ModelError, UsageError
from audiocli.nn import clipwise, models, registry
from audiocli.nn.clipwise import ClipNetwork, Head
from audiocli.nn.fit import Epoch, FitConfig
from audiocli.nn.frontend import FilterbankConfig
from audiocli.tasks.classify import classifier as classifiers
from audiocli.tasks.classify import heads, pooling, training
from audiocli.tasks.classify.classifier import Classifier, Encoder
from audiocli.tasks.classify.clips import LabelledClip, Selection
from audiocli.tasks.classify.decisions import Track, decode, merged, probable
from audiocli.tasks.classify.encoders import EncoderPart, encoders_of, find_encoder, load_encoder
from audiocli.tasks.classify.examples import (
    AUGMENTATIONS,
    Augmentation,
    Examples,
    augmented,
    load,
    masked,
)
from audiocli.tasks.classify.splits import Split, chosen_scores, gather
from audiocli.tasks.classify.training import TrainingConfig, logits_of

RATE = 8000
BANK = FilterbankConfig(RATE, (256,), 80, 12, fmin=100.0, fmax=4000.0, difference=False)
WIDE = FilterbankConfig(16_000, (512,), 320, 10, fmin=100.0, fmax=8000.0, difference=False)
PITCH = {"low": 300.0, "high": 2500.0}


def tone(*names: str, seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """One tone after another, (channels, samples)."""
    time = np.arange(round(seconds * rate)) / rate
    sound = np.concatenate([0.3 * np.sin(2 * np.pi * PITCH[name] * time) for name in names])
    sound += 1e-3 * np.random.default_rng(0).standard_normal(len(sound))
    return np.tile(sound.astype(np.float32), (channels, 1))


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((1, samples)).astype(np.float32)


def pieces(audio: np.ndarray, sizes: list[int]) -> Iterator[np.ndarray]:
    begin = index = 0
    while begin < audio.shape[-1]:
        size = sizes[index % len(sizes)]
        yield audio[..., begin : begin + size]
        begin, index = begin + size, index + 1


def save(
    folder: Path,
    labels: list[str],
    *,
    bank: FilterbankConfig = BANK,
    encoder: Path | None = None,
    seed: int | None = None,
    step: int = 10,
    **config: Any,
) -> Path:
    """Save a network whose labels are low, high and others; or, with a seed, a random one."""
    arguments: dict[str, Any] = {"num_outputs": len(labels), "num_layers": 0, "stride": step}
    architecture = "clip-mlp"
    if encoder is not None:
        its = json.loads((encoder / "config.json").read_text())
        architecture = "head"
        arguments = {"num_outputs": len(labels), "inputs": 2 * bank.bands}
        named = {"name": encoder.name, "weights_sha256": its["weights_sha256"]}
        config["encoders"] = [named]
    torch.manual_seed(seed or 0)
    network = models.build(architecture, bank, arguments)
    head = network.head if isinstance(network, ClipNetwork) else network
    if isinstance(head, Head) and seed is None:
        linear = head.layers[-1]
        assert isinstance(linear, nn.Linear)
        half = bank.bands // 2
        with torch.no_grad():
            linear.weight.zero_()
            linear.bias.fill_(-20.0)
            linear.bias[:2] = 0.0
            linear.weight[0, :half] = linear.weight[1, half : bank.bands] = 1.0
    facts = {"task": folder.parent.name, "labels": labels, "decoder": {}, "training": {}}
    facts |= {"architecture": architecture, "arguments": arguments, "scores": [], **config}
    return models.save(network, folder, facts).folder


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shelf")
    shared = save(root / "encode" / "shared", [])
    wide = save(root / "encode" / "wide", [], bank=WIDE)
    save(root / "classify" / "pitch", ["low", "high"])
    save(root / "classify" / "headed", ["low", "high", "none"], encoder=shared,
         decoder={"temperature": 2.0, "unknown": 0.4},
         axes={"up": {"low": -1, "high": 1}})  # fmt: skip
    save(root / "classify" / "other", ["a", "b", "c"], encoder=shared, seed=5)
    save(root / "classify" / "wide", ["low", "high"], encoder=wide, bank=WIDE)
    save(root / "classify" / "fine", ["x", "y"], seed=7, step=1)
    save(root / "tag" / "pitch", ["low", "high"], encoder=shared, decoder={"threshold": 0.25})
    return root


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch, shelf: Path) -> Path:
    monkeypatch.setattr(registry, "roots", lambda: [shelf])
    return shelf


def infer(
    classifier: Classifier, audio: np.ndarray, sizes: list[int] | None = None, rate: int = RATE
) -> list[Track]:
    return classifier.stream(pieces(audio, sizes or [4096]), rate)


def close(one: Track, other: Track, atol: float = 1e-5) -> None:
    assert one.labels == other.labels and one.threshold == other.threshold
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=atol)
    np.testing.assert_allclose(one.starts, other.starts)
    np.testing.assert_allclose(one.ends, other.ends)


# Whole recordings


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("name", ["pitch", "headed", "wide"])
def test_tones_are_told_apart(named: Path, name: str, rate: int) -> None:
    classifier = Classifier("classify", [name], device="cpu")
    for pitch in PITCH:
        [track] = infer(classifier, tone(pitch, rate=rate, channels=2), rate=rate)
        assert (track.model, track.task, track.best) == (name, "classify", [pitch])
        assert track.probabilities.shape == (1, len(track.labels))
        assert track.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert track.seconds == pytest.approx(1.0)
        assert (track.starts.tolist(), track.ends.tolist()) == ([0.0], [track.seconds])


def test_the_temperature_and_axes_of_the_model_count(named: Path) -> None:
    audio = tone("low", "high", "high")
    [plain], [track] = (
        infer(Classifier("classify", [name]), audio) for name in ("pitch", "headed")
    )
    odds = np.log(plain.probabilities[0, 1] / plain.probabilities[0, 0])
    assert np.log(track.probabilities[0, 1] / track.probabilities[0, 0]) == pytest.approx(odds / 2)
    assert (plain.threshold, track.threshold) == (0.0, 0.4)
    low, high, _ = track.probabilities[0]
    assert track.axes["up"].tolist() == pytest.approx([high - low])
    assert not plain.axes


@settings(max_examples=10)
@given(
    st.lists(st.integers(1, 9000), min_size=1, max_size=4),
    st.sampled_from([RATE, 11_025]),
    st.sampled_from([None, 0.7]),
)
def test_blocks_of_any_size_say_the_same(
    shelf: Path, sizes: list[int], rate: int, segment: float | None
) -> None:
    folders = [str(shelf / "classify" / name) for name in ("pitch", "other", "fine")]
    classifier = Classifier("classify", folders, device="cpu", segment=segment)
    audio = noise(20_011)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clipwise, "SEGMENT", 0.5)
        whole = infer(classifier, audio, [100_000], rate)
        for one, other in zip(infer(classifier, audio, sizes, rate), whole, strict=True):
            close(one, other)


def test_twice_as_loud_says_the_same(named: Path) -> None:
    classifier = Classifier(None, ["tag/pitch", "classify/headed"], segment=0.5, hop=0.2)
    for quiet, loud in zip(
        infer(classifier, tone("low", "high")),
        infer(classifier, 2 * tone("low", "high")),
        strict=True,
    ):
        # But for the rounding to 16 bits, which comes first.
        np.testing.assert_allclose(quiet.probabilities, loud.probabilities, atol=1e-3)


@pytest.mark.parametrize("segment", [None, 0.5])
@pytest.mark.parametrize("rate", [8000, 44_100])
@pytest.mark.parametrize("samples", [1, 2, 255, 20_000])
def test_silence_and_next_to_nothing(
    named: Path, samples: int, rate: int, segment: float | None
) -> None:
    names = ["tag/pitch", "classify/headed", "classify/wide", "classify/fine"]
    classifier = Classifier(None, names, segment=segment)
    nothing = np.zeros((2, samples), np.float32)
    for blocks in ([nothing], [nothing[:, :0], nothing]):
        for track in classifier.stream(blocks, rate):
            assert np.isfinite(track.probabilities).all()
            assert len(track.probabilities) == len(track.starts) == len(track.ends) >= 1
            assert track.seconds == track.ends[-1] == samples / rate
            assert np.all(track.ends >= track.starts)
            merged(track), decode(track)


def test_short_clips_are_processed_as_in_training(named: Path) -> None:
    """Also where they are shorter than a window: no silence is put behind them."""
    network = models.load(registry.find("classify", "pitch"))
    assert isinstance(network, ClipNetwork)
    for samples in (1, 30, 100, 255, 3000):
        clip = (10_000 * np.sin(np.arange(samples))).astype(np.int16)
        audio = clip.astype(np.float32)[None] / 32768
        [track] = infer(Classifier("classify", ["pitch"]), audio)
        expected = probable(logits_of(network, [clip]), "classify")
        np.testing.assert_allclose(track.probabilities, expected, atol=1e-5)
        pooled = heads._pooled(
            [(EncoderPart(registry.find("classify", "pitch")), network)], audio[0]
        )
        head = network.head
        assert head is not None
        logits = head(torch.from_numpy(pooled[None])).detach().numpy()
        np.testing.assert_allclose(probable(logits, "classify"), expected, atol=1e-5)


def test_a_long_recording_in_segments_says_nearly_the_same(
    named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier("classify", ["headed", "other", "fine"])
    audio = noise(50_000)
    whole = infer(classifier, audio)
    monkeypatch.setattr(clipwise, "SEGMENT", 0.6)
    monkeypatch.setattr(clipwise, "CONTEXT", 0.2)
    for one, other in zip(infer(classifier, audio), whole, strict=True):
        close(one, other, 0.01)


@pytest.mark.parametrize("samples", [0, 100, 7999, 8000, 8001, 30_000])
def test_the_speech_model_gets_excerpts_if_nothing_else_uses_its_encoder(
    samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the first second, and a quarter of each that follows: 10 steps a second."""
    monkeypatch.setattr(classifiers, "EVERY", 1.0)
    monkeypatch.setattr(classifiers, "EXCERPT", 0.25)
    network = models.build("clip-mlp", BANK, {"num_outputs": 0, "hidden_size": 4}).eval()
    encoder = pooling.SharedEncoder(network, sparse=True)
    audio = noise(samples)[0]
    parts = list(classifiers._sparse_steps(encoder, pieces(audio, [3000, 11])))
    assert [len(part) for part in parts] == [
        -(-(1 + min(left, 8000 if not place else 2000) // 80) // 10)
        for place, left in enumerate(range(samples, -1 if samples == 0 else 0, -8000))
    ]
    whole = np.concatenate(list(clipwise.steps_of_stream(network, [audio[:8000]])))
    np.testing.assert_allclose(parts[0], whole, atol=1e-5)


def test_several_models_equal_each_alone(named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipwise, "SEGMENT", 0.7)
    names = ["classify/headed", "classify/fine", "tag/pitch", "classify/wide", "classify/other",
             "classify/pitch"]  # fmt: skip
    pooled: list[type] = []
    compute = ClipNetwork.embed_frames

    def count(network: ClipNetwork, audio: torch.Tensor) -> torch.Tensor:
        pooled.append(type(network.head))
        return compute(network, audio)

    for rate in (RATE, 11_025):
        for options in ({}, {"segment": 0.8, "hop": 0.3}):
            together = infer(Classifier(None, names, **options), tone("low", "high"), [999], rate)
            for name, track in zip(names, together, strict=True):
                [alone] = infer(Classifier(None, [name], **options), tone("low", "high"), rate=rate)
                close(track, alone)
                assert f"{track.task}/{track.model}" == name
    monkeypatch.setattr(ClipNetwork, "embed_frames", count)
    infer(Classifier(None, ["classify/headed", "tag/pitch", "classify/other"]), tone("low"))
    shared = len(pooled)
    infer(Classifier(None, ["classify/headed"]), tone("low"))
    assert len(pooled) == 2 * shared  # three models, and the encoder got each second once


def test_an_encoder_gives_the_mean_of_its_features(named: Path) -> None:
    encoder = Encoder("shared")
    audio = noise(12_345)
    network = models.load(encoder.entry)
    assert isinstance(network, ClipNetwork)
    with torch.no_grad():
        expected = network.embed(torch.from_numpy(audio))[0].mean(dim=1).numpy()
    np.testing.assert_allclose(encoder.stream(pieces(audio, [777]), RATE), expected, atol=1e-5)
    for nothing in ([], [np.zeros((1, 9000), np.float32)]):
        with pytest.raises(AudioError, match="no samples|is silent"):
            encoder.stream(nothing, RATE)
    with pytest.raises(ModelError, match="not for 'encode'"):
        Encoder("classify/pitch")


# Along time


@pytest.mark.parametrize(
    ("segment", "hop"),
    [(0.5, None), (0.5, 0.1), (0.3, 0.2), (1.0, 0.5), (5.0, None), (0.01, None), (0.02, 0.01)],
)
@pytest.mark.parametrize("name", ["fine", "pitch"])
def test_segments_cover_the_recording(
    named: Path, segment: float, hop: float | None, name: str
) -> None:
    classifier = Classifier("classify", [name], segment=segment, hop=hop)
    for samples in (1, 7999, 8000, 8001, 8079, 8081, 12_000, 20_000):
        [track] = infer(classifier, noise(samples))
        covered(track, samples / RATE, {"fine": 0.01, "pitch": 0.1}[name], segment, hop)


def covered(track: Track, seconds: float, step: float, segment: float, hop: float | None) -> None:
    length, distance = max(segment, step), max(hop or segment, step)
    assert (track.starts[0], track.ends[-1]) == (0.0, seconds)
    assert np.all(track.ends - track.starts <= length + step + 1e-9)
    assert np.all(track.ends[:-1] - track.starts[:-1] >= length - 1e-9)
    assert np.all(track.ends > track.starts)
    np.testing.assert_allclose(np.diff(track.starts), distance)
    assert np.all(track.starts[1:] <= track.ends[:-1] + 1e-9)  # no gap
    assert np.all(track.ends[:-2] < seconds)  # nor one that is processed for nothing
    assert len(track.probabilities) == len(track.starts)
    assert np.isfinite(track.probabilities).all()


def test_gaps_between_segments_do_not_count(named: Path) -> None:
    classifier = Classifier("classify", ["pitch"], segment=0.5, hop=1.0)
    for repeats, count in ((1, 2), (2, 4)):
        sound = np.tile(tone("low", "high", seconds=0.5), repeats)
        sound = np.concatenate([sound, sound], axis=1)
        [track] = infer(classifier, sound)
        assert track.best == ["low"] * count
        assert track.ends.tolist() == pytest.approx((track.starts + 0.5).tolist())


def test_each_segment_is_what_it_would_be_alone(named: Path) -> None:
    """But for a window's reach over its borders."""
    classifier = Classifier("classify", ["headed"], segment=1.0)
    [track] = infer(classifier, tone("low", "high", "high", "low"))
    assert track.best == ["low", "high", "high", "low"]
    whole = Classifier("classify", ["headed"])
    for row, name in zip(track.probabilities, track.best, strict=True):
        [alone] = infer(whole, tone(name))
        np.testing.assert_allclose(row, alone.probabilities[0], atol=0.1)


def test_one_long_segment_is_the_recording(named: Path) -> None:
    names = ["headed", "other", "fine"]
    for audio in (noise(17_000), tone("low", "high"), noise(50)):
        whole = infer(Classifier("classify", names), audio)
        for hop in (None, 1.0):
            one = Classifier("classify", names, segment=60.0, hop=hop)
            for track, other in zip(infer(one, audio), whole, strict=True):
                close(track, other)


def test_segments_of_a_long_recording_do_not_pile_up(
    named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier("classify", ["other", "headed"], segment=0.4, hop=0.1)
    audio = noise(60_000)
    plain = infer(classifier, audio)
    monkeypatch.setattr(pooling, "WAITING", 5)
    monkeypatch.setattr(clipwise, "SEGMENT", 1.0)
    kept: list[int] = []
    add = pooling.Pooler.add

    def watch(self: Any, part: np.ndarray) -> None:
        add(self, part)
        kept.append(len(self.pooled) * 3 + len(self.kept))

    monkeypatch.setattr(pooling.Pooler, "add", watch)
    for one, other in zip(infer(classifier, audio, [500]), plain, strict=True):
        close(one, other, 0.02)
    assert len(kept) > 5 and max(kept) < 20


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_segments_that_cannot_be(named: Path, wrong: float) -> None:
    for options in ({"segment": wrong}, {"segment": 1.0, "hop": wrong}):
        with pytest.raises(UsageError, match="longer than 0 s"):
            Classifier("classify", ["pitch"], **options)


# Models


def test_wrong_models_are_refused(named: Path) -> None:
    for names, error, message in (
        (["pich"], UsageError, "did you mean 'pitch'"),
        (["encode/shared"], ModelError, "not for 'classify'"),
        (["tag/pitch"], ModelError, "not for 'classify'"),
    ):
        with pytest.raises(error, match=message):
            Classifier("classify", names)
    with pytest.raises(ModelError, match="not for classes or tags"):
        Classifier(None, ["encode/shared"])
    both = Classifier(None, ["tag/pitch", "classify/pitch"])
    assert [entry.task for entry in both.entries] == ["tag", "classify"]


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    shared = save(tmp_path / "encode" / "shared", [], seed=1)
    head = save(tmp_path / "classify" / "headed", ["a", "b"], encoder=shared)
    assert Classifier("classify", [str(head)]).entries[0].name == "headed"
    save(tmp_path / "encode" / "shared", [], bank=WIDE)  # another of the name: other weights
    with pytest.raises(ModelError, match="^headed: was trained with another encoder .*'shared'"):
        Classifier("classify", [str(head)])
    for file in (tmp_path / "encode" / "shared").iterdir():
        file.unlink()
    with pytest.raises(ModelError, match="^headed: its encoder is missing: no model 'shared'"):
        Classifier("classify", [str(head)])


def test_an_encoder_is_found_beside_its_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = save(tmp_path / "runs" / "mine", [], task="encode")
    head = save(tmp_path / "runs" / "headed", ["a", "b"], encoder=encoder, task="classify")
    assert [
        encoder_part.entry.folder for encoder_part in encoders_of(registry.open_folder(head))
    ] == [encoder]
    # By paths from inside, too.
    monkeypatch.chdir(tmp_path / "runs")
    assert str(encoders_of(registry.find("classify", "./headed"))[0]) == "mine"
    monkeypatch.chdir(head)
    assert str(encoders_of(registry.find("classify", "."))[0]) == "mine"


def test_a_head_takes_two_encoders_side_by_side(tones: Path, tmp_path: Path) -> None:
    one = save(tmp_path / "one", [], task="encode", seed=1)
    two = save(tmp_path / "two", [], task="encode", bank=replace(BANK, fmin=300.0))  # other bands
    fitting = heads.Fitting("classify", (str(one), str(two)), AUGMENTATIONS["none"])
    entry = heads.train([tones], tmp_path / "both", fitting, Selection(group="artist"), parts=2)
    assert [encoder_part.entry.folder for encoder_part in encoders_of(entry)] == [one, two]
    assert entry.config["arguments"]["inputs"] == 4 * BANK.bands
    networks = [
        load_encoder(registry.open_folder(each), torch.device("cpu")) for each in (one, two)
    ]
    head = models.load(entry)
    audio = tone("low")
    with torch.no_grad():
        features = [each.pooled(torch.from_numpy(audio)) for each in networks]
        assert not torch.allclose(features[0], features[1], atol=0.1)
        logits = head(torch.cat(features, dim=1)).numpy()
    expected = probable(logits / entry.config["decoder"]["temperature"], "classify")
    [track] = infer(Classifier("classify", [str(entry.folder)]), audio)
    np.testing.assert_allclose(track.probabilities, expected, atol=1e-4)
    # Beside a model that shares one of the two, and stretch by stretch, nothing changes.
    other = save(tmp_path / "other", ["a", "b"], task="classify", encoder=two, seed=3)
    names = [str(entry.folder), str(other)]
    together = infer(Classifier("classify", names, segment=0.4, hop=0.2), audio)
    for name, track in zip(names, together, strict=True):
        [alone] = infer(Classifier("classify", [name], segment=0.4, hop=0.2), audio)
        close(track, alone)
        assert len(track.starts) > 1


def test_a_head_on_two_parts_of_one_encoder(tones: Path, tmp_path: Path) -> None:
    arguments = {"filters": [[3, 2, 2, 2, 2]], "lengths": [4, 3, 2], "hidden": 3, "units": 5,
                 "frames": 10, "peaks": True}  # fmt: skip
    torch.manual_seed(0)
    facts = {"task": "encode", "labels": [], "decoder": {}, "training": {}, "scores": [],
             "architecture": "clip-musicnn", "arguments": arguments}  # fmt: skip
    one = models.save(models.build("clip-musicnn", BANK, arguments), tmp_path / "one", facts).folder
    answers = []
    for parts in ([":dense", ":peaks"], [""]):
        encoders = tuple(f"{one}{part}" for part in parts)
        fitting = heads.Fitting("classify", encoders, AUGMENTATIONS["none"])
        folder = tmp_path / f"of{len(parts)}"
        heads.train([tones], folder, fitting, Selection(group="artist"), parts=2)
        [track] = infer(Classifier("classify", [str(folder)], segment=0.4), tone("low"))
        answers.append(track.probabilities)
    np.testing.assert_allclose(*answers, atol=0.01)  # together the parts are the whole


def test_encoders_that_do_not_keep_step_are_refused(tones: Path, tmp_path: Path) -> None:
    one = save(tmp_path / "one", [], task="encode", seed=1)
    two = save(tmp_path / "two", [], task="encode", seed=2, step=4)
    fitting = heads.Fitting("classify", (str(one), str(two)), AUGMENTATIONS["none"])
    with pytest.raises(UsageError, match="encoders: one, two have steps of different"):
        heads.train([tones], tmp_path / "both", fitting, Selection(), parts=2)
    head = save(tmp_path / "head", ["a", "b"], task="classify", encoder=one)
    stored = json.loads((head / "config.json").read_text())
    its = json.loads((two / "config.json").read_text())
    stored["encoders"].append({"name": "two", "weights_sha256": its["weights_sha256"]})
    (head / "config.json").write_text(json.dumps(stored))
    with pytest.raises(ModelError, match="config.json: 2 labels and 48 features do not fit"):
        Classifier("classify", [str(head)])
    sizes = {"inputs": 4 * BANK.bands, "num_outputs": 2}
    wide = models.save(
        models.build("head", BANK, sizes), tmp_path / "wide", {**stored, "arguments": sizes}
    )
    with pytest.raises(ModelError, match="config.json: its encoders do not keep step"):
        Classifier("classify", [str(wide.folder)])
    stored = json.loads((head / "config.json").read_text())
    stored["encoders"] = [{**stored["encoders"][0], "part": "peaks"}]
    (head / "config.json").write_text(json.dumps(stored))
    with pytest.raises(ModelError, match="config.json: of its encoder, no part 'peaks'"):
        Classifier("classify", [str(head)])


def test_a_part_of_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    music = find_encoder("music:peaks")
    assert (str(music), music.part) == ("music:peaks", "peaks")
    assert find_encoder("general").part is None
    one = save(tmp_path / "a:b" / "one", [], task="encode")
    monkeypatch.chdir(tmp_path)
    assert find_encoder("a:b/one").entry.folder.resolve() == one  # the colon is the path's
    for wrong in ("music:", "one:peaks"):
        encoder = wrong if wrong.startswith("music") else f"a:b/{wrong}"
        fitting = heads.Fitting("classify", (encoder,), AUGMENTATIONS["none"])
        with pytest.raises(UsageError, match="no part"):
            heads.train([tmp_path], tmp_path / "no", fitting, Selection())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["a"]}, "1 labels and 24 features do not fit its weights"),
        ({"labels": ["a", "b", "c"]}, "3 labels and 24 features"),
        ({"decoder": {"temperature": 0}}, "decoder settings are damaged"),
        ({"decoder": {"temperature": "warm"}}, "decoder settings are damaged"),
        ({"decoder": {"unknown": -1}}, "decoder settings are damaged"),
    ],
)
def test_damaged_configurations_are_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    folder = save(tmp_path / "classify" / "pitch", ["low", "high"])
    stored = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**stored, **change}))
    with pytest.raises(ModelError, match=message) as caught:
        Classifier("classify", [str(folder)])
    assert "config.json" in str(caught.value) and "\n" not in str(caught.value)


def test_networks_of_other_kinds_are_refused(tmp_path: Path, shelf: Path) -> None:
    other = FilterbankConfig(bands=8, n_ffts=(1024,))
    arguments = {"hidden_size": 2, "num_layers": 1, "recurrent_layers": []}
    facts = {"task": "classify", "architecture": "frame-rnn", "arguments": arguments,
             "labels": ["a"], "decoder": {}, "training": {}, "scores": []}  # fmt: skip
    folder = models.save(models.build("frame-rnn", other, arguments), tmp_path / "a", facts).folder
    with pytest.raises(ModelError, match="'frame-rnn', which tells no classes"):
        Classifier("classify", [str(folder)])
    encoder = save(tmp_path / "encode" / "mine", [])
    its = json.loads((encoder / "config.json").read_text())
    named = {"name": "mine", "weights_sha256": its["weights_sha256"]}
    folder = tmp_path / "classify" / "b"
    models.save(models.build("frame-rnn", other, arguments), folder, {**facts, "encoders": [named]})
    with pytest.raises(ModelError, match="'frame-rnn', which tells no classes"):
        Classifier("classify", [str(folder)])
    trunk = save(tmp_path / "classify" / "c", [], encoder=None)  # a classifier without outputs
    with pytest.raises(ModelError, match="tells no classes"):
        Classifier("classify", [str(trunk)])


# Answers


def track(
    rows: list[list[float]],
    *,
    task: str = "classify",
    threshold: float = 0.0,
    labels: tuple[str, ...] = ("a", "b", "c"),
    hop: float = 1.0,
    length: float = 1.0,
) -> Track:
    starts = hop * np.arange(len(rows))
    seconds = float(starts[-1] + length)
    return Track("m", task, labels, np.array(rows, np.float32), starts, starts + length,
                 seconds, threshold)  # fmt: skip


def answers(found: list[list[tuple[str, float]]]) -> list[str]:
    return [" ".join(label for label, _ in each) for each in found]


def test_the_best_labels_come_first() -> None:
    some = track([[0.2, 0.7, 0.1], [0.3, 0.3, 0.4], [0.5, 0.25, 0.25]])
    assert answers(decode(some)) == ["b a c", "c a b", "a b c"]
    assert answers(decode(some, top=2)) == ["b a", "c a", "a b"]
    assert [share for _, share in decode(some)[0]] == pytest.approx([0.7, 0.2, 0.1])


def test_unknown_comes_before_what_is_not_sure() -> None:
    some = track([[0.2, 0.7, 0.1], [0.3, 0.3, 0.4]], threshold=0.5)
    assert answers(decode(some)) == ["b a c", "unknown c a b"]
    assert answers(decode(some, top=1)) == ["b", "unknown"]
    assert decode(some)[1][0] == ("unknown", pytest.approx(np.nan, nan_ok=True))
    assert answers(decode(some, top=1, threshold=0.8)) == ["unknown", "unknown"]
    assert answers(decode(some, top=1, threshold=0.0)) == ["b", "c"]
    own = track([[0.2, 0.7, 0.1]], threshold=0.9, labels=("a", "unknown", "c"))
    assert answers(decode(own)) == ["unknown a c"]  # a class of the model's own, given once


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_silent_segments_are_no_sound(named: Path, rate: int) -> None:
    loud = np.random.default_rng(0).normal(scale=0.1, size=(1, 3 * rate)).astype(np.float32)
    audio = np.concatenate([loud, 0 * loud, 0 * loud], axis=1)
    for sizes in ([audio.shape[1]], [777, 10_001]):
        classifier = Classifier(None, ["classify/headed", "tag/pitch"], segment=0.5)
        for found in classifier.stream(pieces(audio, sizes), rate):
            middle = (found.starts + found.ends) / 2
            silent = [labels[0][0] == "silence" for labels in decode(found, top=1)]
            assert all(np.array(silent)[middle > 3.5]) and not any(np.array(silent)[middle < 2.5])
            assert all(np.isnan(decode(found)[-1][0][1:]))
            assert merged(found, threshold=0.01).ends.max(initial=0.0) < 3.6


def test_tags_that_reach_the_threshold() -> None:
    some = track([[0.9, 0.5, 0.1], [0.1, 0.2, 0.3]], task="tag", threshold=0.5)
    assert answers(decode(some)) == ["a b", ""]
    assert answers(decode(some, top=2)) == ["a b", "c b"]
    assert answers(decode(some, top=1)) == ["a", "c"]
    assert answers(decode(some, threshold=0.15)) == ["a b", "c b"]
    assert answers(decode(some, top=1, threshold=0.15)) == ["a", "c"]
    assert answers(decode(some, top=1, threshold=0.95)) == ["", ""]


def test_segments_of_one_label_are_one_event() -> None:
    rows = [[0.9, 0.1, 0], [0.7, 0.3, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0.1, 0.2, 0.7]]
    events = merged(track(rows))
    assert events.labels == ("a", "b", "a", "c")
    assert events.starts.tolist() == [0, 2, 3, 4] and events.ends.tolist() == [2, 3, 4, 5]
    assert events.confidences == pytest.approx([0.8, 0.8, 0.6, 0.7])
    assert events.duration == 5.0 and events.metadata == {"model": "m"}
    events = merged(track(rows), threshold=0.7)
    assert events.labels == ("a", "b", "c")  # what is not sure is nobody's
    assert events.ends.tolist() == [2, 3, 5]
    assert len(merged(track(rows), threshold=0.95)) == 0


def test_overlapping_segments_part_half_way() -> None:
    rows = [[0.9, 0.1, 0]] * 2 + [[0.1, 0.9, 0]] * 3
    events = merged(track(rows, hop=0.5, length=2.0))
    assert events.labels == ("a", "b")
    assert events.starts.tolist() == [0.0, 1.75]  # middles are 1.0, 1.5 | 2.0, 2.5, 3.0
    assert events.ends.tolist() == [1.75, 4.0]


def test_tags_have_events_each() -> None:
    rows = [[0.9, 0.1, 0.6], [0.8, 0.7, 0.2], [0.1, 0.9, 0.6]]
    events = merged(track(rows, task="tag", threshold=0.5))
    found = list(zip(events.labels, events.starts, events.ends, strict=True))
    assert found == [("c", 0, 1), ("a", 0, 2), ("b", 1, 3), ("c", 2, 3)]
    assert len(merged(track(rows, task="tag", threshold=0.95))) == 0


def test_events_leave_the_unknown_out() -> None:
    rows = [[0.9, 0.1, 0], [0.1, 0.9, 0], [0.9, 0.1, 0]]
    events = merged(track(rows, labels=("a", "unknown", "c")))
    assert events.labels == ("a", "a") and events.starts.tolist() == [0, 2]


@given(
    st.lists(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=9),
    st.floats(0, 1),
    st.sampled_from([0.3, 1.0]),
)
def test_events_agree_with_the_answers(
    rows: list[list[float]], threshold: float, hop: float
) -> None:
    for task in ("tag", "classify"):
        some = track(rows, task=task, threshold=threshold, hop=hop)
        events = merged(some)
        assert np.all(events.ends > events.starts)
        assert events.confidences is None or np.all(events.confidences >= np.float32(threshold))
        length = sum(events.ends - events.starts)
        if task == "classify":
            assert length <= some.seconds + 1e-6
        for label in some.labels:
            own = np.array([name == label for name in events.labels], bool)
            assert np.all(events.ends[own][:-1] < events.starts[own][1:])


def test_logits_become_probabilities() -> None:
    logits = np.array([[1000.0, 0.0, -1000.0], [1.0, 1.0, 1.0]], np.float32)
    np.testing.assert_allclose(probable(logits, "classify"), [[1, 0, 0], [1 / 3] * 3], atol=1e-6)
    half = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(probable(logits, "tag"), [[1, 0.5, 0], [half] * 3], atol=1e-6)


# Examples


@pytest.mark.parametrize("how", AUGMENTATIONS)
@pytest.mark.parametrize("length", [0, 1, 50, 900, 5000])
@pytest.mark.parametrize("samples", [1, 800])
def test_pieces_of_clips_are_finite(how: str, length: int, samples: int) -> None:
    audio = (20_000 * np.cos(np.arange(length))).astype(np.int16)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        piece = augmented(audio, samples, RATE, AUGMENTATIONS[how], rng)
        assert piece.shape == (samples,) and piece.dtype == np.float32
        assert np.isfinite(piece).all() and np.abs(piece).max() <= 1 + 1e-6
        if length and samples > 1:
            assert np.abs(piece).max() == pytest.approx(1, abs=1e-5)


def test_a_short_clip_stands_whole_in_silence() -> None:
    audio = np.arange(1, 101, dtype=np.int16)
    places = set()
    for seed in range(20):
        piece = augmented(audio, 300, RATE, Augmentation(), np.random.default_rng(seed))
        there = np.flatnonzero(piece)
        places.add(int(there[0]))
        assert len(there) == 100
        np.testing.assert_allclose(piece[there], np.arange(1, 101) / 100, rtol=1e-6)
    assert len(places) > 10


def test_mixed_targets_add_up_to_one() -> None:
    clips = [np.full(800, level, np.int16) for level in (100, 2000, 30_000)]
    how = Augmentation(mix=0.5)
    maker = Examples(clips, np.eye(3, dtype=np.float32), RATE, 0.1, how)
    audio, targets = maker.batch(200, np.random.default_rng(0))
    assert torch.allclose(targets.sum(dim=1), torch.ones(200), atol=1e-6)
    mixed = (targets > 0).sum(dim=1)
    assert set(mixed.tolist()) == {1, 2} and 20 < (mixed == 2).sum() < 120
    again, same = maker.batch(200, np.random.default_rng(0))
    assert torch.equal(audio, again) and torch.equal(targets, same)
    plain = Examples(clips, np.eye(3, dtype=np.float32), RATE, 0.1, AUGMENTATIONS["none"])
    assert set(plain.batch(50, np.random.default_rng(0))[1].flatten().tolist()) == {0.0, 1.0}


def test_rare_labels_are_drawn_as_often() -> None:
    clips = [np.ones(10, np.int16)] * 20
    targets = np.zeros((20, 3), np.float32)  # the third label: nowhere
    targets[:19, 0] = targets[19, 1] = 1
    shares = {}
    for balanced in (True, False):
        maker = Examples(clips, targets, RATE, 0.001, Augmentation(), balanced=balanced)
        shares[balanced] = maker.batch(2000, np.random.default_rng(0))[1].mean(dim=0).tolist()
    assert shares[True] == pytest.approx([0.5, 0.5, 0], abs=0.05)
    assert shares[False] == pytest.approx([0.95, 0.05, 0], abs=0.02)


def test_masks_blank_a_stretch_of_bands_and_of_frames() -> None:
    images = torch.ones(300, 2, 20, 50)
    assert torch.equal(masked(images, 0.0), images)
    rng = torch.Generator().manual_seed(0)
    blank = masked(images, 0.4, rng) == 0
    assert torch.equal(blank[:, 0], blank[:, 1])  # all channels alike
    bands, frames = blank[:, 0].all(dim=2), blank[:, 0].all(dim=1)
    assert torch.equal(blank[:, 0], bands.unsqueeze(2) | frames.unsqueeze(1))
    for part, size in ((bands, 20), (frames, 50)):
        widths = part.sum(dim=1)
        assert widths.max() <= 0.4 * size + 1 and widths.float().mean() == pytest.approx(
            0.2 * size, rel=0.15
        )
        assert part.any(dim=0).all()  # nowhere is safe
        edges = part.int().diff(dim=1).abs().sum(dim=1)
        assert edges.max() <= 2  # one stretch
    assert len({row.nonzero().flatten().tolist()[0] for row in frames if row.any()}) > 10


def test_of_long_clips_the_middle_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiocli.tasks.classify.examples.LONGEST", 0.5)
    ramp = np.linspace(-1, 1, RATE)
    soundfile.write(tmp_path / "a.wav", np.stack([ramp, 0 * ramp], 1), RATE, subtype="FLOAT")
    clip = LabelledClip(tmp_path / "a.wav", "a.wav", tmp_path, ("x",))
    audio = load(clip, RATE)
    assert audio.dtype == np.int16
    np.testing.assert_allclose(audio / 32767, ramp[2000:6000] / 2, atol=1e-4)
    assert len(load(clip, 16_000)) == 8000


# Heads and training


def write(folder: Path, count: int, *, seconds: float = 0.6) -> Path:
    """Write clips of low and high tones, by artists a, b, c and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["path,label,artist"]
    for index in range(count):
        for label, pitch in PITCH.items():
            rng = np.random.default_rng([index, len(label)])
            time = np.arange(round(seconds * RATE)) / RATE
            sound = np.sin(2 * np.pi * pitch * rng.uniform(0.8, 1.25) * time)
            sound += 0.05 * rng.standard_normal(len(time))
            soundfile.write(folder / f"{label}{index}.wav", 0.3 * sound, RATE)
            rows.append(f"{label}{index}.wav,{label},{chr(97 + index)}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "tones", 4)


def test_heads_are_fitted_to_the_minimum() -> None:
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(60, 3)).astype(np.float32) * 10 + 4
    classes = (pooled[:, 0] + rng.normal(size=60) * 5 > 4).astype(int)
    targets, weights = np.eye(2, dtype=np.float32)[classes], np.ones(60, np.float32)
    for task in ("classify", "tag"):
        head = Head(BANK, inputs=3, num_outputs=2)
        heads.fit_head(head, pooled, targets, task, 0.01, weights)
        again = Head(BANK, inputs=3, num_outputs=2)
        heads.fit_head(again, pooled, targets, task, 0.01, weights)
        logits, others = (
            each.eval()(torch.from_numpy(pooled)).detach().numpy() for each in (head, again)
        )
        # From other weights to the same answers: there is one minimum.
        np.testing.assert_allclose(probable(logits, task), probable(others, task), atol=0.01)
        assert (logits.argmax(axis=1) == classes).mean() > 0.85
        # A free bias makes the mean probability the share of the label.
        assert probable(logits, task).mean(axis=0) == pytest.approx(targets.mean(axis=0), abs=1e-3)


def test_heads_may_be_on_means_alone() -> None:
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(60, 6)).astype(np.float32) + 2
    classes = (pooled[:, 0] + pooled[:, 3] > 4).astype(int)  # one mean, one deviation
    targets, weights = np.eye(2, dtype=np.float32)[classes], np.ones(60, np.float32)
    whole, means, alone = (Head(BANK, inputs=size, num_outputs=2) for size in (6, 6, 3))
    heads.fit_head(whole, pooled, targets, "classify", 0.01, weights)
    heads.fit_head(means, pooled, targets, "classify", 0.01, weights, added=[np.arange(3)])
    heads.fit_head(alone, pooled[:, :3].copy(), targets, "classify", 0.01, weights)
    weight = means.layers[-1].weight.detach()
    assert not weight[:, 3:].any() and whole.layers[-1].weight[:, 3:].any()
    torch.testing.assert_close(weight[:, :3], alone.layers[-1].weight.detach(), atol=0.02, rtol=0)


def test_heads_may_use_how_high_features_reach() -> None:
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(60, 6)).astype(np.float32) * [1, 1, 1, 4, 4, 4] + 2
    pooled = pooled.astype(np.float32)
    sums = pooled[:, :3] + pooled[:, 3:]
    classes = (sums[:, 0] > 4).astype(int)
    targets, weights = np.eye(2, dtype=np.float32)[classes], np.ones(60, np.float32)
    both, alone = (Head(BANK, inputs=size, num_outputs=2) for size in (6, 3))
    halves = [np.arange(3), np.arange(3, 6)]
    for whiten in (0.0, 0.4):
        for penalty in (1.0, 0.1):  # each goes on from the one before
            heads.fit_head(
                both, pooled, targets, "classify", penalty, weights, whiten=whiten, added=halves
            )
            heads.fit_head(alone, sums, targets, "classify", penalty, weights, whiten=whiten)
        found, wanted = (
            head.eval()(torch.from_numpy(inputs)).softmax(dim=1).detach()
            for head, inputs in ((both, pooled), (alone, sums))
        )
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=0)


def test_a_clip_of_one_step_has_the_usual_deviation() -> None:
    rng = np.random.default_rng(0)
    pooled = np.abs(rng.normal(size=(40, 4))).astype(np.float32)
    targets, weights = np.eye(2, dtype=np.float32)[np.arange(40) % 2], np.ones(40, np.float32)
    pooled[:, 2] += 4 * targets[:, 0]  # the deviation of the first feature tells the class
    usual = np.concatenate([pooled[0, :2], pooled[:, 2:].mean(axis=0)])
    pooled[::8, 2:] = np.nan  # of clips of a single step: these do not say what is usual
    usual[2:] = np.nanmean(pooled[:, 2:], axis=0)
    head = Head(BANK, inputs=4, num_outputs=2)
    heads.fit_head(head, pooled, targets, "classify", 0.01, weights)
    head.eval()
    assert all(value.isfinite().all() for value in head.state_dict().values())
    found, wanted = (head(torch.from_numpy(each)).softmax(dim=0) for each in (pooled[0], usual))
    torch.testing.assert_close(found, wanted)
    assert abs(found[0].item() - 0.5) < 0.45  # with no deviation at all it would be sure


def test_segments_of_one_step_are_processed_as_clips_of_one_step(tmp_path: Path) -> None:
    folder = save(tmp_path / "classify" / "mine", ["a", "b"], seed=3)
    network = models.load(registry.open_folder(folder))
    assert isinstance(network, ClipNetwork) and network.head is not None
    step = network.stride / network.frontend.config.frame_rate
    audio = tone("low") + 0.1 * np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    [track] = infer(Classifier("classify", [str(folder)], segment=step), audio)
    with torch.no_grad():
        steps = network.embed(torch.from_numpy(audio))[0].T
        logits = network.head(clipwise.pool(steps.unsqueeze(-1))).numpy()
    inner = slice(1, len(track.starts) - 1)  # recordings are padded otherwise than batches
    expected = probable(logits, "classify")
    assert expected[inner, 0].std() > 1e-4
    np.testing.assert_allclose(track.probabilities[inner], expected[inner], atol=1e-4)
    short = audio[:, : RATE // 100]
    [whole] = infer(Classifier("classify", [str(folder)]), short)
    [alone] = infer(Classifier("classify", [str(folder)], segment=step), short)
    np.testing.assert_array_equal(whole.probabilities, alone.probabilities)


@pytest.mark.parametrize("task", ["classify", "tag"])
def test_whitening_spares_what_differs_within_classes(task: str) -> None:
    """Two features share a large nuisance: their difference tells the class."""
    rng = np.random.default_rng(0)
    classes = np.arange(200) % 2
    nuisance = 5 * rng.normal(size=(200, 1))
    signs = np.array([1.0, -1.0])
    pooled = nuisance + signs * (2 * classes[:, None] - 1) + 0.5 * rng.normal(size=(200, 2))
    pooled = pooled.astype(np.float32)
    targets, weights = np.eye(2, dtype=np.float32)[classes], np.ones(200, np.float32)
    lean = []
    for whiten in (0.0, 0.5, 0.95):
        head = Head(BANK, inputs=2, num_outputs=2)
        nn.init.zeros_(head.layers[-1].weight)
        for _ in range(2):  # from the weights of the first, the second goes on
            heads.fit_head(head, pooled, targets, task, 3.0, weights, whiten=whiten)
        weight = head.layers[-1].weight.detach()
        # 0 is the difference of the two alone.
        lean.append(float(weight[1].sum().abs() / weight[1].abs().max()))
    assert lean[0] > lean[1] > lean[2] and lean[2] < 0.1


def test_whitening_is_a_share() -> None:
    for wrong in (-0.1, 1.0, float("nan")):
        with pytest.raises(UsageError, match="a share from 0 to less than 1"):
            heads.Fitting("classify", ("general",), whiten=wrong)


def test_cross_validation_scores_each_clip_once(tones: Path, tmp_path: Path, named: Path) -> None:
    fitting = heads.Fitting("classify", ("shared",), AUGMENTATIONS["none"])
    by = Selection(group="artist")
    entry = heads.train([tones], tmp_path / "classify" / "cv", fitting, by, parts=4)
    config = entry.config
    assert config["scores"][0]["value"] == 100.0
    assert "number of clips: 8" in config["scores"][0]["data"]
    assert "cross-validation in 4 parts by artist" in config["scores"][0]["data"]
    assert config["training"]["data"][0]["clips"] == 8
    assert config["training"]["groups"] == ["a", "b", "c", "d"]
    for wrong in ({"held_out": ["artist=a"]}, {"dev": [tones]}, {"fold": (0, 2)}):
        with pytest.raises(UsageError, match="^parts scores all"):
            heads.train([tones], tmp_path / "no", fitting, by, parts=4, **wrong)
    with pytest.raises(UsageError, match="holds a model already"):
        heads.train([tones], entry.folder, fitting, by)


def test_calibration_is_that_of_the_held_out_clips() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 4000)
    sure = np.where(rng.random(4000) < 0.8, 1, -1) * np.where(classes == 1, 1, -1)
    logits = np.stack([-sure, sure], 1).astype(np.float32) * 5  # says 0.99995, right in 0.8
    groups = [str(index) for index in range(4000)]
    decoder, scores = chosen_scores(
        logits, np.eye(2, dtype=np.float32)[classes], "classify", groups
    )
    assert probable(logits / decoder["temperature"], "classify").max() == pytest.approx(
        0.8, abs=0.02
    )
    assert decoder["unknown"] == 0.6  # of two classes, a fifth above chance
    found = {score["metric"]: score["value"] for score in scores}
    assert found["accuracy"] == pytest.approx(80, abs=2)
    assert found["expected calibration error"] < 1
    decoder, scores = chosen_scores(logits, np.eye(2, dtype=np.float32)[classes], "tag", groups[:])
    assert scores[0]["metric"] == "ROC AUC" and scores[0]["value"] == pytest.approx(80, abs=2)
    assert 0.2 < decoder["threshold"] <= 0.6


def test_encoders_are_scored_on_pairs() -> None:
    rng = np.random.default_rng(0)
    clips = [
        LabelledClip(Path(str(place)), "", Path("d"), (str(place // 5),), {"set": str(place // 25)})
        for place in range(50)
    ]
    centres = np.repeat(rng.normal(size=(10, 16)), 5, axis=0)
    features = (centres + 0.1 * rng.normal(size=(50, 16))).astype(np.float32)
    split = Split([], clips, [], Selection(pair_within="set"), [], [], "these")
    found = split.compared(5 * features)
    names = [score["metric"] for score in found["scores"]]
    assert names == [f"equal error rate{end}" for end in ("", " of 0", " of 1", " of all")]
    assert all(score["value"] < 2 for score in found["scores"])
    decoder = found["decoder"]
    assert 0.2 < decoder["threshold"] < 0.99 and decoder["slope"] > 1 and "mean" not in decoder


def tiny_config(**changes: Any) -> TrainingConfig:
    fit = FitConfig(epochs=2, steps=3, batch_size=4, learning_rate=0.01, average=0.5)
    values: dict[str, Any] = {
        "architecture": "cnn",
        "arguments": {"channels": [3, 4], "dropout": 0.3},
        "augmentation": AUGMENTATIONS["wide"],
        "seconds": 0.2,
        "fit": fit,
    }
    return TrainingConfig(**{**values, **changes})


@pytest.fixture(scope="module")
def split(tones: Path) -> Split:
    return gather([tones], Selection(group="artist"), "classify", fold=(0, 2))


@pytest.mark.parametrize(("stopped", "as_encoder"), [(2, False), (4, False), (5, True)])
def test_a_stopped_training_goes_on(
    split: Split, tmp_path: Path, stopped: int, as_encoder: bool
) -> None:
    whole: list[Epoch] = []
    training.train(
        split, tmp_path / "net", tiny_config(), as_encoder=as_encoder, report=whole.append
    )
    with pytest.raises(KeyboardInterrupt):
        training.train(split, tmp_path / "on" / "net", tiny_config(), as_encoder=as_encoder,
                       progress=stop_at(stopped))  # fmt: skip
    torch.rand(5)
    rest: list[Epoch] = []
    entry = training.train(
        split, tmp_path / "on" / "net", tiny_config(), as_encoder=as_encoder, report=rest.append
    )
    assert [(e.number, e.loss, e.score) for e in rest] == [
        (e.number, e.loss, e.score) for e in whole[2 - len(rest) :]
    ]
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("net", "on/net"))
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    assert entry.config["task"] == ("encode" if as_encoder else "classify")
    with pytest.raises(ModelError, match="config differ"):
        training.train(split, tmp_path / "net", tiny_config(seconds=0.5))


def test_keeping_an_encoder_does_not_change_the_training(split: Split, tmp_path: Path) -> None:
    losses = []
    for as_encoder in (False, True):
        told: list[Epoch] = []
        training.train(split, tmp_path / str(as_encoder), tiny_config(), as_encoder=as_encoder,
                       report=told.append)  # fmt: skip
        losses.append([epoch.loss for epoch in told])
    assert losses[0] == losses[1]
    one, other = (load_file(tmp_path / str(each) / "weights.safetensors") for each in (False, True))
    assert one.keys() - other.keys() == {
        "head.mean", "head.scale", "head.layers.1.weight", "head.layers.1.bias"
    }  # fmt: skip
    assert all(torch.equal(one[key], other[key]) for key in other)


def test_training_goes_on_from_a_trunk_of_its_own_size(split: Split, tmp_path: Path) -> None:
    """What is written says the sizes it has, so that it can be loaded."""
    origin = training.train(split, tmp_path / "origin", tiny_config(), as_encoder=True)
    still = FitConfig(
        epochs=1, steps=1, batch_size=2, learning_rate=1e-12, weight_decay=0, average=0
    )
    on = tiny_config(arguments={}, start=str(origin.folder), fit=still)
    entry = training.train(split, tmp_path / "on", on)
    assert entry.config["arguments"]["channels"] == [3, 4]
    assert entry.config["arguments"]["num_outputs"] == 2
    before, after = (models.load(each).state_dict() for each in (origin, entry))
    for name, value in before.items():
        if "running" not in name and "tracked" not in name:
            assert torch.allclose(value, after[name], atol=1e-3), name
    # And from there again, as an encoder.
    more = tiny_config(arguments={}, start=str(entry.folder), fit=still)
    again = training.train(split, tmp_path / "again", more, as_encoder=True)
    assert models.load(again).state_dict().keys() == before.keys()


def test_training_goes_on_only_from_what_fits(split: Split, tmp_path: Path, named: Path) -> None:
    origin = str(
        training.train(split, tmp_path / "origin", tiny_config(fit=FitConfig(1, 1, 2))).folder
    )
    for wrong, error, message in (
        ({"arguments": {"channels": [3, 5]}}, ModelError, "is of other sizes: .*channels"),
        ({"arguments": {"channels": [3, 4, 5]}}, ModelError, "is of other sizes"),
        (
            {"architecture": "mlp", "arguments": {}},
            ModelError,
            "'clip-cnn'; choose the arch",
        ),
        ({"start": "origim"}, UsageError, "no model 'origim'"),
    ):
        with pytest.raises(error, match=message):
            tiny_config(**{"start": origin, **wrong}).build(2)


def test_an_encoder_that_compares_is_trained_by_margin(split: Split, tmp_path: Path) -> None:
    entry = training.train(split, tmp_path / "net", tiny_config(loss="margin"), as_encoder=True)
    assert entry.config["decoder"].keys() == {"threshold", "slope"}
    assert entry.config["scores"][0]["metric"] == "equal error rate"


@pytest.mark.parametrize(
    "wrong", [{"architecture": "cn"}, {"seconds": 0.05}, {"loss": "hinge"}], ids=str
)
def test_training_configs_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        tiny_config(**wrong)
