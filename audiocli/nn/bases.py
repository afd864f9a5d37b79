"""Bases of spectra learned from data: a frame as a few activations, and back to a spectrum.

Each network encodes one frame at a time, given as log-magnitude bands x, into activations a:

- PCA: ``a = W x + b``, the rows of W orthonormal and b = -W m, with m the mean spectrum.
- NMF: the a >= 0 that minimises ``|x - a W|^2``, with W >= 0.
- Dictionary: the a that minimises ``|x - m - a W|^2 / 2 + penalty |a|_1``; most of it is zero.
- k-means: ``a_k = max(0, mean(z) - z_k)``, with z_k the distance of x from centroid k (the
  "triangle" of Coates and Ng); the spectrum is that of the nearest centroid.
- Autoencoder: ``a = tanh(V relu(U x + c) + d)``, and a like network back.

References
----------
Lee, Seung: Learning the parts of objects by non-negative matrix factorization. Nature 401, 1999.
Mairal, Bach, Ponce, Sapiro: Online dictionary learning for sparse coding. ICML 2009.
Coates, Ng: Learning feature representations with k-means. Neural Networks: Tricks of the Trade,
2012.
Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.framewise import FramewiseNetwork
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.models import register

__all__ = ["PCA", "Autoencoder", "BasisNetwork", "Dictionary", "KMeans", "NMF", "sparse_code"]

#: Coordinate descent ends when a sweep changes no activation by more than this part of the largest.
TOLERANCE = 1e-6
MAX_SWEEPS = 500


class BasisNetwork(FramewiseNetwork):
    """Base: audio in, activations of each frame out, and spectra back from activations.

    A child gives :meth:`encode` and :meth:`decode`. The bases are the rows of a matrix here; a
    child whose way back is another gives :meth:`shapes`.

    Parameters
    ----------
    frontend : FilterbankConfig
        Its front-end.
    components : int
        Number of activations a frame.

    Attributes
    ----------
    centre : Tensor, shape (channels, bands, 1)
        Mean spectrum of the training data: what errors are measured against.
    """

    centre: Tensor
    bases: nn.Parameter

    def __init__(self, frontend: FilterbankConfig, components: int) -> None:
        super().__init__(frontend)
        if components < 1:
            raise ModelError(f"components {components}: there must be one or more")
        self.components = components
        self.size = frontend.channels * frontend.bands
        self.register_buffer("centre", torch.zeros_like(self.mean))

    @abstractmethod
    def encode(self, frames: Tensor) -> Tensor:
        """Compute activations (..., components) of frames (..., size), scaled as images are."""

    def decode(self, activations: Tensor) -> Tensor:
        """Compute frames (..., size), scaled as images are, of activations (..., components)."""
        return activations @ self.bases

    def outputs(self, images: Tensor) -> Tensor:
        """Compute activations (batch, components, frames) of (batch, channels, bands, frames)."""
        return self.encode(images.flatten(1, 2).transpose(1, 2)).transpose(1, 2)

    def reconstruct(self, activations: Tensor) -> Tensor:
        """Compute spectra (batch, channels, bands, frames) of (batch, components, frames).

        As the front-end gives them, without any scale.
        """
        frames = self.decode(activations.transpose(1, 2)).transpose(1, 2)
        images = frames.reshape(len(frames), *self.mean.shape[:2], -1)
        return images * self.scale + self.mean

    def shapes(self) -> Tensor:
        """Give the bases as spectra (components, channels, bands)."""
        with torch.no_grad():
            return self.bases.detach().view(-1, *self.mean.shape[:2]) * self.scale[..., 0]

    def measured(self, audio: Tensor) -> Tensor:
        """Compute activations and errors (batch, components + 2, frames) of audio (batch, samples).

        The last two rows are the squared error and the squared distance from the centre.
        """
        spectra = self.frontend.frames(audio)
        activations = self.outputs((spectra - self.mean) / self.scale)
        wrong = (spectra - self.reconstruct(activations)).square().sum(dim=(1, 2))
        spread = (spectra - self.centre).square().sum(dim=(1, 2))
        return torch.cat([activations, torch.stack([wrong, spread], dim=1)], dim=1)


class _Linear(BasisNetwork):
    """A matrix of bases, filled in by training."""

    def __init__(self, frontend: FilterbankConfig, components: int) -> None:
        super().__init__(frontend, components)
        self.bases = nn.Parameter(nn.init.orthogonal_(torch.empty(components, self.size)))


@register("pca")
class PCA(_Linear):
    """Principal components: the directions in which spectra vary most, by their variance.

    Parameters
    ----------
    frontend : FilterbankConfig
        Its front-end.
    components : int
        Number of components, at most that of the bands.
    """

    def __init__(self, frontend: FilterbankConfig, *, components: int = 32) -> None:
        super().__init__(frontend, components)
        if components > self.size:
            raise ModelError(f"components {components}: PCA has at most {self.size}, one a band")

    def encode(self, frames: Tensor) -> Tensor:
        """Compute activations (..., components) of frames (..., size) without their mean."""
        return frames @ self.bases.T


@register("nmf")
class NMF(_Linear):
    """Non-negative matrix factorisation: parts that only add up.

    Parameters
    ----------
    frontend : FilterbankConfig
        Its front-end, whose bands are never negative.
    components : int
        Number of parts.
    """

    def __init__(self, frontend: FilterbankConfig, *, components: int = 32) -> None:
        super().__init__(frontend, components)
        with torch.no_grad():
            self.bases.abs_()

    def encode(self, frames: Tensor) -> Tensor:
        """Compute activations (..., components), 0 or more, of frames (..., size)."""
        return sparse_code(frames, self.bases, positive=True)


@register("dictionary")
class Dictionary(_Linear):
    """Sparse coding: each spectrum is the sum of a few atoms out of many.

    Parameters
    ----------
    frontend : FilterbankConfig
        Its front-end.
    components : int
        Number of atoms.
    penalty : float
        Weight of the sum of absolute activations; more makes fewer of them.
    """

    def __init__(
        self, frontend: FilterbankConfig, *, components: int = 32, penalty: float = 0.2
    ) -> None:
        super().__init__(frontend, components)
        if penalty < 0:
            raise ModelError(f"penalty {penalty}: must be 0 or more")
        self.penalty = penalty

    def encode(self, frames: Tensor) -> Tensor:
        """Compute activations (..., components), few of them not 0, of frames (..., size)."""
        return sparse_code(frames, self.bases, self.penalty)


@register("kmeans")
class KMeans(_Linear):
    """k-means: how near a spectrum is to each of some typical ones.

    Parameters
    ----------
    frontend : FilterbankConfig
        Its front-end.
    components : int
        Number of centroids, two or more.
    """

    def __init__(self, frontend: FilterbankConfig, *, components: int = 32) -> None:
        super().__init__(frontend, components)
        if components < 2:
            raise ModelError(f"components {components}: k-means needs two centroids or more")

    def encode(self, frames: Tensor) -> Tensor:
        """Compute by how much each centroid is nearer than their mean, (..., components)."""
        flat = frames.reshape(-1, frames.shape[-1])
        # Not by products of matrices: these lose the digits of small distances.
        distances = torch.cdist(flat, self.bases, compute_mode="donot_use_mm_for_euclid_dist")
        nearness = (distances.mean(dim=1, keepdim=True) - distances).clamp(min=0)
        return nearness.reshape(*frames.shape[:-1], self.components)

    def decode(self, activations: Tensor) -> Tensor:
        """Give the centroid (..., size) that is nearest by activations (..., components)."""
        nearest: Tensor = self.bases[activations.argmax(dim=-1)]
        return nearest


@register("autoencoder")
class Autoencoder(BasisNetwork):
    """A network with a narrow middle, trained to reconstruct its input.

    Parameters
    ----------
    frontend : FilterbankConfig
        Its front-end.
    components : int
        Units of the middle, which lie between -1 and 1.
    hidden_size : int
        Units of the layer before and of that after it.
    """

    def __init__(
        self, frontend: FilterbankConfig, *, components: int = 32, hidden_size: int = 256
    ) -> None:
        super().__init__(frontend, components)
        self.encoder = nn.Sequential(
            nn.Linear(self.size, hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, components),
            nn.Tanh(),
        )
        self.decoder = nn.Sequential(
            nn.Linear(components, hidden_size), nn.ReLU(), nn.Linear(hidden_size, self.size)
        )

    def encode(self, frames: Tensor) -> Tensor:
        """Compute the middle (..., components) of frames (..., size), scaled as images are."""
        activations: Tensor = self.encoder(frames)
        return activations

    def decode(self, activations: Tensor) -> Tensor:
        """Compute frames (..., size), scaled as images are, of activations (..., components)."""
        frames: Tensor = self.decoder(activations)
        return frames

    def shapes(self) -> Tensor:
        """Give what each unit adds to the spectrum on its own, (components, channels, bands).

        Half of the difference that it makes when it goes from -1 to 1 and the others are 0.
        """
        with torch.no_grad():
            alone = torch.eye(self.components, device=self.mean.device)
            change = (self.decode(alone) - self.decode(-alone)) / 2
            return change.view(-1, *self.mean.shape[:2]) * self.scale[..., 0]


def sparse_code(
    frames: Tensor, bases: Tensor, penalty: float = 0.0, *, positive: bool = False
) -> Tensor:
    """Find the activations of frames (..., size), by coordinate descent, each frame by itself.

    Minimises ``|x - a W|^2 / 2 + penalty * |a|_1``, with a >= 0 if `positive`; with that and
    without a penalty, this converges to what the multiplicative updates of Lee and Seung converge
    to, sooner. Bases are (components, size), activations (..., components).

    References
    ----------
    Friedman, Hastie, Höfling, Tibshirani: Pathwise coordinate optimization. Annals of Applied
    Statistics 1(2), 2007.
    Cichocki, Phan: Fast local algorithms for large scale nonnegative matrix and tensor
    factorizations. IEICE Transactions E92-A(3), 2009.
    """
    with torch.no_grad():
        gram = bases @ bases.T
        power = gram.diagonal().clamp(min=1e-12).unsqueeze(1)
        others = (gram - torch.diag(gram.diagonal())) / power
        wanted = bases @ frames.reshape(-1, frames.shape[-1]).T / power  # (components, frames)
        least = (penalty / power).flatten().tolist()
        codes = torch.zeros_like(wanted)
        for _ in range(MAX_SWEEPS):
            before = codes.clone()
            for k, low in enumerate(least):
                pull = torch.addmv(wanted[k], codes.T, others[k], alpha=-1)
                codes[k] = (pull - low).clamp_(min=0) if positive else F.softshrink(pull, low)
            if (codes - before).abs().max() <= TOLERANCE * codes.abs().max():
                break
    return codes.T.reshape(*frames.shape[:-1], len(bases))
