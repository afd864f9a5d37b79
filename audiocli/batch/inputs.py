"""Find the input files of a command, and plan what each will write.

Everything that can be refused is refused here, before any work: two inputs that
would write the same file, an output that would destroy an input, an output that
is there already. A missing file or an empty folder is no reason to refuse: it
becomes an :class:`Input` with a ``problem``, reported as failed while the others
go on.
"""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audiocli.batch.sharding import Shard
from audiocli.errors import AudioCliError, UsageError
from audiocli.io import remote as stores
from audiocli.io import urls
from audiocli.io.names import written_name
from audiocli.io.remote import RemotePath

__all__ = ["Input", "Job", "check_joint_output", "find_inputs", "plan", "real_path"]


@dataclass(frozen=True)
class Input:
    """One thing to work on.

    Parameters
    ----------
    path : Path
        What to open; ``Path("-")`` is standard input, and nothing else is.
    name : str
        How the user would call it: the path as given, or below the folder given.
    relative : Path
        Where its outputs go below an output folder, suffix included: the path below the
        folder (or the fixed part of the pattern) given, else the file's own name.
    problem : str or None
        Why it cannot be worked on, where that is known before any work.
    called : str or None
        What results call it: the path as given, or relative to the folder given; default: `name`.
    url : str, optional
        Where it is fetched from when its turn comes; `path` is then what it is known by.
    stem : str
        What its outputs are named by: its name without the ending, or with it where another
        input differs in nothing else.
    """

    path: Path
    name: str
    relative: Path
    problem: str | None = None
    called: str | None = None
    stem: str = ""
    url: str | None = None

    def __post_init__(self) -> None:
        if not self.stem:
            object.__setattr__(self, "stem", self.relative.stem)

    @property
    def location(self) -> str:
        """The absolute path, or the URL."""
        return os.path.abspath(self.path) if self.url is None else urls.without_password(self.url)

    @property
    def label(self) -> str:
        """How results write what it is called; see :mod:`audiocli.io.names`."""
        return written_name(self.name if self.called is None else self.called)


@dataclass(frozen=True)
class Job:
    """One input and the files to be made from it.

    Parameters
    ----------
    input : Input
        What to work on.
    outputs : tuple of Path
        What to write; empty where the result is only returned.
    replace : bool
        Whether outputs that exist already may be replaced.
    kinds : tuple of str
        What each of the outputs is, for those who made the plan.
    listed : frozenset of Path
        Of outputs in stores, those that were there when the jobs were planned: to ask for each
        again takes as long as many a job.
    """

    input: Input
    outputs: tuple[Path, ...]
    replace: bool = False
    kinds: tuple[str, ...] = ()
    listed: frozenset[Path] = frozenset()

    def existing(self) -> tuple[Path, ...]:
        """Give the outputs that are there."""
        return tuple(filter(self._is_there, self.outputs))

    def _is_there(self, output: Path) -> bool:
        return output in self.listed if isinstance(output, RemotePath) else os.path.lexists(output)


def find_inputs(
    arguments: Sequence[str],
    *,
    files_from: str | None = None,
    files_from0: str | None = None,
    extensions: Collection[str] | None = None,
    exclude: Path | None = None,
    remote: bool = False,
) -> list[Input]:
    """Find every file that is meant by a list of files, folders, patterns and ``-``.

    A file is always taken, whatever its extension. A folder is searched to its depth for
    audio; what is hidden is left out. A pattern (``*``, ``?``, ``[``, ``**``) is tried where
    no file has that very name, and stands for all that it matches, as in a shell. Arguments
    keep their order; what a folder or pattern holds comes in natural order ("2" before
    "10"). The same file, also by way of a link, is taken once. With `remote`, URLs count too.
    """
    named = list(arguments)
    lists = [(files_from, b"\n"), (files_from0, b"\0")]
    for listing, end in lists:
        if listing is not None:
            named += _listed(listing, end)
    if not named:
        empty = "no input: name files, folders, a pattern such as '*.wav', or - for standard input"
        listing = files_from or files_from0
        raise UsageError(empty if listing is None else f"{listing}: lists no files")
    if named.count("-") + (files_from == "-") + (files_from0 == "-") > 1:
        raise UsageError("standard input (-) can be read only once: use - in one place")
    found: dict[str, Input] = {}
    for argument in named:
        is_remote = remote and urls.is_url(argument)
        meant = _remote(argument, extensions) if is_remote else None
        for item in _meant_by(argument, extensions, exclude) if meant is None else meant:
            key = "-" if item.path == Path("-") else item.url or real_path(item.path)
            found.setdefault(key, item)
    return _told_apart(list(found.values()))


