"""Compare beat trackers on the same annotated recordings.

    python benchmarks/beats.py FOLDER ...

FOLDER holds recordings with NAME.beats beside them. Scored are the default model and librosa's
tracker, and, where they are installed, aubio and beat_this (with a DBN if madmom is there). A line
a tracker: F-measure of beats and of downbeats at 70 ms from 5 s on, the share of tempi within 4 %,
and how many times faster than real time it ran, in processor time of this process.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from audiocli.io import audio
from audiocli.io.formats import read_beats
from audiocli.tasks.annotated import find_recordings
from audiocli.tasks.beat_tracker import BeatTracker
from audiocli.tasks.beats.evaluation import Found, librosa_beats, score_of, total
from audiocli.tasks.beats.examples import ANNOTATIONS


def _tempo(times: np.ndarray) -> float | None:
    return float(60 / np.median(np.diff(times))) if len(times) > 1 else None


def ours() -> Callable[[Path], Found]:
    """Track with the shipped model."""
    tracker = BeatTracker()

    def track(path: Path) -> Found:
        with audio.AudioReader(path) as reader:
            beats = tracker.stream(reader.full_range(), reader.info.sample_rate)
        return beats.times, beats.downbeats, beats.tempo.bpm

    return track


def aubio() -> Callable[[Path], Found]:
    """Track with aubio, at its defaults."""
    import aubio as library

    def track(path: Path) -> Found:
        samples, rate = audio.read(path, mono=True)
        tracker, found = library.tempo("default", 1024, 512, rate), []
        for start in range(0, samples.shape[1] - 511, 512):
            if tracker(samples[0, start : start + 512])[0]:
                found.append(tracker.get_last_s())
        times = np.array(found)
        return times, None, _tempo(times)

    return track


def beat_this() -> Callable[[Path], Found]:
    """Track with Beat This!, whose weights it fetches itself."""
    from beat_this.inference import File2Beats

    tracker = File2Beats(dbn=importlib.util.find_spec("madmom") is not None)

    def track(path: Path) -> Found:
        beats, downbeats = tracker(str(path))
        return np.asarray(beats), np.asarray(downbeats), _tempo(np.asarray(beats))

    return track


def main() -> None:
    """Read the arguments and print a line a tracker."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    recordings = [each for folder in given.folders for each in find_recordings(folder, ANNOTATIONS)]
    trackers = {"audiocli": ours, "librosa": lambda: librosa_beats}
    trackers |= {
        name: make
        for name, make in (("aubio", aubio), ("beat_this", beat_this))
        if importlib.util.find_spec(name) is not None
    }
    print("tracker    beats  downbeats  tempo  times real time")
    for name, make in trackers.items():
        track, scores, seconds, started = make(), [], 0.0, time.process_time()
        for each in recordings:
            with audio.AudioReader(each.audio) as reader:
                length = reader.info.duration or 0.0
            times, places = read_beats(each.annotation)
            bars = None if places is None else times[places == 1]
            scores.append(score_of(each.title, length, (times, bars), track(each.audio)))
            seconds += length
        speed = seconds / (time.process_time() - started)
        mean = total(scores)
        print(f"{name:9} {mean.beats:6.3f} {mean.downbeats:10.3f} {mean.tempo:6.2f} {speed:10.0f}")


if __name__ == "__main__":
    main()
