"""Clips of two sources on disk, vocals and accompaniment, to train and score separation with.

Three layouts are known, in a folder and all folders below it, in any format that
:mod:`audiocli.io.audio` reads:

1. pairs ``NAME.voice.EXT`` and ``NAME.music.EXT``, or ``NAME.vocals.EXT`` and
   ``NAME.accompaniment.EXT``;
2. folders that hold ``vocals.EXT`` and ``accompaniment.EXT``, whatever else is in them, or else
   ``vocals.EXT`` and the parts of the accompaniment, any of ``drums.EXT``, ``bass.EXT`` and
   ``other.EXT``;
3. stereo files with the music on the left and the voice on the right, as in MIR-1K: every
   audio file, where there is no clip of the other two layouts.

Hidden files and folders are left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from audiocli.batch.inputs import find_inputs
from audiocli.errors import DataError
from audiocli.io import audio

__all__ = [
    "LONGEST_PADDING",
    "PARTS",
    "SOURCES",
    "Clip",
    "find_clips",
    "unit_energy",
    "unit_power",
]

SOURCES = ("vocals", "accompaniment")
LONGEST_PADDING = 0.1  # s by which the files of a clip may differ; codecs pad by less
PARTS = ("drums", "bass", "other")  # of an accompaniment, as MUSDB18 names them
PLURAL = ("vocals", "drums")

_SOURCE_OF = {"voice": 0, "music": 1, "vocals": 0, "accompaniment": 1}  # index in SOURCES
_PARTNER_OF = {
    "voice": "music",
    "music": "voice",
    "vocals": "accompaniment",
    "accompaniment": "vocals",
}
_LAYOUTS = (
    "pairs NAME.voice.EXT and NAME.music.EXT, folders with vocals.EXT and accompaniment.EXT "
    "(or drums.EXT, bass.EXT, other.EXT), or stereo files with the music on the left and the "
    "voice on the right"
)


@dataclass(frozen=True)
class Clip:
    """A recording whose two sources are known.

    Parameters
    ----------
    name : str
        What it is called, unlike all others in its folder: a path below the folder, with
        ``/`` on every system and without what tells the sources apart.
    files : tuple of Path
        The vocals and the accompaniment, or its parts; or one stereo file of both.
    """

    name: str
    files: tuple[Path, ...]

    def load(self) -> tuple[NDArray[np.float32], int]:
        """Read both sources as they are on disk.

        Files that differ in length by a coder's padding are cut to the shorter; one that is
        mono is repeated over the channels of the other. Gives (2, channels, samples), and the
        sample rate in Hz.
        """
        signals, rate = self.load_parts()
        return np.stack([signals[0], signals[1:].sum(axis=0)]), rate

    def load_parts(self) -> tuple[NDArray[np.float32], int]:
        """Read the vocals and each part of the accompaniment, (1 + parts, channels, samples)."""
        if len(self.files) == 1:
            return _load_stereo(self.files[0])
        return _load_together(*self.files)

    @property
    def stems(self) -> tuple[str, ...]:
        """What :meth:`load_parts` reads: the vocals, and the accompaniment or its parts."""
        return "vocals", *(path.stem for path in self.files[1:] if path.stem in PARTS)

    def load_mono(self, sample_rate: int) -> NDArray[np.float32]:
        """Read both sources in mono and at a given rate, (2, samples)."""
        sources, rate = self.load()
        mono: NDArray[np.float32] = sources.mean(axis=1)
        if rate == sample_rate:
            return mono
        return np.stack([soxr.resample(source, rate, sample_rate, quality="HQ") for source in mono])


def find_clips(folder: Path) -> list[Clip]:
    """Find the clips in a folder and all folders below it."""
    root = Path(folder)
    files = _audio_files(root)
    halves: dict[str, dict[int, Path]] = {}
    for relative in files:
        head, word = _split(relative)
        if word is None:
            continue
        name = (relative.parent / head).as_posix()
        if name == ".":  # layout 2 in the very folder that was given
            name = root.resolve().name
        _add(halves.setdefault(name, {}), _SOURCE_OF[word], root / relative, name)
    if halves:
        clips = [Clip(name, _together(found)) for name, found in halves.items()]
    else:
        clips = _stereo_clips(root, files)
    return sorted(clips, key=lambda clip: clip.name)


def unit_energy(
    sources: NDArray[np.float32], *, name: str = "clip", stems: Sequence[str] = SOURCES
) -> NDArray[np.float32]:
    """Scale each source of (stems, samples) to unit energy: two are a mixture at 0 dB then.

    References
    ----------
    P.-S. Huang, M. Kim, M. Hasegawa-Johnson and P. Smaragdis, "Singing-voice separation
    from monaural recordings using deep recurrent neural networks", ISMIR 2014.
    """
    energies = np.square(sources, dtype=np.float64).sum(axis=1, keepdims=True)
    for source, energy in zip(stems, energies[:, 0], strict=True):
        if not energy > 0:
            raise DataError(
                f"{name}: its {source} {'are' if source in PLURAL else 'is'} silent, and cannot be "
                "scaled to a mixture at 0 dB; leave the clip out, or cut it where all sound"
            )
    scaled: NDArray[np.float32] = (sources / np.sqrt(energies)).astype(np.float32)
    return scaled


def _audio_files(root: Path) -> list[Path]:
    """List the audio files below a folder by their paths from there."""
    try:
        os.listdir(root)
    except OSError as error:
        raise DataError(
            f"{root}: cannot be read as a folder ({error.strerror}); name one that holds {_LAYOUTS}"
        ) from error
    # the separator keeps a folder called "-" from standing for standard input
    found = find_inputs([os.path.join(root, "")])
    for item in found:
        if item.problem is not None and item.path != root:
            raise DataError(f"{item.problem}; make this folder readable, or move it away")
    return [item.relative for item in found if item.problem is None]


def _split(relative: Path) -> tuple[str, str | None]:
    """Split ``NAME.voice.EXT`` into NAME and the word for its source, None if it has none."""
    head, _, word = relative.stem.rpartition(".")
    word = word.lower()
    known = _SOURCE_OF if head else SOURCES  # a bare voice.wav may be anything
    return (head, word) if word in known else (relative.stem, None)


def _add(found: dict[int, Path], source: int, path: Path, name: str) -> None:
    """Note which file holds a source of a clip."""
    if source in found:
        raise DataError(
            f"{path}: {found[source]} is there too, and both would be the {SOURCES[source]} of "
            f"the clip {name!r}; rename one, or move it away"
        )
    found[source] = path


def _together(found: dict[int, Path]) -> tuple[Path, ...]:
    """Put the files of a clip in order, the vocals first."""
    if len(found) == len(SOURCES):
        return tuple(found[source] for source in range(len(SOURCES)))
    (path,) = found.values()
    head, word = _split(path)
    if word == "vocals" and not head and (parts := _parts(path)):
        return path, *parts
    partner = _PARTNER_OF[str(word)]
    expected = f"{head}.{partner}{path.suffix}" if head else f"{partner}{path.suffix}"
    hint = " (the sum of all stems but the vocals)" if partner == "accompaniment" else ""
    raise DataError(
        f"{path}: its partner is missing: expected {expected}{hint} beside it; "
        f"add it, or move {path.name} away"
    )


def _parts(vocals: Path) -> list[Path]:
    """Find the parts of the accompaniment beside a file of vocals, of the same kind."""
    beside = [vocals.with_name(part + vocals.suffix) for part in PARTS]
    return [path for path in beside if path.is_file()]


def _stereo_clips(root: Path, files: list[Path]) -> list[Clip]:
    """Take every file for a clip of layout 3."""
    if not files:
        raise DataError(f"{root}: holds no clips of two sources; expected {_LAYOUTS}")
    named: dict[str, Path] = {}
    for relative in files:
        name = relative.with_suffix("").as_posix()
        if name in named:
            raise DataError(
                f"{root / relative}: {named[name]} is there too, and both would be the clip "
                f"{name!r}; rename one, or move it away"
            )
        named[name] = root / relative
    return [Clip(name, (path,)) for name, path in named.items()]


def _load_stereo(path: Path) -> tuple[NDArray[np.float32], int]:
    """Read a clip of layout 3."""
    samples, rate = audio.read(path)
    if len(samples) != 2:
        raise DataError(
            f"{path}: has {len(samples)} channel{'s' * (len(samples) > 1)}, where a clip in one "
            f"file has 2, music on the left and voice on the right; expected {_LAYOUTS}"
        )
    music, voice = samples
    return np.stack([voice, music])[:, np.newaxis], rate


def _load_together(vocals: Path, *others: Path) -> tuple[NDArray[np.float32], int]:
    """Read a clip of several files and make them alike."""
    voice, rate = audio.read(vocals)
    signals = [voice]
    for other in others:
        signal, other_rate = audio.read(other)
        if rate != other_rate:
            raise DataError(
                f"{vocals}: is at {rate} Hz, but {other} at {other_rate} Hz; "
                "resample one so that both have the same rate"
            )
        if abs(voice.shape[1] - signal.shape[1]) > LONGEST_PADDING * rate:
            raise DataError(
                f"{vocals}: lasts {voice.shape[1] / rate:.3f} s, but {other} "
                f"{signal.shape[1] / rate:.3f} s; they must begin and end together, to within "
                f"{LONGEST_PADDING} s"
            )
        if len(voice) != len(signal) and 1 not in (len(voice), len(signal)):
            raise DataError(
                f"{vocals}: has {len(voice)} channels, but {other} {len(signal)}; "
                "both must have as many, or one be mono"
            )
        signals.append(signal)
    shape = max(map(len, signals)), min(signal.shape[1] for signal in signals)
    return np.stack([np.broadcast_to(signal[:, : shape[1]], shape) for signal in signals]), rate


def unit_power(
    sources: NDArray[np.float32], *, name: str = "clip", stems: Sequence[str] = SOURCES
) -> NDArray[np.float32]:
    """Scale each source to a mean square of 1: a mixture at 0 dB, of one level for any length."""
    return unit_energy(sources, name=name, stems=stems) * np.float32(sources.shape[1] ** 0.5)
