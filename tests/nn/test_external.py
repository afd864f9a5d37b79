"""Demucs and Open-Unmix themselves: tiny networks of theirs, in the files that they write."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest
import soundfile as sf
import torch

from audiocli.errors import ModelError
from audiocli.io.audio.streaming import Blockwise
from audiocli.nn import catalogue, download, installing, models, registry
from audiocli.nn.catalogue import Checkpoint
from audiocli.nn.demucs import Demucs
from audiocli.nn.external import ExternalNetwork
from audiocli.nn.frontend import WaveformConfig
from audiocli.tasks.separate import Separator, separate_files

RATE = 44_100
SOURCES = ["drums", "bass", "other", "vocals"]
#: How the files are cut here: half a second at a time, as much as the tiny transformer takes.
CUT = {"segment_seconds": 0.3, "context_seconds": 0.05, "fade_seconds": 0.1}
LONGER = {"segment_seconds": 1.0, "context_seconds": 0.5, "fade_seconds": 0.1}
TINY: dict[str, dict[str, Any]] = {
    "HTDemucs": {
        "sources": SOURCES,
        "channels": 8,
        "bottom_channels": 8,
        "t_layers": 1,
        "t_heads": 2,
        "segment": Fraction(1, 2),
        "samplerate": RATE,
    },
    "HDemucs": {"sources": SOURCES, "channels": 4, "samplerate": RATE, "segment": 4},
}
UNMIX = {"nb_bins": 2049, "nb_channels": 2, "hidden_size": 16, "max_bin": 1487}
#: How many networks each has; two in place of four will do.
MODELS = {"htdemucs": 1, "htdemucs_ft": 2, "mdx_extra": 2, "umxl": 4}
WEIGHTS = {"htdemucs_ft": [[1, 0, 0.5, 0], [0, 1, 1.5, 1]]}

needs_demucs = pytest.mark.skipif(
    importlib.util.find_spec("demucs") is None, reason="needs the package demucs"
)
needs_unmix = pytest.mark.skipif(
    importlib.util.find_spec("openunmix") is None, reason="needs the package openunmix"
)


@pytest.fixture(scope="module", autouse=True)
def torchaudio() -> Iterator[None]:
    """Stand in for torchaudio where there is none that fits.

    openunmix imports it at its top, and calls nothing of it in what is run here.
    """
    try:
        importlib.import_module("torchaudio")
        yield
    except (ImportError, OSError):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "torchaudio", types.ModuleType("torchaudio"))
            yield


def loud(network: torch.nn.Module) -> torch.nn.Module:
    """Give fresh weights a say: as they are, the branches of Demucs add next to nothing."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network.eval()


def demucs_network(name: str, seed: int) -> torch.nn.Module:
    module = importlib.import_module(f"demucs.{name.lower()}")
    torch.manual_seed(seed)
    return loud(getattr(module, name)(**TINY[name]))


def demucs_file(name: str, folder: Path, seed: int) -> str:
    """Write a checkpoint as `demucs.states.serialize_model` makes it; give its name."""
    network = demucs_network(name, seed)
    package = {
        "klass": type(network),
        "args": (),
        "kwargs": {**TINY[name], "of_another_version": 1},
        "state": {key: value.half() for key, value in network.state_dict().items()},
        "training_args": {"optim": {"lr": np.float64(3e-4), "betas": [0.9, 0.999]}},
    }
    torch.save(package, folder / "new.th")
    return pinned(folder / "new.th", f"{seed:08x}")


def unmix_file(target: str, folder: Path, seed: int) -> str:
    """Write weights as the authors of Open-Unmix did, with a transform that is no weight."""
    module = importlib.import_module("openunmix.model")
    torch.manual_seed(seed)
    network = loud(module.OpenUnmix(**UNMIX))
    state = {**network.state_dict(), "stft.window": torch.hann_window(4096)}
    state |= {"sample_rate": torch.tensor(44_100.0), "transform.0.window": torch.zeros(4)}
    torch.save(state, folder / "new.pth")
    return pinned(folder / "new.pth", target)


