"""The genres and tags that musicnn itself gives, as heads on the shipped encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from places import DATA

from audiocli.nn import models, registry
from audiocli.nn.clipwise import Head
from audiocli.tasks.classify.ontology import families

#: Labels that one word of MTT_musicnn alone stands for, and its place among the outputs.
ALONE = {
    "genre-tags": {"Techno": 3, "Indian": 16, "Opera": 17},
    "words": {"Techno": 3, "Strings": 4, "Piano": 9, "Violin": 12, "Sitar": 31, "Harp": 42,
              "Cello": 43, "Weird": 45},
}  # fmt: skip


@pytest.mark.parametrize(("task", "name"), [("classify", "genre-tags"), ("tag", "words")])
def test_the_logits_are_those_of_musicnn(task: str, name: str) -> None:
    golden = np.load(DATA / "musicnn.npz")
    entry = registry.find(task, name)
    head = models.load(entry)
    assert isinstance(head, Head)
    hidden = torch.from_numpy(golden["hidden"].astype(np.float32))
    with torch.no_grad():
        logits = head(torch.cat([hidden, torch.zeros_like(hidden)])[None])[0].numpy()
        spread = head(torch.cat([hidden, torch.full_like(hidden, torch.nan)])[None])[0].numpy()
    np.testing.assert_array_equal(logits, spread)  # deviations count for nothing
    for label, place in ALONE[name].items():
        found = logits[entry.config["labels"].index(label)]
        assert found == pytest.approx(float(golden["tags"][place]), abs=0.02)


def test_tags_are_of_five_kinds() -> None:
    config = registry.find("tag", "words").config
    groups = config["groups"]
    assert list(groups) == ["genre", "instrument", "mood", "era", "voice"]
    assert [label for group in groups.values() for label in group] == config["labels"]
    assert groups["genre"] == registry.find("classify", "genre-tags").config["labels"]
    assert len(set(config["labels"])) == len(config["labels"])


def test_wide_genres() -> None:
    config = registry.find("classify", "genre-tags").config
    wide = families(config["parents"], config["labels"], 1)
    assert wide["Indie rock"] == ["Rock"] and wide["House"] == ["Electronic"]
    assert wide["Jazz"] == ["Jazz"]
    assert {name for names in wide.values() for name in names} <= set(config["labels"])
