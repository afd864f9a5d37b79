"""Run another separator with random weights, for `separation.py` beside this file.

    python benchmarks/peer_separation.py NAME SONG.wav FOLDER

NAME is `htdemucs` (Rouard et al. 2023) or `open-unmix` (Stöter et al. 2019, the sizes of umxl);
the packages demucs and openunmix must be installed. The networks have their published sizes, and
run as their packages run them: htdemucs in overlapping segments by `apply_model`, without shifts;
Open-Unmix over the whole song, with one iteration of expectation maximisation.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import soundfile
import torch
from torch import Tensor

SOURCES = ["drums", "bass", "other", "vocals"]


def htdemucs(audio: Tensor) -> Tensor:
    """Separate (2, samples) into (4, 2, samples)."""
    from fractions import Fraction

    from demucs.apply import apply_model
    from demucs.htdemucs import HTDemucs

    # The published configuration's differences from the defaults.
    network = HTDemucs(SOURCES, bottom_channels=512, t_layers=5, segment=Fraction(39, 5)).eval()
    separated: Tensor = apply_model(network, audio.unsqueeze(0), shifts=0, overlap=0.25)[0]
    return separated


def open_unmix(audio: Tensor) -> Tensor:
    """Separate (2, samples) into (4, 2, samples)."""
    # The package imports it to read files and to resample, neither of which is done here; built
    # for another torch it does not import.
    sys.modules.setdefault("torchaudio", ModuleType("torchaudio"))
    from openunmix.model import OpenUnmix, Separator

    bandwidth = 1488  # bins below 16 kHz of a window of 4096 samples
    targets = {
        source: OpenUnmix(nb_bins=2049, nb_channels=2, hidden_size=1024, max_bin=bandwidth)
        for source in SOURCES
    }
    separator = Separator(targets, niter=1, residual=False, nb_channels=2).eval()
    separated: Tensor = separator(audio.unsqueeze(0))[0]
    return separated


def main() -> None:
    """Read the song, separate it and write the stems."""
    name, song, folder = sys.argv[1:]
    samples, rate = soundfile.read(song, dtype="float32", always_2d=True)
    audio = torch.from_numpy(samples.T.copy())
    torch.manual_seed(0)
    with torch.inference_mode():
        stems = {"htdemucs": htdemucs, "open-unmix": open_unmix}[name](audio)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for source, stem in zip(SOURCES, stems, strict=True):
        soundfile.write(Path(folder) / f"{source}.wav", stem.T.numpy(), rate, "PCM_16")


if __name__ == "__main__":
    main()
