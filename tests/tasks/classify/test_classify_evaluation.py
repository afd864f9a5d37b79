"""``audiocli evaluate classify`` and ``tag``: references by hand, and as a user meets them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
import torch
from commands import Run
from torch import nn

from audiocli.batch import Summary
from audiocli.errors import DataError, UsageError
from audiocli.nn import models, registry
from audiocli.nn.clipwise import ClipNetwork
from audiocli.nn.fit import FitConfig
from audiocli.nn.frontend import FilterbankConfig
from audiocli.tasks.classify import measures, scoring, training, verification
from audiocli.tasks.classify.clips import LabelledClip, Selection
from audiocli.tasks.classify.evaluation import Choice, ClipEvaluation, evaluate, overlapping, verify
from audiocli.tasks.classify.measures import Measure, Scores
from audiocli.tasks.classify.splits import gather
from audiocli.tasks.classify.verification import pairs, score_pairs

RATE = 8000
PITCH = {"low": 350, "mid": 1100, "high": 2800}  # each in three bands of its own
NAMES = ["low", "mid", "high"]
FRONTEND = FilterbankConfig(
    sample_rate=RATE,
    n_ffts=(512,),
    hop_length=80,
    bands=9,
    fmin=100.0,
    fmax=4000.0,
    difference=False,
)


def save(
    folder: Path, labels: Sequence[str] = NAMES, *, encoder: Path | None = None, **config: Any
) -> Path:
    """Save a network whose label k wins where the k-th three bands are loudest."""
    arguments: dict[str, Any] = {"num_outputs": len(labels), "num_layers": 0}
    architecture = "clip-mlp"
    if encoder is not None:
        architecture, arguments = "head", {"num_outputs": len(labels), "inputs": 18}
        its = registry.open_folder(encoder).config
        named = {"name": encoder.name, "weights_sha256": its["weights_sha256"]}
        config["encoders"] = [named]
    network = models.build(architecture, FRONTEND, arguments)
    head = network.head if isinstance(network, ClipNetwork) else network
    if head is not None:
        linear = head.layers[-1]
        assert isinstance(linear, nn.Linear)
        with torch.no_grad():
            linear.weight.zero_()
            linear.bias.zero_()
            for place, label in enumerate(labels):
                pitch = 3 * NAMES.index(label) if label in NAMES else 0
                linear.weight[place, pitch : pitch + 3] = 1.0
    facts = {"task": folder.parent.name, "labels": list(labels), "decoder": {}, "training": {}}
    facts |= {"architecture": architecture, "arguments": arguments, "scores": [], **config}
    return models.save(network, folder, facts).folder


def tone(path: Path, *pitches: str, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(RATE // 2) / RATE
    sound = np.sum([0.3 * np.sin(2 * np.pi * PITCH[pitch] * time) for pitch in pitches], axis=0)
    sound += 0.001 * np.random.default_rng(seed).standard_normal(len(sound))
    soundfile.write(path, sound, RATE)


def listed(folder: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    """Write tones named after their pitches, with labels and who played them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "by"])
        for seed, (name, label, by) in enumerate(rows):
            path = f"{name}-{seed}.wav"
            tone(folder / path, *name.split("+"), seed=seed)
            writer.writerow([path, label, by])
    return folder


