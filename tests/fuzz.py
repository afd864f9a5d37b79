"""Send broken files, model folders, manifests and annotations through every command.

    python tests/fuzz.py [--files 3000] [--models 200] [--texts 300] [--seed 0]     (make fuzz)

The files are cut everywhere, their bits are flipped, their headers say what cannot be, they hold
NaN, nothing or noise, have strange rates, channels and names, are links, FIFOs and folders. Of each
command is asked: no traceback, no hang, no file without a word of what became of it, nothing half
written left over, and a reason of one line that names the file. Prints a summary, and exits with 1
if anything was not so. `test_fuzz.py` reads some of the files.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent))
from quick_tool import quick_tool  # noqa: E402  # of this folder, wherever the script is started

ROOT = Path(__file__).resolve().parent.parent
#: Seconds that a command may take for a file, and for its start.
A_FILE, A_START = 20.0, 120.0
#: What no run may print, and no manifest hold.
BUGS = ("Traceback", "internal error", "Segmentation", "double free", "core dumped")

COMMANDS: dict[str, list[str]] = {
    "features": ["--set", "rms,mfcc,pitch", "-o", "out/all.csv"],
    "onsets": ["-o", "out", "--format", "json"],
    "beats": ["-o", "out", "--format", "csv"],
    "chords": ["-o", "out"],
    "notes": ["-o", "out", "--format", "midi"],
    "classify": ["--task", "speech", "-o", "out/all.jsonl"],
    "tag": ["-o", "out/all.sqlite"],
    "separate": ["-o", "out"],
    "analyze": ["--fields", "file,level", "-o", "out/all.csv"],
}


# --- broken files ------------------------------------------------------------------------------


def sound(kind: str, subtype: str | None, dice: random.Random) -> bytes:
    """Make a short file of a kind, at a rate and with channels of any sort."""
    rates = [8000, 16_000, 48_000]  # which Opus takes, and nothing else
    rate = dice.choice(rates if subtype == "OPUS" else [*rates, 11_025, 22_050, 44_100])
    channels = dice.choice([1, 2] if kind in ("MP3", "OGG") else [1, 1, 2, 2, 6])
    time_axis = np.arange(rate // 2) / rate
    signal = 0.4 * np.sin(2 * math.pi * 330 * time_axis)[:, None] * np.ones(channels)
    signal += np.random.default_rng(dice.getrandbits(32)).normal(scale=0.01, size=signal.shape)
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


KINDS = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"),
         ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
         ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("W64", "PCM_16")]  # fmt: skip
SUFFIXES = {"OGG": ".ogg", "AIFF": ".aiff"}


def cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.choice([dice.randrange(len(data)), dice.randrange(64), len(data) - 1])]


def flipped(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    reach = dice.choice([64, 512, len(data)])
    for _ in range(dice.choice([1, 4, 64])):
        changed[dice.randrange(min(reach, len(data)))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def zeroed(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    length = dice.randrange(1, 2000)
    return (data[:start] + bytes(length) + data[start + length :])[: len(data)]


def spliced(data: bytes, dice: random.Random) -> bytes:
    """Take a piece out, or put one in twice."""
    first, last = sorted(dice.randrange(len(data)) for _ in range(2))
    return data[:first] + data[last:] if dice.random() < 0.5 else data[:last] + data[first:]


def absurd(data: bytes, dice: random.Random) -> bytes:
    """Put an extreme number somewhere into the head."""
    number = dice.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0xFFFF, 0xDEADBEEF])
    place = dice.randrange(min(len(data) - 4, 80))
    order = dice.choice("<>")
    return data[:place] + struct.pack(f"{order}I", number) + data[place + 4 :]


def poisoned(data: bytes, dice: random.Random) -> bytes:
    """Make a WAV of floats that are none, or far too large."""
    rate, channels = dice.choice([8000, 44_100]), dice.choice([1, 2])
    samples = np.zeros((rate // 4, channels), np.float32)
    value = dice.choice([math.nan, math.inf, -math.inf, 1e30, 1e-40])
    samples[dice.choice([0, slice(None), slice(10, 20)])] = value
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def strange(data: bytes, dice: random.Random) -> bytes:
    """Make a WAV of a rate, of channels or of a length that nobody expects."""
    rate = dice.choice([1, 7, 100, 999, 384_000, 768_000])
    channels = dice.choice([1, 3, 8, 24])
    frames = dice.choice([0, 1, 2, 17, 1000])
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full((frames, channels), 0.1), rate, format="WAV")
    return buffer.getvalue()


def rubbish(data: bytes, dice: random.Random) -> bytes:
    return dice.choice([b"", b"\n", b"hello\n" * 50, dice.randbytes(3000), b"RIFF", b"ID3" * 400,
                        data[:12] + dice.randbytes(500)])  # fmt: skip


MUTATIONS = (cut, cut, flipped, flipped, zeroed, spliced, absurd, absurd, poisoned, strange,
             rubbish)  # fmt: skip
NAMES = ("-{}", "a b{}", "=1+1,{}", "'\"{}", "new\nline{}", "\x1b[31m{}", "é\u0301\u202e{}",
         "{}%s%n", "x" * 180 + "{}", "{}.wav.wav", "[{}]*?", "{}#;&|$(id)")  # fmt: skip


def broken_files(folder: Path, count: int, seed: int) -> list[Path]:
    """Write broken files, and a few whole ones, into a folder."""
    dice = random.Random(seed)
    made = []
    for number in range(count):
        kind, subtype = dice.choice(KINDS)
        data = sound(kind, subtype, dice)
        suffix = SUFFIXES.get(kind, f".{kind.lower()}")
        if number % 12:
            data = dice.choice(MUTATIONS)(data, dice)
            if dice.random() < 0.05:
                suffix = dice.choice([".mp3", ".m4a", ".wma", ".flac", ".wav", ".webm"])
        stem = dice.choice(NAMES).format(number) if dice.random() < 0.15 else f"{number:05}"
        path = folder / f"{stem}{suffix}"
        path.write_bytes(data)
        made.append(path)
    return made + special_files(folder)


def special_files(folder: Path) -> list[Path]:
    """Make what only looks like a file of audio."""
    os.mkfifo(folder / "fifo.wav")
    (folder / "nowhere.wav").symlink_to(folder / "gone.wav")
    (folder / "circle.wav").symlink_to(folder / "circle.wav")
    (folder / "device.wav").symlink_to("/dev/zero")
    (folder / "folder.wav").mkdir()
    return [folder / name for name in ("fifo.wav", "nowhere.wav", "circle.wav", "device.wav")]


# --- one command ---------------------------------------------------------------------------------


@dataclass
class Tool:
    """The tool in a folder, started by forks of one process."""

    binaries: Path
    folder: Path

    def run(self, words: Sequence[str], limit: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.binaries / "audiocli"), *words], cwd=self.folder, text=True, errors="replace",
            capture_output=True, timeout=limit, stdin=subprocess.DEVNULL,
        )  # fmt: skip


def faults_of(done: subprocess.CompletedProcess[str], statuses: Sequence[int]) -> list[str]:
    """Find what no run may do."""
    text = done.stderr + done.stdout
    wrong = [f"printed {bug!r}: {_around(text, bug)}" for bug in BUGS if bug in text]
    if done.returncode not in statuses:
        wrong.append(f"ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return wrong


def _around(text: str, bug: str) -> str:
    return " / ".join(text[text.index(bug) :].strip().splitlines()[-2:])[-300:]


def leftovers(folder: Path) -> list[str]:
    return [f"left over: {path}" for path in folder.rglob("*.part*")]


def records_of(manifest: Path) -> dict[str, dict[str, object]]:
    """Read the last record of each input."""
    found = {}
    for line in manifest.read_text("utf-8", "replace").splitlines():
        record = json.loads(line)
        if record.get("record") == "job":
            found[record["input"]] = record
    return found


def try_command(tool: Tool, command: str, files: Sequence[Path]) -> tuple[Counter[str], list[str]]:
    """Send all files through a command."""
    shutil.rmtree(tool.folder / "out", ignore_errors=True)
    options = COMMANDS[command]
    limit = A_START + A_FILE * len(files)
    names = [str(path.relative_to(tool.folder)) for path in files]
    try:
        done = tool.run([command, *options, "-q", "--", *names], limit)
    except subprocess.TimeoutExpired:
        return Counter(), [f"no end within {limit:.0f} s"]
    wrong = faults_of(done, (0, 1)) + leftovers(tool.folder / "out")
    target = options[options.index("-o") + 1]
    manifests = [tool.folder / f"{target}.manifest.jsonl", tool.folder / target / "audiocli.jsonl"]
    known = next((records_of(path) for path in manifests if path.exists()), {})
    counts: Counter[str] = Counter(str(record.get("status")) for record in known.values())
    if len(known) != len(files):
        wrong.append(f"{len(known)} of {len(files)} files are in the manifest")
    for name, record in known.items():
        reason = str(record.get("error") or "")
        if record.get("status") == "failed" and (not reason or "\n" in reason):
            wrong.append(f"{name!r} failed without a reason of one line: {reason!r}")
        if record.get("traceback"):
            wrong.append(f"{name!r}: {str(record['traceback']).strip().splitlines()[-1]}")
        for output in record.get("outputs") or ():  # type: ignore[attr-defined]
            if record.get("status") == "done" and not (manifests[1].parent / output).exists():
                wrong.append(f"{name!r} is done, and {output} is not there")
    return counts, wrong


# --- model folders ------------------------------------------------------------------------------


def tampered(value: object, dice: random.Random) -> object:
    """Change one thing somewhere in JSON."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        key = dice.choice(list(value))
        changed = dict(value)
        if dice.random() < 0.2:
            del changed[key]
        else:
            changed[key] = tampered(value[key], dice)
        return changed
    if isinstance(value, list) and value and dice.random() < 0.6:
        place = dice.randrange(len(value))
        return [*value[:place], tampered(value[place], dice), *value[place + 1 :]]
    return dice.choice([None, -1, 0, 1 << 40, 1e308, "", "../../../etc/passwd", [], {}, True,
                        "x" * 5000, [[]], "/dev/zero", float("nan")])  # fmt: skip


