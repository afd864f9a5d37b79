"""From audio to beats: what the shipped models find, what a tempo says, and how both are scored."""

from __future__ import annotations

from pathlib import Path

import mir_eval
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocli.dsp.bar_pointer import BarPointer
from audiocli.errors import DataError, ModelError, UsageError
from audiocli.io.formats import read_beats
from audiocli.nn import registry
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.models import decoder_of
from audiocli.tasks.beat_tracker import Beats, BeatTracker
from audiocli.tasks.beats.evaluation import score_of
from audiocli.tasks.beats.examples import (
    AUGMENTATIONS,
    Augmentation,
    Excerpts,
    Take,
    examples,
    with_rises,
)
from audiocli.tasks.beats.scoring import f_measure, trimmed
from audiocli.tasks.beats.training import TrainingConfig, peaks
from audiocli.tasks.beats.training import loss as training_loss

RATE = 22_050
SHIPPED = [entry.name for entry in registry.list_models("beats")]


@pytest.fixture(scope="module", params=SHIPPED)
def tracker(request: pytest.FixtureRequest) -> BeatTracker:
    return BeatTracker(request.param, device="cpu")


def band(bpm: float, seconds: float, *, first: float = 0.3, meter: int = 4) -> np.ndarray:
    """Drums by code: a low stroke at the bar, noise at the other beats, ticks between; (1, n)."""
    rng = np.random.default_rng(0)
    audio = np.zeros(round((seconds + 1) * RATE), np.float32)
    t = np.arange(round(0.2 * RATE)) / RATE
    kick = 0.8 * np.sin(2 * np.pi * 55 * t) * np.exp(-t / 0.08)
    snare = 0.4 * rng.standard_normal(len(t)) * np.exp(-t / 0.05)
    hat = 0.15 * np.diff(rng.standard_normal(len(t) + 1)) * np.exp(-t / 0.015)
    for half in range(int(2 * (seconds - first) * bpm / 60)):
        start = round((first + half * 30 / bpm) * RATE)
        place = half // 2 % meter
        stroke = hat + (0 if half % 2 else kick if place in (0, 2) and place < meter - 1 else snare)
        audio[start : start + len(t)] += stroke.astype(np.float32)
    return audio[np.newaxis, : round(seconds * RATE)]


@pytest.fixture(scope="module")
def default() -> BeatTracker:
    return BeatTracker(device="cpu")


@pytest.mark.parametrize("bpm", [90.0, 120.0, 140.0])
def test_drums_at_a_known_tempo(default: BeatTracker, bpm: float) -> None:
    beats = default(band(bpm, 20.0), RATE)
    reference = np.arange(0.3, 20.0, 60 / bpm)
    assert f_measure(trimmed(reference), trimmed(beats.times)) > 0.9
    assert beats.tempo.bpm == pytest.approx(bpm, rel=0.02)
    assert 0 < beats.tempo.confidence <= 1


def noises(kind: str) -> np.ndarray:
    samples = 15 * RATE
    noise = np.random.default_rng(5).standard_normal(samples)
    time = np.arange(samples) / RATE
    sounds = {
        "silence": 0 * noise,
        "white": 0.1 * noise,
        "soft": 0.001 * noise,
        "hum": 0.1 * sum(np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3, 5)),
    }
    return sounds[kind].astype(np.float32)[np.newaxis]


def test_drums_at_a_usual_tempo_by_every_model(tracker: BeatTracker) -> None:
    reference = np.arange(0.3, 20.0, 60 / 140)
    beats = tracker(band(140.0, 20.0), RATE)
    assert f_measure(trimmed(reference), trimmed(beats.times)) > 0.9


@pytest.mark.parametrize("bpm", [60.0, 140.0, 200.0])
def test_a_metronome_has_the_tempo_it_is_set_to(default: BeatTracker, bpm: float) -> None:
    """Also where music is seldom so slow or so fast, and nothing tells where bars begin."""
    strike = (
        0.5 * np.sin(2 * np.pi * 1000 * np.arange(1100) / RATE) * np.exp(-np.arange(1100) / 330)
    )
    audio = np.zeros((1, 12 * RATE), np.float32)
    for time in np.arange(0.5, 11.5, 60 / bpm):
        start = round(time * RATE)
        audio[0, start : start + len(strike)] += strike
    found = default(audio, RATE).tempo.bpm
    assert found == pytest.approx(bpm, rel=0.02)


@pytest.mark.parametrize("kind", ["silence", "white", "soft", "hum"])
def test_nothing_has_no_beat_and_no_tempo(tracker: BeatTracker, kind: str) -> None:
    beats = tracker(noises(kind), RATE)
    assert beats.times.tolist() == []
    assert beats.tempo.bpm is None
    assert beats.tempo.meter is None


