"""Does learning features help? One classifier on features made by hand and on learned ones.

    python benchmarks/learned_features.py DATA [--sets esc10 emotify] [--components 32]

DATA: a folder with `esc10` (labels.csv with path, label and fold; leave one fold out) and
`emotify` (labels.csv with path, genre and artist; five folds of artists: a random split would let
the classifier know the albums). Of every file the mean and the standard deviation over frames are
taken, of the log-magnitude mel spectra themselves, of MFCC, and of what each basis makes of them.
Bases are learned on frames of the training folds alone. The classifier is the same for all: each
column standardised, then a support vector machine with a Gaussian kernel, C = 10. It prints a
table in Markdown: accuracy, and between brackets the number of columns.

The row of the shipped onset detector is of its last hidden layer: a network that was trained for
something else, on other data.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import decomposition
from sklearn.cluster import MiniBatchKMeans
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from audiocli.io.audio import AudioReader
from audiocli.nn import models
from audiocli.nn.bases import BasisNetwork
from audiocli.nn.framewise import in_segments
from audiocli.nn.frontend import Filterbank
from audiocli.tasks.features import Extractor
from audiocli.tasks.features.learned import Embedder
from audiocli.tasks.features.training import FRONTEND, loss

Array = NDArray[np.float32]
Describe = Callable[[Array], Array]  # of frames (frames, bands) the features (frames, columns)

LEARNED_ON = 60_000  # frames, drawn from the training folds
STEPS, BATCH = 4000, 512  # of the autoencoder


def labelled(folder: Path) -> tuple[list[Path], list[str], list[str]]:
    """Read files, classes and what must not be torn apart."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    of = ("label", "fold") if "fold" in rows[0] else ("genre", "artist")
    return [folder / row["path"] for row in rows], *([row[key] for row in rows] for key in of)


def spectra(path: Path, bank: Filterbank) -> Array:
    """Give the log-magnitude spectra of a file, (frames, bands)."""
    from audiocli.io.audio.streaming import resample

    with AudioReader(path) as reader:
        mono = (block.mean(axis=0, keepdims=True) for block in reader.blocks())
        heard = resample(mono, reader.info.sample_rate, FRONTEND.sample_rate)
        parts = in_segments(
            bank, FRONTEND, lambda audio: bank.frames(audio)[:, 0], (block[0] for block in heard)
        )
        return np.concatenate(list(parts))


def summary(frames: Array) -> Array:
    """Give mean and standard deviation over frames."""
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)])


def learn(name: str, frames: Array, components: int) -> Describe:
    """Learn a basis from frames (frames, bands); gives what applies it."""
    network = models.build(name, FRONTEND, {"components": components})
    assert isinstance(network, BasisNetwork)
    mean = torch.from_numpy(frames.mean(axis=0)).view_as(network.mean)
    if name in ("pca", "dictionary", "autoencoder"):
        network.mean.copy_(mean)
    if name == "autoencoder":
        network.scale.fill_(float(np.std(frames - frames.mean(axis=0))))
        _descend(network, frames)
    else:
        centred = (frames - network.mean.flatten().numpy()).astype(np.float64)
        seeded = {"batch_size": 1024, "random_state": 0}
        learner = {
            "pca": lambda: decomposition.PCA(components, random_state=0),
            "nmf": lambda: decomposition.MiniBatchNMF(components, max_iter=10, **seeded),
            "kmeans": lambda: MiniBatchKMeans(components, n_init=3, **seeded),
            "dictionary": lambda: decomposition.MiniBatchDictionaryLearning(
                components, alpha=0.2, fit_algorithm="cd", max_iter=10, **seeded
            ),
        }[name]()
        learner.fit(centred)
        rows = learner.cluster_centers_ if name == "kmeans" else learner.components_
        with torch.no_grad():
            network.bases.copy_(torch.from_numpy(rows))

    def describe(heard: Array) -> Array:
        images = (torch.from_numpy(heard.T)[None, None] - network.mean) / network.scale
        with torch.inference_mode():
            return network.outputs(images)[0].T.numpy()

    return describe


