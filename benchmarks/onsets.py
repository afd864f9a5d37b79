"""Compare onset detectors on the same files: F-measure at 25 and 50 ms, and speed on one core.

    python benchmarks/onsets.py DATA [DATA ...] [--only 'FOLDER/NAME*'] [--madmom PYTHON]

DATA: folders of recordings with NAME.onsets, NAME.csv or NAME.jams beside them. Every detector
that is installed takes part, at its own defaults: audiocli's models, librosa, aubio's program
`aubioonset`, and madmom in an environment of its own (see `madmom_onsets.py`). Accuracy and time
are measured in one run on the same decoded files; the time is the processor's, on one thread, from
file to onsets, after a first file that warms up imports and compilers. Speeds are given as ratios
to real time and to librosa's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile
import torch

from audiocli.io import audio
from audiocli.io.formats import read_instants
from audiocli.nn import registry
from audiocli.tasks.annotated import find_recordings, matching
from audiocli.tasks.onsets import OnsetDetector
from audiocli.tasks.onsets.evaluation import WINDOWS, librosa_onsets
from audiocli.tasks.onsets.examples import ANNOTATIONS
from audiocli.tasks.onsets.scoring import Match, match, merged

Detect = Callable[[Path], np.ndarray]


def ours(name: str) -> Detect:
    """One of our models, from file to times."""
    detector = OnsetDetector(name, device="cpu")

    def detect(path: Path) -> np.ndarray:
        with audio.AudioReader(path) as reader:
            return detector.stream(reader.blocks(), reader.info.sample_rate).times

    return detect


def aubio_program(path: Path) -> np.ndarray:
    """Run aubio's own program."""
    result = subprocess.run(["aubioonset", "-i", str(path)], capture_output=True, text=True)
    return np.array([float(line) for line in result.stdout.split()])


def detectors() -> dict[str, Detect]:
    """List what is installed."""
    found = {f"audiocli {entry.name}": ours(entry.name) for entry in registry.list_models("onsets")}
    found["librosa"] = librosa_onsets
    if shutil.which("aubioonset"):
        found["aubio"] = aubio_program
    return found


def processor_time() -> float:
    """Seconds of the processor that this process and its children have used."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage)


def measure(detect: Detect, files: list[tuple[Path, np.ndarray]]) -> tuple[list[Match], float]:
    """Run a detector over all files: matches for each window, and seconds of processor time."""
    detect(files[0][0])
    matches = [Match(0, 0, 0) for _ in WINDOWS]
    spent = 0.0
    for path, reference in files:
        before = processor_time()
        times = detect(path)
        spent += processor_time() - before
        for index, window in enumerate(WINDOWS):
            matches[index] = matches[index] + match(reference, np.sort(times), window)
    return matches, spent


def measure_madmom(
    python: str, files: list[tuple[Path, np.ndarray]]
) -> dict[str, tuple[list[Match], float]]:
    """Do the same with madmom's detectors, in their own environment."""
    script = Path(__file__).with_name("madmom_onsets.py")
    command = [python, str(script), *(str(path) for path, _ in files)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    references = {str(path): reference for path, reference in files}
    results: dict[str, tuple[list[Match], float]] = {}
    for row in map(json.loads, printed.splitlines()):
        name = f"madmom {row['detector']}"
        matches, spent = results.get(name, ([Match(0, 0, 0) for _ in WINDOWS], 0.0))
        times = np.sort(np.array(row["times"], np.float64))
        reference = references[row["file"]]
        more = [match(reference, times, window) for window in WINDOWS]
        added = [one + other for one, other in zip(matches, more, strict=True)]
        results[name] = added, spent + row["seconds"]
    return results


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--madmom", metavar="PYTHON", help="a Python that can import madmom")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = [each for folder in options.data for each in find_recordings(folder, ANNOTATIONS)]
    chosen = matching(found, options.only, "--only")
    with tempfile.TemporaryDirectory() as folder:
        # As 16-bit WAV, which all of them read.
        files, seconds = [], 0.0
        for index, recording in enumerate(chosen):
            samples, rate = audio.read(recording.audio, mono=True)
            wav = Path(folder) / f"{index}.wav"
            soundfile.write(wav, samples[0], rate, "PCM_16")
            seconds += samples.shape[1] / rate
            files.append((wav, merged(read_instants(recording.annotation))))
        print(f"{len(files)} recordings, {seconds / 60:.1f} minutes\n")
        print("| detector | F 25 ms | F 50 ms | times real time | over librosa |")
        print("|---|---|---|---|---|")
        results = {name: measure(detect, files) for name, detect in detectors().items()}
        if options.madmom:
            results |= measure_madmom(options.madmom, files)
        for name, (matches, spent) in results.items():
            scores = " | ".join(f"{each.f_measure:.3f}" for each in matches)
            ratio = results["librosa"][1] / spent
            print(f"| {name} | {scores} | {seconds / spent:.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
