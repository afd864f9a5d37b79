"""Models of others made into model folders, with a network that needs no package."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest
import soundfile as sf
import torch
from commands import Run
from torch import Tensor, nn

from audiocli.errors import AudioCliError, ModelError, UsageError
from audiocli.nn import catalogue, download, installing, models, registry
from audiocli.nn.catalogue import Checkpoint, Offer
from audiocli.nn.external import Converted, ExternalNetwork, read_checkpoint, require
from audiocli.nn.frontend import FrontendConfig, StftConfig, WaveformConfig
from audiocli.tasks.separate import Separator

SOURCES = ["drums", "bass", "other", "vocals"]


class Shares(ExternalNetwork):
    """Gives each source a share of the mixture: the least that a checkpoint can say."""

    missing = False

    def __init__(self, frontend: FrontendConfig, *, sources: Sequence[str]) -> None:
        super().__init__(frontend)
        self.num_sources = len(sources)
        self.shares = nn.Parameter(torch.zeros(len(sources), 2))

    @classmethod
    def check(cls) -> None:
        if cls.missing:
            require("no_such_package", "demucs")

    @classmethod
    def convert(cls, files: Sequence[Path], options: Mapping[str, Any]) -> Converted:
        state = {"shares": sum(read_checkpoint(file)["shares"] for file in files)}
        return Converted({"sources": options["sources"]}, state, options["sources"], 44_100)

    def stereo(self, audio: Tensor, sources: Sequence[int]) -> Tensor:
        return self.shares[list(sources), :, None] * audio


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a cache of the test's own; the folder of models in it."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app: str(tmp_path / "cache" / app))
    monkeypatch.delenv(download.MIRROR, raising=False)
    return tmp_path / "cache" / "audiocli" / "models"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """Offer a model "shares" of two files, and give the folder that they lie in."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    files = []
    for name, shares in (("a.th", [[0.1, 0.2]] * 4), ("b.th", [[0.125, 0.0]] * 4)):
        torch.save({"shares": torch.tensor(shares).half()}, folder / name)
        sum_ = registry.sha256(folder / name)
        files.append(Checkpoint(f"http://nowhere.invalid/{name}", sum_[:8], 1_000_000))
    offer = Offer(
        name="shares",
        architecture="shares",
        extra="demucs",
        files=tuple(files),
        licence="CC BY-NC-SA 4.0",
        description="A share for each.",
        data="Nothing.",
        limits="It separates nothing.",
        citation="Nobody: Nothing. Nowhere, 2020.",
        decoder={"segment_seconds": 0.3, "context_seconds": 0.1, "fade_seconds": 0.05},
        options={"sources": SOURCES},
    )
    monkeypatch.setitem(catalogue.CATALOGUE, "shares", offer)
    models.architectures()  # all others, before one is added
    monkeypatch.setitem(models._ARCHITECTURES, "shares", Shares)
    monkeypatch.setattr(Shares, "missing", False)
    return folder


