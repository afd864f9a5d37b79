"""The output of front-ends, kept on disk for other runs: a file a recording, bounded in all."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from audiocli.io.atomic import write_whole
from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import mono
from audiocli.nn.framewise import in_segments
from audiocli.nn.frontend import Filterbank, FilterbankConfig

__all__ = ["LIMIT", "bounded", "cached", "spectrogram"]

#: Bytes that a folder may hold; what was not used for longest goes first.
LIMIT = 50_000_000_000
NAME = re.compile(r"[0-9a-f]{32}\.npy")


def cached(
    audio: Path,
    config: FilterbankConfig,
    folder: Path | None,
    compute: Callable[[], NDArray[np.float16]],
) -> NDArray[np.float16]:
    """Give the spectrogram of a recording, from the folder or computed and kept there.

    Parameters
    ----------
    audio : Path
        The recording; another size or time of change makes it another one.
    config : FilterbankConfig
        Of the front-end.
    folder : Path or None
        None keeps nothing.
    compute : callable
        Makes the spectrogram.

    Returns
    -------
    ndarray of float16
        Read from disk where it is needed, if it was kept.
    """
    if folder is None:
        return compute()
    status = audio.stat()
    facts = [str(audio.resolve()), status.st_size, status.st_mtime_ns, repr(config)]
    file = folder / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}.npy"
    if file.exists():
        try:
            found: NDArray[np.float16] = open_memmap(file, mode="r")
            os.utime(file)  # it was used just now
            return found
        except (OSError, ValueError):  # cut short, say: it is computed anew
            pass
    images = compute()
    write_whole(file, lambda part: np.save(part, images), overwrite=True)
    return images


def spectrogram(audio: Path, bank: Filterbank, folder: Path | None) -> NDArray[np.float16]:
    """Give what a front-end makes of a recording: (channels, bands, frames); see :func:`cached`."""
    config = bank.config

    def flat(signal: Tensor) -> Tensor:
        return bank.frames(signal).flatten(1, 2)

    def compute() -> NDArray[np.float16]:
        with AudioReader(audio) as reader:
            blocks = mono(reader.full_range(), reader.info.sample_rate, config.sample_rate)
            parts = [part.astype(np.float16) for part in in_segments(bank, config, flat, blocks)]
        columns = np.concatenate(parts).T
        return np.ascontiguousarray(columns.reshape(config.channels, config.bands, -1))

    return cached(audio, config, folder, compute)


def bounded(folder: Path | None, limit: int = LIMIT) -> list[Path]:
    """Delete what was not used for longest, until the folder holds no more than the limit.

    Returns
    -------
    list of Path
        What was deleted; files that are not the cache's own are left alone.
    """
    if folder is None or not folder.is_dir():
        return []
    files = [file for file in folder.iterdir() if NAME.fullmatch(file.name)]
    known = sorted((file.stat().st_mtime_ns, file.stat().st_size, file) for file in files)
    total, gone = sum(size for _, size, _ in known), []
    for _, size, file in known:
        if total <= limit:
            break
        try:
            file.unlink()
        except OSError:  # in use, on Windows
            continue
        total -= size
        gone.append(file)
    return gone
