"""Where things are that people look for under another name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

__all__ = ["SIGNPOSTS", "SignpostedGroup", "signpost"]

_PLACES: dict[str, tuple[str, ...]] = {
    "separate SONG": (
        "stems", "stem", "split", "demix", "unmix", "separation", "source-separation", "isolate",
        "demucs", "spleeter",
    ),
    "separate SONG --karaoke": (
        "karaoke", "instrumental", "accompaniment", "backing", "backing-track", "minus-one",
        "remove-vocals",
    ),
    "separate SONG --stems vocals": ("vocals", "vocal", "voice", "acapella", "a-cappella"),
    "onsets SONG": ("onset", "transients", "attacks", "hits"),
    "notes SONG": ("note", "melody", "transcribe", "transcription"),
    "notes SONG -o SONG.mid": ("midi",),
    "beats SONG": ("beat", "downbeats", "bars", "metre", "meter", "beat-tracking"),
    "beats SONG --tempo": ("tempo", "bpm"),
    "chords SONG": ("chord", "harmony", "chordify", "chord-recognition"),
    "chords SONG --key": ("key", "keys", "scale", "tonality"),
    "chords SONG --format chordpro": ("chordpro", "sheet", "leadsheet", "songsheet"),
    "features SONG --set loudness": ("loudness", "lufs", "ebur128", "r128", "level", "volume"),
    "features SONG --set f0 --frames": ("pitch", "f0", "pyin"),
    "features SONG": (
        "feature", "extract", "mfcc", "spectral", "descriptors", "describe", "opensmile",
        "librosa",
    ),
    "features SONG --plot": ("spectrogram", "plot", "waveform"),
    "features SONG --set chroma --frames": ("chroma", "chromagram"),
    "classify SONG --task genre": ("genre", "genres", "style"),
    "classify SONG --task mood": ("mood", "emotion"),
    "classify SONG --task instrument": ("instrument", "instruments"),
    "classify SONG --task singer": ("singer", "artist"),
    "classify SONG --task composer": ("composer",),
    "classify SONG --task event": ("event", "events", "sounds", "sound-events"),
    "classify SONG --task keywords": ("keywords", "commands", "speech"),
    "classify SONG --task digits": ("digits",),
    "classify SONG --task content": ("content", "vad", "speech-music", "classification"),
    "classify SONG --enroll PEOPLE": ("speakers", "speaker-id", "recognise", "recognize",
                                      "identify", "enroll", "enrol"),
    "classify SONG --all-tasks": ("all-tasks",),
    "analyze SONG": ("analyse", "analysis", "library", "all", "everything"),
    "compare ONE TWO": ("speaker", "verify", "verification", "same", "similarity", "distance"),
    "tag SONG": ("tags", "tagging", "autotag", "label", "labels"),
    "models list": ("list", "ls", "zoo", "weights"),
    "models info NAME": ("info", "show", "card"),
    "models install NAME": ("install", "download", "pull", "fetch"),
    "evaluate --help": ("eval", "test", "score", "benchmark", "metrics"),
    "train --help": ("fit", "training", "finetune", "fine-tune"),
    "demo FOLDER": ("example", "examples", "sample", "quickstart", "tutorial"),
    "--help": ("help",),
    "serve": ("server", "web", "webui", "ui", "gui", "app", "browser", "upload"),
}  # fmt: skip

#: Each name that people try, and the command line that does what they look for.
SIGNPOSTS: Mapping[str, str] = {
    name: f"audiocli {place}" for place, names in _PLACES.items() for name in names
}


def signpost(name: str) -> str | None:
    """Say where something is that is looked for under another name."""
    return SIGNPOSTS.get(name.lower().replace("_", "-"))


class SignpostedGroup(click.Group):
    """A group of commands that points from the names of others to its own."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say where what is looked for may be."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            place: Any = signpost(args[0]) if args else None
            if place is None:
                raise
            raise click.UsageError(f"There is no command '{args[0]}'; use: {place}", ctx) from error
