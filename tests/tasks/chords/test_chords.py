"""Chords: their names, the decoding, keys, examples and scores."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import mir_eval
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiocli.errors import DataError, UsageError
from audiocli.io.formats import Segments
from audiocli.nn import models
from audiocli.nn.chord_crnn import ChordCRNN
from audiocli.nn.frontend import Filterbank
from audiocli.tasks.annotated import find_recordings
from audiocli.tasks.chords.decoding import (
    Decoder,
    Outputs,
    best_path,
    decode,
    outputs_of,
    quality_costs,
    states_of,
    transitions,
)
from audiocli.tasks.chords.evaluation import confused, single_chord
from audiocli.tasks.chords.examples import (
    AUGMENTATIONS,
    LINGERS,
    UNKNOWN,
    Excerpts,
    Take,
    changes_of,
    examples,
    load,
    margin,
    wider,
)
from audiocli.tasks.chords.key import Key, Passage, find_key, find_keys, roman
from audiocli.tasks.chords.labels import (
    NO_CHORD,
    QUALITIES,
    VOCABULARIES,
    Chord,
    parse,
    pitches_of,
    reduced,
)
from audiocli.tasks.chords.recognizer import Chords
from audiocli.tasks.chords.scoring import METRICS, score_song, weighted
from audiocli.tasks.chords.training import FINE, TrainingConfig

EVEN = np.ones((len(QUALITIES), 12, len(QUALITIES))) / (12 * len(QUALITIES) ** 2)
every_chord = st.builds(Chord, st.integers(0, 11), st.sampled_from(list(QUALITIES)), st.just(0))


def segments(*rows: tuple[float, float, str]) -> Segments:
    starts, ends, labels = zip(*rows, strict=True)
    return Segments(np.array(starts), np.array(ends), labels, "chord")


def logits(*chords: Chord, frames: int = 20, sure: float = 8.0) -> np.ndarray:
    """What a network would say that is sure of these chords, one after another."""
    width = 12 * len(QUALITIES) + 1
    rows = np.zeros((frames * len(chords), width + 13 + 12), np.float32)
    for index, chord in enumerate(chords):
        part = rows[index * frames : (index + 1) * frames]
        if not chord:
            part[:, [width - 1, width + 12]] = sure
            continue
        part[:, chord.root * len(QUALITIES) + list(QUALITIES).index(chord.quality)] = sure
        part[:, width + (chord.root + chord.bass) % 12] = sure
        part[:, [width + 13 + tone for tone in chord.pitch_classes]] = sure
    return rows


# --- names -------------------------------------------------------------------------------------


@given(every_chord, st.integers(0, 3))
def test_a_label_is_read_as_the_chord_that_wrote_it(chord: Chord, place: int) -> None:
    steps = QUALITIES[chord.quality]
    chord = replace(chord, bass=steps[place % len(steps)])
    assert parse(chord.label()) == chord


@given(every_chord, st.integers(-30, 30))
def test_transposing_moves_every_tone(chord: Chord, semitones: int) -> None:
    moved = {(tone + semitones) % 12 for tone in chord.pitch_classes}
    assert chord.transposed(semitones).pitch_classes == moved
    assert NO_CHORD.transposed(semitones) == NO_CHORD


@pytest.mark.parametrize(
    ("label", "chord"),
    [
        ("C", Chord(0)),
        ("Cb:min", Chord(11, "min")),
        ("F##:7", Chord(7, "7")),
        ("G:9", Chord(7, "7")),
        ("A:maj(9)", Chord(9, "maj")),
        ("D:sus4(b7)", Chord(2, "sus4(b7)")),
        ("E:(1,5)", Chord(4, "5")),
        ("Bb:min7/b3", Chord(10, "min7", 3)),
        ("C:maj/9", Chord(0, "maj", 2)),
        ("N", NO_CHORD),
        ("X", None),
    ],
)
def test_labels_of_others_are_read(label: str, chord: Chord | None) -> None:
    assert parse(label) == chord


@pytest.mark.parametrize("label", ["H:maj", "C:nonsense", "", "c:maj", "C:maj/x"])
def test_what_is_no_label_is_refused(label: str) -> None:
    with pytest.raises(DataError, match="is no chord label"):
        parse(label)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_vocabularies_are_closed(vocabulary: str) -> None:
    names = set(VOCABULARIES[vocabulary].values())
    assert VOCABULARIES[vocabulary].keys() == QUALITIES.keys()
    assert all(VOCABULARIES[vocabulary][name] == name for name in names)
    assert reduced(NO_CHORD, vocabulary) == NO_CHORD


@given(every_chord)
def test_a_chord_is_played_with_its_tones_and_its_bass_lowest(chord: Chord) -> None:
    pitches = pitches_of(chord.label())
    assert {pitch % 12 for pitch in pitches} == chord.pitch_classes
    assert pitches[0] % 12 == (chord.root + chord.bass) % 12
    assert min(pitches) >= 40 and max(pitches) <= 70


# --- decoding ----------------------------------------------------------------------------------


@given(st.lists(st.one_of(every_chord, st.just(NO_CHORD)), min_size=1, max_size=6))
def test_what_the_network_is_sure_of_is_what_comes_out(chords: list[Chord]) -> None:
    found = list(decode([outputs_of(logits(*chords))], EVEN, Decoder()))
    joined = [c for k, c in enumerate(chords) if k == 0 or c != chords[k - 1]]
    assert [segment.chord for segment in found] == joined
    assert [segment.start for segment in found][1:] == [segment.end for segment in found][:-1]
    assert found[-1].end == 20 * len(chords)


def test_the_bass_makes_an_inversion_only_in_the_full_vocabulary() -> None:
    outputs = [outputs_of(logits(Chord(0, "maj7", 4)))]
    assert [each.chord for each in decode(outputs, EVEN, Decoder())] == [Chord(0, "maj7", 4)]
    assert [s.chord for s in decode(outputs, EVEN, Decoder("sevenths"))] == [Chord(0, "maj7")]
    assert [s.chord for s in decode(outputs, EVEN, Decoder("majmin"))] == [Chord(0)]


@pytest.mark.parametrize(("advantage", "expected"), [(0.5, "min"), (0.9, "5")])
def test_an_open_fifth_must_be_more_likely_than_a_third_by_what_it_costs(
    advantage: float, expected: str
) -> None:
    inputs = np.zeros((20, 218), np.float32)
    for quality, height in (("min", 9.0), ("5", 9.0 + advantage)):
        inputs[:, 5 * len(QUALITIES) + list(QUALITIES).index(quality)] = height
    (found,) = decode([outputs_of(inputs)], EVEN, Decoder(open_fifth=0.7))
    assert found.chord.quality == expected
    # What it costs is no matter of confidence.
    odds = 1 / (1 + np.exp(-advantage if expected == "5" else advantage))
    assert found.confidence == pytest.approx(odds, abs=0.03)


@pytest.mark.parametrize(("rarity", "expected"), [(0.0, "sus4"), (1.0, "maj")])
def test_a_quality_that_is_rare_in_training_must_be_more_likely(
    rarity: float, expected: str
) -> None:
    names = list(QUALITIES)
    changes = EVEN.copy()
    changes[..., [names.index("maj"), names.index("min")]] *= 10
    inputs = np.zeros((20, 218), np.float32)
    for quality, height in (("maj", 9.0), ("sus4", 10.0)):  # ten times rarer: 2.3 nats
        inputs[:, 5 * len(QUALITIES) + names.index(quality)] = height
    (found,) = decode([outputs_of(inputs)], changes, Decoder(rarity=rarity))
    assert found.chord.quality == expected
    # A minor chord is no rarer than a major one.
    costs = quality_costs(changes, Decoder(rarity=1.0))
    assert costs[names.index("maj")] == costs[names.index("min")] == costs[-1] == 0


@pytest.mark.parametrize("vocabulary", ["majmin", "sevenths"])
@pytest.mark.parametrize("third", ["maj", "min"])
def test_a_chord_without_a_third_has_the_most_frequent_third(vocabulary: str, third: str) -> None:
    chances = np.full((1, 12, len(QUALITIES)), 1e-6)
    names = list(QUALITIES)
    chances[0, 5, names.index("5")] = 0.6
    chances[0, 5, names.index("sus2")] = 0.2
    chances[0, 5, [names.index("maj"), names.index("min")]] = 0.05
    chances[0, 5, names.index(third)] = 0.1
    chords = np.log(np.append(chances.reshape(1, -1), [[1e-6]], axis=1))
    decoder = Decoder(vocabulary)
    states = np.exp(states_of(chords, decoder))
    assert states.sum() == pytest.approx(np.exp(chords).sum(), rel=1e-4)
    best = 5 * len(decoder.qualities) + decoder.qualities.index(third)
    assert states[0].argmax() == best
    assert states[0, best] == pytest.approx(0.1 + 0.8 * 2 / 3, abs=0.001)


def test_a_short_doubt_is_passed_over_and_a_cheap_change_is_not() -> None:
    rows = logits(Chord(0), Chord(9, "min"), Chord(0), frames=4, sure=3.0)
    rows = np.concatenate([rows[:4]] * 5 + [rows[4:6]] + [rows[:4]] * 5)
    patient = list(decode([outputs_of(rows)], EVEN, Decoder(change=4.0)))
    hasty = list(decode([outputs_of(rows)], EVEN, Decoder(change=0.0, trust=1.0)))
    assert [each.chord for each in patient] == [Chord(0)]
    assert [each.chord for each in hasty] == [Chord(0), Chord(9, "min"), Chord(0)]


@pytest.mark.parametrize("sizes", [[1] * 60, [7, 13, 40], [59, 1], [60]])
def test_batches_of_any_size_give_the_same_path(sizes: list[int]) -> None:
    rng = np.random.default_rng(3)
    frames = np.log(rng.dirichlet(np.ones(25), 60)).astype(np.float32)
    table = transitions(EVEN, Decoder("majmin", change=1.0))
    whole = np.concatenate(list(best_path([frames], table, 1.0)))
    ends = np.cumsum(sizes)
    parts = [frames[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    np.testing.assert_array_equal(np.concatenate(list(best_path(parts, table, 1.0))), whole)

    # It is the best: no other path that differs in one frame scores higher.
    def value(path: np.ndarray) -> float:
        return float(frames[np.arange(60), path].sum() + table[path[:-1], path[1:]].sum())

    for index in range(60):
        for state in range(25):
            other = whole.copy()
            other[index] = state
            assert value(other) <= value(whole) + 1e-4


def test_a_settled_path_is_given_before_the_end() -> None:
    sure = np.full((50, 2), -20.0, np.float32)
    sure[:25, 0] = sure[25:, 1] = 0.0
    given_at: list[int] = []

    def batches() -> object:
        for start in range(0, 50, 10):
            given_at.append(start)
            yield sure[start : start + 10]

    path = best_path(batches(), np.array([[0.0, -2.0], [-2.0, 0.0]]), 1.0)  # type: ignore[arg-type]
    first = next(path)
    assert given_at == [0] and first.tolist() == [0] * 9
    assert np.concatenate([first, *path]).tolist() == [0] * 25 + [1] * 25


def test_smaller_vocabularies_add_up_probabilities() -> None:
    rng = np.random.default_rng(0)
    full = outputs_of(rng.normal(size=(30, 218)).astype(np.float32)).chords
    for vocabulary in VOCABULARIES:
        states = states_of(full, Decoder(vocabulary))
        np.testing.assert_allclose(np.exp(states).sum(axis=1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(states[:, -1], full[:, -1])


def test_usual_changes_cost_less_in_every_key() -> None:
    changes = EVEN.copy()
    changes[0, 7, 0] *= 500  # from a major chord up a fifth to another
    table = transitions(changes / changes.sum(), Decoder("majmin", habit=1.0))
    for root in range(12):
        up, down = (root + 7) % 12, (root + 5) % 12
        assert table[2 * root, 2 * up] > table[2 * root, 2 * down]
    assert (np.diag(table) == 0).all()


@pytest.mark.parametrize("wrong", [{"vocabulary": "jazz"}, {"change": -1.0}, {"trust": -0.1}])
def test_decoders_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Decoder(**wrong)  # type: ignore[arg-type]


# --- keys --------------------------------------------------------------------------------------


def progression(*chords: Chord, seconds: float = 2.0) -> list[Passage]:
    return [Passage(i * seconds, (i + 1) * seconds, chord) for i, chord in enumerate(chords)]


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(
    ("mode", "chords"),
    [
        ("major", [Chord(0), Chord(9, "min"), Chord(5), Chord(7)]),
        ("major", [Chord(2, "min7"), Chord(7, "7"), Chord(0, "maj7"), Chord(0)]),
        ("minor", [Chord(0, "min"), Chord(8), Chord(5, "min"), Chord(7, "7")]),
        ("minor", [Chord(0, "min"), Chord(10), Chord(8), Chord(0, "min")]),
    ],
)
def test_keys_of_plain_cadences(tonic: int, mode: str, chords: list[Chord]) -> None:
    found = find_key(progression(*(chord.transposed(tonic) for chord in chords)))
    assert found == Key(tonic, mode)


def test_nothing_has_no_key() -> None:
    assert find_key([]) is None and find_keys([]) == []
    assert find_key(progression(NO_CHORD)) is None and find_keys(progression(NO_CHORD)) == []


def test_spelling_follows_the_key() -> None:
    flat = progression(Chord(3), Chord(8), Chord(10, "7"), Chord(3))
    sharp = progression(Chord(9), Chord(2), Chord(4, "7"), Chord(6, "min"), Chord(9))
    for passages, labels in (
        (flat, ("Eb:maj", "Ab:maj", "Bb:7", "Eb:maj")),
        (sharp, ("A:maj", "D:maj", "E:7", "F#:min", "A:maj")),
    ):
        chords = Chords(tuple(passages), np.zeros((12, 1), np.float16), 1.0, 10.0)
        assert chords.segments().labels == labels


def test_degrees() -> None:
    key = Key(0, "major")
    wanted = {
        Chord(0): "I", Chord(2, "min7"): "ii7", Chord(7, "7", 4): "V7/3", Chord(9, "min"): "vi",
        Chord(11, "hdim7"): "viiø7", Chord(10): "bVII", Chord(7, "sus4"): "Vsus4",
        Chord(11, "dim"): "viio", Chord(0, "aug"): "I+", NO_CHORD: "N",
    }  # fmt: skip
    assert {chord: roman(chord, key) for chord in wanted} == wanted
    assert roman(Chord(7, "min"), Key(0, "minor")) == "v"


def test_transposed_chords_have_a_transposed_key() -> None:
    chords = Chords(tuple(progression(Chord(0), Chord(5), Chord(7), Chord(0))),
                    np.eye(12, 8, dtype=np.float16), 1.0, 8.0)  # fmt: skip
    moved = chords.transposed(-3)
    assert moved.key == Key(9, "major") and moved.passages[0].chord == Chord(9)
    assert moved.tones[9, 0] == 1


def test_simple_chords_are_joined() -> None:
    chords = Chords(tuple(progression(Chord(0), Chord(0, "maj7", 4), Chord(9, "min7"))),
                    np.zeros((12, 6), np.float16), 1.0, 6.0)  # fmt: skip
    simple = chords.simplified().passages
    assert [(each.start, each.end, each.chord) for each in simple] == [
        (0.0, 4.0, Chord(0)),
        (4.0, 6.0, Chord(9, "min")),
    ]


# --- the network and its examples --------------------------------------------------------------


def tones(chord: Chord, seconds: float, rate: int = 22_050, tuning: float = 0.0) -> np.ndarray:
    """Play a chord with a few harmonics."""
    time = np.arange(round(seconds * rate)) / rate
    sound = np.zeros_like(time)
    for pitch in pitches_of(chord.label()):
        frequency = 440 * 2 ** ((pitch + tuning - 69) / 12)
        for harmonic in range(1, 6):
            sound += np.sin(2 * np.pi * frequency * harmonic * time) / harmonic**1.5
    return (0.1 * sound).astype(np.float32)


def test_the_network_is_transposition_equivariant() -> None:
    """A spectrogram moved by a semitone gives outputs moved by one pitch class."""
    torch.manual_seed(0)
    network = TrainingConfig(arguments={"channels": [4, 6, 8], "num_circles": 2}).build().eval()
    images = torch.zeros(1, 2, 252, 30)
    images[:, :, 100:140] = torch.rand(1, 2, 40, 30)  # away from the edges
    moved = images.roll(3, dims=2)
    with torch.no_grad():
        first = outputs_of(network.outputs(images)[0].T.numpy())
        second = outputs_of(network.outputs(moved)[0].T.numpy())
    count = len(QUALITIES)
    np.testing.assert_allclose(
        np.roll(first.chords[:, :-1], count, axis=1), second.chords[:, :-1], atol=0.05
    )
    np.testing.assert_allclose(np.roll(first.tones, 1, axis=1), second.tones, atol=0.02)


def test_bands_lie_on_the_pitches() -> None:
    centres = Filterbank(FINE).centres.numpy()
    pitches = 69 + 12 * np.log2(centres / 440)
    np.testing.assert_allclose(pitches[1::3], np.arange(24, 108), atol=1e-4)
    more = margin(FINE)
    np.testing.assert_allclose(
        Filterbank(wider(FINE)).centres.numpy()[more:-more], centres, rtol=1e-6
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chords")
    sound = np.concatenate([tones(Chord(0), 2.0), tones(Chord(9, "min"), 2.0)])
    soundfile.write(folder / "a.wav", sound, 22_050)
    (folder / "a.lab").write_text("0 2 C:maj\n2 4 A:min/b3\n")
    return folder


def take_of(folder: Path) -> Take:
    return load(find_recordings(folder, [".lab"])[0], Filterbank(wider(FINE)))


def test_a_recording_is_loaded_as_the_network_would_see_it(recorded: Path) -> None:
    take = take_of(recorded)
    audio, _ = soundfile.read(recorded / "a.wav", dtype="float32")
    inputs = Filterbank(FINE)(torch.from_numpy(audio)).numpy()
    more = margin(FINE)
    np.testing.assert_allclose(take.images[:, more:-more], inputs, atol=0.01)
    assert take.frames == len(take.roots) == 44
    assert take.roots[[0, 21]].tolist() == [0, 0] and take.roots[[22, 43]].tolist() == [9, 9]
    assert take.basses[30] == 0 and take.qualities[30] == list(QUALITIES).index("min")


def test_spectrograms_are_kept(recorded: Path, tmp_path: Path) -> None:
    bank = Filterbank(wider(FINE))
    recording = find_recordings(recorded, [".lab"])[0]
    first = load(recording, bank, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(load(recording, bank, tmp_path).images, first.images)
    other = Filterbank(replace(wider(FINE), gain=100.0))
    assert load(recording, other, tmp_path).images.max() < first.images.max()


def test_plain_examples_are_the_recording(recorded: Path) -> None:
    take = take_of(recorded)
    how = Excerpts(FINE, AUGMENTATIONS["none"], take.frames / FINE.frame_rate, 2)
    batch = examples([[take]], how, np.random.default_rng(0))
    more = margin(FINE)
    np.testing.assert_array_equal(batch.images[0].numpy(), take.images[:, more:-more])
    assert batch.chords[0, 10] == 0 and batch.chords[0, 43] // len(QUALITIES) == 9
    assert batch.tones[0, :, 10].nonzero().flatten().tolist() == [0, 4, 7]
    assert batch.tones[0, :, 30].nonzero().flatten().tolist() == [0, 4, 9]


def test_transposed_examples_keep_sound_and_target_together(recorded: Path) -> None:
    take = take_of(recorded)
    how = Excerpts(FINE, replace(AUGMENTATIONS["none"], transpose=True), 4.0, 24)
    batch = examples([[take]], how, np.random.default_rng(1))
    centres = 69 + 12 * np.log2(Filterbank(FINE).centres.numpy() / 440)
    roots = set()
    for image, chords in zip(batch.images, batch.chords, strict=True):
        root = int(chords[10]) // len(QUALITIES)
        roots.add(root)
        strongest = centres[int(image[1, :, 10].argmax())]
        assert round(float(strongest)) % 12 in Chord(root).pitch_classes
    assert len(roots) > 8


def test_examples_longer_than_recordings_are_filled_or_unknown(recorded: Path) -> None:
    how = Excerpts(FINE, AUGMENTATIONS["wide"], 12.0, 16)
    batch = examples([[take_of(recorded)]], how, np.random.default_rng(2))
    unknown = (batch.chords == UNKNOWN).sum(dim=1)
    assert unknown.min() == 0 and unknown.max() == LINGERS
    nothing = 12 * len(QUALITIES)
    assert (batch.chords[unknown == LINGERS, -1] == nothing).all()
    assert torch.isfinite(batch.images).all()
    assert torch.equal(batch.tones.isnan().any(dim=1), batch.chords == UNKNOWN)


def test_some_examples_hold_nothing(recorded: Path) -> None:
    how = Excerpts(FINE, replace(AUGMENTATIONS["none"], quiet=1.0), 4.0, 2)
    batch = examples([[take_of(recorded)]], how, np.random.default_rng(0))
    assert (batch.images == 0).all() and (batch.tones == 0).all()
    assert (batch.chords == 12 * len(QUALITIES)).all() and (batch.basses == 12).all()


def test_changes_are_counted_in_all_keys_at_once() -> None:
    counted = changes_of([segments((0, 1, "C:maj"), (1, 2, "G:7"), (2, 3, "N"), (3, 4, "D:min"))])
    assert counted.sum() == pytest.approx(1.0)
    assert counted.argmax() == np.ravel_multi_index((0, 7, 6), counted.shape)
    assert (counted > 0).all()


def test_wrong_numbers_of_bands_are_refused() -> None:
    with pytest.raises(models.ModelError, match="bands"):
        ChordCRNN(replace(FINE, bands=250))


# --- scores ------------------------------------------------------------------------------------


def test_scores_of_the_reference_are_perfect() -> None:
    reference = segments((0, 1, "N"), (1, 3, "C:maj7"), (3, 4.5, "A:min/b3"))
    scores = score_song(reference, reference)
    assert set(scores) == set(METRICS)
    assert all(value == pytest.approx(1.0) for value in scores.values())


def test_scores_count_seconds() -> None:
    reference = segments((0, 2, "C:maj"), (2, 6, "G:7"), (6, 8, "A:min"))
    found = segments((0, 2, "C:maj7"), (2, 5, "G:maj"), (5, 8, "A:min"))
    scores = score_song(reference, found)
    assert scores["root"] == pytest.approx(7 / 8)
    assert scores["majmin"] == pytest.approx(7 / 8)
    assert scores["sevenths"] == pytest.approx(2 / 8)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_mir_eval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = ["C:maj", "G:7", "A:min/b3", "N", "X", "D:sus4", "E:min7"]

    def some() -> Segments:
        edges = np.concatenate([[0.0], np.cumsum(rng.uniform(0.1, 3, 40))])
        return Segments(edges[:-1], edges[1:], list(rng.choice(labels, 40)), "chord")

    one, other = some(), some()
    spans = [np.column_stack([each.starts, each.ends]) for each in (one, other)]
    expected = mir_eval.chord.evaluate(spans[0], list(one.labels), spans[1], list(other.labels))
    assert score_song(one, other) == {name: float(expected[name]) for name in METRICS}


def test_what_cannot_be_scored_counts_for_nothing() -> None:
    unknown, known = segments((0, 9, "X")), segments((0, 4, "C:maj"), (4, 8, "G:maj"))
    nothing = score_song(unknown, known)
    assert set(nothing) == set(METRICS)
    assert all(map(math.isnan, nothing.values()))
    everything = score_song(known, known)
    assert weighted([nothing, everything, nothing], [9.0, 8.0, 9.0]) == everything
    assert all(map(math.isnan, weighted([nothing], [9.0]).values()))
    augmented = score_song(segments((0, 4, "C:aug")), known)  # outside major and minor
    assert math.isnan(augmented["majmin"]) and augmented["root"] == 1.0


def test_confusion_counts_seconds() -> None:
    reference = segments((0, 2, "C:maj"), (2, 4, "N"), (4, 5, "X"))
    found = segments((0, 1, "C:min"), (1, 3, "D:maj"), (3, 5, "N"))
    assert confused(reference, found) == {
        ("maj", "min"): 1.0, ("maj", "root"): 1.0, ("N", "maj"): 1.0, ("N", "N"): 1.0,
    }  # fmt: skip


def test_single_chords_are_scored_as_a_whole() -> None:
    reference = segments((0, 2, "A:min"))
    assert single_chord(reference, segments((0, 1.2, "N"), (1.2, 2, "A:min7/b3"))) == 1.0
    assert single_chord(reference, segments((0, 0.9, "A:min"), (0.9, 2, "A:maj"))) == 0.0
    assert single_chord(reference, segments((0, 2, "N"))) == 0.0
    assert single_chord(segments((0, 1, "C:maj"), (1, 2, "D:maj")), reference) is None
    assert single_chord(segments((0, 1, "C:sus4")), reference) is None


def test_outputs_are_split_in_three() -> None:
    outputs = outputs_of(np.random.default_rng(0).normal(size=(4, 218)).astype(np.float32))
    assert isinstance(outputs, Outputs)
    assert (outputs.chords.shape, outputs.basses.shape, outputs.tones.shape) == (
        (4, 193), (4, 13), (4, 12),
    )  # fmt: skip
    np.testing.assert_allclose(np.exp(outputs.basses).sum(axis=1), 1.0, rtol=1e-5)
