"""Learned bases: each network against scikit-learn's own numbers, and embeddings of all kinds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.errors import ModelError
from audiocli.nn import framewise, models
from audiocli.nn.bases import BasisNetwork, sparse_code
from audiocli.nn.clipwise import ClipNetwork, Head
from audiocli.nn.external import ExternalNetwork
from audiocli.nn.framewise import in_segments
from audiocli.nn.frontend import Filterbank, FilterbankConfig, StftConfig, triangles

Array = NDArray[np.float64]

RATE = 8000
CONFIG = FilterbankConfig(RATE, (256,), 80, 24, fmax=4000.0, difference=False)
NAMES = ("pca", "nmf", "dictionary", "kmeans", "autoencoder")


def spectra(frames: int = 400, seed: int = 0) -> Array:
    """Non-negative frames (frames, 24) that are sums of six bumps."""
    rng = np.random.default_rng(seed)
    bands = np.arange(24)
    bumps = np.exp(-0.5 * ((bands - np.arange(2, 24, 4)[:, None]) / 1.5) ** 2)
    return rng.exponential(1.0, (frames, 6)) @ bumps + 0.1 * rng.random((frames, 24))


def network_of(
    name: str, bases: Array, mean: Array | None = None, **arguments: float
) -> BasisNetwork:
    network = models.build(name, CONFIG, {"components": len(bases), **arguments})
    assert isinstance(network, BasisNetwork)
    with torch.no_grad():
        network.bases.copy_(torch.from_numpy(bases))
        if mean is not None:
            network.mean.copy_(torch.from_numpy(mean).view_as(network.mean))
    return network.eval()


def coded(network: BasisNetwork, frames: Array) -> tuple[Array, Array]:
    """Give activations (frames, components) and reconstruction (frames, bands)."""
    images = torch.from_numpy(frames.T).float()[None, None]
    with torch.no_grad():
        activations = network.outputs((images - network.mean) / network.scale)
        back = network.reconstruct(activations)
    return activations[0].T.numpy(), back[0, 0].T.numpy()


def test_pca_is_that_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    frames = spectra()
    oracle = PCA(5).fit(frames)
    found, back = coded(network_of("pca", oracle.components_, oracle.mean_), frames)
    np.testing.assert_allclose(found, oracle.transform(frames), atol=1e-4)
    np.testing.assert_allclose(back, oracle.inverse_transform(oracle.transform(frames)), atol=1e-4)


def test_nmf_is_that_of_scikit_learn() -> None:
    from sklearn.decomposition import NMF

    frames = spectra()
    oracle = NMF(5, solver="cd", tol=1e-8, max_iter=3000, random_state=0).fit(frames)
    expected = oracle.transform(frames)
    found, back = coded(network_of("nmf", oracle.components_), frames)
    assert found.min() >= 0
    np.testing.assert_allclose(found, expected, atol=2e-3 * expected.max())
    np.testing.assert_allclose(back, expected @ oracle.components_, atol=2e-3 * frames.max())


def test_nmf_is_where_multiplicative_updates_go() -> None:
    frames, bases = spectra(50), spectra(4, seed=1)
    found, back = coded(network_of("nmf", bases), frames)
    codes = np.full((50, 4), 1.0)
    for _ in range(5000):  # Lee and Seung
        codes *= (frames @ bases.T) / np.maximum(codes @ bases @ bases.T, 1e-12)
    assert np.square(frames - back).sum() <= np.square(frames - codes @ bases).sum() * 1.0001
    np.testing.assert_allclose(found, codes, atol=5e-3 * codes.max())


@pytest.mark.parametrize("penalty", [0.2, 0.5])
def test_sparse_codes_are_those_of_scikit_learn(penalty: float) -> None:
    from sklearn.decomposition import sparse_encode

    frames = spectra()
    rng = np.random.default_rng(2)
    atoms = rng.standard_normal((40, 24))  # more atoms than bands
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    mean = frames.mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it stops a little before the minimum
        expected = sparse_encode(
            frames - mean, atoms, algorithm="lasso_cd", alpha=penalty, max_iter=20_000
        )
    found, back = coded(network_of("dictionary", atoms, mean, penalty=penalty), frames)

    def cost(codes: Array) -> float:
        return float(
            0.5 * np.square(frames - mean - codes @ atoms).sum() + penalty * np.abs(codes).sum()
        )

    assert cost(found) <= cost(expected) * 1.0001
    np.testing.assert_allclose(back, expected @ atoms + mean, atol=0.02)
    assert (found == 0).mean() > 0.4


def test_kmeans_is_that_of_scikit_learn() -> None:
    from sklearn.cluster import KMeans

    frames = spectra()
    oracle = KMeans(7, n_init=2, random_state=0).fit(frames)
    found, back = coded(network_of("kmeans", oracle.cluster_centers_), frames)
    distances = oracle.transform(frames)
    triangle = np.maximum(distances.mean(axis=1, keepdims=True) - distances, 0)
    np.testing.assert_allclose(found, triangle, atol=1e-4)
    np.testing.assert_allclose(back, oracle.cluster_centers_[oracle.predict(frames)], atol=1e-5)


def test_an_autoencoder_scales_its_input_and_back() -> None:
    network = models.build("autoencoder", CONFIG, {"components": 3, "hidden_size": 9})
    assert isinstance(network, BasisNetwork)
    with torch.no_grad():
        network.mean.fill_(2.0)
        network.scale.fill_(3.0)
        images = torch.from_numpy(spectra().T).float()[None, None]
        frames = (images[0, 0].T - 2.0) / 3.0
        activations = network.outputs((images - 2.0) / 3.0)
        assert activations.abs().max() <= 1
        expected = network.decode(network.encode(frames)) * 3.0 + 2.0
        torch.testing.assert_close(network.reconstruct(activations)[0, 0].T, expected)
        change = network.decode(torch.eye(3)) - network.decode(-torch.eye(3))
        torch.testing.assert_close(network.shapes()[:, 0], 1.5 * change)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_measured_is_what_the_front_end_gives(name: str) -> None:
    torch.manual_seed(0)
    network = models.build(name, CONFIG, {"components": 4}).eval()
    assert isinstance(network, BasisNetwork)
    network.centre.fill_(0.5)
    audio = 0.1 * torch.randn(1, 4000)
    padded = torch.nn.functional.pad(audio, (128, 128))
    with torch.no_grad():
        measured = network.measured(padded)
        spectrum = network.frontend(audio)
        back = network.reconstruct(network(audio))
    torch.testing.assert_close(measured[:, :4], network(audio).detach())
    torch.testing.assert_close(measured[:, 4], (spectrum - back).square().sum(dim=(1, 2)))
    torch.testing.assert_close(measured[:, 5], (spectrum - 0.5).square().sum(dim=(1, 2)))
    assert network.shapes().shape == (4, 1, 24)


def test_codes_of_bases_that_are_alike_or_nothing_are_finite() -> None:
    bases = torch.ones(3, 5)
    bases[2] = 0
    for positive in (False, True):
        codes = sparse_code(torch.randn(7, 5), bases, positive=positive)
        assert codes.shape == (7, 3)
        assert torch.isfinite(codes).all() and (codes[:, 2] == 0).all()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("pca", {"components": 25}, "at most 24"),
        ("pca", {"components": 0}, "one or more"),
        ("kmeans", {"components": 1}, "two centroids"),
        ("dictionary", {"penalty": -1.0}, "0 or more"),
    ],
)
def test_what_cannot_be_is_refused(name: str, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        models.build(name, CONFIG, arguments)


def test_linear_bands_can_be_the_spectrum_itself() -> None:
    config = FilterbankConfig(RATE, (256,), 80, 126, "linear", RATE / 256, 4000.0, False)
    filters = triangles(config, 256)
    np.testing.assert_allclose(filters[2:128], torch.eye(126) * filters.max(), atol=1e-3)
    assert filters[:2].abs().max() < 1e-3 and filters[128].abs().max() < 1e-3


EMBEDDED = {
    "chord-crnn": (CONFIG, {"octaves": 2, "channels": [2, 3, 4], "num_circles": 1}, 4),
    "frame-rnn": (CONFIG, {"hidden_size": 3, "bidirectional": True}, 6),
    "frame-crnn": (CONFIG, {"channels": [2, 3], "embedding_size": 4, "hidden_size": 5}, 10),
    "frame-tcn": (CONFIG, {"channels": [2, 3], "hidden_size": 5, "num_layers": 2}, 5),
    "drnn": (StftConfig(RATE, 256, 80), {"hidden_size": 7}, 7),
    "conv-drnn": (StftConfig(RATE, 256, 80), {"channels": [4, 6], "num_recurrent": 1}, 6),
    "stereo-drnn": (
        StftConfig(RATE, 256, 80),
        {"channels": [4, 6], "num_recurrent": 1, "bands": [[64, 1], [32, 2]]},
        6,
    ),
    "live-drnn": (
        StftConfig(RATE, 256, 80),
        {"channels": [4, 6], "num_recurrent": 1, "bands": [[64, 1], [32, 2]]},
        6,
    ),
    **{name: (CONFIG, {"components": 3}, 3) for name in NAMES},
}


def test_every_architecture_is_embedded() -> None:
    # Networks of clips have steps of several frames: test_clip_networks.py has them.
    framewise = {name for name, each in models.architectures().items()
                 if not issubclass(each, ClipNetwork | Head | ExternalNetwork)}  # fmt: skip
    assert EMBEDDED.keys() == framewise


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("samples", [800, 4000])
def test_every_network_embeds_each_frame(name: str, samples: int) -> None:
    torch.manual_seed(0)
    config, arguments, width = EMBEDDED[name]
    network = models.build(name, config, arguments).eval()
    audio = 0.3 * torch.randn(2, samples)
    with torch.no_grad():
        found: Tensor = network.embed(audio)  # type: ignore[operator]  # every one has it
        framed: Tensor = network.embed_frames(  # type: ignore[operator]  # likewise
            torch.nn.functional.pad(audio, (128, 128))
        )
    assert found.shape == (2, width, 1 + samples // 80)
    assert found.std() > 0
    torch.testing.assert_close(framed, found, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["frame-rnn", "frame-crnn", "drnn"])
def test_the_output_layer_follows_what_is_embedded(name: str) -> None:
    config, arguments, _ = EMBEDDED[name]
    network = models.build(name, config, arguments).eval()
    seen: list[Tensor] = []
    network.output.register_forward_hook(  # type: ignore[union-attr]  # a linear layer
        lambda layer, inputs, output: seen.append(inputs[0])
    )
    audio = 0.3 * torch.randn(1, 4000)
    with torch.no_grad():
        network(audio)
        embedded = network.embed(audio)  # type: ignore[operator]  # every one has it
    torch.testing.assert_close(embedded.transpose(1, 2), seen[0])


def test_segments_of_a_stream_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Filterbank(CONFIG)
    audio = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    whole = bank(torch.from_numpy(audio))[0].T.numpy()
    monkeypatch.setattr(framewise, "SEGMENT", 0.3)
    monkeypatch.setattr(framewise, "CONTEXT", 0.1)
    blocks = np.array_split(audio, [1, 700, 9000])
    parts = list(in_segments(bank, CONFIG, lambda audio: bank.frames(audio)[:, 0], blocks))
    assert len(parts) > 5
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", NAMES)
def test_cuda_gives_the_same(name: str) -> None:
    network = models.build(name, CONFIG, {"components": 3}).eval()
    audio = 0.3 * torch.randn(1, 4000)
    with torch.no_grad(), warnings.catch_warnings():
        here = network(audio)
        there = network.to("cuda")(audio.to("cuda")).cpu()
    torch.testing.assert_close(here, there, atol=1e-3, rtol=1e-3)
