"""One page a song: player and spectrograms of the mixture and its stems.

The page is that of :mod:`audiocli.page`. Its sounds are mp3 of modest quality, which every browser
plays.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from audiocli.io.audio import AudioInfo
from audiocli.io.audio.excerpt import Excerpt
from audiocli.page import Page, Track, write
from audiocli.page.picture import LOUD, MASK, image, ticks
from audiocli.page.render import clock
from audiocli.page.sound import Levels, Measures, Sound
from audiocli.page.waveform import Outliner
from audiocli.tasks.separate.plot import StemsView, StemsViewer

__all__ = ["EXCERPT_SECONDS", "LONGEST_SECONDS", "About", "Report", "StemTracks", "measured_levels"]

Audio = NDArray[np.float32]

#: What is longer is not embedded as a whole, ...
LONGEST_SECONDS = 300.0
#: ... but so much of it.
EXCERPT_SECONDS = 60.0
COLUMNS = 2400  # of a picture, at most


@dataclass(frozen=True)
class About:
    """What a page says of a song and of the model that separated it.

    Parameters
    ----------
    title : str
        The song.
    model, licence : str
        The model's name, and the licence of its weights.
    seconds : float
        Length of the song.
    start : float
        Where in it begins what the page is of, in seconds.
    preview : bool
        Whether that is a part of it.
    """

    title: str
    model: str
    licence: str
    seconds: float
    start: float = 0.0
    preview: bool = False


class StemTracks:
    """Tracks of a page in the making: sounds, spectrograms and waveform of a mixture and its stems.

    Parameters
    ----------
    folder : Path
        For files that are no longer needed once the page is written.
    names : sequence of str
        Of the stems; there may be none.
    info : AudioInfo
        Of the song.
    frames : int
        Samples per channel that are to come.
    gain : float
        Factor on the sounds, for songs that pass full scale.
    sounding : bool
        Whether sounds are embedded.
    small : bool
        Whether in few bytes, as :class:`audiocli.page.sound.Sound` does it.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        info: AudioInfo,
        frames: int,
        *,
        gain: float = 1.0,
        sounding: bool = True,
        small: bool = False,
    ) -> None:
        self.names = ("mixture", *names)
        rate = info.sample_rate
        self._gain = np.float32(gain)
        self._stack = ExitStack()
        self.sounds = [
            Sound(folder / f"track{index}.mp3", rate, info.channels, small=small)
            for index in range(len(self.names) if sounding else 0)
        ]
        self.viewer = StemsViewer(names, rate, frames, columns=COLUMNS)
        self.outliner = Outliner(frames)

    def __enter__(self) -> StemTracks:
        """Open the files of the sounds."""
        with ExitStack() as stack:
            for sound in self.sounds:
                stack.enter_context(sound.writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete them, or remove them after an exception."""
        try:
            if exception_type is None:
                for sound in self.sounds:
                    sound.end()
        finally:
            self._stack.__exit__(exception_type, exception, traceback)

    def take(self, mixture: Audio, stems: Audio) -> None:
        """Take in the next block, (channels, samples) and (stems, channels, samples)."""
        self.outliner.take(mixture)
        self.viewer.take(mixture, stems)
        for sound, signal in zip(self.sounds, (mixture, *stems), strict=bool(self.sounds)):
            sound.take(signal * self._gain)

    def tracks(self, view: StemsView, measures: Sequence[Measures] = ()) -> list[Track]:
        """Give the tracks, once all has been taken in and the sounds are complete."""
        limits = (view.floor, view.loudest)
        return [
            Track(
                name,
                self.sounds[index].uri() if self.sounds else "",
                image(view.levels[index], limits, LOUD),
                measures[index] if measures else None,
            )
            for index, name in enumerate(self.names)
        ]


class Report:
    """A page in the making, from the blocks of a song and its stems.

    Memory does not grow with the length of the song: no more than five minutes are embedded.

    Parameters
    ----------
    folder : Path
        For files that are no longer needed once the page is written.
    about : About
        What the page says of song and model.
    names : sequence of str
        Of the stems.
    info : AudioInfo
        Of the song.
    frames : int
        Samples per channel that are to come.
    excerpt : Excerpt, optional
        The part to embed and to draw; all of it by default.
    gain : float
        Factor on the sounds, for songs that pass full scale.
    """

    def __init__(
        self,
        folder: Path,
        about: About,
        names: Sequence[str],
        info: AudioInfo,
        frames: int,
        *,
        excerpt: Excerpt | None = None,
        gain: float = 1.0,
    ) -> None:
        self.about, self.info, self.frames = about, info, frames
        self.excerpt = excerpt or Excerpt(0, frames)
        rate = info.sample_rate
        self.inside = StemTracks(folder, names, info, self.excerpt.frames, gain=gain)
        self.names = self.inside.names
        self.levels = [Levels(rate, info.layout) for _ in self.names]
        self.whole = StemsViewer(names, rate, frames, columns=COLUMNS) if excerpt else None
        self._done = 0

    def __enter__(self) -> Report:
        """Open the files of the sounds."""
        self.inside.__enter__()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete them, or remove them after an exception."""
        self.inside.__exit__(exception_type, exception, traceback)

    def take(self, mixture: Audio, stems: Audio) -> None:
        """Take in the next block, (channels, samples) and (stems, channels, samples)."""
        for levels, signal in zip(self.levels, (mixture, *stems), strict=True):
            levels.update(signal)
        if self.whole is not None:
            self.whole.take(mixture, stems)
        first = min(max(self.excerpt.start - self._done, 0), mixture.shape[1])
        end = min(max(self.excerpt.end - self._done, 0), mixture.shape[1])
        self._done += mixture.shape[1]
        if first < end:
            self.inside.take(mixture[:, first:end], stems[..., first:end])

    def page(self) -> Page:
        """Give the page, once all has been taken in and the sounds are complete."""
        rate, view, about = self.info.sample_rate, self.inside.viewer.view(), self.about
        first, seconds = self.excerpt.start / rate, self.excerpt.frames / rate
        whole = None if self.whole is None else self.whole.view()
        of = "the preview" if about.preview else "the song" if whole is None else "the whole song"
        stem = view.names[1]
        return Page(
            about.title,
            seconds,
            about.start + first,
            lead=f"Separated into {_listed(view.names[1:])}.",
            facts={"Duration": clock(about.seconds), **format_facts(self.info),
                   "Model": about.model, "Licence of the model": about.licence},
            notices=list(self._notices(seconds, first, whole is not None)),
            tracks=self.inside.tracks(view, measured_levels(self.levels)),
            outline=self.inside.outliner.outline(),
            ticks=ticks(view.frequencies),
            mask=Track(stem, picture=image(view.mask(stem), (0.0, 1.0), MASK)),
            limits=(view.floor, view.loudest),
            measured=MEASURED.format(of=of),
            overview=() if whole is None else [
                Track(name, picture=image(levels, (whole.floor, whole.loudest), LOUD))
                for name, levels in zip(whole.names, whole.levels, strict=True)
            ],
            overview_seconds=self.frames / rate,
            overview_start=first,
        )  # fmt: skip

    def _notices(self, seconds: float, first: float, cut: bool) -> list[str]:
        about, made = self.about, []
        if about.preview:
            length = self.frames / self.info.sample_rate
            made.append(f"This is a preview: the loudest {length:.0f} s of the song, from "
                        f"{clock(about.start)} on. Nothing else of it was separated.")  # fmt: skip
        if cut:
            start = about.start + first
            made.append(f"To keep this page small, only the loudest {seconds:.0f} s are embedded "
                        f"and drawn, from {clock(start)} to {clock(start + seconds)}.")  # fmt: skip
        return made

    def write(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the page, once all has been taken in and the sounds are complete."""
        write(path, self.page(), overwrite=overwrite)


#: How levels are measured.
MEASURED = (
    "Measured over {of}, before any compression. RMS is over all channels, 0 dBFS for a constant "
    "of full scale; loudness is integrated after ITU-R BS.1770; the shares are of the energies of "
    "all stems together. The sounds on this page are mp3 of modest quality; the stems that "
    "audiocli writes as files are not compressed like this."
)


def format_facts(info: AudioInfo) -> dict[str, str]:
    """Say how a recording is stored."""
    channels = {1: "mono", 2: "stereo"}.get(info.channels, f"{info.channels} channels")
    return {"Sample rate": f"{info.sample_rate / 1000:g} kHz, {channels}"}


def measured_levels(levels: Sequence[Levels]) -> list[Measures]:
    """Give the levels of the mixture and its stems, with the shares of these."""
    total = sum(signal.energy for signal in levels[1:])
    shares = [signal.energy / total if total else 0.0 for signal in levels[1:]]
    return [signal.measures(share) for signal, share in zip(levels, [None, *shares], strict=True)]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
