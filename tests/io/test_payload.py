"""The hash of a file's audio: the same with other tags, another with other sound."""

from __future__ import annotations

from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.apev2 import APEv2
from mutagen.id3 import APIC, ID3, TIT2

from audiocli.io.payload import hash_file

RATE = 44_100
FORMATS = ["wav", "flac", "ogg", "opus", "mp3", "aiff"]


def noise(seed: int, samples: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (samples, 2)).clip(-1, 1)


def write(path: Path, seed: int = 0) -> Path:
    extra = {"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}
    soundfile.write(path, noise(seed), 48_000 if extra else RATE, **extra)
    return path


def tag(path: Path, title: str) -> None:
    file = mutagen.File(path, easy=path.suffix == ".mp3")
    if file.tags is None:
        file.add_tags()
    if path.suffix in (".wav", ".aiff"):
        file.tags.add(TIT2(encoding=3, text=[title]))
    else:
        file["title"] = [title]
    file.save()


@pytest.mark.parametrize("form", FORMATS)
def test_tags_leave_the_audio_as_it_is(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"a.{form}")
    plain = hash_file(path)
    tag(path, "a first title")
    first = hash_file(path)
    tag(path, "another title, which is longer " * 30)
    second = hash_file(path)
    assert len({plain.input, first.input, second.input}) == 3
    assert plain.audio == first.audio == second.audio


@pytest.mark.parametrize("form", FORMATS)
def test_other_sound_is_another_hash(tmp_path: Path, form: str) -> None:
    one, two = (hash_file(write(tmp_path / f"{seed}.{form}", seed)) for seed in (1, 2))
    assert one.audio != two.audio and one.input != two.input


def test_a_changed_sample_is_another_hash(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    before = hash_file(path).audio
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    assert hash_file(path).audio != before


def test_tags_at_both_ends_of_an_mp3(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3")
    plain = hash_file(path).audio
    tags = ID3()
    tags.add(APIC(encoding=3, mime="image/png", type=3, desc="cover", data=b"\x89PNG" * 5000))
    tags.save(path, v1=2)
    ape = APEv2()
    ape["Artist"] = "somebody"
    ape.save(path)
    assert hash_file(path).audio == plain


def test_what_is_damaged_is_hashed_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac")
    whole = path.read_bytes()
    path.write_bytes(whole[:3])
    found = hash_file(path)
    assert found.audio == found.input
    path.write_bytes(b"")
    assert hash_file(path).audio == hash_file(path).input