@pytest.mark.parametrize("samples", [1, 100, 5000])
def test_sound_of_hardly_any_length(tracker: BeatTracker, samples: int) -> None:
    beats = tracker(np.zeros((1, samples), np.float32), RATE)
    assert beats.times.tolist() == []
    assert beats.seconds == pytest.approx(samples / RATE, abs=0.01)


def test_blocks_of_any_size_level_and_channels_change_nothing(tracker: BeatTracker) -> None:
    audio = band(110.0, 12.0)
    whole = tracker(audio, RATE)
    parts = np.split(audio, [1000, 1001, 70_000, 150_000], axis=1)
    assert tracker.stream(parts, RATE).times == pytest.approx(whole.times)
    assert tracker(np.repeat(audio, 2, axis=0), RATE).times == pytest.approx(whole.times, abs=0.01)


def test_a_known_downbeat_moves_the_bars() -> None:
    audio = band(120.0, 16.0)
    told = BeatTracker(device="cpu", meters=(4,), downbeat=0.8)
    beats = told(audio, RATE)
    nearest = int(np.abs(beats.times - 0.8).argmin())
    assert beats.positions[nearest] == 1
    with pytest.raises(UsageError, match="beyond the end"):
        BeatTracker(device="cpu", downbeat=99.0)(audio, RATE)


def test_metres_are_those_that_are_allowed(tracker: BeatTracker) -> None:
    three = BeatTracker(tracker.entry.name, device="cpu", meters=(3,))
    assert set(three(band(120.0, 12.0), RATE).positions) <= {1, 2, 3}


def test_values_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="no model"):
        BeatTracker("nonesuch")
    entry = registry.list_models("beats")[0]
    with pytest.raises(UsageError, match="rise"):
        decoder_of(entry, BarPointer, tempo_range=(200.0, 100.0))
    damaged = registry.ModelEntry(**{**vars(entry), "config": {"decoder": {"nonsense": 1}}})
    with pytest.raises(ModelError, match="damaged"):
        decoder_of(damaged, BarPointer)


# --- tempo -------------------------------------------------------------------------------------


def found(times: np.ndarray, positions: np.ndarray, high: float = 0.9) -> Beats:
    curves = np.full((round(50 * (times[-1] + 1)), 2), 0.01, np.float32)
    curves[np.round(times * 50).astype(int), 0] = high
    return Beats(times, positions, curves, 50.0, float(times[-1] + 1))


def test_tempo_metre_and_confidence() -> None:
    times = 1.0 + 0.48 * np.arange(40)
    tempo = found(times, np.arange(40) % 3 + 1).tempo
    assert tempo.bpm == pytest.approx(125.0)
    assert tempo.meter == 3
    assert tempo.confidence > 0.8
    assert [bpm for bpm, _ in tempo.candidates][0] == tempo.bpm
    assert sorted(bpm for bpm, _ in tempo.candidates) == pytest.approx([62.5, 125.0, 250.0])
    assert sum(share for _, share in tempo.candidates) == pytest.approx(1.0)


def test_faint_and_uneven_beats_are_less_sure() -> None:
    times = 1.0 + 0.48 * np.arange(40)
    places = np.arange(40) % 4 + 1
    sure = found(times, places).tempo.confidence
    uneven = times + np.random.default_rng(0).uniform(-0.15, 0.15, 40)
    assert found(times, places, 0.4).tempo.confidence < sure
    assert found(np.sort(uneven), places).tempo.confidence < sure


def test_a_few_beats_have_no_tempo() -> None:
    assert found(np.array([1.0, 1.5, 2.0]), np.array([1, 2, 3])).tempo.bpm is None


# --- scores ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2000), min_size=1, max_size=30, unique=True),
    st.lists(st.integers(0, 2000), min_size=1, max_size=30, unique=True),
)
def test_f_measure_is_that_of_mir_eval(reference: list[int], estimate: list[int]) -> None:
    # Hundredths of a second, and a tolerance between them: no rounding decides.
    first, second = np.sort(reference) / 100, np.sort(estimate) / 100
    expected = mir_eval.beat.f_measure(first, second, f_measure_threshold=0.075)
    assert f_measure(first, second, 0.075) == pytest.approx(expected)


def test_a_score_leaves_out_the_first_seconds_and_tells_octaves() -> None:
    times = np.arange(0.5, 30, 0.5)
    half = times[::2]
    score = score_of("a", 30.0, (times, times[::4]), (half, half[::2], 60.0))
    assert score.beats == pytest.approx(2 / 3, abs=0.02)
    assert (score.tempo, score.octave) == (0.0, 1.0)
    assert score_of("a", 30.0, (times, None), (times, times[::4], 121.0)).tempo == 1.0
    assert np.isnan(score_of("a", 30.0, (times, None), (times, times[::4], 121.0)).downbeats)
    with pytest.warns(UserWarning, match="not scored"):
        assert np.isnan(score_of("a", 3.0, (times[:4], None), (times, None, None)).beats)


