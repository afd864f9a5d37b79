"""``audiocli train classify`` and ``train tag`` as a user meets them: train, then ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
from commands import Done, Run

from audiocli.cli.train.classify import classify as train_classify
from audiocli.io.audio import AudioReader
from audiocli.tasks.classify.classifier import Classifier
from audiocli.tasks.classify.decisions import decode
from audiocli.tasks.classify.examples import AUGMENTATIONS
from audiocli.tasks.classify.training import ARCHITECTURES, FRONTENDS, LOSSES

RATE = 8000
PITCH = {"low": 300.0, "high": 2500.0}
#: A moment of training.
MOMENT = (
    "--epochs 2 --steps 8 --batch-size 8 --seconds 0.3 --learning-rate 0.1 --augment none "
    "--group artist --fold 0/3"
).split()
TINY = {
    "perceptron": "",
    "mlp": "--hidden-size 8 --layers 1",
    "rnn": "--hidden-size 6 --layers 1",
    "brnn": "--hidden-size 6 --layers 1",
    "lstm": "--hidden-size 6 --layers 1 --steps 25",
    "blstm": "--hidden-size 6 --layers 1 --steps 25",
    "cnn": "--channels 4,8 --steps 40",
    "crnn": "--channels 4,8 --hidden-size 6 --steps 40",
    "mobile": "--from general --steps 4",  # deep and thin, it would learn slowly from nothing
}


def sound(*pitches: str, artist: int = 0, seconds: float = 0.5) -> np.ndarray:
    """Tones at once, each artist's of another pitch and loudness."""
    rng = np.random.default_rng([artist, len(pitches)])
    time = np.arange(round(seconds * RATE)) / RATE
    bend, level = rng.uniform(0.85, 1.2), rng.uniform(0.05, 0.4)
    audio = sum(np.sin(2 * np.pi * bend * PITCH[pitch] * time) for pitch in pitches)
    return level * (audio + 0.03 * rng.standard_normal(len(time)))


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    """Low and high tones by three artists, a table, and tags: which of both are there."""
    folder = tmp_path / "tones"
    folder.mkdir()
    rows = ["path,label,artist,tags"]
    for artist in range(3):
        for take in range(2):
            for label in PITCH:
                name = f"{label}{artist}{take}.wav"
                soundfile.write(folder / name, sound(label, artist=3 * take + artist), RATE)
                rows.append(f"{name},{label},a{artist},{label}")
        soundfile.write(folder / f"both{artist}.wav", sound("low", "high", artist=artist), RATE)
        rows.append(f"both{artist}.wav,,a{artist},low;high")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    for label in PITCH:  # in no training set
        soundfile.write(tmp_path / f"new-{label}.wav", sound(label, artist=77), RATE)
    return folder


