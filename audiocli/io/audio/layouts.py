"""Speakers: where the channels of a file belong, and in which order each format keeps them.

Inside audiocli channels are in the order of WAV, which is also that of FLAC and FFmpeg: the
order of the bits of WAV's channel mask. Vorbis and Opus keep 3, 5, 6, 7 and 8 channels in an
order of their own, and know no other speakers than these.

References
----------
Microsoft, WAVEFORMATEXTENSIBLE (mmreg.h). Vorbis I specification, section 4.3.9 (output channel
order). RFC 7845, section 5.1.1.2 (Opus). RFC 9639, section 9.1.3 and 8.6.2 (FLAC).
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "SPEAKERS",
    "VORBIS_ORDER",
    "Layout",
    "layout_name",
    "layout_of_mask",
    "mask_of_layout",
    "ordered",
    "usual_layout",
    "vorbis_indices",
]

Layout = tuple[str, ...]
"""The speakers of the channels, by FFmpeg's names; empty where channels are no speakers."""

SPEAKERS: Layout = tuple("FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split())
"""Front left, right, centre, low-frequency effects, ...: the bits of WAV's mask, lowest first."""

_USUAL: dict[int, Layout] = {
    1: ("FC",),
    2: ("FL", "FR"),
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}

VORBIS_ORDER: dict[int, Layout] = {
    3: ("FL", "FC", "FR"),
    5: ("FL", "FC", "FR", "BL", "BR"),
    6: ("FL", "FC", "FR", "BL", "BR", "LFE"),
    7: ("FL", "FC", "FR", "SL", "SR", "BC", "LFE"),
    8: ("FL", "FC", "FR", "SL", "SR", "BL", "BR", "LFE"),
}
"""Order of the channels in Vorbis and Opus, by their number, where it is not that of WAV."""

_NAMES: dict[Layout, str] = {
    ("FC",): "mono",
    ("FL", "FR"): "stereo",
    ("FL", "FR", "LFE"): "2.1",
    ("FL", "FR", "FC"): "3.0",
    ("FL", "FR", "BC"): "3.0(back)",
    ("FL", "FR", "FC", "BC"): "4.0",
    ("FL", "FR", "BL", "BR"): "quad",
    ("FL", "FR", "SL", "SR"): "quad(side)",
    ("FL", "FR", "FC", "LFE"): "3.1",
    ("FL", "FR", "FC", "BL", "BR"): "5.0",
    ("FL", "FR", "FC", "SL", "SR"): "5.0(side)",
    ("FL", "FR", "FC", "LFE", "BL", "BR"): "5.1",
    ("FL", "FR", "FC", "LFE", "SL", "SR"): "5.1(side)",
    ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"): "6.1",
    ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"): "7.1",
}


def usual_layout(channels: int) -> Layout:
    """Give the speakers that FLAC, Vorbis and players take so many channels for."""
    return _USUAL.get(channels, ())


def layout_name(layout: Layout) -> str:
    """Name a layout for a message."""
    speakers = " ".join(layout)
    return f"{_NAMES[layout]} ({speakers})" if layout in _NAMES else speakers


def layout_of_mask(mask: int, channels: int) -> Layout:
    """Read a channel mask of WAV."""
    layout = tuple(name for bit, name in enumerate(SPEAKERS) if mask >> bit & 1)
    return layout if len(layout) == channels else ()


def mask_of_layout(layout: Layout) -> int:
    """Make the channel mask of WAV."""
    return sum(1 << SPEAKERS.index(name) for name in layout)


def ordered(names: Iterable[str]) -> tuple[Layout, list[int] | None]:
    """Bring channels of any order into that of WAV."""
    given = tuple(names)
    layout = tuple(name for name in SPEAKERS if name in given)
    if len(layout) != len(given):
        return (), None
    if layout == given:
        return layout, None
    return layout, [given.index(name) for name in layout]


def vorbis_indices(channels: int) -> list[int] | None:
    """Tell how channels in the order of WAV are put into that of Vorbis and Opus."""
    order = VORBIS_ORDER.get(channels)
    return None if order is None else [_USUAL[channels].index(name) for name in order]
