"""Names that people try lead to what they look for."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest
from commands import Run

from audiocli.cli import cli
from audiocli.cli.signposts import SIGNPOSTS, signpost
from audiocli.errors import UsageError
from audiocli.tasks.features.aliases import ALIASES, ELSEWHERE, canonical
from audiocli.tasks.features.catalogue import FEATURES, SETS, select


@pytest.mark.parametrize("place", sorted(set(SIGNPOSTS.values())))
def test_every_place_is_a_command_line(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a signpost says can be typed: its command, options and values are there."""
    (tmp_path / "PEOPLE").mkdir()
    monkeypatch.chdir(tmp_path)
    command: click.Command = cli
    words = shlex.split(place)[1:]
    context = click.Context(cli)
    while words and isinstance(command, click.Group) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
        context = click.Context(command, parent=context)
    assert command is not cli or words == ["--help"]
    if "--help" not in words:
        assert not isinstance(command, click.Group), place
        command.parse_args(context, list(words))


def test_no_name_of_a_command_is_a_signpost() -> None:
    assert not set(cli.commands) & set(SIGNPOSTS)
    assert signpost("B P M") is None
    assert signpost("TEMPO") == signpost("bpm")


@pytest.mark.parametrize("name", ["tempo", "bpm", "key", "karaoke", "stems", "downbeats", "melody"])
def test_the_way_is_shown(run: Run, name: str) -> None:
    done = run(name, "song.wav")
    assert done.status == 2
    assert f"no command '{name}'; use: audiocli " in done.err


def test_what_nobody_knows_is_refused_as_ever(run: Run) -> None:
    done = run("xyzzy")
    assert (done.status, "use:" in done.err) == (2, False)
    assert "xyzzy" in done.err


def test_aliases_are_of_features_and_hide_none() -> None:
    for alias, name in ALIASES.items():
        assert name in FEATURES or name in SETS or canonical(name) is not None, (alias, name)
    for name in (*FEATURES, *SETS):
        assert canonical(name) in (None, name), name
        assert name.replace("_", "") not in ELSEWHERE, name
    assert not set(ALIASES) & set(ELSEWHERE)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("zcr", "zero_crossing_rate"),
        ("spread", "spectral_bandwidth"),
        ("spectral_spread", "spectral_bandwidth"),
        ("Spectral Centroid", "spectral_centroid"),
        ("rmse", "rms"),
        ("chroma_stft", "chroma"),
        ("hnr", "harmonic_to_noise_ratio"),
        ("bpm", "tempo"),
        ("lufs", "loudness"),
        ("mfccs", "mfcc"),
    ],
)
def test_usual_names_select_the_feature(alias: str, name: str) -> None:
    assert select([alias]) == select([name])


@pytest.mark.parametrize("name", ["egemaps", "eGeMAPS", "onsets", "jitter", "mel_spectrogram"])
def test_what_is_no_feature_here_says_where_it_is(name: str) -> None:
    with pytest.raises(UsageError, match="--set|audiocli "):
        select([name])
    with pytest.raises(UsageError, match=f"^feature '{name}' is "):
        select([name])


@pytest.mark.parametrize("text", sorted(set(ELSEWHERE.values())))
def test_what_is_recommended_is_there(text: str) -> None:
    names = text.split("--set ")[1].split(" ")[0].split(",") if "--set " in text else []
    assert all(name in FEATURES for name in names)
