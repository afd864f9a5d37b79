"""A web page of what is known of a recording: one file, with all that it needs inside.

A page has a player with the pictures and results along time, the answers for the whole, and the
levels of its signals. Which of them are there is what :class:`Page` holds; ``audiocli report``
fills it with all that the tasks find, ``audiocli separate --report`` with the stems alone.

:mod:`~audiocli.page.content` is what a page holds, :mod:`~audiocli.page.sound` encodes and measures
signals, :mod:`~audiocli.page.waveform` and :mod:`~audiocli.page.picture` draw, and
:mod:`~audiocli.page.render` puts all into the template in ``assets``. The player stands on
wavesurfer.js, a copy of which is there too. Nothing is loaded from elsewhere, and the page's
content security policy holds the browser to that.
"""

from audiocli.page.content import Answer, Key, Page, PlayedChord, Span, Track
from audiocli.page.render import render, write

__all__ = [
    "Answer",
    "Key",
    "Page",
    "PlayedChord",
    "Span",
    "Track",
    "render",
    "write",
]
