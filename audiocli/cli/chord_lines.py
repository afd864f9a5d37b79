"""From the options of ``audiocli chords`` to lines on standard output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from audiocli.batch import Outcome

#: Options that say what to make of the chords.
ASKED = ("vocabulary", "change", "simplify", "transpose", "roman", "key", "beats")
LEFT_OUT = (*ASKED, "jobs", "quiet", "verbose", "plot", "clicks")


def run_files(inputs: tuple[str, ...], options: dict[str, Any]) -> None:
    """Recognise the chords of files, and end with the exit status."""
    from audiocli.cli.progress import Reporter, finish
    from audiocli.tasks.chords import Asked, Products, recognize_files

    printer = _Printer(options["form"] or "lab") if options["output"] is None else None
    given = {name: value for name, value in options.items() if name not in LEFT_OUT}
    summary = recognize_files(
        inputs,
        asked=Asked(**{name: options[name] for name in ASKED}),
        products=Products(options["plot"], options["clicks"]),
        n_jobs=options["jobs"],
        listener=Reporter(
            quiet=options["quiet"],
            verbose=options["verbose"],
            expected=printer.expect if printer else lambda total: None,
            results=printer or (lambda outcome: ()),
        ),
        **given,
    )
    finish(summary, quiet=options["quiet"])


class _Printer:
    """Makes the lines of standard output from one file's outcome after another's."""

    def __init__(self, form: str) -> None:
        self.form = form
        self.several = False
        self.header = True
        if form == "midi":
            raise click.UsageError(f"--format {form} is no text; name a file by --output")

    def expect(self, total: int) -> None:
        """Hear how many files there are, before the first."""
        from audiocli import formats

        self.several = total > 1
        if self.several and self.form != "lab" and not formats.FORMATS[self.form].joins:
            raise click.UsageError(
                f"--format {self.form} holds the chords of one file; name a folder by --output"
            )

    def __call__(self, outcome: Outcome) -> Iterator[str]:
        from audiocli import formats
        from audiocli.tasks.chords.files import writing

        options = writing(outcome.value, file=self.several, header=self.header)
        self.header = False
        text = formats.render(outcome.value, self.form, options)
        assert isinstance(text, str)
        lines = text.removesuffix("\n").split("\n") if text else []
        # A lab file has no place for a name, so here it is put behind the label.
        named = f"\t{outcome.value.file}" if self.several and self.form == "lab" else ""
        yield from (line + named for line in lines)
