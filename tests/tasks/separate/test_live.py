"""Separation while the sound is still coming."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from commands import Run, run
from quick_tool import Tool

from audiocli.demo import write_demo
from audiocli.errors import ModelError, UsageError
from audiocli.io.audio.piped import RawAudio, open_piped
from audiocli.nn.fit import FitConfig
from audiocli.nn.live import LiveDRNN, Memory
from audiocli.nn.stereo import FRONTEND, StereoDRNN
from audiocli.tasks.separate import Separator
from audiocli.tasks.separate.live import LiveSeparator, wav_header
from audiocli.tasks.separate.training import TrainingConfig, train

__all__ = ["run"]  # a fixture

LIVE = ("separate", "-", "--live")
SMALL = {"channels": [4, 8], "num_recurrent": 1}
RATE = 44_100


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was trained for a moment, on the demonstration."""
    folder = tmp_path_factory.mktemp("live")
    write_demo(folder / "demo")
    config = TrainingConfig(
        architecture="live-drnn",
        arguments=SMALL,
        loss="snr",
        gamma=0.0,
        seconds=0.5,
        fit=FitConfig(epochs=1, steps=4, batch_size=2),
    )
    stems = folder / "demo" / "stems"
    return train([stems], folder / "model", config, dev=stems).folder


def music(seconds: float, channels: int = 2, rate: int = RATE) -> np.ndarray:
    rng = np.random.default_rng(3)
    time = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * 330 * time) * (np.sin(2 * np.pi * 1.5 * time) > 0)
    noise = rng.normal(size=(channels, len(time)))
    return (0.1 * (tone + 0.3 * noise)).astype(np.float32)


def streamed(separator: LiveSeparator, audio: np.ndarray, size: int) -> np.ndarray:
    parts = [separator.feed(audio[:, at : at + size]) for at in range(0, audio.shape[1], size)]
    return np.concatenate([*parts, separator.finish()], axis=-1)


@pytest.mark.parametrize("frames", [1, 3, 50])
def test_frame_by_frame_is_as_the_whole(frames: int) -> None:
    torch.manual_seed(1)
    network = LiveDRNN(FRONTEND, **SMALL).eval()
    spectrum = network.stft(torch.from_numpy(music(2))).unsqueeze(0)
    network.calibrate(spectrum.abs())
    memory = Memory()
    with torch.inference_mode():
        whole = network.estimates(spectrum)
        parts = [network.advance(each, memory) for each in spectrum.split(frames, dim=-1)]
    assert (torch.cat(parts, dim=-1) - whole).abs().max() < 1e-5 * whole.abs().max()


def test_the_future_changes_nothing() -> None:
    torch.manual_seed(1)
    network = LiveDRNN(FRONTEND, **SMALL).eval()
    spectrum = network.stft(torch.from_numpy(music(2))).unsqueeze(0)
    changed = spectrum.clone()
    changed[..., 40:] *= 100
    with torch.inference_mode():
        before, after = network.estimates(spectrum), network.estimates(changed)
    assert torch.equal(before[..., :40], after[..., :40])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_level_does_not_matter(scale: float) -> None:
    torch.manual_seed(1)
    network = LiveDRNN(FRONTEND, **SMALL).eval()
    audio = torch.from_numpy(music(1)).unsqueeze(0)
    with torch.inference_mode():
        assert torch.allclose(network(audio * scale) / scale, network(audio), atol=1e-5)


@pytest.mark.parametrize("size", [100, 1024, 7777, 10**6])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [44_100, 30_001, 500])
def test_stream_is_as_offline(model: Path, size: int, channels: int, samples: int) -> None:
    separator = LiveSeparator(RATE, channels, str(model), device="cpu")
    audio = music(1, channels)[:, :samples]
    stems = streamed(separator, audio, size)
    with torch.inference_mode():
        offline = separator.network.separate(torch.from_numpy(audio)).numpy()
    assert stems.shape == (2, *audio.shape)
    assert np.abs(stems[0] - offline[0]).max() < 1e-5
    assert np.abs(stems.sum(axis=0) - audio).max() < 1e-6


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000, 96_000])
def test_other_rates(model: Path, rate: int) -> None:
    separator = LiveSeparator(rate, 2, str(model), device="cpu")
    audio = music(1, 2, rate)
    stems = streamed(separator, audio, 700)
    assert stems.shape == (2, *audio.shape)
    assert np.abs(stems.sum(axis=0) - audio).max() < 1e-6
    assert np.abs(stems[0]).max() > 1e-3


@pytest.mark.parametrize("rate", [16_000, 22_050, RATE, 48_000])
def test_stems_come_within_the_stated_latency(model: Path, rate: int) -> None:
    separator = LiveSeparator(rate, 2, str(model), device="cpu")
    # Resampling by two, soxr holds more back than at any other rate.
    assert separator.latency < (0.11 if rate == 22_050 else 0.1)
    audio, size = music(0.7, 2, rate), 64
    fed = given = 0
    for at in range(0, audio.shape[1], size):
        given += separator.feed(audio[:, at : at + size]).shape[-1]
        fed += size
        assert fed - given <= separator.latency * rate + size


def test_memory_does_not_grow(model: Path) -> None:
    separator = LiveSeparator(48_000, 2, str(model), device="cpu")
    block = music(0.1, 2, 48_000)

    def held() -> int:
        arrays = [each for each in vars(separator).values() if isinstance(each, np.ndarray)]
        kept = separator.memory.layers.values()
        tensors = [
            each for value in kept for each in (value if isinstance(value, tuple) else [value])
        ]
        return sum(each.nbytes for each in arrays) + sum(each.nbytes for each in tensors)

    sizes = []
    for _ in range(60):
        separator.feed(block)
        sizes.append(held())
    # A few samples more or less: blocks and hops are not in step.
    assert max(sizes[40:]) <= 1.01 * max(sizes[10:40])