def pinned(file: Path, name: str) -> str:
    final = f"{name}-{registry.sha256(file)[:8]}{file.suffix}"
    file.rename(file.parent / final)
    return final


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Install tiny models under the names of the large ones, each when it is needed."""
    folder = tmp_path_factory.mktemp("external")
    mirror = folder / "mirror"
    mirror.mkdir()

    def files(name: str) -> list[str]:
        count = MODELS[name]
        if name == "umxl":
            return [unmix_file(t, mirror, 10 + i) for i, t in enumerate(unmix_targets())]
        kind = "HDemucs" if name == "mdx_extra" else "HTDemucs"
        return [demucs_file(kind, mirror, 100 * count + index) for index in range(count)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platformdirs, "user_cache_dir", lambda app: str(folder / app))
        patch.delenv(download.MIRROR, raising=False)

        def install(name: str) -> Path:
            if installing.installed(catalogue.CATALOGUE[name]) is None:
                pins = [(file, file.rpartition("-")[2].partition(".")[0]) for file in files(name)]
                offered = replace(
                    catalogue.CATALOGUE[name],
                    files=tuple(Checkpoint(f"http://nowhere.invalid/{f}", p, 1) for f, p in pins),
                    decoder=CUT if name.startswith("ht") else LONGER,
                )
                if name in WEIGHTS:
                    offered = replace(offered, options={"weights": WEIGHTS[name]})
                patch.setitem(catalogue.CATALOGUE, name, offered)
                installing.install(name, mirror=str(mirror))
            return registry.find("separate", name).folder

        yield install


def unmix_targets() -> list[str]:
    targets: list[str] = catalogue.CATALOGUE["umxl"].options["targets"]
    return targets


def song(channels: int, samples: int, rate: int = RATE) -> np.ndarray:
    time = np.arange(samples) / rate
    tones = [0.2 * np.sin(2 * np.pi * hertz * time) for hertz in (220, 331, 547)]
    hiss = np.random.default_rng(0).normal(size=(channels, samples)) / 30
    return (sum(tones) * (1 + np.arange(channels)[:, None]) / 2 + hiss).astype(np.float32)


ALL = [
    *(pytest.param(name, marks=needs_demucs) for name in ("htdemucs", "htdemucs_ft", "mdx_extra")),
    pytest.param("umxl", marks=needs_unmix),
]


@pytest.mark.parametrize("name", ALL)
def test_files_are_separated(name: str, shelf: Callable[[str], Path], tmp_path: Path) -> None:
    shelf(name)
    inputs = {"stereo": (2, RATE, 50_001), "mono": (1, RATE, 30_000), "other": (2, 48_000, 40_009)}
    for file, (channels, rate, samples) in inputs.items():
        sf.write(tmp_path / f"{file}.wav", song(channels, samples, rate).T, rate, "FLOAT")
    summary = separate_files([str(tmp_path)], model=name, output=tmp_path / "out", device="cpu")
    assert (summary.done, summary.failed) == (3, 0)
    for file, (channels, rate, samples) in inputs.items():
        stems = {}
        for stem in SOURCES:
            audio, own = sf.read(tmp_path / "out" / f"{file}.{stem}.wav", always_2d=True)
            assert (audio.shape, own) == ((samples, channels), rate)
            assert np.abs(audio).max() > 1e-3
            stems[stem] = audio.T
        expected = song(channels, samples, rate)
        np.testing.assert_allclose(sum(stems.values()), expected, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_blocks_are_nearly_the_whole(name: str, shelf: Callable[[str], Path]) -> None:
    shelf(name)
    separator = Separator(name, device="cpu")
    mixture = song(2, 2 * RATE)
    blocks = separator(mixture, RATE)
    separator.cut = Blockwise(10 * RATE, 0, 0)
    for stem, whole in separator(mixture, RATE).items():
        # Fresh weights take all that a piece holds into account. One out of place gives 1 or more.
        error = np.square(blocks[stem] - whole).mean() / np.square(whole).mean()
        assert error < 0.5, (stem, error)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("samples", [1, 5000])
def test_any_length_and_channels(name: str, samples: int, shelf: Callable[[str], Path]) -> None:
    shelf(name)
    network = models.load(registry.find("separate", name))
    assert isinstance(network, ExternalNetwork)
    audio = torch.from_numpy(song(3, samples))
    with torch.inference_mode():
        separated = network.separate(audio)
        assert separated.shape == (4, 3, samples)
        assert torch.isfinite(separated).all()
        some = network.separate(audio, [3, 1])
        assert torch.allclose(some, separated[[3, 1]], atol=1e-6)
        # Each channel by itself.
        first = network.separate(audio[:1])
        assert torch.allclose(separated[:, :1], first, atol=1e-5)
        assert torch.isfinite(network.separate(torch.zeros(2, samples))).all()


@pytest.mark.parametrize("name", ALL)
def test_the_folder_says_where_it_came_from(name: str, shelf: Callable[[str], Path]) -> None:
    folder = shelf(name)
    entry = registry.open_folder(folder)
    offer = catalogue.CATALOGUE[name]
    assert entry.licence == offer.licence
    assert sorted(entry.config["labels"]) == sorted(SOURCES)
    for file, stored in zip(offer.files, entry.config["source"]["files"], strict=True):
        assert stored["url"] == file.url
        assert stored["sha256"].startswith(file.pin)
    half = entry.size < 3 * entry.config["parameters"]
    assert half == (name != "umxl")  # kept as the authors store them
    card = (folder / registry.CARD).read_text("utf-8")
    assert offer.citation in card
    assert offer.data in card


@needs_demucs
@pytest.mark.parametrize("name", ["htdemucs", "htdemucs_ft", "mdx_extra"])
def test_it_is_what_demucs_computes(name: str, shelf: Callable[[str], Path]) -> None:
    apply = importlib.import_module("demucs.apply")
    shelf(name)
    network = models.load(registry.find("separate", name))
    assert isinstance(network, Demucs)
    weights = WEIGHTS.get(name)
    # Networks of the same weights, made by the package itself.
    count = MODELS[name]
    kind = "HDemucs" if name == "mdx_extra" else "HTDemucs"
    theirs = [demucs_network(kind, 100 * count + index) for index in range(count)]
    for each in theirs:
        each.load_state_dict({key: value.half() for key, value in each.state_dict().items()})
    bag = apply.BagOfModels(theirs, weights).eval()
    audio = torch.from_numpy(song(2, RATE // 2 if kind == "HTDemucs" else RATE))
    expected = apply.apply_model(bag, audio[None], shifts=0, split=False)[0]
    with torch.inference_mode():
        assert torch.allclose(network.separate(audio), expected, atol=1e-5)
    assert expected.std() > 1e-3
    # Longer than what a transformer takes: pieces overlap as they do in the package.
    if kind == "HTDemucs":
        longer = torch.from_numpy(song(2, RATE + 17))
        expected = apply.apply_model(bag, longer[None], shifts=0, split=True, overlap=0.25)[0]
        with torch.inference_mode():
            ours = network.separate(longer)
        steady = slice(0, 3 * RATE // 4)  # the package fills up the last piece on both sides
        assert torch.allclose(ours[..., steady], expected[..., steady], atol=1e-4)


@needs_demucs
def test_a_network_for_other_sources_does_not_run(shelf: Callable[[str], Path]) -> None:
    shelf("htdemucs_ft")
    network: Any = models.load(registry.find("separate", "htdemucs_ft"))
    ran = []
    for index, each in enumerate(network.networks):
        each.register_forward_hook(lambda *arguments, index=index: ran.append(index))
    audio = torch.from_numpy(song(2, 1000))
    with torch.inference_mode():
        for sources in ([0], [1, 3], [2]):  # the weights share the third out
            network.separate(audio, sources)
    assert ran == [0, 1, 0, 1]


@needs_unmix
def test_it_is_what_openunmix_computes(shelf: Callable[[str], Path]) -> None:
    shelf("umxl")
    module = importlib.import_module("openunmix.model")
    network: Any = models.load(registry.find("separate", "umxl"))
    targets = {}
    for index, target in enumerate(unmix_targets()):
        torch.manual_seed(10 + index)
        targets[target] = loud(module.OpenUnmix(**UNMIX))
    theirs = module.Separator(targets, niter=1).eval()
    audio = torch.from_numpy(song(2, RATE))
    with torch.inference_mode():
        # At the level of a file: what ours makes of a recording brought to a level of 1.
        expected = theirs(network.level * audio[None])[0] / network.level
        assert torch.allclose(network.separate(audio), expected, atol=1e-5)
    assert expected.std() > 1e-3


@needs_demucs
def test_networks_that_do_not_go_together_are_refused() -> None:
    tiny = {**TINY["HDemucs"], "segment": "4"}
    one = {"class": "HDemucs", "arguments": tiny}
    others: list[Any] = [
        [],
        [one, {"class": "HDemucs", "arguments": {**tiny, "sources": ["vocals"]}}],
        [{"class": "HDemucs", "arguments": {**tiny, "samplerate": 48_000}}],
        [{"class": "HDemucs", "arguments": {**tiny, "audio_channels": 1}}],
        [{"class": "Solver", "arguments": {}}],
        [{"class": "HDemucs", "arguments": {"no_such": 1}}],
        [{}],
    ]
    for networks in others:
        with pytest.raises(ModelError) as caught:
            models.build("demucs", WaveformConfig(RATE), {"networks": networks})
        assert "\n" not in str(caught.value)
    for weights in ([[1, 0, 1, 1]], [[1, 1]], [[1, 1, 1, 1]] * 2):
        with pytest.raises(ModelError, match="need one for each network and source"):
            models.build("demucs", WaveformConfig(RATE), {"networks": [one], "weights": weights})


@needs_demucs
@pytest.mark.parametrize("content", [{}, {"klass": None}, [1], 3])
def test_other_checkpoints_are_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.th")
    with pytest.raises(ModelError, match="is not a checkpoint of demucs"):
        Demucs.convert([tmp_path / "a.th"], {})


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, extra in (("demucs", "demucs"), ("openunmix", "openunmix")):
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ModelError) as caught:
            models.architectures()[package].check()
        assert f"pip install 'audiocli[{extra}]'" in str(caught.value)
        assert "\n" not in str(caught.value)


@needs_unmix
def test_a_torchaudio_that_does_not_fit_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = 'raise OSError("libcudart.so.13: cannot open shared object file")\n'
    (tmp_path / "torchaudio.py").write_text(broken)
    for name in [n for n in sys.modules if n.partition(".")[0] in ("openunmix", "torchaudio")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="torchaudio must be of the version and kind of torch"):
        models.architectures()["openunmix"].check()
