"""Find, check, list and describe model folders. Knows neither torch nor any task.

A model folder holds ``config.json``, ``weights.safetensors`` and ``README.md``
(the model card, written from the configuration so that they cannot disagree).
Models are looked for, in this order, as a folder given by its path, below the
folders named in ``AUDIOCLI_MODELS`` (separated like ``PATH``), in the package,
and in the user's cache; below each as ``<task>/<name>``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiocli.errors import ModelError, UsageError, suggest
from audiocli.nn import catalogue
from audiocli.nn.config import FORMAT, read_config, regular_file

__all__ = [
    "CONFIG",
    "FORMAT",
    "WEIGHTS",
    "add_scores",
    "ModelEntry",
    "cache",
    "command_line",
    "commit",
    "find",
    "list_models",
    "open_folder",
    "refuse_finished",
    "roots",
    "sha256",
    "verify",
    "write_config",
]

CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
CARD = "README.md"


@dataclass(frozen=True)
class ModelEntry:
    """One model folder.

    Parameters
    ----------
    folder : Path
        Where it is.
    config : dict
        What its ``config.json`` says.

    Examples
    --------
    >>> entry = find("separate", "drnn-mir1k")
    >>> entry.task, entry.name
    ('separate', 'drnn-mir1k')
    """

    folder: Path
    config: dict[str, Any]

    @property
    def task(self) -> str:
        """The task it was trained for."""
        return str(self.config["task"])

    @property
    def name(self) -> str:
        """The folder's name; what ``--model`` takes."""
        return self.folder.name

    @property
    def weights(self) -> Path:
        """The file that holds the weights."""
        return self.folder / WEIGHTS

    @property
    def size(self) -> int:
        """Size of the weights in bytes."""
        return regular_file(self.weights)

    @property
    def licence(self) -> str:
        """Licence of the weights."""
        return str(self.config.get("licence", "unspecified"))

    @property
    def score(self) -> str:
        """The first of the measured scores, in a few words."""
        for score in self.config.get("scores") or []:
            return f"{score['metric']} {score['value']} {score['unit']}"
        return ""

    def summary(self) -> dict[str, Any]:
        """Say what a list of models shows of this one."""
        return {
            "task": self.task,
            "name": self.name,
            "size": self.size,
            "parameters": self.config.get("parameters"),
            "licence": self.licence,
            "score": self.score,
            "path": str(self.folder),
        }


def roots() -> list[Path]:
    """List the folders below which models are looked for by name.

    Returns
    -------
    list of Path
        In the order of the search; only those that exist.

    Examples
    --------
    >>> any((root / "separate" / "drnn-mir1k").is_dir() for root in roots())
    True
    """
    package = Path(__file__).resolve().parents[1]
    named = os.environ.get("AUDIOCLI_MODELS", "")
    candidates = [Path(part) for part in named.split(os.pathsep) if part]
    # An installed package holds pretrained/ inside, a checkout beside it.
    candidates += [package / "pretrained", package.parent / "pretrained"]
    candidates.append(cache())
    return [root for root in candidates if root.is_dir()]


def cache() -> Path:
    """Name the folder that installed models go to; it need not exist yet.

    Returns
    -------
    Path

    Examples
    --------
    >>> cache().name
    'models'
    """
    import platformdirs

    return Path(platformdirs.user_cache_dir("audiocli")) / "models"


def open_folder(folder: Path) -> ModelEntry:
    """Read a model folder's configuration.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    ModelEntry

    Raises
    ------
    ModelError
        If it is not a model folder, or of a format this version cannot read.

    Examples
    --------
    >>> open_folder(Path("no-such-model"))
    Traceback (most recent call last):
    ...
    audiocli.errors.ModelError: no-such-model: no config.json there, so this is not a model folder
    """
    file = folder / CONFIG
    if not file.exists():  # false for a dangling link, and where a file stands for the folder
        raise ModelError(f"{folder}: no {CONFIG} there, so this is not a model folder")
    return ModelEntry(folder, read_config(file))


def refuse_finished(folder: Path) -> None:
    """Refuse to train into a folder that holds a finished model.

    Parameters
    ----------
    folder : Path
        Where training is to write.

    Raises
    ------
    UsageError
        If there is a model, and no checkpoint to go on from.

    Examples
    --------
    >>> refuse_finished(Path("no-such-model"))
    """
    if (folder / CONFIG).exists() and not (folder / "checkpoint").exists():
        raise UsageError(
            f"{folder}: holds a model already, and no checkpoint to go on from; "
            "choose another folder"
        )


def list_models(
    task: str | None = None, *, damaged: list[ModelError] | None = None
) -> list[ModelEntry]:
    """List the models that can be named, the first found of each name.

    Parameters
    ----------
    task : str, optional
        Only those of this task.
    damaged : list, optional
        Gets the errors of the folders that are damaged, which are then left out.

    Returns
    -------
    list of ModelEntry
        By task and name.

    Raises
    ------
    ModelError
        If one of the folders is damaged, and there is no `damaged`.

    Examples
    --------
    >>> "drnn-mir1k" in [entry.name for entry in list_models("separate")]
    True
    """
    entries = []
    for (kind, _), folder in _folders().items():
        if task not in (None, kind):
            continue
        try:
            entries.append(open_folder(folder))
        except ModelError as error:
            if damaged is None:
                raise
            damaged.append(error)
    return entries


def _folders() -> dict[tuple[str, str], Path]:
    """Find the model folders by task and name, the first of each, and open none."""
    found: dict[tuple[str, str], Path] = {}
    for root in roots():
        for file in root.glob(f"*/*/{CONFIG}"):
            found.setdefault((file.parent.parent.name, file.parent.name), file.parent)
    return dict(sorted(found.items()))


