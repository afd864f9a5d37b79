"""Options that several commands share, as decorators."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from audiocli.batch.placing import PICTURES
from audiocli.cli.events import event, status_of
from audiocli.cli.renaming import RenamingCommand
from audiocli.cli.streams import OutputError
from audiocli.errors import AudioCliError, FieldError
from audiocli.io.remote import RemotePath, place
from audiocli.io.urls import is_url, without_password

if TYPE_CHECKING:
    from audiocli.tasks.runner import BatchOptions

Command = TypeVar("Command", bound=Callable[..., Any])

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class OutputPath(click.Path):
    """A file or folder to write, here or as a URL."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Give its path."""
        path = place(value)
        if isinstance(path, RemotePath):
            return path
        return Path(os.fsdecode(super().convert(path, param, ctx)))


class LocalPath(click.Path):
    """A file that has to be on this machine."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Give its path, and refuse a URL."""
        if is_url(str(value)):
            shown = without_password(str(value))
            self.fail(f"{shown}: is a URL; only local files serve here; copy it", param, ctx)
        return Path(os.fsdecode(super().convert(value, param, ctx)))


@dataclass(frozen=True)
class Batch:
    """What every command that runs over files is told."""

    inputs: tuple[str, ...]
    output: Path | None
    files_from: str | None
    files_from0: str | None
    name: str | None
    overwrite: bool
    resume: bool
    prune: bool
    manifest: Path | None
    jobs: int
    threads: int | None
    shard: str | None
    scheduler: str | None
    cluster: str | None
    dry_run: bool
    fail_fast: bool
    log: Path | None
    quiet: bool
    verbose: bool

    @property
    def options(self) -> BatchOptions:
        """The same for the runner."""
        from audiocli.tasks.runner import BatchOptions

        return BatchOptions(
            files_from=self.files_from,
            files_from0=self.files_from0,
            name=self.name,
            overwrite=self.overwrite,
            resume=self.resume,
            prune=self.prune,
            manifest=self.manifest,
            n_jobs=self.jobs,
            threads=self.threads,
            shard=self.shard,
            scheduler=self.scheduler,
            cluster=self.cluster,
            dry_run=self.dry_run,
            fail_fast=self.fail_fast,
        )


