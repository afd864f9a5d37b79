"""A song made by code alone, with its reference annotations."""

from audiocli.demo.song import SAMPLE_RATE, Chord, DemoSong, Note, compose, write_demo

__all__ = ["SAMPLE_RATE", "Chord", "DemoSong", "Note", "compose", "write_demo"]
