"""``audiocli notes``: from pitch and onset activations to notes, files and scores."""

from __future__ import annotations

import io
import json
from pathlib import Path

import mido
import mir_eval
import numpy as np
import pytest
import soundfile
from commands import Run
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.errors import AudioCliWarning, DataError, UsageError
from audiocli.io.formats import Notes, Options, read_notes, render, write
from audiocli.tasks.notes import Decoder, NoteRequest, NoteTranscriber, decode
from audiocli.tasks.notes.decoding import Track
from audiocli.tasks.notes.evaluation import evaluate, score_notes
from audiocli.tasks.notes.quantize import SUBDIVISIONS, choose_subdivision, quantize

RATE = 22050
FRAMES = 100.0
#: Onset and offset in seconds, and pitch; the third and fourth are one note twice, 30 cents high.
MELODY = [
    (0.30, 0.75, 60.0),
    (0.80, 1.25, 64.0),
    (1.30, 1.75, 67.3),
    (1.80, 2.25, 67.3),
    (2.60, 3.20, 55.0),
]


def sung(notes: list[tuple[float, float, float]], seconds: float, rate: int = RATE) -> NDArray:
    """Make a voice: twelve partials, a soft attack, an end."""
    sound = np.zeros(round(seconds * rate))
    for start, end, pitch in notes:
        time = np.arange(round((end - start) * rate)) / rate
        f0 = 440 * 2 ** ((pitch - 69) / 12)
        tone = sum(np.sin(2 * np.pi * f0 * k * time) / k for k in range(1, 13))
        shape = np.minimum(time / 0.02, 1) * np.minimum((end - start - time) / 0.03, 1)
        first = round(start * rate)
        sound[first : first + len(time)] += 0.2 * tone * shape
    noise = np.random.default_rng(0).normal(size=len(sound))
    return (sound + 1e-4 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def transcriber() -> NoteTranscriber:
    return NoteTranscriber()


@pytest.fixture
def song(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "song.wav", sung(MELODY, 3.6), RATE)
    return tmp_path / "song.wav"


def track(
    pitches: list[float | None], peaks: dict[int, float], frame_rate: float = FRAMES
) -> Track:
    f0 = [0.0 if p is None else 440 * 2 ** ((p - 69) / 12) for p in pitches]
    onsets = np.zeros(len(f0))
    for frame, height in peaks.items():
        onsets[frame - 1 : frame + 2] = 0.4 * height
        onsets[frame] = height
    return Track(np.array(f0), onsets, frame_rate)


def check(notes: Notes) -> None:
    starts, ends, pitches = np.array(MELODY).T
    assert notes.starts == pytest.approx(starts, abs=0.03)
    assert notes.ends == pytest.approx(ends, abs=0.06)
    assert notes.pitches == pytest.approx(pitches, abs=0.05)


# --- decoding ----------------------------------------------------------------------------------


def test_a_repeated_note_is_two_where_an_onset_is() -> None:
    pitches = [None] * 10 + [60.0] * 100 + [None] * 20
    apart = decode(track(pitches, {10: 0.9, 60: 0.9}), Decoder())
    assert apart[0].tolist() == [0.1, 0.6]
    assert apart[1].tolist() == [0.6, 1.1]
    assert apart[2] == pytest.approx([60.0, 60.0])
    held = decode(track(pitches, {10: 0.9}), Decoder())
    assert held[0].tolist() == [0.1]


def test_a_new_pitch_without_an_onset_is_a_note_if_it_lasts() -> None:
    starts, _, pitches = decode(
        track([None] * 5 + [60.0] * 60 + [65.0] * 60 + [None] * 5, {5: 0.9}), Decoder()
    )
    assert starts == pytest.approx([0.05, 0.65], abs=0.015)
    assert pitches == pytest.approx([60.0, 65.0])


def test_octave_errors_of_some_frames_change_nothing() -> None:
    pitches = [60.0] * 100
    pitches[40:44] = [72.0] * 4
    starts, ends, found = decode(track(pitches, {1: 0.9}), Decoder())
    assert len(starts) == 1
    assert found == pytest.approx([60.0])
    assert ends == pytest.approx([1.0])


def test_short_notes_are_left_out_as_asked() -> None:
    pitches = [None] * 20 + [60.0] * 8 + [None] * 60 + [62.0] * 50
    peaks = {20: 0.9, 88: 0.9}
    assert len(decode(track(pitches, peaks), Decoder())[0]) == 1
    assert len(decode(track(pitches, peaks), Decoder(min_duration=0.05))[0]) == 2


def test_nothing_voiced_has_no_notes() -> None:
    for frames in (0, 1, 500):
        assert all(len(each) == 0 for each in decode(track([None] * frames, {}), Decoder()))


def test_long_phrases_are_cut_without_a_loss() -> None:
    pitches = [60.0, 62.0, 64.0, 65.0] * 50
    frames = [pitch for pitch in pitches for _ in range(50)]  # 100 s without a rest
    starts, ends, found = decode(track(frames, {50 * n + 1: 0.9 for n in range(200)}), Decoder())
    assert found == pytest.approx(pitches)
    assert (np.diff(starts) > 0).all()
    assert (ends[:-1] <= starts[1:]).all()


# --- transcribing ------------------------------------------------------------------------------


def test_a_melody_is_found(transcriber: NoteTranscriber) -> None:
    melody = transcriber(sung(MELODY, 3.6), RATE)
    check(Notes(melody.starts, melody.ends, melody.pitches))
    assert melody.seconds == pytest.approx(3.6)
    assert (melody.confidences > 0.5).all()


def test_blocks_and_level_change_nothing(transcriber: NoteTranscriber) -> None:
    sound = sung(MELODY, 3.6)
    whole = transcriber(sound, RATE)
    blocks = transcriber.stream((part[None] for part in np.array_split(sound, 17)), RATE)
    soft = transcriber(sound / 8, RATE)
    for other in (blocks, soft):
        assert other.starts == pytest.approx(whole.starts, abs=0.01)
        assert other.pitches == pytest.approx(whole.pitches, abs=0.02)


def test_no_note_ends_after_the_recording(transcriber: NoteTranscriber) -> None:
    time = np.arange(round(1.5 * 44_100)) / 44_100
    melody = transcriber((0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), 44_100)
    assert len(melody.ends) == 1
    assert melody.ends[0] <= melody.seconds == pytest.approx(1.5)


def test_silence_and_noise_have_no_notes(transcriber: NoteTranscriber) -> None:
    silence = transcriber(np.zeros(RATE, np.float32), RATE)
    assert len(silence.starts) == 0
    assert np.isnan(silence.single_voice)
    noise = np.random.default_rng(1).normal(size=2 * RATE).astype(np.float32) / 10
    with pytest.warns(AudioCliWarning, match="no single pitch"):
        assert len(transcriber(noise, RATE).starts) <= 1


def test_what_is_far_softer_is_no_note(transcriber: NoteTranscriber) -> None:
    sound = sung(MELODY, 3.6)
    sound[: round(1.27 * RATE)] *= 1e-3  # 60 dB: what separation leaves in a rest
    assert len(transcriber(sound, RATE).starts) == 3
    sound[: round(1.27 * RATE)] *= 100  # 20 dB: soft notes
    assert len(transcriber(sound, RATE).starts) == 5


def test_chords_are_warned_of(transcriber: NoteTranscriber) -> None:
    seconds = 3.0
    parts = [sung([(0.2, 2.8, pitch)], seconds) for pitch in (48.0, 55.0, 59.0, 64.0, 66.0)]
    with pytest.warns(AudioCliWarning, match="of one voice"):
        transcriber(sum(parts) / 3, RATE)


def test_pitches_outside_the_range_are_not_looked_for() -> None:
    with pytest.warns(AudioCliWarning, match="no single pitch"):
        low = NoteTranscriber(fmin=300.0)(sung([(0.2, 1.0, 45.0)], 1.2), RATE)
    assert (low.pitches > 60).all()
    with pytest.raises(UsageError, match="range of pitches"):
        NoteTranscriber(fmin=500.0, fmax=100.0)


def test_a_formant_on_the_second_harmonic_is_no_octave_error(transcriber: NoteTranscriber) -> None:
    time = np.arange(2 * RATE) / RATE
    phase = 2 * np.pi * 440 * time + 0.4 * np.sin(2 * np.pi * 5 * time)
    sound = sum(a * np.sin(k * phase) for k, a in ((1, 0.06), (2, 1.0), (3, 0.18), (4, 0.02)))
    noise = np.random.default_rng(0).normal(0, 0.003, len(time))
    melody = transcriber((sound * (time > 0.3) / 4 + noise).astype(np.float32), RATE)
    assert melody.pitches == pytest.approx([69.0], abs=0.1)


# --- beats and keys ----------------------------------------------------------------------------

BEATS = np.arange(0.5, 5, 0.5)


def test_notes_go_to_the_nearest_place() -> None:
    starts, ends = quantize(np.array([0.52, 1.23, 1.8]), np.array([1.03, 1.7, 2.4]), BEATS, 2)
    assert starts.tolist() == [0.5, 1.25, 1.75]
    assert ends.tolist() == [1.0, 1.75, 2.5]


def test_the_grid_goes_on_before_and_after_the_beats_and_bends_with_them() -> None:
    beats = np.array([2.0, 3.0, 3.5])
    starts, ends = quantize(np.array([0.1, 2.52, 6.1]), np.array([0.2, 2.6, 6.2]), beats, 2)
    assert starts == pytest.approx([0.125, 2.5, 6.125])  # the median interval is 0.75 s
    assert ends == pytest.approx([0.5, 3.0, 6.5])


@example(gaps=[0.5] * 4 + [0.625] + [0.25] * 3 + [0.125], share=1.0, parts=1)
@given(
    gaps=st.lists(st.floats(0.01, 0.7), min_size=1, max_size=30),
    share=st.floats(0.05, 1.0),
    parts=st.sampled_from(SUBDIVISIONS),
)
def test_no_note_is_lost_and_none_overlaps(gaps: list[float], share: float, parts: int) -> None:
    starts = 0.7 + np.cumsum(gaps)
    ends = starts + share * np.append(np.diff(starts), 0.2)
    begin, end = quantize(starts, ends, BEATS, parts)
    place = np.round((begin - 0.5) / 0.5 * parts, 6)
    assert (place % 1 == 0).all()
    assert (np.diff(begin) > 0).all()
    assert (end - begin > 0.49 / parts).all()
    assert (end[:-1] <= begin[1:] + 1e-9).all()


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_the_subdivision_is_chosen(parts: int) -> None:
    rng = np.random.default_rng(parts)
    onsets = np.cumsum(rng.integers(1, parts + 1, 60)) / parts + rng.normal(0, 0.02, 60)
    assert choose_subdivision(onsets) == parts


def test_midi_has_tempo_bars_and_key(run: Run, song: Path) -> None:
    (song.parent / "song.beats").write_text(
        "".join(f"{0.3 + n / 2} {n % 4 + 1}\n" for n in range(7))
    )
    asked = ("--quantize", "song.wav", "--beats-from", "song.beats", "--key", "Eb major")
    assert run("notes", *asked, "-o", "song.mid").status == 0
    now, starts, named = 0, [], {}
    for message in mido.MidiFile("song.mid").tracks[0]:
        now += message.time
        if message.type == "note_on":
            starts.append(now)
        if message.type in ("key_signature", "set_tempo", "time_signature"):
            named[message.type] = message
    assert np.diff(starts).tolist() == [960, 960, 960, 1440]
    assert mido.tempo2bpm(named["set_tempo"].tempo) == pytest.approx(120, abs=0.1)
    assert (named["time_signature"].numerator, named["key_signature"].key) == (4, "Eb")
    done = run("notes", *asked[1:], "--format", "json")
    answer = json.loads(done.out)
    assert answer["metadata"]["key"] == "Eb major"
    assert answer["metadata"]["bars"] == [0.3, 2.3]


def test_without_beats_nothing_is_quantised(run: Run, song: Path) -> None:
    (song.parent / "none.beats").write_text("")
    plain = run("notes", "song.wav")
    done = run("notes", "song.wav", "--quantize", "4", "--beats-from", "none.beats")
    assert done.out == plain.out
    assert "notes are not quantised" in done.err


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(UsageError, match="auto, 1, 2"):
        NoteRequest(quantize="5")
    with pytest.raises(UsageError, match="C major"):
        NoteRequest(key="H")


# --- formats -----------------------------------------------------------------------------------

NOTES = Notes(
    np.array([0.5, 1.25]),
    np.array([1.0, 2.0]),
    np.array([60.0, 67.31]),
    confidences=np.array([1.0, 0.5]),
    file="a.wav",
    duration=3.0,
)


@pytest.mark.parametrize(
    "name", ["a.txt", "a.notes", "a.csv", "a.json", "a.jsonl", "a.jams", "b.mid"]
)
def test_notes_are_read_back(tmp_path: Path, name: str) -> None:
    form = "txt" if name == "a.notes" else None
    write(tmp_path / name, NOTES, form, Options(bend=True))
    found = read_notes(tmp_path / name)
    assert found.starts == pytest.approx(NOTES.starts, abs=1e-3)
    assert found.ends == pytest.approx(NOTES.ends, abs=1e-3)
    assert found.pitches == pytest.approx(NOTES.pitches, abs=0.005)


def test_midi_as_mido_reads_it(tmp_path: Path) -> None:
    write(tmp_path / "a.mid", NOTES)
    file = mido.MidiFile(tmp_path / "a.mid")
    now, found = 0.0, []
    for message in file:
        now += message.time
        if message.type in ("note_on", "note_off"):
            found.append((round(now, 2), message.type, message.note))
    assert found == [
        (0.5, "note_on", 60),
        (1.0, "note_off", 60),
        (1.25, "note_on", 67),
        (2.0, "note_off", 67),
    ]
    assert not [message for message in file if message.type == "pitchwheel"]


def test_cents_in_midi() -> None:
    data = render(NOTES, "midi", Options(bend=True))
    assert isinstance(data, bytes)
    wheel = [m.pitch for m in mido.MidiFile(file=io.BytesIO(data)) if m.type == "pitchwheel"]
    assert wheel == [0, round(0.31 * 4096)]


def test_jams_and_lab(tmp_path: Path) -> None:
    text = render(NOTES, "jams")
    assert isinstance(text, str)
    annotation = json.loads(text)["annotations"][0]
    assert annotation["namespace"] == "note_midi"
    assert [(each["time"], each["value"]) for each in annotation["data"]] == [
        (0.5, 60.0),
        (1.25, 67.31),
    ]
    write(tmp_path / "a.lab", NOTES)
    intervals, hertz = mir_eval.io.load_valued_intervals(str(tmp_path / "a.lab"))
    assert intervals == pytest.approx(np.array([[0.5, 1.0], [1.25, 2.0]]))
    assert hertz == pytest.approx(NOTES.frequencies, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("0.5 0.2 60\n", "before its start"), ("0.5 1 C4\n", "is no pitch"), ("0.5\n", "no end")],
)
def test_notes_that_cannot_be(tmp_path: Path, text: str, wrong: str) -> None:
    (tmp_path / "a.notes").write_text(text)
    with pytest.raises(DataError, match=wrong):
        read_notes(tmp_path / "a.notes")


