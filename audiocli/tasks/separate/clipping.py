"""What happens to stems that would clip, and the warnings about it."""

from __future__ import annotations

import math

from audiocli.errors import UsageError, suggest, warn
from audiocli.io.audio import AudioFormat, AudioInfo, output_format

__all__ = ["CLIP", "clip_format", "decibels", "warn_of_clipping"]

#: What to do where stems would clip; see :func:`audiocli.tasks.separate.separation.separate_file`.
CLIP = ("rescale", "clamp", "float")


def decibels(gain: float) -> float:
    """Give a factor in dB, to two digits."""
    return round(20 * math.log10(gain), 2) + 0.0  # no negative zero


def clip_format(
    clip: str, container: str | None, bits: int | None, source: AudioInfo
) -> AudioFormat:
    """Choose the format of stems; see :func:`audiocli.io.audio.output_format`."""
    if clip not in CLIP:
        raise UsageError(f"{{clip}} {clip}: {suggest(clip, CLIP)}", "clip")
    if clip != "float":
        return output_format(container, bits, source)
    if container not in (None, "wav"):
        raise UsageError(
            f"{{clip}} float: {container} has no floating-point samples; leave {{container}} out, "
            "or write wav",
            "clip",
            "container",
        )
    if bits not in (None, 32):
        raise UsageError(
            f"{{clip}} float: {bits} bits are integers; leave {{bits}} out, or write 32",
            "clip",
            "bits",
        )
    return output_format("wav", None if source.is_float else 32, source)


def warn_of_clipping(gain: float, clamped: int, remix_gain: float | None) -> None:
    """Warn of stems or a remix that were made softer or clipped."""
    cure = "floating-point stems (clip float) keep the level"
    softer = -decibels(gain)
    if softer > 0:
        warn(f"its stems are {softer:.2f} dB softer than the input, or they would clip; {cure}")
    if clamped:
        warn(f"{clamped} samples of its stems were clipped at full scale; {cure}")
    softer = 0.0 if remix_gain is None else -decibels(remix_gain)
    if softer > 0:
        warn(f"its remix is {softer:.2f} dB softer than asked for, or it would clip; {cure}")