def config(tmp_path: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((tmp_path / name / "config.json").read_text())
    return loaded


def said(tmp_path: Path, model: str, name: str, task: str = "classify") -> list[str]:
    """What a model says of a file, the best first; for tags those that it gives."""
    with AudioReader(tmp_path / name) as reader:
        classifier = Classifier(task, [str(tmp_path / model)], device="cpu")
        [track] = classifier.stream(reader.blocks(), reader.info.sample_rate)
    return [label for label, _ in decode(track, threshold=None if task == "tag" else 0.0)[0]]


def refused(done: Done, *words: str) -> None:
    assert done.status in (1, 2) and not done.out
    assert done.err.strip().count("\n") <= 3, done.err
    assert all(word in done.err for word in words), done.err


def test_choices_are_those_of_the_package() -> None:
    for option, choices in (
        ("architecture", ["head", *ARCHITECTURES]),
        ("augment", AUGMENTATIONS),
        ("loss", LOSSES),
        ("frontend", FRONTENDS),
    ):
        found = [
            each.type for each in train_classify.params if option in (each.name, f"{each.name}ing")
        ]
        assert isinstance(found[0], click.Choice)
        assert list(found[0].choices) == list(choices), option
    assert TINY.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("arch", TINY)
def test_trained_for_a_moment_it_tells_tones_apart(
    run: Run, tmp_path: Path, tones: Path, arch: str
) -> None:
    words = ("train", "classify", "tones", "-o", "net", "--arch", arch, "--licence", "CC0",
             *MOMENT, *TINY[arch].split())  # fmt: skip
    done = run(*words)
    assert (done.status, done.out) == (0, "net\n"), done.err
    assert "epoch 2/2" in done.err and "dev accuracy" in done.err
    for label in PITCH:
        assert said(tmp_path, "net", f"new-{label}.wav")[0] == label
    made = config(tmp_path, "net")
    assert made["labels"] == ["high", "low"] and made["architecture"] == ARCHITECTURES[arch][0]
    assert made["scores"][0]["metric"] == "accuracy" and made["scores"][0]["value"] == 100.0
    assert made["training"]["groups"] == ["a1", "a2"]
    assert made["training"]["data"][0]["clips"] == 8
    assert {"temperature", "unknown"} == made["decoder"].keys()
    # Run again it has nothing to do; with other options it is refused.
    again = run(*words)
    assert again.status == 0 and "epoch" not in again.err
    refused(run(*words, "--seed", "1"), "seed")


def test_a_head_on_the_shipped_encoder(run: Run, tmp_path: Path, tones: Path) -> None:
    options = ("--group", "artist", "--folds", "3", "--augment", "steady")
    done = run("train", "classify", "tones", "-o", "classify/net", *options)
    assert (done.status, done.out) == (0, "classify/net\n"), done.err
    made = config(tmp_path, "classify/net")
    assert made["encoders"][0]["name"] == "general" and made["architecture"] == "head"
    assert made["scores"][0]["value"] == 100.0
    assert "cross-validation in 3 parts by artist" in made["scores"][0]["data"]
    for label in PITCH:
        assert said(tmp_path, "classify/net", f"new-{label}.wav")[0] == label
    refused(run("train", "classify", "tones", "-o", "classify/net"), "holds a model already")


def test_tags(run: Run, tmp_path: Path, tones: Path) -> None:
    soundfile.write(tmp_path / "new-both.wav", sound("low", "high", artist=78), RATE)
    for name, options in (
        (
            "net",
            ["--arch", "mlp", "--hidden-size", "12", "--layers", "1", *MOMENT, "--steps", "40"],
        ),
        ("head", ["--group", "artist", "--fold", "1/3", "--augment", "none"]),
    ):
        done = run("train", "tag", "tones", "-o", name, "--label", "tags", *options)
        assert (done.status, done.out) == (0, f"{name}\n"), done.err
        assert config(tmp_path, name)["task"] == "tag"
        assert config(tmp_path, name)["scores"][0]["metric"] == "ROC AUC"
        assert config(tmp_path, name)["decoder"].keys() == {"temperature", "threshold"}
        for label in PITCH:
            assert said(tmp_path, name, f"new-{label}.wav", "tag") == [label], name
        assert sorted(said(tmp_path, name, "new-both.wav", "tag")) == ["high", "low"]
    refused(run("train", "classify", "tones", "-o", "no", "--label", "tags"), "train tag")
    refused(
        run("train", "tag", "tones", "-o", "no", "--hold-out", "tones/low00.wav"),
        "1 clips in the validation set",
    )
    assert not (tmp_path / "no").exists()


def test_an_encoder_of_ones_own(run: Run, tmp_path: Path, tones: Path) -> None:
    """Trained, it takes heads; and another network goes on from it."""
    words = ("train", "classify", "tones", "--arch", "cnn", *MOMENT, "--steps", "40")
    done = run(*words, "-o", "mine", "--channels", "4,8", "--as-encoder")
    assert done.status == 0, done.err
    made = config(tmp_path, "mine")
    assert (made["task"], made["labels"], made["arguments"]["num_outputs"]) == ("encode", [], 0)
    quick = ("--augment", "none", "--hold-out", "artist=a1")
    done = run("train", "classify", "tones", "-o", "headed", "--encoder", "./mine", *quick)
    assert done.status == 0, done.err
    headed = config(tmp_path, "headed")
    assert headed["encoders"] == [{"name": "mine", "weights_sha256": made["weights_sha256"]}]
    assert headed["training"]["groups"] == sorted(
        f"tones/{label}{artist}{take}.wav"
        for label in PITCH
        for artist in (0, 2)
        for take in (0, 1)
    )
    done = run(*words, "-o", "on", "--from", "./mine")
    assert done.status == 0, done.err
    assert config(tmp_path, "on")["arguments"]["channels"] == [4, 8]
    for name in ("headed", "on"):
        for label in PITCH:
            assert said(tmp_path, name, f"new-{label}.wav")[0] == label
    refused(run(*words, "-o", "no", "--from", "./mine", "--channels", "4,9"), "other sizes")
    refused(run("train", "classify", "tones", "-o", "no", "--arch", "mlp", "--from", "./mine"),
            "'clip-cnn'", "--arch")  # fmt: skip
    # Another encoder of the name: the head no longer fits.
    done = run(*words, "-o", "other/mine", "--channels", "4,8", "--as-encoder", "--steps", "1")
    assert done.status == 0, done.err
    for file in (tmp_path / "other" / "mine").iterdir():
        if file.is_file():
            file.replace(tmp_path / "mine" / file.name)
    done = run("classify", "--model", "./headed", "new-low.wav")
    refused(done, "another encoder of the name 'mine'")


def test_clips_may_have_several_labels_and_some_alone_may_be_scored(
    run: Run, tmp_path: Path, tones: Path
) -> None:
    words = ("train", "classify", "tones", "--label", "tags", "--group", "artist",
             "--augment", "none", "--folds", "3")  # fmt: skip
    refused(run(*words, "-o", "no"), "several labels", "--multi-label")
    assert run(*words, "--multi-label", "--score-on", "tones/both*", "-o", "net").status == 0
    made = config(tmp_path, "net")
    assert made["labels"] == ["high", "low"]
    # Any of its labels is right for a clip that has both.
    assert made["scores"][0]["value"] == 100.0
    assert "scored on tones/both*" in made["scores"][0]["data"]
    assert "number of clips: 3" in made["scores"][0]["data"]
    assert said(tmp_path, "net", "new-low.wav")[0] == "low"
    fold = ("train", "classify", "tones", "--group", "artist", "--fold", "0/3")
    refused(run(*fold, "--score-on", "tones/low*", "-o", "no"), "--score-on", "--folds")


def test_labels_are_renamed_and_chosen(run: Run, tmp_path: Path, tones: Path) -> None:
    table = tones / "labels.csv"
    table.write_text(table.read_text().replace("low00.wav,low", "low00.wav,rumble"))
    soundfile.write(tones / "odd.wav", sound("low"), RATE)
    table.write_text(table.read_text() + "odd.wav,odd,a0,x\n")
    options = ("--augment", "none", "--group", "artist", "--fold", "0/3")
    done = run("train", "classify", "tones", "-o", "net", *options, "--min-clips", "2",
               "--rename", "high=treble", "--rename", "rumble=low")  # fmt: skip
    assert done.status == 0, done.err
    assert config(tmp_path, "net")["labels"] == ["low", "treble"]
    assert said(tmp_path, "net", "new-high.wav")[0] == "treble"
    options = (*options[:-1], "1/3")  # a class of one clip cannot be held out
    done = run("train", "classify", "tones", "-o", "all", *options, "--rename", "odd=")
    assert done.status == 0, done.err
    assert config(tmp_path, "all")["labels"] == ["high", "low", "rumble"]


def test_a_folder_a_class_and_a_dev_table(run: Run, tmp_path: Path, tones: Path) -> None:
    for label in PITCH:
        (tmp_path / "classes" / label).mkdir(parents=True)
        for artist in (5, 6):
            audio = sound(label, artist=artist)
            soundfile.write(tmp_path / "classes" / label / f"{artist}.flac", audio, RATE)
    for dev in ("tones", "tones/labels.csv"):
        name = Path(dev).stem
        done = run("train", "classify", "classes", "-o", name + "-net", "--dev", dev,
                   "--augment", "none")  # fmt: skip
        assert done.status == 0, done.err
        made = config(tmp_path, name + "-net")
        assert made["scores"][0]["value"] == 100.0
        assert "number of clips: 12" in made["scores"][0]["data"]


def test_networks_are_cross_validated(run: Run, tones: Path, tmp_path: Path) -> None:
    words = ("train", "classify", "tones", "-o", "net", "--arch", "mlp", *TINY["mlp"].split(),
             *MOMENT[:-2], "--folds", "3", "--unbalanced")  # fmt: skip
    done = run(*words)
    assert done.status == 0, done.err
    lines = (tmp_path / "net" / "folds.csv").read_text().splitlines()
    assert lines[0].startswith("fold,clips,accuracy (%),")
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["0", "4"], ["1", "4"], ["2", "4"], ["mean", ""], ["sd", ""],
    ]  # fmt: skip
    scores = [float(line.split(",")[2]) for line in lines[1:4]]
    assert float(lines[4].split(",")[2]) == pytest.approx(np.mean(scores), abs=0.06)
    groups = []
    for fold in range(3):
        config = json.loads((tmp_path / "net" / f"fold-{fold}" / "config.json").read_text())
        assert config["training"]["config"]["balanced"] is False
        groups.append(config["training"]["groups"])
    assert len({str(group) for group in groups}) == 3
    again = run(*words)  # all is done: the same answer, and nothing is trained
    assert again.status == 0 and again.out == done.out and "epoch" not in again.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--group artist --hold-out tones/low00.wav", ["'a0' is on both sides", "--fold"]),
        ("--group singer", ["no column 'singer'", "artist"]),
        ("--label genre", ["no column 'genre'"]),
        ("--hold-out singer=ann", ["--hold-out singer=ann", "no clip"]),
        ("--hold-out tones/*", ["none is left to train on"]),
        ("--dev tones", ["on both sides"]),
        ("--fold 3", ["--fold", "3: use I/N"]),
        ("--fold 3/3", ["fold 3 of 3"]),
        ("--group artist --fold 0/4", ["3 groups cannot be parted into 4"]),
        ("--rename low", ["--rename low: use OLD=NEW"]),
        ("--min-clips 7", ["--min-clips 7: no label"]),
        ("--folds 3 --hold-out artist=a0", ["leave out --hold-out"]),
        ("--folds 3 --fold 0/3", ["leave out --hold-out"]),
        ("--group artist --folds 4", ["3 groups"]),
        ("--arch cnn --folds 3 --fold 0/3", ["--folds", "--fold"]),
        ("--lr-find", ["--lr-find", "--arch head"]),
        ("--arch cnn --channels a", ["--channels", "a: use whole numbers"]),
        ("--arch mlp --channels 3", ["'clip-mlp' has no 'channels'"]),
        ("--arch mobile --channels 0", ["channels"]),
        ("--arch mlp --seconds 0.05", ["0.1 s or longer"]),
        ("--from general", ["--from", "--arch head"]),
        ("--as-encoder", ["--as-encoder", "--arch head"]),
        ("--hidden-size 5", ["--hidden-size", "--arch head"]),
        ("--encoder genral", ["no model 'genral'", "general"]),
        ("--licence a --licence b", ["2 licences"]),
    ],
)
def test_what_cannot_be_is_refused(
    run: Run, tmp_path: Path, tones: Path, options: str, words: list[str]
) -> None:
    refused(run("train", "classify", "tones", "-o", "net", *options.split()), *words)
    assert not (tmp_path / "net" / "config.json").exists()
