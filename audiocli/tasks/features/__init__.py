"""Features: what describes a frame or a file in a few numbers.

Every feature of :mod:`audiocli.dsp`, computed in one pass over a file: audio is averaged to mono,
resampled to 22050 Hz, cut into frames of 2048 samples every 512 (93 and 23 ms), and each frame is
transformed once. A table has one row a file, with statistics over its frames, or one a frame.

Units stand in the catalogue, which ``audiocli features --describe`` prints. What is not defined of
a frame is NaN: of digital silence all but levels and changes, and without a pitch what only a
voiced frame has, such as f0. Statistics are of the frames in which a feature is defined. A frame's
time is that of its middle.

Known deviations from librosa, each because a stream cannot know the rest of the file: MFCC and
contrast have no ``top_db``; chroma is for A4 = 440 Hz and not for the tuning of the file. Deltas
repeat the first and the last frame, as HTK does, in the place of extrapolating.

Limits: features are of the mean of the channels; what lies above half the rate is cut off.

References
----------
G. Peeters: A large set of audio features for sound description (similarity and classification)
in the CUIDADO project. IRCAM, 2004.
"""

from audiocli.tasks.features.block import Settings
from audiocli.tasks.features.catalogue import FEATURES, SETS, Feature, select
from audiocli.tasks.features.extractor import Column, Extractor

__all__ = ["FEATURES", "SETS", "Column", "Extractor", "Feature", "Settings", "select"]
