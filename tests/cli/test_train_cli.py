"""What every ``audiocli train`` has: settings from a file, trials, the log and its picture."""

from __future__ import annotations

import csv
import io
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from audiocli.cli import cli
from audiocli.errors import ModelError, UsageError
from audiocli.nn.fit_log import COLUMNS, FitLog, read_log
from audiocli.nn.probes import Overfit, RateRange

RATE = 16_000
SIZE = ["--hidden-size", "4", "--layers", "1", "--arch", "rnn", "--steps", "3", "--batch-size",
        "2", "--seconds", "0.5", "--threads", "1"]  # fmt: skip


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of clicks, with their times beside them."""
    folder = tmp_path_factory.mktemp("clicks")
    for number, gap in enumerate((0.25, 0.4)):
        times = np.arange(0.2, 2.8, gap)
        audio = np.zeros(3 * RATE)
        for time in times:
            audio[round(time * RATE) :][:200] += np.exp(-np.arange(200) / 40)
        soundfile.write(folder / f"{number}.wav", audio, RATE)
        (folder / f"{number}.onsets").write_text("".join(f"{time:.3f}\n" for time in times))
    return folder


def train(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, ["train", *map(str, words)])
    if isinstance(done.exception, ModelError | UsageError):
        return 2, done.stdout, str(done.exception)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_a_run_folder_holds_what_made_it(clicks: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    code, _, told = train("onsets", clicks, "--dev", clicks, "-o", one, *SIZE, "--epochs", 2)
    assert code == 0, told
    assert {"config.toml", "log.csv", "curve.png", "config.json"} <= set(os.listdir(one))
    code, _, told = train("onsets", "--config", one / "config.toml", "-o", two)
    assert code == 0, told
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (one, two)]
    assert weights[0] == weights[1]
    settings = [(folder / "config.toml").read_text().splitlines() for folder in (one, two)]
    assert [a for a, b in zip(*settings, strict=True) if a != b] == [f'output = "{one}"']


def test_the_log_has_a_row_a_step_and_the_picture_is_one(clicks: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train("onsets", clicks, "--dev", clicks, "-o", out, *SIZE, "--epochs", 2)
    with (out / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["epoch"], row["step"]) for row in rows] == [
        ("1", "1"), ("1", "2"), ("1", "3"), ("2", "4"), ("2", "5"), ("2", "6"),
    ]  # fmt: skip
    assert [bool(row["score"]) for row in rows] == [False, False, True] * 2
    assert all(float(row["gradient_norm"]) > 0 for row in rows)
    assert float(rows[0]["learning_rate"]) == pytest.approx(1e-5)
    assert (out / "curve.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_command_line_wins_over_the_file(clicks: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        f'data = ["{clicks}"]\ndev = ["{clicks}"]\noutput = "x"\nepochs = 7\narch = "rnn"\n'
        'channels = "4,8"\nlearning-rate = 0.02\nschedule = "constant"\nlicence = ["CC0"]\n'
    )
    code, text, _ = train("onsets", "--config", file, "--epochs", 9, "--print-config")
    assert code == 0
    lines = text.splitlines()
    for line in ("epochs = 9", "learning-rate = 0.02", 'schedule = "constant"', 'channels = "4,8"',
                 'licence = ["CC0"]', "ema = 0.999", "# hold-out =", "tensorboard = false",
                 f'data = ["{clicks}"]', "lr-find = false"):  # fmt: skip
        assert line in lines
    file.write_text(text)  # it reads back what it prints
    assert train("onsets", "--config", file, "--print-config")[1] == text


@pytest.mark.parametrize("task", ["beats", "chords", "classify", "features", "separate", "tag"])
def test_every_task_prints_settings_that_it_reads(tmp_path: Path, task: str) -> None:
    code, text, told = train(task, "--print-config")
    assert code == 0, told
    file = tmp_path / "all.toml"
    file.write_text(text)
    assert train(task, "--config", file, "--print-config")[1] == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "no setting 'epoch'; did you mean 'epochs'"),
        ('epochs = "many"', "epochs: 'many' is not a valid"),
        ("epochs = [3]", "epochs wants a single value"),
        ('dev = "x"', "dev wants a list"),
        ("[fit]\nepochs = 3", "no setting 'fit'"),
        ("lr-find = 3", "lr-find is true or false"),
        ("epochs =", "cannot be read as TOML"),
    ],
)
def test_a_wrong_file_of_settings_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text)
    code, _, told = train("onsets", "--config", file)
    assert code == 2
    assert told.startswith(f"{file}: ") and message in told and "\n" not in told


def test_a_missing_file_of_settings_is_named(tmp_path: Path) -> None:
    assert train("onsets", "--config", tmp_path / "no.toml")[2].endswith(
        "No such file or directory"
    )


@pytest.mark.parametrize(
    ("task", "option"),
    [
        ("onsets", "--arch"),
        ("separate", "--arch"),
        ("classify", "--arch"),
        ("features", "--basis"),
    ],  # fmt: skip
)
def test_help_of_architectures_has_a_line_each(task: str, option: str) -> None:
    code, text, _ = train(task, option, "help")
    assert code == 0
    lines = text.splitlines()
    assert len(lines) >= 5
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


def test_overfitting_one_batch(clicks: Path, tmp_path: Path) -> None:
    common = ("onsets", clicks, "--dev", clicks, "-o", tmp_path / "run", *SIZE, "--epochs", 100,
              "--overfit-one-batch", "--augment", "none", "--fuzz", 0)  # fmt: skip
    code, text, _ = train(*common, "--arch", "blstm", "--learning-rate", 0.02, "--hidden-size", 24)
    assert code == 0 and "it goes to zero" in text
    code, text, _ = train(*common, "--learning-rate", 1e-6, "--epochs", 2)
    assert code == 1 and "it does not go to zero" in text
    assert not (tmp_path / "run").exists()


def test_a_learning_rate_is_found(clicks: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, text, _ = train("onsets", clicks, "--dev", clicks, "-o", out, *SIZE, "--lr-find")
    assert code == 0
    assert os.listdir(out) == ["lr-find.png"]
    suggested = float(text.partition("suggested learning rate: ")[2].split()[0])
    assert 1e-5 < suggested < 1


def test_what_a_probe_suggests() -> None:
    rates = tuple(10.0**power for power in (-5, -4, -3, -2, -1))
    assert RateRange(rates, (1.0, 0.99, 0.6, 0.5, 3.0)).suggestion == 1e-3
    assert Overfit((1.0, 0.5, 0.011)).passed is False


def test_rows_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    lines = [",".join(COLUMNS), "1,1,0.5,2,1,0.1,10,1", "2,2,0.4,3,1,0.1,10,2", "3,3,0.4"]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    with FitLog(tmp_path, 1):
        pass
    assert [row["loss"] for row in read_log(tmp_path / "log.csv")] == [0.5]


def test_a_log_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="log.csv: is no log of a training run"):
        FitLog(tmp_path, 0)
    assert (tmp_path / "log.csv").read_text() == "a,b\n1,2\n"


def test_tensorboard_gets_the_same(
    clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int]] = []

    class Writer:
        def __init__(self, folder: str, filename_suffix: str) -> None:
            assert folder == str(tmp_path / "run" / "tensorboard")

        def add_scalar(self, name: str, value: float, number: int) -> None:
            told.append((name, number))

        def flush(self) -> None: ...
        def close(self) -> None: ...

    module = types.ModuleType("tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    out = tmp_path / "run"
    code, _, text = train("onsets", clicks, "--dev", clicks, "-o", out, *SIZE, "--epochs", 1,
                          "--tensorboard")  # fmt: skip
    assert code == 0, text
    assert [number for name, number in told if name == "loss"] == [1, 2, 3]
    assert ("score", 3) in told


def test_without_tensorboard_it_says_what_to_install(
    clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    code, _, told = train("onsets", clicks, "--dev", clicks, "-o", tmp_path / "run", *SIZE,
                          "--tensorboard")  # fmt: skip
    assert code == 2 and "pip install tensorboard" in told


def test_a_terminal_gets_a_live_table(
    clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    from audiocli.cli.train.shown import Shown
    from audiocli.nn.fit import Epoch, Step

    shown = Shown(4, "dev {:.1f} %")
    shown.visible = True
    shown.report(Epoch(1, 0.5, 80.0, True, 60.0))
    for done in (1, 2):
        shown.progress(Step(2, done, 10, 0.25, 1.5, 1e-3, 99.0, 70.0))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(shown.table)
    text = console.export_text()
    for word in ("loss", "best score", "gradient norm", "examples/s", "time left", "0.25",
                 "dev 80.0 %", "1.5", "99.0", "0:"):  # fmt: skip
        assert word in text