def test_the_model_separates_files_too(model: Path) -> None:
    audio = music(1)
    stems = Separator(str(model), device="cpu")(audio, RATE)
    assert np.abs(stems["vocals"] + stems["accompaniment"] - audio).max() < 1e-6


def test_models_that_need_the_future_are_refused() -> None:
    with pytest.raises(ModelError, match="needs the future"):
        LiveSeparator(RATE, 2, "stereo-drnn")


def test_more_channels_are_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="1 or 2 channels"):
        LiveSeparator(RATE, 6, str(model))


def test_header_of_a_stream_is_read_again() -> None:
    form = RawAudio(22_050, 2, "f32le")
    said, blocks = open_piped(io.BytesIO(wav_header(form) + bytes(80)), RawAudio())
    assert said == form
    assert [block.shape for block in blocks] == [(2, 10)]


def test_wav_through_a_pipe(tool: Tool, model: Path, tmp_path: Path) -> None:
    audio = music(1)
    buffer = io.BytesIO()
    sf.write(buffer, audio.T, RATE, format="WAV", subtype="FLOAT")
    stems = []
    for options in (["--karaoke"], ["--stems", "vocals"]):
        done = tool(*LIVE, "--model", model, *options, cwd=tmp_path, stdin=buffer.getvalue())
        assert done.returncode == 0, done.stderr
        assert b"latency: 64 ms" in done.stderr
        form, blocks = open_piped(io.BytesIO(done.stdout), RawAudio())
        assert (form.sample_rate, form.channels, form.encoding) == (RATE, 2, "f32le")
        stems.append(np.concatenate(list(blocks), axis=1))
    assert np.abs(sum(stems) - audio).max() < 1e-6


def test_raw_samples_through_a_pipe(tool: Tool, model: Path, tmp_path: Path) -> None:
    audio = np.round(music(0.5, 1, 48_000) * 32768)
    raw = audio.T.astype("<i2").tobytes()
    done = tool(*LIVE, "--model", model, "--rate", 48_000, "--channels", 1, cwd=tmp_path, stdin=raw)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == len(raw)


def test_the_shipped_model_takes_the_voice_out_of_the_demo_song(tmp_path: Path) -> None:
    write_demo(tmp_path)
    mixture, rate = sf.read(tmp_path / "song.wav", frames=8 * RATE, dtype="float32")
    voice, _ = sf.read(tmp_path / "stems" / "vocals.wav", frames=8 * RATE, dtype="float32")
    assert rate == RATE
    mixture, voice = (
        np.atleast_2d(each.T).mean(axis=0, keepdims=True) for each in (mixture, voice)
    )
    stems = streamed(LiveSeparator(RATE, 1, device="cpu"), mixture, 4410)

    def ratio(estimate: np.ndarray) -> float:
        error = np.square(estimate - voice, dtype=np.float64).sum()
        return float(10 * np.log10(np.square(voice, dtype=np.float64).sum() / error))

    assert ratio(stems[0]) > ratio(mixture) + 4


def test_options_that_mean_nothing_live(run: Run, model: Path) -> None:
    done = run("separate", "-", "--live", "--model", model, "--gain", "vocals=-6", "--plot")
    assert done.status == 2
    assert "--gain" in done.err and "--live" in done.err
    done = run("separate", "a.wav", "--live", "--model", model)
    assert done.status == 2 and "standard input" in done.err
    done = run("separate", "-", "--live", "--model", model, "--stems", "drums", stdin=bytes(4000))
    assert done.status == 2 and "no stem 'drums'" in done.err


def test_what_a_network_that_knows_the_future_learned_is_taken_over() -> None:
    """Of a sound that stays the same, convolutions that see the past alone see as much."""
    torch.manual_seed(1)
    sizes = {"channels": [4, 8], "num_recurrent": 0}
    other, network = StereoDRNN(FRONTEND, **sizes).eval(), LiveDRNN(FRONTEND, **sizes).eval()
    network.load_stereo(other)
    energy = torch.rand(1, 4, 384, 1).expand(-1, -1, -1, 60)
    energy = energy / energy.mean()
    with torch.inference_mode():
        expected, found = (each._outputs(energy)[..., 30] for each in (other, network))
    assert torch.allclose(expected, found, atol=1e-5)
    assert not torch.allclose(found, LiveDRNN(FRONTEND, **sizes).eval()._outputs(energy)[..., 30])


def test_both_directions_of_a_recurrence_are_taken_over() -> None:
    sizes = {"channels": [4, 8], "num_recurrent": 1}
    other, network = StereoDRNN(FRONTEND, **sizes, context=(96, 4)), LiveDRNN(FRONTEND, **sizes)
    network.load_stereo(other)
    both, one = other.hourglass.recurrent[0].recurrence, network.hourglass.recurrent[0].recurrence
    sequence = torch.randn(1, 20, 8)
    with torch.inference_mode():
        found = one(sequence)[0]
        forward = both(sequence)[..., :4]
        backward = both(sequence.flip(1))[..., 4:].flip(1)
    assert torch.allclose(found, torch.cat([forward, backward], dim=-1), atol=1e-6)
    with pytest.raises(ModelError, match="sizes"):
        network.load_stereo(StereoDRNN(FRONTEND, channels=[4, 4], num_recurrent=1))
