"""Count the files a second that commands get through, and what ten million songs would take.

    python benchmarks/throughput.py [--task features onsets classify separate]
        [--seconds 0.5 5 180] [--files 60 20 1] [--price 0.04]

Each command runs over so many WAV files of so many seconds (44.1 kHz, stereo) in this process, with
one thread, and with an output folder and a manifest as anybody would. Start-up is left out: what a
run over one clip of next to no length takes is subtracted. Times are the processor's, so that they
hold on a busy machine too, as far as its caches let them.

Where the time goes is found by doing parts of it alone, on the same files: only to decode them, and
only to analyse them when they are in memory already. What is left of the whole is what a file costs
besides: to be planned, opened, written and entered in the manifest.

The last table is extrapolated from the longest files: the hours that one core needs for ten million
of them, and their price at so much for an hour of a core.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import numpy as np
import soundfile
import torch

import audiocli
from audiocli.demo import compose
from audiocli.io.audio import AudioReader

RATE = 44_100
SONGS = 10_000_000
TINY = 0.02  # seconds of the clip that start-up is measured with
Audio = np.ndarray[Any, np.dtype[np.float32]]
#: Runs over inputs, into a folder.
Run = Callable[[list[str], Path], object]
Analyse = Callable[[Audio], object]


@dataclass(frozen=True)
class Command:
    """A command over files, and the same analysis of audio in memory."""

    run: Run
    load: Callable[[], Analyse]


def _features() -> Analyse:
    extractor = audiocli.FeatureExtractor(["common"])
    return lambda audio: extractor.summary([audio], RATE)


def _onsets() -> Analyse:
    detector = audiocli.OnsetDetector(device="cpu")
    return lambda audio: detector(audio, RATE)


def _classify() -> Analyse:
    names = [entry.name for entry in audiocli.find_models(["genre"])]
    classifier = audiocli.Classifier("classify", names, device="cpu")
    return lambda audio: classifier.stream([audio], RATE)


def _separate() -> Analyse:
    separator = audiocli.Separator(device="cpu")
    return lambda audio: separator(audio, RATE)


COMMANDS = {
    "features": Command(
        lambda paths, out: audiocli.extract_features(paths, out / "features.csv"), _features
    ),
    "onsets": Command(lambda paths, out: audiocli.detect_files(paths, out, threads=1), _onsets),
    "classify": Command(
        lambda paths, out: audiocli.classify_files(
            paths, out, entries=audiocli.find_models(["genre"]), threads=1
        ),
        _classify,
    ),
    "separate": Command(
        lambda paths, out: audiocli.separate_files(paths, out, threads=1), _separate
    ),
}


@dataclass(frozen=True)
class Cost:
    """Processor seconds a file: all of it, to decode it, and to analyse it in memory."""

    whole: float
    decoding: float
    analysis: float

    @property
    def besides(self) -> float:
        """What planning, opening and writing cost."""
        return max(self.whole - self.decoding - self.analysis, 0.0)

    @property
    def bottleneck(self) -> str:
        """What costs most."""
        parts = {"decoding": self.decoding, "analysis": self.analysis, "the rest": self.besides}
        return max(parts, key=lambda name: parts[name])


def write_clips(folder: Path, seconds: float, number: int) -> list[Path]:
    """Write pieces of the demo song, each from another place on."""
    folder.mkdir()
    song = compose().mixture.T
    samples = round(seconds * RATE)
    paths = []
    for index in range(number):
        piece = np.take(song, np.arange(samples) + index * RATE // 3, axis=0, mode="wrap")
        paths.append(folder / f"{index:05}.wav")
        soundfile.write(paths[-1], piece, RATE, "PCM_16")
    return paths


def decode(path: Path) -> Audio:
    """Read a file as commands do."""
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.blocks(1 << 16)), axis=1)


def per_file(do: Callable[[], object], number: int) -> float:
    """Give the processor seconds a file of doing something with so many."""
    before = time.process_time()
    do()
    return (time.process_time() - before) / number


def measured(command: Command, paths: Sequence[Path], root: Path) -> Cost:
    """Measure a command on files."""
    analyse = command.load()
    [tiny] = write_clips(root / "tiny", TINY, 1)
    runs = [
        per_file(partial(command.run, [str(tiny)], root / f"start {number}"), 1)
        for number in range(4)  # the first one warms up; the least is the least disturbed
    ]
    start = min(runs)
    audio = [decode(path) for path in paths]
    analyse(audio[0])
    names = [str(path) for path in paths]
    whole = per_file(lambda: command.run(names, root / "out"), 1) - start
    return Cost(
        whole / len(paths),
        per_file(lambda: [decode(path) for path in paths], len(paths)),
        per_file(lambda: [analyse(each) for each in audio], len(paths)),
    )


def main() -> None:
    """Measure and print tables in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.5, 5.0, 180.0])
    parser.add_argument("--files", type=int, nargs="+", default=[60, 20, 1])
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour")
    given = parser.parse_args()
    if len(given.files) != len(given.seconds):
        parser.error("--files: give as many numbers as --seconds has lengths")
    torch.set_num_threads(1)
    longest: dict[str, Cost] = {}
    print("| command | a file, s | files a second, one core | ms a file | of it decoding "
          "| analysis | the rest | times real time |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lengths = list(zip(given.seconds, given.files, strict=True))
        clips = {each: write_clips(root / str(each), each, number) for each, number in lengths}
        for task in given.task:
            for seconds in given.seconds:
                own = root / f"{task} {seconds}"
                own.mkdir()
                cost = measured(COMMANDS[task], clips[seconds], own)
                longest[task] = cost
                parts = (cost.whole, cost.decoding, cost.analysis, cost.besides)
                cells = [task, f"{seconds:g}", f"{1 / cost.whole:.3g}"]
                cells += [f"{1000 * part:.1f}" for part in parts]
                cells.append(f"{seconds / cost.whole:.0f}")
                print(f"| {' | '.join(cells)} |", flush=True)
    length, price = given.seconds[-1], given.price
    print(f"\nTen million files of {length:g} s, at {price:g} an hour of a core:\n")
    print("| command | files an hour, one core | core hours | price | bottleneck |")
    print("|---|---|---|---|---|")
    for task, cost in longest.items():
        hours = SONGS * cost.whole / 3600
        print(f"| {task} | {3600 / cost.whole:,.0f} | {hours:,.0f} | {hours * price:,.0f} "
              f"| {cost.bottleneck} |")  # fmt: skip


if __name__ == "__main__":
    main()