def refused(kind: type[AudioCliError], name: str = "shares", **options: Any) -> str:
    with pytest.raises(kind) as caught:
        installing.install(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def noise(channels: int, samples: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(channels, samples)).astype(np.float32) / 10


def test_a_model_is_installed_and_found_by_its_name(mirror: Path, cache: Path) -> None:
    entry = installing.install("shares", mirror=str(mirror))
    assert entry.folder == cache / "separate" / "shares"
    assert sorted(path.name for path in entry.folder.iterdir()) == [
        registry.CARD,
        registry.CONFIG,
        registry.WEIGHTS,
    ]
    assert [path.name for path in mirror.iterdir()] == ["a.th", "b.th"]
    assert not list((cache / installing.DOWNLOADS).rglob("*.*"))
    registry.verify(entry)
    assert registry.find("separate", "shares").folder == entry.folder
    assert entry.config["labels"] == SOURCES
    assert entry.config["frontend"] == {"kind": "waveform", "sample_rate": 44_100}
    assert entry.config["source"]["files"][0] == {
        "url": "http://nowhere.invalid/a.th",
        "sha256": registry.sha256(mirror / "a.th"),
    }
    # What came in half precision is kept in it, and computed in single.
    network = models.load(entry)
    assert isinstance(network, Shares)
    expected = torch.tensor([[0.225, 0.2]] * 4).half().float()
    assert torch.allclose(network.shares, expected, atol=1e-3)
    assert network.shares.dtype == torch.float32
    assert models.parameter_count(network) == entry.config["parameters"] == 8


def test_the_card_names_source_and_licence(mirror: Path) -> None:
    entry = installing.install("shares", mirror=str(mirror))
    card = (entry.folder / registry.CARD).read_text("utf-8")
    for words in (
        "- Licence of the weights: CC BY-NC-SA 4.0",
        "## Training data\n\nNothing.",
        "## Limits\n\nIt separates nothing.",
        f"- http://nowhere.invalid/b.th: `{registry.sha256(mirror / 'b.th')}`",
        "the package `demucs` runs it",
        "To cite: Nobody: Nothing. Nowhere, 2020.",
    ):
        assert words in card


@pytest.mark.parametrize(("channels", "rate"), [(1, 44_100), (2, 44_100), (2, 48_000), (3, 8_000)])
def test_stems_of_an_installed_model(mirror: Path, channels: int, rate: int) -> None:
    installing.install("shares", mirror=str(mirror))
    separator = Separator("shares", device="cpu")
    assert separator.stems == ("vocals", "drums", "bass", "other")
    spectrum = np.fft.rfft(noise(channels, 2 * rate + 1))
    spectrum[:, :200] = 0  # below 100 Hz: what lies below 20 Hz is left to the rest
    mixture = np.fft.irfft(spectrum, 2 * rate + 1).astype(np.float32)
    stems = separator(mixture, rate)
    assert {stem.shape for stem in stems.values()} == {mixture.shape}
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
    if rate == 44_100:
        shares = [0.225, 0.2] if channels == 2 else [0.2125] * channels  # one channel is both
        inside = slice(rate // 2, -rate // 2)  # at the ends the removal of rumble settles
        np.testing.assert_allclose(
            stems["vocals"][:, inside],
            (np.array(shares)[:, None] * mixture)[:, inside],
            rtol=2e-3,
            atol=1e-4,
        )


def test_installing_again_does_nothing(mirror: Path) -> None:
    first = installing.install("shares", mirror=str(mirror))
    stamp = first.weights.stat().st_mtime_ns
    assert installing.install("shares").weights.stat().st_mtime_ns == stamp  # and needs no mirror


def test_a_damaged_model_is_installed_anew(mirror: Path) -> None:
    entry = installing.install("shares", mirror=str(mirror))
    whole = entry.weights.read_bytes()
    entry.weights.write_bytes(whole[:-1])
    installing.install("shares", mirror=str(mirror))
    assert entry.weights.read_bytes() == whole
    (entry.folder / registry.CONFIG).unlink()
    installing.install("shares", mirror=str(mirror))
    assert registry.open_folder(entry.folder).name == "shares"


def test_another_folder_of_models(
    mirror: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = installing.install("shares", mirror=str(mirror), to=tmp_path / "mine")
    assert entry.folder == tmp_path / "mine" / "separate" / "shares"
    assert not cache.exists()
    monkeypatch.setenv("AUDIOCLI_MODELS", str(tmp_path / "mine"))
    assert registry.find("separate", "shares").folder == entry.folder
    assert "shares" in [each.name for each in registry.list_models("separate")]


def test_what_cannot_be_installed(mirror: Path, cache: Path) -> None:
    assert "did you mean 'umxl'" in refused(UsageError, "umxxl")
    (mirror / "b.th").write_bytes(b"no checkpoint")
    assert "use another source" in refused(ModelError, mirror=str(mirror))
    assert not (cache / "separate").exists()


def test_the_package_is_asked_for_before_anything_is_fetched(
    mirror: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shares, "missing", True)
    message = refused(ModelError, mirror=str(mirror))
    assert message == "package no_such_package is missing: pip install 'audiocli[demucs]'"
    assert not cache.exists()


def offer_file(monkeypatch: pytest.MonkeyPatch, mirror: Path, content: Any) -> None:
    torch.save(content, mirror / "c.th")
    pinned = Checkpoint("http://nowhere.invalid/c.th", registry.sha256(mirror / "c.th"), 1)
    changed = replace(catalogue.CATALOGUE["shares"], files=(pinned,))
    monkeypatch.setitem(catalogue.CATALOGUE, "shares", changed)


def test_files_that_do_not_fit_leave_nothing(
    mirror: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_file(monkeypatch, mirror, {"shares": torch.zeros(3, 2)})
    assert "its files do not fit" in refused(ModelError, mirror=str(mirror))
    assert not list(cache.rglob("*.*"))


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.file, "caught"))


def test_a_checkpoint_runs_nothing(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_file(monkeypatch, mirror, {"shares": Trap(tmp_path / "trap")})
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # even where this is set
    message = refused(ModelError, mirror=str(mirror))
    assert "which is not allowed" in message or "is no checkpoint" in message
    assert not (tmp_path / "trap").exists()


def test_checkpoints_may_hold_numbers_of_numpy(tmp_path: Path) -> None:
    saved = {"a": np.float64(0.5), "b": np.float32(2), "c": np.int64(3), "d": torch.zeros(2)}
    torch.save(saved, tmp_path / "a.th")
    again = read_checkpoint(tmp_path / "a.th")
    assert (again["a"], again["b"], again["c"]) == (0.5, 2, 3)
    # As numpy 1 named the function, which is how older files have it.
    with (
        zipfile.ZipFile(tmp_path / "a.th") as new,
        zipfile.ZipFile(tmp_path / "b.th", "w", zipfile.ZIP_STORED) as old,
    ):
        for name in new.namelist():
            content = new.read(name)
            old.writestr(name, content.replace(b"cnumpy._core.multi", b"cnumpy.core.multi"))
    assert b"cnumpy.core.multi" in (tmp_path / "b.th").read_bytes()
    assert read_checkpoint(tmp_path / "b.th")["a"] == 0.5


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 no archive"])
def test_what_is_no_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.th").write_bytes(content)
    with pytest.raises(ModelError, match="is no checkpoint of weights and settings") as caught:
        read_checkpoint(tmp_path / "a.th")
    assert "\n" not in str(caught.value)


def test_no_other_front_end() -> None:
    with pytest.raises(ModelError, match="samples as they are"):
        Shares(StftConfig(), sources=SOURCES)
    with pytest.raises(ModelError, match="sample_rate"):
        WaveformConfig(0)


# The command line


def test_install_prints_licence_and_folder(run: Run, mirror: Path, cache: Path) -> None:
    done = run("models", "install", "shares", "--mirror", mirror)
    assert done.status == 0
    assert done.out == f"{cache / 'separate' / 'shares'}\n"
    assert done.err == "shares: 2 MB, licence of the weights: CC BY-NC-SA 4.0\n"
    again = run("models", "install", "shares")
    assert (again.status, again.out) == (0, done.out)
    assert again.err == "shares: installed already\n"
    assert "## Source" in run("models", "info", "shares").out


def test_install_lists_what_can_be_had(run: Run, mirror: Path) -> None:
    run("models", "install", "shares", "--mirror", mirror)
    lines = run("models", "install").out.splitlines()
    assert lines[0].split() == ["task", "name", "megabytes", "installed", "needs", "licence"]
    rows = {line.split()[1]: line.split() for line in lines[1:]}
    assert rows["shares"][3] == "yes"
    assert rows["umxl"][2:5] == ["452", "no", "audiocli[openunmix]"]
    told = {row["name"]: row for row in json.loads(run("models", "install", "--json").out)}
    assert told["shares"]["installed"] is True
    assert told["umxhq"]["licence"] == "MIT"
    assert told["htdemucs"]["licence"].startswith("for scientific use only")


def test_failures_are_one_line_and_a_status(run: Run, mirror: Path) -> None:
    unknown = run("models", "install", "nothing-like-it")
    assert (unknown.status, unknown.err.count("\n")) == (2, 1)
    (mirror / "b.th").unlink()
    failed = run("models", "install", "shares", "--mirror", mirror)
    assert failed.status == 1
    assert failed.err.splitlines()[1].startswith(f"audiocli: {mirror / 'b.th'}: no such file")


def test_a_known_model_that_is_not_there_says_how(run: Run, mirror: Path, tmp_path: Path) -> None:
    song = noise(2, 44_100)
    sf.write(tmp_path / "song.wav", song.T, 44_100, "FLOAT")
    missing = run("separate", "song.wav", "--model", "shares")
    assert missing.status == 2
    assert missing.err == (
        "audiocli: shares: not installed; run: audiocli models install shares "
        "(2 MB; licence: CC BY-NC-SA 4.0)\n"
    )
    run("models", "install", "shares", "--mirror", mirror)
    done = run("separate", "song.wav", "--model", "shares", "-q")
    assert done.status == 0, done.err
    stems = {name: tmp_path / f"separated/song.{name}.wav" for name in SOURCES}
    total = sum(sf.read(path)[0].T for path in stems.values())
    np.testing.assert_allclose(total, song, atol=1e-6)
