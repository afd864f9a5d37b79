"""The separation task: guarantees of the stems, streams, files and training."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from audiocli.batch import Callbacks, Outcome
from audiocli.demo import compose
from audiocli.errors import AudioCliWarning, AudioError, DataError, ModelError, UsageError
from audiocli.io.audio import AudioFormat, AudioWriter, probe, read
from audiocli.io.audio.streaming import Blockwise
from audiocli.nn import models
from audiocli.nn.fit import FitConfig
from audiocli.nn.frontend import StftConfig
from audiocli.tasks.separate import Separator, separate_file, separate_files
from audiocli.tasks.separate.clips import SOURCES, find_clips
from audiocli.tasks.separate.conditioning import ProgrammeLevel
from audiocli.tasks.separate.evaluation import evaluate, oracle_masks, record_scores
from audiocli.tasks.separate.training import AUGMENTATIONS, TrainingConfig, examples, score, train

DECODER = {"segment_seconds": 1.0, "context_seconds": 0.5, "fade_seconds": 0.1}
CONFIG = {
    "task": "separate",
    "architecture": "drnn",
    "arguments": {"hidden_size": 8},
    "labels": list(SOURCES),
    "decoder": DECODER,
    "training": {},
    "scores": [],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights: the guarantees must hold whatever it estimates."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "random"
    models.save(models.build("drnn", StftConfig(), {"hidden_size": 8}), folder, CONFIG)
    return folder


@pytest.fixture(scope="module")
def separator(model: Path) -> Separator:
    return Separator(str(model), device="cpu")


def tune(seconds: float, rate: int, channels: int = 2) -> np.ndarray:
    """A few partials that come and go, different in each channel."""
    time = np.arange(round(seconds * rate)) / rate
    song = [
        sum(
            np.sin(2 * np.pi * f * time + channel) * (1 + np.sin(2 * np.pi * time * f / 300))
            for f in (220, 440 + 30 * channel, 1300)
        )
        for channel in range(channels)
    ]
    return (0.1 * np.array(song)).astype(np.float32)


def write(path: Path, audio: np.ndarray, rate: int, subtype: str = "PCM_16") -> Path:
    with AudioWriter(path, rate, audio.shape[0], AudioFormat("wav", subtype)) as writer:
        writer.write(audio)
    return path


@pytest.mark.parametrize("rate", [4000, 16000, 44100, 192000])
@pytest.mark.parametrize("samples", [4, 7, 999, 12345])
def test_stems_add_up_at_any_rate_and_length(separator: Separator, rate: int, samples: int) -> None:
    mixture = np.random.default_rng(samples).normal(size=(3, samples)).astype(np.float32)
    stems = separator(mixture, rate)
    assert set(stems) == set(SOURCES)
    assert all(stem.shape == mixture.shape for stem in stems.values())
    assert np.abs(stems["vocals"] + stems["accompaniment"] - mixture).max() < 1e-5


def test_silence_stays_silence(separator: Separator) -> None:
    stems = separator(np.zeros((2, 30000), np.float32), 44100)
    assert not any(stem.any() for stem in stems.values())


@pytest.mark.parametrize("level", [1e-20, 1e-39])  # the second is of float32's denormal numbers
def test_next_to_silence_is_separated_or_left(separator: Separator, level: float) -> None:
    mixture = tune(1, 16000) * np.float32(level)
    stems = separator(mixture, 16000)
    assert all(np.isfinite(stem).all() for stem in stems.values())
    assert np.abs(stems["vocals"] + stems["accompaniment"] - mixture).max() <= level * 1e-5


def test_no_samples_are_refused(separator: Separator) -> None:
    with pytest.raises(AudioError, match="no samples"):
        separator(np.zeros((2, 0), np.float32), 44100)


def test_level_of_the_input_does_not_matter(separator: Separator) -> None:
    mixture = tune(2, 16000)
    loud = separator(mixture, 16000)["vocals"]
    quiet = separator(mixture / 1000, 16000)["vocals"]
    assert np.abs(loud - 1000 * quiet).max() < 1e-4


def test_channels_are_separated_by_themselves(separator: Separator) -> None:
    mixture = tune(2, 16000)
    both = separator(mixture, 16000)["vocals"]
    swapped = separator(mixture[::-1].copy(), 16000)["vocals"]
    assert np.abs(both - swapped[::-1]).max() < 1e-6


def test_blocks_of_a_stream_do_not_show(separator: Separator) -> None:
    """Whatever the blocks it comes in, a stream is separated to the same samples."""
    mixture = tune(5, 44100)
    level = ProgrammeLevel(44100)
    level.add(mixture)
    whole = separator(mixture, 44100)["vocals"]
    blocks = [mixture[:, start : start + 5000] for start in range(0, mixture.shape[1], 5000)]
    pieces = separator.blocks(blocks, 44100, level.level)
    assert np.abs(np.concatenate([piece[0] for piece in pieces], axis=-1) - whole).max() < 1e-5


def test_segments_of_a_long_song_are_joined_without_a_seam() -> None:
    """The context is long, so segments differ from one piece, but not where they meet."""
    song = compose().mixture[:1].astype(np.float32) / 32768
    separator = Separator(device="cpu")
    rate = 44100
    separator.cut = Blockwise(segment=60 * separator.rate, context=0, fade=0)
    whole = separator(song, rate)["vocals"][0]
    separator.cut = Blockwise(7 * separator.rate, separator.rate, separator.rate // 4)
    joined = separator(song, rate)["vocals"][0]
    difference = joined - whole
    assert 10 * np.log10(np.mean(whole**2) / np.mean(difference**2)) > 12
    steps = np.abs(np.diff(difference))
    joins = [7 * k * rate for k in range(1, 5)]
    # The largest of 48,000 of the 1.3 million steps: were joins like any other place, it would lie
    # at the quantile .99998; a click would be above all. So .999 asks them to be calmer than most.
    at_joins = max(steps[join - 500 : join + rate // 4 + 500].max() for join in joins)
    assert at_joins < np.quantile(steps, 0.999)


def test_file_keeps_rate_channels_length_and_depth(separator: Separator, tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", tune(2.345, 32000), 32000, "PCM_24")
    outputs = {stem: tmp_path / f"{stem}.wav" for stem in SOURCES}
    done = separate_file(separator, song, outputs)
    source = probe(song)
    for path in outputs.values():
        assert replace(probe(path), path=str(song)) == source
    mixture = read(song)[0]
    total = sum(read(path)[0] for path in outputs.values())
    assert np.abs(total - mixture).max() <= 2 / 2**23
    assert done.gain == 1 and done.seconds == pytest.approx(2.345)


def test_progress_reaches_the_end(separator: Separator, tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", tune(3, 8000, 1), 8000)
    told: list[tuple[float, float | None]] = []
    outputs = {"vocals": tmp_path / "vocals.wav"}
    separate_file(separator, song, outputs, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (3.0, 3.0)


def test_what_would_clip_is_scaled_by_one_gain(separator: Separator, tmp_path: Path) -> None:
    loud = 3 * tune(2, 16000) / np.abs(tune(2, 16000)).max()
    song = write(tmp_path / "loud.wav", loud, 16000, "FLOAT")
    outputs = {stem: tmp_path / f"{stem}.flac" for stem in SOURCES}
    with pytest.warns(AudioCliWarning, match="dB softer"):
        done = separate_file(separator, song, outputs, container="flac", bits=24)
    assert 0 < done.gain <= 1 / 3
    total = sum(read(path)[0] for path in outputs.values())
    assert np.abs(total - done.gain * loud).max() < 1e-5
    kept = separate_file(separator, song, {"vocals": tmp_path / "vocals.wav"})
    assert kept.gain == 1  # floating point holds it


def test_stem_that_peaks_above_the_mixture_costs_a_second_run(tmp_path: Path) -> None:
    class Overshooting(Separator):
        """Vocals at 1.5 times the mixture, and so an accompaniment against it."""

        runs = 0
        stems = SOURCES

        def blocks(self, mixture, sample_rate, rms):  # type: ignore[no-untyped-def]
            self.runs += 1
            for block in mixture:
                yield np.stack([1.5 * block, -0.5 * block])

        def __init__(self) -> None:
            pass

    loud = 0.9 * tune(1, 8000) / np.abs(tune(1, 8000)).max()
    song = write(tmp_path / "loud.wav", loud, 8000)
    separator = Overshooting()
    outputs = {stem: tmp_path / f"{stem}.wav" for stem in SOURCES}
    with pytest.warns(AudioCliWarning, match="dB softer"):
        done = separate_file(separator, song, outputs)
    assert separator.runs == 2
    assert done.gain == pytest.approx(1 / 1.35, rel=1e-3)
    assert np.abs(read(outputs["vocals"])[0]).max() == pytest.approx(1, abs=1e-3)
    total = sum(read(path)[0] for path in outputs.values())
    assert np.abs(total - done.gain * read(song)[0]).max() < 1e-4


def test_failure_while_writing_leaves_nothing(
    separator: Separator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = write(tmp_path / "song.wav", tune(60, 16000), 16000)
    outputs = {stem: tmp_path / "out" / f"{stem}.wav" for stem in SOURCES}

    def interrupt(done: float, total: float | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:  # it holds the frames and what lives in them
        separate_file(separator, song, outputs, progress=interrupt)
    assert caught.tb is not None
    assert list((tmp_path / "out").iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_existing_file_is_not_replaced(separator: Separator, tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", tune(1, 16000), 16000)
    vocals = tmp_path / "vocals.wav"
    vocals.write_text("mine")
    with pytest.raises(AudioError, match="vocals.wav"):
        separate_file(separator, song, {"vocals": vocals})
    assert vocals.read_text() == "mine"


def test_folder_is_mirrored_and_a_bad_file_stops_nothing(model: Path, tmp_path: Path) -> None:
    music = tmp_path / "music"
    write(music / "a.wav", tune(1, 16000), 16000)
    write(music / "live" / "ü b.wav", tune(1, 8000, 1), 8000)
    (music / "broken.wav").write_text("not audio")
    told: list[Outcome] = []

    class Told(Callbacks):
        def finished(self, outcome: Outcome) -> None:
            told.append(outcome)

    summary = separate_files([str(music)], tmp_path / "out", model=str(model), callbacks=Told())
    assert (summary.done, summary.failed, summary.exit_code) == (2, 1, 1)
    assert "broken.wav" in str(summary.failures[0].error)
    names = sorted(
        str(path.relative_to(tmp_path / "out")) for path in tmp_path.rglob("out/**/*.wav")
    )
    assert names == [
        "a.accompaniment.wav",
        "a.vocals.wav",
        "live/ü b.accompaniment.wav",
        "live/ü b.vocals.wav",
    ]
    lines = (tmp_path / "out" / "audiocli.jsonl").read_text().splitlines()
    states = {json.loads(line).get("status") for line in lines}
    assert {"done", "failed"} <= states
    again = separate_files([str(music)], tmp_path / "out", model=str(model), resume=True)
    assert (again.skipped, again.failed) == (2, 1)


def test_template_and_its_errors(model: Path, tmp_path: Path) -> None:
    song = str(write(tmp_path / "in" / "song.wav", tune(1, 16000), 16000))
    out = tmp_path / "out"
    separate_files(
        [song], out, model=str(model), stems=["vocals"], name="{parent}/{stem}-{name}.{ext}"
    )
    assert (out / "in" / "vocals-song.wav").exists()
    for template in ("{title}.wav", "{name", "{0}", "{name.title}", "{name[a]}"):
        with pytest.raises(UsageError, match="name"):
            separate_files([song], out, model=str(model), name=template)
    with pytest.raises(UsageError, match="both|twice"):
        separate_files([song], out, model=str(model), name="{name}.{ext}")
    for template in ("../{name}.{stem}.{ext}", "a/../../{stem}", f"{tmp_path}/{{stem}}.{{ext}}"):
        with pytest.raises(UsageError, match="leads out of the output folder"):
            separate_files([song], out, model=str(model), name=template)


def test_parent_of_a_file_in_the_working_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "here" / "song.wav", tune(1, 16000), 16000)
    monkeypatch.chdir(tmp_path / "here")
    template = "{parent}/{name}.{stem}.{ext}"
    separate_files(["song.wav"], "out", model=str(model), stems=["vocals"], name=template)
    assert Path("out/here/song.vocals.wav").exists()


def test_outputs_are_what_their_names_say(model: Path, tmp_path: Path) -> None:
    """Whatever an input is called: its content decides how it is read, not what is written."""
    audio = tune(1, 16000).T
    sf.write(tmp_path / "a.flac", audio, 16000, format="WAV", subtype="PCM_24")
    sf.write(tmp_path / "b.mp3", audio, 16000, format="FLAC")
    sf.write(tmp_path / "c.wav", audio, 16000, format="FLAC")
    songs = [str(tmp_path / name) for name in ("a.flac", "b.mp3", "c.wav")]
    out = tmp_path / "out"
    assert separate_files(songs, out, model=str(model), stems=["vocals"]).done == 3
    written = {path.name: probe(path) for path in out.glob("*.vocals.*")}
    assert sorted(written) == ["a.vocals.flac", "b.vocals.wav", "c.vocals.wav"]
    assert all(info.container == name.split(".")[-1] for name, info in written.items())
    assert [written[name].bits for name in sorted(written)] == [24, 16, 16]


def test_unknown_stem_and_model(model: Path, tmp_path: Path) -> None:
    song = str(write(tmp_path / "song.wav", tune(1, 16000), 16000))
    with pytest.raises(UsageError, match="did you mean 'vocals'"):
        separate_files([song], tmp_path, model=str(model), stems=["vocal"])
    with pytest.raises(UsageError, match="no-such"):
        separate_files([song], tmp_path, model="no-such")


def test_lossy_and_flac_inputs(model: Path, tmp_path: Path) -> None:
    audio = tune(2, 44100)
    sf.write(tmp_path / "a.flac", audio.T, 44100, subtype="PCM_24")
    sf.write(tmp_path / "b.mp3", audio.T, 44100)
    out = tmp_path / "out"
    summary = separate_files(
        [str(tmp_path / "a.flac"), str(tmp_path / "b.mp3")], out, model=str(model)
    )
    assert summary.done == 2
    assert probe(out / "a.vocals.flac").bits == 24
    assert probe(out / "b.vocals.wav").bits == 24
    mixture = read(tmp_path / "b.mp3")[0]
    total = read(out / "b.vocals.wav")[0] + read(out / "b.accompaniment.wav")[0]
    assert total.shape == mixture.shape and np.abs(total - mixture).max() < 1e-4


@pytest.fixture(scope="module")
def two_songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voices that glide over music that does not: what a small net learns in seconds."""
    folder = tmp_path_factory.mktemp("songs")
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        time = np.arange(3 * 16000) / 16000
        pitch = 500 + 250 * np.sin(2 * np.pi * rng.uniform(0.5, 1) * time)
        voice = sum(np.sin(k * 2 * np.pi * np.cumsum(pitch) / 16000) / k for k in (1, 2, 3))
        music = sum(np.sin(2 * np.pi * f * time) for f in (110, 165, 220, 4000, 5000))
        for kind, signal in (("voice", voice), ("music", music)):
            write(folder / f"{name}.{kind}.wav", (0.1 * signal[None]).astype(np.float32), 16000)
    return folder


