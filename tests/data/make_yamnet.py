"""Make yamnet.npz: what YAMNet's own arithmetic gives, to hold ours to it.

The original is written out here as its authors' code has it: their spectrogram in numpy, the
convolutions with TensorFlow's padding, the mean over the map of a patch of 0.96 s. The weights are
those of the ONNX file that `docs/recipes/start_audioset.py` reads. It gets one patch of a made-up
sound. Run from the checkout, with onnx installed:

    python tests/data/make_yamnet.py model.onnx
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "docs" / "recipes"))

from start_audioset import classifier  # noqa: E402
from start_encoder import convolutions  # noqa: E402

RATE, WINDOW, HOP, N_FFT = 16_000, 400, 160, 512
BANDS, LOWEST, HIGHEST, FRAMES = 64, 125.0, 7500.0, 96


def sound() -> NDArray[np.float64]:
    """Make a siren, a click train and noise, with a peak of 0.5."""
    time = np.arange((FRAMES - 1) * HOP + N_FFT) / RATE
    siren = np.sin(2 * np.pi * (800 * time + 60 * np.sin(2 * np.pi * 1.5 * time)))
    clicks = np.exp(-80 * (time % 0.21)) * np.sign(np.sin(2 * np.pi * 2000 * time))
    mixed = siren + 0.7 * clicks + 0.1 * np.random.default_rng(0).normal(size=len(time))
    return np.round(16384 * mixed / np.abs(mixed).max()) / 32768


def mel_matrix() -> NDArray[np.float64]:
    """Compute the weights of the bands (bins, bands): triangles on the mel scale."""

    def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1127.0 * np.log(1.0 + hertz / 700.0)

    edges = np.linspace(*mel(np.array([LOWEST, HIGHEST])), BANDS + 2)
    bins = mel(np.linspace(0.0, RATE / 2, N_FFT // 2 + 1))[:, None]
    below = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    above = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    matrix: NDArray[np.float64] = np.maximum(0.0, np.minimum(below, above))
    matrix[0] = 0.0
    return matrix


def patch(samples: NDArray[np.float64]) -> Tensor:
    """Compute the log mel spectrogram (1, 1, frames, bands) as YAMNet's `features.py`."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    # Frames lie in the middle of the transform here, which changes no magnitude.
    starts = np.arange(FRAMES) * HOP + (N_FFT - WINDOW) // 2
    frames = np.stack([samples[start : start + WINDOW] * hann for start in starts])
    magnitude = np.abs(np.fft.rfft(frames, N_FFT))
    logarithm = np.log(magnitude @ mel_matrix() + 0.001)
    return torch.from_numpy(logarithm.astype(np.float32))[None, None]


def original(file: Path, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the embedding (1024,) and the logits (521,) of a patch."""
    strides = [2, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1, *[1] * 10, 2, 1, 1, 1]
    for (weight, bias), stride in zip(convolutions(file), strides, strict=True):
        reach = max(weight.shape[-1] - stride, 0)
        border = (reach // 2, reach - reach // 2)  # TensorFlow's "SAME", of even sizes
        groups = maps.shape[1] // weight.shape[1]
        maps = F.relu(F.conv2d(F.pad(maps, border * 2), weight, bias, stride, groups=groups))
    embedding = maps.mean(dim=(0, 2, 3))
    weight, bias = classifier(file)
    return embedding, weight @ embedding + bias


def main(file: str) -> None:
    """Write the file."""
    samples = sound()
    image = patch(samples)
    embedding, logits = original(Path(file), image)
    np.savez_compressed(
        HERE / "yamnet.npz",
        sound=np.round(samples * 32768).astype(np.int16),
        mel=image[0, 0].mean(dim=0).numpy(),
        embedding=embedding.numpy(),
        logits=logits.numpy(),
    )


if __name__ == "__main__":
    with torch.inference_mode():
        main(sys.argv[1])
