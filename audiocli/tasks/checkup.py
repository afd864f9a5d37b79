"""What ``audiocli doctor`` looks at: whether this machine has what the commands need."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import io
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiocli import __version__
from audiocli.errors import AudioCliError, ModelError

__all__ = ["Finding", "checkup"]

#: Packages that everything needs, as they are called where one installs them.
NEEDED = ("numpy", "scipy", "torch", "librosa", "soundfile", "soxr", "av", "safetensors", "pandas")
#: Packages and programs that some things need, and what for.
OPTIONAL = {
    "pyarrow": "tables in parquet",
    "onnx": "models export",
    "demucs": "the big models of Demucs",
    "openunmix": "the big models of Open-Unmix",
    "uvicorn": "audiocli serve",
}
PROGRAMS = {
    "fluidsynth": "sound of chords and of training data, through sound fonts",
}
#: Free space below which a folder is doubtful, in bytes.
LITTLE = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    what : str
        The thing.
    status : {"ok", "note", "bad"}
        A note is about something optional.
    found : str
        What it is like.
    remedy : str
        What to do, unless it is ok.

    Examples
    --------
    >>> Finding("torch", "ok", "2.6.0").remedy
    ''
    """

    what: str
    status: Literal["ok", "note", "bad"]
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Give it ready for JSON."""
        return {key: str(value) for key, value in dataclasses.asdict(self).items()}


def checkup() -> list[Finding]:
    """Check versions, codecs, devices, models and places to write; what ``audiocli doctor`` prints.

    Returns
    -------
    list of Finding
        In a fixed order; no file is left, and nothing is downloaded.

    Examples
    --------
    >>> {finding.status for finding in checkup()} <= {"ok", "note", "bad"}
    True
    """
    findings: list[Finding] = []
    for look in (_versions, _packages, _programs, _formats, _devices, _models, _places):
        findings += _guarded(look)
    return findings


def _guarded(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Look, and let what goes wrong be a finding: a sick installation may fail anywhere."""
    try:
        yield from look()
    except Exception as error:  # the very thing that is looked for
        what = look.__name__.lstrip("_")
        yield Finding(what, "bad", f"{type(error).__name__}: {error}", "install audiocli again")


def _versions() -> Iterator[Finding]:
    yield Finding("audiocli", "ok", __version__)
    supported = sys.version_info >= (3, 10)
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    remedy = "" if supported else "use Python 3.10 or later"
    yield Finding("python", "ok" if supported else "bad", found, remedy)
    from audiocli.nn.threads import cores

    yield Finding("cores", "ok", f"{cores()} of {os.cpu_count()} usable")


def _packages() -> Iterator[Finding]:
    wanted = _requirements()
    for name in NEEDED:
        version = _version(name)
        if version is None:
            yield Finding(name, "bad", "is missing", f"run: pip install '{name}'")
            continue
        least = wanted.get(name)
        old = least is not None and _numbers(version) < _numbers(least)
        remedy = f"run: pip install '{name}>={least}'" if old else ""
        yield Finding(name, "bad" if old else "ok", version, remedy)
    for name, purpose in OPTIONAL.items():
        version = _version(name)
        if version is None:
            yield Finding(name, "note", f"not installed; {purpose}", f"run: pip install {name}")
        else:
            yield Finding(name, "ok", version)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _requirements() -> dict[str, str]:
    """Read the least versions from the metadata of this package, where it is installed."""
    try:
        lines = importlib.metadata.requires("audiocli") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found = (
        re.match(r"([\w.-]+)\s*>=\s*([\d.]+)", line) for line in lines if "extra ==" not in line
    )
    return {match[1].lower(): match[2] for match in found if match}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _programs() -> Iterator[Finding]:
    for name, purpose in PROGRAMS.items():
        path = shutil.which(name)
        if path is None:
            yield Finding(name, "note", f"not on the PATH; {purpose}", f"install {name}")
        else:
            yield Finding(name, "ok", path)


def _formats() -> Iterator[Finding]:
    """Write and read a moment of sound in the formats that libsndfile and FFmpeg bring."""
    import numpy as np
    import soundfile

    sound = np.sin(np.arange(4800) / 10).astype(np.float32) / 4
    for form, subtype in {"WAV": "PCM_16", "FLAC": "PCM_16", "OGG": "VORBIS", "MP3": None}.items():
        try:
            stream = io.BytesIO()
            soundfile.write(stream, sound, 48000, format=form, subtype=subtype)
            stream.seek(0)
            decoded = len(soundfile.read(stream)[0])
        except (soundfile.LibsndfileError, ValueError, RuntimeError) as error:
            remedy = "run: pip install --upgrade soundfile"
            yield Finding(form.lower(), "bad", str(error), remedy)
        else:
            yield Finding(form.lower(), "ok", f"written and read ({decoded} of 4800 samples)")
    import av

    known = [name for name in ("aac", "alac", "opus", "wmav2") if name in av.codecs_available]
    missing = sorted({"aac", "alac", "opus", "wmav2"} - set(known))
    status: Literal["ok", "bad"] = "bad" if missing else "ok"
    remedy = f"{', '.join(missing)} missing; run: pip install --upgrade av" if missing else ""
    yield Finding("ffmpeg codecs", status, ", ".join(known), remedy)


def _devices() -> Iterator[Finding]:
    import torch

    yield Finding("cpu", "ok", f"torch {torch.__version__}")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            yield Finding(f"cuda:{index}", "ok", torch.cuda.get_device_name(index))
    elif torch.backends.mps.is_available():
        yield Finding("mps", "ok", "available")
    elif shutil.which("nvidia-smi"):
        yield Finding("cuda", "note", "a GPU may be there, and torch does not see it",
                      "install the build of torch for your CUDA, see pytorch.org")  # fmt: skip


def _models() -> Iterator[Finding]:
    from audiocli.nn import registry

    damaged: list[ModelError] = []
    entries = registry.list_models(damaged=damaged)
    missing = []
    for entry in entries:
        if not (entry.folder / registry.WEIGHTS).is_file():
            missing.append(f"{entry.task}/{entry.name}")
    for error in damaged:
        yield Finding("models", "bad", str(error), "take the folder from its source again")
    if missing:
        yield Finding("models", "bad", f"{', '.join(missing)}: no weights", "install them again")
    yield Finding("models", "ok" if entries else "bad", f"{len(entries)} found",
                  "" if entries else "install audiocli again, or set AUDIOCLI_MODELS")  # fmt: skip


def _places() -> Iterator[Finding]:
    """Write where commands write without being told: temporary files, the cache, here."""
    import platformdirs

    places = {
        "temporary": (Path(tempfile.gettempdir()), "set TMPDIR to a folder with room"),
        "cache": (Path(platformdirs.user_cache_dir("audiocli")), "set XDG_CACHE_HOME"),
        "here": (Path.cwd(), "choose outputs elsewhere with -o"),
    }
    for name, (folder, remedy) in places.items():
        there = folder
        while not there.exists():
            there = there.parent
        try:
            with tempfile.TemporaryFile(dir=there) as file:
                file.write(b"0" * 4096)
            free = shutil.disk_usage(there).free
        except (OSError, AudioCliError) as error:
            yield Finding(name, "bad" if name == "temporary" else "note",
                          f"{folder}: cannot be written: {error}", remedy)  # fmt: skip
            continue
        status: Literal["ok", "note"] = "ok" if free > LITTLE else "note"
        room = f"{folder}: {free / 1e9:.1f} GB free"
        yield Finding(name, status, room, "" if free > LITTLE else remedy)
