"""Features learned from data: trained, used and scored, from the command line and from Python."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from commands import Run

from audiocli.errors import AudioCliWarning, DataError, ModelError, UsageError
from audiocli.io.audio import AudioReader
from audiocli.nn import framewise, models, registry
from audiocli.nn.bases import BasisNetwork
from audiocli.nn.fit import FitConfig
from audiocli.nn.frontend import Filterbank, FilterbankConfig, StftConfig
from audiocli.tasks.features import training
from audiocli.tasks.features.evaluation import evaluate
from audiocli.tasks.features.excerpts import Excerpts, find_sounds
from audiocli.tasks.features.files import extract_files
from audiocli.tasks.features.learned import Basis, Embedder
from audiocli.tasks.features.training import BASES, TrainingConfig, explained, train

RATE = 8000
SMALL = FilterbankConfig(RATE, (256,), 128, 20, fmin=30.0, fmax=4000.0, difference=False)


def chord(seconds: float, seed: int) -> np.ndarray:
    """Tones of random pitches that come and go, with a little noise, (samples,)."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tones = [
        np.sin(2 * np.pi * hz * time) * (np.sin(2 * np.pi * rng.uniform(0.5, 3) * time) > 0)
        for hz in rng.choice([200, 400, 700, 1100, 1600, 2300], 3, replace=False)
    ]
    return (0.2 * sum(tones) + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def few_frames() -> Iterator[None]:
    """Score and calibrate on few frames, which is quicker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "SCORING", 500)
        patch.setattr(training, "CALIBRATING", 500)
        yield


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "music"
    for number in range(12):
        path = folder / ("sub" if number % 3 == 0 else "") / f"song {number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, chord(2.0, number), RATE)
    return folder


def tiny_config(basis: str, components: int = 4, **fit: float) -> TrainingConfig:
    values = {"epochs": 2, "steps": 6, "batch_size": 128, **fit}
    return TrainingConfig(basis, {"components": components}, SMALL, 0.5, FitConfig(**values))  # type: ignore[arg-type]  # whole ones are whole


@pytest.fixture(scope="module")
def trained(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for basis in ("pca", "nmf"):
        train([music], folder / basis, tiny_config(basis), licences=["CC0"], device="cpu")
    return folder


# Material


def test_recordings_are_found_and_what_is_none_is_left_out(tmp_path: Path, music: Path) -> None:
    (tmp_path / "broken.wav").write_text("no sound")
    with pytest.warns(AudioCliWarning, match="broken.wav.*left out"):
        with pytest.raises(DataError, match="no audio file there"):
            find_sounds(tmp_path)
    sounds = find_sounds(music)
    assert len(sounds) == 12 and sounds[0].seconds == 2.0
    assert "music/sub/song 0" in [sound.title for sound in sounds]


def test_excerpts_are_what_sounds_there(tmp_path: Path) -> None:
    """A recording of one level each second: the frames of an excerpt are frames of the whole."""
    audio = np.repeat(np.array([0.01, 0.1, 0.5], np.float32), RATE) * chord(3.0, 0)
    soundfile.write(tmp_path / "a.flac", audio, RATE)
    bank = Filterbank(SMALL)
    whole = bank(torch.from_numpy(audio))[0].T
    excerpts = Excerpts([find_sounds(tmp_path)], bank, 0.3)
    frames = excerpts.frames(400, np.random.default_rng(0))
    assert frames.shape == (400, 20)
    # Excerpts begin between hops, so a frame is like the nearest of the whole, and not the same.
    nearest = torch.cdist(frames, whole).min(dim=1).values / frames.norm(dim=1)
    assert nearest.median() < 0.1
    level = frames.mean(dim=1)
    assert level.min() < whole.mean(dim=1).quantile(0.1) + 0.1
    assert level.max() > whole.mean(dim=1).quantile(0.9) - 0.1


def test_folders_have_equal_shares_whatever_their_size(tmp_path: Path) -> None:
    for name, count, level in (("many", 9, 0.001), ("one", 1, 0.5)):
        (tmp_path / name).mkdir()
        for number in range(count):
            noise = np.random.default_rng(number).uniform(-1, 1, RATE)
            soundfile.write(tmp_path / name / f"{number}.wav", level * noise, RATE, "FLOAT")
    groups = [find_sounds(tmp_path / name) for name in ("many", "one")]
    frames = Excerpts(groups, Filterbank(SMALL), 0.1).frames(2000, np.random.default_rng(0))
    assert 0.4 < float((frames.mean(dim=1) > 1.5).float().mean()) < 0.6


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.5])
def test_recordings_shorter_than_an_excerpt_serve(tmp_path: Path, seconds: float) -> None:
    soundfile.write(tmp_path / "a.wav", chord(seconds, 1), RATE)
    excerpts = Excerpts([find_sounds(tmp_path)], Filterbank(SMALL), 2.0)
    frames = excerpts.frames(50, np.random.default_rng(0))
    assert frames.shape == (50, 20) and torch.isfinite(frames).all()


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_a_file_can_be_read_from_anywhere(tmp_path: Path, ending: str) -> None:
    audio = chord(3.0, 3)
    soundfile.write(tmp_path / f"a.{ending}", audio, RATE)
    with AudioReader(tmp_path / f"a.{ending}") as reader:
        whole = np.concatenate(list(reader.blocks()), axis=1)
        for start in (0, 1, 9000, 20_000):
            part = np.concatenate(list(reader.blocks(1000, start=start)), axis=1)
            assert abs(part.shape[1] - (whole.shape[1] - start)) < 2
            same = min(4000, part.shape[1] - 2000)
            difference = part[0, 2000 : 2000 + same] - whole[0, start + 2000 : start + 2000 + same]
            assert np.abs(difference).max() < 0.02
        assert not list(reader.blocks(start=10**7))


# Training


@pytest.mark.parametrize("basis", BASES)
def test_every_basis_learns(music: Path, tmp_path: Path, basis: str) -> None:
    """Three tones out of six: with eight components little is lost, with two much."""
    steps = {"epochs": 1, "steps": 60, "learning_rate": 0.02} if basis == "autoencoder" else {}
    entry = train([music], tmp_path / "basis", tiny_config(basis, 8, **steps), licences=["CC0"])
    network = models.load(entry)
    assert isinstance(network, BasisNetwork)
    lost = entry.config["scores"][0]["value"]
    assert 0 < lost < (75 if basis in ("kmeans", "autoencoder") else 45)
    few = train([music], tmp_path / "few", tiny_config(basis, 2, **steps))
    assert few.config["scores"][0]["value"] > lost
    assert network.centre.min() > 0
    logs = {"curve.png", "log.csv"} if basis == "autoencoder" else set()
    written = {file.name for file in entry.folder.iterdir() if file.is_file()}
    assert written - {"config.toml"} == {registry.CARD, registry.CONFIG, registry.WEIGHTS} | logs


def test_the_same_seed_learns_the_same(music: Path, trained: Path, tmp_path: Path) -> None:
    again = train([music], tmp_path / "pca", tiny_config("pca"), licences=["CC0"])
    before = registry.open_folder(trained / "pca")
    assert again.config["weights_sha256"] == before.config["weights_sha256"]


def test_the_card_says_what_was_done(trained: Path) -> None:
    config = registry.open_folder(trained / "pca").config
    assert (config["task"], config["architecture"]) == ("features", "pca")
    (data,) = config["training"]["data"]
    assert data["clips"] == 10 and data["licence"] == "CC0" and data["minutes"] > 0
    assert "every tenth recording" in config["training"]["split"]
    assert config["scores"][0]["metric"] == "relative squared error"
    assert "relative squared error" in (trained / "pca" / registry.CARD).read_text()


def test_streaming_pca_is_that_of_all_frames(music: Path, trained: Path) -> None:
    from sklearn.decomposition import PCA

    network = models.load(registry.open_folder(trained / "pca"))
    assert isinstance(network, BasisNetwork)
    bank = Filterbank(SMALL)
    sounds = find_sounds(music)
    frames = Excerpts([sounds], bank, 0.5).frames(4000, np.random.default_rng(5))
    oracle = PCA(4).fit(frames.numpy())
    lost = 100 - explained(network, frames)
    assert lost < 100 * (1 - oracle.explained_variance_ratio_.sum()) * 1.15 + 1


def test_held_out_recordings_are_not_drawn(
    run: Run, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: set[str] = set()
    real = Excerpts.__init__

    def spy(self: Excerpts, groups: list[list[object]], *rest: object) -> None:
        drawn.add(",".join(sorted(sound.name for group in groups for sound in group)))  # type: ignore[attr-defined]  # sounds
        real(self, groups, *rest)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Excerpts, "__init__", spy)
    done = run("train", "features", music, "-o", "m", "--hold-out", "music/sub/*", "--epochs", 1,
               "--steps", 1, "--batch-size", 64, "--components", 2, "--rate", RATE, "--frame", 256,
               "--bands", 12, "--seconds", 0.2)  # fmt: skip
    assert done.status == 0, done.err
    held, rest = sorted(drawn, key=len)
    assert all(name.startswith("sub/") for name in held.split(","))
    assert "sub/" not in rest


def test_an_autoencoder_goes_on_where_it_was_stopped(music: Path, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(epoch: object) -> None:
        raise Stopped

    whole = train([music], tmp_path / "whole", tiny_config("autoencoder"))
    with pytest.raises(Stopped):
        train([music], tmp_path / "parts", tiny_config("autoencoder"), report=stop)
    parts = train([music], tmp_path / "parts", tiny_config("autoencoder"))
    assert parts.config["weights_sha256"] == whole.config["weights_sha256"]


def test_a_stopped_fit_leaves_nothing_and_a_finished_one_is_kept(
    run: Run, music: Path, tmp_path: Path
) -> None:
    def stop(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([music], tmp_path / "m", tiny_config("kmeans"), report=stop)
    assert not list((tmp_path / "m").iterdir())
    train([music], tmp_path / "m", tiny_config("kmeans"))
    with pytest.raises(UsageError, match="holds a model already"):
        train([music], tmp_path / "m", tiny_config("kmeans"))


# Use


def test_a_row_a_file(run: Run, music: Path, trained: Path) -> None:
    done = run("features", music, "--basis", trained / "pca", "--stats", "mean,max")
    assert done.status == 0, done.err
    assert len(done.rows) == 12
    assert list(done.rows[0])[:4] == ["file", "pca_1_mean", "pca_1_max", "pca_2_mean"]
    assert len(done.rows[0]) == 1 + 2 * 4
    assert done.rows[-1]["file"].startswith("sub/")


def test_frames_are_what_the_network_gives(run: Run, music: Path, trained: Path) -> None:
    path = music / "song 1.wav"
    done = run("features", path, "--basis", trained / "nmf", "--frames")
    found = np.array([[float(row[f"nmf_{k}"]) for k in range(1, 5)] for row in done.rows])
    network = models.load(registry.open_folder(trained / "nmf"))
    audio, _ = soundfile.read(path, dtype="float32")
    with torch.inference_mode():
        expected = network(torch.from_numpy(audio)[None])[0].T.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    times = [float(row["time"]) for row in done.rows]
    assert times[1] == pytest.approx(128 / RATE, abs=1e-6)


@pytest.mark.parametrize("option", ["--basis", "--model"])
def test_describe_names_the_columns(run: Run, music: Path, trained: Path, option: str) -> None:
    described = json.loads(run("features", option, trained / "pca", "--describe", "json").out)
    row = run("features", music / "song 1.wav", option, trained / "pca").rows[0]
    assert [column["name"] for column in described] == list(row)[1:]
    assert all(column["unit"] == "1" and column["source"] for column in described)


@pytest.mark.parametrize("form", ["npz", "jsonl", "arff", "csv"])
def test_every_format_and_processes(
    run: Run, music: Path, trained: Path, tmp_path: Path, form: str
) -> None:
    jobs = 2 if form == "csv" else 1
    done = run("features", music, "--basis", trained / "pca", "-o", f"t.{form}", "-j", jobs)
    assert done.status == 0, done.err
    assert (tmp_path / f"t.{form}").stat().st_size > 500


def test_a_broken_file_does_not_stop_the_others(
    run: Run, music: Path, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_text("no sound")
    done = run("features", "broken.wav", music / "song 1.wav", "--basis", trained / "pca")
    assert done.status == 1 and "broken.wav" in done.err and len(done.rows) == 1
    done = run("evaluate", "features", tmp_path, music, "--basis", trained / "pca")
    assert done.status == 1 and "broken.wav" in done.err and "all" in done.out


def test_resume_tells_weights_apart(run: Run, music: Path, trained: Path, tmp_path: Path) -> None:
    model = tmp_path / "pca"
    train([music], model, tiny_config("pca"))
    assert run("features", music, "--basis", "./pca", "-o", "t.csv").status == 0
    done = run("features", music, "--basis", "./pca", "-o", "t.csv", "--resume")
    assert done.status == 0
    for file in model.iterdir():
        os.remove(file)
    train([music], model, tiny_config("pca", seed=7))
    done = run("features", music, "--basis", "./pca", "-o", "t.csv", "--resume")
    assert done.status == 2 and "other settings" in done.err


def test_any_network_embeds(music: Path, tmp_path: Path) -> None:
    """Also a separation network, which gets every recording at one level."""
    name, arguments = "conv-drnn", {"channels": [4, 6], "num_recurrent": 1}
    torch.manual_seed(0)
    network = models.build(name, StftConfig(RATE, 256, 128), arguments)
    config = {"task": "separate", "architecture": name, "arguments": arguments,
              "labels": ["vocals", "accompaniment"], "decoder": {}, "training": {},
              "scores": []}  # fmt: skip
    folder = models.save(network, tmp_path / "my net, 1", config).folder
    embedder = Embedder(str(folder), ["mean"], device="cpu")
    assert embedder.frame_columns[0] == "my_net_1_1" and embedder.units == 6
    loud = chord(1.0, 0)[None]
    row = embedder.summary([loud], RATE)
    quiet = embedder.summary([0.01 * loud], RATE)
    np.testing.assert_allclose(list(row.values()), list(quiet.values()), rtol=1e-3, atol=1e-4)
    blocks = embedder.summary(iter([loud[:, :3000], loud[:, 3000:]]), RATE)
    np.testing.assert_allclose(list(row.values()), list(blocks.values()), rtol=1e-3, atol=1e-4)
    silence = embedder.summary([np.zeros((2, 900), np.float32)], RATE)
    assert np.isfinite(list(silence.values())).all()
    assert extract_files([str(music)], tmp_path / "t.csv", model=str(folder)).done == 12


@pytest.mark.parametrize("sound", [np.zeros((1, 1)), np.zeros((2, 5)), np.full((1, 900), 1e6)])
def test_any_sound_has_finite_features(trained: Path, sound: np.ndarray) -> None:
    basis = Basis(str(trained / "nmf"), device="cpu")
    row = basis.summary([sound.astype(np.float32)], 44_100)
    assert len(row) == 8 and np.isfinite(list(row.values())).all()


def test_memory_does_not_grow_with_the_recording(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framewise, "SEGMENT", 1.0)
    basis = Basis(str(trained / "pca"), device="cpu")
    sizes: list[int] = []
    embed_frames = basis.network.embed_frames

    def spy(audio: torch.Tensor) -> torch.Tensor:
        sizes.append(audio.shape[-1])
        return embed_frames(audio)

    monkeypatch.setattr(basis.network, "embed_frames", spy)
    blocks = (chord(1.0, number)[None] for number in range(30))
    assert sum(len(part) for part in basis.frames(blocks, RATE)) == 1 + 30 * RATE // 128
    assert len(sizes) >= 28
    assert max(sizes) < 6 * RATE


def test_pictures(run: Run, music: Path, trained: Path, tmp_path: Path) -> None:
    for basis in ("pca", "nmf"):
        song = music / "song 1.wav"
        done = run("features", song, "--basis", trained / basis, "--plot", f"{basis}.png")
        assert done.status == 0, done.err
        assert (tmp_path / f"{basis}.png").read_bytes()[:4] == b"\x89PNG"
    assert run("features", music / "sub", "--model", trained / "pca", "--plot", "out/").status == 0
    assert (tmp_path / "out/song 0.features.png").is_file()


# Scores


def test_the_error_is_what_it_says(run: Run, music: Path, trained: Path) -> None:
    network = models.load(registry.open_folder(trained / "nmf"))
    assert isinstance(network, BasisNetwork)
    wrong = spread = bands = 0.0
    for path in sorted(music.rglob("*.wav")):
        audio, _ = soundfile.read(path, dtype="float32")
        with torch.inference_mode():
            spectra = network.frontend(torch.from_numpy(audio)[None])
            back = network.reconstruct(network(torch.from_numpy(audio)[None]))
        wrong += float((spectra - back).square().sum())
        spread += float((spectra - network.centre).square().sum())
        bands += spectra.numel()
    result = evaluate([music], str(trained / "nmf"), device="cpu")
    assert result.total.relative == pytest.approx(wrong / spread, rel=1e-3)
    assert result.total.decibels == pytest.approx(20 * (wrong / bands) ** 0.5, rel=1e-3)
    done = run("evaluate", "features", music, "--basis", trained / "nmf", "--format", "json", "-q")
    scores = json.loads(done.out)
    assert len(scores["files"]) == 12 and scores["total"]["file"] == "all"
    assert scores["total"]["relative_error"] == pytest.approx(wrong / spread, abs=1e-3)
    assert scores["total"]["explained"] == pytest.approx(1 - wrong / spread, abs=1e-3)


def test_scores_go_into_the_card(run: Run, music: Path, tmp_path: Path) -> None:
    train([music], tmp_path / "m", tiny_config("pca"))
    done = run("evaluate", "features", music, "--basis", "./m", "--only", "music/sub/*",
               "--record", "songs of sub", "--format", "csv")  # fmt: skip
    assert done.status == 0 and len(done.rows) == 5
    score = registry.open_folder(tmp_path / "m").config["scores"][0]
    assert isinstance(score["value"], float) and "songs of sub" in score["data"]
    assert score["value"] == pytest.approx(100 * float(done.rows[-1]["relative_error"]), abs=0.01)
    assert score["command"].startswith("audiocli evaluate features ")


# What cannot be


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["features", "a.wav", "--basis", "pca", "--model", "crnn"], "choose one"),
        (["features", "a.wav", "--basis", "pca", "--set", "rms"], "--set: cannot be used"),
        (["features", "a.wav", "--model", "crnn", "--frame", "9", "--hop", "9"], "--frame, --hop"),
        (["features", "a.wav", "--basis", "pca", "--rate", "8000"], "--rate"),
        (["features", "a.wav", "--basis", "no-such"], "no model 'no-such'"),
        (["features", "a.wav", "--plot=x.txt"], ".png"),
        (["train", "features", ".", "-o", "m", "--penalty", "1"], "--basis dictionary"),
        (["train", "features", ".", "-o", "m", "--hidden-size", "8"], "autoencoder"),
        (["train", "features", ".", "-o", "m", "--learning-rate", "0.1"], "autoencoder"),
        (["train", "features", ".", "-o", "m", "--batch-size", "16"], "larger --batch-size"),
        (["evaluate", "features", ".", "--basis", "no-such"], "no model"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    run: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    soundfile.write(tmp_path / "a.wav", chord(0.5, 0), RATE)
    before = sorted(tmp_path.rglob("*"))
    done = run(*arguments)
    assert done.status == 2, done.err
    assert message in done.err and "Traceback" not in done.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["features", "a.wav", "--basis", "online"],
        ["evaluate", "features", ".", "--basis", "online"],
    ],
)
def test_a_model_of_another_task_is_no_basis(
    run: Run, tmp_path: Path, arguments: list[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", chord(0.5, 0), RATE)
    done = run(*arguments)
    assert done.status == 1 and "is a model for 'onsets', not for 'features'" in done.err


def test_empty_folders_are_one_clear_line(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for command in (
        ["train", "features", "empty", "-o", "m"],
        ["evaluate", "features", "empty", "--basis", str(trained / "pca")],
    ):
        done = run(*command)
        assert done.status == 1 and "no audio file" in done.err and not (tmp_path / "m").exists()


def test_a_basis_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    arguments = {"hidden_size": 3}
    network = models.build("frame-rnn", SMALL, arguments)
    config = {"task": "features", "architecture": "frame-rnn", "arguments": arguments,
              "labels": ["x"], "decoder": {}, "training": {}, "scores": []}  # fmt: skip
    folder = models.save(network, tmp_path / "m", config).folder
    with pytest.raises(ModelError, match="no basis"):
        Basis(str(folder))
    assert Embedder(str(folder)).units == 6


def test_an_encoder_of_clips_gives_its_steps() -> None:
    embedder = Embedder("general", ["mean"], device="cpu")
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(1, 16_000)).astype(np.float32) * 0.1 for _ in range(45)]
    steps = np.concatenate(list(embedder.frames(blocks, 16_000)))
    assert embedder.frame_rate == 6.25
    assert steps.shape == (282, 512)  # 45 s, more than the network takes at once
    whole = torch.from_numpy(np.concatenate(blocks[:10], axis=1))
    with torch.inference_mode():
        expected = embedder.network.embed(whole)[0].numpy().T
    short = np.concatenate(list(embedder.frames(blocks[:10], 16_000)))
    np.testing.assert_allclose(short, expected, atol=1e-4)
