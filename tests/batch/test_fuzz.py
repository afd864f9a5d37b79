"""A few of the broken files of `make fuzz`, and the parsers on what hypothesis thinks of."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiocli.batch.inputs import find_inputs
from audiocli.batch.manifest import command_of, is_manifest
from audiocli.errors import AudioCliError, AudioCliWarning
from audiocli.io.audio import AudioReader
from audiocli.io.formats import reading
from audiocli.tasks.classify.clips import Selection, find_clips
from audiocli.tasks.label_tables import jams_facts, read_table

#: A few of what each parser takes for its own, so that not all ends at the first character.
WORDS = ["0.5", "1e309", "nan", "-1", "time", "start,end,label", "C:maj", "\t", ",", ";", "\n",
         "\r", '"', "#", "{", "}", "[", '"annotations"', '{"time": 1}', "\x00", "\ufeff", "é",
         "1.0 2.0 a", '{"annotations": [{"namespace": "onset", "data": [{"time": null}]}]}',
         '{"record": "run"}', "path,label\n", "a.wav,", "[" * 50]  # fmt: skip
contents = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), max_size=12).map(
        lambda words: "".join(words).encode("utf-8", "surrogatepass")
    ),
)
PARSERS: dict[str, Callable[[Path], Any]] = {
    "a.onsets": reading.read_instants, "a.csv": reading.read_instants,
    "b.jams": reading.read_instants, "a.beats": reading.read_beats, "a.lab": reading.read_segments,
    "c.jams": reading.read_segments, "c.json": reading.read_segments,
    "labels.csv": read_table, "labels.jsonl": read_table, "d.jams": jams_facts,
    "labels.parquet": lambda path: find_clips(path, Selection()),
    "audiocli.jsonl": lambda path: (is_manifest(path), command_of(path)),
    "list.txt": lambda path: find_inputs([], files_from=str(path)),
}  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
def test_parsers_refuse_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name

    @given(contents)
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def parse(content: bytes) -> None:
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AudioCliWarning)
            try:
                PARSERS[name](path)
            except AudioCliError as error:
                assert "\n" not in str(error) and name in str(error)

    parse()


def test_broken_audio_is_read_or_refused(tmp_path: Path) -> None:
    dice = random.Random(3)
    wholes = [(kind, fuzz.sound(kind, subtype, dice)) for kind, subtype in fuzz.KINDS]
    for number in range(150):
        kind, data = wholes[number % len(wholes)]
        path = tmp_path / f"broken{fuzz.SUFFIXES.get(kind, '.' + kind.lower())}"
        path.write_bytes(dice.choice(fuzz.MUTATIONS)(data, dice))
        with warnings.catch_warnings(), contextlib.suppress(AudioCliError):
            warnings.simplefilter("ignore", AudioCliWarning)
            with AudioReader(path) as reader:
                for block in reader.blocks():
                    assert block.shape[0] == reader.info.channels
