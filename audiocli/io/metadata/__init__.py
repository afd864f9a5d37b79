"""Metadata of audio files: read them, and write them without a change to the sound.

They go in the place that a file's kind has for them. The content decides which kind it is,
never the name:

==================  ==============  ====================================
file                genre           mood
==================  ==============  ====================================
mp3, wav, aiff      ID3 TCON        ID3 TMOO (ID3v2.4)
flac, ogg, opus     GENRE           MOOD (Vorbis comments)
m4a, mp4            ``©gen``        ``----:com.apple.iTunes:MOOD``
==================  ==============  ====================================

All else that the metadata hold stays.
"""

from audiocli.io.metadata.carried import Metadata, read_metadata
from audiocli.io.metadata.tags import KINDS, NAMES, Cover, Tags, read_tags, read_values
from audiocli.io.metadata.writing import check_kind, put_tags, write_tags

__all__ = [
    "KINDS",
    "NAMES",
    "Cover",
    "Metadata",
    "Tags",
    "check_kind",
    "put_tags",
    "read_metadata",
    "read_tags",
    "read_values",
    "write_tags",
]