@pytest.mark.parametrize("loss", ["mse", "kl", "snr"])
def test_training_learns_and_its_folder_is_a_model(
    two_songs: Path, tmp_path: Path, loss: str
) -> None:
    config = TrainingConfig(
        arguments={"hidden_size": 48, "power": 0.4},
        loss=loss,
        seconds=1.0,
        fit=FitConfig(epochs=2, steps=25, batch_size=4, learning_rate=3e-3, average=0.9),
    )
    entry = train([two_songs], tmp_path / "net", config, dev=two_songs, licences=["CC0"])
    score = entry.config["scores"][0]["value"]
    assert score > 6, "a net that tells glides from steady tones gains far more"
    evaluation = evaluate(two_songs, str(entry.folder), oracles=False)
    # Training scores what the network alone makes of clips; evaluation what `separate` does, with
    # the level of each segment measured and infrasound taken out before the network.
    assert evaluation.total[0].gnsdr == pytest.approx(score, abs=0.2)
    assert entry.config["training"]["data"][0]["licence"] == "CC0"
    card = (entry.folder / "README.md").read_text()
    assert "CC0" in card and str(score) in card
    stems = Separator(str(entry.folder))(tune(1, 16000), 16000)
    assert stems["vocals"].shape == (2, 16000)


def test_training_goes_on_where_it_was_stopped(two_songs: Path, tmp_path: Path) -> None:
    config = TrainingConfig(
        arguments={"hidden_size": 8, "dropout": 0.2},
        augmentation=AUGMENTATIONS["wide"],
        seconds=0.5,
        fit=FitConfig(epochs=3, steps=2, batch_size=2),
    )
    whole = train([two_songs], tmp_path / "whole", config, dev=two_songs)

    class Killed(Exception):
        pass

    def kill(epoch: object) -> None:
        raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            train([two_songs], tmp_path / "parts", config, dev=two_songs, report=kill)
    parts = train([two_songs], tmp_path / "parts", config, dev=two_songs)
    assert parts.config["weights_sha256"] == whole.config["weights_sha256"]


