"""Draw the pictures of the documentation from the demo song and a model.

    python docs/make_figures.py [--model NAME] [--chords NAME] [--output FOLDER]

needs matplotlib, which is among the ``dev`` extras. ``separation.png`` shows the spectrograms of
the mixture, of what the model makes of it and of the true stems; ``masks.png`` shows the mask
that the network computes beside the ideal one; ``bases.png`` shows the parts that non-negative
matrix factorisation has learned, and what they make of the song; ``chords.png`` shows the chords
that are recognised in it, and ``notes.png`` the notes of its voice.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import soundfile
import soxr
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from PIL import Image

from audiocli.demo import SAMPLE_RATE, compose, write_demo
from audiocli.io.audio.levels import Level
from audiocli.nn.frontend import Stft, StftConfig
from audiocli.tasks.chords import ChordRecognizer, recognize_file
from audiocli.tasks.features.learned import Basis
from audiocli.tasks.notes import NoteTranscriber, transcribe_file
from audiocli.tasks.plotting import overview
from audiocli.tasks.separate.separator import LEVEL, Separator

Signal = NDArray[np.float32]

START, STOP = 5.1, 14.7  # s: two phrases of the singer and a break
LOWEST, HIGHEST = 60.0, 16000.0  # Hz
ROWS = 320  # of the pictures, spaced evenly in octaves
RANGE = 65.0  # dB below the loudest point of the mixture
TICKS = (100, 200, 500, 1000, 2000, 5000, 10000)  # Hz


def frequencies(highest: float) -> NDArray[np.float64]:
    """List the frequency of every row of a picture, in Hz."""
    return np.geomspace(LOWEST, highest, ROWS)


def on_octaves(values: NDArray[np.float32], rate: int, highest: float) -> NDArray[np.float64]:
    """Read a (bins, frames) array off at frequencies that are spaced evenly in octaves."""
    bins = np.linspace(0, rate / 2, len(values))
    rows = frequencies(highest)
    return np.stack([np.interp(rows, bins, frame) for frame in values.T], axis=1)


def decibels(audio: Signal) -> NDArray[np.float64]:
    """Compute the spectrogram of a stretch of (channels, samples) audio, in dB."""
    stretch = audio.mean(axis=0)[round(START * SAMPLE_RATE) : round(STOP * SAMPLE_RATE)]
    stft = Stft(StftConfig(SAMPLE_RATE, n_fft=4096, hop_length=512, window="hann"))
    magnitude = stft(torch.from_numpy(np.ascontiguousarray(stretch))).abs().numpy()
    return 20 * np.log10(on_octaves(magnitude, SAMPLE_RATE, HIGHEST) + 1e-9)


def picture(
    axes: Axes,
    values: NDArray[np.float64],
    title: str,
    highest: float,
    *,
    low: float,
    high: float,
    colours: str,
) -> AxesImage:
    """Draw an array whose rows are spaced evenly in octaves."""
    top = np.log2(highest / LOWEST)
    image = axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        cmap=colours,
        vmin=low,
        vmax=high,
        extent=(START, STOP, 0, float(top)),
    )
    ticks = [tick for tick in TICKS if tick <= highest]
    axes.set_yticks([np.log2(tick / LOWEST) for tick in ticks])
    axes.set_yticklabels([f"{tick // 1000}k" if tick >= 1000 else str(tick) for tick in ticks])
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    return image


def save(figure: Figure, file: Path) -> None:
    """Write a figure with 256 colours, a third of the size, and no date in it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=90)
    plt.close(figure)
    Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file)


