"""Compare the speed and memory of separation programs on the same song.

    python benchmarks/separation.py [--seconds 120] [--threads 1 2] [--model NAME ...]

Every program reads a stereo WAV file of 44.1 kHz and writes its stems, as a process of its own.
Beside audiocli's models run htdemucs and Open-Unmix (umxl) as their packages run them, with
random weights of the published sizes: speed does not depend on the weights. (How well they separate
needs the real ones, and other songs than this one.)

Each runs on a long and on a short piece of the demo song. The difference of the two times over that
of the lengths is what a second of audio costs, without starting and loading; `start` is the
rest. `a core's` is the same by the processor's time, which other programs beside it change little.
Programs take turns, so that the machine's moods meet all of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audiocli.demo import compose

RATE = 44_100
SHORT = 10.0  # seconds
PEERS = ("htdemucs", "open-unmix")


@dataclass(frozen=True)
class Run:
    """What a process took: seconds on the clock and of the processor, peak memory in MB."""

    wall: float
    processor: float
    memory: float


def command(name: str, song: Path, folder: Path) -> list[str]:
    """Give the command of a program."""
    if name in PEERS:
        script = str(Path(__file__).with_name("peer_separation.py"))
        return [sys.executable, script, name, str(song), str(folder)]
    words = ["separate", str(song), "--model", name, "-o", str(folder), "--overwrite", "-q"]
    return [sys.executable, "-m", "audiocli", *words]


def timed(words: list[str], threads: int) -> Run:
    """Run a command to its end."""
    number = str(threads)
    limits = {name: number for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    began = time.monotonic()
    process = subprocess.Popen(words, env={**os.environ, **limits}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    if status:
        raise SystemExit(f"failed: {' '.join(words)}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def write_song(path: Path, seconds: float) -> Path:
    """Write the demo song, as often as it takes."""
    song = compose().mixture.astype(np.float32) / 32768
    samples = round(seconds * RATE)
    times = -(-samples // song.shape[1])
    soundfile.write(path, np.tile(song, (1, times))[:, :samples].T, RATE, "PCM_16")
    return path


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--model", nargs="+", default=["stereo-drnn", "drnn-mir1k"])
    parser.add_argument("--without-peers", action="store_true")
    options = parser.parse_args()
    names = [*options.model, *(() if options.without_peers else PEERS)]
    columns = ("program", "threads", "times real time", "a core's", "start, s",
               "peak memory, MB", "over the first")  # fmt: skip
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        long = write_song(root / "long.wav", options.seconds)
        short = write_song(root / "short.wav", SHORT)
        for name in names:  # a program's first start reads its files from disk
            timed(command(name, short, root / "out"), options.threads[0])
        for threads in options.threads:
            first = None
            for name in names:
                brief = timed(command(name, short, root / "out"), threads)
                whole = timed(command(name, long, root / "out"), threads)
                speed = (options.seconds - SHORT) / (whole.wall - brief.wall)
                start = brief.wall - SHORT / speed
                first = first or speed
                core = (options.seconds - SHORT) / (whole.processor - brief.processor)
                cells = (name, threads, f"{speed:.1f}", f"{core:.1f}", f"{start:.1f}",
                         f"{whole.memory:.0f}")  # fmt: skip
                print(f"| {' | '.join(map(str, cells))} | {speed / first:.3f} |", flush=True)


if __name__ == "__main__":
    main()
