"""Play notes from samples of a sound font's notes, many times faster than FluidSynth does.

Each note of an instrument is rendered once, at one velocity; a piece adds them up. Filters that
follow the velocity, and long notes that are looped, are lost: it is for training data in bulk, and
what is scored is rendered by :mod:`audiocli.io.soundfont`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from audiocli.io.atomic import write_whole
from audiocli.io.soundfont import Note, Part, render

__all__ = ["Sampler"]

HOLD, STEP = 2.4, 3.0  # seconds that a note is held, and from note to note
VELOCITY = 96
LOWEST, HIGHEST = 24, 104
FASTEST_RELEASE = 0.06  # seconds to 1/e
EVERY = 2  # semitones between samples; what is between is resampled


class Sampler:
    """Samples of a sound font.

    Parameters
    ----------
    font : Path
    sample_rate : int
        In Hz.
    folder : Path, optional
        Where samples are kept for other runs.
    """

    def __init__(self, font: Path, sample_rate: int, folder: Path | None = None) -> None:
        self.font, self.rate, self.folder = font, sample_rate, folder
        self._rendered: dict[tuple[int, bool], NDArray[np.float32]] = {}
        self._notes: dict[tuple[int, bool, int], NDArray[np.float32]] = {}

    def render(self, parts: Sequence[Part]) -> NDArray[np.float32]:
        """Play parts to a signal (samples,) with a peak of 0.9."""
        last = max((note.end for part in parts for note in part.notes), default=0.0)
        out = np.zeros(round((last + 1.0) * self.rate), np.float32)
        for part in parts:
            loud = (part.volume / 127) ** 2
            for note in part.notes:
                self._add(out, note, part, loud)
        peak = float(np.abs(out).max(initial=0.0))
        return out * np.float32(0.9 / peak) if peak else out

    def _add(self, out: NDArray[np.float32], note: Note, part: Part, loud: float) -> None:
        sample = self._note(part.program, part.drums, note.pitch)
        start = round(note.start * self.rate)
        held = len(sample) if part.drums else round((note.end - note.start) * self.rate)
        tail = min(round(4 * FASTEST_RELEASE * self.rate), max(len(sample) - held, 0))
        sounding = sample[: held + tail] * np.float32(loud * (note.velocity / 127) ** 2)
        if tail:
            fall = np.exp(-np.arange(tail) / (FASTEST_RELEASE * self.rate))
            sounding[held:] *= fall.astype(np.float32)
        room = min(len(sounding), len(out) - start)
        out[start : start + room] += sounding[:room]

    def _note(self, program: int, drums: bool, pitch: int) -> NDArray[np.float32]:
        while pitch < LOWEST:
            pitch += 12
        while pitch > HIGHEST:
            pitch -= 12
        key = (program, drums, pitch)
        if key not in self._notes:
            bank = self._bank(program, drums)
            every = 1 if drums else EVERY
            index, between = divmod(pitch - LOWEST, every)
            sample = bank[index].astype(np.float32)
            if between:
                places = np.arange(int(len(sample) / 2 ** (between / 12))) * 2 ** (between / 12)
                sample = np.interp(places, np.arange(len(sample)), sample).astype(np.float32)
            self._notes[key] = sample
        return self._notes[key]

    def _bank(self, program: int, drums: bool) -> NDArray[np.float32]:
        """Give the samples of an instrument (pitches, samples), rendered where they are new."""
        if (program, drums) not in self._rendered:
            kept = self._kept(program, drums)
            bank: NDArray[np.float32]
            if kept is not None and kept.exists():
                bank = open_memmap(kept, mode="r")
            else:
                bank = self._render_bank(program, drums)
                if kept is not None:
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(kept, lambda part: _save(part, bank), overwrite=True)
            self._rendered[program, drums] = bank
        return self._rendered[program, drums]

    def _kept(self, program: int, drums: bool) -> Path | None:
        if self.folder is None:
            return None
        size = self.font.stat().st_size
        facts = repr((self.font.name, size, self.rate, HOLD, STEP, VELOCITY, LOWEST, EVERY))
        name = hashlib.sha256(facts.encode()).hexdigest()[:12]
        return self.folder / f"{name}-{program}{'-drums' if drums else ''}.npy"

    def _render_bank(self, program: int, drums: bool) -> NDArray[np.float32]:
        pitches = range(LOWEST, HIGHEST + 1, 1 if drums else EVERY)
        notes = tuple(
            Note(k * STEP, k * STEP + HOLD, pitch, VELOCITY) for k, pitch in enumerate(pitches)
        )
        sound = render([Part(notes, program, drums)], self.font, sample_rate=self.rate)
        length = round(STEP * self.rate)
        padded = np.pad(sound, (0, max(0, length * len(pitches) - len(sound))))
        bank = padded[: length * len(pitches)].reshape(len(pitches), length)
        level = float(np.sqrt(np.mean(bank[:, : self.rate] ** 2))) or 1.0
        return np.asarray(bank * (0.1 / level), np.float16)


def _save(path: Path, bank: NDArray[np.float32]) -> None:
    with path.open("wb") as file:
        np.save(file, bank)