def _told_apart(inputs: list[Input]) -> list[Input]:
    """Let no two inputs go by one name: neither in results, nor, if it can be, as files."""
    calls = Counter(item.called for item in inputs)
    stems = Counter(_without_ending(item) for item in inputs if item.problem is None)
    return [
        replace(
            item,
            called=item.called if calls[item.called] == 1 else None,
            stem=item.relative.name if stems[_without_ending(item)] > 1 else item.stem,
        )
        for item in inputs
    ]


def _without_ending(item: Input) -> str:
    return os.path.normcase(item.relative.parent / item.relative.stem)


def plan(
    inputs: Sequence[Input],
    outputs_of: Callable[[Input], Sequence[Path] | Mapping[str, Path]],
    *,
    overwrite: bool = False,
    resume: bool = False,
    shard: Shard | None = None,
) -> list[Job]:
    """Settle what each input of a shard will write, and refuse what would lose anything.

    Names are settled over all inputs, so that each shard knows what the others write.
    """
    jobs = [_job(item, {} if item.problem else outputs_of(item), overwrite) for item in inputs]
    sources = {_source(item): item.name for item in inputs if item.problem is None}
    writers: dict[str, str] = {}
    taken = [job for job in jobs if shard is None or shard.takes(job.input.label)]
    for job in jobs:
        for output in job.outputs:
            key = real_path(output)
            _check_output(output, job.input.name, sources.get(key), writers.get(key))
            writers[key] = job.input.name
    taken = _with_listed(taken)
    existing = [output for job in taken for output in job.existing()]
    if existing and not (overwrite or resume):
        others = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise UsageError(
            f"{existing[0]}: exists already{others}; use {{overwrite}} to replace what is there, "
            "{resume} to do only what is missing, or choose another output folder",
            "overwrite",
            "resume",
        )
    return taken


def _with_listed(jobs: list[Job]) -> list[Job]:
    """Find out which outputs in stores are there."""
    listed = stores.present(output for job in jobs for output in job.outputs)
    if not listed:
        return jobs
    return [replace(job, listed=listed.intersection(job.outputs)) for job in jobs]


def _job(item: Input, outputs: Sequence[Path] | Mapping[str, Path], overwrite: bool) -> Job:
    if isinstance(outputs, Mapping):
        return Job(item, tuple(outputs.values()), overwrite, tuple(outputs))
    return Job(item, tuple(outputs), overwrite)


def check_joint_output(
    target: Path,
    inputs: Sequence[Input],
    *,
    replace: bool,
    fix: str = "use {overwrite} to replace it",
) -> None:
    """Refuse one file for the results of all inputs where it would lose something."""
    if any(real_path(target) == _source(item) for item in inputs):
        raise UsageError(f"{target}: is an input, which would be lost; choose another name")
    if not replace and stores.exists(target):
        raise UsageError(f"{target}: exists already; {fix}", "overwrite", "resume")


def real_path(path: str | os.PathLike[str]) -> str:
    """Return the one name by which two paths to the same file are known to be the same."""
    if isinstance(path, RemotePath):
        return str(path)
    try:
        return os.path.normcase(os.path.realpath(path))
    except ValueError:  # a null character: no file can have that name, any key will do
        return os.fspath(path)
    except OSError:  # a link that may not be read: where it leads stays unknown
        return os.path.normcase(os.path.abspath(path))


