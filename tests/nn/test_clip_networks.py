"""Networks that say something of a whole clip, their streams, and the front-end's short windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from places import DATA
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn import clipwise, models, registry
from audiocli.nn.clip_harmony import ClipHarmony
from audiocli.nn.clip_mobile import ClipMobile
from audiocli.nn.clipwise import ClipNetwork, Head, levelled, pool, steps_of_stream
from audiocli.nn.frontend import (
    Filterbank,
    FilterbankConfig,
    check_fingerprint,
    fingerprint,
    from_dict,
    to_dict,
)

RATE = 8000
BANK = FilterbankConfig(RATE, (256,), 80, 12, fmax=4000.0, difference=False)
TWO = FilterbankConfig(RATE, (128, 256), 80, 12, fmax=4000.0)
MUSICNN: dict[str, Any] = {
    "filters": [[4, 3, 2, 2, 2], [2, 2, 2, 2, 2]],
    "lengths": [6, 4, 2],
    "hidden": 4,
    "units": 6,
}
#: Arguments that make each architecture small, and the frames of a step.
SMALL: list[tuple[str, dict[str, Any], int]] = [
    ("clip-mlp", {"num_layers": 0}, 10),
    ("clip-mlp", {"hidden_size": 5, "num_layers": 2, "stride": 3}, 3),
    ("clip-rnn", {"hidden_size": 3, "cell": "rnn"}, 1),
    ("clip-rnn", {"hidden_size": 3, "num_layers": 1, "cell": "gru"}, 1),
    ("clip-rnn", {"hidden_size": 3, "bidirectional": True, "dropout": 0.1}, 1),
    ("clip-cnn", {"channels": [3, 4]}, 4),
    ("clip-cnn", {"channels": [3, 4, 5], "fine": 2}, 2),
    ("clip-cnn", {"channels": [3, 4], "num_layers": 1, "hidden_size": 3}, 4),
    ("clip-mobile", {"channels": [4, 6, 8], "strides": [2, 1, 2]}, 4),
    ("clip-musicnn", {**MUSICNN, "frames": 10}, 10),
    ("clip-musicnn", {**MUSICNN, "frames": 10, "peaks": True}, 10),
    ("clip-harmony", {"octaves": 1, "channels": [4, 6, 8], "num_circles": 1}, 1),
]
EACH = pytest.mark.parametrize(("name", "arguments", "stride"), SMALL, ids=str)


def small(
    name: str, arguments: dict[str, Any], num_outputs: int = 3, bank: FilterbankConfig = BANK
) -> ClipNetwork:
    torch.manual_seed(1)
    network = models.build(name, bank, {**arguments, "num_outputs": num_outputs})
    assert isinstance(network, ClipNetwork)
    network.eval()
    network.calibrate(noise(2, 8000))
    return network


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pieces(audio: np.ndarray, sizes: list[int]) -> Iterator[np.ndarray]:
    begin = index = 0
    while begin < audio.shape[-1]:
        size = sizes[index % len(sizes)]
        yield audio[..., begin : begin + size]
        begin, index = begin + size, index + 1


def streamed(network: ClipNetwork, blocks: Any) -> np.ndarray:
    return np.concatenate(list(steps_of_stream(network, blocks)))


# Networks


@EACH
@pytest.mark.parametrize("samples", [0, 1, 79, 80, 5000])
@pytest.mark.parametrize("bank", [BANK, TWO], ids=["one", "four"])
def test_logits_a_clip_and_features_a_step(
    name: str, arguments: dict[str, Any], stride: int, samples: int, bank: FilterbankConfig
) -> None:
    network, audio = small(name, arguments, bank=bank), noise(2, samples)
    with torch.no_grad():
        logits, features = network(audio), network.embed(audio)
    assert network.stride == stride
    assert logits.shape == (2, 3)
    assert features.shape == (2, network.units, network.steps(1 + samples // 80))
    assert torch.isfinite(logits).all() and torch.isfinite(features).all()
    with torch.no_grad():
        assert network.head is not None
        assert torch.allclose(network.head(network.pooled(audio)), logits, atol=1e-5)


@EACH
def test_every_weight_learns(name: str, arguments: dict[str, Any], stride: int) -> None:
    network = small(name, arguments).train()
    network(noise(4, 6000))[:, 0].square().sum().backward()
    for weight, parameter in network.named_parameters():
        assert parameter.grad is not None, weight
        assert torch.isfinite(parameter.grad).all(), weight
        assert parameter.grad.abs().max() > 0, weight


@EACH
def test_clips_of_a_batch_do_not_mix(name: str, arguments: dict[str, Any], stride: int) -> None:
    network, audio = small(name, arguments), noise(3, 4000)
    audio[1] *= 0.01
    with torch.no_grad():
        alone = torch.cat([network(clip[None]) for clip in audio])
        assert torch.allclose(network(audio), alone, atol=1e-5)


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        ),
    ],
)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [*(each[:2] for each in SMALL), ("clip-mobile", {"channels": [4, 6, 8], "window": 16})],
    ids=str,
)
def test_clips_of_any_lengths_go_through_together(
    name: str, arguments: dict[str, Any], device: str
) -> None:
    network = small(name, arguments).to(device)
    lengths = [2000, 500, 2000, 1300, 2000, 500, 300, 2000, 2000, 2000, 2000, 2000, 2000, 2000]
    found = [
        clipwise.Piece(noise(length, seed=seed).numpy(), seed % 2)
        for seed, length in enumerate(lengths)
    ]
    alone = list(clipwise.embedded(network, found))
    together = clipwise.embedded_together(network, found)
    assert len(alone) == len(together) == len(lengths)
    for one, other in zip(alone, together, strict=True):
        assert one.shape == other.shape
        assert np.allclose(one, other, atol=1e-6 if device == "cpu" else 1e-4)


@EACH
def test_the_level_says_nothing(name: str, arguments: dict[str, Any], stride: int) -> None:
    network, audio = small(name, arguments), noise(1, 4000)
    with torch.no_grad():
        one, other, near = network(audio), network(0.25 * audio), network(audio.flip(1))
    assert torch.allclose(one, other, atol=1e-5)
    assert not torch.allclose(one, near, atol=1e-5)  # it does make a difference


@EACH
def test_fused_for_inference_it_says_the_same(
    name: str, arguments: dict[str, Any], stride: int
) -> None:
    network, audio = small(name, arguments).train(), noise(2, 4000)
    with torch.no_grad():
        for seed in range(3):  # so that the normalisations do something
            network(noise(4, 4000, seed=seed))
        before = network.eval()(audio)
        network.fuse()
        assert torch.allclose(network(audio), before, atol=1e-4)
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    assert not (norms and name == "clip-mobile")


@EACH
def test_an_encoder_has_features_alone(name: str, arguments: dict[str, Any], stride: int) -> None:
    network = small(name, arguments, num_outputs=0)
    with torch.no_grad():
        assert network.pooled(noise(2, 4000)).shape == (2, 2 * network.units)
        with pytest.raises(ModelError, match="no outputs"):
            network(noise(2, 4000))
    assert not any(key.startswith("head.") for key in network.state_dict())


def test_the_peaks_of_musicnn_stand_beside_its_last_layer() -> None:
    arguments = {**MUSICNN, "frames": 10}
    plain = small("clip-musicnn", arguments, num_outputs=0)
    both = small("clip-musicnn", {**arguments, "peaks": True}, num_outputs=0)
    both.load_state_dict(plain.state_dict())
    assert (plain.parts, both.parts) == ({"dense": 12}, {"dense": 12, "peaks": 8})
    audio = noise(2, 4000)
    with torch.no_grad():
        pooled = both.pooled(audio)
        assert torch.allclose(pooled[:, both.places("dense")], plain.pooled(audio), atol=1e-6)
        peaks = pooled[:, both.places("peaks")]
        assert peaks.shape == (2, 16) and peaks.std() > 0
        assert torch.equal(pooled[:, both.places()], pooled)
        # What clips are compared by stays what it was.
        mean = both.embed(audio).mean(dim=-1)
        assert torch.equal(both.compared(mean), mean[:, :12])
    with pytest.raises(ModelError, match="no part 'peak'"):
        both.places("peak")


def test_a_head_is_the_sum_of_its_shares() -> None:
    head = Head(BANK, inputs=7, num_outputs=3).eval()
    pooled = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32))
    head.calibrate(pooled * 3 + 1)
    assert head.split([7]) == [head]
    first, second = head.split([3, 4])
    with torch.no_grad():
        total = first(pooled[:, :3]) + second(pooled[:, 3:])
        assert torch.allclose(total, head(pooled), atol=1e-6)
    with pytest.raises(ModelError, match="cannot be split"):
        head.split([3, 3])
    with pytest.raises(ModelError, match="cannot be split"):
        Head(BANK, inputs=7, num_outputs=3, hidden_size=5).split([3, 4])


def test_a_projection_is_for_comparing_alone() -> None:
    arguments: dict[str, Any] = {"channels": [4, 6], "strides": [2, 2]}
    plain = small("clip-mobile", arguments, num_outputs=0)
    turned = small("clip-mobile", {**arguments, "projection": 3}, num_outputs=0)
    turned.load_state_dict(plain.state_dict(), strict=False)
    audio = noise(2, 4000)
    with torch.no_grad():
        mean = plain.embed(audio).mean(dim=-1)
        assert torch.equal(turned.pooled(audio), plain.pooled(audio))
        assert torch.equal(plain.compared(mean), mean)
        layer = dict(turned.named_parameters())["projection.weight"]
        assert torch.allclose(turned.compared(mean), mean @ layer.T, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("clip-mlp", {"stride": 0}),
        ("clip-mlp", {"num_outputs": -1}),
        ("clip-rnn", {"cell": "elman"}),
        ("clip-cnn", {"channels": []}),
        ("clip-cnn", {"channels": [4], "fine": 2}),
        ("clip-mobile", {"channels": [4, 4], "strides": [2]}),
        ("clip-mobile", {"channels": [4], "strides": [3]}),
        ("clip-mobile", {"channels": [], "strides": []}),
        ("clip-musicnn", {**MUSICNN, "filters": [[2, 2]]}),
        ("clip-musicnn", {**MUSICNN, "filters": []}),
        ("clip-musicnn", {**MUSICNN, "frames": 0}),
        ("clip-mobile", {"projection": -1}),
    ],
    ids=str,
)
def test_networks_that_cannot_be(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        models.build(name, BANK, {"num_outputs": 2, **wrong})
    assert "\n" not in str(caught.value)


def test_musicnn_says_what_the_original_says() -> None:
    """Though filters that say nothing are left out, and what is left is in half precision."""
    golden = np.load(DATA / "musicnn.npz")
    network = models.load(registry.find("encode", "music"))
    assert isinstance(network, ClipNetwork)
    audio = torch.from_numpy(golden["sound"].astype(np.float32) / 32767)[None]
    with torch.no_grad():
        mel = network.frontend(audio / 2)[0, 0].mean(dim=-1).numpy()
        hidden = network.embed(audio)[0, : network.parts["dense"], 0].numpy()
    np.testing.assert_allclose(mel, golden["mel"], atol=0.02)  # one frame more, at the end
    error = np.linalg.norm(hidden - golden["hidden"]) / np.linalg.norm(golden["hidden"])
    assert error < 0.005
    np.testing.assert_allclose(hidden, golden["hidden"], atol=0.03)


@pytest.mark.parametrize("frames", [1, 3, 5, 9, 10, 13, 17, 40])
def test_what_is_repeated_is_computed_once(frames: int) -> None:
    """The beginning and the end of a step are not repeated: around them are zeros."""
    network = small("clip-musicnn", {**MUSICNN, "frames": 40})
    audio = torch.nn.functional.pad(noise(2, 80 * frames - 1), (128, 128))
    with torch.no_grad():
        images = network.images(audio)
        assert images.shape[-1] == 40
        torch.testing.assert_close(network.embed_frames(audio), network.features(images))
        longer = torch.cat([noise(2, 80 * 40), audio], dim=1)
        whole = network.features(network.images(longer))
        torch.testing.assert_close(network.embed_frames(longer), whole)


@pytest.mark.parametrize("window", [0, 8])
def test_what_is_fused_computes_the_same(window: int) -> None:
    network = small("clip-mobile", {"channels": (4, 6, 8), "window": window}, num_outputs=0)
    audio = noise(2, 8000)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(0.5, 2)
        before = network.embed(audio)
        network.fuse()
        torch.testing.assert_close(network.embed(audio), before)
    assert not any(isinstance(each, torch.nn.BatchNorm2d) for each in network.modules())


def test_levels() -> None:
    audio = torch.tensor([[0.1, -0.2], [-4.0, 1.0], [0.0, 0.0], [3 / 32768, -6 / 32768]])
    peaks = levelled(audio).abs().amax(dim=1)
    # What is below the floor is raised by no more than the floor would be.
    assert peaks.tolist() == pytest.approx([0.5, 0.5, 0.0, 500 * 6 / 32768])
    assert torch.isfinite(levelled(torch.zeros(1, 5))).all()


def test_pooling_is_mean_and_deviation() -> None:
    features = 1000 + noise(2, 5, 40)
    mean, deviation = pool(features).split(5, dim=1)
    assert torch.allclose(mean, features.mean(dim=-1), atol=1e-3)
    assert torch.allclose(deviation, features.std(dim=-1, correction=0), atol=1e-3)
    still = torch.ones(1, 2, 3, requires_grad=True)
    pool(still).sum().backward()
    assert still.grad is not None and torch.isfinite(still.grad).all()  # of a root of nothing


def test_heads_bring_their_inputs_to_one_scale() -> None:
    torch.manual_seed(0)
    head = Head(BANK, inputs=4, num_outputs=2, hidden_size=3).eval()
    pooled = 5 + noise(50, 4) * torch.tensor([0.0, 1.0, 10.0, 100.0])
    head.calibrate(pooled)
    assert head.mean.tolist() == pytest.approx(pooled.mean(dim=0).tolist(), rel=1e-5)
    assert head.scale[0].item() == pytest.approx(1e-3)  # what never moves is not blown up
    assert torch.isfinite(head(pooled)).all()
    assert [type(layer) for layer in head.layers][1::2] == [nn.Linear, nn.Dropout]


# Streams


@EACH
def test_a_short_stream_is_the_clip(name: str, arguments: dict[str, Any], stride: int) -> None:
    network = small(name, arguments)
    for samples in (0, 1, 79, 300, 8001):
        audio = noise(1, samples)
        with torch.no_grad():
            whole = network.embed(audio)[0].numpy().T
        np.testing.assert_allclose(streamed(network, [audio[0].numpy()]), whole, atol=1e-5)
    with torch.no_grad():
        silent = network.embed(torch.zeros(1, 0))[0].numpy().T
    np.testing.assert_allclose(streamed(network, []), silent, atol=1e-5)


@settings(max_examples=12)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=4), st.integers(1, 30_000))
def test_blocks_of_any_size_give_the_same_steps(sizes: list[int], samples: int) -> None:
    network, audio = small(*SMALL[5][:2]), noise(samples).numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clipwise, "SEGMENT", 0.9)
        patch.setattr(clipwise, "CONTEXT", 0.2)
        whole = streamed(network, [audio])
        np.testing.assert_allclose(streamed(network, pieces(audio, sizes)), whole, atol=1e-5)
    assert len(whole) == -(-(1 + samples // 80) // network.stride)


@EACH
@pytest.mark.parametrize("samples", [31_999, 32_000, 32_001, 32_320])
def test_segments_of_a_long_stream_hardly_show(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    arguments: dict[str, Any],
    stride: int,
    samples: int,
) -> None:
    network, audio = small(name, arguments), noise(samples).numpy()
    audio[::1777] = 5.0  # one peak, wherever a segment ends
    with torch.no_grad():
        whole = network.embed(torch.from_numpy(audio[None]))[0].numpy().T
    monkeypatch.setattr(clipwise, "SEGMENT", 0.8)
    monkeypatch.setattr(clipwise, "CONTEXT", 0.4)
    parts = list(steps_of_stream(network, pieces(audio, [1000, 7, 20_000])))
    # A network without context around a step gives the last segment before it knows what is left.
    some = (4, 5) if samples < 32_000 else (5, 6) if network.alone else (5,)
    assert len(parts) in some
    found = np.concatenate(parts)
    assert found.shape == whole.shape
    # A recurrent network's memory fades; at the borders what is left of it is small.
    np.testing.assert_allclose(found, whole, atol=0.02 * np.abs(whole).max())


@pytest.mark.parametrize("samples", [0, 300, 8000, 24_700, 25_300, 80_000, 200_000])
def test_of_a_long_recording_steps_are_spread(samples: int) -> None:
    """As many as the network asks for, or down to half of that; the first, and each so many."""
    network, audio = small("clip-musicnn", {**MUSICNN, "frames": 10, "most": 6}), noise(samples)
    every = streamed(network, [audio.numpy()])
    found = [
        np.concatenate(list(steps_of_stream(network, blocks, spread=True)))
        for blocks in ([audio.numpy()], pieces(audio.numpy(), [1000, 7, 20_000]))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    apart = 1
    while -(-len(every) // apart) > network.most:
        apart *= 2
    np.testing.assert_allclose(found[0], every[::apart], atol=1e-5)
    assert apart == 1 or 3 < len(found[0]) <= 6


def test_steps_alone_do_not_depend_on_what_is_around_them() -> None:
    network, audio = small("clip-musicnn", {**MUSICNN, "frames": 10}), noise(1, 8000)
    other = audio.clone()
    other[:, 2400:] *= 3  # two steps and a half from the end of the first
    with torch.no_grad():
        one, two = network.embed(audio), network.embed(other)
    assert torch.equal(one[..., :2], two[..., :2])
    assert torch.allclose(one[..., 4:], two[..., 4:], atol=1e-5)  # nor on how loud they are


@pytest.mark.parametrize("frames", [3, 5, 14, 15])
def test_what_is_left_of_a_step_is_repeated(frames: int) -> None:
    network, audio = small("clip-musicnn", {**MUSICNN, "frames": 10}), noise(1, 80 * frames - 1)
    with torch.no_grad():
        images = network.images(torch.nn.functional.pad(audio, (128, 128)))
    assert images.shape[-1] == (20 if frames == 15 else 10)
    length = frames % 10
    if frames != 14:  # less than half a step is left out
        last = images[..., -10:]
        assert torch.equal(last[..., length : 2 * length], last[..., :length][..., : 10 - length])


def test_a_long_stream_is_kept_in_part_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipwise, "SEGMENT", 0.5)
    monkeypatch.setattr(clipwise, "CONTEXT", 0.1)
    network = small(*SMALL[0][:2])
    lengths: list[int] = []
    compute = network.embed_frames

    def watch(audio: Tensor) -> Tensor:
        lengths.append(audio.shape[1])
        return compute(audio)

    monkeypatch.setattr(network, "embed_frames", watch)
    steps = streamed(network, pieces(noise(80_000).numpy(), [500]))
    assert len(steps) == 101 and len(lengths) == 20
    assert max(lengths) <= (0.5 + 2 * 0.1) * RATE + BANK.n_fft


# Windows shorter than their transforms


def test_a_short_window_gives_what_a_short_transform_does() -> None:
    """Zeros around a window refine the bins: twice as many of them hold the same tone."""
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(4000) / RATE)
    plain = FilterbankConfig(RATE, (256,), 80, 12, fmax=4000.0, difference=False)
    padded = FilterbankConfig(
        RATE, (512,), 80, 12, fmax=4000.0, difference=False, win_lengths=(256,)
    )
    same = FilterbankConfig(RATE, (256,), 80, 12, fmax=4000.0, difference=False, win_lengths=(256,))
    one, two, three = (Filterbank(config)(tone)[..., 10:-10] for config in (plain, padded, same))
    assert torch.equal(one, three)
    assert one.argmax(dim=1).unique().tolist() == two.argmax(dim=1).unique().tolist()
    assert (two.max() - one.max()).item() == pytest.approx(np.log10(2), abs=0.02)
    window = Filterbank(padded).window0
    assert window[:128].abs().max() == 0 and window[384:].abs().max() == 0
    assert torch.allclose(window[128:384], torch.hann_window(256))


def test_a_short_window_places_a_click_as_exactly() -> None:
    click = torch.zeros(1, 4000)
    click[0, 2000] = 1.0
    config = FilterbankConfig(
        RATE, (1024,), 40, 12, fmax=4000.0, difference=False, win_lengths=(128,)
    )
    reached = torch.nonzero(Filterbank(config)(click)[0].amax(dim=(0, 1)) > 1e-3).flatten()
    assert reached.tolist() == [49, 50, 51]  # within half a window, around frame 2000 / 40


def test_the_fingerprint_tells_windows_apart() -> None:
    plain, short = (
        FilterbankConfig(RATE, (512,), 80, 12, fmax=4000.0, win_lengths=lengths)
        for lengths in ((), (256,))
    )
    stored = fingerprint(Filterbank(plain))
    check_fingerprint(Filterbank(plain), stored, "mine")
    with pytest.raises(ModelError, match="train it again"):
        check_fingerprint(Filterbank(short), stored, "mine")


@pytest.mark.parametrize(
    "wrong", [(256, 256), (255,), (0,), (514,), (-2,)], ids=lambda value: str(value)
)
def test_windows_that_cannot_be(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="^front-end: win_lengths .* none longer$"):
        FilterbankConfig(RATE, (512,), 80, 12, fmax=4000.0, win_lengths=wrong)


def test_configurations_without_the_field_load() -> None:
    stored = to_dict(BANK)
    assert from_dict({**stored, "win_lengths": []}) == BANK
    del stored["win_lengths"]
    assert from_dict(stored) == BANK
    assert BANK.win_lengths == () and asdict(BANK)["win_lengths"] == ()
    made_before = [
        entry for entry in registry.list_models("onsets")
        if "win_lengths" not in entry.config["frontend"]
    ]  # fmt: skip
    assert made_before
    for entry in made_before:
        models.load(entry)
    with pytest.raises(ModelError, match="^front-end: "):
        from_dict({**stored, "win_lengths": None})


def test_harmony_is_the_same_in_every_key() -> None:
    arguments = {"octaves": 1, "channels": [4, 6, 8], "num_circles": 2}
    network = small("clip-harmony", arguments, num_outputs=0)
    assert isinstance(network, ClipHarmony)
    assert network.parts == {"circle": 16, "octaves": 6}
    images = torch.rand(2, 1, 12, 9)
    semitones = network.semitones(images)
    circle = network.circle(semitones)
    with torch.no_grad():
        turned = network.circle(semitones.roll(5, dims=2))
        assert torch.allclose(turned, circle.roll(5, dims=2), atol=1e-5)
        features = network.features(images)
    chosen = torch.from_numpy(network.places("octaves")[:6])
    assert torch.equal(features[:, chosen], semitones.amax(dim=2))
    torch.testing.assert_close(features[:, :8], circle.mean(dim=2))
    torch.testing.assert_close(features[:, 8:16], circle.std(dim=2, correction=0))


def test_harmony_begins_as_a_network_of_chords() -> None:
    arguments: dict[str, Any] = {"octaves": 1, "channels": [4, 6, 8], "num_circles": 2}
    chords = models.build("chord-crnn", BANK, {**arguments, "num_qualities": 2}).eval()
    network = small("clip-harmony", arguments, num_outputs=0)
    trained = chords.state_dict()
    network.load_state_dict({name: trained[name] for name in network.state_dict()})
    images = torch.rand(2, 1, 12, 9)
    with torch.no_grad():
        mean = network.features(images)[:, network.places("circle")[:8]]
        torch.testing.assert_close(mean, chords.features(images))  # type: ignore[operator]


@pytest.mark.parametrize("strides", [[2, 1, 2, 1, 2, 1, 2, 1], [1, 2, 1, 1], [2, 2, 2, 2, 1]])
@pytest.mark.parametrize("frames", [1537, 2304, 3000])
def test_long_images_go_through_the_first_layers_in_pieces(strides: list[int], frames: int) -> None:
    arguments = {"channels": [3] * len(strides), "strides": strides}
    network = small("clip-mobile", arguments, num_outputs=0, bank=replace(BANK, bands=32))
    assert isinstance(network, ClipMobile)
    images = torch.from_numpy(np.random.default_rng(0).random((2, 1, 32, frames), np.float32))
    lengths: list[int] = []
    network.layers[0].register_forward_hook(
        lambda layer, inputs, _: lengths.append(inputs[0].size(2))
    )
    with torch.no_grad():
        found = network.features(images)
        assert len(lengths) > 1 and max(lengths) < frames
        missing = -frames % network.stride
        maps = nn.functional.pad(images, (0, missing, 0, 0), mode="replicate").transpose(2, 3)
        torch.testing.assert_close(found, network.layers(maps).mean(dim=3))
    assert len(lengths) == 1 + -(-frames // 768)
