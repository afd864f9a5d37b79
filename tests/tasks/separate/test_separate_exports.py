"""Remixes, previews, pictures and pages of ``audiocli separate``."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile as sf
import torch
from click.testing import CliRunner, Result

from audiocli.cli import cli
from audiocli.cli.separate import separate
from audiocli.errors import AudioCliError, AudioCliWarning, UsageError
from audiocli.io.audio import probe, read
from audiocli.nn import models
from audiocli.nn.frontend import StftConfig
from audiocli.tasks.separate import (
    SeparationExports,
    SeparationRequest,
    Separator,
    parse_gains,
    separate_file,
    separate_files,
)
from audiocli.tasks.separate.clips import SOURCES
from audiocli.tasks.separate.tta import SPREADS, averaged_over_pitches, spread

CONFIG = {
    "task": "separate",
    "architecture": "drnn",
    "arguments": {"hidden_size": 8},
    "labels": list(SOURCES),
    "decoder": {"segment_seconds": 1.0, "context_seconds": 0.5, "fade_seconds": 0.1},
    "licence": "none <needed>",
    "training": {},
    "scores": [],
}
RATE = 8000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "random"
    models.save(models.build("drnn", StftConfig(), {"hidden_size": 8}), folder, CONFIG)
    return folder


@pytest.fixture(scope="module")
def separator(model: Path) -> Separator:
    return Separator(str(model), device="cpu")


def song(path: Path, seconds: float = 2.0, subtype: str = "PCM_16", peak: float = 0.5) -> Path:
    """Noise that is loud from 1.0 s to 1.5 s, different in each channel."""
    noise = np.random.default_rng(0).uniform(-1, 1, (round(seconds * RATE), 2))
    noise[:RATE] *= 0.1
    noise[RATE + RATE // 2 :] *= 0.1
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, peak * noise / np.abs(noise).max(), RATE, subtype=subtype)
    return path


def run(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["separate", *map(str, words)])
    if isinstance(result.exception, AudioCliError):
        assert code == (2 if isinstance(result.exception, UsageError) else 1), result.exception
    else:
        assert result.exit_code == code, result.output
    return result


# --- gains ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "gain"),
    [("-6dB", -6), ("-6", -6), ("+3.5 DB", 3.5), ("-inf", -np.inf), ("-INF dB", -np.inf), ("0", 0)],
)
def test_gains_are_read_as_they_are_typed(word: str, gain: float) -> None:
    assert parse_gains([f"vocals={word}"]) == {"vocals": gain}


@pytest.mark.parametrize("word", ["vocals", "=3", "vocals=", "vocals=loud", "vocals=nan"])
def test_what_is_no_gain_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="write STEM=DB"):
        parse_gains([word])


def test_unknown_stems_and_gains_are_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'vocals'.*accompaniment, vocals"):
        SeparationRequest(gains={"vocal": 1.0}).check_gains(SOURCES)
    for gain in (np.inf, 61.0, np.nan):
        with pytest.raises(UsageError, match="between -inf and 60 dB"):
            SeparationRequest(gains={"vocals": gain})
    with pytest.raises(UsageError, match="already"):
        parse_gains(["vocals=1", "vocals=2"])
    for seconds in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(UsageError, match="more than 0"):
            SeparationRequest(preview=seconds)


def remix(separator: Separator, source: Path, gains: dict[str, float], name: str, **how):  # type: ignore[no-untyped-def]
    path = source.parent / name
    outputs = {stem: source.parent / f"{name}.{stem}.wav" for stem in SOURCES}
    done = separate_file(separator, source, outputs, exports=SeparationExports(path, gains), **how)
    return read(path)[0], [read(outputs[stem])[0] for stem in SOURCES], done


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_without_gains_the_remix_is_the_mixture_to_the_bit(
    separator: Separator, tmp_path: Path, subtype: str
) -> None:
    source = song(tmp_path / "a.wav", subtype=subtype)
    for index, gains in enumerate(({}, {"vocals": 0.0}, {stem: 0.0 for stem in SOURCES})):
        mixed, _, done = remix(separator, source, gains, f"{index}.wav")
        assert np.array_equal(mixed, read(source)[0]) and done.remix_gain == 1
        assert probe(tmp_path / f"{index}.wav").bits == probe(source).bits


def test_each_stem_has_its_gain(separator: Separator, tmp_path: Path) -> None:
    source = song(tmp_path / "a.wav", subtype="FLOAT", peak=0.2)
    mixed, (vocals, rest), _ = remix(separator, source, {"vocals": -6.0}, "1.wav")
    assert np.allclose(mixed, 10 ** (-6 / 20) * vocals + rest, atol=1e-6)
    mixed, (vocals, rest), _ = remix(separator, source, {"vocals": -np.inf}, "2.wav")
    assert np.allclose(mixed, rest, atol=1e-6)
    gains = {"vocals": 9.0, "accompaniment": -np.inf}
    mixed, (vocals, rest), _ = remix(separator, source, gains, "3.wav")
    assert np.allclose(mixed, 10 ** (9 / 20) * vocals, atol=1e-6)
    mixed, _, _ = remix(separator, source, dict.fromkeys(SOURCES, -np.inf), "4.wav")
    assert not mixed.any() and mixed.shape == read(source)[0].shape


def test_what_would_clip_is_softer_as_a_whole(separator: Separator, tmp_path: Path) -> None:
    source = song(tmp_path / "a.wav", subtype="PCM_24")
    with pytest.warns(AudioCliWarning, match="its remix is"):
        mixed, (vocals, rest), done = remix(separator, source, {"accompaniment": 20.0}, "1.wav")
    assert done.gain == 1 and 0 < done.remix_gain < 1
    assert np.abs(mixed).max() == pytest.approx(1, abs=1e-6)
    assert np.allclose(mixed, done.remix_gain * (vocals + 10 * rest), atol=2e-6)
    source = song(tmp_path / "b.wav", subtype="FLOAT")
    mixed, _, done = remix(separator, source, {"accompaniment": 20.0}, "2.wav")
    assert done.remix_gain == 1 and np.abs(mixed).max() > 1  # floating point holds it


def test_remix_by_the_command(model: Path, tmp_path: Path) -> None:
    source = song(tmp_path / "a.flac")
    wanted = (source, "-o", tmp_path / "out", "--model", model, "--stems", "vocals")
    done = run(*wanted, "--gain", "vocals=+40 dB", "--gain", "accompaniment=-inf", "-v")
    names = ["a.vocals.flac", "a.remix.flac"]
    assert done.stdout.split() == [str(tmp_path / "out" / name) for name in names]
    assert "or it would clip" in done.stderr
    *_, line = (tmp_path / "out" / "audiocli.jsonl").read_text().splitlines()
    assert json.loads(line)["facts"]["remix_gain_db"] < 0
    again = run(*wanted, "--gain", "vocals=+40 dB", "--gain", "accompaniment=-inf", "--resume")
    assert again.stdout == ""
    # With another gain the result is another.
    assert run(*wanted, "--gain", "vocals=3", "--resume").stdout.split()
    run(*wanted, "--gain", "drums=3", "--overwrite", code=2)


# --- previews --------------------------------------------------------------------------------


def test_preview_is_the_loudest_segment_as_the_whole_has_it(
    separator: Separator, tmp_path: Path
) -> None:
    source = song(tmp_path / "a.wav", subtype="FLOAT")
    outputs = {stem: tmp_path / f"{stem}.wav" for stem in SOURCES}
    done = separate_file(separator, source, outputs, preview=0.5)
    assert done.preview_start == pytest.approx(1.0, abs=0.01) and done.seconds == 0.5
    first = round(done.preview_start * RATE)
    total = sum(read(path)[0] for path in outputs.values())
    assert np.allclose(total, read(source)[0][:, first : first + RATE // 2], atol=1e-6)


def test_what_is_shorter_than_a_preview_is_taken_whole(
    separator: Separator, tmp_path: Path
) -> None:
    source = song(tmp_path / "a.wav")
    done = separate_file(separator, source, {"vocals": tmp_path / "v.wav"}, preview=30.0)
    assert (done.preview_start, done.seconds) == (0.0, 2.0)


def test_preview_by_the_command(model: Path, tmp_path: Path) -> None:
    song(tmp_path / "in" / "live" / "a.wav")
    song(tmp_path / "in" / "b.wav")
    out = tmp_path / "out"
    wanted = (tmp_path / "in", "-o", out, "--model", model, "--preview", 0.5, "--gain", "vocals=-3")
    done = run(*wanted, "--plot")
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    stems = ["accompaniment.preview.wav", "remix.preview.wav", "stems.preview.png",
             "vocals.preview.wav"]  # fmt: skip
    named = [f"{name}.{stem}" for name in ("b", "live/a") for stem in stems]
    assert written == ["audiocli.jsonl", *named]
    assert done.stderr.count("preview of 0.50 s from 1.00 s (0:01.00) on") == 2
    lines = map(json.loads, (out / "audiocli.jsonl").read_text().splitlines())
    lines = [line for line in lines if line["record"] == "job"]
    assert [line["facts"]["preview"]["start"] for line in lines] == [1.0, 1.0]
    assert "preview" not in run(*wanted, "--overwrite", "--quiet", "--jobs", 2).stderr
    run(*wanted[:-2], "--preview", 0, code=2)


# --- pictures and pages -----------------------------------------------------------------------


def test_places_of_pictures_and_pages(model: Path, tmp_path: Path) -> None:
    for name in ("a.wav", "live/b.wav"):
        song(tmp_path / "in" / name)
    out, pages = tmp_path / "out", tmp_path / "pages"
    wanted = (tmp_path / "in", "-o", out, "--model", model, "--karaoke")
    done = run(*wanted, "--plot", f"{tmp_path}/pictures/", "--report", pages)
    assert (tmp_path / "pictures" / "live" / "b.png").read_bytes().startswith(b"\x89PNG")
    assert "<title>b.wav" in (pages / "live" / "b.html").read_text("utf-8")
    assert len(done.stdout.split()) == 6
    run(*wanted, "--plot", f"{tmp_path}/pictures/", "--report", pages, code=2)
    one = (tmp_path / "in" / "a.wav", "-o", tmp_path / "one", "--model", model)
    run(*one, "--plot", tmp_path / "x.svg", "--report", tmp_path / "y.html")
    assert (tmp_path / "x.svg").read_text("utf-8").count("<svg") == 1
    assert (tmp_path / "y.html").exists()
    run(*one, "--report", tmp_path / "y.txt", "--overwrite", code=2)
    run(*one, "--report", tmp_path / "in" / "a.wav", "--overwrite", code=2)


def test_two_products_of_one_name_are_refused(model: Path, tmp_path: Path) -> None:
    source = song(tmp_path / "a.wav")
    name = ("--name", "{name}.{ext}", "--stems", "vocals")
    run(source, "-o", tmp_path / "out", "--model", model, *name, "--gain", "vocals=1", code=2)
    assert not (tmp_path / "out").exists()


def test_failure_on_the_way_leaves_nothing(separator: Separator, tmp_path: Path) -> None:
    source = song(tmp_path / "in.wav", 40.0)
    out = tmp_path / "out"
    exports = SeparationExports(out / "remix.wav", {"vocals": 1.0}, out / "a.png", out / "a.html")

    def interrupt(done: float, total: float | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        separate_file(
            separator, source, {"vocals": out / "v.wav"}, exports=exports, progress=interrupt
        )
    assert list(out.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_a_stem_that_clips_costs_a_second_run_of_all(separator: Separator, tmp_path: Path) -> None:
    class Overshooting(Separator):
        def blocks(self, mixture, sample_rate, rms):  # type: ignore[no-untyped-def]
            for block in mixture:
                yield np.stack([3 * block, -2 * block])

        def __init__(self) -> None:
            self.entry, self.stems = separator.entry, separator.stems

    source = song(tmp_path / "a.wav")
    exports = SeparationExports(tmp_path / "remix.wav", {}, tmp_path / "a.png", tmp_path / "a.html")
    files = {"vocals": tmp_path / "v.wav"}
    with pytest.warns(AudioCliWarning, match="dB softer"):
        done = separate_file(Overshooting(), source, files, exports=exports)
    assert done.gain < 1 and done.remix_gain == 1
    assert np.array_equal(read(tmp_path / "remix.wav")[0], read(source)[0])


def test_settings_are_what_the_sound_depends_on() -> None:
    assert SeparationRequest().settings == {"container": None, "bits": None}
    request = SeparationRequest(plot="", gains={"vocals": -np.inf}, preview=3.0)
    json.dumps(request.settings, allow_nan=False)
    assert request.settings == {
        "container": None, "bits": None, "gains": {"vocals": "-inf"}, "preview": 3.0
    }  # fmt: skip


def test_a_finished_superset_of_stems_is_done(model: Path, tmp_path: Path) -> None:
    source, out = str(song(tmp_path / "a.wav")), tmp_path / "out"
    page = str(tmp_path / "a.html")
    separate_files([source], out, model=str(model), report=page)
    again = separate_files([source], out, model=str(model), stems=["vocals"], resume=True)
    assert (again.done, again.skipped) == (0, 1)


def test_resume_makes_what_is_missing(model: Path, tmp_path: Path) -> None:
    source, out = str(song(tmp_path / "a.wav")), tmp_path / "out"
    separate_files([source], out, model=str(model))
    page = str(tmp_path / "a.html")
    again = separate_files([source], out, model=str(model), report=page, resume=True)
    assert (again.done, again.skipped) == (1, 0) and (tmp_path / "a.html").exists()
    again = separate_files([source], out, model=str(model), report=page, resume=True)
    assert (again.done, again.skipped) == (0, 1)


def test_time_augmentation_averages_over_pitches(model: Path, tmp_path: Path) -> None:
    source = song(tmp_path / "a.wav")
    plain, out = tmp_path / "plain", tmp_path / "out"
    run(source, "-o", plain, "--model", model)
    words = (source, "-o", out, "--model", model, "--tta-pitches", 3)
    run(*words)
    stems = [sf.read(out / f"a.{stem}.wav")[0] for stem in ("vocals", "accompaniment")]
    np.testing.assert_allclose(sum(stems), sf.read(source)[0], atol=1e-3)
    augmented = Separator(str(model), tta_pitches=3)
    assert augmented.semitones == [-4, 0, 4]
    audio, rate = sf.read(source, dtype="float32", always_2d=True)
    np.testing.assert_allclose(stems[0], augmented(audio.T, rate)["vocals"].T.squeeze(), atol=1e-3)
    assert np.abs(stems[0] - sf.read(plain / "a.vocals.wav")[0]).max() > 1e-3
    # What was made at one pitch is not what was made at three.
    assert not run(*words, "--resume").stdout
    before = run(*words[:-2], "--pitches=3", "--resume")  # its name in earlier versions
    assert not before.stdout
    assert "audiocli: --pitches is now called --tta-pitches\n" in before.stderr
    assert run(*words[:-1], 5, "--resume", "--overwrite").stdout
    run(*words[:-1], 2, "--overwrite", code=2)
    with pytest.raises(UsageError, match="2 pitches: there can be 1, 3, 5, 7"):
        separate_files([str(source)], out, model=str(model), tta_pitches=2)


def test_a_signal_comes_back_from_its_pitches() -> None:
    time = np.arange(8000) / 16000
    tone = np.sin(2 * np.pi * 440 * time)[None].astype(np.float32)
    back = averaged_over_pitches(lambda audio: np.stack([audio, audio / 2]), tone, [-4, 0, 4])
    assert back.shape == (2, 1, 8000)
    inside = slice(200, -200)
    np.testing.assert_allclose(back[0, 0, inside], tone[0, inside], atol=2e-3)
    np.testing.assert_allclose(back[1], back[0] / 2, atol=1e-6)
    assert spread(None, [1.5]) == [1.5] and spread(1, [1.5]) == [0]


def test_the_command_offers_the_pitches_there_are() -> None:
    [option] = [each for each in separate.params if each.name == "tta_pitches"]
    assert isinstance(option.type, click.Choice)
    assert [int(each) for each in option.type.choices] == list(SPREADS)
