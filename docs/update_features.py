"""Write the tables of features and of sets into docs/features.md, from the catalogue.

Without options what stands between ``<!-- features -->`` or ``<!-- sets -->`` and its end is
brought up to date. With ``--check`` nothing is written, and the exit status is 1 if it is stale.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from audiocli.tasks.features import FEATURES, SETS, Feature, Settings
from audiocli.tasks.features.formulas import FORMULAS, SYMBOLS

PAGE = Path(__file__).resolve().parent / "features.md"
TITLES = {
    "energy": "Energy",
    "spectral": "Spectrum",
    "cepstral": "Cepstrum",
    "harmonic": "Pitch and harmony",
    "lpc": "Linear prediction",
    "perceptual": "Perceptual",
    "rhythm": "Rhythm",
}


def columns_of(feature: Feature) -> str:
    """Name the columns, the first and the last of many."""
    names = feature.columns(Settings())
    shown = [f"`{name.removeprefix(feature.name)}`" for name in names]
    if len(names) == 1:
        return "" if names[0] == feature.name else shown[0]
    return f"{shown[0]} ... {shown[-1]} ({len(names)})" if len(names) > 3 else ", ".join(shown)


def feature_lines() -> Iterator[str]:
    """Make a table for each family."""
    yield SYMBOLS + "."
    for family, title in TITLES.items():
        yield f"\n### {title}\n"
        yield f"`--set {family}`\n"
        yield "| feature | columns | unit | what it is | formula | source |"
        yield "|---|---|---|---|---|---|"
        for feature in FEATURES.values():
            if feature.family == family:
                when = " Of voiced frames." if feature.voiced else ""
                when = " Of the whole file." if feature.whole else when
                yield (
                    f"| `{feature.name}` | {columns_of(feature)} | {feature.unit} "
                    f"| {feature.description}.{when} | `{FORMULAS[feature.name]}` "
                    f"| {feature.source} |"
                )


def set_lines() -> Iterator[str]:
    """Make the table of sets."""
    yield "| set | features | columns a frame | holds |"
    yield "|---|---|---|---|"
    for name, features in SETS.items():
        chosen = [FEATURES[each] for each in features]
        width = sum(len(each.columns(Settings())) for each in chosen if not each.whole)
        if name == "all":
            held = "everything"
        elif name in TITLES:
            held = f"the family, see [{TITLES[name]}](#{TITLES[name].lower().replace(' ', '-')})"
        else:
            held = ", ".join(f"`{each}`" for each in features)
        yield f"| `{name}` | {len(features)} | {width} | {held} |"


def updated(text: str) -> str:
    """Bring the tables in the page up to date."""
    for name, lines in (("sets", set_lines()), ("features", feature_lines())):
        block = re.compile(f"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        table = "\n".join(lines)
        text, count = block.subn(lambda match, new=table: f"{match[1]}\n{new}\n\n{match[2]}", text)
        if count != 1:
            sys.exit(f"docs/features.md: {count} blocks <!-- {name} -->, not one")
    return text


def main() -> None:
    """Update the page, or check it."""
    options = sys.argv[1:]
    if options not in ([], ["--check"]):
        sys.exit("usage: docs/update_features.py [--check]")
    if FEATURES.keys() != FORMULAS.keys():
        sys.exit(f"no formula, or no feature: {sorted(FEATURES.keys() ^ FORMULAS.keys())}")
    text = PAGE.read_text("utf-8")
    new = updated(text)
    if new == text:
        return
    if options:
        sys.exit("docs/features.md: its tables are stale; run docs/update_features.py")
    PAGE.write_text(new, "utf-8")
    print("docs/features.md: updated")


if __name__ == "__main__":
    main()
