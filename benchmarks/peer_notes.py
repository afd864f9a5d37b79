"""Transcribe recordings of one voice with other programs, to score them beside ours.

    PYTHON benchmarks/peer_notes.py NAME OUT FILE ...
    audiocli evaluate notes FOLDER --found OUT

They live in an environment of their own, whose PYTHON this is:

    python3.11 -m venv peers && . peers/bin/activate
    pip install librosa onnxruntime pretty_midi mir_eval resampy 'setuptools<80'
    pip install --no-deps basic-pitch

NAME is `basic-pitch` (Bittner et al. 2022, its ONNX model; it is polyphonic, `melody` of its notes
keeps the loudest of those that overlap) or `librosa`: the pitch of `librosa.pyin`, cut where its
nearest semitone changes for 50 ms and at the onsets of `librosa.onset.onset_detect`, and the median
of each piece. Writes OUT/NAME.notes, a line a note: onset, offset (s), pitch (MIDI number). Prints
seconds of processor time, and of audio. One thread.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

Notes = list[tuple[float, float, float]]
RATE, HOP = 22_050, 256
SHORTEST = 0.06  # seconds; librosa's pieces have no length of their own


def basic_pitch() -> Callable[[str], tuple[Notes, float]]:
    """Load Basic Pitch."""
    import librosa
    from basic_pitch import FilenameSuffix, build_icassp_2022_model_path
    from basic_pitch.inference import Model, predict

    model = Model(build_icassp_2022_model_path(FilenameSuffix.onnx))

    def transcribe(path: str) -> tuple[Notes, float]:
        _, _, events = predict(path, model)
        found = [(float(e[0]), float(e[1]), float(e[2]), float(e[3])) for e in events]
        return melody(found), librosa.get_duration(path=path)

    return transcribe


def melody(events: list[tuple[float, float, float, float]]) -> Notes:
    """Keep the loudest of notes that overlap by more than half of the shorter."""
    kept: list[tuple[float, float, float, float]] = []
    for event in sorted(events, key=lambda each: -each[3]):
        clear = all(
            min(event[1], other[1]) - max(event[0], other[0])
            <= 0.5 * min(event[1] - event[0], other[1] - other[0])
            for other in kept
        )
        if clear:
            kept.append(event)
    return sorted((start, end, pitch) for start, end, pitch, _ in kept)


def pyin() -> Callable[[str], tuple[Notes, float]]:
    """Make notes of librosa's pYIN."""
    import librosa
    from scipy.ndimage import median_filter

    def transcribe(path: str) -> tuple[Notes, float]:
        audio, _ = librosa.load(path, sr=RATE)
        f0, voiced, _ = librosa.pyin(
            audio, fmin=65, fmax=1100, sr=RATE, frame_length=2048, hop_length=HOP
        )
        pitch = np.where(voiced, librosa.hz_to_midi(np.where(voiced, f0, 440.0)), np.nan)
        wide = 2 * round(0.05 * RATE / HOP / 2) + 1
        steps = median_filter(np.nan_to_num(np.round(pitch), nan=-1.0), wide)
        cuts = np.flatnonzero(np.diff(steps, prepend=-2.0))
        onsets = librosa.onset.onset_detect(y=audio, sr=RATE, hop_length=HOP)
        edges = sorted({*cuts.tolist(), *onsets.tolist(), len(steps)})
        notes = []
        for first, last in zip(edges, edges[1:], strict=False):
            inside = pitch[first:last][~np.isnan(pitch[first:last])]
            if (last - first) * HOP / RATE >= SHORTEST and len(inside) > (last - first) / 2:
                notes.append((first * HOP / RATE, last * HOP / RATE, float(np.median(inside))))
        return notes, len(audio) / RATE

    return transcribe


def main() -> None:
    """Transcribe and write."""
    name, out, *paths = sys.argv[1:]
    transcribe = {"basic-pitch": basic_pitch, "librosa": pyin}[name]()
    transcribe(paths[0])  # compilers
    spent = seconds = 0.0
    for path in paths:
        before = time.process_time()
        notes, length = transcribe(path)
        spent, seconds = spent + time.process_time() - before, seconds + length
        target = Path(out, f"{Path(path).stem}.notes")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(f"{a:.6f} {b:.6f} {pitch:.3f}\n" for a, b, pitch in notes))
        print(path, len(notes), file=sys.stderr, flush=True)
    print(f"{name}: {spent:.1f} s for {seconds:.0f} s of audio")


if __name__ == "__main__":
    main()
