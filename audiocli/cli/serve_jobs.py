"""``audiocli serve-jobs``: jobs from standard input, each answered by a line of JSON."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from audiocli.batch import Callbacks, Outcome
from audiocli.cli.events import job_fields
from audiocli.cli.options import Batch
from audiocli.cli.renaming import RenamingCommand
from audiocli.cli.running import SERVED
from audiocli.errors import AudioCliError, AudioCliWarning, printable

if TYPE_CHECKING:
    from audiocli.tasks.declaration import Declaration, Work

__all__ = ["serve_jobs"]

COMMANDS = ("analyze", "beats", "chords", "classify", "features", "notes", "onsets", "report",
            "separate", "tag")  # fmt: skip
#: So many models, each with its options, stay in memory; the one not used for longest goes.
WARM = 4
#: Bytes of a line.
LONGEST = 1 << 20
#: What a job may say.
FIELDS = ("id", "command", "input", "inputs", "output", "options")
#: Options by which a job would take the place of the loop, or of the pipe that jobs come by.
REFUSED = ("--files-from", "--files-from0", "-0", "--jobs", "-j", "--scheduler", "--cluster",
           "--online", "--live", "--help", "-h")  # fmt: skip


class JobError(AudioCliError):
    """A job that cannot be understood."""


@dataclass(frozen=True)
class Request:
    """A job, as it was read.

    Parameters
    ----------
    command : str
    options : tuple of str
        As on a command line, without inputs and output.
    inputs : tuple of str
    output : str or None
    id : Any
        What the answer gives back.
    """

    command: str
    options: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str | None = None
    id: Any = None


@dataclass
class Outcomes(Callbacks):
    """Keeps what became of each input."""

    made: list[Outcome] = field(default_factory=list)

    def finished(self, outcome: Outcome) -> None:
        """Keep an outcome; its warnings go into the answer."""
        self.made.append(outcome)


@click.command(
    "serve-jobs",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND [OPTIONS]]")
def serve_jobs(words: tuple[str, ...]) -> None:
    """Do jobs from standard input as they come, with models that stay loaded.

    A line is the path of a recording, for COMMAND with these OPTIONS, or a JSON object: input,
    or inputs, and if need be command, options, output and id. Each is answered by one line of
    JSON on standard output, in order; a job that fails is answered too, and the next one follows.

    COMMAND: analyze, beats, chords, classify, features, notes, onsets, report, separate, tag.
    """
    if words and words[0] not in COMMANDS:
        raise click.UsageError(f"{words[0]}: is no command that jobs can be of; "
                               f"these are {', '.join(COMMANDS)}")  # fmt: skip
    server = Server(words[0] if words else None, tuple(words[1:]))
    server.prepare()
    for line in _lines(sys.stdin.buffer):
        answer = server.answer(line)
        click.echo(json.dumps(answer, ensure_ascii=False))
        sys.stdout.flush()


def _lines(stream: Any) -> Iterator[str]:
    """Read lines that hold something; what is too long is cut, and so is no job."""
    while line := stream.readline(LONGEST):
        if not line.endswith(b"\n") and len(line) == LONGEST:
            while (more := stream.readline(LONGEST)) and not more.endswith(b"\n"):
                pass
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if text.strip():
            yield text


class Server:
    """Answers jobs, and keeps the models that they need.

    Parameters
    ----------
    command : str or None
        Of jobs that name none.
    options : tuple of str
        Of that command.
    """

    def __init__(self, command: str | None, options: tuple[str, ...]) -> None:
        self.command, self.options = command, options
        self.warm: OrderedDict[str, Work[Any]] = OrderedDict()

    def prepare(self) -> None:
        """Refuse wrong options before the first job, and load the model."""
        if self.command is None:
            return

        def load(batch: Batch, declared: Declaration[Any]) -> None:
            self._work(self.command or "", self.options, declared)

        wanted = Request(self.command, self.options, ())
        if self.command not in ("separate", "report"):  # which need an output, or an input
            _invoke(wanted, load)

    def answer(self, line: str) -> dict[str, Any]:
        """Do a job, whatever comes of it."""
        request: Request | None = None
        told: dict[str, Any] = {}
        outcomes, printed = Outcomes(), io.StringIO()
        try:
            request = self._read(line)
            told = {} if request.id is None else {"id": request.id}
            told["command"] = request.command
            with _quietly(printed) as messages:
                results = self._do(request, outcomes)
            return told | _answered(outcomes.made, results, messages, printed.getvalue())
        except click.exceptions.Exit:
            return told | _failed(printed.getvalue().strip() or "it is no job")
        except click.ClickException as error:
            return told | _failed(error.format_message())
        except AudioCliError as error:
            return told | _failed(str(error))
        except SystemExit as end:
            if end.code in (143, 129):  # SIGTERM, SIGHUP
                raise
            return told | _failed(f"ended with status {end.code}")
        except Exception as error:  # a bug; the next job may do
            import traceback

            lines = "".join(traceback.format_exception(error))
            return told | {**_failed(f"internal error: {type(error).__name__}: {error}"),
                           "traceback": lines}  # fmt: skip

    def _read(self, line: str) -> Request:
        if not line.lstrip().startswith("{"):
            if self.command is None:
                raise JobError(f"{printable(line)}: no command is named; start audiocli serve-jobs "
                               "with one, or send a JSON object")  # fmt: skip
            return Request(self.command, self.options, (line,))
        try:
            job = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise JobError(f"the line is no JSON: {error}") from error
        return self._understood(job)

    def _understood(self, job: Mapping[str, Any]) -> Request:
        unknown = [str(name) for name in job if name not in FIELDS]
        if unknown:
            raise JobError(f"{', '.join(unknown)}: no field of a job; these are "
                           f"{', '.join(FIELDS)}")  # fmt: skip
        command = job.get("command", self.command)
        if command not in COMMANDS:
            raise JobError(f"command {command!r}: must be one of {', '.join(COMMANDS)}")
        inputs = job.get("inputs", [job["input"]] if "input" in job else [])
        texts = isinstance(inputs, list) and all(isinstance(each, str) for each in inputs)
        if not texts or not inputs or ("input" in job and "inputs" in job):
            raise JobError("give a path as input, or a list of paths as inputs")
        output = job.get("output")
        if output is not None and not isinstance(output, str):
            raise JobError("output: give a path")
        base = self.options if command == self.command else ()
        return Request(command, (*base, *_words(job.get("options") or {})), tuple(inputs), output,
                       job.get("id"))  # fmt: skip

    def _do(self, request: Request, outcomes: Outcomes) -> list[Any]:
        """Run the command on the inputs; give what each result is in JSON."""
        from audiocli.tasks.runner import run_declared

        results: list[Any] = []

        def serve(batch: Batch, declared: Declaration[Any]) -> None:
            work = self._work(request.command, request.options, declared)
            kept = replace(declared, make_work=lambda: work)
            run_declared(kept, batch.inputs, batch.options, outcomes)
            results.extend(_result(declared, outcome) for outcome in outcomes.made)

        _invoke(request, serve)
        return results

    def _work(self, command: str, options: Sequence[str], declared: Declaration[Any]) -> Work[Any]:
        """Load what a command needs, or take it from a job before with the same options."""
        weights = [entry.config.get("weights_sha256") for entry in declared.models]
        key = json.dumps([command, list(options), weights])
        if key in self.warm:
            self.warm.move_to_end(key)
        else:
            self.warm[key] = declared.make_work()
            if len(self.warm) > WARM:
                self.warm.popitem(last=False)
        return self.warm[key]


def _words(options: Any) -> list[str]:
    """Write options as words: a list of them as it is, or names and values."""
    if isinstance(options, list) and all(isinstance(each, str) for each in options):
        words = list(options)
    elif isinstance(options, dict):
        words = []
        for name, value in options.items():
            option = "--" + str(name).replace("_", "-")
            for each in value if isinstance(value, list) else [value]:
                if each is True:
                    words.append(option)
                elif each is not False and each is not None:
                    words.append(f"{option}={each}")
    else:
        raise JobError("options: an object of names and values, or a list of words")
    return words


def _invoke(request: Request, serve: Callable[[Batch, Declaration[Any]], None]) -> None:
    """Have a command make its declaration of the words of a job."""
    from audiocli.cli import cli

    command = cli.commands[request.command]
    given = [word for word in request.options if word.partition("=")[0] in REFUSED]
    if given:
        raise JobError(f"{given[0]}: cannot be an option of a job")
    if "-" in request.inputs:
        raise JobError("-: standard input brings the jobs; give a path")
    own = {name for param in command.params for name in param.opts}
    words = list(request.options)
    if request.output is not None:
        words.append(f"--output={request.output}")
    elif "--format" in own and not any(word.startswith("--format") for word in words):
        words.append(f"--format={'jsonl' if request.command in ONE_ROW else 'json'}")
    parent = click.get_current_context().parent
    context = command.make_context(request.command, [*words, "--", *request.inputs], parent=parent)
    context.meta[SERVED] = serve
    with context:
        # The command's own way to print an error would end the loop.
        RenamingCommand.invoke(command, context)  # type: ignore[arg-type]  # all are of this kind


#: Commands whose result is a row of a table.
ONE_ROW = ("features", "analyze", "report")


def _result(declared: Declaration[Any], outcome: Outcome) -> Any:
    """Give a result as JSON has it; None where it went into a file."""
    place = declared.destination
    if outcome.status != "done" or outcome.value is None or declared.results is None:
        return None
    if place.file is not None or place.folder is not None or not declared.results.prints:
        return None
    text = declared.results.render(outcome.value, False, True)
    if place.form not in ("json", "jsonl") or not isinstance(text, str):
        return text
    rows = [json.loads(text)] if place.form == "json" else [*map(json.loads, text.splitlines())]
    return rows[0] if len(rows) == 1 else rows


def _answered(
    made: Sequence[Outcome], results: Sequence[Any], messages: Sequence[str], printed: str
) -> dict[str, Any]:
    """Say what became of a job."""
    files: list[dict[str, Any]] = []
    for outcome, result in zip(made, results, strict=True):
        told = {name: value for name, value in job_fields(outcome).items() if value is not None}
        files.append({**told, "result": result} if result is not None else told)
    if not files:
        return _failed(printed.strip() or "there was nothing to do")
    answer = files[0]
    if len(files) > 1:
        failed = any(each["status"] == "failed" for each in files)
        answer = {"status": "failed" if failed else "done", "files": files}
    if messages:
        answer["warnings"] = [*answer.get("warnings", []), *messages]
    return answer


def _failed(message: str) -> dict[str, Any]:
    return {"status": "failed", "message": " ".join(message.split())}


@contextlib.contextmanager
def _quietly(printed: io.StringIO) -> Iterator[list[str]]:
    """Keep what a command prints out of the answers; give the warnings outside of any file."""
    import warnings

    messages: list[str] = []
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("always", AudioCliWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if issubclass(category, AudioCliWarning):
                messages.append(str(message))
            else:
                others(message, category, *where)

        warnings.showwarning = show  # type: ignore[assignment]  # it takes the rest as it comes
        yield messages