def test_a_broken_midi_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(b"MThd nonsense")
    with pytest.raises(DataError, match=r"a\.mid"):
        read_notes(tmp_path / "a.mid")


# --- scores ------------------------------------------------------------------------------------


def test_the_score_is_that_of_mir_eval() -> None:
    rng = np.random.default_rng(3)
    starts = np.cumsum(rng.uniform(0.2, 0.6, 40))
    reference = Notes(starts, starts + 0.18, rng.uniform(50, 70, 40))
    order = np.argsort(moved := np.maximum(starts + rng.normal(0, 0.04, 40), 0))
    pitches = reference.pitches + rng.normal(0, 0.4, 40)
    estimate = Notes(moved[order], moved[order] + 0.18, pitches[order])
    score = score_notes(reference, estimate)
    intervals = [np.stack([each.starts, each.ends], axis=1) for each in (reference, estimate)]
    expected = mir_eval.transcription.precision_recall_f1_overlap(
        intervals[0],
        reference.frequencies,
        intervals[1],
        estimate.frequencies,
        offset_ratio=None,
    )
    row = score.row()
    assert (row["precision"], row["recall"], row["f"]) == pytest.approx(expected[:3], abs=1e-4)


def test_evaluate_prints_and_tuned_takes_a_shift_off(run: Run, song: Path) -> None:
    lines = [f"{start} {end} {pitch}" for start, end, pitch in MELODY]
    (song.parent / "song.notes").write_text("\n".join(lines))
    done = run("evaluate", "notes", ".", "--format", "csv")
    assert done.status == 0
    assert float(done.rows[-1]["f"]) == 1.0
    shifted = [440 * 2 ** ((pitch - 69) / 12) + 18 for _, _, pitch in MELODY]
    lines = [
        f"{start} {end} {69 + 12 * np.log2(hertz / 440)}"
        for (start, end, _), hertz in zip(MELODY, shifted, strict=True)
    ]
    (song.parent / "song.notes").write_text("\n".join(lines))
    plain = evaluate([song.parent]).total
    tuned = evaluate([song.parent], tuned=True).total
    assert plain is not None
    assert tuned is not None
    assert plain.notes < 2
    assert plain.deviation < -60
    assert tuned.notes == 5


