"""From the options of ``audiocli train`` to a training run, with its progress shown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from audiocli.nn.fit import Epoch, FitConfig
    from audiocli.tasks.classify.clips import Selection

#: Options that are arguments of the network, where they are given.
ARGUMENTS = (
    "hidden_size",
    "num_layers",
    "nonlinearity",
    "cell",
    "bidirectional",
    "context",
    "power",
    "dropout",
)
#: Options that are for networks trained from the first layer on.
NOT_OF_HEADS = {
    "start": "--from",
    "as_encoder": "--as-encoder",
    "hidden_size": "--hidden-size",
    "num_layers": "--layers",
    "channels": "--channels",
}
RECIPE = ("epochs", "steps", "batch_size", "optimizer", "learning_rate", "patience", "half",
          "keep_statistics", "seed")  # fmt: skip


def run_separate(options: dict[str, Any]) -> None:
    """Train a separation network as the options say."""
    from audiocli.tasks.separate.training import AUGMENTATIONS, TrainingConfig, train

    arguments = {name: options[name] for name in ARGUMENTS if options[name] is not None}
    if options["arch"] in ("conv-drnn", "stereo-drnn") and "num_layers" in arguments:
        arguments["num_recurrent"] = arguments.pop("num_layers")
    if options["recurrent_layer"]:
        arguments["recurrent_layers"] = list(options["recurrent_layer"])
    course = TrainingConfig(
        architecture=options["arch"],
        arguments=arguments,
        loss=options["loss"],
        gamma=options["gamma"],
        augmentation=AUGMENTATIONS[options["augment"]],
        seconds=options["seconds"],
        recipe=_recipe(options),
    )
    given: dict[str, Any] = {
        name: options[name] for name in ("voices", "backings", "dev", "licences", "start", "device")
    }
    with _Shown(options, "dev {:.2f} dB") as shown:
        entry = train(options["data"], options["output"], course, **given, **shown.listeners)
    click.echo(str(entry.folder))


def run_onsets(options: dict[str, Any]) -> None:
    """Train an onset detector as the options say."""
    from audiocli.tasks.onsets.examples import AUGMENTATIONS
    from audiocli.tasks.onsets.training import ARCHITECTURES, TrainingConfig, train

    arguments = {
        name: options[name] for name in ("hidden_size", "num_layers") if options[name] is not None
    }
    if options["channels"]:
        arguments["channels"] = _numbers("--channels", options["channels"])
    if options["num_layers"] and ARCHITECTURES[options["arch"]][0] == "frame-rnn":
        arguments["recurrent_layers"] = list(range(1, options["num_layers"] + 1))
    course = TrainingConfig(
        architecture=options["arch"],
        arguments=arguments,
        augmentation=AUGMENTATIONS[options["augment"]],
        fuzz=options["fuzz"],
        seconds=options["seconds"],
        recipe=_recipe(options),
    )
    given: dict[str, Any] = {
        name: options[name] for name in ("held_out", "dev", "licences", "start", "device")
    }
    with _Shown(options, "dev F-measure {:.1f} %") as shown:
        entry = train(options["data"], options["output"], course, **given, **shown.listeners)
    click.echo(str(entry.folder))


def run_chords(options: dict[str, Any]) -> None:
    """Train a chord recogniser as the options say."""
    from audiocli.tasks.chords.examples import AUGMENTATIONS
    from audiocli.tasks.chords.training import Rendering, TrainingConfig, train

    arguments: dict[str, Any] = {}
    if options["channels"]:
        arguments["channels"] = _numbers("--channels", options["channels"])
    if options["num_circles"]:
        arguments["num_circles"] = options["num_circles"]
    course = TrainingConfig(
        arguments=arguments,
        augmentation=AUGMENTATIONS[options["augment"]],
        seconds=options["seconds"],
        recipe=_recipe(options),
    )
    rendering = Rendering(tuple(options["fonts"]), options["kind"], options["made_up"])
    given: dict[str, Any] = {
        name: options[name] for name in ("held_out", "dev", "licences", "kept", "start", "device")
    }
    with _Shown(options, "dev {:.1f} %") as shown:
        entry = train(
            options["data"], options["output"], course, rendering=rendering, **given,
            **shown.listeners,
        )  # fmt: skip
    click.echo(str(entry.folder))


def run_features(options: dict[str, Any]) -> None:
    """Learn a basis of spectra as the options say."""
    from audiocli.nn.frontend import FilterbankConfig
    from audiocli.tasks.features.training import TrainingConfig, train

    names = ("components", "hidden_size", "penalty")
    rate, frame = options["rate"], options["frame"]
    course = TrainingConfig(
        basis=options["basis"],
        arguments={name: options[name] for name in names if options[name] is not None},
        frontend=FilterbankConfig(
            rate, (frame,), options["hop"] or max(frame // 4, 1), options["bands"],
            options["scale"], fmin=30.0, fmax=rate / 2, difference=False,
        ),
        seconds=options["seconds"],
        recipe=_recipe(options),
    )  # fmt: skip
    given: dict[str, Any] = {
        name: options[name] for name in ("held_out", "dev", "licences", "device")
    }
    with _Shown(options, "held-out variance explained {:.2f} %") as shown:
        entry = train(
            options["data"],
            options["output"],
            course,
            warn=lambda message: click.echo(f"audiocli: {message}", err=True),
            **given,
            **shown.listeners,
        )
    click.echo(str(entry.folder))


def run_classes(task: str, options: dict[str, Any]) -> None:
    """Train a classifier or tagger as the options say."""
    from audiocli.tasks.classify import heads, training
    from audiocli.tasks.classify.examples import AUGMENTATIONS
    from audiocli.tasks.classify.material import gather

    selection = selection_of(options)
    augmentation = AUGMENTATIONS[options["augment"]]
    recipe = _recipe(options)
    given = {name: options[name] for name in ("held_out", "dev", "licences")}
    if options["arch"] == "head":
        for name, option in NOT_OF_HEADS.items():
            if options[name]:
                raise click.UsageError(f"{option}: is not for --arch head; choose another --arch")
        fitting = heads.Fitting(
            task, options["encoders"], augmentation, balanced=not options["unbalanced"],
            deviation=options["deviation"] or "apart", whiten=options["whiten"],
            seed=options["seed"],
        )  # fmt: skip
        entry = heads.train(
            options["data"], options["output"], fitting, selection, parts=options["parts"],
            judge=options["judge"],
            fold=fold_of(options["fold"]), device=options["device"], **given,
        )  # fmt: skip
        click.echo(str(entry.folder))
        return
    if options["parts"]:
        raise click.UsageError("--cross-validate: is for --arch head alone; use --fold")
    names = ("hidden_size", "num_layers")
    arguments = {name: options[name] for name in names if options[name] is not None}
    if options["channels"]:
        arguments["channels"] = _numbers("--channels", options["channels"])
    course = training.TrainingConfig(
        task, options["arch"], arguments, options["listen"], options["start"], augmentation,
        options["loss"], options["seconds"], recipe,
    )  # fmt: skip
    open_set = course.loss == "margin"
    split = gather(
        options["data"], selection, task, fold=fold_of(options["fold"]), open_set=open_set, **given
    )
    score = "dev accuracy {:.1f} %" if task == "classify" else "dev ROC AUC {:.1f} %"
    score = "100 - dev equal error rate {:.1f} %" if open_set else score
    with _Shown(options, score) as shown:
        entry = training.train(
            split, options["output"], course, as_encoder=options["as_encoder"],
            device=options["device"], **shown.listeners,
        )  # fmt: skip
    click.echo(str(entry.folder))


def selection_of(options: dict[str, Any]) -> Selection:
    """Say which labels and groups the options mean."""
    from audiocli.tasks.classify.clips import Selection

    renamed = {}
    for pair in options["rename"]:
        old, equals, new = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--rename {pair}: use OLD=NEW")
        renamed[old] = new
    columns = tuple(options["columns"]) or ("label",)
    several = bool(options["several"])
    return Selection(
        columns, options["group"], renamed, options["least"], several, options["within"]
    )


def fold_of(text: str | None) -> tuple[int, int] | None:
    """Read I/N: part I of N, from 0."""
    if text is None:
        return None
    place, slash, parts = text.partition("/")
    if not (slash and place.isdecimal() and parts.isdecimal()):
        raise click.UsageError(f"--fold {text}: use I/N, say 0/5")
    return int(place), int(parts)


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"{option} {text}: use whole numbers with commas") from None


def _recipe(options: dict[str, Any]) -> FitConfig:
    import torch

    from audiocli.nn.fit import FitConfig

    if options["threads"]:
        torch.set_num_threads(options["threads"])
    return FitConfig(**{name: options[name] for name in RECIPE})


class _Shown:
    """Shows how training goes: a bar on a terminal, and a line an epoch."""

    def __init__(self, options: dict[str, Any], score: str) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self.epochs, self.score = options["epochs"], score
        self.console = Console(stderr=True)
        hidden = not sys.stderr.isatty()
        self.progress = Progress(console=self.console, transient=True, disable=hidden)
        self.bar = self.progress.add_task("epoch", total=None)

    def __enter__(self) -> _Shown:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    @property
    def listeners(self) -> dict[str, Any]:
        """What a training run tells how it goes."""
        return {"report": self._report, "progress": self._advance}

    def _report(self, epoch: Epoch) -> None:
        # Through the console that draws the bar, so that neither tears the other.
        self.console.print(
            f"epoch {epoch.number}/{self.epochs}  loss {epoch.loss:.4f}  "
            f"{self.score.format(epoch.score)}{' *' if epoch.best else ''}  "
            f"{epoch.seconds / 60:.1f} min",
            highlight=False,
            soft_wrap=True,
        )

    def _advance(self, done: int, total: int) -> None:
        self.progress.update(self.bar, completed=done, total=total)
