"""Analyse a library: one row a recording, of what several tasks find in one pass.

A recording is decoded once; its blocks go to all analyses at the same time (``streams``): level,
tempo, chords for the key, and classes and tags. What does not apply is empty: tempo, key, genre,
mood, tags and vocals of speech, of sounds and of one-shots.

Units stand with the fields in :mod:`audiocli.pipelines.analyze.fields`.

Limits: each answer has the limits of the task that it comes from. Confidences of tempo and key are
no calibrated probabilities: they are how clear the beats are, and how often the key stays the same
if the chords are drawn anew.
"""

from audiocli.pipelines.analyze.analyzer import LibraryAnalyzer
from audiocli.pipelines.analyze.fields import FIELDS, Field, select
from audiocli.pipelines.analyze.files import AnalyzeRequest, analyze_files
from audiocli.pipelines.analyze.tagging import undo

__all__ = [
    "FIELDS",
    "AnalyzeRequest",
    "Field",
    "LibraryAnalyzer",
    "analyze_files",
    "select",
    "undo",
]