def tamper(model: Path, dice: random.Random) -> str:
    """Break a model folder; say how."""
    weights, config = model / "weights.safetensors", model / "config.json"
    data = weights.read_bytes()
    how = dice.choice(["config", "config", "config", "cut", "bits", "header", "pickle", "text",
                       "gone", "link", "numbers"])  # fmt: skip
    if how == "config":
        facts = json.loads(config.read_text())
        config.write_text(json.dumps(tampered(facts, dice)))
    elif how == "cut":
        weights.write_bytes(data[: dice.randrange(len(data))])
    elif how == "bits":
        weights.write_bytes(flipped(data, dice))
    elif how == "header":
        weights.write_bytes(struct.pack("<Q", dice.choice([0, 1 << 62, 1 << 27])) + data[8:])
    elif how == "pickle":
        weights.write_bytes(pickle.dumps({"a": os.getcwd}))
    elif how == "text":
        config.write_bytes(dice.choice([b"", b"{", b"[" * 20_000, b"\xff\xfe", b"null", b"[1]"]))
    elif how == "gone":
        dice.choice([weights, config]).unlink()
    elif how == "link":
        weights.unlink()
        weights.symlink_to(dice.choice(["/dev/zero", "weights.safetensors", "/etc/passwd"]))
    else:  # the weights' sum is right, and the numbers are none
        size = struct.unpack("<Q", data[:8])[0]
        weights.write_bytes(data[: 8 + size] + b"\xff" * (len(data) - 8 - size))
    return how


