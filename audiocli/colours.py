"""The colours of all plots: told apart by people who do not see all colours, as a test holds.

Colours stand for no more than their place in a legend says, and what must be told apart also
differs in its form: a line on a filled waveform, a dashed line, a label on a chord. Pages have
theirs in ``page/assets/page.css``, one set for light and one for dark.

References
----------
.. [1] M. Okabe and K. Ito, "Color Universal Design", 2008. https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

__all__ = [
    "BEAT",
    "BLUE",
    "CONTOUR",
    "CURVE",
    "GREEN",
    "GREY",
    "LIMIT",
    "MARK",
    "NOTE",
    "ORANGE",
    "PURPLE",
    "UNDEFINED",
    "VERMILION",
    "WAVE",
]

#: Those of Okabe and Ito, for lines and points that are compared.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
VERMILION, PURPLE, GREY = "#D55E00", "#CC79A7", "#767676"

#: What stands for the same in all plots of results: waveforms, found points in time, what a network
#: or a formula gives along time, thresholds, beats, notes and their pitch.
WAVE, MARK, CURVE, LIMIT = "#4c6a92", "#d1495b", "#22577a", "#e69f00"
BEAT, NOTE, CONTOUR = "#3d405b", "#7fb3d5", "#1b2a49"
#: Of an image, where there is no value.
UNDEFINED = "#e4e4e4"
