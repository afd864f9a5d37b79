"""Colours that stand side by side are told apart with every kind of colour blindness."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from places import ROOT

from audiocli import colours

#: What is left of linear RGB: G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, "A
#: Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, severity 1.
SEEN = {
    "all": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                 [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
LEAST = 0.055  # of OKLab's distance, where 0.02 is just seen
OKABE_ITO = ("BLUE", "ORANGE", "GREEN", "VERMILION", "PURPLE", "GREY")
TOGETHER = [*itertools.combinations(OKABE_ITO, 2), ("WAVE", "MARK"), ("WAVE", "BEAT"),
            ("MARK", "BEAT"), ("CURVE", "MARK"), ("CURVE", "BEAT"), ("CURVE", "LIMIT"),
            ("MARK", "LIMIT"), ("NOTE", "CONTOUR"), ("NOTE", "MARK")]  # fmt: skip


def oklab(colour: str, seen: str) -> NDArray[np.float64]:
    encoded = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(SEEN[seen]) @ linear, 0, 1)
    cones = np.cbrt(np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                              [0.2119034982, 0.6806995451, 0.1073969566],
                              [0.0883024619, 0.2817188376, 0.6299787005]]) @ linear)  # fmt: skip
    axes = [[0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    return np.array(axes) @ cones


@pytest.mark.parametrize("seen", SEEN)
def test_colours_are_told_apart(seen: str) -> None:
    for pair in TOGETHER:
        one, two = (oklab(getattr(colours, name), seen) for name in pair)
        assert np.linalg.norm(one - two) > LEAST, pair


def test_plots_have_no_colours_of_their_own() -> None:
    lessons = {getattr(colours, name).lower() for name in OKABE_ITO}
    for file in sorted((ROOT / "audiocli").rglob("*.py")):
        if file.name == "colours.py" or "formats" in file.parts:  # those of other programs
            continue
        found = set(re.findall(r'"(#[0-9a-fA-F]{6})"', file.read_text("utf-8")))
        own = {colour.lower() for colour in found}
        if file.parent == Path(ROOT, "audiocli", "learn"):  # to be copied: they name them again
            own = {colour for colour in own - lessons if min(_channels(colour)) < 0xA0}  # no tints
        assert not own - TINTS, file


def _channels(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


#: Fainter shades of what is named.
TINTS = {"#a9bccb"}
