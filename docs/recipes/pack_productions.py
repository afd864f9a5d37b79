"""Decode recordings once, for `train_productions.py`.

    python docs/recipes/pack_productions.py TABLE.csv OUTPUT [--minutes 2.5]

TABLE has a line a pool: `role` (voice, backing, song), `pool` (its name), `share` (how often it
is drawn), `ceiling` (Hz; up to where its recordings hold sound), `produced` (yes: voices that are
not dry), `licence`, and `paths`: files or patterns, separated by `;`. Of a song, `paths` is one
file a source, the voice first, and each song is a line of its own. The role mixed has folders with
vocals and accompaniment that add up to records, see `separate_songs.py`. For four stems there are
the roles drums, bass and other, and stems, whose `paths` are folders with any of vocals, drums,
bass and other. OUTPUT gets one .npy of 16-bit samples at 44.1 kHz for each recording, of long ones
the middle, and `plan.json`.
"""

from __future__ import annotations

import argparse
import csv
import glob
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from productions import RATE

from audiocli.io import audio
from audiocli.tasks.separate.clips import PARTS

SHORTEST = 0.5  # seconds
VOICE_AND_REST = ("vocals", "accompaniment")
#: Where the plan keeps what has a role.
PLACES = {
    **{"voice": "voices", "backing": "backings", "song": "songs", "mixed": "songs"},
    "stems": "stems",
    **{part: part for part in PARTS},
}


def pack(path: Path, output: Path, minutes: float | None) -> str | None:
    """Decode one recording, unless that was done; None for one that is too short."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    target = output / f"{path.stem}-{digest}.npy"
    if not target.exists():
        samples, rate = audio.read(path)
        if minutes is not None:
            longest = round(minutes * 60 * rate)
            start = max(0, (samples.shape[1] - longest) // 2)
            samples = samples[:, start : start + longest]
        resampled = soxr.resample(samples[:2].T, rate, RATE).T
        if resampled.shape[1] < SHORTEST * RATE:
            return None
        whole = np.clip(np.round(resampled * 32767), -32768, 32767).astype(np.int16)
        partial = target.with_suffix(".part.npy")
        np.save(partial, np.ascontiguousarray(whole))
        partial.replace(target)
    return str(target)


def level(file: str) -> float:
    """Measure the root mean square where there is sound, of a minute at most."""
    recording = np.load(file, mmap_mode="r")[:, : 60 * RATE].astype(np.float32) / 32768
    size = RATE // 10
    count = max(recording.shape[1] // size, 1)
    cut = recording[:, : count * size]
    power = (cut.reshape(len(cut), count, -1) ** 2).mean(axis=(0, 2))
    return float(np.sqrt(power[power >= 0.01 * power.max()].mean())) + 1e-9


def pack_stems(folder: Path, output: Path) -> dict[str, dict[str, Any]]:
    """Pack the stems in a folder, and give their files and levels by stem."""
    found = {
        path.stem: path for path in sorted(folder.iterdir()) if path.stem in ("vocals", *PARTS)
    }
    packed = {stem: pack(path, output, None) for stem, path in found.items()}
    files = {stem: file for stem, file in packed.items() if file is not None}
    levels = {stem: level(file) for stem, file in files.items()}
    return {"files": files, "levels": levels, "minutes": minutes_of(list(files.values()))}


def pack_mixed(folder: Path, output: Path) -> dict[str, Any]:
    """Pack the voice and the accompaniment that add up to a record."""
    packed = [pack(folder / f"{name}.flac", output, None) for name in VOICE_AND_REST]
    files = [file for file in packed if file is not None]
    if len(files) < len(VOICE_AND_REST):
        raise SystemExit(f"{folder}: is shorter than {SHORTEST} s")
    facts = {"minutes": minutes_of(files[:1]), "files": files, "level": level(files[0])}
    return {**facts, "dry": False, "mixed": True}


def minutes_of(files: list[str]) -> float:
    """Add up the lengths of packed recordings."""
    return sum(np.load(file, mmap_mode="r").shape[1] for file in files) / RATE / 60


#: What packs the folders of a role.
FOLDERS = {"stems": pack_stems, "mixed": pack_mixed}


def main() -> None:
    """Read the table, pack what it lists, write the plan."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=2.5, help="of a voice or a backing")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    plan: dict[str, list[dict[str, Any]]] = {name: [] for name in PLACES.values()}
    with options.table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        song = row["role"] == "song"
        place = plan[PLACES[row["role"]]]
        paths = [Path(name) for part in row["paths"].split(";") for name in sorted(glob.glob(part))]
        if row["role"] in FOLDERS:
            share = float(row["share"]) / max(len(paths), 1)
            facts = {"name": row["pool"], "share": share, "licence": row["licence"]}
            facts["ceiling"] = float(row["ceiling"] or RATE / 2)
            place += [{**facts, **FOLDERS[row["role"]](path, options.output)} for path in paths]
            print(row["role"], row["pool"], len(paths), flush=True)
            continue
        packed = [pack(path, options.output, None if song else options.minutes) for path in paths]
        files = [file for file in packed if file is not None]
        if not files:
            parser.error(f"{options.table}: pool {row['pool']} matches no recording")
        facts = {
            **{"name": row["pool"], "share": float(row["share"])},
            **{"ceiling": float(row["ceiling"] or RATE / 2), "licence": row["licence"]},
            "minutes": minutes_of(files),
            "files": files,
        }
        if song:
            dry = row["produced"] != "yes"
            place.append({**facts, "level": level(files[0]), "dry": dry})
        else:
            measured = {"levels": [level(file) for file in files]}
            produced = {"produced": row["produced"] == "yes"}
            place.append({**facts, **measured, **produced})
        print(row["role"], row["pool"], len(files), f"{facts['minutes']:.1f} min", flush=True)
    (options.output / "plan.json").write_text(json.dumps(plan), encoding="utf-8")


if __name__ == "__main__":
    main()
