"""Keys: the best fitting one of pitch classes, and how notes are spelled in each."""

from __future__ import annotations

import librosa
import mido
import numpy as np
import pytest

from audiocli.dsp.keys import MODES, PROFILES, Key, find_key, key_fits, note_name
from audiocli.errors import UsageError

KEYS = [Key(tonic, mode) for mode in MODES for tonic in range(12)]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_scale_is_spelled_on_seven_letters_as_far_as_plain_names_go(key: Key) -> None:
    steps = (0, 2, 4, 5, 7, 9, 11) if key.mode == "major" else (0, 2, 3, 5, 7, 8, 10)
    names = [key.names[(key.tonic + step) % 12] for step in steps]
    # E# of F# major and D# minor, Cb of Eb minor are written as the white keys that they are.
    assert len({name[0] for name in names}) >= 6
    assert not {"#", "b"} <= {name[1:] for name in names}


@pytest.mark.parametrize(
    ("key", "pitch", "name"),
    [
        ("C minor", 68, "Ab4"), ("A minor", 68, "G#4"), ("D minor", 61, "C#4"),
        ("D minor", 70, "Bb4"), ("C major", 70, "Bb4"), ("C major", 66, "F#4"),
        ("E major", 68, "G#4"), ("Eb major", 68, "Ab4"), ("G minor", 66, "F#4"),
        ("Ab major", 61, "Db4"), ("B major", 70, "A#4"), ("Bb minor", 66, "Gb4"),
    ],
)  # fmt: skip
def test_notes_are_spelled_by_the_key(key: str, pitch: int, name: str) -> None:
    assert note_name(pitch, Key.parse(key).names) == name


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_names_are_read_back_and_known_to_others(key: Key) -> None:
    assert Key.parse(str(key)) == Key.parse(key.short) == key
    assert mido.MetaMessage("key_signature", key=key.short).key == key.short
    for pitch in range(21, 109):
        assert librosa.note_to_midi(note_name(pitch, key.names)) == pitch


@pytest.mark.parametrize("name", ["", "H major", "C dorian", "12"])
def test_what_is_no_key_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="write it as in C major"):
        Key.parse(name)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_profile_is_its_own_key(key: Key) -> None:
    weights = np.roll(PROFILES[MODES.index(key.mode)], key.tonic)
    assert find_key(weights) == find_key(7 * weights + 2) == key
    fits = key_fits(weights)
    assert fits.max() == pytest.approx(1.0)
    expected = [np.corrcoef(weights, np.roll(row, n))[0, 1] for row in PROFILES for n in range(12)]
    np.testing.assert_allclose(fits, expected)


def test_nothing_and_noise_have_no_key() -> None:
    assert find_key(np.zeros(12)) is None
    assert find_key(np.ones(12)) is None