MODELS = {"onsets": "online", "beats": "tcn", "separate": "drnn-mir1k", "classify": "speech"}


def try_models(tool: Tool, count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Run commands with broken models: each is refused in a line, or does its work."""
    dice = random.Random(seed)
    counts: Counter[str] = Counter()
    wrong = []
    (tool.folder / "whole.wav").write_bytes(sound("WAV", "PCM_16", dice))
    known = {task: sorted((ROOT / "pretrained" / task).iterdir()) for task in MODELS}
    for number in range(count):
        task = dice.choice(list(MODELS))
        source = dice.choice([each for each in known[task] if _weight(each) < 4_000_000])
        model = tool.folder / "model"
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(source, model)
        how = tamper(model, dice)
        label = f"{task}/{source.name} {number} ({how})"
        output = ["-o", f"out/m{number}"] if task == "separate" else []
        try:
            done = tool.run([task, "whole.wav", "--model", "model", "-q", *output], A_START)
        except subprocess.TimeoutExpired:
            wrong.append(f"{label}: no end within {A_START:.0f} s")
            continue
        counts["done" if done.returncode == 0 else "refused"] += 1
        faults = faults_of(done, (0, 1, 2))
        lines = done.stderr.strip().splitlines()
        if done.returncode and len([line for line in lines if "model" in line]) != 1:
            faults.append(f"not one line that names the model: {done.stderr.strip()[:200]!r}")
        wrong += [f"{label}: {fault}" for fault in faults]
    return counts, wrong


def _weight(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 1 << 40


# --- manifests, tables, lists --------------------------------------------------------------------


def try_texts(tool: Tool, count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Resume from broken manifests and tables, and read broken lists and databases."""
    dice = random.Random(seed)
    counts: Counter[str] = Counter()
    wrong = []
    (tool.folder / "whole.wav").write_bytes(sound("WAV", "PCM_16", dice))
    wholes = {}
    for name in ("t.csv", "t.jsonl", "t.sqlite", "t.npz"):
        tool.run(["features", "whole.wav", "--set", "rms", "-o", name, "-q"], A_START)
        wholes[name] = (tool.folder / name).read_bytes()
        wholes[f"{name}.manifest.jsonl"] = (tool.folder / f"{name}.manifest.jsonl").read_bytes()
    for number in range(count):
        table = dice.choice(["t.csv", "t.jsonl", "t.sqlite", "t.npz"])
        for name in (table, f"{table}.manifest.jsonl"):
            (tool.folder / name).write_bytes(wholes[name])
        target = dice.choice([table, f"{table}.manifest.jsonl"])
        how = dice.choice([cut, flipped, zeroed, spliced, rubbish])
        (tool.folder / target).write_bytes(how(wholes[target], dice))
        label = f"{target} {number} ({how.__name__})"
        words = ["features", "whole.wav", "--set", "rms", "-o", table, "--resume", "-q"]
        try:
            done = tool.run(words, A_START)
        except subprocess.TimeoutExpired:
            wrong.append(f"{label}: no end within {A_START:.0f} s")
            continue
        counts["done" if done.returncode == 0 else "refused"] += 1
        wrong += [f"{label}: {fault}" for fault in faults_of(done, (0, 1, 2))]
        (tool.folder / f"{table}.partial").unlink(missing_ok=True)
    return counts, wrong


# --- all ----------------------------------------------------------------------------------------


def run_fuzz(
    files: int, models: int, texts: int, seed: int, commands: Sequence[str]
) -> Iterator[tuple[str, Counter[str], list[str]]]:
    """Try everything; give each with how it went, and what was wrong."""
    with tempfile.TemporaryDirectory() as name, quick_tool(Path(name) / "tool") as binaries:
        folder = Path(name) / "work"
        (folder / "in").mkdir(parents=True)
        tool = Tool(binaries, folder)
        if files:
            made = broken_files(folder / "in", files, seed)
            for command in commands:
                yield command, *try_command(tool, command, made)
        if models:
            yield "models", *try_models(tool, models, seed)
        if texts:
            yield "tables and manifests", *try_texts(tool, texts, seed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=COMMANDS, default=list(COMMANDS))
    given = parser.parse_args()
    failed = 0
    parts = run_fuzz(given.files, given.models, given.texts, given.seed, given.only)
    began = time.monotonic()
    for name, counts, wrong in parts:
        failed += len(wrong)
        told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        seconds = time.monotonic() - began
        print(f"{name:<22} {told:<40} {seconds:6.0f} s  {len(wrong)} faults", flush=True)
        for each in wrong[:20]:
            print(f"    {each}", flush=True)
        began = time.monotonic()
    print(f"seed {given.seed}: {failed} faults")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
