"""Loss functions of the separation networks.

All losses take magnitudes or spectra of shape (batch, sources, bins, frames)
and give one number, the mean over the batch. A mixture's energy divides the
squared errors, so that loud and quiet examples count alike.

References
----------
Huang, Kim, Hasegawa-Johnson, Smaragdis: Joint optimization of masks and deep
recurrent neural networks for monaural source separation. IEEE/ACM TASLP 23(12),
2015, equations 7 to 10.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["divergence_loss", "lifted_snr_loss", "snr_loss", "squared_loss"]

#: Keeps logarithms and quotients of silence finite; full scale is about 1.
EPSILON = 1e-6
#: The signal-to-noise ratio beyond which an example counts as solved, as a power ratio (30 dB).
FLOOR = 1e-3
#: The power of a source, relative to the mixture's, below which it counts as silent (-20 dB).
SILENCE = 1e-2
#: How much more the highest bin counts than the lowest where high frequencies are lifted.
LIFT = 30.0


def squared_loss(estimates: Tensor, references: Tensor, gamma: float = 0.0) -> Tensor:
    """Mean squared error of magnitudes, with the discriminative term.

    ``sum_i ||y^_i - y_i||^2 - gamma sum_{j != i} ||y^_i - y_j||^2``: an estimate is to
    be near its own source and far from the others. Both are (batch, sources, bins, frames).
    """
    error = (estimates - references) ** 2
    if gamma:
        error = error - gamma * (estimates - references.flip(1)) ** 2
    energy = (references.sum(dim=1) ** 2).mean(dim=(1, 2)) + EPSILON
    return (error.mean(dim=(1, 2, 3)) / energy).mean()


def divergence_loss(estimates: Tensor, references: Tensor, gamma: float = 0.0) -> Tensor:
    """Generalised Kullback-Leibler divergence, with the discriminative term.

    ``D(y || y^) = sum y log(y / y^) - y + y^``, minus gamma times that of the other
    source. Both are (batch, sources, bins, frames).
    """

    def divergence(reference: Tensor, estimate: Tensor) -> Tensor:
        ratio = torch.log((reference + EPSILON) / (estimate + EPSILON))
        return reference * ratio - reference + estimate

    error = divergence(references, estimates)
    if gamma:
        error = error - gamma * divergence(references.flip(1), estimates)
    level = references.sum(dim=1).mean(dim=(1, 2)) + EPSILON
    return (error.mean(dim=(1, 2, 3)) / level).mean()


def snr_loss(estimates: Tensor, references: Tensor, gamma: float = 0.0) -> Tensor:
    """Negative signal-to-noise ratio of complex spectra, in dB.

    A source that is silent, or 20 dB softer than the mixture, is measured against that level.

    Phase counts: where the sources cancel in the mixture the best mask is a smaller
    one, which magnitudes alone do not tell. The logarithm keeps one hard
    example from outweighing the rest of the batch. Both are
    (batch, sources, ..., bins, frames).
    """

    def power(spectra: Tensor) -> Tensor:
        return (spectra.real**2 + spectra.imag**2).flatten(2).sum(dim=2)

    def ratio(error: Tensor, signal: Tensor) -> Tensor:
        return 10 * torch.log10(error / (signal + EPSILON) + FLOOR)

    quiet = SILENCE * power(references.sum(dim=1, keepdim=True))
    loss = ratio(power(estimates - references), power(references).maximum(quiet)).mean()
    if gamma:
        other = references.flip(1)
        loss = loss - gamma * ratio(power(estimates - other), power(other).maximum(quiet)).mean()
    return loss


def lifted_snr_loss(estimates: Tensor, references: Tensor) -> Tensor:
    """Negative signal-to-noise ratio in dB of spectra whose high frequencies are lifted.

    Most energy lies below 1 kHz; much of what is noticed in a stem does not. Both are
    (batch, sources, ..., bins, frames).
    """
    bins = references.shape[-2]
    lift = 1 + torch.arange(bins, device=references.device).unsqueeze(1) * (LIFT / bins)
    return snr_loss(estimates * lift, references * lift)
