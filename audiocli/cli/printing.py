"""Results on standard output, where there is nothing else to write them to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import click

from audiocli.batch import Outcome

__all__ = ["Printer"]


class Printer:
    """Make the lines of standard output from one file's outcome after another's.

    Parameters
    ----------
    form : str or None
        One of :data:`audiocli.io.formats.FORMATS`; None prints nothing.
    what : str
        What the results are, in the plural, for messages.
    render : callable
        Makes text of a result; told whether there are results of several files, and whether
        this is the first, which begins with what a format has at its head.
    joined : collection of str
        Formats that hold one result, but whose lines `render` names where there are several.

    Raises
    ------
    click.UsageError
        If the format is no text; when the number of files is known, if it holds one result only.
    """

    def __init__(
        self,
        form: str | None,
        what: str,
        render: Callable[[Any, bool, bool], str | bytes],
        *,
        joined: Collection[str] = (),
    ) -> None:
        self.form = form
        self.what = what
        self.render = render
        self.joined = joined
        self.several = False
        self.header = True
        if form == "midi":
            raise click.UsageError(f"--format {form} is no text; name a file by --output")

    def expect(self, total: int) -> None:
        """Hear how many files there are, before the first."""
        from audiocli.io import formats

        self.several = total > 1
        if not self.several or self.form is None or self.form in self.joined:
            return
        if not formats.FORMATS[self.form].joins:
            raise click.UsageError(
                f"--format {self.form} holds the {self.what} of one file; name a folder by --output"
            )

    def __call__(self, outcome: Outcome) -> Iterator[str]:
        """Make the lines of a file that is done."""
        if self.form is None:
            return
        text = self.render(outcome.value, self.several, self.header)
        assert isinstance(text, str)  # narrows the type; bytes are midi's alone
        self.header = False
        yield from text.removesuffix("\n").split("\n") if text else ()