def test_what_something_else_found_is_scored(run: Run, song: Path, tmp_path: Path) -> None:
    lines = [f"{start} {end} {pitch}" for start, end, pitch in MELODY]
    (tmp_path / "song.notes").write_text("\n".join(lines))
    (tmp_path / "found").mkdir()
    starts, ends, pitches = np.array(MELODY).T
    write(tmp_path / "found" / "song.mid", Notes(starts[:3], ends[:3], pitches[:3]))
    done = run("evaluate", "notes", ".", "--found", "found", "--format", "csv", "-q")
    assert (done.rows[-1]["precision"], done.rows[-1]["recall"]) == ("1.0", "0.6")
    (tmp_path / "found" / "song.mid").unlink()
    assert run("evaluate", "notes", ".", "--found", "found").status == 1


# --- the command -------------------------------------------------------------------------------


def test_the_command_prints_notes(run: Run, song: Path) -> None:
    done = run("notes", "song.wav")
    assert done.status == 0
    rows = [[float(cell) for cell in line.split("\t")] for line in done.out.splitlines()]
    starts, ends, pitches = np.array(rows).T
    check(Notes(starts, ends, pitches))


def test_a_folder_of_midi_and_a_picture(run: Run, song: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "other.wav", sung(MELODY[:2], 1.5), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    done = run("notes", "song.wav", "broken.wav", "other.wav", "-o", "out", "--format", "midi",
               "--plot")  # fmt: skip
    assert done.status == 1
    assert "broken.wav" in done.err
    found = read_notes(tmp_path / "out" / "song.mid")
    assert found.starts == pytest.approx([start for start, _, _ in MELODY], abs=0.03)
    assert found.pitches.tolist() == [60, 64, 67, 67, 55]
    assert len(read_notes(tmp_path / "out" / "other.mid")) == 2
    assert (tmp_path / "out" / "song.notes.png").stat().st_size > 10_000


def test_the_table_of_several(run: Run, song: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "other.wav", sung(MELODY[:2], 1.5), RATE)
    done = run("notes", "song.wav", "other.wav", "-o", "all.csv")
    assert done.status == 0
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert lines[0] == "file,start,end,pitch,frequency,note,confidence"
    assert len(lines) == 1 + 5 + 2
    assert run("notes", "song.wav", "other.wav", "-o", "all.csv", "--resume").status == 0


def test_what_cannot_be_is_refused(run: Run, song: Path) -> None:
    for wrong in (["--fmin", "900", "--fmax", "90"], ["--bend"], ["--min-duration", "-1"]):
        done = run("notes", "song.wav", *wrong)
        assert done.status == 2, wrong
        assert wrong[0] in done.err


def test_vocals_are_separated_first(run: Run, song: Path, tmp_path: Path) -> None:
    voice = sung(MELODY, 3.6)
    rng = np.random.default_rng(2)
    drums = np.zeros(len(voice))
    for start in range(0, len(voice) - 4000, 5500):
        drums[start : start + 4000] += rng.normal(size=4000) * np.exp(-np.arange(4000) / 500)
    soundfile.write(tmp_path / "mix.wav", np.stack([voice + 0.1 * drums] * 2, axis=1), RATE)
    done = run("notes", "mix.wav", "--from", "vocals", "-o", "out.json")
    assert done.status == 0
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["name"] == "note"
    assert document["duration"] == pytest.approx(3.6)