# The last is called "low", and is not.
SIX = [
    ("low", "low", "ann"),
    ("low", "low", "bob"),
    ("mid", "mid", "ann"),
    ("mid", "mid", "bob"),
    ("high", "high", "cat"),
    ("high", "low", "cat"),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return listed(tmp_path / "tones", SIX)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(tmp_path / "shelf" / "classify" / "pitch")


def trained_on(model: Path, group: str | None, groups: Sequence[str]) -> None:
    entry = registry.open_folder(model)
    facts = {"data": [], "group": group, "groups": list(groups), "split": "scored on part 0 of 5"}
    registry.write_config(model, {**entry.config, "training": facts})


def told(done: Any) -> dict[str, Any]:
    """Read JSON, which has neither NaN nor infinity."""
    assert done.status == 0, done.err
    read: dict[str, Any] = json.loads(done.out, parse_constant=lambda name: pytest.fail(name))
    return read


# Classes


def test_accuracy_and_classes(data: Path, model: Path) -> None:
    result = evaluate([data], "classify", str(model), Choice(Selection(group="by")))
    accuracy, f1, error = result.scores.measures
    assert accuracy.value == pytest.approx(5 / 6)
    assert f1.value == pytest.approx((0.8 + 1 + 2 / 3) / 3)
    assert 0 < error.value < 1
    # One of three groups is half right; that is all there is in 1 of 27 resamples.
    assert (accuracy.low, accuracy.high) == (0.5, 1)
    assert result.scores.labels == NAMES
    assert result.scores.confusion.tolist() == [[2, 0, 1], [0, 2, 0], [0, 0, 1]]
    assert result.scores.classes[0] == {
        "label": "low", "precision": 1.0, "recall": 0.6667, "f1": 0.8, "clips": 3
    }  # fmt: skip
    assert result.numbers == {"clips": 6, "left_out": 0, "overlap": 0, "groups": 3}


def test_csv_has_a_row_a_clip_and_one_for_all(run: Run, data: Path, model: Path) -> None:
    rows = run("evaluate", "classify", data, "--model", model, "--format", "csv").rows
    assert list(rows[0]) == ["file", "label", "guess", "probability", "right"]
    assert [row["file"] for row in rows[:2]] == ["tones/low-0.wav", "tones/low-1.wav"]
    assert [row["right"] for row in rows] == ["1", "1", "1", "1", "1", "0", "0.8333"]
    assert (rows[5]["label"], rows[5]["guess"]) == ("low", "high")
    assert rows[6]["file"] == "all"
    sure = [float(row["probability"]) for row in rows]
    assert np.mean(sure[:6]) == pytest.approx(sure[6], abs=1e-3) and min(sure) > 0.34


def test_table_and_json(run: Run, data: Path, model: Path) -> None:
    words = ("evaluate", "classify", data, "--model", model, "-q")
    table = run(*words).out
    assert "accuracy" in table and "83.3 %" in table and "95 % interval" in table
    assert "precision" in table and "macro F1" in table
    result = told(run(*words, "--format", "json"))
    assert result["total"]["accuracy"] == 0.8333 and result["total"]["clips"] == 6
    assert result["total"]["accuracy_low"] <= 0.8333 <= result["total"]["accuracy_high"]
    assert [len(result[name]) for name in ("files", "classes")] == [6, 3]
    assert result["confusion"]["labels"] == NAMES


def test_a_class_that_is_never_answered_has_no_precision(run: Run, tmp_path: Path) -> None:
    model = save(tmp_path / "shelf" / "classify" / "two", ["high", "low"])
    data = listed(tmp_path / "tones", [("high", "low", "ann")])
    result = told(run("evaluate", "classify", data, "--model", model, "--format", "json"))
    high, low = result["classes"]
    assert (low["precision"], low["recall"], high["recall"]) == (None, 0, None)
    assert "accuracy_low" not in result["total"]  # one clip has no interval
    assert " - " in run("evaluate", "classify", data, "--model", model).out


def test_labels_the_model_does_not_know(run: Run, tmp_path: Path, model: Path) -> None:
    data = listed(tmp_path / "tones", [*SIX[:4], ("high", "treble", "ann")])
    words = ("evaluate", "classify", data, "--model", model, "--format", "json")
    done = run(*words)
    total = told(done)["total"]
    assert (total["clips"], total["left_out"], total["accuracy"]) == (4, 1, 1.0)
    [line] = [line for line in done.err.splitlines() if "left out" in line]
    assert "1 clip is left out" in line and "(treble)" in line
    assert "left out" not in run(*words, "-q").err
    total = told(run(*words, "--rename", "treble=high"))["total"]
    assert (total["clips"], total["left_out"]) == (5, 0)
    nothing = run(*words, "--only", "*/high*")
    assert nothing.status == 1 and "pitch knows low, mid, high" in nothing.err


def test_one_label_a_clip(run: Run, tmp_path: Path, model: Path) -> None:
    data = listed(tmp_path / "tones", [("low+mid", "low;mid", "ann")])
    done = run("evaluate", "classify", data, "--model", model)
    assert done.status == 1 and "several labels (low; mid)" in done.err
    words = ("--model", model, "--multi-label", "--format", "json", "-q")
    assert told(run("evaluate", "classify", data, *words))["total"]["accuracy"] == 1
    # Of a mixture any part is right; where none is said, the model's first counts as missed.
    wrong = listed(tmp_path / "more", [("high", "low;mid", "ann"), ("mid", "mid;high", "bob")])
    result = told(run("evaluate", "classify", wrong, *words))
    assert result["total"]["accuracy"] == 0.5
    assert [row["label"] for row in result["files"]] == ["low", "mid"]


def test_only_and_least(data: Path, model: Path) -> None:
    choice = Choice(Selection(), only=["by=ann", "tones/high-4*"])
    result = evaluate([data], "classify", str(model), choice)
    assert [row["file"] for row in result.scores.clips] == [
        "tones/low-0.wav", "tones/mid-2.wav", "tones/high-4.wav"
    ]  # fmt: skip
    result = evaluate([data], "classify", str(model), Choice(Selection(min_clips=2)))
    assert (result.numbers["clips"], result.numbers["left_out"]) == (5, 0)
    # A folder that is named twice counts once.
    assert evaluate([data, data], "classify", str(model)).numbers["clips"] == 6


def test_a_broken_clip_does_not_stop_the_others(run: Run, data: Path, model: Path) -> None:
    (data / "low-1.wav").write_bytes(b"no audio")
    words = ("evaluate", "classify", data, "--model", model, "--format", "csv", "-q")
    done = run(*words)
    assert done.status == 1 and "low-1.wav" in done.err
    assert len(done.rows) == 6 and done.rows[-1]["right"] == "0.8"
    again = run(*words, "-j", "2")
    assert (again.status, again.out) == (1, done.out)


def test_nothing_can_be_read(run: Run, data: Path, model: Path) -> None:
    for path in data.glob("*.wav"):
        path.write_bytes(b"no audio")
    words = ("evaluate", "classify", data, "--model", model)
    for form in ("table", "csv", "json"):
        done = run(*words, "--format", form, "--record", "nothing")
        assert done.status == 1 and "6 of 6 inputs failed" in done.err
    assert json.loads(done.out)["total"] is None
    assert registry.open_folder(model).config["scores"] == []


def test_picture(run: Run, data: Path, model: Path, tmp_path: Path) -> None:
    words = ("evaluate", "classify", data, "--model", model, "--plot", "a.svg")
    assert run(*words).status == 0
    text = (tmp_path / "a.svg").read_text()
    assert ElementTree.fromstring(text) is not None
    for path in data.glob("*.wav"):
        path.write_bytes(b"not to be decoded")
    refused = run(*words)
    assert refused.status == 2 and "--overwrite" in refused.err and "high" not in refused.err
    refused = run(*words[:-1], "a.gif")
    assert refused.status == 2 and ".png, .svg, .pdf" in refused.err


def test_what_is_asked_for_must_make_sense(run: Run, data: Path, model: Path) -> None:
    words = ("evaluate", "classify", data)
    assert "--model" in run(*words).err
    assert run(*words).status == 2
    assert run(*words, "--verify", "--model", model, "--plot", "a.png").status == 2
    for fold in ("3/3", "0/1", "1"):
        assert run(*words, "--model", model, "--fold", fold).status == 2
    assert run(*words, "--model", "no-such-model").status == 2
    assert run("evaluate", "tag", data, "--model", model).status == 1


def test_record(run: Run, data: Path, model: Path) -> None:
    words = ("evaluate", "classify", data, "--model", model, "--record", "six tones")
    for _ in range(2):  # what is measured again is replaced
        assert run(*words).status == 0
    scores = registry.open_folder(model).config["scores"]
    assert [(score["metric"], score["value"]) for score in scores[:2]] == [
        ("accuracy", 83.3), ("macro F1", 82.2)
    ]  # fmt: skip
    assert len(scores) == 3
    assert scores[0]["unit"] == "%" and scores[0]["measure"].startswith("95 % interval ")
    assert scores[0]["data"] == "six tones; number of clips: 6"
    assert scores[0]["command"].startswith("audiocli evaluate classify ")
    assert "six tones" in (model / "README.md").read_text()


# Overlap


def test_overlapping_groups_are_refused(run: Run, data: Path, model: Path) -> None:
    trained_on(model, "by", ["bob", "cat"])
    words = ("evaluate", "classify", data, "--model", model)
    done = run(*words, "--record", "nothing")
    assert (done.status, done.out) == (2, "")
    for part in ("4 of 6 clips", "tones/low-1.wav", "by bob", "--only", "--fold",
                 "--allow-overlap", "scored on part 0 of 5"):  # fmt: skip
        assert part in done.err
    assert run(*words, "--only", "by=ann").status == 0
    done = run(*words, "--allow-overlap", "--record", "all", "--format", "json")
    assert told(done)["total"]["overlap"] == 4
    assert "4 of 6 clips" in done.err and "not blind" in done.err
    recorded = registry.open_folder(model).config["scores"][0]
    assert recorded["data"].endswith("not blind: 4 of groups that were trained on")


def test_without_groups_clips_are_told_by_their_titles(data: Path, model: Path) -> None:
    trained_on(model, None, ["tones/low-0.wav", "elsewhere/low-1.wav"])
    with pytest.raises(UsageError, match=r"1 of 6 clips .* tones/low-0.wav, .* trained on it"):
        evaluate([data], "classify", str(model))
    with pytest.raises(UsageError, match="1 of 6"):  # another group of one's own changes nothing
        evaluate([data], "classify", str(model), Choice(Selection(group="by")))


def test_data_without_the_column_is_told_by_titles() -> None:
    facts = {"training": {"group": "by", "groups": ["ann", "d/b"]}}
    clips = [LabelledClip(Path(name), name, Path("d"), ("x",), {}) for name in ("ann", "b")]
    entry = registry.ModelEntry(Path("m"), facts)
    assert [clip.name for clip in overlapping(entry, clips)] == ["b"]
    assert overlapping(registry.ModelEntry(Path("m"), {}), clips) == []


def test_what_the_encoder_was_trained_on_counts_too(tmp_path: Path, data: Path) -> None:
    encoder = save(tmp_path / "shelf" / "encode" / "tones", [])
    head = save(tmp_path / "shelf" / "classify" / "head", encoder=encoder)
    assert evaluate([data], "classify", str(head)).scores.measures[0].value == pytest.approx(5 / 6)
    trained_on(encoder, "by", ["cat"])
    with pytest.raises(UsageError, match="2 of 6 clips .* tones was trained on by cat"):
        evaluate([data], "classify", str(head))


def test_the_fold_that_training_held_out(run: Run, tmp_path: Path) -> None:
    rows = [(name, name, by) for by in ("ann", "bob", "cat", "dan") for name in ("low", "high")]
    data = listed(tmp_path / "tones", rows)
    config = training.TrainingConfig(architecture="perceptron", seconds=0.4,
                             fit=FitConfig(epochs=2, steps=4, batch_size=4))  # fmt: skip
    split = gather([data], Selection(group="by"), "classify", fold=(1, 4))
    model = training.train(split, tmp_path / "model", config).folder
    words = ("evaluate", "classify", data, "--model", model, "--format", "csv")
    done = run(*words, "--fold", "1/4")  # by the groups of the training
    assert done.status == 0
    assert {row["file"] for row in done.rows[:-1]} == {clip.title for clip in split.dev}
    refused = run(*words, "--fold", "0/4")
    assert refused.status == 2 and "2 of 2 clips" in refused.err
    assert run(*words).status == 2


# Tags


def test_tags(run: Run, tmp_path: Path) -> None:
    model = save(tmp_path / "shelf" / "tag" / "music", [*NAMES, "loud"],
                 decoder={"temperature": 2.0, "threshold": 0.9})  # fmt: skip
    rows = [("low", "low", "ann"), ("low+mid", "low;mid", "ann"), ("mid", "mid;odd", "bob"),
            ("high", "high", "bob"), ("high", "low", "cat")]  # fmt: skip
    data = listed(tmp_path / "tones", rows)
    words = ("evaluate", "tag", data, "--model", model)
    result = told(run(*words, "--format", "json", "--record", "tones"))
    total = result["total"]
    assert [row["label"] for row in result["classes"]] == NAMES  # "loud" is nowhere in the data
    assert [row["clips"] for row in result["classes"]] == [3, 2, 1]
    assert result["classes"][1]["roc_auc"] == 1.0
    assert 0.5 < total["roc_auc"] < 1 and total["roc_auc_low"] <= total["roc_auc"]
    assert total["clips"] == 5 and 0 < total["f_measure"] < 1
    assert [row["label"] for row in result["files"][1:3]] == ["low;mid", "mid"]
    guesses = [set(row["guess"].split(";")) for row in result["files"]]
    reference = [set(row["label"].split(";")) for row in result["files"]]
    hits = sum(len(one & other) for one, other in zip(guesses, reference, strict=True))
    count = sum(len(one - {""}) + len(other) for one, other in zip(guesses, reference, strict=True))
    assert total["f_measure"] == pytest.approx(2 * hits / count, abs=1e-4)
    table = run(*words, "--format", "csv").rows
    assert list(table[0]) == ["file", "label", "guess", "probability", "f"]
    assert table[-1]["file"] == "all" and float(table[-1]["f"]) == total["f_measure"]
    assert "ROC AUC" in run(*words).out
    scores = registry.open_folder(model).config["scores"]
    assert [score["metric"] for score in scores] == [
        "ROC AUC", "PR AUC", "F-measure", "expected calibration error"
    ]  # fmt: skip


def test_tags_agree_with_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    random = np.random.default_rng(0)
    reference = random.random((40, 5)) < 0.4
    said = np.clip(0.3 * reference + 0.7 * random.random((40, 5)), 0, 1)
    labels = list("abcde")
    clips = [
        LabelledClip(Path(str(row)), str(row), Path("d"), tuple(np.array(labels)[has]))
        for row, has in enumerate(reference)
    ]
    scores = measures.score_tags(clips, said, labels, 0.5, [str(row // 2) for row in range(40)])
    area, precision, f, _ = (each.value for each in scores.measures)
    assert area == pytest.approx(roc_auc_score(reference, said))
    assert precision == pytest.approx(average_precision_score(reference, said))
    assert f == pytest.approx(f1_score(reference, said >= 0.5, average="micro"), abs=1e-4)
    assert scores.measures[0].low < area < scores.measures[0].high


# Same or different


def test_every_pair_once() -> None:
    speakers = ["bob", "ann", "bob", "cat", "ann", "bob"]
    same, different = pairs(speakers)
    for (one, other), is_same in ((same, True), (different, False)):
        found = [tuple(sorted(pair)) for pair in zip(one.tolist(), other.tolist(), strict=True)]
        assert sorted(found) == [
            pair for pair in combinations(range(6), 2)
            if (speakers[pair[0]] == speakers[pair[1]]) == is_same
        ]  # fmt: skip


@pytest.mark.parametrize("most", [10, 60, 190])
def test_pairs_are_drawn_where_there_are_too_many(most: int) -> None:
    speakers = [f"{place % 7}" for place in range(20)]
    kinds = pairs(speakers, most)
    assert sum(len(first) for first, _ in kinds) == most
    assert len(kinds[0][0]) == min(most // 2, 19)
    for (one, other), is_same in zip(kinds, (True, False), strict=True):
        assert len({frozenset(pair) for pair in zip(one, other, strict=True)}) == len(one)
        assert all((speakers[a] == speakers[b]) == is_same for a, b in zip(one, other, strict=True))
    again, other = pairs(speakers, most), pairs(speakers, most, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(kinds[1], again[1], strict=True))
    assert most == 190 or not np.array_equal(kinds[1][0], other[1][0])


@pytest.mark.parametrize("speakers", [["ann"], ["ann", "ann"], ["ann", "bob"], []])
def test_pairs_need_both_kinds(speakers: list[str]) -> None:
    with pytest.raises(DataError, match="two speakers or more"):
        pairs(speakers)


def turned(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_equal_error_rate_by_hand() -> None:
    # Apart by 10, 10 and by 80 to 100 degrees: all told apart, half-way between.
    found = score_pairs(turned(0, 10, 90, 100), ["ann", "ann", "bob", "bob"])
    [rate], numbers = found.measures, found.numbers
    assert (rate.value, rate.low, rate.high) == (0, 0, 0)
    between = (np.cos(np.radians(10)) + np.cos(np.radians(80))) / 2
    assert numbers == {"threshold": round(between, 4), "pairs": 6, "same_pairs": 2}
    # One of four pairs of ann is 60 apart, and one of ann and bob only 30.
    angles, speakers = (0, 5, 60, 90), ["ann", "ann", "ann", "bob"]
    apart = {(a, b): abs(angles[a] - angles[b]) for a, b in combinations(range(4), 2)}
    same = [np.cos(np.radians(apart[pair])) for pair in ((0, 1), (0, 2), (1, 2))]
    different = [np.cos(np.radians(apart[pair])) for pair in ((0, 3), (1, 3), (2, 3))]
    expected = scoring.equal_error_rate(same, different)
    found = score_pairs(turned(*angles), speakers)
    [rate], numbers = found.measures, found.numbers
    assert rate.value == pytest.approx(expected[0]) and 0 < rate.value < 0.5
    assert numbers["threshold"] == pytest.approx(expected[1], abs=1e-4)


def test_interval_draws_speakers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A speaker drawn twice is there twice; pairs of one and its copy are none."""
    random = np.random.default_rng(3)
    speakers = [f"{place % 5}" for place in range(20)]
    clips = random.standard_normal((5, 3))[np.arange(20) % 5] + random.standard_normal((20, 3))
    clips /= np.linalg.norm(clips, axis=1, keepdims=True)
    drawn = np.array([2, 0, 1, 1, 1])
    seen: list[float] = []

    def once(statistic: Any, groups: Any, count: int) -> tuple[float, float]:
        seen.extend(statistic(drawn[[int(name) for name in groups]][None].astype(float)))
        return 0.0, 1.0

    monkeypatch.setattr(scoring, "bootstrap", once)
    [rate] = score_pairs(clips, speakers).measures
    assert (rate.low, rate.high) == (0.0, 1.0)
    same: list[float] = []
    different: list[float] = []
    for one, other in combinations(range(20), 2):
        first, second = int(speakers[one]), int(speakers[other])
        into, often = (same, drawn[first]) if first == second else (
            different, drawn[first] * drawn[second])  # fmt: skip
        into += [float(clips[one] @ clips[other])] * int(often)
    assert seen == pytest.approx([scoring.equal_error_rate(same, different)[0]])


def test_interval_of_many_pairs_is_that_of_all_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    who = np.arange(60) % 6
    clips = random.standard_normal((6, 4))[who] + random.standard_normal((60, 4))
    clips /= np.linalg.norm(clips, axis=1, keepdims=True)
    [exact] = score_pairs(clips, [str(name) for name in who]).measures
    monkeypatch.setattr(verification, "LEVELS", 200)
    [coarse] = score_pairs(clips, [str(name) for name in who]).measures
    assert coarse.value == exact.value and exact.low < exact.value < exact.high
    assert (coarse.low, coarse.high) == pytest.approx((exact.low, exact.high), abs=0.01)


def test_pairs_of_one_set_count_and_sets_count_alike() -> None:
    """Two sets that nobody could take for each other: pairs across them are easy, and left out."""
    random = np.random.default_rng(0)
    sets = np.repeat(["far", "near"], [30, 90])
    who = np.concatenate([np.arange(30) % 3, 3 + np.arange(90) % 3])
    clips = random.standard_normal((6, 4))[who] + 0.7 * random.standard_normal((120, 4))
    clips[sets == "near"] *= 0.3  # apart from the first set they are alike
    clips = np.concatenate([clips, np.where(sets == "far", 2.0, -2.0)[:, None]], axis=1)
    clips /= np.linalg.norm(clips, axis=1, keepdims=True)
    names = [str(name) for name in who]
    found = score_pairs(clips, names, sets.tolist())
    titles = [f"equal error rate{end}" for end in ("", " of far", " of near", " of all")]
    assert [each.name for each in found.measures] == titles
    within, far, near, together = (each.value for each in found.measures)
    assert together < within
    for place, rate in ((sets == "far", far), (sets == "near", near)):
        alone = score_pairs(clips[place], [n for n, p in zip(names, place, strict=True) if p])
        assert alone.measures[0].value == rate
    # At the one threshold each set errs by itself; the mean of their errors is what is given.
    errors: list[float] = []
    for place in (sets == "far", sets == "near"):
        (one, other), (first, second) = pairs([n for n, p in zip(names, place, strict=True) if p])
        some = clips[place]
        missed = np.sum(some[one] * some[other], axis=1) < found.numbers["threshold"]
        taken = np.sum(some[first] * some[second], axis=1) >= found.numbers["threshold"]
        errors += [missed.mean(), taken.mean()]
    assert within == pytest.approx(np.mean(errors), abs=0.01)
    assert found.numbers["sets"] == 2 and found.measures[0].low < within < found.measures[0].high
    with pytest.raises(DataError, match="leave out pair_within"):
        score_pairs(clips, names, names)


def test_the_decoder_gives_odds() -> None:
    """At as many pairs of both kinds, what is said to be one speaker in 0.8 is so in 0.8."""
    random = np.random.default_rng(1)
    who = np.arange(400) % 40
    clips = random.standard_normal((40, 24))[who] + random.standard_normal((400, 24))
    clips /= np.linalg.norm(clips, axis=1, keepdims=True)
    names = [str(name) for name in who]
    decoder = score_pairs(clips, names).decoder
    kinds = [np.sum(clips[one] * clips[other], axis=1) for one, other in pairs(names)]
    said = [1 / (1 + np.exp(-decoder["slope"] * (c - decoder["threshold"]))) for c in kinds]
    sure = [np.mean((part > 0.7) & (part < 0.9)) for part in said]
    assert sure[0] / sum(sure) == pytest.approx(0.8, abs=0.06)


def test_verify(run: Run, tmp_path: Path) -> None:
    speakers = [("low", "low", "ann"), ("mid", "mid", "bob"), ("high", "high", "cat")] * 3
    data = listed(tmp_path / "tones", speakers)
    mean = [1.0] * 9
    encoder = save(tmp_path / "shelf" / "encode" / "voice", [], decoder={"mean": mean})
    words = ("evaluate", "classify", data, "--verify", "--model", encoder, "--label", "by")
    [row] = run(*words, "--format", "csv", "--record", "tones").rows
    assert list(row) == [
        "equal_error_rate", "equal_error_rate_low", "equal_error_rate_high", "threshold", "pairs",
        "same_pairs", "clips", "speakers", "overlap",
    ]  # fmt: skip
    assert [row[name] for name in ("equal_error_rate", "pairs", "same_pairs", "speakers")] == [
        "0.0", "36", "9", "3"
    ]  # fmt: skip
    [score] = registry.open_folder(encoder).config["scores"]
    assert (score["metric"], score["value"]) == ("equal error rate", 0.0)
    assert score["data"] == "tones; number of clips: 9, of speakers: 3, of pairs: 36"
    assert "threshold" in score["measure"] and "95 % interval" in score["measure"]
    assert told(run(*words, "--format", "json"))["total"]["pairs"] == 36
    assert "equal error rate" in run(*words).out
    # What all vectors share is taken off, and that changes the cosines.
    plain = save(tmp_path / "shelf" / "encode" / "plain", [])
    choice = Choice(Selection(("by",)))
    assert verify([data], str(plain), choice).numbers["threshold"] != float(row["threshold"])
    missing = run(*words, "--pair-within", "set")
    assert missing.status == 1 and "no column 'set'" in missing.err
    assert (
        "--pair-within" in run(*words, "--pair-within", "label").err
    )  # of one pitch there is one speaker
    trained_on(encoder, "by", ["ann"])
    refused = run(*words)
    assert refused.status == 2 and "3 of 9 clips" in refused.err
    (data / "mid-1.wav").write_bytes(b"no audio")
    done = run(*words, "--allow-overlap", "--format", "json")
    assert done.status == 1 and json.loads(done.out)["total"]["pairs"] == 28


def test_default_models(
    run: Run, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "shelf"
    monkeypatch.setattr(registry, "roots", lambda: [shelf])
    save(shelf / "encode" / "voice", [])
    save(shelf / "tag" / "music")
    save(shelf / "classify" / "pitch")
    words = ("--format", "json", "-q")
    assert told(run("evaluate", "classify", data, "--verify", *words))["model"] == "voice"
    assert told(run("evaluate", "tag", data, *words))["model"] == "music"
    result = told(run("evaluate", "classify", data, "--model", "pitch", *words))
    assert result["model"] == "pitch"


def test_verify_needs_one_label(tmp_path: Path) -> None:
    encoder = save(tmp_path / "shelf" / "encode" / "voice", [])
    data = listed(tmp_path / "tones", [("low", "low;mid", "ann"), ("mid", "mid", "bob")])
    with pytest.raises(DataError, match="column by columns"):
        verify([data], str(encoder))


def test_rows_of_measures() -> None:
    summary = Summary(0, 0, 0, [], 0.0, 0.0)
    entry = registry.ModelEntry(Path("m"), {})
    scores = Scores([Measure("F-measure", 0.51239, "x"), Measure("ROC AUC", 0.7, "", 0.6, 0.8)])
    assert ClipEvaluation(entry, scores, {"clips": 2}, summary).row() == {
        "f_measure": 0.5124, "roc_auc": 0.7, "roc_auc_low": 0.6, "roc_auc_high": 0.8, "clips": 2
    }  # fmt: skip
