"""The onset task: peaks, streams, levels, scores, and detection while the sound is coming."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mir_eval
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onset_networks import (
    RATE,
    bursts,
    config,
    random_network,
    rise_network,
    save_random,
    save_rise,
)

from audiocli.errors import AudioError, DataError, ModelError, UsageError
from audiocli.io.formats import read_instants
from audiocli.nn import framewise, models
from audiocli.nn.fit import FitConfig
from audiocli.nn.framewise import FramewiseNetwork
from audiocli.nn.frontend import FilterbankConfig, StftConfig
from audiocli.tasks.annotated import find_recordings
from audiocli.tasks.onsets import (
    Decoder,
    OnlineDetector,
    OnsetDetector,
    Onsets,
    RawAudio,
    activations,
    as_instants,
    decode,
    open_stream,
)
from audiocli.tasks.onsets.envelope import Envelope, backtracked, rises
from audiocli.tasks.onsets.evaluation import evaluate, record_scores
from audiocli.tasks.onsets.files import write_activations
from audiocli.tasks.onsets.scoring import Match, f_measure, match, merged
from audiocli.tasks.onsets.start import start_activations
from audiocli.tasks.onsets.training import TrainingConfig, train


def picked(curve: list[float], **settings: float) -> list[float]:
    times, _ = decode(np.array(curve, np.float32), 100.0, Decoder(**settings))
    return np.round(times, 6).tolist()


def pieces(audio: np.ndarray, sizes: list[int]) -> Iterator[np.ndarray]:
    """Cut (..., samples) into blocks of these sizes, again and again."""
    begin = index = 0
    while begin < audio.shape[-1]:
        size = sizes[index % len(sizes)]
        yield audio[..., begin : begin + size]
        begin, index = begin + size, index + 1


@pytest.fixture(scope="module")
def rise(tmp_path_factory: pytest.TempPathFactory) -> OnsetDetector:
    return OnsetDetector(str(save_rise(tmp_path_factory.mktemp("rise"))), device="cpu")


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_random(tmp_path_factory.mktemp("causal"), bidirectional=False))


# Peaks


@pytest.mark.parametrize(
    ("curve", "times"),
    [
        ([], []),
        ([0.9], [0.0]),
        ([0.4], []),
        ([0.0, 0.0, 0.0], []),
        ([0.5, 0.0], [0.0]),  # just at the threshold
        ([0.9, 0.2, 0.0], [0.0]),  # the first frame is not moved
        ([0.0, 0.2, 0.9], [0.02]),  # nor the last
        ([0.1, 0.6, 0.6, 0.1], [0.015]),  # a plateau: between the two
        ([0.8, 0.8, 0.8], [0.0]),
        ([0.0, 0.2, 0.9, 0.2, 0.0], [0.02]),
        ([0.0, 0.4, 0.8, 0.6, 0.0], [0.021667]),  # later, towards the higher neighbour
        ([0.6, 0.7, 0.8, 0.9], [0.03]),  # rising to the end
    ],
)
def test_peaks_of_curves_by_hand(curve: list[float], times: list[float]) -> None:
    assert picked(curve) == pytest.approx(times, abs=1e-6)


@given(st.floats(2.0, 5.9), st.floats(0.51, 1.0), st.floats(0.01, 0.1))
def test_the_top_of_a_parabola_is_found(top: float, height: float, bend: float) -> None:
    curve = np.maximum(height - bend * (np.arange(9) - top) ** 2, 0)
    times, strengths = decode(curve.astype(np.float32), 50.0, Decoder(threshold=0.01))
    assert times.tolist() == pytest.approx([top / 50], abs=1e-4)
    assert strengths[0] == pytest.approx(curve.max(), abs=1e-6)


def test_of_peaks_close_together_the_strongest_counts() -> None:
    curve = [0.0, 0.6, 0.0, 0.9, 0.0, 0.0, 0.0, 0.7, 0.0]
    assert picked(curve) == [0.03, 0.07]
    assert picked(curve, combine=0.0) == [0.01, 0.03, 0.07]
    assert picked(curve, combine=0.05) == [0.03]
    # Two as strong: the first.
    assert picked([0.0, 0.9, 0.0, 0.9, 0.0]) == [0.01]


def test_min_gap_keeps_the_first() -> None:
    curve = [0.0, 0.6, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.7, 0.0]
    assert picked(curve, min_gap=0.05) == [0.01, 0.09]
    assert picked(curve, min_gap=0.0) == [0.01, 0.05, 0.09]


@given(
    st.lists(st.floats(0, 1, width=32), max_size=60),
    st.floats(0.05, 1),
    st.sampled_from([0.0, 0.03, 0.1]),
    st.sampled_from([0.0, 0.05]),
)
def test_onsets_rise_and_reach_the_threshold(
    curve: list[float], threshold: float, combine: float, min_gap: float
) -> None:
    settings = Decoder(threshold, combine, min_gap)
    times, strengths = decode(np.array(curve, np.float32), 100.0, settings)
    assert len(times) == len(strengths)
    assert np.all(np.diff(times) > 0) and np.all(np.diff(times) >= min_gap - 1e-9)
    assert np.all(strengths >= np.float32(threshold))
    assert np.all((times >= 0) & (times <= max(len(curve) - 1, 0) / 100 + 1e-9))


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": 1.1}, {"combine": -1.0}, {"min_gap": -0.1}]
)
def test_settings_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Decoder(**wrong)
    with pytest.raises(UsageError):
        Decoder(threshold=float("nan"))


# Streams


@settings(max_examples=12)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=4))
def test_blocks_of_any_size_give_the_curve_of_one_piece(sizes: list[int]) -> None:
    network = rise_network()
    audio = bursts([0.1, 0.4], 0.7)[0]
    whole = np.concatenate(list(activations(network, [audio])))
    streamed = np.concatenate(list(activations(network, pieces(audio, sizes))))
    assert streamed.shape == (1 + len(audio) // 441,)
    np.testing.assert_allclose(streamed, whole, atol=1e-6)


def test_segments_of_a_long_stream_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the reach of a network is within the context, the segments make no difference."""
    audio = bursts([0.3, 0.9, 1.3, 2.2, 2.9], 3.456)[0]
    for network in (rise_network(), random_network(bidirectional=True)):
        with torch.inference_mode():
            whole = torch.sigmoid(network(torch.from_numpy(audio[None])))[0, 0].numpy()
        with monkeypatch.context() as patch:
            patch.setattr(framewise, "SEGMENT", 0.5)
            patch.setattr(framewise, "CONTEXT", 0.4)
            curves = list(activations(network, pieces(audio, [1000, 7, 20_000])))
        assert len(curves) == 7
        # The memory of the random one fades; what is left of it is small.
        np.testing.assert_allclose(np.concatenate(curves), whole, atol=2e-3)