def _descend(network: BasisNetwork, frames: Array) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    scaled = torch.from_numpy(frames) - network.mean.flatten()
    scaled /= network.scale.flatten()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / STEPS)
        batch = scaled[torch.from_numpy(rng.integers(len(scaled), size=BATCH))]
        optimizer.zero_grad()
        loss(network, batch).backward()
        optimizer.step()


def accuracies(
    vectors: Callable[[NDArray[np.intp]], Array], labels: list[str], groups: list[str]
) -> tuple[list[float], int]:
    """Classify each fold by a machine trained on the others; `vectors` learns on these alone."""
    found, columns = [], 0
    names = np.array(labels)
    folds = GroupKFold(len(set(groups)) if len(set(groups)) < 8 else 5)
    for train, test in folds.split(names, names, groups):
        rows = vectors(train)
        columns = rows.shape[1]
        classifier = make_pipeline(StandardScaler(), SVC(C=10.0))
        classifier.fit(rows[train], names[train])
        found.append(float((classifier.predict(rows[test]) == names[test]).mean()))
        print(f"fold {len(found)}: {found[-1]:.3f} with {columns} columns", file=sys.stderr)
    return found, columns


def compare(folder: Path, components: int) -> dict[str, tuple[list[float], int]]:
    """Score every kind of feature on one data set."""
    paths, labels, groups = labelled(folder)
    bank = Filterbank(FRONTEND)
    heard = [spectra(path, bank) for path in paths]
    rows: dict[str, tuple[list[float], int]] = {}

    def fixed(vectors: list[Array]) -> Callable[[NDArray[np.intp]], Array]:
        table = np.stack(vectors)
        return lambda train: table

    def by(describe: Callable[[Path], dict[str, float]]) -> list[Array]:
        return [np.array(list(describe(path).values()), np.float32) for path in paths]

    def row_of(maker: Extractor | Embedder) -> Callable[[Path], dict[str, float]]:
        def describe(path: Path) -> dict[str, float]:
            with AudioReader(path) as reader:
                return maker.summary(reader.blocks(), reader.info.sample_rate)

        return describe

    def learned(name: str) -> Callable[[NDArray[np.intp]], Array]:
        def vectors(train: NDArray[np.intp]) -> Array:
            rng = np.random.default_rng(0)
            frames = np.concatenate([heard[index] for index in train])
            drawn = frames[rng.permutation(len(frames))[:LEARNED_ON]]
            describe = learn(name, drawn, components)
            return np.stack([summary(describe(part)) for part in heard])

        return vectors

    rows["log mel spectrum"] = accuracies(fixed([summary(p) for p in heard]), labels, groups)
    mfcc = by(row_of(Extractor(["mfcc"])))
    rows["MFCC (20)"] = accuracies(fixed(mfcc), labels, groups)
    common = by(row_of(Extractor(["common"])))
    rows["`--set common`"] = accuracies(fixed(common), labels, groups)
    for name in ("pca", "nmf", "dictionary", "kmeans", "autoencoder"):
        rows[name] = accuracies(learned(name), labels, groups)
    crnn = by(row_of(Embedder("crnn", device="cpu")))
    rows["hidden layer of `crnn` (onsets)"] = accuracies(fixed(crnn), labels, groups)
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["esc10", "emotify"])
    parser.add_argument("--components", type=int, default=32)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # a basis that has not converged in its few batches
    torch.set_num_threads(1)
    tables = {name: compare(options.data / name, options.components) for name in options.sets}
    print("| features | " + " | ".join(tables) + " |")
    print("|---" * (1 + len(tables)) + "|")
    for name in next(iter(tables.values())):
        cells = []
        for table in tables.values():
            found, columns = table[name]
            cells.append(f"{np.mean(found):.3f} ± {np.std(found):.3f} [{columns}]")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
