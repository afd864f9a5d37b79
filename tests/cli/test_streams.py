"""Standard streams that are closed, full, left by their reader, or know few characters."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest
import soundfile
from audiofiles import tone

from audiocli.cli.streams import OutputError, StandardOutput, escaped, standard_streams

posix = pytest.mark.skipif(os.name != "posix", reason="descriptors as shells of POSIX close them")
full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")
FEATURES = "features --set rms "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    soundfile.write(folder / "a.wav", tone(0.4).T, 44_100)
    soundfile.write(folder / "b.wav", tone(0.4).T, 44_100)
    return folder


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which `audiocli` is the command."""
    command = f'audiocli() {{ "{sys.executable}" -m audiocli "$@"; }}; set -o pipefail; {line}'
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, errors="replace",
        env={**os.environ, **threads, **environment},
    )  # fmt: skip
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    return done


@posix
@full
@pytest.mark.parametrize("command", ["models list", "--help", FEATURES + "a.wav"])
def test_a_full_disk_behind_standard_output_is_an_error(folder: Path, command: str) -> None:
    done = shell(f"audiocli {command} > /dev/full", folder)
    assert done.returncode == 1
    assert done.stderr == "audiocli: standard output cannot be written (No space left on device)\n"


@posix
@pytest.mark.parametrize("command", ["models list --json", FEATURES + "a.wav"])
def test_standard_output_that_is_closed_is_an_error(folder: Path, command: str) -> None:
    done = shell(f"audiocli {command} >&-", folder)
    assert done.returncode == 1
    assert done.stderr == "audiocli: standard output cannot be written (it is closed)\n"


@posix
@full
@pytest.mark.parametrize("to", ["2>&-", "2>/dev/full"])
def test_without_standard_error_results_and_status_stay(folder: Path, to: str) -> None:
    done = shell(f"audiocli {FEATURES} a.wav nix.wav {to}", folder)
    assert done.returncode == 1
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["file", "a.wav"]


@posix
def test_a_closed_stream_is_no_place_for_a_file(folder: Path) -> None:
    """What is opened next would get its number, and with it what libraries print."""
    done = shell(f"audiocli {FEATURES} a.wav -o table.csv <&- >&- 2>&-", folder)
    assert done.returncode == 0
    assert (folder / "table.csv").read_text().count("\n") == 2
    # Nothing is read from a stream that is closed.
    for argument in ("-", "--files-from -"):
        done = shell(f"audiocli {FEATURES} {argument} <&-", folder)
        assert done.returncode == 2 and "standard input is closed" in done.stderr


@posix
def test_files_are_made_though_the_reader_of_their_names_left(folder: Path) -> None:
    done = shell("audiocli separate a.wav b.wav -o stems | true", folder)
    assert (done.returncode, done.stderr.count("audiocli:")) == (0, 0)
    assert len(list((folder / "stems").glob("*.wav"))) == 4


@posix
@full
def test_files_are_made_though_their_names_cannot_be_printed(folder: Path) -> None:
    done = shell("audiocli separate a.wav b.wav -o more > /dev/full", folder)
    assert done.returncode == 1
    assert "No space left on device); the files are written" in done.stderr
    assert len(list((folder / "more").glob("*.wav"))) == 4


@posix
def test_a_run_that_only_prints_ends_when_its_reader_leaves(folder: Path) -> None:
    done = shell("audiocli models list --json | true", folder)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_an_encoding_that_lacks_a_character(folder: Path, encoding: str) -> None:
    name = "\N{MUSICAL NOTE} \N{LATIN SMALL LETTER E WITH ACUTE}.wav"
    soundfile.write(folder / name, tone(0.4).T, 44_100)
    command = [sys.executable, "-m", "audiocli", *FEATURES.split(), "--format", "jsonl", name]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=folder, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout.decode(encoding))["file"] == name


@posix
def test_no_temporary_folder(folder: Path) -> None:
    script = (
        "import sys, tempfile\n"
        "def none(): raise FileNotFoundError(2, 'No usable temporary directory found')\n"
        "tempfile.gettempdir = tempfile._get_default_tempdir = none\n"
        "tempfile.tempdir = None\n"
        "sys.argv = ['audiocli', *sys.argv[1:]]\n"
        "from audiocli.cli import main\nmain()"
    )
    for arguments in (["features", "--set", "rms", "-"], ["separate", "a.wav", "-o", "none"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], cwd=folder, capture_output=True, text=True,
            input="x",
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 1)
        assert done.returncode == 0 or "set TMPDIR to a folder with room" in done.stderr
        assert arguments[0] == "separate" or done.returncode == 1


@posix
@pytest.mark.parametrize("command", ["features --set rms", "separate -o stems"])
def test_no_command_sends_control_characters(folder: Path, command: str) -> None:
    name = "\x1b[31mred\x07\r\nfake line.wav"
    (folder / name).write_bytes(b"no audio")
    done = shell(f"audiocli {command} -v \"$NAME\" nix$'\\x9b'.wav", folder, NAME=name)
    assert done.returncode == 1
    assert r"\x1b[31mred\x07\r\nfake line.wav" in done.stderr
    assert not any(not c.isprintable() for c in done.stderr.replace("\n", ""))
    assert not any(line.startswith("fake") for line in done.stderr.splitlines())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_control_characters_reach_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for out, shown in ((Terminal(), r"\x1b[2J" "\n\t"), (io.StringIO(), "\x1b[2J\n\t")):
        error = io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", error)
        with standard_streams():
            print("\x1b[2J\n\t", end="")
            print("\x1b[2J\x9b", end="", file=sys.stderr)
        assert out.getvalue() == shown
        assert error.getvalue() == r"\x1b[2J\x9b"
        assert sys.stdout is out and sys.stderr is error


def test_colours_of_rich_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.delenv("NO_COLOR", raising=False)
    with standard_streams():
        Console(force_terminal=True, color_system="standard").print("[red]hot[/red]")
    assert "\x1b[31mhot" in out.getvalue()


def test_an_error_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    output = StandardOutput(Broken())
    with pytest.raises(OutputError, match="No space"):
        output.write("a")
    output.below = io.StringIO()
    with pytest.raises(OutputError, match="No space"):
        output.write("b")


def test_what_is_escaped() -> None:
    assert escaped("é\N{MUSICAL NOTE} a\tb\n") == "é\N{MUSICAL NOTE} a\tb\n"
    assert escaped("\x00\x1b\x7f\x9b\u2028\u202e\udcff") == r"\x00\x1b\x7f\x9b\u2028\u202e\udcff"


def test_bytes_that_are_no_text_stay(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="latin-1") as stream:
        before: tuple[TextIO, TextIO] = sys.stdout, sys.stderr
        sys.stdout = stream
        try:
            with standard_streams():
                print("a\udcff\N{MUSICAL NOTE}", end="")
        finally:
            sys.stdout, sys.stderr = before
    assert (tmp_path / "out").read_bytes() == rb"a" + b"\xff" + rb"\ud83c\udfb5"
