"""Write a model's card from its configuration, so that the two cannot disagree."""

from __future__ import annotations

from typing import Any

__all__ = ["render"]


def render(config: dict[str, Any]) -> str:
    """Write a model card in Markdown."""
    training = config.get("training") or {}
    lines = [f"# {config['name']}", ""]
    if config.get("description"):
        lines += [config["description"], ""]
    lines += [
        f"- Task: `{config['task']}`",
        f"- Architecture: `{config['architecture']}`, {config.get('parameters', 0):,} parameters",
        f"- Labels: {', '.join(config['labels'])}",
        f"- Licence of the weights: {config.get('licence', 'unspecified')}",
        "",
        "## Training data",
        "",
    ]
    lines += _all_data(training)
    if training.get("note"):
        lines.append(training["note"])
    if training.get("split"):
        lines += ["", f"Split: {training['split']}"]
    lines += [*_scores(config.get("scores") or []), *_again(training)]
    if config.get("limits"):
        lines += ["", "## Limits", "", config["limits"]]
    if config.get("source"):
        lines += _source(config["source"])
    return "\n".join(lines) + "\n"


def _scores(scores: list[dict[str, Any]]) -> list[str]:
    """Write the table of scores, with the commands that measured them."""
    lines = ["", "## Scores", ""]
    if not scores:
        return [*lines, "None measured yet."]
    lines += ["| metric | value | measured by | data |", "|---|---|---|---|"]
    lines += [
        f"| {score['metric']} | {score['value']} {score['unit']} | {score['measure']} "
        f"| {score['data']} |"
        for score in scores
    ]
    commands = dict.fromkeys(score["command"] for score in scores)
    return [*lines, "", "Measured with", "", "```", *commands, "```"]


def _again(training: dict[str, Any]) -> list[str]:
    """Write the commands that train the model again."""
    if not training.get("command"):
        return []
    earlier = training.get("earlier", [])
    commands = [run["command"] for run in [*earlier, training] if run.get("command")]
    lines = ["", "## Train it again", ""]
    if earlier:
        lines += ["In this order, each from the model that the one before wrote:", ""]
    lines += ["```", *commands, "```"]
    made = [
        f"{label}: {training[key]}"
        for key, label in (
            ("hours", "Hours of training"),
            ("machine", "Machine"),
            ("version", "audiocli"),
            ("commit", "Commit"),
        )
        if training.get(key)
    ]
    return [*lines, "", "; ".join(made) + "."] if made else lines


def _all_data(training: dict[str, Any]) -> list[str]:
    """List the data of every training run that had some, in their order."""
    on_data = [run for run in [*training.get("earlier", []), training] if run.get("data")]
    if len(on_data) < 2:
        return _data(training)
    first, *others = on_data
    lines = ["First trained on", "", *_data(first)]
    for run in others:
        lines += ["", "Then on", "", *_data(run)]
    return lines


def _data(training: dict[str, Any]) -> list[str]:
    return [
        f"- {data['name']}: {data['clips']} clips, {data['minutes']} minutes; "
        f"licence: {data['licence']}"
        for data in training.get("data", [])
    ]


def _source(source: dict[str, Any]) -> list[str]:
    """Say where a model by others came from."""
    lines = ["", "## Source", "", f"By others; the package `{source['package']}` runs it."]
    lines += ["Converted from these files, with their SHA-256:", ""]
    lines += [f"- {file['url']}: `{file['sha256']}`" for file in source["files"]]
    return [*lines, "", f"To cite: {source['citation']}"]
