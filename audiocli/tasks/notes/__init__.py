"""Transcribe a melody: the notes of one voice, with onset, offset and pitch in cents.

The pitch of each frame comes from pYIN (:mod:`audiocli.dsp.pitch`), how likely a note begins there
from the network that detects onsets. A hidden Markov model of silence and of notes, as in
pYIN-notes and Tony (Mauch et al. 2015), finds the best path through both; a note's pitch is the
median of its frames.

Units: times are seconds from the first sample; pitches are MIDI note numbers, of which 0.01 is a
cent and 69 is A4, 440 Hz.

Known deviations from pYIN-notes: a new note costs the less the likelier an onset is there, in the
place of a model of each note's attack; pitches have no prior.

Limits: one note at a time. Of chords, of a band or of a choir the result is what sounds loudest at
best; where much of what sounds has no single pitch, a warning says so. Notes shorter than 130 ms
are left out, and of a note that changes its pitch without a new attack the median is given.

References
----------
Mauch, Dixon: pYIN: a fundamental frequency estimator using probabilistic threshold distributions.
ICASSP 2014.
Mauch, Cannam, Bittner, Fazekas, Salamon, Dai, Bello, Dixon: Computer-aided melody note
transcription using the Tony software: accuracy and efficiency. TENOR 2015.
"""

from audiocli.tasks.notes.decoding import Decoder, decode
from audiocli.tasks.notes.files import NoteRequest, as_notes, transcribe_file
from audiocli.tasks.notes.transcriber import Melody, NoteTranscriber

__all__ = [
    "Decoder",
    "Melody",
    "NoteRequest",
    "NoteTranscriber",
    "as_notes",
    "decode",
    "transcribe_file",
]
