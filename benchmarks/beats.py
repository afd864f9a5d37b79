"""Compare beat trackers on the same annotated recordings.

    python benchmarks/beats.py FOLDER ... [--model MODEL] [--found NAME=FOLDER]

FOLDER holds recordings with NAME.beats beside them. Scored are our model, librosa's tracker, what
`peer_beats.py` wrote (--found, once a tracker) and, where it is installed, beat_this. A line a
tracker: F-measure of beats and of downbeats at 70 ms from 5 s on, the share of tempi within 4 %,
and how many times faster than real time it ran, in processor time of this process.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from audiocli.io import audio
from audiocli.io.formats import read_beats
from audiocli.tasks.annotated import find_recordings
from audiocli.tasks.beat_tracker import DEFAULT_MODEL, BeatTracker
from audiocli.tasks.beats.evaluation import Found, librosa_beats, score_of, total
from audiocli.tasks.beats.examples import ANNOTATIONS


def _tempo(times: np.ndarray) -> float | None:
    return float(60 / np.median(np.diff(times))) if len(times) > 1 else None


def ours(model: str) -> Callable[[Path], Found]:
    """Track with one of our models."""
    tracker = BeatTracker(model)

    def track(path: Path) -> Found:
        with audio.AudioReader(path) as reader:
            beats = tracker.stream(reader.full_range(), reader.info.sample_rate)
        return beats.times, beats.downbeats, beats.tempo.bpm

    return track


def written(folder: Path) -> Callable[[Path], Found]:
    """Read what another program found."""

    def track(path: Path) -> Found:
        times, places = read_beats(folder / f"{path.stem}.beats")
        return times, None if places is None else times[places == 1], _tempo(times)

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
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--found", action="append", default=[], metavar="NAME=FOLDER")
    given = parser.parse_args()
    recordings = [each for folder in given.folders for each in find_recordings(folder, ANNOTATIONS)]
    trackers = {"audiocli": partial(ours, given.model), "librosa": lambda: librosa_beats}
    for name, folder in (text.split("=", 1) for text in given.found):
        trackers[name] = partial(written, Path(folder))
    if importlib.util.find_spec("beat_this") is not None:
        trackers["beat_this"] = beat_this
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
