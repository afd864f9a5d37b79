"""Stereo networks: their material, training from the command line, any number of stems."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from click.testing import CliRunner

from audiocli.cli import cli
from audiocli.errors import DataError, ModelError, UsageError
from audiocli.io.audio import read
from audiocli.nn import models, registry
from audiocli.nn.fit import FitConfig
from audiocli.nn.frontend import Stft, StftConfig
from audiocli.nn.hourglass import ConvolutionalDRNN
from audiocli.nn.stereo import BANDS, FRONTEND, StereoDRNN
from audiocli.tasks.separate import Separator, separate_files
from audiocli.tasks.separate.clips import SOURCES, find_clips
from audiocli.tasks.separate.config import TrainingConfig
from audiocli.tasks.separate.evaluation import band_pass, evaluate, evaluate_clip
from audiocli.tasks.separate.leakage import evaluate_leakage, record_leakage
from audiocli.tasks.separate.songs import (
    Material,
    Recording,
    Song,
    SongAugmentation,
    gather_songs,
    mixed_songs,
    validation_clip,
)
from audiocli.tasks.separate.songs import score as score_songs
from audiocli.tasks.separate.training import loss, train
from audiocli.tasks.separate.tta import averaged_over_pitches

RATE = 44_100
SMALL = {"channels": [4, 6], "num_recurrent": 1}
PLAIN = SongAugmentation(together=1.0, alone=0.0, octaves=0.0, decibels=0.0, loud=0.0, narrow=0.0)
FOUR = ("drums", "bass", "other", "vocals")


def tone(hz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def recording(hz: float, ceiling: float = RATE / 2) -> Recording:
    return Recording(tone(hz)[None].astype(np.float16), ceiling)


@pytest.fixture(scope="module")
def band(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs of vocals and three parts, one in stereo."""
    root = tmp_path_factory.mktemp("bands")
    for index, name in enumerate(("one", "two")):
        (root / name).mkdir()
        pitches = {"vocals": 800, "drums": 5000, "bass": 100, "other": 2500}
        for part, hz in pitches.items():
            signal = 0.2 * tone(hz * (1 + 0.1 * index), 2.0)
            wide = np.stack([signal, 0.5 * signal], axis=1) if part == "other" else signal
            sf.write(root / name / f"{part}.wav", wide, RATE)
    return root


def four_stems(folder: Path) -> Path:
    """Write a model of four sources with random weights."""
    torch.manual_seed(1)
    arguments = {**SMALL, "num_sources": 4}
    config = {
        "task": "separate",
        "architecture": "stereo-drnn",
        "arguments": arguments,
        "labels": list(FOUR),
        "decoder": {"segment_seconds": 1.0, "context_seconds": 0.3, "fade_seconds": 0.1},
        "training": {},
        "scores": [],
    }
    models.save(models.build("stereo-drnn", FRONTEND, arguments), folder, config)
    return folder


# --- the network ------------------------------------------------------------------------------


def test_bands_cover_all_bins_but_the_highest() -> None:
    assert sum(count * width for count, width in BANDS) == FRONTEND.bins - 1
    with pytest.raises(ModelError, match="must pool 1408 bins"):
        StereoDRNN(FRONTEND, bands=[(100, 14)])


def test_what_a_network_for_one_channel_learned_is_taken_over() -> None:
    """In bands of one bin, of a mono signal, both make the same masks."""
    torch.manual_seed(0)
    config = StftConfig(sample_rate=16_000, n_fft=256, hop_length=128)
    mono = ConvolutionalDRNN(config, **SMALL).eval()
    stereo = StereoDRNN(config, bands=[(128, 1)], **SMALL).eval()
    stereo.load_mono(mono)
    audio = torch.randn(1, 4000)
    with torch.no_grad():
        expected = mono(audio)
        found = stereo(audio.unsqueeze(1).expand(1, 2, -1))
    assert torch.allclose(found[:, :, 0], expected, atol=1e-2)
    assert torch.allclose(found[:, :, 0], found[:, :, 1], atol=1e-6)
    with pytest.raises(ModelError, match="sizes"):
        stereo.load_mono(ConvolutionalDRNN(config, channels=[4, 8], num_recurrent=1))