def draw_separation(separator: Separator, file: Path) -> None:
    """Draw the mixture, the separated stems and the true ones."""
    song = compose()
    mixture = (song.mixture / 32768).astype(np.float32)
    stems = separator(mixture, SAMPLE_RATE)
    reference = {
        "vocals": (song.stems["vocals"] / 32768).astype(np.float32),
        "accompaniment": (song.accompaniment / 32768).astype(np.float32),
    }
    high = float(decibels(mixture).max())
    figure = plt.figure(figsize=(11, 5), layout="constrained")
    grid = figure.add_gridspec(2, 3)
    panels = {"mixture": (grid[:, 0], mixture)}
    for column, stem in enumerate(reference, start=1):
        panels[f"{stem}, separated"] = grid[0, column], stems[stem]
        panels[f"{stem}, true"] = grid[1, column], reference[stem]
    for title, (place, audio) in panels.items():
        axes = figure.add_subplot(place)
        values = decibels(audio) - high
        image = picture(axes, values, title, HIGHEST, low=-RANGE, high=0.0, colours="magma")
        if title == "mixture":
            axes.set_ylabel("frequency, Hz", fontsize=9)
        if "separated" not in title:
            axes.set_xlabel("time, s", fontsize=9)
    bar = figure.colorbar(image, ax=figure.axes, fraction=0.02, pad=0.01)
    bar.set_label("dB below the loudest point of the mixture", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    save(figure, file)


def draw_masks(separator: Separator, file: Path) -> None:
    """Draw the magnitude that the network gets, its vocal mask and the ideal ratio mask."""
    rate = separator.rate
    song = compose()
    parts = np.stack([song.stems["vocals"], song.accompaniment]).mean(axis=1) / 32768
    sources = soxr.resample(parts.T, SAMPLE_RATE, rate, quality="HQ").T.astype(np.float32)
    mixture = sources.sum(axis=0)
    level = Level(rate)
    level.update(mixture[None])
    with torch.inference_mode():
        spectra = separator.network.stft(torch.from_numpy(np.ascontiguousarray(sources)))
        spectrum = spectra.sum(dim=0)
        mask = separator.network.masks(spectrum[None] * (LEVEL / level.rms))[0, 0].numpy()
    magnitudes = spectra.abs().numpy()
    ideal = magnitudes[0] / (magnitudes.sum(axis=0) + 1e-9)
    hop = separator.network.stft.config.hop_length
    frames = slice(round(START * rate / hop), round(STOP * rate / hop))
    shown = [20 * np.log10(spectrum.abs().numpy() + 1e-9), mask, ideal]
    titles = ["mixture, dB", "mask of the network", "ideal ratio mask"]
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained", sharey=True)
    for axes, values, title in zip(panels, shown, titles, strict=True):
        rows = on_octaves(values[:, frames], rate, rate / 2)
        is_mask = title != titles[0]
        rows -= 0.0 if is_mask else rows.max()
        low, high = (0.0, 1.0) if is_mask else (-RANGE, 0.0)
        colours = "viridis" if is_mask else "magma"
        image = picture(axes, rows, title, rate / 2, low=low, high=high, colours=colours)
        axes.set_xlabel("time, s", fontsize=9)
        figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02).ax.tick_params(labelsize=8)
    panels[0].set_ylabel("frequency, Hz", fontsize=9)
    save(figure, file)


def draw_bases(separator: Separator, file: Path) -> None:
    """Draw a learned basis and its activations, as ``audiocli features --plot`` does."""
    audio = (compose().mixture / 32768).astype(np.float32)
    stretch = audio[:, round(START * SAMPLE_RATE) : round(STOP * SAMPLE_RATE)]
    with tempfile.TemporaryDirectory() as folder:
        song, drawn = Path(folder, "song.wav"), Path(folder, "bases.png")
        soundfile.write(song, stretch.T, SAMPLE_RATE)
        basis = Basis("nmf", device="cpu")
        seen = overview(song)
        basis.draw(drawn, seen, [stretch], SAMPLE_RATE, title="demo song", overwrite=False)
        shrink(drawn, file)


def draw_chords(model: str, file: Path) -> None:
    """Draw the chords of the song, as ``audiocli chords --plot`` does."""
    with tempfile.TemporaryDirectory() as folder:
        write_demo(Path(folder))
        song, drawn = Path(folder, "song.wav"), Path(folder, "chords.png")
        recognize_file(ChordRecognizer(model, device="cpu"), song, name="demo song", plot=drawn)
        shrink(drawn, file)


def draw_notes(file: Path) -> None:
    """Draw the melody of the voice, as ``audiocli notes --plot`` does."""
    sung = compose().stems["vocals"].T[round(START * SAMPLE_RATE) : round(STOP * SAMPLE_RATE)]
    with tempfile.TemporaryDirectory() as folder:
        voice, drawn = Path(folder, "vocals.wav"), Path(folder, "notes.png")
        soundfile.write(voice, sung, SAMPLE_RATE)
        transcribe_file(NoteTranscriber(device="cpu"), voice, name="vocals.wav", plot=drawn)
        shrink(drawn, file)


def shrink(drawn: Path, file: Path) -> None:
    """Write a picture at two thirds of its size, with 256 colours."""
    picture = Image.open(drawn).convert("RGB")
    picture = picture.resize((picture.width * 2 // 3, picture.height * 2 // 3), Image.LANCZOS)
    picture.quantize(256, dither=Image.Dither.NONE).save(file)


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="drnn-mir1k", help="name or model folder")
    parser.add_argument("--chords", default="crnn", help="model of chords, likewise")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "images")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    separator = Separator(options.model, device="cpu")
    pictures = {"separation.png": draw_separation, "masks.png": draw_masks, "bases.png": draw_bases}
    for name, draw in pictures.items():
        draw(separator, options.output / name)
        print(options.output / name)
    draw_chords(options.chords, options.output / "chords.png")
    print(options.output / "chords.png")
    draw_notes(options.output / "notes.png")
    print(options.output / "notes.png")


if __name__ == "__main__":
    main()