def _source(item: Input) -> str:
    return real_path(item.path if item.url is None else RemotePath(item.url))


def _check_output(output: Path, name: str, source: str | None, writer: str | None) -> None:
    """Refuse an output that would destroy an input, another output or a folder."""
    if source is not None:
        raise UsageError(
            f"{output}: is the input {source}, which would be lost; "
            "choose another output folder or name"
        )
    if writer == name:
        raise UsageError(f"{output}: {name} would write it twice; give each result its own name")
    if writer is not None:
        raise UsageError(
            f"{output}: both {writer} and {name} would write it; rename one of them, give the "
            "folder that holds both, or run them one by one into different output folders"
        )
    if not isinstance(output, RemotePath) and os.path.isdir(output):
        raise UsageError(
            f"{output}: is a folder, where {name} would write a file; "
            "move it away or choose another output folder"
        )


def _listed(files_from: str, end: bytes) -> list[str]:
    """Read a list of files; names keep the bytes they have on disk."""
    try:
        if files_from == "-":
            if sys.stdin is None:
                raise ValueError("standard input is closed")
            content = sys.stdin.buffer.read()
        else:
            content = Path(files_from).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{files_from}: cannot read this list of files: {reason}") from error
    if end == b"\0":
        return [os.fsdecode(name) for name in content.split(end) if name]
    lines = content.removeprefix(b"\xef\xbb\xbf").split(end)
    return [os.fsdecode(line.removesuffix(b"\r")) for line in lines if line.strip()]


def _meant_by(
    argument: str, extensions: Collection[str] | None, exclude: Path | None
) -> list[Input]:
    """Find the inputs that one argument stands for, at least one."""
    if argument == "-":
        return [Input(Path("-"), "-", Path("stdin"))]
    try:
        mode = os.stat(argument).st_mode
    except ValueError:
        return [_unusable(argument, "is no possible file name")]
    except OSError as error:
        if any(character in argument for character in "*?["):
            return _matching(argument, extensions, exclude)
        return [_unusable(argument, error.strerror or str(error))]
    if not stat.S_ISDIR(mode):
        return [_file(argument, os.path.dirname(argument))]
    found = _audio_in(argument, argument, extensions, exclude)
    if not found:
        looked_for = ", ".join(sorted(_endings(extensions)))
        found = [_unusable(argument, f"no audio in this folder (looked for {looked_for})")]
    return found


def _remote(url: str, extensions: Collection[str] | None) -> list[Input]:
    """Find the inputs that a URL stands for, at least one."""
    shown = urls.without_password(url)
    local = urls.local_path(url)
    if local is not None:
        found = _meant_by(local, extensions, None)
        if len(found) == 1 and found[0].problem is None and not os.path.isdir(local):
            return [replace(found[0], name=shown, called=shown)]
        return found
    try:
        listed = urls.listed(url, _endings(extensions))
    except AudioCliError as error:
        return [Input(Path(shown), shown, Path(urls.base_name(url)), str(error))]
    found = []
    for one, relative in listed:
        name = urls.without_password(one)
        found.append(Input(Path(name), name, Path(relative), called=name, url=one))
    return found


def _file(name: str, base: str, *, inside: bool = False) -> Input:
    """Describe a file whose outputs mirror the tree below a base folder, which it may be inside."""
    path = Path(name)
    # "./-" is a file, but as a Path it would read as standard input
    path = path.absolute() if str(path) == "-" else path
    relative = Path(os.path.relpath(name, base or os.curdir))
    return Input(path, name, relative, called=str(relative) if inside else name)


def _unusable(name: str, reason: str) -> Input:
    path = Path(name)
    return Input(path, name, Path(path.name), f"{name}: {reason}")


