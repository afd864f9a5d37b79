"""The blocks of README and docs run in the order in which they stand, as pasted into a shell.

What cannot run here is marked in the page, in a comment in front of the block, or by a line's own
words in `NOT_RUN`; the mark is the reason.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
from places import ROOT

PAGES = ("README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))
BLOCK = re.compile(
    r"^(?:<!-- (?:not run: (?P<reason>[^>]+?)|recipe: (?P<recipe>.+?)) -->\n+)?"
    r"```(?P<language>sh|python)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
#: Lines that need what a scratch folder with the demo song does not have: a pattern, and why.
NOT_RUN = {
    r"\bmake\b": "builds an environment of its own",
    "pip install": "builds an environment of its own",
    "apt-get": "asks for packages of the system",
    "_COMPLETE": "is for the start-up file of a shell",
    "arecord": "needs a microphone",
    r"audiocli serve( |$)": "needs somebody to end it",
    "m3u8": "needs the network",
    "ffplay": "needs a loudspeaker",
    "curl": "needs the network",
    "models install|[a-z0-9]+://": "needs the network",
    "htdemucs": "needs a model that is installed on request",
    r"runs/(?!tiny)|--model mine": "needs a model of the reader's own, or trains one for minutes",
    r"MIR1K|POP909|emotify|esc10|urbansound8k|mood-4q|tsp-speech|voices/": "needs a data set",
    "docs/recipes/": "needs data sets",
    "benchmarks/": "takes minutes and other programs",
    "--tta-pitches": "takes minutes",
    "--record": "writes into the card of a model",
}
TOOLS = ("jq", "sqlite3", "ffmpeg", "parallel")  # which not every system has
REASON = re.compile(r"(needs|takes|builds|asks for|writes|is) .{4,}")


@dataclass(frozen=True)
class Block:
    page: str
    number: int
    language: str
    text: str
    reason: str | None


def blocks(page: str) -> list[Block]:
    return [
        Block(
            page,
            number,
            found["language"],
            found["text"],
            found["reason"] or (found["recipe"] and "is run by tests/batch/test_sharding.py"),
        )  # fmt: skip
        for number, found in enumerate(BLOCK.finditer((ROOT / page).read_text("utf-8")), 1)
    ]


BLOCKS = {page: found for page in PAGES if (found := blocks(page))}
ALL = [block for page in BLOCKS.values() for block in page]


def reason_not_to(line: str) -> str | None:
    words = [word for word in TOOLS if re.search(rf"(^|\|) *{word} ", line)]
    missing = [f"needs {tool}, which is not here" for tool in words if not shutil.which(tool)]
    reasons = [why for mark, why in NOT_RUN.items() if re.search(mark, line)]
    return next(iter(reasons + missing), None)


def lines_of(block: Block) -> list[str]:
    """The lines of a block, those that go on in the next as one."""
    return re.sub(r"([\\|])\n", r"\1\0", block.text).splitlines()


def runnable(block: Block) -> str:
    """What of a block can run here."""
    if block.reason:
        return ""
    if block.language == "python":
        return block.text
    kept = [line.replace("\0", "\n") for line in lines_of(block) if not reason_not_to(line)]
    if block.page != "README.md":  # where more processes are shown to run; each imports all anew
        kept = [re.sub(r"(--jobs|-j) \d", r"\1 1", line) for line in kept]
    return "\n".join(kept) if any(one.strip() and one[0] != "#" for one in kept) else ""


# What pages call their files: pieces of the demo song, with annotations where they are evaluated.
SONGS = (
    "song.wav", "song.mp3", "song.ogg", "loop.wav", "melody.wav", "bass.wav", "waltz.wav",
    "fast.wav", "a.wav", "b.wav", "street.wav", "one.wav", "two.mp3", "new/n.wav", "new.wav",
    "music/one.flac", "music/live1.flac", "samples/s.wav", "album/t.flac", "set/u.flac",
    "takes/k.wav", "songs/one.wav", "recordings/r.wav", "interviews/i.wav", "interviews/j.wav",
    "speech/v.wav", "vocals.wav", "instrumentals/s.wav", "solos/s.wav",
)  # fmt: skip
EVALUATED = (
    "corpus/c.wav", "mdb-drums/Zeppelin.wav", "singing/11.wav", "singing/man2.wav",
    "held-out/7a.wav", "pyin-notes/11.wav", "pyin-notes/man2.wav", "other/7a.wav",
)  # fmt: skip
PEOPLE = tuple(
    f"{place}/{name}/{clip}.wav"
    for place in ("people", "singers")
    for name in ("ann", "bob")
    for clip in "123"
)
ANNOTATIONS = {
    "onsets": "0.3\n0.6\n0.9\n1.2\n1.5\n1.8\n2.1\n2.4\n2.7\n",
    "beats": "0.3 1\n0.9 2\n1.5 3\n2.1 4\n2.7 1\n",
    "lab": "0.0 0.3 N\n0.3 2.7 C:maj7\n2.7 3.0 F:maj7\n",
    "notes": "0.3 0.9 60\n0.9 1.5 62\n1.5 2.1 64\n",
}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, path_of_programs: str) -> Path:
    """A folder as a reader may have it: songs, samples, and people that speak."""
    folder = tmp_path_factory.mktemp("reader") / "template"
    folder.mkdir()
    environment = {**os.environ, "PATH": path_of_programs}
    subprocess.run(["audiocli", "demo", "demo"], cwd=folder, env=environment, check=True)
    samples, rate = soundfile.read(folder / "demo" / "song.wav", frames=6 * 44_100)
    for number, place in enumerate((*SONGS, *EVALUATED, *PEOPLE)):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        start = 0 if place in EVALUATED else number * 2000
        soundfile.write(path, samples[start : start + 3 * rate], rate)
        for kind, text in ANNOTATIONS.items() if place in EVALUATED else ():
            path.with_suffix(f".{kind}").write_text(text, "utf-8")
    columns = ("path", "label", "genres", "moods", "artist", "fold", "speaker")
    with (folder / "held-out" / "labels.csv").open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(columns)
        rows.writerow(("7a.wav", "rain", "Pop/Rock", "calm", "ann", "5", "ann"))
    (folder / "song.beats").write_text(ANNOTATIONS["beats"], "utf-8")
    (folder / "songs.txt").write_text("song.wav\n", "utf-8")
    (folder / "last-run").touch()
    os.utime(folder / "last-run", (0, 0))
    return folder


@pytest.mark.skipif(os.name != "posix" or not shutil.which("bash"), reason="blocks are for a shell")
@pytest.mark.parametrize("page", [page for page in BLOCKS if any(map(runnable, BLOCKS[page]))])
def test_blocks_run_in_their_order(
    page: str, template: Path, path_of_programs: str, tmp_path: Path
) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(template, folder)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PATH": path_of_programs, "PYTHONPATH": str(ROOT)}
    failed = []
    for block in BLOCKS[page]:
        if not (text := runnable(block)):
            continue
        shell = ["bash", "-e", "-o", "pipefail", "-c", text]
        command = shell if block.language == "sh" else ["python", "-c", text]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True,
            errors="replace", stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode or "Traceback" in done.stderr:
            failed.append(f"{page}, block {block.number}:\n{text}\n{done.stderr[-1000:]}")
    assert not failed, "\n\n".join(failed)


@pytest.mark.parametrize("block", ALL, ids=lambda block: f"{block.page}-{block.number}")
def test_what_is_not_run_says_why(block: Block) -> None:
    left = [block.reason] if block.reason else []
    if block.language == "sh" and not block.reason:
        left += [why for line in lines_of(block) if (why := reason_not_to(line))]
    assert all(REASON.fullmatch(why) for why in left), left


def test_blocks_are_found() -> None:
    assert {block.language for block in ALL} == {"sh", "python"}
    assert len(BLOCKS) > 20 and len(ALL) > 150
    fences = {page: (ROOT / page).read_text("utf-8") for page in BLOCKS}
    assert all(
        len(re.findall(r"^```(?:sh|python)$", text, re.MULTILINE)) == len(BLOCKS[page])
        for page, text in fences.items()
    )
    marked = sum(text.count("<!-- not run:") for text in fences.values())
    marked += sum(text.count("<!-- recipe:") for text in fences.values())
    assert marked == sum(block.reason is not None for block in ALL), "a mark stands before no block"