def test_context_lets_bands_hear_of_each_other() -> None:
    torch.manual_seed(0)
    with pytest.raises(ModelError, match=r"context \(12, 4\): the narrowest width has 96 bands"):
        StereoDRNN(FRONTEND, **SMALL, context=(12, 4))
    plain = StereoDRNN(FRONTEND, **SMALL).eval()
    larger = StereoDRNN(FRONTEND, **SMALL, context=(96, 4)).eval()
    larger.load_state_dict({**larger.state_dict(), **plain.state_dict()})
    low, high = torch.rand(2, 1, 4, 384, 20).unbind()
    high[:, :, :192] = low[:, :, :192]

    def lowest(network: StereoDRNN, energy: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            waist: torch.Tensor = network.hourglass.waist(network._input(energy))[0]
            return waist[:, :, :24]

    assert torch.equal(lowest(larger, low), lowest(plain, low))  # it begins by adding nothing
    for stage in larger.hourglass.context:
        assert isinstance(stage, torch.nn.Module)
        for name, weight in stage.named_parameters():
            if name.startswith("from_"):
                torch.nn.init.normal_(weight)
    assert torch.equal(lowest(plain, low), lowest(plain, high))
    assert not torch.allclose(lowest(larger, low), lowest(larger, high))


def test_training_goes_on_with_the_context_that_there_is(band: Path, tmp_path: Path) -> None:
    arguments = {**SMALL, "context": [96, 4]}
    config = {
        "task": "separate",
        "architecture": "stereo-drnn",
        "arguments": arguments,
        "labels": list(SOURCES),
        "decoder": {"segment_seconds": 1.0, "context_seconds": 0.3, "fade_seconds": 0.1},
        "training": {},
        "scores": [],
    }
    models.save(models.build("stereo-drnn", FRONTEND, arguments), tmp_path / "first", config)
    fit = FitConfig(epochs=1, steps=1, batch_size=1)
    given = TrainingConfig(
        architecture="stereo-drnn", loss="snr", gamma=0.0, arguments=SMALL, seconds=0.5, fit=fit
    )
    start = str(tmp_path / "first")
    train([band], tmp_path / "second", given, dev=band, start=start, licences=["CC0"])
    assert registry.open_folder(tmp_path / "second").config["arguments"]["context"] == [96, 4]


def test_odds_weigh_the_first_source_against_the_others() -> None:
    torch.manual_seed(0)
    plain = StereoDRNN(FRONTEND, **SMALL).eval()
    doubting = StereoDRNN(FRONTEND, odds=0.5, **SMALL).eval()
    doubting.load_state_dict(plain.state_dict())
    with torch.no_grad():
        spectrum = plain.stft(torch.randn(1, 2, 8000))
        before, after = plain.masks(spectrum), doubting.masks(spectrum)
    torch.testing.assert_close(after.sum(dim=1), torch.ones_like(after[:, 0]))
    torch.testing.assert_close(
        after[:, 0] / after[:, 1], 0.5 * before[:, 0] / before[:, 1], rtol=1e-3, atol=1e-5
    )
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ModelError, match="odds .* must be above 0"):
            StereoDRNN(FRONTEND, odds=wrong, **SMALL)


def test_channels_are_processed_together_and_swapped_with_the_input() -> None:
    torch.manual_seed(0)
    network = StereoDRNN(FRONTEND, **SMALL).eval()
    audio = torch.randn(3, 9000)
    with torch.no_grad():
        three = network.separate(audio)
        one = network.separate(audio[:1])
        two = network.separate(audio[:2])
    assert three.shape == (2, 3, 9000)
    assert torch.allclose(three[:, :1], one, atol=1e-5)
    assert not torch.allclose(two, three[:, :2], atol=1e-3)
    assert torch.allclose(two.sum(dim=0), audio[:2], atol=1e-5)


# --- material ---------------------------------------------------------------------------------


def test_parts_of_an_accompaniment_are_a_clip(band: Path) -> None:
    clips = find_clips(band)
    assert [clip.name for clip in clips] == ["one", "two"]
    signals, rate = clips[0].load_parts()
    assert signals.shape == (4, 2, 2 * RATE) and rate == RATE
    sources, _ = clips[0].load()
    assert np.allclose(sources[1], signals[1:].sum(axis=0))


