"""Models of others that can be had on request: where they lie, what they are, whose terms hold.

Data only, so that a message can name a model's licence without loading anything.
:mod:`audiocli.nn.installing` fetches them.

A pin is a SHA-256 or its beginning. The authors of all these models put the first eight digits
into the names of their files, and publish no more. Where a whole sum stands here, it is the one
that several unrelated projects recorded of the same file, and begins with the authors' digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CATALOGUE", "Checkpoint", "Offer", "hint"]


@dataclass(frozen=True)
class Checkpoint:
    """One file to fetch.

    Parameters
    ----------
    url : str
        Where its authors keep it.
    pin : str
        Its SHA-256, or the beginning of it.
    size : int
        In bytes; to show, so nearly is enough.
    """

    url: str
    pin: str
    size: int

    @property
    def name(self) -> str:
        """What the file is called, there and in a mirror."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Offer:
    """A model that can be installed.

    Parameters
    ----------
    name : str
        What ``--model`` takes once it is there.
    architecture : str
        The registered network that reads its files and runs them.
    extra : str
        The optional dependencies of audiocli that it needs.
    files : tuple of Checkpoint
        In the order that the network wants.
    licence : str
        Of the weights.
    description, data, limits, citation : str
        For its card: what it is, what it was trained on, what to beware of, what to cite.
    decoder : mapping
        How a recording is cut for it, in seconds.
    options : mapping
        What the network must know besides the files.
    task : str
        What it is made for.
    """

    name: str
    architecture: str
    extra: str
    files: tuple[Checkpoint, ...]
    licence: str
    description: str
    data: str
    limits: str
    citation: str
    decoder: Mapping[str, float]
    options: Mapping[str, Any] = field(default_factory=dict)
    task: str = "separate"

    @property
    def megabytes(self) -> int:
        """How much is to be fetched, in millions of bytes."""
        return round(sum(file.size for file in self.files) / 1e6)


def _demucs(folder: str, size: int, *files: str) -> tuple[Checkpoint, ...]:
    """Name checkpoints as the package demucs does: signature, first digits of the sum."""
    root = f"https://dl.fbaipublicfiles.com/demucs/{folder}"
    named = [file.split() for file in files]
    return tuple(Checkpoint(f"{root}/{name}-{pin[:8]}.th", pin, size) for name, pin in named)


def _unmix(record: int, size: int, *files: tuple[str, str]) -> tuple[Checkpoint, ...]:
    """Name checkpoints as the package openunmix does: target, first digits of the sum."""
    root = f"https://zenodo.org/records/{record}/files"
    return tuple(Checkpoint(f"{root}/{target}-{pin}.pth", pin, size) for target, pin in files)


#: Hybrid transformers take 7.8 seconds, no more and no less: these parts make that up.
_TRANSFORMER = {"segment_seconds": 5.4, "context_seconds": 0.6, "fade_seconds": 1.2}
#: 44 seconds at a time, as its authors have it.
_HYBRID = {"segment_seconds": 36.0, "context_seconds": 3.0, "fade_seconds": 2.0}
#: Recurrent over the whole input: enough context to settle, and little memory.
_UNMIX = {"segment_seconds": 30.0, "context_seconds": 4.0, "fade_seconds": 0.5}
_TARGETS = {"targets": ["vocals", "drums", "bass", "other"]}

_HT_PAPER = (
    "Rouard, Massa, Défossez: Hybrid transformers for music source separation. ICASSP 2023. "
    "https://arxiv.org/abs/2211.08553"
)
_HYBRID_PAPER = (
    "Défossez: Hybrid spectrogram and waveform source separation. ISMIR 2021 Workshop on Music "
    "Source Separation. https://arxiv.org/abs/2111.03600"
)
_UNMIX_PAPER = (
    "Stöter, Uhlich, Liutkus, Mitsufuji: Open-Unmix - A reference implementation for music "
    "source separation. Journal of Open Source Software, 2019. https://doi.org/10.21105/joss.01667"
)
_DEMUCS_TERMS = "for scientific use only, as their author says; not MIT as the code is"
_DEMUCS_LIMITS = (
    "The random shifts that the package demucs averages over are left out: results repeat. "
    "The author says that the weights are not covered by the MIT licence of the code and are "
    "provided for scientific purposes only "
    "(https://github.com/facebookresearch/demucs/issues/327 and 508)."
)