def find(task: str | None, name: str) -> ModelEntry:
    """Find a model by its name or its folder.

    Parameters
    ----------
    task : str or None
        What it must be made for; None takes any.
    name : str
        A folder, a name that :func:`list_models` shows, or ``task/name``.

    Returns
    -------
    ModelEntry

    Raises
    ------
    UsageError
        If there is no model of that name, or several and no task.
    ModelError
        If it is damaged, or made for another task.

    Examples
    --------
    >>> find("separate", "drnn-mir1k").licence != ""
    True
    """
    folder = Path(name)
    if (folder / CONFIG).is_file() or (folder.is_dir() and len(folder.parts) > 1):
        entry = open_folder(folder)
    else:
        folders = _folders()
        # One name may stand in several tasks: the task that was given comes first.
        fitting = [
            folders[kind, own]
            for kind, own in sorted(folders, key=lambda key: key[0] != task)
            if name in (own, f"{kind}/{own}")
        ]
        if not fitting:
            known = catalogue.hint(task, name)
            if known:
                raise UsageError(known)
            choices = [own for kind, own in folders if task in (None, kind)]
            raise UsageError(
                f"no model {name!r}: {suggest(name, choices)}; or give a model's folder"
            )
        if task is None and len(fitting) > 1:
            ways = " or ".join(f"{folder.parent.name}/{folder.name}" for folder in fitting)
            raise UsageError(f"{name}: several models have this name; give {ways}")
        entry = open_folder(fitting[0])
    if task is not None and entry.task != task:
        raise ModelError(f"{name}: is a model for {entry.task!r}, not for {task!r}")
    return entry


def sha256(file: Path) -> str:
    """Compute a file's SHA-256 in constant memory.

    Parameters
    ----------
    file : Path

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> len(sha256(Path(__file__)))
    64
    """
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def verify(entry: ModelEntry) -> None:
    """Check that a model's weights are the ones its configuration names.

    Parameters
    ----------
    entry : ModelEntry

    Raises
    ------
    ModelError
        If the file is missing or its sum differs.

    Examples
    --------
    >>> verify(find("separate", "drnn-mir1k"))
    """
    regular_file(entry.weights)  # a pipe would be waited for, a device read for ever
    try:
        actual = sha256(entry.weights)
    except OSError as error:
        raise ModelError(f"{entry.weights}: cannot be read: {error.strerror}") from error
    if actual != entry.config["weights_sha256"]:
        raise ModelError(
            f"{entry.weights}: its SHA-256 is not the one in {CONFIG}, so the file is damaged or "
            "was changed; take the model folder from its source again"
        )


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write a model folder's configuration and the card made from it.

    Parameters
    ----------
    folder : Path
        The model folder.
    config : dict
        The whole configuration.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     entry = find("separate", "drnn-mir1k")
    ...     write_config(Path(folder), entry.config)
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['README.md', 'config.json']
    """
    from audiocli.nn.card import render

    for name, text in ((CONFIG, json.dumps(config, indent=2) + "\n"), (CARD, render(config))):
        partial = folder / f".{name}.part"
        partial.write_text(text, "utf-8")
        partial.replace(folder / name)


def add_scores(
    entry: ModelEntry, scores: Sequence[Mapping[str, Any]], *, last: bool = False
) -> None:
    """Write scores into a model folder, configuration and card.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    scores : sequence of mapping
        Each with ``metric``, ``value``, ``unit``, ``measure``, ``data`` and ``command``. One of the
        same metric, measure and data is replaced; the new ones come first.
    last : bool
        Put them last instead: the first score is the one that a list of models shows.

    Examples
    --------
    >>> import shutil, tempfile
    >>> words = ("metric", "value", "unit", "measure", "data", "command")
    >>> score = dict(zip(words, ("F", 1, "%", "25 ms", "drums", "audiocli ...")))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     copy = Path(shutil.copytree(find("separate", "drnn-mir1k").folder, folder + "/m"))
    ...     add_scores(open_folder(copy), [score])
    ...     open_folder(copy).score
    'F 1 %'
    """
    same = {(score["metric"], score["measure"], score["data"]) for score in scores}
    kept = [
        score
        for score in entry.config.get("scores") or []
        if (score["metric"], score["measure"], score["data"]) not in same
    ]
    new = [dict(score) for score in scores]
    both = [*kept, *new] if last else [*new, *kept]
    write_config(entry.folder, {**entry.config, "scores": both})


def commit() -> str | None:
    """Name the commit of the checkout that audiocli runs from.

    Returns
    -------
    str or None
        Its hash, with ``+`` behind it where files were changed since; None outside a checkout.

    Examples
    --------
    >>> commit() is None or len(commit()) >= 40
    True
    """
    import subprocess

    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        head, changed = (
            subprocess.run(
                ["git", "-C", str(checkout), *command],
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if changed else "")


def command_line() -> str:
    """Give the command that runs now, for a card that others read.

    Returns
    -------
    str
        Of a path only the last two names are kept: the rest is this machine's.

    Examples
    --------
    >>> from unittest.mock import patch
    >>> with patch("sys.argv", ["audiocli", "train", "separate", "/home/me/data/mir1k/train"]):
    ...     command_line()
    'audiocli train separate mir1k/train'
    """
    shown = [
        "/".join(Path(word).parts[-2:]).lstrip("/") if os.sep in word else word
        for word in sys.argv[1:]
    ]
    return shlex.join(["audiocli", *shown])
