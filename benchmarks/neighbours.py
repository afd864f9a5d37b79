"""Measure what runs cost each other: one alone, then two and three at the same time.

    python benchmarks/neighbours.py [--seconds 120] [--clips 40] [--runs 1 2 3] [--rounds 3]
        [--task separate onsets chords classify tag embed] [--tree DIR] [--threads N]

Each run is a process of its own, on audio of its own: one long song, or with `--clips` so many
clips of five seconds. `--tree` names another checkout to measure beside this one, turn by turn, so
that the machine's moods meet both. Printed are the median seconds until the last of the runs has
ended, those of the processor, and the ratio to one run alone. On a busy machine compare only what
stands in one table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from audiocli.demo import compose

RATE = 44_100
HERE = Path(__file__).resolve().parent.parent
TASKS = {
    "separate": ["separate", "-o", "{out}"],
    "onsets": ["onsets", "-o", "{out}"],
    "chords": ["chords", "-o", "{out}"],
    "classify": ["classify", "--task", "event", "-o", "{out}"],
    "tag": ["tag", "-o", "{out}"],
    "embed": ["features", "--model", "blstm", "-o", "{out}.csv"],
}


def write_audio(folder: Path, seconds: float, clips: int) -> None:
    """Write one song of so many seconds, or so many clips of five seconds."""
    folder.mkdir()
    song = compose().mixture.astype(np.float32).T / 32768
    if not clips:
        times = -(-round(seconds * RATE) // len(song))
        long = np.tile(song, (times, 1))[: round(seconds * RATE)]
        soundfile.write(folder / "song.wav", long, RATE, "PCM_16")
    for number in range(clips):
        clip = np.roll(song, -number * RATE // 3, axis=0)[: 5 * RATE]
        soundfile.write(folder / f"{number:03}.wav", clip, RATE, "PCM_16")


def timed(
    task: str, tree: Path, audio: Path, runs: int, threads: int | None
) -> tuple[float, float]:
    """Start so many runs together; give the seconds until all have ended, and processor seconds."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.times()
        began = time.monotonic()
        processes = []
        for number in range(runs):
            out = f"{folder}/{number}"
            words = [word.format(out=out) for word in TASKS[task]] + [str(audio), "-q"]
            if threads and tree == HERE:  # others may not know the option
                words += ["--threads", str(threads)]
            command = [sys.executable, "-m", "audiocli", *words]
            processes.append(
                subprocess.Popen(
                    command,
                    env={**os.environ, "PYTHONPATH": str(tree)},
                    stdout=subprocess.DEVNULL,
                )
            )
        failed = [process.wait() for process in processes]
        elapsed = time.monotonic() - began
        after = os.times()
    if any(failed):
        raise SystemExit(f"{task}: failed in {tree}")
    used = after.children_user + after.children_system
    return elapsed, used - before.children_user - before.children_system


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clips", type=int, default=0)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--task", nargs="+", choices=TASKS, default=["separate", "onsets"])
    parser.add_argument("--tree", type=Path, help="Another checkout to measure beside this one.")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    trees = [HERE] + ([given.tree.resolve()] if given.tree else [])
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder) / "audio"
        write_audio(audio, given.seconds, given.clips)
        cores = len(os.sched_getaffinity(0))
        print(f"{cores} cores, load before: {os.getloadavg()[0]:.1f}\n")
        print("| task | code | runs at once | seconds | processor seconds | to one alone |")
        print("|---|---|---|---|---|---|")
        for task in given.task:
            measured: dict[tuple[Path, int], list[tuple[float, float]]] = {}
            for _ in range(given.rounds):
                for runs in given.runs:
                    for tree in trees:
                        figures = timed(task, tree, audio, runs, given.threads)
                        measured.setdefault((tree, runs), []).append(figures)
            for tree in trees:
                alone = statistics.median(wall for wall, _ in measured[tree, given.runs[0]])
                for runs in given.runs:
                    wall, used = map(statistics.median, zip(*measured[tree, runs], strict=True))
                    print(
                        f"| {task} | {'this' if tree == HERE else tree.name} | {runs} | {wall:.1f} "
                        f"| {used:.1f} | {wall / alone:.2f} |"
                    )


if __name__ == "__main__":
    main()
