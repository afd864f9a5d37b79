"""Separate a song into singing voice and accompaniment.

A network estimates a soft mask over the short-time spectrum of the mixture (Huang et al.
2014, 2015), of both channels at once or of each by itself. The vocals are the masked
mixture; the accompaniment is the mixture minus the vocals, so the two add up to the input.
Models of more stems are run the same way: the last stem is what the others leave.

Units: audio is (channels, samples) with full scale 1.0, at any rate. The network
works at its own rate (44.1 kHz; 16 kHz for those held to MIR-1K); what lies above half of it
stays in the last stem.

Known deviations from the papers: the mixture is brought to a fixed level before
it enters the network, because users' files have any level; blocks of a long
file are separated with a few seconds of context on each side and crossfaded; the default
model turns the vocals down where they lie far below the mixture.

References
----------
Huang, Kim, Hasegawa-Johnson, Smaragdis: Singing-voice separation from
monaural recordings using deep recurrent neural networks. ISMIR 2014.
Huang, Kim, Hasegawa-Johnson, Smaragdis: Joint optimization of masks and deep
recurrent neural networks for monaural source separation. IEEE/ACM TASLP 23(12), 2015.
"""

from audiocli.tasks.separate.clips import SOURCES
from audiocli.tasks.separate.files import separate_files
from audiocli.tasks.separate.request import SeparationRequest, parse_gains
from audiocli.tasks.separate.separation import Separation, SeparationExports, separate_file
from audiocli.tasks.separate.separator import Separator, decode, estimate

__all__ = [
    "SOURCES",
    "Separation",
    "SeparationExports",
    "SeparationRequest",
    "Separator",
    "decode",
    "estimate",
    "parse_gains",
    "separate_file",
    "separate_files",
]