# --- annotations and training ------------------------------------------------------------------


def test_annotations_of_beats(tmp_path: Path) -> None:
    texts = {
        "a.beats": "0.5\t1\n1.0\t2\n",
        "b.csv": "time,position\n0.5,1\n1.0,2\n",
        "c.txt": "0.5 1\n1.0 2\n",
        "d.csv": "0.5,1\n1.0,2\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        times, positions = read_beats(tmp_path / name)
        assert times.tolist() == [0.5, 1.0], name
        assert positions is not None and positions.tolist() == [1, 2], name
    (tmp_path / "e.txt").write_text("0.5\n1.0\n")
    assert read_beats(tmp_path / "e.txt")[1] is None
    (tmp_path / "g.txt").write_text("5 1222222222222222222222\n")
    assert read_beats(tmp_path / "g.txt")[1] is None
    (tmp_path / "f.txt").write_text("time beat\n0.5 1\nlater 2\n")
    with pytest.raises(DataError, match="later"):
        read_beats(tmp_path / "f.txt")


CONFIG = FilterbankConfig(sample_rate=8000, n_ffts=(256,), hop_length=160, bands=12, fmax=4000.0)


def take(has_bars: bool = True) -> Take:
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 2, (2, 12, 1000)).astype(np.float16)
    beats = np.arange(0.5, 20, 0.5)
    return Take(images, beats, beats[::4], has_bars, "data")


def test_targets_stand_where_the_beats_are() -> None:
    form = Excerpts(CONFIG, AUGMENTATIONS["none"], 20.0, 1)
    images, targets = examples([[take()]], form, np.random.default_rng(0))
    assert images.shape == (1, 2, 12, 1000)
    assert np.flatnonzero(targets[0, 0]).tolist() == list(range(25, 1000, 25))
    assert np.flatnonzero(targets[0, 1]).tolist() == list(range(25, 1000, 100))
    _, targets = examples([[take(False)]], form, np.random.default_rng(0))
    assert targets[0, 1].isnan().all()


def test_stretched_examples_have_stretched_targets() -> None:
    form = Excerpts(CONFIG, Augmentation(stretch=1.3), 10.0, 40)
    _, targets = examples([[take()]], form, np.random.default_rng(1))
    gaps = {int(gap) for row in targets[:, 0] for gap in np.diff(np.flatnonzero(row))}
    assert min(gaps) < 22
    assert max(gaps) > 28


def test_rises_are_what_the_front_end_gives() -> None:
    images = torch.tensor([[[[1.0, 3.0, 2.0]]]])
    assert with_rises(images)[0, 1].tolist() == [[0.0, 2.0, 0.0]]


def test_the_loss_allows_a_shift_and_no_more() -> None:
    targets = torch.zeros(1, 2, 60)
    targets[..., 30] = 1

    def at(frame: int) -> float:
        logits = torch.full((1, 2, 60), -9.0)
        logits[..., frame] = 9.0
        return float(training_loss(logits, targets, 2))

    assert at(28) == pytest.approx(at(30), abs=1e-3)
    assert at(36) > 10 * at(30)
    targets[:, 1] = float("nan")
    assert np.isfinite(at(30))


def test_the_loss_of_downbeats_counts_as_much_as_is_said() -> None:
    targets = torch.zeros(1, 2, 60)
    logits = torch.full((1, 2, 60), -9.0)
    logits[:, 1, 30] = 9.0  # a downbeat that is none
    once, twice = (training_loss(logits, targets, 2, weight) for weight in (1.0, 2.0))
    assert float(twice) == pytest.approx(2 * float(once), rel=0.01)
    with pytest.raises(UsageError, match="above 0"):
        TrainingConfig(downbeat_weight=0.0)


def test_peaks_are_apart() -> None:
    curve = np.zeros(200, np.float32)
    curve[[20, 22, 100, 101]] = 0.8, 0.9, 0.7, 0.7
    assert peaks(curve, 50.0, 0.5).tolist() == [0.44, 2.0]


@pytest.mark.parametrize("architecture", ["blstm", "tcn"])
def test_networks_give_two_outputs_and_are_small(architecture: str) -> None:
    network = TrainingConfig(architecture=architecture).build()
    assert network(torch.zeros(1, RATE)).shape[:2] == (1, 2)
    assert sum(weights.numel() for weights in network.parameters()) < 1_000_000
    with pytest.raises(UsageError, match="unknown architecture"):
        TrainingConfig(architecture="tnc")


def test_a_file_is_read_at_any_rate(tracker: BeatTracker, tmp_path: Path) -> None:
    from audiocli import track_file

    soundfile.write(tmp_path / "a.wav", band(120.0, 12.0)[0], RATE)
    beats = track_file(tracker, tmp_path / "a.wav")
    assert beats.seconds == pytest.approx(12.0, abs=0.01)
    assert beats.tempo.bpm == pytest.approx(120.0, rel=0.02)