def test_what_belongs_together_stays_together() -> None:
    """A voice that is its backing, an octave apart, is so in every example."""
    material = Material([[Song(recording(400), (recording(800),))]], [], [], RATE)
    rng = np.random.default_rng(0)
    batch = mixed_songs(material, PLAIN, Stft(FRONTEND), rng, number=4, seconds=0.5).numpy()
    for voice, backing in batch.mean(axis=2):
        peaks = [np.abs(np.fft.rfft(signal)).argmax() for signal in (voice, backing)]
        assert peaks[1] == pytest.approx(2 * peaks[0], abs=3)


def test_one_source_is_silent_at_times_and_never_both() -> None:
    material = Material([[Song(recording(400), (recording(900),))]], [], [], RATE)
    rng = np.random.default_rng(1)
    always = SongAugmentation(alone=1.0)
    batch = mixed_songs(material, always, Stft(FRONTEND), rng, number=12, seconds=0.25)
    silent = batch.square().mean(dim=(2, 3)) < 1e-9
    assert (silent.sum(dim=1) == 1).all()
    assert silent[:, 0].any() and silent[:, 1].any()


def test_bandwidth_does_not_betray_the_voice() -> None:
    """Where one source ends at 3 kHz, so does the other."""
    noise = np.random.default_rng(0).normal(size=(1, RATE)).astype(np.float16)
    song = Song(recording(400, ceiling=3000.0), (Recording(noise, RATE / 2),))
    material = Material([[song]], [], [], RATE)
    rng = np.random.default_rng(2)
    batch = mixed_songs(material, PLAIN, Stft(FRONTEND), rng, number=3, seconds=0.5).numpy()
    spectrum = np.abs(np.fft.rfft(batch[:, 1, 0])) ** 2
    cut = round(3300 / RATE * batch.shape[-1])
    assert spectrum[:, cut:].sum() < 1e-4 * spectrum.sum()


def test_a_limiter_leaves_sources_that_add_up() -> None:
    material = Material([[Song(recording(400), (recording(900),))]], [], [], RATE)
    loud = SongAugmentation(together=1.0, alone=0.0, loud=1.0, narrow=0.0)
    batch = mixed_songs(
        material, loud, Stft(FRONTEND), np.random.default_rng(3), number=4, seconds=0.5
    )
    assert torch.isfinite(batch).all()
    mixture = batch.sum(dim=1)
    assert (mixture.abs().amax(dim=(1, 2)) / mixture.square().mean(dim=(1, 2)).sqrt() < 2.5).all()


def test_a_rest_in_all_sources_stays_one() -> None:
    silence = Recording(np.zeros((1, RATE), np.float16), RATE / 2)
    material = Material([[Song(silence, (silence,))]], [], [], RATE)
    loud = SongAugmentation(loud=1.0)
    batch = mixed_songs(
        material, loud, Stft(FRONTEND), np.random.default_rng(0), number=4, seconds=0.25
    )
    assert not batch.any()


def test_material_is_read_at_the_rate_of_the_network(band: Path, tmp_path: Path) -> None:
    (tmp_path / "backing").mkdir()
    sf.write(tmp_path / "backing" / "a.wav", 0.1 * tone(300, 1.0, 16_000), 16_000)
    material = gather_songs([find_clips(band)], [], [tmp_path / "backing"], RATE)
    assert [number for number, _ in material.amounts] == [2, 1]
    assert material.amounts[0][1] == pytest.approx(4 / 60)
    (lone,) = material.backings[0]
    assert lone.parts[0].samples.shape == (1, RATE) and lone.parts[0].ceiling == 8000
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        gather_songs([], [tmp_path / "empty"], [], RATE)


def test_score_of_the_mixture_itself_is_none(band: Path) -> None:
    class Nothing(StereoDRNN):
        def separate(self, audio: torch.Tensor, sources: object = None) -> torch.Tensor:
            return torch.stack([audio, torch.zeros_like(audio)])

    clip = validation_clip(find_clips(band)[0], RATE)
    assert score_songs(Nothing(FRONTEND, **SMALL), [clip]) == pytest.approx(0, abs=0.01)


