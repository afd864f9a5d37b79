"""Turn the voice down where there is next to none of it.

A mask leaves a little of every instrument in the voice. Under singing it is masked; in an
introduction, a solo or a piece without a singer it is all that the stem holds. The gate is a
downward expander as in a studio, but it compares the voice with the mixture, not with full scale,
so that it works the same at every level; and it measures before and after each moment, so that
neither beginnings nor ends are cut.

References
----------
Zölzer (ed.): DAFX, Digital Audio Effects. Wiley, 2nd edition 2011, section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["WINDOW_SECONDS", "Gate"]

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]

#: Length of the Hann window in which power is measured, centred on each moment.
WINDOW_SECONDS = 1.5
HOP_SECONDS = 0.05
QUIETEST = 1e-12  # power; below it there is nothing to compare


@dataclass(frozen=True)
class Gate:
    """A downward expander that compares a stem with its mixture.

    Parameters
    ----------
    threshold_db : float
        Where the stem's level, relative to the mixture's, is lower than this it is turned down.
    ratio : float
        By how many decibels the output falls for each that the stem falls below the threshold;
        1 changes nothing.
    range_db : float
        By how much it is turned down at most.
    """

    threshold_db: float
    ratio: float
    range_db: float

    def __post_init__(self) -> None:
        """Refuse settings that no gate has."""
        if not (self.ratio >= 1 and self.range_db >= 0 and np.isfinite(self.threshold_db)):
            raise ValueError(f"no gate works like that: {self}")

    def __call__(self, stem: Audio, mixture: Audio, sample_rate: int) -> Audio:
        """Turn a stem (channels, samples) down where it is too quiet beside its mixture."""
        if not stem.size:
            return stem
        hop = round(HOP_SECONDS * sample_rate)
        power = _power(mixture, hop)
        below = self.threshold_db - 10 * np.log10(
            np.maximum(_power(stem, hop), QUIETEST) / np.maximum(power, QUIETEST)
        )
        turned_down = np.clip(below * (self.ratio - 1), 0, self.range_db)
        if not turned_down.any():
            return stem
        middles = (np.arange(len(power)) + 0.5) * hop
        gain = np.interp(np.arange(stem.shape[-1]), middles, 10 ** (-turned_down / 20))
        return stem * gain.astype(np.float32)


def _power(audio: Audio, hop: int) -> Floats:
    """Measure the power around each block of so many samples."""
    blocks = -(-audio.shape[-1] // hop)
    padded = np.pad(audio, [(0, 0), (0, blocks * hop - audio.shape[-1])])
    cut = padded.reshape(len(audio), blocks, hop)
    half = round(WINDOW_SECONDS / HOP_SECONDS / 2)
    window = np.hanning(2 * half + 1)[1:-1]  # its ends are zero
    energy = np.einsum("csh,csh->s", cut, cut).astype(np.float64)
    return np.convolve(energy, window / window.sum(), "full")[half - 1 : half - 1 + blocks] / hop
