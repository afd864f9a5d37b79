"""Measure how far each hand-made feature is from independent implementations and exact values.

    python benchmarks/feature_oracles.py [--write] [--only FEATURE ...]

Prints a table in Markdown, or puts it into docs/feature-oracles.md with --write. Sounds are fixed:
the demo song and its voice, white noise, sines, clicks, square waves, processes of known
coefficients. Features are made as ``audiocli features --frames`` makes them, in float32 and block
by block; oracles work in double precision where they can. Whatever oracle is not installed is left
out, and said so; none of them but librosa, scipy and pyloudnorm is needed otherwise:

    pip install essentia praat-parselmouth spectrum pysptk audioflux kaldi-native-fbank
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from oracles import CHECKS, DISTRIBUTIONS, Check, Sound, cepstra, pitch, sounds, version, waveform

from audiocli.tasks.features import FEATURES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "feature-oracles.md"
BEGIN, END = "<!-- oracles -->\n", "<!-- end oracles -->"
assert all((waveform, cepstra, pitch))  # imported for the checks that they register


def row(check: Check, known: dict[str, Sound]) -> str:
    """Make one line of the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the oracles' own
        ours, theirs = check.compare(known)
    if ours.shape != theirs.shape:
        raise SystemExit(f"{check.feature}, {check.text}: shapes {ours.shape}, {theirs.shape}")
    difference = float(np.abs(ours - theirs).max())
    unit = check.unit or FEATURES[check.feature].unit
    unit = "" if unit == "1" else f" {unit}"
    highest = float(np.abs(theirs).max())
    scale = f"{highest:.3g}" if highest else ""
    return (
        f"| `{check.feature}` | {check.text} | {check.on} | {difference:.1e}{unit} "
        f"| {scale} | {check.note} |"
    )


def table(only: list[str]) -> str:
    """Make the whole table, in the order of the catalogue."""
    known = sounds()
    lines = [
        "| feature | checked against | on | largest difference | of values up to | note |",
        "|---|---|---|---|---|---|",
    ]
    used, missing = set(), set()
    for name in only or FEATURES:
        checks = [check for check in CHECKS if check.feature == name]
        for check in checks:
            if check.possible:
                lines.append(row(check, known))
                used.add(check.needs)
                print(lines[-1], file=sys.stderr, flush=True)
            else:
                missing.add(check.needs)
        if not any(check.possible for check in checks):
            print(f"{name}: no oracle is installed", file=sys.stderr)
    versions = ", ".join(f"{DISTRIBUTIONS[name]} {version(name)}" for name in sorted(used - {""}))
    said = f"Versions: {versions}."
    if missing:
        names = ", ".join(DISTRIBUTIONS[name] for name in sorted(missing))
        said += f" Left out, because not installed: {names}."
    return "\n".join([*lines, "", said])


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", nargs="+", default=[], metavar="FEATURE")
    options = parser.parse_args()
    text = table(options.only)
    if not options.write:
        print(text)
        return
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
