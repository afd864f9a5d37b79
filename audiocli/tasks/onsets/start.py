"""An onset at the very start: loops, exported tracks and samples begin with one.

A network that has seen nothing yet cannot tell a note that begins with the recording from one in
whose middle the recording was cut: before both is nothing. With silence in front of it either is an
onset to every model. So the activations with silence in front of it count only where the sound
goes on as it does after an attack:

- it **rises**: the first millisecond, and its slope as well, lie 10 dB or more below the first 50,
  so that the beginning of the note is in the recording; or
- it **falls at once**: in the bands that sound, by 8 dB or more on average until 50 to 110 ms
  later, and by 2.5 dB or more in the first 20 ms, as after a stroke. 3 dB are enough where the
  first sample is at rest, as it is in what samplers and synthesisers export, and the fall is
  steepest first; 20 dB of the level are always enough.

What sounds on as loud as before, a held note, a chord, noise or hum, was cut. So was what decays by
less than 30 dB a second: most strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiocli.dsp.frames import hann
from audiocli.nn.framewise import FramewiseNetwork

__all__ = ["HEAD", "begins_with_attack", "kept_head", "start_activations"]

Audio = NDArray[np.float32]
Activations = NDArray[np.float32]

#: Seconds of a recording that decide, and seconds of silence that go before it.
HEAD, SILENCE = 0.14, 0.8
#: Seconds in which a peak of the activations counts as at the start; how early it may come.
WITHIN, EARLY = 0.05, 0.03
QUIET = 1e-8  # mean power of the first 50 ms below which there is nothing: -80 dB
RISE = 10.0  # dB
FALL, FIRST_FALL = 8.0, 2.5  # dB
FALL_FROM_REST, STEEPEST_FIRST = 3.0, 0.2  # dB, and which part of a fall the first 20 ms have
FALL_OF_LEVEL = 20.0  # dB
AT_REST = 0.02  # of the peak of the first 20 ms
BANDS, LOWEST, HIGHEST, AUDIBLE = 24, 60.0, 16_000.0, 30.0  # number, Hz, Hz, dB below the loudest
FRAME = 0.0232  # seconds


def kept_head(blocks: Iterable[Audio], sample_rate: int) -> tuple[Iterator[Audio], list[Audio]]:
    """Keep the beginning of a stream of blocks (samples,) as it passes."""
    head: list[Audio] = []
    wanted = round(HEAD * sample_rate)

    def passing() -> Iterator[Audio]:
        held = 0
        for block in blocks:
            if held < wanted:
                head.append(block[: wanted - held])
                held += len(head[-1])
            yield block

    return passing(), head


def start_activations(network: FramewiseNetwork, head: Audio) -> Activations:
    """Estimate activations (frames,) of an onset at the very start, from the first samples."""
    config = network.frontend.config
    if not begins_with_attack(head, config.sample_rate):
        return np.zeros(0, np.float32)
    before = round(SILENCE * config.frame_rate)
    padded = np.concatenate([np.zeros(before * config.hop_length, np.float32), head])
    where = next(network.parameters()).device
    with torch.inference_mode():
        logits = network(torch.from_numpy(padded).to(where).unsqueeze(0))
    activations: Activations = torch.sigmoid(logits[0, 0].float()).cpu().numpy()
    first = activations[before : before + round(WITHIN * config.frame_rate) + 1].copy()
    # The attack lies in windows that end behind it: the peak may come a little before its time.
    first[:1] = activations[before - round(EARLY * config.frame_rate) : before + 1].max()
    return first


def begins_with_attack(head: Audio, sample_rate: int) -> bool:
    """Tell whether a recording begins like an attack, and not in the middle of a note."""
    sound = np.zeros(round(HEAD * sample_rate))
    kept = head[: len(sound)]
    sound[: len(kept)] = kept
    if _level(sound, 0.0, 0.05, sample_rate) < 10 * np.log10(QUIET):
        return False
    if _rises(sound, sample_rate):
        return True
    fall = _level(sound, 0.0, 0.01, sample_rate) - _level(sound, 0.05, 0.11, sample_rate)
    if fall >= FALL_OF_LEVEL:
        return True
    banded, first = _falls(sound, sample_rate)
    if banded >= FALL and first >= FIRST_FALL:
        return True
    peak = np.abs(sound[: round(0.02 * sample_rate)]).max()
    at_rest = abs(sound[0]) <= AT_REST * peak
    falls = min(banded, fall) >= FALL_FROM_REST
    return bool(at_rest and falls and first >= STEEPEST_FIRST * banded)


def _level(sound: NDArray[np.float64], begin: float, end: float, rate: int) -> float:
    """Level between two times, in dB."""
    part = sound[round(begin * rate) : round(end * rate)]
    return float(10 * np.log10(np.mean(np.square(part)) + 1e-12))


def _rises(sound: NDArray[np.float64], rate: int) -> bool:
    """Tell whether both the sound and its slope begin far below what they reach."""
    slope = np.diff(sound)  # of a steady sine this is largest where the sine itself is 0
    rises = (
        _level(each, 0.0, 0.05, rate) - _level(each, 0.0, 0.001, rate) for each in (sound, slope)
    )
    return min(rises) >= RISE


def _falls(sound: NDArray[np.float64], rate: int) -> tuple[float, float]:
    """Mean fall of the sounding bands until 50 to 110 ms, and within 20 ms, in dB."""
    length, step = round(FRAME * rate), round(0.01 * rate)
    starts = range(0, min(11 * step, len(sound) - length) + 1, step)
    frames = np.stack([sound[start : start + length] for start in starts])
    powers = np.square(np.abs(np.fft.rfft(frames * hann(length), 4 * length)))
    frequencies = np.fft.rfftfreq(4 * length, 1 / rate)
    edges = np.geomspace(LOWEST, min(HIGHEST, rate / 2), BANDS + 1)
    places = np.searchsorted(frequencies, edges)
    totals = np.concatenate([np.zeros((len(powers), 1)), np.cumsum(powers, axis=1)], axis=1)
    bands: NDArray[Any] = np.diff(totals[:, places], axis=1)
    levels = 10 * np.log10(np.maximum(bands, 1e-6 * bands[0].max() + 1e-12))
    sounding = levels[:, levels[0] > levels[0].max() - AUDIBLE]
    if not sounding.size:
        return 0.0, 0.0
    return (
        float(np.mean(sounding[0] - sounding[5:].mean(axis=0))),
        float(np.mean(sounding[0] - sounding[2])),
    )
