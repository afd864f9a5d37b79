r"""How results name a recording: one rule for all formats.

A name is the path as it was given or, of a file in a folder that was given, its path below that
folder. It is written so that it is valid UTF-8, stays on its line, and is taken neither for a
formula nor for an option:

- folders are parted by ``/`` on every system;
- a backslash is written ``\\``, a tab ``\t``, a line break ``\n``, a carriage return ``\r``;
- another control character is ``\x1b`` or ``\u0085``, by its number;
- a byte that is not UTF-8 is ``\xe9``, by its value;
- a name that begins with ``=``, ``+``, ``-`` or ``@`` has ``./`` before it.

:func:`actual_name` gives the name back.
"""

from __future__ import annotations

import os
import re
import unicodedata

__all__ = ["actual_name", "cell", "plain_words", "words", "written_name"]

_SHORT = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\(\\|t|n|r|x[0-9a-f]{2}|u[0-9a-f]{4})")
_SPECIAL = ("=", "+", "-", "@")
_FORMULA = re.compile(r"'*[=+\-@].|'+[=+\-@]", re.DOTALL)


def written_name(name: str) -> str:
    r"""Write a name as results do."""
    if os.sep != "/":
        name = name.replace(os.sep, "/")
    text = "".join(map(_written, name))
    return f"./{text}" if text.startswith(_SPECIAL) and text != "-" else text


def _written(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that Python could not decode
        return f"\\x{number - 0xDC00:02x}"
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}"
    return character


def actual_name(text: str) -> str:
    r"""Give the name that :func:`written_name` wrote."""
    return _ESCAPED.sub(_actual, text)


def _actual(match: re.Match[str]) -> str:
    code = match[1]
    plain = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
    if code in plain:
        return plain[code]
    number = int(code[1:], 16)
    return chr(0xDC00 + number if code[0] == "x" and number >= 0x80 else number)


def cell(text: str) -> str:
    """Quote a cell of csv where it must be (RFC 4180), and where it would begin a comment."""
    text = text.replace("\0", "\ufffd")  # readers, Python's 3.10 among them, refuse NUL
    special = any(c in text for c in ',"\r\n') or text.startswith("#")
    return '"' + text.replace('"', '""') + '"' if special else text


def words(text: str) -> str:
    """Make a cell of csv of words, which a spreadsheet is not to take for a formula."""
    return cell(f"'{text}" if _FORMULA.match(text) else text)


def plain_words(text: str) -> str:
    """Give the text that :func:`words` made a cell of, once csv is read."""
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text