# --- training and after -----------------------------------------------------------------------


def test_training_from_the_command_line(band: Path, tmp_path: Path) -> None:
    for kind, hz in (("voices", 700), ("backing", 3000)):
        (tmp_path / kind).mkdir()
        sf.write(tmp_path / kind / "a.wav", 0.1 * tone(hz, 2.0), RATE)
    words = ["--epochs", "1", "--steps", "2", "--batch-size", "2", "--seconds", "0.5"]
    words += ["--loss", "snr", "--gamma", "0", "--arch", "stereo-drnn", "--layers", "1"]
    words += ["--voices", str(tmp_path / "voices"), "--backing", str(tmp_path / "backing")]
    words += ["--licence", "CC0", "--licence", "voices' own"]
    command = ["train", "separate", str(band), "-o", str(tmp_path / "net"), "--dev", str(band)]
    done = CliRunner().invoke(cli, [*command, *words])
    assert done.exit_code == 0, done.output
    config = registry.open_folder(tmp_path / "net").config
    assert [each["licence"] for each in config["training"]["data"]] == [
        "CC0",
        "voices' own",
        "unspecified",
    ]
    assert config["scores"][0]["metric"] == "vocals SNR improvement"
    separator = Separator(str(tmp_path / "net"))
    assert separator.rate == RATE and separator.stems == SOURCES
    again = CliRunner().invoke(cli, [*command, *words])  # all of it is done
    assert again.exit_code == 0, again.output
    other = ["--arch", "drnn", "-o", str(tmp_path / "other")]
    refused = CliRunner().invoke(cli, [*command, *words, *other])
    assert refused.exit_code == 1 and "stereo-drnn" in str(refused.exception)


def test_a_training_config_refuses_what_does_not_fit(band: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="with loss snr"):
        TrainingConfig(architecture="stereo-drnn", loss="mse")
    with pytest.raises(UsageError, match="stereo-drnn and live-drnn alone"):
        train([band], tmp_path / "net", TrainingConfig(), voices=[band])
    with pytest.raises(UsageError, match="2 licences for 1 data folders"):
        train([band], tmp_path / "net", TrainingConfig(), licences=["CC0", "CC0"])
    with pytest.raises(UsageError, match="no model 'drn-mir1k'"):
        train([band], tmp_path / "net", TrainingConfig(), start="drn-mir1k")
    assert not (tmp_path / "net").exists()


def test_loss_is_low_where_the_estimate_is_right() -> None:
    """Of a mixture that is voice alone, and a network that takes all for voice."""
    config = TrainingConfig(architecture="stereo-drnn", loss="snr", gamma=0.0, arguments=SMALL)

    class All(StereoDRNN):
        def _masks(self, spectrum: torch.Tensor) -> torch.Tensor:
            bands = sum(count for count, _ in self.bands)
            whole = torch.ones(len(spectrum), 1, 2, bands, spectrum.shape[-1])
            return torch.cat([whole, 0 * whole], dim=1)

    audio = torch.randn(2, 2, 9000)
    right = torch.stack([audio, torch.zeros_like(audio)], dim=1)
    network = All(FRONTEND, **SMALL)
    assert loss(network, right, config).item() == pytest.approx(-30, abs=0.5)
    assert loss(network, right.flip(1), config).item() > 0


# --- stems ------------------------------------------------------------------------------------


def test_four_stems_add_up_and_the_rest_comes_last(tmp_path: Path) -> None:
    separator = Separator(str(four_stems(tmp_path / "four")), device="cpu")
    assert separator.stems == ("vocals", "drums", "bass", "other")
    mixture = np.random.default_rng(0).normal(size=(2, 70_000)).astype(np.float32) / 10
    for rate in (RATE, 48_000):
        stems = separator(mixture, rate)
        assert np.abs(sum(stems.values()) - mixture).max() < 1e-5


