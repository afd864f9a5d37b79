"""From the options of ``audiocli chords`` to lines on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audiocli.cli.printing import Printer

if TYPE_CHECKING:
    from audiocli.io.formats import Segments

#: Options that say what to make of the chords.
ASKED = ("vocabulary", "change", "simplify", "transpose", "roman", "key", "beats")
LEFT_OUT = (*ASKED, "jobs", "quiet", "verbose", "plot", "clicks")


def run_files(inputs: tuple[str, ...], options: dict[str, Any]) -> None:
    """Recognise the chords of files, and end with the exit status."""
    from audiocli.cli.progress import Reporter, finish
    from audiocli.io import formats
    from audiocli.tasks.chords import Asked, Products, recognize_files
    from audiocli.tasks.chords.files import writing

    form = options["form"] or "lab"

    def render(result: Segments, several: bool, header: bool) -> str | bytes:
        text = formats.render(result, form, writing(result, file=several, header=header))
        if several and form == "lab" and isinstance(text, str):
            # A lab file has no place for a name, so here it is put behind the label.
            return text.replace("\n", f"\t{result.file}\n")
        return text

    to_print = form if options["output"] is None else None
    printer = Printer(to_print, "chords", render, joined=["lab"])
    given = {name: value for name, value in options.items() if name not in LEFT_OUT}
    summary = recognize_files(
        inputs,
        asked=Asked(**{name: options[name] for name in ASKED}),
        products=Products(options["plot"], options["clicks"]),
        n_jobs=options["jobs"],
        listener=Reporter(
            quiet=options["quiet"],
            verbose=options["verbose"],
            expected=printer.expect,
            results=printer,
        ),
        **given,
    )
    finish(summary, quiet=options["quiet"])
