"""How fast classification is, beside the features that it replaces.

    python benchmarks/classify.py [FILE...]

Without files it makes a song of three minutes. In one run, on one core: decoding alone; `event`
and `genre`, model loaded; all tasks in one pass; and MFCC means by librosa, the classical front-end
of a classifier. Then `audiocli classify --task event` over a folder of 32 copies with a process
a core, start and loading included.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import soundfile
import torch

from audiocli.demo import write_demo
from audiocli.io import audio
from audiocli.nn import registry
from audiocli.tasks.classify.classifier import Classifier

SECONDS, COPIES = 180, 32


def song(folder: Path) -> Path:
    """Make a song of three minutes out of the demo's."""
    write_demo(folder / "demo")
    samples, rate = audio.read(folder / "demo" / "song.wav")
    times = -(-SECONDS * rate // samples.shape[1])
    path = folder / "song.flac"
    soundfile.write(path, np.tile(samples, times)[:, : SECONDS * rate].T, rate)
    return path


def listen(classifier: Classifier, path: Path) -> None:
    """Classify a file."""
    with audio.AudioReader(path) as reader:
        classifier.stream(reader.blocks(), reader.info.sample_rate)


def decode(path: Path) -> None:
    """Only decode a file."""
    with audio.AudioReader(path) as reader:
        for _ in reader.blocks():
            pass


def mfcc(path: Path) -> None:
    """Compute librosa's MFCC."""
    import librosa

    signal, rate = librosa.load(path, sr=22_050)
    librosa.feature.mfcc(y=signal, sr=rate, n_mfcc=20).mean(axis=1)


def best_of(function: Callable[[], None], times: int = 3) -> float:
    """Time a function, the best of some runs."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        function()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def main(names: list[str]) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [Path(each) for each in names] or [song(folder)]
        every = [f"{entry.task}/{entry.name}" for task in ("classify", "tag")
                 for entry in registry.list_models(task)]  # fmt: skip
        asked = {"event": ["classify/audioset"], "genre": ["classify/genre"], "all tasks": every}
        rows: dict[str, Callable[[Path], None]] = {"decoding alone": decode}
        for what, models in asked.items():
            classifier = Classifier(None, models)
            rows[what] = partial(listen, classifier)
        rows["librosa: MFCC"] = mfcc
        for path in paths:
            seconds = audio.probe(path).duration or 0.0
            print(f"{path.name}: {seconds:.0f} s, one core, model loaded")
            for what, function in rows.items():
                function(path)  # warm: first calls compile and allocate
                taken = best_of(partial(function, path))
                print(f"  {what:16} {taken:6.2f} s   {seconds / taken:5.0f} x real time")
        many = folder / "many"
        many.mkdir()
        for index in range(COPIES):
            shutil.copy(paths[0], many / f"{index}{paths[0].suffix}")
        total = COPIES * (audio.probe(paths[0]).duration or 0.0)
        jobs = str(os.cpu_count() or 1)
        command = [sys.executable, "-m", "audiocli", "classify", "--task", "event"]
        command += ["-j", jobs, "-q", str(many)]
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken = time.perf_counter() - begin
        print(f"a folder of {COPIES}, {jobs} processes, start included: {taken:.1f} s, "
              f"{total / taken:.0f} x real time")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
