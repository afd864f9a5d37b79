"""List the singers of MIR-1K, alone and with their accompaniment, for a classifier of singers.

    python docs/recipes/mix_singers.py DATA OUTPUT

DATA holds `mir1k/train` and `mir1k/extra` with SINGER_SONG_PART.voice.ogg and .music.ogg. OUTPUT
gets a mixture of each clip, voice and accompaniment equally loud, and `labels.csv` with path, label
(the singer), song (the singer's song, what must not be on both sides of a split) and sound.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np
import soundfile

from audiocli.io import audio


def main(data: str, output: str) -> None:
    """Write the mixtures and the table."""
    folder, table = Path(output), []
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "extra"):
        for path in sorted((Path(data) / "mir1k" / part).glob("*.voice.ogg")):
            title = path.name.removesuffix(".voice.ogg")
            singer, song, *_ = title.split("_")
            voice, rate = audio.read(path, mono=True)
            music, _ = audio.read(path.with_name(f"{title}.music.ogg"), mono=True)
            length = min(voice.shape[1], music.shape[1])
            voice, music = voice[0, :length], music[0, :length]
            mixture = voice / max(float(voice.std()), 1e-5) + music / max(float(music.std()), 1e-5)
            mixture *= 0.9 / max(float(np.abs(mixture).max()), 1e-5)
            soundfile.write(folder / f"{title}.flac", mixture, rate, subtype="PCM_16")
            facts = [singer, f"{singer}_{song}"]
            table.append([os.path.relpath(path, folder), *facts, "voice"])
            table.append([f"{title}.flac", *facts, "mixture"])
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["path", "label", "song", "sound"], *table])


if __name__ == "__main__":
    main(*sys.argv[1:])
