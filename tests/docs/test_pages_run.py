"""The blocks of the README run in the order in which they stand, as pasted into a shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
from places import ROOT

from audiocli.demo import write_demo

PAGES = ("README.md",)
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^>]+?) -->\n+)?```(?P<language>sh|python)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
#: Lines that need what a scratch folder with the demo song does not have.
NOT_RUN = {
    "make": "builds an environment of its own",
    "pip install": "builds an environment of its own",
    "_COMPLETE": "is for the start-up file of a shell",
    "arecord": "needs a microphone",
    "curl": "needs the network",
    "htdemucs": "needs a model that is installed on request",
    "jq ": "needs jq",
    "--tta-pitches": "takes minutes",
}


@dataclass(frozen=True)
class Block:
    page: str
    number: int
    language: str
    text: str
    reason: str | None


def blocks() -> list[Block]:
    return [
        Block(page, number, found["language"], found["text"], found["reason"])
        for page in PAGES
        for number, found in enumerate(BLOCK.finditer((ROOT / page).read_text("utf-8")), 1)
    ]


BLOCKS = blocks()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader may have it: songs, samples, and people that speak."""
    folder = tmp_path_factory.mktemp("reader")
    write_demo(folder / "demo")
    samples, rate = soundfile.read(folder / "demo" / "song.wav", frames=6 * 44_100)
    places = ["song.wav", "song.mp3", "a.wav", "b.wav", "street.wav", "new/n.wav",
              "music/one.flac", "music/two.wav", "samples/s.wav", "album/t.flac",
              *(f"people/{name}{clip}.wav" for name in ("ann/", "bob/") for clip in "123"),
              ]  # fmt: skip
    for number, place in enumerate(places):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        piece = samples[number * 8000 : number * 8000 + 3 * rate]
        soundfile.write(path, piece, rate)
    (folder / "last-run").touch()
    os.utime(folder / "last-run", (0, 0))
    binaries = folder / "bin"
    binaries.mkdir()
    for name, arguments in (("audiocli", " -m audiocli"), ("python", "")):
        script = binaries / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
        script.chmod(0o755)
    return folder


def reason_not_to(line: str) -> str | None:
    return next((why for mark, why in NOT_RUN.items() if mark in line), None)


def runnable(block: Block) -> str:
    """What of a block can run here."""
    lines = [] if block.reason else block.text.splitlines()
    kept = lines if block.language == "python" else [one for one in lines if not reason_not_to(one)]
    return "\n".join(kept) if any(one.strip() and one[0] != "#" for one in kept) else ""


@pytest.mark.skipif(os.name != "posix" or not shutil.which("bash"), reason="blocks are for a shell")
def test_blocks_run_in_their_order(scratch: Path) -> None:
    path = f"{scratch / 'bin'}{os.pathsep}{os.environ['PATH']}"
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PATH": path, "PYTHONPATH": str(ROOT)}
    failed = []
    for block in BLOCKS:
        if not (text := runnable(block)):
            continue
        shell = ["bash", "-e", "-o", "pipefail", "-c", text]
        command = shell if block.language == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(
            command, cwd=scratch, env=environment, capture_output=True, text=True, errors="replace"
        )
        if done.returncode or "Traceback" in done.stderr:
            failed.append(f"{block.page}, block {block.number}:\n{text}\n{done.stderr[-1000:]}")
    assert not failed, "\n\n".join(failed)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}-{block.number}")
def test_what_is_not_run_says_why(block: Block) -> None:
    left = [block.reason] if block.reason else []
    if block.language == "sh":
        left += [why for line in block.text.splitlines() if (why := reason_not_to(line))]
    if left:
        pytest.skip("; ".join(dict.fromkeys(left)))


def test_blocks_are_found() -> None:
    assert {block.language for block in BLOCKS} == {"sh", "python"}
    assert len(BLOCKS) > 5
