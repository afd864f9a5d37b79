"""Track beats: the pulse of music, where its bars begin, its tempo and its metre.

A network reads log-magnitude spectrograms and gives for each frame how likely there is a beat, and
how likely it begins a bar (Böck and Schedl 2011; Davies and Böck 2019). The best path through tempo
and place in the bar makes beats of that (Krebs, Böck and Widmer 2015).

Units: times are seconds from the first sample, tempi beats a minute; activations have values
between 0 and 1, the frame t of which is centred on sample t * hop_length; positions count the beats
of a bar from 1.

Known deviations from the papers: all models use the mean of the channels, at 22.05 kHz; that of
Böck and Schedl takes rises from the frame before, where the paper takes them from the median of
several; training is by AdamW with the shift-tolerant loss of Foscarin et al. (2024), with one
output for beats and one for downbeats; a beat of the bar-pointer model is one frame long, not a
share of the interval, and its metre may change.

Limits: a tempo of 40 to 215 beats a minute, unless another range is given; a bar of three or four
beats, unless others are named, so that 6/8 has two beats a bar, or six; music whose pulse is not
played, such as rubato without accents, has beats that somebody else may tap elsewhere.

The tracker itself is in :mod:`audiocli.tasks.beat_tracker`, and the decoding in
:mod:`audiocli.dsp.bar_pointer`, since other tasks need beats too.

References
----------
Böck, Schedl: Enhanced beat tracking with context-aware neural networks. DAFx 2011.
Davies, Böck: Temporal convolutional networks for musical audio beat tracking. EUSIPCO 2019.
Krebs, Böck, Widmer: An efficient state-space model for joint tempo and meter tracking. ISMIR 2015.
Foscarin, Schlüter, Widmer: Beat this! Accurate beat tracking without DBN postprocessing.
ISMIR 2024.
"""

from audiocli.tasks.beat_tracker import Beats, BeatTracker, Tempo
from audiocli.tasks.beats.files import BeatRequest, as_instants, track_file, track_files

__all__ = [
    "BeatRequest",
    "BeatTracker",
    "Beats",
    "Tempo",
    "as_instants",
    "track_file",
    "track_files",
]
