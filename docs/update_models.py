"""Write the tables of shipped models into docs, from their configurations.

Without options what stands between ``<!-- labels -->``, ``<!-- scores -->`` or
``<!-- commands -->`` and its end in docs/classify.md, and ``<!-- licences -->`` in docs/models.md,
is brought up to date. With ``--check`` nothing is written, and the exit status is 1 if it is stale.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from audiocli.nn import licences, registry

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TASKS = ("classify", "tag", "encode")
#: Of a model with more labels than this, a few stand in the table.
MOST, FEW = 100, 8
INTERVAL = re.compile(r"95 % interval ([\d.]+) to ([\d.]+)")


def shipped(tasks: tuple[str, ...] = TASKS) -> list[registry.ModelEntry]:
    """List the models in the repository, and none that this machine has besides."""
    configs = [path for task in tasks for path in sorted(ROOT.glob(f"pretrained/{task}/*/*.json"))]
    return [registry.open_folder(path.parent) for path in configs]


def row(*cells: object) -> str:
    """Make a row of a table."""
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def label_lines() -> Iterator[str]:
    """Make a table of what each classifier and tagger knows."""
    yield row("model", "made for", "labels", "threshold")
    yield row("---", "---", "---", "---")
    for entry in shipped():
        if entry.task == "encode":
            continue
        plain = entry.config.get("descriptions") or {}
        labels = [
            f"`{label}` ({plain[label]})" if plain.get(label) else f"`{label}`"
            for label in map(str, entry.config["labels"])
        ]
        if len(labels) > MOST:
            labels = [
                *labels[:FEW],
                f"... ({len(labels)} in all: `audiocli models info {entry.name}`)",
            ]
        decoder = entry.config.get("decoder") or {}
        several = entry.task == "tag" or entry.config.get("multi_label")
        below = decoder.get("threshold" if several else "unknown", 0)
        least = f"{below:g}: {'not given' if several else '`unknown`'}"
        yield row(
            f"`{entry.task}/{entry.name}`",
            entry.config.get("domain", "any sound"),
            ", ".join(labels),
            least if below else "",
        )


def score_lines() -> Iterator[str]:
    """Make a table of the scores of each model: a row for each test set."""
    yield row("model", "labels", "trained on", "network", "test set", "scores in %")
    yield row("---", "---", "---", "---", "---", "---")
    for entry in shipped():
        first = (
            f"`{entry.task}/{entry.name}`",
            len(entry.config["labels"]) or "",
            trained_on(entry.config.get("training") or {}),
            network_of(entry),
        )
        tested: dict[str, list[str]] = {}
        for score in entry.config.get("scores") or []:
            tested.setdefault(score["data"], []).append(shown(score))
        for number, (data, scores) in enumerate((tested or {"not scored by itself": []}).items()):
            yield row(*(first if number == 0 else [""] * len(first)), data, "; ".join(scores))


def trained_on(training: dict[str, Any]) -> str:
    """Name the data of all trainings."""
    runs = [*training.get("earlier", []), training]
    sets = [
        f"{data['name']}, {data['minutes']:g} min" for run in runs for data in run.get("data", [])
    ]
    return "; ".join(dict.fromkeys(sets)) or str(training.get("split", ""))


def network_of(entry: registry.ModelEntry) -> str:
    """Name the architecture, its encoders, and how large it is."""
    names = [
        f"`{each['name']}`" + (f" ({each['part']})" if "part" in each else "")
        for each in entry.config.get("encoders") or ()
    ]
    through = f" on {' and '.join(names)}" if names else ""
    return f"`{entry.config['architecture']}`{through}, {entry.config['parameters']:,} parameters"


def shown(score: dict[str, Any]) -> str:
    """Write a score with its interval."""
    interval = INTERVAL.search(score["measure"])
    between = f" ({interval[1]} to {interval[2]})" if interval else ""
    unit = "" if score["unit"] == "%" else f" {score['unit']}"
    return f"{score['metric']} {score['value']}{unit}{between}"


def command_lines() -> Iterator[str]:
    """Make a table of the commands that trained and measured the models."""
    yield row("model", "trained by", "measured by")
    yield row("---", "---", "---")
    for entry in shipped():
        training = entry.config.get("training") or {}
        runs = [*training.get("earlier", []), training]
        trained = dict.fromkeys(run["command"] for run in runs if run.get("command"))
        scores = entry.config.get("scores") or []
        measured = [
            "the same" if score["command"] in trained else f"`{score['command']}`"
            for score in scores
        ]
        yield row(
            f"`{entry.task}/{entry.name}`",
            "<br>".join(f"`{command}`" for command in trained),
            "<br>".join(dict.fromkeys(measured)),
        )


def licence_lines() -> Iterator[str]:
    """Make a table of which models of a task may be used for what."""
    yield row("task", *(f"`{name}`" for name in licences.CLASSES))
    yield row("---", *("---" for _ in licences.CLASSES))
    for task in sorted(folder.name for folder in ROOT.glob("pretrained/*")):
        of_class: dict[str, list[str]] = {}
        for entry in shipped((task,)):
            of_class.setdefault(licences.class_of(entry), []).append(f"`{entry.name}`")
        yield row(task, *(", ".join(of_class.get(name, [])) for name in licences.CLASSES))


#: Pages, and what makes the tables of each.
TABLES: dict[str, dict[str, Callable[[], Iterator[str]]]] = {
    "classify.md": {"labels": label_lines, "scores": score_lines, "commands": command_lines},
    "models.md": {"licences": licence_lines},
}


def updated(page: str, text: str) -> str:
    """Bring the tables in a page up to date."""
    for name, lines in TABLES[page].items():
        block = re.compile(f"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        table = "\n".join(lines())
        text, count = block.subn(lambda match, new=table: f"{match[1]}\n{new}\n\n{match[2]}", text)
        if count != 1:
            sys.exit(f"docs/{page}: {count} blocks <!-- {name} -->, not one")
    return text


def main() -> None:
    """Update the pages, or check them."""
    options = sys.argv[1:]
    if options not in ([], ["--check"]):
        sys.exit("usage: docs/update_models.py [--check]")
    for page in TABLES:
        text = (DOCS / page).read_text("utf-8")
        new = updated(page, text)
        if new == text:
            continue
        if options:
            sys.exit(f"docs/{page}: its tables are stale; run docs/update_models.py")
        (DOCS / page).write_text(new, "utf-8")
        print(f"docs/{page}: updated")


if __name__ == "__main__":
    main()
