"""``audiocli evaluate classify`` and ``audiocli evaluate tag``."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audiocli.cli.evaluate.options import Evaluating, evaluation_options
from audiocli.cli.options import adding, gathering
from audiocli.cli.renaming import RenamingCommand
from audiocli.cli.train.classify import DATA, Fold, Selecting, selection_options

if TYPE_CHECKING:
    from audiocli.tasks.classify.evaluation import Choice, ClipEvaluation


@dataclass(frozen=True)
class Clips:
    """Which clips are scored, and by which model."""

    data: tuple[Path, ...]
    model: str | None
    only: tuple[str, ...]
    fold: tuple[int, int] | None
    allow_overlap: bool

    def choice(self, selecting: Selecting) -> Choice:
        """Give it as the task has it."""
        from audiocli.tasks.classify.evaluation import Choice

        return Choice(selecting.selection(), self.only, self.fold, self.allow_overlap)


def clip_options(*, model: str, shown: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add what both commands take; `model` says what there is for ``--model``."""
    options = [
        click.argument("data", nargs=-1, required=True, type=DATA),
        click.option("--model", metavar="NAME|DIR", help=model),
        click.option("--only", metavar="PATTERN", multiple=True,
                     help="Clips to take, as FOLDER/NAME with * and ?, or COLUMN=VALUE; may be "
                     "repeated. [all]"),
        click.option("--fold", metavar="I/N", type=Fold(),
                     help="Take part I of N, from 0: what the same --fold held out in training."),
        click.option("--allow-overlap", is_flag=True,
                     help="Score clips of groups that the model was trained on, which is refused "
                     "else."),
    ]  # fmt: skip

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        evaluated = selection_options(evaluation_options(shown=shown)(command))
        return gathering(evaluated, "clips", Clips, adding(options))

    return decorate


@click.command(cls=RenamingCommand)
@clip_options(
    model="Name or model folder. With --verify: [voice]",
    shown="table: the measures, and a row a class; csv: a row a clip, and one for all; json: both.",
)
@click.option(
    "--verify",
    "verifying",
    is_flag=True,
    help="Score an encoder: do two clips have one label? For --label speaker.",
)
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="CSV (columns label and class): the model's classes that stand for each label of DATA.",
)
@click.option("--plot", metavar="FILE", help="Draw the confusion matrix (.png, .svg, .pdf).")
@click.option("--overwrite", is_flag=True, help="Replace a picture that is there.")
def classify(
    clips: Clips,
    selecting: Selecting,
    verifying: bool,
    mapping: Path | None,
    plot: str | None,
    overwrite: bool,
    evaluating: Evaluating,
) -> None:
    """Score a classifier: accuracy with its 95 % interval, macro F1, calibration, each class.

    DATA: folders with a labels.csv, .parquet or .jsonl (columns path and label), such tables,
    folders with JAMS files beside the audio, or folders with a folder for each class. Clips of
    groups that the model was trained on are refused.
    """
    from audiocli.tasks.classify.evaluation import evaluate, verify

    if verifying and mapping:
        raise click.UsageError("--mapping is for classes; --verify has none")
    if verifying and plot:
        raise click.UsageError("--plot draws a confusion matrix; --verify has none")
    if not (verifying or clips.model):
        raise click.UsageError("name what is to be scored: --model NAME, or a model's folder")
    picture = _picture(plot, overwrite) if plot else None
    choice, reporter, warn = clips.choice(selecting), evaluating.reporter(), _warner(evaluating)
    if mapping is not None:
        choice = replace(choice, mapping=_mapping(mapping, clips.model or ""))
    if verifying:
        result = verify(
            clips.data, clips.model or "voice", choice, n_jobs=evaluating.n_jobs,
            device=evaluating.device, callbacks=reporter, warn=warn,
        )  # fmt: skip
    else:
        result = evaluate(
            clips.data, "classify", clips.model or "", choice, n_jobs=evaluating.n_jobs,
            device=evaluating.device, callbacks=reporter, warn=warn,
        )  # fmt: skip
    if picture is not None and result.scores.labels:
        from audiocli.tasks.classify.plot import plot_confusion

        matrix, labels = result.scores.confusion, result.scores.labels
        title = f"{result.entry.name}: {', '.join(path.resolve().name for path in clips.data)}"
        plot_confusion(picture, matrix, labels, title, overwrite=overwrite)
    _close(result, evaluating)


