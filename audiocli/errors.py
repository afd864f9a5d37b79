"""The errors audiocli raises on purpose, and the warnings it issues.

Everything a user can cause and mend derives from one root, so that a caller
catches :class:`AudioCliError` and nothing else; a bug keeps its traceback::

    AudioCliError
    ├── UsageError      the request itself cannot be carried out as asked
    │   └── FieldError  one of its fields cannot be what it is
    ├── AudioError      a file or stream cannot be read, or written, as audio
    ├── ModelError      a model folder is missing, damaged or of the wrong kind
    └── DataError       a training or evaluation set is not laid out as expected

A message names the file, what is wrong, which values are valid, and the fix,
in one line.

What is not wrong but doubtful about a file, such as a part that was skipped, is an
:class:`AudioCliWarning`, a standard Python warning that :func:`warn` issues.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Collection, Iterable, Mapping

__all__ = [
    "AudioCliError",
    "AudioCliWarning",
    "AudioError",
    "DataError",
    "FieldError",
    "ModelError",
    "UsageError",
    "check_choice",
    "printable",
    "suggest",
    "warn",
]


class AudioCliError(Exception):
    """Root of every error that audiocli raises on purpose.

    Parameters
    ----------
    text : str
        The message; each field that it names stands in braces, at its first mention.
    *fields : str
        The names of those fields, which are those of parameters in Python and, as options, of the
        command line. Other braces are left as they are.
    """

    def __init__(self, text: str = "", *fields: str) -> None:
        self.text, self.fields = text, fields
        super().__init__(self.told({}))

    def __reduce__(self) -> tuple[type[AudioCliError], tuple[str, ...]]:
        return type(self), (self.text, *self.fields)

    def told(self, names: Mapping[str, str]) -> str:
        """Give the message, with these names in the place of the fields'."""
        text = self.text
        for field in self.fields:
            text = text.replace(f"{{{field}}}", names.get(field, field), 1)
        return text


class UsageError(AudioCliError):
    """The request cannot be carried out as asked (the CLI exits with 2)."""


class FieldError(UsageError):
    """A field of a request cannot be what it is; the command line names its option instead.

    Examples
    --------
    >>> error = FieldError("{min_gap} -1: must not be negative", "min_gap")
    >>> str(error), error.told({"min_gap": "--min-gap"})
    ('min_gap -1: must not be negative', '--min-gap -1: must not be negative')
    """


class AudioError(AudioCliError):
    """A file or stream cannot be read, or written, as audio."""


class ModelError(AudioCliError):
    """A model folder is missing, damaged, or made for something else."""


class DataError(AudioCliError):
    """A training or evaluation set is not laid out as expected."""


class AudioCliWarning(UserWarning):
    """Something about an input, or its result, that its reader should know."""


def warn(message: str) -> None:
    """Issue an :class:`AudioCliWarning`.

    A batch collects those of a file in its outcome, and the command line prints them with the
    file's name.

    Parameters
    ----------
    message : str
        One line, without the name of the file.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("no beat was found")
    >>> str(caught[0].message)
    'no beat was found'
    """
    warnings.warn(message, AudioCliWarning, stacklevel=3)


def printable(name: str) -> str:
    r"""Make a file name fit for a one-line message.

    Parameters
    ----------
    name : str
        The name, which may hold anything that a file system allows.

    Returns
    -------
    str
        The name with line breaks, control characters and the like escaped.

    Examples
    --------
    >>> print(printable("two\nlines.wav"))
    two\nlines.wav
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def suggest(name: str, choices: Iterable[str]) -> str:
    """Say which of the choices an unknown name may have meant.

    Parameters
    ----------
    name : str
        What was asked for.
    choices : iterable of str
        What there is.

    Returns
    -------
    str
        A clause to end a message with.

    Examples
    --------
    >>> suggest("drn", ["drnn", "rnn", "stacked"])
    "did you mean 'drnn'? There are: drnn, rnn, stacked"
    """
    names = sorted(choices)
    listing = f"There are: {', '.join(names)}" if names else "There are none"
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}? {listing}" if close else listing


def check_choice(what: str, value: str, choices: Collection[str]) -> None:
    """Refuse a value that is none of the choices.

    Parameters
    ----------
    what : str
        What is chosen, say ``architecture``.
    value : str
        What was asked for.
    choices : collection of str
        What there is.

    Raises
    ------
    UsageError
        If `value` is none of them.

    Examples
    --------
    >>> check_choice("cell", "gur", ["gru", "lstm"])
    Traceback (most recent call last):
    ...
    audiocli.errors.UsageError: unknown cell 'gur': did you mean 'gru'? There are: gru, lstm
    """
    if value not in choices:
        raise UsageError(f"unknown {what} {value!r}: {suggest(value, choices)}")
