"""Install a model of others: fetch its files, check them, make a model folder of them.

The authors' files hold pickles. They are read once, here, as weights and plain settings only, and
what is kept is a model folder like any other.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from audiocli.errors import ModelError, UsageError, suggest
from audiocli.nn import registry
from audiocli.nn.catalogue import CATALOGUE, Offer
from audiocli.nn.download import Progress, fetch

__all__ = ["install", "installed", "offer"]

#: Below the folder of models; it is no task, and what is in it is found by no name.
DOWNLOADS = ".downloads"


def offer(name: str) -> Offer:
    """Find what can be installed by its name."""
    own = name.rpartition("/")[2]
    if own not in CATALOGUE:
        raise UsageError(f"nothing to install by the name {name!r}: {suggest(own, CATALOGUE)}")
    return CATALOGUE[own]


def installed(
    wanted: Offer, root: Path | None = None, *, whole: bool = False
) -> registry.ModelEntry | None:
    """Find an installed model."""
    try:
        entry = registry.open_folder(_folder(wanted, root))
        if whole:
            registry.verify(entry)
    except ModelError:
        return None
    return entry


def install(
    name: str,
    *,
    to: Path | None = None,
    mirror: str | None = None,
    progress: Progress = lambda name, done, total: None,
) -> registry.ModelEntry:
    """Install a model, unless it is there already.

    Parameters
    ----------
    name : str
        As ``audiocli models install`` lists it.
    to : Path, optional
        Folder of models to put it in; the user's cache if not given.
    mirror : str, optional
        Folder or address that holds the files by their names; ``AUDIOCLI_MIRROR`` if not given.
    progress : callable
        Told how the downloads go: file, bytes so far, bytes in all.

    Returns
    -------
    ModelEntry

    Raises
    ------
    UsageError
        If there is none of that name.
    ModelError
        If the package that runs it is missing, a file cannot be had or is not the one that was
        pinned, or the model cannot be written.

    Examples
    --------
    >>> install("no-such-model")
    Traceback (most recent call last):
    ...
    audiocli.errors.UsageError: nothing to install by the name 'no-such-model': There are: \
htdemucs, htdemucs_ft, mdx_extra, umxhq, umxl
    """
    wanted = offer(name)
    there = installed(wanted, to, whole=True)
    if there is not None:
        return there
    _network_class(wanted).check()  # rather than after hundreds of megabytes
    downloads = (to or registry.cache()) / DOWNLOADS
    files = [fetch(file, downloads, mirror=mirror, progress=progress) for file in wanted.files]
    target = _folder(wanted, to)
    # One level deeper than models lie, so that nobody finds it half written.
    scratch = downloads / "converted" / wanted.name
    try:
        _convert(wanted, files, scratch)
        if target.exists():  # damaged, or it would have been found
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.replace(target)
        for file in files:
            if file.parent == downloads:  # what a mirror holds stays there
                file.unlink()
    except OSError as error:
        raise ModelError(
            f"{target}: cannot be written ({error.strerror or error}); make room, or use {{to}}",
            "to",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return registry.open_folder(target)


def _folder(wanted: Offer, root: Path | None) -> Path:
    return (root or registry.cache()) / wanted.task / wanted.name


def _network_class(wanted: Offer) -> Any:
    from audiocli.nn import models

    return models.architectures()[wanted.architecture]


def _convert(wanted: Offer, files: list[Path], folder: Path) -> None:
    """Make a model folder of the authors' files."""
    from audiocli.nn import models
    from audiocli.nn.frontend import WaveformConfig

    converted = _network_class(wanted).convert(files, wanted.options)
    frontend = WaveformConfig(converted.sample_rate)
    network = models.build(wanted.architecture, frontend, converted.arguments)
    try:
        network.load_state_dict(converted.state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{wanted.name}: its files do not fit the package: {reason}") from error
    sums = [
        {"url": file.url, "sha256": registry.sha256(path)}
        for file, path in zip(wanted.files, files, strict=True)
    ]
    config = {
        "task": wanted.task,
        "description": wanted.description,
        "architecture": wanted.architecture,
        "arguments": converted.arguments,
        "labels": converted.labels,
        "decoder": dict(wanted.decoder),
        "licence": wanted.licence,
        "limits": wanted.limits,
        "training": {"data": [], "note": wanted.data},
        "scores": [],
        "source": {"package": wanted.extra, "files": sums, "citation": wanted.citation},
    }
    models.save(network, folder, config, half=converted.half)
