"""Results on standard output, where there is nothing else to write them to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from audiocli.batch import Outcome
from audiocli.errors import FieldError

if TYPE_CHECKING:
    from audiocli.tasks.declaration import Results

__all__ = ["Printer"]


class Printer:
    """Make the lines of standard output from one file's outcome after another's.

    Parameters
    ----------
    results : Results or None
        Makes text of them; None prints nothing.
    what : str
        What the results are, in the plural, for messages.
    """

    def __init__(self, results: Results | None, what: str) -> None:
        self.results = results
        self.what = what
        self.several = False
        self.header = True
        if results is not None and not results.prints:
            raise FieldError(
                f"{{form}} {results.form} is no text; name a file by {{output}}", "form", "output"
            )

    def expect(self, total: int) -> None:
        """Take the number of files, before the first."""
        self.several = total > 1
        if self.several and self.results is not None and not self.results.prints_several:
            raise FieldError(
                f"{{form}} {self.results.form} holds the {self.what} of one file; name a folder "
                "by {output}",
                *("form", "output"),
            )

    def __call__(self, outcome: Outcome) -> Iterator[str]:
        """Make the lines of a file that is done."""
        if self.results is None:
            return
        text = self.results.render(outcome.value, self.several, self.header)
        assert isinstance(text, str)  # narrows the type; what is printed is text
        self.header = False
        # In one piece: a line at a time would take longer than the features.
        if text:
            yield text.removesuffix("\n")
