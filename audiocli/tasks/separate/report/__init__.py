"""One page a song: player and spectrograms of the mixture and its stems.

The page is a single HTML file. Sounds, pictures, styles and the player are inside, and nothing is
loaded from elsewhere; its content security policy holds the browser to that. The sounds are mp3 of
modest quality, which every browser plays, decoded as a whole before they start, so that all tracks
keep in step to the sample.

:mod:`~audiocli.tasks.separate.report.tracks` measures and encodes,
:mod:`~audiocli.tasks.separate.report.pictures` draws, and
:mod:`~audiocli.tasks.separate.report.page` puts it all into ``page.html``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from audiocli.io.atomic import write_whole
from audiocli.io.audio import AudioInfo
from audiocli.io.audio.excerpt import Excerpt
from audiocli.tasks.separate.plot import StemsViewer
from audiocli.tasks.separate.report.page import About, fill
from audiocli.tasks.separate.report.tracks import Levels, Sound

__all__ = ["EXCERPT_SECONDS", "LONGEST_SECONDS", "About", "Report"]

Audio = NDArray[np.float32]

#: What is longer is not embedded as a whole, ...
LONGEST_SECONDS = 300.0
#: ... but so much of it.
EXCERPT_SECONDS = 60.0
COLUMNS = 1600  # of a picture, at most


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
        self.names = ("mixture", *names)
        self.excerpt = excerpt or Excerpt(0, frames)
        self._gain = np.float32(gain)
        self._stack = ExitStack()
        rate = info.sample_rate
        self.levels = [Levels(rate, info.layout) for _ in self.names]
        self.sounds = [
            Sound(folder / f"track{index}.mp3", rate, info.channels)
            for index in range(len(self.names))
        ]
        self.viewer = StemsViewer(names, rate, self.excerpt.frames, columns=COLUMNS)
        self.whole = StemsViewer(names, rate, frames, columns=COLUMNS) if excerpt else None
        self._done = 0

    def __enter__(self) -> Report:
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
        for levels, signal in zip(self.levels, (mixture, *stems), strict=True):
            levels.update(signal)
        if self.whole is not None:
            self.whole.take(mixture, stems)
        first = min(max(self.excerpt.start - self._done, 0), mixture.shape[1])
        end = min(max(self.excerpt.end - self._done, 0), mixture.shape[1])
        self._done += mixture.shape[1]
        if first < end:
            inside = np.concatenate([mixture[None], stems])[..., first:end]
            self.viewer.take(inside[0], inside[1:])
            for sound, signal in zip(self.sounds, inside, strict=True):
                sound.take(signal * self._gain)

    def write(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the page, once all has been taken in and the sounds are complete."""
        rate = self.info.sample_rate
        page = fill(
            self.about,
            self.info,
            self.frames / rate,
            (self.excerpt.start / rate, self.excerpt.frames / rate),
            self.levels,
            self.sounds,
            self.viewer.view(),
            None if self.whole is None else self.whole.view(),
        )

        def put(partial: Path) -> None:
            partial.write_text(page, "utf-8")

        write_whole(path, put, overwrite=overwrite)
