"""Make musicnn.npz: what musicnn's own arithmetic gives, to hold our shorter one to.

The original is written out here as its authors' TensorFlow code has it: all filters, every
normalisation in its place, the wheel's full weights, librosa's filters. It hears three seconds of
a made-up sound. Run from the checkout, with librosa installed:

    python tests/data/make_musicnn.py musicnn-0.1.0-py3-none-any.whl
"""

from __future__ import annotations

import sys
from pathlib import Path

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "docs" / "recipes"))

from start_music_encoder import NETWORKS, Tensors, checkpoint, layer  # noqa: E402

FRAMES, HOP, N_FFT, RATE = 187, 256, 512, 16_000


def sound() -> Tensor:
    """Make chords, strokes and noise, with a peak of 1."""
    time = np.arange(FRAMES * HOP) / RATE
    chord = sum(np.sin(2 * np.pi * pitch * time) / k for k, pitch in enumerate((220, 277, 330), 1))
    beat = np.exp(-20 * (time % 0.5)) * np.random.default_rng(0).normal(size=len(time))
    mixed = chord * (1 + np.sin(2 * np.pi * 0.7 * time)) + 0.5 * beat
    whole = np.round(32767 * mixed / np.abs(mixed).max()) / 32767
    return torch.from_numpy(whole.astype(np.float32))


def normalised(tensors: Tensors, maps: Tensor, place: int, dim: int) -> Tensor:
    """Apply a batch normalisation as TensorFlow does at inference."""
    norm = {key: value.view([-1 if axis == dim else 1 for axis in range(maps.ndim)])
            for key, value in layer(tensors, "batch_normalization", place).items()}  # fmt: skip
    deviation = torch.sqrt(norm["moving_variance"] + 1e-3)
    return (maps - norm["moving_mean"]) / deviation * norm["gamma"] + norm["beta"]


def convolved(tensors: Tensors, maps: Tensor, place: int) -> Tensor:
    """Apply a convolution over (frames, bands), its ReLU and its normalisation."""
    found = layer(tensors, "conv2d", place)
    length = found["kernel"].shape[0]
    padded = F.pad(maps, (0, 0, (length - 1) // 2, length // 2))
    heard = F.relu(F.conv2d(padded, found["kernel"].permute(3, 2, 0, 1), found["bias"]))
    return normalised(tensors, heard, place + 1, 1)


def original(tensors: Tensors, mel: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the last hidden layer before its normalisation, and the logits of the tags."""
    image = normalised(tensors, mel[None, None], 0, 1)
    front = [convolved(tensors, image, place).amax(dim=3) for place in range(5)]
    maps = [torch.cat(front, dim=1)]
    for place in (5, 6, 7):  # frames along the third dimension, channels as bands
        heard = convolved(tensors, maps[-1].transpose(1, 2).unsqueeze(1), place)[..., 0]
        maps.append(heard + maps[-1] if place > 5 else heard)
    whole = torch.cat(maps, dim=1)
    flat = torch.stack([whole.amax(dim=2), whole.mean(dim=2)], dim=2).flatten(1)
    dense, last = layer(tensors, "dense", 0), layer(tensors, "dense", 1)
    hidden = F.relu(normalised(tensors, flat, 9, 1) @ dense["kernel"] + dense["bias"])
    logits = normalised(tensors, hidden, 10, 1) @ last["kernel"] + last["bias"]
    return hidden[0], logits[0]


def main(wheel: str) -> None:
    """Write the file."""
    heard = sound()
    padded = F.pad(heard, (N_FFT // 2, N_FFT // 2))
    mel = librosa.feature.melspectrogram(
        y=padded.numpy(), sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=96, center=False
    )
    image = torch.from_numpy(np.log10(10_000 * mel + 1).T[:FRAMES].copy())
    found = [original(checkpoint(Path(wheel), name), image) for name in NETWORKS]
    np.savez_compressed(
        HERE / "musicnn.npz",
        sound=(heard * 32767).round().numpy().astype(np.int16),
        mel=image.mean(dim=0).numpy(),
        hidden=torch.cat([each[0] for each in found]).numpy(),
        tags=found[0][1].numpy(),
    )


if __name__ == "__main__":
    with torch.inference_mode():
        main(sys.argv[1])