def test_training_needs_clips(tmp_path: Path, two_songs: Path) -> None:
    with pytest.raises(DataError):
        train([tmp_path], tmp_path / "net", TrainingConfig())
    alone = tmp_path / "alone"
    alone.mkdir()
    for kind in ("voice", "music"):
        (alone / f"one.{kind}.wav").write_bytes((two_songs / f"one.{kind}.wav").read_bytes())
    with pytest.raises(DataError, match="add dev$"):
        train([alone], tmp_path / "net", TrainingConfig())


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_examples_are_as_asked_and_repeatable(name: str) -> None:
    config = TrainingConfig(
        augmentation=AUGMENTATIONS[name], seconds=0.5, fit=FitConfig(batch_size=5)
    )
    clips = [np.random.default_rng(i).normal(size=(2, 9000)).astype(np.float32) for i in (1, 2)]
    stft = config.build().stft
    first, second = (examples(clips, config, np.random.default_rng(7), stft) for _ in range(2))
    assert first.shape == (5, 2, 8000)
    assert torch.equal(first, second)
    assert torch.isfinite(first).all()


def test_without_augmentation_sources_stay_in_step() -> None:
    clip = np.stack([np.arange(9000), -np.arange(9000)]).astype(np.float32)
    config = TrainingConfig(augmentation=AUGMENTATIONS["none"], seconds=0.25)
    network = config.build()
    batch = examples([clip], config, np.random.default_rng(0), network.stft)
    assert torch.allclose(batch[:, 0], -batch[:, 1])