@pytest.mark.parametrize("samples", [0, 1, 440, 441, 442])
def test_short_streams_have_a_frame_at_every_hop(samples: int) -> None:
    blocks = [np.zeros(samples, np.float32)] if samples else []
    (curve,) = activations(rise_network(), blocks)
    assert curve.shape == (1 + samples // 441,)


# Sounds


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_sounds_are_found_when_they_begin(rise: OnsetDetector, rate: int) -> None:
    reference = [0.25, 0.5, 0.9, 1.37]
    found = rise(np.repeat(bursts(reference, 2.0, rate), 2, axis=0), rate)
    assert found.times.tolist() == pytest.approx(reference, abs=0.012)
    assert found.seconds == pytest.approx(2.0, abs=1e-3)
    assert np.all(found.saliences > 20)
    assert len(found.activations) == 201


def test_silence_has_no_onsets(rise: OnsetDetector) -> None:
    for samples in (3, 50_000):
        found = rise(np.zeros((2, samples), np.float32), RATE)
        assert not len(found.times) and not len(found.strengths) and not len(found.saliences)
        assert found.seconds == pytest.approx(samples / RATE)


def test_twice_as_loud_has_the_same_onsets(rise: OnsetDetector) -> None:
    audio = bursts([0.3, 0.7, 1.1], 1.5)
    quiet, loud = rise(audio, RATE), rise(2 * audio, RATE)
    assert quiet.times.tolist() == pytest.approx(loud.times.tolist(), abs=0.002)
    assert len(loud.times) == 3


def test_a_stream_is_detected_as_in_one_piece(rise: OnsetDetector) -> None:
    audio = np.repeat(bursts([0.3, 0.7, 1.1], 1.5, 48_000), 2, axis=0)
    whole = rise(audio, 48_000, backtrack=True)
    streamed = rise.stream(pieces(audio, [999, 3, 8000]), 48_000, backtrack=True)
    np.testing.assert_allclose(streamed.times, whole.times, atol=1e-5)
    np.testing.assert_allclose(streamed.saliences, whole.saliences, atol=1e-3)


def test_backtracked_onsets_stand_before_the_sound(rise: OnsetDetector) -> None:
    reference = np.array([0.3, 0.7, 1.1])
    audio = bursts(reference.tolist(), 1.5)
    audio += np.random.default_rng(1).uniform(-1e-4, 1e-4, audio.shape).astype(np.float32)
    moved = rise(audio, RATE, backtrack=True).times
    assert np.all(moved <= reference) and np.all(moved > reference - 0.11)


def test_wrong_models_are_refused(tmp_path: Path) -> None:
    separator = models.build("drnn", StftConfig(), {"hidden_size": 4})
    models.save(separator, tmp_path / "drnn", config("drnn", {"hidden_size": 4}))
    with pytest.raises(ModelError, match="drnn, is not for onsets"):
        OnsetDetector(str(tmp_path / "drnn"))
    folder = save_rise(tmp_path / "rise")
    stored = (folder / "config.json").read_text()
    for damage in ('{"threshold": 7}', '{"treshold": 0.5}', '["a"]'):
        (folder / "config.json").write_text(stored.replace('"decoder": {}', f'"decoder": {damage}'))
        with pytest.raises(ModelError, match="decoder (settings are damaged|is a list)"):
            OnsetDetector(str(folder))
    with pytest.raises(UsageError, match="no model"):
        OnsetDetector(str(tmp_path / "none"))


# Levels


@given(st.lists(st.integers(1, 700), min_size=1, max_size=5), st.integers(0, 2000))
def test_envelope_of_blocks_is_that_of_one_piece(sizes: list[int], samples: int) -> None:
    audio = np.random.default_rng(0).normal(size=samples).astype(np.float32)
    envelope = Envelope(100)
    passed = list(envelope.measured(pieces(audio, sizes)))
    assert np.array_equal(np.concatenate([np.zeros(0), *passed]), audio)
    assert envelope.samples == samples
    hops = np.split(audio.astype(np.float64), range(100, samples, 100)) if samples else []
    wanted = [10 * np.log10(np.mean(hop**2)) for hop in hops]
    np.testing.assert_allclose(envelope.decibels(), wanted, atol=1e-4)


def test_silence_is_100_db_down() -> None:
    envelope = Envelope(10)
    list(envelope.measured([np.zeros(25, np.float32)]))
    assert envelope.decibels().tolist() == [-100.0, -100.0, -100.0]


def test_rises_by_hand() -> None:
    envelope = np.array([-60] * 20 + [-20] * 20 + [-50] * 20, np.float32)
    times = np.array([0.2, 0.35, 0.4, 0.0, 0.59, 9.0])
    # Before the recording is silence.
    assert rises(envelope, times, 100.0).tolist() == [40.0, 0.0, 0.0, 40.0, 0.0, 0.0]
    assert rises(np.zeros(0, np.float32), np.array([0.0]), 100.0).tolist() == [0.0]


def test_backtracked_by_hand() -> None:
    valley = np.array([-20, -50, -60, -40, -30, -20, -10, -10], np.float32)
    # To the middle of the lowest hop; never before the onset before; never later.
    assert backtracked(valley, np.array([0.061]), 100.0).tolist() == [0.025]
    assert backtracked(valley, np.array([0.041, 0.061]), 100.0).tolist() == [0.025, 0.041]
    assert backtracked(valley, np.array([0.001]), 100.0).tolist() == [0.001]
    assert backtracked(valley, np.array([]), 100.0).size == 0
    # At most 100 ms.
    slope = np.arange(-60, 0, dtype=np.float32)
    (moved,) = backtracked(slope, np.array([0.5]), 100.0)
    assert 0.4 <= moved <= 0.41


@given(
    st.lists(st.floats(-100, 0, width=32), min_size=1, max_size=40),
    st.lists(st.floats(0, 0.5), max_size=6),
)
def test_backtracked_onsets_stay_in_order(levels: list[float], times: list[float]) -> None:
    before = np.sort(np.array(times) % (len(levels) / 100))
    after = backtracked(np.array(levels, np.float32), before, 100.0)
    assert np.all(after <= before) and np.all(after >= before - 0.111) and np.all(after >= 0)
    assert np.all(np.diff(after) >= 0)


# Scores

TIMES = st.lists(st.integers(0, 1500), min_size=1, max_size=25).map(
    lambda milliseconds: np.array(sorted(milliseconds)) / 1000
)


@given(TIMES, TIMES, st.sampled_from([0.0255, 0.0505]))
def test_scores_are_those_of_mir_eval(
    reference: np.ndarray, detected: np.ndarray, window: float
) -> None:
    found = match(reference, detected, window)
    f, precision, recall = mir_eval.onset.f_measure(reference, detected, window=window)
    assert found.f_measure == pytest.approx(f)
    assert found.precision == pytest.approx(precision)
    assert found.recall == pytest.approx(recall)
    assert found.hits + found.misses == len(reference)
    assert found.hits + found.false_alarms == len(detected)


def test_scores_where_there_is_nothing() -> None:
    some, none = np.array([1.0]), np.zeros(0)
    assert match(none, none, 0.05).f_measure == 1.0
    assert match(some, none, 0.05) == Match(0, 0, 1)
    assert match(none, some, 0.05) == Match(0, 1, 0)
    assert match(some, none, 0.05).precision == match(none, some, 0.05).recall == 0
    assert Match(1, 2, 3) + Match(1, 1, 1) == Match(2, 3, 4)
    assert f_measure(0, 3, 0) == 0.0


def test_onsets_close_together_are_one() -> None:
    # Each is compared with the last that was kept, not with the last there was.
    assert merged(np.array([1.05, 1.0, 1.025, 2.0])).tolist() == [1.0, 1.05, 2.0]
    assert merged(np.array([])).size == 0
    assert merged(np.array([1.0, 1.1]), within=0.2).tolist() == [1.0]


# Online


def offline_curve(network: FramewiseNetwork, audio: np.ndarray) -> np.ndarray:
    curve = np.concatenate(list(activations(network, [audio])))
    start = start_activations(network, audio)[: len(curve)]
    curve[: len(start)] = np.maximum(curve[: len(start)], start)
    return curve


@pytest.mark.parametrize("seed", range(4))
def test_online_is_offline_of_the_same_network(causal: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    audio = bursts(np.sort(rng.uniform(0, 2.9, 14)).tolist(), 3.0, seed=seed)[0]
    audio += rng.normal(scale=1e-3, size=len(audio)).astype(np.float32)
    online = OnlineDetector(RATE, causal, device="cpu")
    onsets = []
    for block in pieces(audio, rng.integers(1, 12_000, size=9).tolist()):
        onsets += online.feed(block)
    onsets += online.finish()
    curve = offline_curve(online.network, audio)
    times, strengths = decode(curve, 100.0, Decoder(combine=0.0, min_gap=0.03))
    assert len(times) > 5
    assert [time for time, _ in onsets] == pytest.approx(times.tolist(), abs=1e-4)
    assert [strength for _, strength in onsets] == pytest.approx(strengths.tolist(), abs=1e-4)


@pytest.mark.parametrize("samples", [0, 1, 300, 441, 5 * 441])
def test_online_detects_short_sounds_as_offline(causal: str, samples: int) -> None:
    audio = np.random.default_rng(5).normal(scale=0.3, size=samples).astype(np.float32)
    network = OnlineDetector(RATE, causal, device="cpu").network
    curve = offline_curve(network, audio)
    threshold = 0.9 * float(curve.max())
    online = OnlineDetector(RATE, causal, device="cpu", threshold=threshold)
    onsets = online.feed(audio) + online.finish()
    times, _ = decode(curve, 100.0, Decoder(threshold, combine=0.0, min_gap=0.03))
    assert len(times)
    assert [time for time, _ in onsets] == pytest.approx(times.tolist(), abs=1e-4)


def test_online_at_another_rate(causal: str) -> None:
    audio = bursts([0.2, 0.6, 0.7, 1.2, 1.5, 1.9], 2.2, 48_000)
    # In silence all values are alike, and which is the peak is a matter of rounding.
    audio += np.random.default_rng(1).normal(scale=1e-3, size=audio.shape).astype(np.float32)
    offline = OnsetDetector(causal, device="cpu", combine=0.0, min_gap=0.03)(audio, 48_000)
    online = OnlineDetector(48_000, causal, device="cpu")
    onsets = [each for block in pieces(audio[0], [1000, 333]) for each in online.feed(block)]
    times = np.array([time for time, _ in onsets + online.finish()])
    assert len(times) > 3
    assert match(offline.times, times, 0.005).f_measure > 0.9


def test_an_onset_is_given_out_as_soon_as_it_is_certain(causal: str) -> None:
    audio = bursts([0.2, 0.6, 0.7, 1.2, 1.5], 2.0)[0]
    online = OnlineDetector(RATE, causal, device="cpu")
    processed, given_out = 0, 0
    for block in pieces(audio, [441]):
        processed += len(block)
        for time, _ in online.feed(block):
            given_out += 1
            assert processed / RATE - time <= online.latency + 0.0151
    assert given_out > 3
    assert online.latency < 0.1


def test_online_refuses_what_needs_the_future(tmp_path: Path) -> None:
    both = save_random(tmp_path / "both", bidirectional=True)
    for folder in (both, save_rise(tmp_path / "rise")):
        with pytest.raises(ModelError, match="needs the future"):
            OnlineDetector(RATE, str(folder))


# Pipes


class Trickle(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size, 7) if size is not None and size >= 0 else 7)

    read1 = read


def read_stream(stream: io.BytesIO, raw: RawAudio | None = None) -> tuple[RawAudio, np.ndarray]:
    form, blocks = open_stream(stream, raw or RawAudio())
    return form, np.concatenate([np.zeros(0, np.float32), *blocks])


SIGNAL = np.random.default_rng(0).uniform(-0.9, 0.9, (500, 2)).astype(np.float32)


@pytest.mark.parametrize("pipe", [io.BytesIO, Trickle])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize(
    ("subtype", "encoding"), [("PCM_16", "s16le"), ("PCM_32", "s32le"), ("FLOAT", "f32le")]
)
def test_wav_from_a_pipe(pipe: type[io.BytesIO], form: str, subtype: str, encoding: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, SIGNAL, 22_050, format=form, subtype=subtype)
    # What is stated of the pipe does not matter where there is a header.
    said, audio = read_stream(pipe(file.getvalue()), RawAudio(8000, 1, "s16le"))
    layout = ("FL", "FR") if form == "WAVEX" else ()  # whose header names the speakers
    assert said == RawAudio(22_050, 2, encoding, layout)
    np.testing.assert_allclose(audio, SIGNAL.mean(axis=1), atol=4e-5)


@pytest.mark.parametrize("pipe", [io.BytesIO, Trickle])
@pytest.mark.parametrize("extra", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("encoding", "dtype", "scale"),
    [("s16le", "<i2", 2**15), ("s32le", "<i4", 2**31), ("f32le", "<f4", 1)],
)
def test_raw_audio_from_a_pipe(
    pipe: type[io.BytesIO], extra: int, encoding: str, dtype: str, scale: int
) -> None:
    data = (SIGNAL.astype(np.float64) * scale).astype(dtype).tobytes() + bytes(extra)
    raw = RawAudio(16_000, 2, encoding)
    said, audio = read_stream(pipe(data), raw)
    assert said == raw
    assert len(audio) == 500  # a part of a frame at the end is no sample
    np.testing.assert_allclose(audio, SIGNAL.mean(axis=1), atol=4e-5)


def wav(
    data: bytes, size: int, *, before: bytes = b"", after: bytes = b"", bits: int = 16
) -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, 8000, 8000 * bits // 8, bits // 8, bits)
    chunks = b"WAVE" + before + b"fmt " + struct.pack("<I", 16) + form
    return b"RIFF\xff\xff\xff\xff" + chunks + b"data" + struct.pack("<I", size) + data + after


@pytest.mark.parametrize("size", [0, 0x7FFF0000, 0x80000000, 0xFFFFFFFF])
def test_wav_whose_length_was_not_known(size: int) -> None:
    assert len(read_stream(io.BytesIO(wav(bytes(20_000), size)))[1]) == 10_000


@pytest.mark.parametrize("pipe", [io.BytesIO, Trickle])
def test_what_follows_the_samples_is_no_sound(pipe: type[io.BytesIO]) -> None:
    tags = b"LIST" + struct.pack("<I", 4000) + b"\x7f" * 4000
    odd = b"note" + struct.pack("<I", 3) + b"abc\0"
    _, audio = read_stream(pipe(wav(bytes(30_000), 30_000, before=odd, after=tags)))
    assert len(audio) == 15_000 and not audio.any()


@pytest.mark.parametrize("end", [12, 15, 24, 40, 43])
def test_truncated_headers_are_named(end: int) -> None:
    with pytest.raises(AudioError, match="ends in the middle of a WAV header"):
        open_stream(io.BytesIO(wav(bytes(100), 100)[:end]), RawAudio())


def test_other_kinds_of_wav_are_decoded() -> None:
    assert len(read_stream(io.BytesIO(wav(bytes(3000), 3000, bits=24)))[1]) == 1000


@pytest.mark.parametrize("data", [b"R", b"RIFF", b"RIFFabcdWAV"])
def test_a_few_bytes_are_raw(data: bytes) -> None:
    form, audio = read_stream(io.BytesIO(data))
    assert form == RawAudio() and len(audio) == len(data) // 2


@pytest.mark.parametrize(
    "wrong", [{"encoding": "u8"}, {"channels": 0}, {"sample_rate": 100}], ids=str
)
def test_raw_audio_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        RawAudio(**wrong)  # type: ignore[arg-type]


# Results, training, evaluation


def test_results_have_the_columns_asked_for() -> None:
    numbers = np.array([0.5, 1.0])
    onsets = Onsets(numbers, numbers, 2 * numbers, np.zeros(101), 100.0, 1.0)
    assert as_instants(onsets, "a").table() == {"time": [0.5, 1.0]}
    both = as_instants(onsets, "a", ["salience", "strength"], "crnn")
    assert both.table() == {"time": [0.5, 1.0], "strength": [0.5, 1.0], "salience": [1.0, 2.0]}
    assert both.metadata == {"model": "crnn"}


def test_curves_are_written_in_known_formats_only(tmp_path: Path) -> None:
    none = np.zeros(0)
    onsets = Onsets(none, none, none, np.linspace(0, 1, 5, dtype=np.float32), 100.0, 0.05)
    write_activations(tmp_path / "a.npz", onsets)
    with np.load(tmp_path / "a.npz") as stored:
        assert np.array_equal(stored["strengths"], onsets.activations)
        assert stored["times"].tolist() == [0.0, 0.01, 0.02, 0.03, 0.04]
    with pytest.raises(UsageError, match="exists already"):
        write_activations(tmp_path / "a.npz", onsets)
    with pytest.raises(UsageError, match=r"must end in \.csv, \.npz"):
        write_activations(tmp_path / "a.txt", onsets)


def annotated(folder: Path, names: str, times: tuple[float, ...] = (0.2, 0.5, 0.8)) -> Path:
    folder.mkdir(parents=True)
    for seed, name in enumerate(names):
        soundfile.write(folder / f"{name}.wav", bursts(list(times), 1.1, seed=seed).T, RATE)
        (folder / f"{name}.onsets").write_text("".join(f"{time}\n" for time in times))
    return folder


def test_scores_of_a_detector_that_is_right(tmp_path: Path) -> None:
    model = str(save_rise(tmp_path / "rise"))
    one = annotated(tmp_path / "x" / "test", "ab")
    # A folder of the same name elsewhere is another.
    two = annotated(tmp_path / "y" / "test", "ac", times=(0.1, 0.4, 0.6, 0.8))
    result = evaluate([one, two], model)
    assert len(result.scores) == 4
    assert result.total.matches[0] == Match(14, 0, 0)
    assert result.total.seconds == pytest.approx(4.4)
    chosen = evaluate([one, two], model, only=["test/c"])
    assert [score.name for score in chosen.scores] == ["test/c"]
    with pytest.raises(DataError, match="^only "):
        evaluate([one], model, only=["test/z"])
    assert evaluate([one], "none", detector="librosa").total.matches[1].recall > 0.5
    record_scores(model, result.total, "bursts")
    scores = OnsetDetector(model).entry.config["scores"]
    assert [score["value"] for score in scores] == [100.0, 100.0]
    assert "bursts" in scores[0]["data"] and "14" in scores[0]["data"]


def tiny(architecture: str = "blstm", **changes: object) -> TrainingConfig:
    arguments: dict[str, object] = {"hidden_size": 3}
    if architecture != "blstm":
        arguments = {"hidden_size": 3, "channels": [2], "embedding_size": 4, "num_layers": 1}
    fit = FitConfig(epochs=1, steps=1, batch_size=2)
    config = TrainingConfig(architecture, arguments, seconds=0.5, fit=fit)
    return replace(config, **changes)  # type: ignore[arg-type]


def test_a_folder_may_be_held_out_as_a_whole(tmp_path: Path) -> None:
    one, two = annotated(tmp_path / "one", "ab"), annotated(tmp_path / "two", "c")
    entry = train([one, two], tmp_path / "net", tiny(), held_out=["two/*"], licences=["CC0"])
    data = entry.config["training"]["data"]
    assert [(each["name"].split("/")[-1], each["clips"]) for each in data] == [("one", 2)]
    assert entry.config["decoder"].keys() == {"threshold"}
    network = models.load(entry)
    assert isinstance(network, FramewiseNetwork)


def test_training_goes_on_from_a_model(tmp_path: Path) -> None:
    one, two = annotated(tmp_path / "one", "ab"), annotated(tmp_path / "two", "cd")
    origin = train([one], tmp_path / "origin", tiny(), licences=["CC0"])
    still = replace(tiny().fit, learning_rate=1e-12, weight_decay=0.0, average=0.0)
    entry = train([two], tmp_path / "on", tiny(fit=still), start=str(origin.folder))
    before, after = (models.load(each).state_dict() for each in (origin, entry))
    for name, value in before.items():  # the input's scale too: it is not calibrated anew
        if "running" not in name and "tracked" not in name:
            assert torch.allclose(value, after[name], atol=1e-6), name
    (earlier,) = entry.config["training"]["earlier"]
    assert earlier["data"] == origin.config["training"]["data"]
    assert earlier["command"] == origin.config["training"]["command"]
    card = (entry.folder / "README.md").read_text("utf-8")
    assert card.index("First trained on") < card.index("/one: ") < card.index("/two: ")


def test_training_goes_on_only_from_what_fits(tmp_path: Path) -> None:
    one = annotated(tmp_path / "one", "ab")
    with pytest.raises(ModelError, match="another front-end; choose the architecture it has"):
        train([one], tmp_path / "net", tiny(), start="crnn")
    with pytest.raises(ModelError, match="of other sizes"):
        train([one], tmp_path / "net", tiny(), start="blstm")
    with pytest.raises(UsageError, match="no model 'crn'"):
        train([one], tmp_path / "net", tiny(), start="crn")


def test_more_licences_than_data_are_refused(tmp_path: Path) -> None:
    one = annotated(tmp_path / "one", "ab")
    with pytest.raises(UsageError, match="2 licences for 1 data folders"):
        train([one], tmp_path / "net", tiny(), licences=["CC0", "MIT"])


def test_training_configs_that_cannot_be() -> None:
    for wrong in ({"architecture": "crn"}, {"seconds": 0.1}, {"fuzz": 0.5}):
        with pytest.raises(UsageError):
            tiny(**wrong)  # type: ignore[arg-type]


def test_the_online_architecture_needs_no_future() -> None:
    """Input that comes later than its convolutions reach does not change earlier activations."""
    network = tiny("online").build().eval()
    assert isinstance(network.frontend.config, FilterbankConfig)
    audio = torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    other = audio.clone()
    other[:, 30_000:] = 0
    with torch.inference_mode():
        one, two = network(audio)[0, 0], network(other)[0, 0]
    known = (30_000 - 1024) // 441 - 3
    assert torch.allclose(one[:known], two[:known], atol=1e-5)
    assert not torch.allclose(one[known + 8 :], two[known + 8 :], atol=1e-5)


def test_annotations_of_the_helpers_are_found(tmp_path: Path) -> None:
    (recording,) = find_recordings(annotated(tmp_path / "one", "a"), [".onsets"])
    assert read_instants(recording.annotation).tolist() == [0.2, 0.5, 0.8]
