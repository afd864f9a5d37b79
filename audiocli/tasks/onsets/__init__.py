"""Detect onsets: the times at which notes, syllables and strokes begin.

A network analyses log-magnitude spectrograms and estimates, a hundred times a second, how likely
an onset is (Eyben et al. 2010; Schlüter and Böck 2014); the peaks of these activations above a
threshold are the onsets.

Units: times are seconds from the first sample; activations lie between 0 and 1, and frame t is
centred on sample t * hop_length.

Known deviations from the papers: the input is the mean of the channels; peaks are placed between
frames by a parabola; the network of Eyben et al. is trained by AdamW on rendered and real music
and on targets that fall off over 20 ms (Schlüter and Böck's fuzzier examples); it has one logistic
output in the place of two under a softmax, which is the same function.

Limits: one onset in 30 ms; an onset in a mixture is found only where it is not masked; what
has no beginning, such as wind or a siren, has no onsets.

References
----------
Eyben, Böck, Schuller, Graves: Universal onset detection with bidirectional long
short-term memory neural networks. ISMIR 2010.
Schlüter, Böck: Improved musical onset detection with convolutional neural networks. ICASSP 2014.
Böck, Krebs, Schedl: Evaluating the online capabilities of onset detection methods. ISMIR 2012.
"""

from audiocli.tasks.onsets.detector import Decoder, OnsetDetector, Onsets, activations, decode
from audiocli.tasks.onsets.files import OnsetRequest, as_instants, detect_file, detect_files
from audiocli.tasks.onsets.online import OnlineDetector, RawAudio, open_stream

__all__ = [
    "Decoder",
    "OnlineDetector",
    "OnsetDetector",
    "OnsetRequest",
    "Onsets",
    "RawAudio",
    "activations",
    "as_instants",
    "decode",
    "detect_file",
    "detect_files",
    "open_stream",
]