def test_oracle_masks_are_near_the_sources(two_songs: Path) -> None:
    sources = find_clips(two_songs)[0].load_mono(16000)
    network = models.build("drnn", StftConfig(), {"hidden_size": 2})
    for estimate in oracle_masks(sources, network.stft).values():  # type: ignore[arg-type]
        error = np.mean((estimate - sources) ** 2) / np.mean(sources**2)
        assert error < 0.05


def test_scores_are_recorded_in_the_model(two_songs: Path, model: Path, tmp_path: Path) -> None:
    evaluation = evaluate(two_songs, str(model), n_jobs=2)
    systems = {total.system for total in evaluation.total}
    assert systems == {"network", "mixture", "band-pass", "ideal ratio mask", "Wiener-like mask"}
    best = max(evaluation.total, key=lambda total: total.gnsdr)
    assert "mask" in best.system
    for _ in range(2):  # a second time replaces, and adds no row
        record_scores(str(model), evaluation.total, "two gliding songs")
    config = json.loads((model / "config.json").read_text())
    assert len(config["scores"]) == 12
    assert config["scores"][0]["data"] == "two gliding songs; number of clips: 2"
    assert "two gliding songs" in (model / "README.md").read_text()


def test_training_config_refuses_unknown_names() -> None:
    with pytest.raises(UsageError, match="did you mean 'drnn'"):
        TrainingConfig(architecture="drn")
    with pytest.raises(UsageError, match="loss"):
        TrainingConfig(loss="l1")
    with pytest.raises(UsageError, match=r"examples of 0\.01 s: .* 0\.064 s, or longer"):
        TrainingConfig(seconds=0.01)


def test_output_that_is_not_finite_has_no_score() -> None:
    network = TrainingConfig(arguments={"hidden_size": 4}).build()
    with torch.no_grad():
        next(network.parameters()).fill_(torch.nan)
    clip = np.random.default_rng(0).normal(size=(2, 8000)).astype(np.float32)
    with pytest.raises(ModelError, match="^training diverged: .*learning_rate$"):
        score(network, [clip])


def test_card_names_all_folders_that_the_epoch_was_chosen_on(
    two_songs: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(two_songs, other)
    fit = FitConfig(epochs=1, steps=1, batch_size=1)
    config = TrainingConfig(arguments={"hidden_size": 4}, seconds=0.5, fit=fit)
    split = train([two_songs, other], tmp_path / "net", config).config["training"]["split"]
    assert f"/{two_songs.name}, " in split and split.endswith("/other")