def batch_options(
    output: str,
    *,
    default_output: str | None = None,
    name: str = "{name}.{ext}",
    resume: str = "Skip what the manifest says is done with the same settings.",
    manifest: str = "Log of what was done. [audiocli.jsonl in the output folder, or the output's "
    "name and .manifest.jsonl]",
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of commands that run over many files; they come as one :class:`Batch`."""
    options = [
        click.argument("inputs", nargs=-1),
        click.option("-o", "--output", default=default_output,
                     show_default=default_output is not None,
                     type=OutputPath(), help=output),
        click.option("--files-from", metavar="LIST", help="Take inputs from a list, one a line."),
        click.option("-0", "--files-from0", metavar="LIST",
                     help="The same, with NUL behind each name, as find -print0 writes it."),
        click.option("--name", metavar="TEMPLATE",
                     help=f"Names of outputs in folders; {{suffix}} is the input's ending, "
                     f"{{parent}} its folder. [{name}]"),
        click.option("--overwrite", is_flag=True, help="Replace outputs that are there."),
        click.option("--resume", is_flag=True, help=resume),
        click.option("--prune", is_flag=True,
                     help="With --resume: remove the results of inputs that are gone."),
        click.option("--manifest", type=OutputPath(dir_okay=False), help=manifest),
        jobs_option,
        threads_option,
        click.option("--shard", metavar="I/N",
                     help="Do the part I of N, by the inputs' names; put tables together with "
                     "audiocli merge."),
        click.option("--scheduler", metavar="ADDRESS",
                     help="Do the work on the workers of a dask scheduler, as tcp://HOST:8786."),
        click.option("--cluster", type=click.Choice(["local", "slurm"]),
                     help="Do it on a dask cluster of --jobs processes, on this machine or each "
                     "in a job of Slurm."),
        click.option("--dry-run", is_flag=True,
                     help="Print what would be written, and do nothing; with --format json, a "
                     "JSON line for each input."),
        click.option("--fail-fast", is_flag=True, help="Stop at the first input that fails."),
        click.option("--log", type=LocalPath(dir_okay=False),
                     help="Append what happens to a file, a JSON line for each event."),
        quiet_option,
        verbose_option,
    ]  # fmt: skip

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        return gathering(command, "batch", Batch, adding(options))

    return decorate


def gathering(
    command: Callable[..., None],
    name: str,
    kind: Callable[..., Any],
    options: Callable[[Callable[..., None]], Callable[..., None]],
) -> Callable[..., None]:
    """Add options to a command, which gets their values as one typed argument, a dataclass."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]

    @functools.wraps(command)
    def gathered(*arguments: Any, **given: Any) -> None:
        own = {field: given.pop(field) for field in names if field in given}
        command(*arguments, **{name: kind(**own)}, **given)

    return options(gathered)


def complete_models(*tasks: str) -> Callable[..., list[CompletionItem]]:
    """Make what completes the names of the models of some tasks; of all, where none is named."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from audiocli.nn import registry

        try:
            entries = registry.list_models(damaged=[])
        except AudioCliError:
            return []
        names = sorted({entry.name for entry in entries if not tasks or entry.task in tasks})
        found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="dir")]  # a model folder

    return complete


jobs_option = click.option(
    "-j",
    "--jobs",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Worker processes, each with a model of its own.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1),
    help="Segments that go through a network at once, each on one core. [the cores that "
    "--jobs leaves, OMP_NUM_THREADS of them, 8 at most]",
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Say what is done to each file."
)


def adding(options: list[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    """Make one decorator of several, the first on top."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


class RequestCommand(RenamingCommand):
    """A command whose parameters have the names of a request's fields.

    An error about a field names its option. ``--plot`` takes the next word only if that names a
    picture or a folder: so ``--plot song.wav`` draws the song, and ``--plot a.png song.wav`` does
    it into a.png. ``--quantize`` likewise takes only one of its choices, of which the first stands
    where none is named.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, with a value put behind every option of these that has none."""
        words: list[str] = []
        for index, word in enumerate(args):
            following = args[index + 1] if index + 1 < len(args) else ""
            named = following.lower().endswith((*PICTURES, "/"))
            if word == "--plot" and not named and self._optional("plot"):
                word = "--plot="
            known = self._optional("quantize")
            if word == "--quantize" and known and following not in known:
                word = f"--quantize={known[0]}"
            words.append(word)
        return super().parse_args(ctx, words)

    def _optional(self, name: str) -> Sequence[str]:
        """Give the choices of an option whose value may be missing."""
        for param in self.params:
            if param.name == name:
                return param.type.choices if isinstance(param.type, click.Choice) else ("",)
        return ()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with JSON as its format, errors are JSON too."""
        try:
            return super().invoke(ctx)
        except AudioCliError as error:
            if ctx.params.get("form") != "json" or isinstance(error, OutputError):
                raise
            click.echo(event("error", message=str(error)), err=True)
            sys.exit(status_of(error))


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic in some versions alone
    """Numbers with commas between them."""

    name = "text"

    def __init__(self, kind: type[float] | type[int], count: int | None = None) -> None:
        self.kind, self.count = kind, count

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Give them as a tuple."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(self.kind(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if not numbers or (self.count is not None and len(numbers) != self.count):
            what = "whole numbers" if self.kind is int else "numbers"
            several = what if self.count is None else f"{self.count} {what}"
            self.fail(f"{value}: use {several} with commas", param, ctx)
        return numbers


def split_words(text: str) -> tuple[str, ...]:
    """Read words with commas between them."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


#: Test-time augmentation; see :mod:`audiocli.tasks.separate.tta`.
tta_option = click.option(
    "--tta-pitches",
    type=click.Choice(["1", "3", "5", "7"]),
    callback=lambda context, option, value: None if value is None else int(value),
    help="Process everything at so many pitches and average the estimates: a little better, so "
    "many times as slow. [as the model has it, mostly 1]",
)


#: Formats of points in time, and of notes.
TIME_FORMATS = ["txt", "csv", "json", "jsonl", "sqlite", "lab", "jams", "audacity", "sv", "midi"]


def format_option(formats: Sequence[str], default: str) -> Callable[[Command], Command]:
    """Add ``--format``, which comes as `form`; without it the name of the output tells."""
    return click.option("--format", "form", type=click.Choice(formats),
                        help=f"[by the output's name; {default}]")  # fmt: skip


def plot_option(help: str) -> Callable[[Command], Command]:
    """Add ``--plot [FILE]``, for a :class:`RequestCommand`."""
    return click.option("--plot", metavar="[FILE]", help=help)


#: What only has a meaning where results go into files, by the names of the parameters.
FILE_OPTIONS = ("output", "files_from", "files_from0", "name", "manifest", "resume", "prune",
                "overwrite")  # fmt: skip


def refuse_given(names: Sequence[str], mode: str) -> None:
    """Refuse options that mean nothing in a mode of the command, such as ``--live``."""
    source = click.get_current_context().get_parameter_source
    given = [name for name in names if source(name) not in (None, ParameterSource.DEFAULT)]
    if given:
        listed = ", ".join(f"{{{name}}}" for name in given)
        raise FieldError(f"{listed}: cannot be used with {{{mode}}}", *given, mode)