def _endings(extensions: Collection[str] | None) -> set[str]:
    if extensions is None:
        # here because it loads numpy and soundfile, which only a search of folders needs
        from audiocli.io.audio import AUDIO_EXTENSIONS

        extensions = AUDIO_EXTENSIONS
    return {"." + extension.lower().lstrip(".") for extension in extensions}


def _audio_in(
    folder: str,
    base: str,
    extensions: Collection[str] | None,
    exclude: Path | None,
    *,
    inside: bool = True,
) -> list[Input]:
    """Find the audio files in a folder and all folders below it, in natural order."""
    endings = _endings(extensions)
    errors: list[OSError] = []
    found = [
        _file(os.path.join(inner, name), base, inside=inside)
        for inner, names in _walk(folder, exclude, errors)
        for name in names
        if not name.startswith(".") and os.path.splitext(name)[1].lower() in endings
    ]
    found += [_unusable(str(error.filename), error.strerror or str(error)) for error in errors]
    return sorted(found, key=_natural)


def _matching(
    pattern: str, extensions: Collection[str] | None, exclude: Path | None
) -> list[Input]:
    """Find what a pattern stands for, which the shell did not expand."""
    base = os.path.dirname(re.split(r"[*?\[]", pattern, maxsplit=1)[0])
    found: list[Input] = []
    for name in _expand(pattern, exclude):
        if os.path.isdir(name):
            found += _audio_in(name, base, extensions, exclude, inside=False)
        else:
            found.append(_file(name, base))
    return sorted(found, key=_natural) or [_unusable(pattern, "no such file, and none matches it")]


def _expand(pattern: str, exclude: Path | None) -> Iterator[str]:
    """List the paths that match a pattern.

    The ``**`` of the standard library follows links round in circles, so it is taken apart
    here: the rest of the pattern is tried in every folder of a safe walk.
    """
    parts = pattern.replace(os.altsep or os.sep, os.sep).split(os.sep)
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    at = parts.index("**")
    start, rest = os.sep.join([*parts[:at], ""]), os.sep.join(parts[at + 1 :])
    for root in glob.iglob(start) if start else [os.curdir]:
        for folder, files in _walk(root, exclude, []):
            inner = os.path.join(folder, "").removeprefix(os.curdir + os.sep)
            if rest:
                yield from _expand(glob.escape(inner) + rest, exclude)
            else:
                yield from (inner + name for name in files if not name.startswith("."))


def _walk(
    root: str, exclude: Path | None, errors: list[OSError]
) -> Iterator[tuple[str, list[str]]]:
    """Visit a folder and all below it, each once, with the names of the files in it.

    Links to folders come last, so that a folder goes by its own name where it has one.
    """
    seen = {real_path(exclude)} - {real_path(root)} if exclude is not None else set()
    pending = [root]
    while pending:
        within = [pending.pop(0)]  # os.walk calls itself for each folder below, before Python 3.12
        while within:
            folder = within.pop()
            real = real_path(folder)
            if real in seen:
                continue
            seen.add(real)
            folders, files = _listing(folder, errors)
            paths = [os.path.join(folder, name) for name in sorted(folders)]
            pending += [path for path in paths if os.path.islink(path)]
            within += [path for path in reversed(paths) if not os.path.islink(path)]
            yield folder, files


def _listing(folder: str, errors: list[OSError]) -> tuple[list[str], list[str]]:
    """Give the names of the folders, but for hidden ones, and of the files in a folder."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir():
                    files.append(entry.name)
                elif not entry.name.startswith("."):
                    folders.append(entry.name)
    except OSError as error:
        errors.append(error)
    return folders, files


def _natural(item: Input) -> tuple[list[list[str | int]], str]:
    """Sort by folder and name, numbers by value and case ignored; the rest breaks ties."""
    parts = [re.split(r"([0-9]+)", part.casefold()) for part in item.relative.parts]
    return [
        [int(piece) if number % 2 else piece for number, piece in enumerate(part)] for part in parts
    ], item.name
