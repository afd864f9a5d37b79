"""Compare the speed and the memory of feature extraction, on the same files in one run.

    python benchmarks/features.py FILE [FILE ...] [--repeat 3] [--minutes 60]

What is measured, from the file to one row of statistics, on one thread:

- audiocli's sets `common`, `lecture` and `all`;
- librosa, the features of `common` call by call as one writes it down, and again from one spectrum;
- openSMILE's eGeMAPSv02 and ComParE_2016 where it is installed (pip install opensmile).

Files are first written as 16-bit WAV at 44100 Hz, which all of them read. Times are the
processor's, in turns, after a first round that warms up imports and compilers; the least of the
rounds counts. Speeds are ratios to real time and to librosa's. With --minutes, the first file is
repeated to that length, and each tool runs in a process of its own for the most memory that it
takes, on a minute and on the long file.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import soundfile

RATE, LENGTH, HOP = 22_050, 2048, 512
Make = Callable[[Path], object]


def ours(name: str) -> Make:
    """Make a set as ``audiocli features`` does."""
    from audiocli.tasks.features import Extractor
    from audiocli.tasks.features.files import extract_file

    extractor = Extractor([name])
    return lambda path: extract_file(extractor, path)


def statistics(features: list[np.ndarray]) -> np.ndarray:
    """Take mean and standard deviation over frames."""
    joined = np.concatenate(features)
    return np.stack([joined.mean(axis=1), joined.std(axis=1)])


def librosa_calls(path: Path) -> np.ndarray:
    """Make the features of the common set, each by its own call."""
    import librosa
    from librosa import feature

    y, sr = librosa.load(path, sr=RATE)
    mfcc = feature.mfcc(y=y, sr=sr, n_mfcc=20)
    found = [
        feature.rms(y=y),
        feature.zero_crossing_rate(y),
        feature.spectral_centroid(y=y, sr=sr),
        feature.spectral_bandwidth(y=y, sr=sr),
        feature.spectral_flatness(y=y),
        feature.spectral_rolloff(y=y, sr=sr),
        np.linalg.norm(np.diff(np.abs(librosa.stft(y)), prepend=0), axis=0)[None],
        feature.spectral_contrast(y=y, sr=sr),
        mfcc,
        feature.delta(mfcc),
        feature.delta(mfcc, order=2),
        feature.chroma_stft(y=y, sr=sr, tuning=0),
    ]
    return statistics(found)


def librosa_once(path: Path) -> np.ndarray:
    """Make the same from one spectrum."""
    import librosa
    from librosa import feature

    y, sr = librosa.load(path, sr=RATE)
    magnitude = np.abs(librosa.stft(y))
    power = magnitude**2
    mel = librosa.power_to_db(feature.melspectrogram(S=power, sr=sr))
    mfcc = feature.mfcc(S=mel, n_mfcc=20)
    found = [
        feature.rms(y=y),
        feature.zero_crossing_rate(y),
        feature.spectral_centroid(S=magnitude, sr=sr),
        feature.spectral_bandwidth(S=magnitude, sr=sr),
        feature.spectral_flatness(S=magnitude),
        feature.spectral_rolloff(S=magnitude, sr=sr),
        np.linalg.norm(np.diff(magnitude, prepend=0), axis=0)[None],
        feature.spectral_contrast(S=magnitude, sr=sr),
        mfcc,
        feature.delta(mfcc),
        feature.delta(mfcc, order=2),
        feature.chroma_stft(S=power, sr=sr, tuning=0),
    ]
    return statistics(found)


def smile(name: str) -> Make:
    """Make one of openSMILE's sets."""
    import opensmile

    extractor = opensmile.Smile(getattr(opensmile.FeatureSet, name), num_workers=1)
    return lambda path: extractor.process_file(str(path))


#: What is measured: a name, what it makes, and what makes it once it is needed.
TOOLS: dict[str, tuple[str, Callable[[], Make]]] = {
    "audiocli common": ("12 features, 172 numbers", lambda: ours("common")),
    "librosa": ("the same", lambda: librosa_calls),
    "librosa, one STFT": ("the same", lambda: librosa_once),
    "audiocli lecture": ("30 features", lambda: ours("lecture")),
    "audiocli all": ("all features", lambda: ours("all")),
}
if importlib.util.find_spec("opensmile"):
    TOOLS["openSMILE eGeMAPS"] = ("88 numbers of the voice", lambda: smile("eGeMAPSv02"))
    TOOLS["openSMILE ComParE"] = ("6373 numbers", lambda: smile("ComParE_2016"))


def processor_time() -> float:
    """Seconds of the processor that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def speeds(files: list[Path], repeat: int) -> dict[str, float]:
    """Measure seconds for all files, the tools taking turns."""
    made = {name: prepare() for name, (_, prepare) in TOOLS.items()}
    spent = dict.fromkeys(made, float("inf"))
    for turn in range(repeat + 1):
        for name, make in made.items():
            before = processor_time()
            for path in files:
                make(path)
            if turn:
                spent[name] = min(spent[name], processor_time() - before)
    return spent


def own_memory() -> float:
    """Give the most memory that this process has had, in MB.

    By Linux's own account: what the system's call says begins with the memory of the parent.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def memory(name: str, path: Path) -> float:
    """Run one tool in a process of its own; give its highest memory in MB."""
    command = [sys.executable, __file__, "--alone", name, str(path)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{name}: {result.stderr}")
    return float(result.stdout)


def as_wav(source: Path, folder: Path, minutes: float = 0.0) -> tuple[Path, float]:
    """Write a file as 16-bit WAV, repeated to a length if asked for; give it and its seconds."""
    from audiocli.io import audio

    samples, rate = audio.read(source)
    samples = np.atleast_2d(samples).T
    path = folder / f"{source.stem}.{minutes:g}.wav"
    with soundfile.SoundFile(path, "w", rate, samples.shape[1], "PCM_16") as out:
        missing = round(60 * minutes * rate) or len(samples)
        while missing > 0:
            out.write(samples[:missing])
            missing -= len(samples)
        return path, out.frames / rate


def main() -> None:
    """Measure and print tables in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.alone:
        TOOLS[options.alone][1]()(options.files[0])
        print(own_memory())
        return
    with tempfile.TemporaryDirectory() as folder:
        written = [as_wav(path, Path(folder)) for path in options.files]
        seconds = sum(length for _, length in written)
        spent = speeds([path for path, _ in written], options.repeat)
        heading, rule = "| tool | makes | times real time | over librosa |", "|---|---|---|---|"
        if options.minutes:
            long = [as_wav(options.files[0], Path(folder), m)[0] for m in (1.0, options.minutes)]
            heading += f" MB, 1 minute | MB, {options.minutes:g} minutes |"
            rule += "---|---|"
        print(f"{len(written)} files, {seconds / 60:.1f} minutes\n\n{heading}\n{rule}")
        for name, (makes, _) in TOOLS.items():
            ratio = spent["librosa"] / spent[name]
            line = f"| {name} | {makes} | {seconds / spent[name]:.0f} | {ratio:.2f} |"
            if options.minutes:
                line += "".join(f" {memory(name, path):.0f} |" for path in long)
            print(line, flush=True)


if __name__ == "__main__":
    main()
