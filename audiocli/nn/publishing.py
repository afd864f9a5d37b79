"""Put a trained model into the user's folder of models, where it is found by its name."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from audiocli.errors import ModelError, UsageError
from audiocli.nn import registry

__all__ = ["missing_facts", "publish"]

#: What names of models are made of: they stand in paths and on command lines.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def publish(
    folder: Path, name: str | None = None, *, to: Path | None = None
) -> registry.ModelEntry:
    """Copy a model folder into the user's registry, once its card is complete.

    Parameters
    ----------
    folder : Path
        What a training run wrote. Configuration, weights and card are copied, and nothing else.
    name : str, optional
        What the model is to be called; that of the folder if not given.
    to : Path, optional
        Folder of models; the user's cache if not given.

    Returns
    -------
    ModelEntry
        The copy.

    Raises
    ------
    ModelError
        If it is no model folder, its weights are not the ones its configuration names, or its card
        lacks something.
    UsageError
        If the name is none, or there is a model of that task and name, which is left as it is.

    Examples
    --------
    >>> import tempfile
    >>> shipped = registry.find("separate", "drnn-mir1k").folder
    >>> with tempfile.TemporaryDirectory() as root:
    ...     publish(shipped, "mine", to=Path(root)).name
    'mine'
    """
    entry = registry.open_folder(folder)
    registry.verify(entry)
    lacking = missing_facts(entry.config)
    if lacking:
        raise ModelError(f"{folder}: not published: its card lacks {'; '.join(lacking)}")
    name = name or folder.resolve().name
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a model: use letters, digits, '.', '_' and '-'")
    place = (to or registry.cache()) / entry.task / name
    others = [place, *(other.folder for other in registry.list_models(entry.task, damaged=[])
                       if other.folder.name == name)]  # fmt: skip
    taken = next((other for other in others if other.exists()), None)
    if taken is not None:
        raise UsageError(
            f"{taken}: is there already, a model {name!r}; choose another {{name}}", "name"
        )
    _copy(entry, place, name)
    return registry.open_folder(place)


def missing_facts(config: dict[str, Any]) -> list[str]:
    """Name what a configuration must say before others can rely on the model."""
    training = config.get("training") or {}
    lacking = []
    if config.get("licence") in (None, "") or "unspecified" in str(config.get("licence")):
        lacking.append("a licence (of each data folder, named in training)")
    if not training.get("data") and not config.get("source"):
        lacking.append("the data it was trained on")
    if not training.get("split") and not config.get("source"):
        lacking.append("how validation data were held out")
    scores = config.get("scores") or []
    if not any(score.get("value") is not None and score.get("data") for score in scores):
        lacking.append("a score on held-out data (an evaluation that is recorded in the model)")
    return lacking


def _copy(entry: registry.ModelEntry, place: Path, name: str) -> None:
    """Copy under a hidden name first, so that half a model is never found."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".publish-", dir=place.parent) as scratch:
            partial = Path(scratch) / name
            partial.mkdir()
            shutil.copyfile(entry.weights, partial / registry.WEIGHTS)
            registry.write_config(partial, {**entry.config, "name": name})
            registry.verify(registry.open_folder(partial))
            partial.rename(place)
    except OSError as error:
        raise UsageError(f"{place}: cannot be written: {error.strerror}") from error