_OFFERS = (
    Offer(
        name="htdemucs",
        architecture="demucs",
        extra="demucs",
        files=_demucs(
            "hybrid_transformer",
            84_141_911,
            "955717e8 8726e21a993978c7ba086d3872e7608d7d5bfca646ca4aca459ffda844faa8b4",
        ),
        licence=_DEMUCS_TERMS,
        description="Hybrid Transformer Demucs: drums, bass, vocals and the rest, in stereo.",
        data="MUSDB18-HQ and 800 more songs, as its authors say.",
        limits=_DEMUCS_LIMITS,
        citation=_HT_PAPER,
        decoder=_TRANSFORMER,
    ),
    Offer(
        name="htdemucs_ft",
        architecture="demucs",
        extra="demucs",
        files=_demucs(
            "hybrid_transformer",
            84_141_271,
            "f7e0c4bc ba3fe64ae8ef66ac9a4857222ce48efbdc5eb3ad375cb79dd13debee5aaa4066",
            "d12395a8 e57c48e6b0e38af4f7118d7bd08c49f0a0c0edf7d09143bdd902ea0d237303e6",
            "92cfc3b6 ef3bcb9c8b40d14ae5d51b6db2587339cc12c6b77c0be151ce6d69002e087bf2",
            "04573f0d f3cf25b222c4eed7cd49dd8b2c9597d50c18bd154090f7b919cfa5f93cf22c49",
        ),
        licence=_DEMUCS_TERMS,
        description="Hybrid Transformer Demucs, one network fine-tuned for each of its four stems.",
        data="MUSDB18-HQ and 800 more songs, as its authors say.",
        limits="Three of its four networks run, so three times the work of htdemucs. "
        f"{_DEMUCS_LIMITS}",
        citation=_HT_PAPER,
        decoder=_TRANSFORMER,
        # The first network gives the drums, the second the bass, and so on.
        options={"weights": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
    ),
    Offer(
        name="mdx_extra",
        architecture="demucs",
        extra="demucs",
        files=_demucs(
            "mdx_final",
            167_399_275,
            "e51eebcc c1b80bdd6de58274abf359e66822a76f49ce2b9f086fc5dc917ac14598e6bebf",
            "a1d90b5c ae9d245283bf24b552913ee233a1101dcd0aeaed59b1c0a2da0e1f6eda15101b",
            "5d2d6c55 db83574e05b2308f76e2764819da673f2d16d437b9e619f5fcb72f275fc0e24f",
            "cfa93e08 61801ae1567d606c97a9c3469e943ae306d0a873eeb60d623ae7cfc7042b3f68",
        ),
        licence=_DEMUCS_TERMS,
        description="Hybrid Demucs, the mean of four networks; second at the MDX challenge 2021.",
        data="MUSDB18-HQ with its test songs, and more songs, as its authors say.",
        limits="The test songs of MUSDB were in its training: scores on them mean nothing. "
        f"Four networks work in turn. {_DEMUCS_LIMITS}",
        citation=_HYBRID_PAPER,
        decoder=_HYBRID,
    ),
    Offer(
        name="umxhq",
        architecture="openunmix",
        extra="openunmix",
        files=_unmix(
            3370489,
            35_600_000,
            ("vocals", "b62c91ce"),
            ("drums", "9619578f"),
            ("bass", "8d85a5bd"),
            ("other", "b52fbbf7"),
        ),
        licence="MIT",
        description="Open-Unmix: a recurrent network for each of vocals, drums, bass and the rest.",
        data="MUSDB18-HQ, as its authors say; that data set is for academic use.",
        limits="Its input is the band up to 16 kHz.",
        citation=_UNMIX_PAPER,
        decoder=_UNMIX,
        options=_TARGETS,
    ),
    Offer(
        name="umxl",
        architecture="openunmix",
        extra="openunmix",
        files=_unmix(
            5069601,
            113_100_000,
            ("vocals", "bccbd9aa"),
            ("drums", "69e0ebd4"),
            ("bass", "2ca1ce51"),
            ("other", "c8c5b3e6"),
        ),
        licence="CC BY-NC-SA 4.0: not for commercial use",
        description="Open-Unmix, larger and trained on more: vocals, drums, bass and the rest.",
        data="About 400 hours of private stems, as its authors say.",
        limits="Its input is the band up to 16 kHz.",
        citation=_UNMIX_PAPER,
        decoder=_UNMIX,
        options=_TARGETS,
    ),
)

#: By name.
CATALOGUE: dict[str, Offer] = {offer.name: offer for offer in _OFFERS}


def hint(task: str | None, name: str) -> str | None:
    """Say how to come by a model that is known and not there."""
    kind, _, own = name.rpartition("/")
    offer = CATALOGUE.get(own)
    if offer is None or task not in (None, offer.task) or kind not in ("", offer.task):
        return None
    return (
        f"{name}: not installed; run: audiocli models install {own} "
        f"({offer.megabytes} MB; licence: {offer.licence})"
    )