def test_files_of_four_stems_and_of_all_but_the_vocals(tmp_path: Path) -> None:
    model = str(four_stems(tmp_path / "four"))
    mixture = 0.1 * np.stack([tone(300), tone(900)], axis=1)
    sf.write(tmp_path / "a.wav", mixture, RATE, "FLOAT")
    summary = separate_files([str(tmp_path / "a.wav")], tmp_path / "out", model=model)
    assert summary.done == 1
    made = {path.name: read(path)[0] for path in (tmp_path / "out").glob("*.wav")}
    assert set(made) == {f"a.{stem}.wav" for stem in FOUR}
    assert np.abs(sum(made.values()) - mixture.T).max() < 1e-5
    wanted = ["accompaniment", "bass"]
    separate_files([str(tmp_path / "a.wav")], tmp_path / "two", model=model, stems=wanted)
    rest = read(tmp_path / "two" / "a.accompaniment.wav")[0]
    assert np.abs(rest + made["a.vocals.wav"] - mixture.T).max() < 1e-5
    with pytest.raises(UsageError, match="four has no stem 'piano'.*bass"):
        separate_files([str(tmp_path / "a.wav")], tmp_path / "x", model=model, stems=["piano"])
    with pytest.raises(UsageError, match="stem 'drums'.*accompaniment, vocals; the model"):
        separate_files([str(tmp_path / "a.wav")], tmp_path / "x", stems=["drums"])


def test_model_without_a_rest_gets_one(tmp_path: Path) -> None:
    folder = four_stems(tmp_path / "four")
    config = json.loads((folder / "config.json").read_text())
    config["labels"] = ["vocals", "drums", "bass", "piano"]
    (folder / "config.json").write_text(json.dumps(config))
    stems = Separator(str(folder), device="cpu").stems
    assert stems == ("vocals", "drums", "bass", "piano", "accompaniment")


# --- evaluation -------------------------------------------------------------------------------


def test_long_songs_are_scored_in_stretches_where_both_sound(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "song").mkdir()
    noise = 0.1 * rng.normal(size=(2, 70 * 8000))
    noise[0, 30 * 8000 : 60 * 8000] = 0  # no voice in the second stretch
    for name, signal in zip(SOURCES, noise, strict=True):
        sf.write(tmp_path / "song" / f"{name}.wav", signal, 8000)
    evaluation = evaluate(tmp_path, "drnn-mir1k", oracles=False)
    assert sorted({score.clip for score in evaluation.scores}) == ["song 0 s", "song 60 s"]
    assert {score.system for score in evaluation.scores} == {"network", "mixture", "band-pass"}
    assert evaluation.total[0].clips == 2


def test_both_channels_are_scored(band: Path, tmp_path: Path) -> None:
    model = str(four_stems(tmp_path / "four"))
    evaluation = evaluate(band, model, oracles=True)
    best = {(t.system, t.source, t.version): t.gnsdr for t in evaluation.total}
    assert best["Wiener-like mask", "vocals", 2] > 15
    assert best["mixture", "vocals", 2] == 0


def test_each_stem_is_scored(band: Path, tmp_path: Path) -> None:
    model = str(four_stems(tmp_path / "four"))
    evaluation = evaluate(band, model, oracles=True, stems=True)
    gains = {(t.system, t.source): t.gnsdr for t in evaluation.total if t.version == 2}
    assert {source for _, source in gains} == set(FOUR)
    assert {system for system, _ in gains} == {
        "network", "mixture", "ideal ratio mask", "Wiener-like mask"
    }  # fmt: skip
    assert all(gains["mixture", stem] == 0 for stem in FOUR)
    assert all(gains["Wiener-like mask", stem] > 15 for stem in FOUR)


def test_stems_that_are_not_there_are_not_scored(band: Path, tmp_path: Path) -> None:
    (clip, _) = find_clips(band)
    with pytest.raises(ModelError, match="stereo-drnn: does not separate drums; its stems are"):
        evaluate_clip(clip, Separator(device="cpu"), stems=True)
    (tmp_path / "two").mkdir()
    for name in SOURCES:
        sf.write(tmp_path / "two" / f"{name}.wav", tone(300), RATE)
    (whole,) = find_clips(tmp_path)
    with pytest.raises(DataError, match="two: its accompaniment is in one piece"):
        evaluate_clip(whole, Separator(device="cpu"), stems=True)


def test_band_of_voices() -> None:
    sound = tone(1000) + tone(80)
    inside, outside = band_pass(sound, RATE)
    assert np.allclose(inside, tone(1000), atol=1e-3)
    assert np.allclose(outside, tone(80), atol=1e-3)