@click.command(cls=RenamingCommand)
@clip_options(
    model="Name or model folder. [music]",
    shown="table: the measures, and a row a tag; csv: a row a clip, and one for all; json: both.",
)
def tag(clips: Clips, selecting: Selecting, evaluating: Evaluating) -> None:
    """Score a tagger: ROC AUC with its 95 % interval, PR AUC, F-measure, calibration, each tag.

    DATA: as for `evaluate classify`; several labels of a clip stand in one cell, with ; between.
    Tags that are nowhere in DATA are left out.
    """
    from audiocli.tasks.classify.evaluation import evaluate

    result = evaluate(
        clips.data, "tag", clips.model or "music", clips.choice(selecting),
        n_jobs=evaluating.n_jobs, device=evaluating.device, callbacks=evaluating.reporter(),
        warn=_warner(evaluating),
    )  # fmt: skip
    _close(result, evaluating)


def _mapping(path: Path, model: str) -> dict[str, list[str]]:
    """Read which classes of a model stand for each label."""
    from audiocli.nn import registry
    from audiocli.tasks.classify.mapping import read_mapping

    return read_mapping(path, registry.find("classify", model).config["labels"])


def _picture(plot: str, overwrite: bool) -> Path:
    """Refuse, before any work, a picture that could not be drawn."""
    from audiocli.batch.placing import PICTURES

    path = Path(plot)
    if path.suffix.lower() not in PICTURES:
        raise click.UsageError(f"--plot {plot}: a picture's name ends in {', '.join(PICTURES)}")
    if path.exists() and not overwrite:
        raise click.UsageError(f"--plot {plot}: exists already; use --overwrite to replace it")
    return path


def _warner(evaluating: Evaluating) -> Callable[[str], None]:
    """Make what prints warnings about the choice of clips."""

    def warn(message: str) -> None:
        if not evaluating.quiet:
            click.echo(f"audiocli: {message}", err=True)

    return warn


def _close(result: ClipEvaluation, evaluating: Evaluating) -> None:
    """Print what was found, record it where that is wanted, and end."""
    from audiocli.cli.progress import finish
    from audiocli.tasks.classify.evaluation import record_scores

    scored, form = bool(result.numbers["clips"]), evaluating.form
    if scored or form == "json":
        {"json": _print_json, "csv": _print_csv, "table": _print_tables}[form](result)
    if evaluating.record and scored:
        record_scores(result, evaluating.record)
    finish(result.summary, quiet=evaluating.quiet)


def _print_json(result: ClipEvaluation) -> None:
    """Print everything; JSON has no NaN."""
    from audiocli.cli.tables import plain

    scores = result.scores
    told: dict[str, Any] = {"model": result.entry.name}
    told["total"] = plain(result.row()) if result.numbers["clips"] else None
    if scores.total:
        told["files"] = [plain(row) for row in scores.clips]
        told["classes"] = [plain(row) for row in scores.classes]
    if scores.labels:
        told["confusion"] = {"labels": scores.labels, "counts": scores.confusion.tolist()}
    click.echo(json.dumps(told, indent=1))


def _print_csv(result: ClipEvaluation) -> None:
    """Print a row a clip and one for all; of pairs of clips only the latter."""
    from audiocli.cli.tables import plain

    total = result.scores.total or result.row()
    writer = csv.DictWriter(sys.stdout, list(total))
    writer.writeheader()
    writer.writerows(plain(row) for row in (*result.scores.clips, total))


def _print_tables(result: ClipEvaluation) -> None:
    """Print the measures, and a row a class."""
    from audiocli.cli.tables import plain, print_table

    rows: list[tuple[Any, ...]] = [
        (
            each.name,
            "-" if math.isnan(each.value) else f"{100 * each.value:.1f} %",
            "; ".join(part for part in (each.interval, each.how) if part),
        )
        for each in result.scores.measures
    ]
    rows += [(name.replace("_", " "), value, "") for name, value in result.numbers.items()]
    print_table("", ("measure", "value", ""), rows)
    classes = result.scores.classes
    if classes:
        click.echo()
        shown = [["-" if value is None else value for value in plain(row).values()]
                 for row in classes]  # fmt: skip
        print_table("", list(classes[0]), shown)
