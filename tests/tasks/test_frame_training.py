"""What onsets, beats and chords share in training: recordings read, and architectures by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocli.errors import DataError
from audiocli.nn.frontend import FilterbankConfig
from audiocli.tasks.annotated import Recording
from audiocli.tasks.frame_training import FrameArchitecture, Takes, read_takes


@dataclass(frozen=True)
class Take:
    folder: str
    name: str


def load(recording: Recording) -> Take:
    if recording.name == "broken":
        raise DataError(f"{recording.audio}: cannot be read")
    return Take(str(recording.folder), recording.title)


def folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        soundfile.write(path / f"{name}.wav", np.zeros(10), 8000)
        (path / f"{name}.onsets").touch()
    return path


def takes(data: list[Path], *held_out: str, skip: bool = False) -> Takes[Take]:
    return read_takes(
        load, [".onsets"], data, held_out, [], skip_unreadable=skip,
        stage=lambda what, done, total: None,
    )  # fmt: skip


def test_a_folder_that_is_given_twice_is_drawn_from_twice_as_often(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one", "a", "b"), folder(tmp_path / "two", "c")
    found = takes([one, two, one], "one/a")
    assert [[take.name for take in group] for group in found.groups] == [
        ["one/b"], ["two/c"], ["one/b"]
    ]  # fmt: skip
    assert [take.name for take in found.training] == ["one/b", "two/c"]
    assert [take.name for take in found.validation] == ["one/a"]
    assert found.chosen_on == "one/a"


def test_a_folder_that_is_held_out_is_neither_drawn_from_nor_on_the_card(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one", "a"), folder(tmp_path / "two", "b", "c")
    found = takes([one, two], "one/*")
    assert [len(group) for group in found.groups] == [2]
    (data,) = found.data_sets(["CC0", "MIT"], lambda take: 90.0)
    assert (data.clips, data.minutes, data.licence) == (2, 3.0, "MIT")


def test_the_recordings_of_a_batch_are_named(tmp_path: Path) -> None:
    found = takes([folder(tmp_path / "one", "a", "b", "c")], "one/a")
    assert found.drawn_by(lambda groups: groups[0][1]) == ["one/c"]


def test_what_cannot_be_read_is_refused_or_left_out_and_still_known(tmp_path: Path) -> None:
    data = [folder(tmp_path / "one", "a", "b", "broken")]
    with pytest.raises(DataError, match="broken"):
        takes(data, "one/a")
    with pytest.warns(match="it is left out"):
        found = takes(data, "one/a", skip=True)
    assert [take.name for take in found.training] == ["one/b"]
    assert found.titles == ["one/b", "one/broken"]


def test_nothing_to_validate_with_is_refused(tmp_path: Path) -> None:
    data = [folder(tmp_path / "one", "a", "broken")]
    with pytest.warns(match="it is left out"), pytest.raises(DataError, match="validate with"):
        takes(data, "one/broken", skip=True)


def test_weights_go_by_the_seed_and_arguments_over_those_of_the_name() -> None:
    named = FrameArchitecture("frame-rnn", FilterbankConfig(), {"hidden_size": 4, "cell": "rnn"})
    one, two, other = (named.build({"hidden_size": 6}, seed) for seed in (1, 1, 2))
    weights = [next(network.parameters()).flatten().tolist() for network in (one, two, other)]
    assert weights[0] == weights[1] != weights[2]
    assert sum(each.numel() for each in one.parameters()) > sum(
        each.numel() for each in named.build({}, 1).parameters()
    )
    assert named.sizes(hidden_size=3, channels=(1, 2)) == {"hidden_size": 3, "channels": [1, 2]}