def test_leak_is_what_ends_in_the_wrong_stem(tmp_path: Path) -> None:
    model = four_stems(tmp_path / "four")
    (tmp_path / "music").mkdir()
    for name, hz in (("a", 300), ("b", 2000)):
        sf.write(tmp_path / "music" / f"{name}.wav", 0.1 * tone(hz), RATE)
    (tmp_path / "music" / "silence.wav").write_bytes((tmp_path / "music" / "a.wav").read_bytes())
    sf.write(tmp_path / "music" / "silence.wav", np.zeros(RATE), RATE)
    into_vocals = evaluate_leakage(tmp_path / "music", str(model), "accompaniment")
    into_rest = evaluate_leakage(tmp_path / "music", str(model), "vocals")
    for one, other in zip(into_vocals.scores[:2], into_rest.scores[:2], strict=True):
        assert -20 < one.leak < 0 and -20 < other.leak < 0
    assert np.isnan(into_vocals.scores[2].leak)  # silence: nothing could leak
    with pytest.raises(UsageError, match="unknown source 'voice'.*vocals"):
        evaluate_leakage(tmp_path / "music", str(model), "voice")
    assert into_vocals.total is not None and into_vocals.total.seconds == 2
    for _ in range(2):
        record_leakage(str(model), into_vocals, "accompaniment", "three files")
    scores = json.loads((model / "config.json").read_text())["scores"]
    assert [score["metric"] for score in scores] == ["leak into vocals"]


def test_leak_from_the_command_line(tmp_path: Path) -> None:
    model = str(four_stems(tmp_path / "four"))
    (tmp_path / "music").mkdir()
    sf.write(tmp_path / "music" / "a.wav", 0.1 * tone(300), RATE)
    words = ["evaluate", "separate", str(tmp_path / "music"), "--only", "accompaniment"]
    done = CliRunner().invoke(cli, [*words, "--model", model, "--format", "json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["total"]["seconds"] == 1
    (tmp_path / "music" / "b.wav").write_text("not audio")
    done = CliRunner().invoke(cli, [*words, "--model", model])
    assert done.exit_code == 1 and "b.wav" in done.output
    done = CliRunner().invoke(cli, [*words, "--model", model, "--no-oracles"])
    assert done.exit_code == 2 and "not for --only" in done.output


# --- several pitches --------------------------------------------------------------------------


def test_pitches_of_what_changes_nothing_give_the_signal_back() -> None:
    rng = np.random.default_rng(0)
    smooth = np.convolve(rng.normal(size=9000), np.hanning(64) / 32, "same")[None]
    signal = smooth.astype(np.float32)
    lengths: list[int] = []

    def process(audio: np.ndarray) -> np.ndarray:
        lengths.append(audio.shape[-1])
        return np.stack([audio, 2 * audio])

    output = averaged_over_pitches(process, signal, [-12, 0, 5])
    assert output.shape == (2, 1, 9000)
    inner = slice(300, -300)  # the filters of the resampler meet silence beyond the ends
    assert np.abs(output[1] - 2 * signal)[:, inner].max() < 0.02 * np.abs(signal).max()
    assert lengths == [18_000, 9000, round(9000 / 2 ** (5 / 12))]


def test_model_of_several_pitches_keeps_its_promises(tmp_path: Path) -> None:
    folder = four_stems(tmp_path / "four")
    plain = Separator(str(folder), device="cpu")
    config = json.loads((folder / "config.json").read_text())
    config["decoder"]["semitones"] = [-3, 0, 3]
    (folder / "config.json").write_text(json.dumps(config))
    several = Separator(str(folder), device="cpu")
    mixture = np.random.default_rng(0).normal(size=(2, 70_000)).astype(np.float32) / 10
    stems, others = several(mixture, RATE), plain(mixture, RATE)
    assert np.abs(sum(stems.values()) - mixture).max() < 1e-5
    assert np.abs(stems["vocals"] - others["vocals"]).max() > 1e-3
    assert not any(stem.any() for stem in several(0 * mixture, RATE).values())
    config["decoder"]["semitones"] = ["high"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="decoder settings are damaged"):
        Separator(str(folder))
