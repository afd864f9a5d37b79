"""Load: many short files and one long one through the commands; memory, handles, files a second.

    python benchmarks/load.py [--files 20000] [--hours 10] [--only features onsets ...]  (make load)

Each command runs in a process of its own with one worker, and is looked at from outside four times
a second: memory that it alone holds (RSS) and open handles. Then a manifest of a million lines is
resumed from. Figures go to standard output and to a JSON file, which later runs add to; the picture
is made of all that is there. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiocli.colours import BLUE, GREEN, ORANGE, VERMILION

RATE, SECONDS = 16_000, 0.5
EVERY = 0.25  # seconds between two looks
#: Growth from the middle of a run to its end that is none, in MB.
FLAT = 40.0
COMMANDS = {
    "features": ["--set", "common", "-o", "{out}/all.csv"],
    "onsets": ["-o", "{out}", "--format", "csv"],
    "classify": ["--task", "speech", "-o", "{out}/all.csv"],
    "separate": ["-o", "{out}"],
}
COLOURS = dict(zip(COMMANDS, (BLUE, ORANGE, GREEN, VERMILION), strict=True))


def make_short(folder: Path, count: int) -> None:
    """Write noise with a beginning in it, so that no two files are the same."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    samples = round(RATE * SECONDS)
    for number in range(count):
        noise = rng.normal(scale=300, size=samples)
        noise[samples // 3 :] *= 10
        path = folder / f"{number // 1000:03}" / f"{number:06}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, noise.astype(np.int16), RATE)


def make_long(path: Path, hours: float) -> None:
    """Write one long file, minute by minute: noise in bursts, twice a second."""
    rng = np.random.default_rng(1)
    minute = np.tile(np.exp(-np.arange(RATE // 2) / 2000), 120)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as stream:
        for _ in range(round(hours * 60)):
            stream.write(0.3 * minute * rng.uniform(-1, 1, len(minute)))


def tree_of(pid: int) -> list[int]:
    """Give a process and those that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree_of(int(child))
    return found


def look(pid: int) -> tuple[float, int]:
    """Measure memory in MB and open handles, of all processes of a run together."""
    memory, handles = 0.0, 0
    for each in tree_of(pid):
        status = Path(f"/proc/{each}/status").read_text()
        memory += int(status.split("VmRSS:")[1].split()[0]) / 1024
        handles += len(os.listdir(f"/proc/{each}/fd"))
    return memory, handles


def measure(command: str, source: Path, out: Path, more: list[str]) -> dict[str, Any]:
    """Run a command, and look at it until it ends."""
    words = [word.format(out=out) for word in COMMANDS[command]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before, began, seen = processor_seconds(), time.monotonic(), []
    process = subprocess.Popen(
        [sys.executable, "-m", "audiocli", command, str(source), *words, "-q", *more],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None:
        try:
            memory, handles = look(process.pid)
            seen.append((round(time.monotonic() - began, 2), round(memory, 1), handles))
        except (OSError, IndexError):  # it ended meanwhile
            pass
        time.sleep(EVERY)
    if process.returncode:
        raise SystemExit(f"{command} {source.name}: status {process.returncode}")
    seconds = time.monotonic() - began
    return {"seconds": seconds, "processor": processor_seconds() - before, "looks": seen}


def processor_seconds() -> float:
    """Give the processor time of all runs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def growth(found: dict[str, Any]) -> float:
    """Compare the last fifth of a run with its middle, when all is loaded; in MB."""
    memory = [each[1] for each in found["looks"]]
    if len(memory) < 12:
        return 0.0
    count = len(memory)
    early, late = memory[2 * count // 5 : 3 * count // 5], memory[4 * count // 5 :]
    return float(np.median(late) - np.median(early))


def told(name: str, what: str, found: dict[str, Any]) -> bool:
    """Print the figures of a run; tell whether memory and handles stay as they are."""
    memory = [each[1] for each in found["looks"]] or [0.0]
    handles = [each[2] for each in found["looks"]][len(memory) // 4 :] or [0]
    grown = growth(found)
    # To resume is to read a manifest, and memory grows with its lines.
    flat = (grown < FLAT or name == "resume") and max(handles) - min(handles) < 16
    print(
        f"{name:<10} {what:<24} {found['seconds']:8.1f} s, of a core "
        f"{found['processor']:7.1f} s  {found['speed']:<22} "
        f"peak {max(memory):6.0f} MB  grown {grown:+6.1f} MB  handles {min(handles)} to "
        f"{max(handles)}{'' if flat else '  NOT FLAT'}",
        flush=True,
    )
    return flat


def resume_million(folder: Path, lines: int) -> dict[str, Any]:
    """Resume from a manifest of many lines, of which a few are of the inputs there are."""
    source, out = folder / "few", folder / "few-out"
    make_short(source, 50)
    measure("onsets", source, out, [])
    manifest = out / "audiocli.jsonl"
    kept = manifest.read_text().splitlines()
    job = json.loads(next(line for line in kept if '"job"' in line))
    with manifest.open("w") as stream:
        stream.write(kept[0] + "\n")
        for number in range(lines):
            name = f"gone/{number:07}.wav"
            other = {**job, "input": name, "path": str(folder / name), "audio_sha256": None,
                     "input_sha256": f"{number:064x}",
                     "outputs": [f"gone/{number:07}.csv"]}  # fmt: skip
            stream.write(json.dumps(other) + "\n")
        stream.write("\n".join(kept[1:]) + "\n")
    size = manifest.stat().st_size / 1e6
    found = measure("onsets", source, out, ["--resume"])
    found["speed"] = f"{lines} lines, {size:.0f} MB"
    return found


def draw(known: dict[str, Any], picture: Path) -> None:
    """Draw memory along time, of short files and of the long one."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
    for panel, kind, title in zip(
        panels, ("short", "long"), ("Many files of half a second", "One long file"), strict=True
    ):
        for name, colour in COLOURS.items():
            found = known.get(f"{name} {kind}")
            if not found or not found["looks"]:
                continue
            total = found["seconds"]
            times = [100 * each[0] / total for each in found["looks"]]
            panel.plot(times, [each[1] for each in found["looks"]], lw=1.4, color=colour,
                       label=f"{name}: {found['what']}")  # fmt: skip
        panel.set(title=title, xlabel="per cent of the run", xlim=(0, 100))
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(fontsize=8, loc="center right", bbox_to_anchor=(1, 0.37))
    panels[0].set(ylabel="memory of the process (RSS), MB", ylim=(0, None))
    figure.savefig(picture, dpi=110)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the manifest; 0: none")
    parser.add_argument("--only", nargs="*", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--figures", type=Path, default=Path("load.json"))
    parser.add_argument("--picture", type=Path, default=Path("load.png"))
    given = parser.parse_args()
    known = json.loads(given.figures.read_text()) if given.figures.exists() else {}
    flat = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.files and given.only:
            make_short(folder / "short", given.files)
        if given.hours and given.only:
            make_long(folder / "long.wav", given.hours)
        for command in given.only:
            if given.files:
                found = measure(command, folder / "short", folder / f"{command}-short", [])
                found |= {"what": f"{given.files} files",
                          "speed": f"{given.files / found['seconds']:.1f} files/s"}  # fmt: skip
                known[f"{command} short"] = found
                flat &= told(command, found["what"], found)
            if given.hours:
                found = measure(command, folder / "long.wav", folder / f"{command}-long", [])
                times = given.hours * 3600 / found["seconds"]
                found |= {"what": f"{given.hours:g} h", "speed": f"{times:.0f} times real time"}
                known[f"{command} long"] = found
                flat &= told(command, found["what"], found)
            given.figures.write_text(json.dumps(known))
        if given.lines:
            found = resume_million(folder, given.lines)
            flat &= found["processor"] < 60
            known["resume"] = found | {"what": "resume"}
            told("resume", "50 inputs, all done", found)
            given.figures.write_text(json.dumps(known))
    draw(known, given.picture)
    print(f"figures: {given.figures}, picture: {given.picture}")
    sys.exit(not flat)


if __name__ == "__main__":
    main()
