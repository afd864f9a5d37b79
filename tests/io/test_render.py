"""Notes are read at the right time, changed as wanted, and sound when they should."""

from __future__ import annotations

import shutil
import struct
from itertools import chain
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocli.errors import DataError, UsageError
from audiocli.io.soundfont import (
    DRUM_CHANNEL,
    Note,
    Part,
    _Clock,
    _write_midi,
    attack_delay,
    onsets_of,
    read_midi,
    render,
)

FONTS = sorted(
    chain.from_iterable(
        Path(folder).glob(pattern)
        for folder in (
            "/usr/share/sounds/sf2",
            "/usr/share/soundfonts",
            "/usr/local/share/soundfonts",
        )
        for pattern in ("TimGM6mb.sf2", "*.sf2")
    ),
    key=lambda path: path.stat().st_size,
)
plays = pytest.mark.skipif(
    shutil.which("fluidsynth") is None or not FONTS, reason="needs fluidsynth and a sound font"
)


def track(*messages: tuple[str, int, dict[str, int]]) -> mido.MidiTrack:
    """Messages of a kind, at ticks since the one before, with their values."""
    made = mido.MidiTrack()
    for kind, time, values in messages:
        cls = mido.MetaMessage if kind == "set_tempo" else mido.Message
        made.append(cls(kind, time=time, **values))
    return made


def on(
    time: int, note: int, velocity: int = 80, channel: int = 0
) -> tuple[str, int, dict[str, int]]:
    return "note_on", time, {"note": note, "velocity": velocity, "channel": channel}


def off(time: int, note: int, channel: int = 0) -> tuple[str, int, dict[str, int]]:
    return "note_off", time, {"note": note, "velocity": 0, "channel": channel}


def saved(path: Path, *tracks: mido.MidiTrack, beat: int = 100) -> Path:
    midi = mido.MidiFile(ticks_per_beat=beat)
    midi.tracks.extend(tracks)
    midi.save(path)
    return path


def tempo(time: int, bpm: float) -> tuple[str, int, dict[str, int]]:
    return "set_tempo", time, {"tempo": mido.bpm2tempo(bpm)}


def test_time_goes_through_all_changes_of_tempo(tmp_path: Path) -> None:
    # 120 a minute until something is said; then a beat of 1 s, then of 0.25 s.
    tempi = track(tempo(200, 60), tempo(100, 240))
    notes = track(on(100, 60), off(150, 60), on(150, 62), off(100, 62))
    (part,) = read_midi(saved(tmp_path / "a.mid", tempi, notes))
    assert part.notes == (Note(0.5, 1.5, 60, 80), Note(2.25, 2.5, 62, 80))


@given(
    st.lists(st.tuples(st.integers(0, 300), st.floats(20, 300)), max_size=6),
    st.lists(st.integers(0, 1500), min_size=1, max_size=6),
)
def test_the_clock_is_that_of_mido(changes: list[tuple[int, float]], ticks: list[int]) -> None:
    midi = mido.MidiFile(ticks_per_beat=96)
    midi.tracks.append(track(*(tempo(*change) for change in changes)))
    clock = _Clock(midi)
    for end in ticks:
        now, seconds, speed = 0, 0.0, 500_000
        for time, bpm in [*changes, (10**6, 60.0)]:
            step = min(time, end - now)
            seconds += mido.tick2second(step, 96, speed)
            now += step
            if now < end or time == step:
                speed = mido.bpm2tempo(bpm)
            if now == end:
                break
        assert clock.seconds(end) == pytest.approx(seconds, abs=1e-9)


def test_notes_end_when_they_are_struck_again_or_have_no_velocity(tmp_path: Path) -> None:
    notes = track(on(0, 60), on(100, 60, 90), on(100, 60, 0), off(50, 60), off(50, 99))
    (part,) = read_midi(saved(tmp_path / "a.mid", notes))
    assert part.notes == (Note(0.0, 0.5, 60, 80), Note(0.5, 1.0, 60, 90))


def test_each_track_and_channel_is_a_part(tmp_path: Path) -> None:
    one = track(
        ("program_change", 0, {"program": 40, "channel": 2}),
        on(0, 60, channel=2),
        on(10, 36, channel=DRUM_CHANNEL),
        off(90, 60, channel=2),
        off(0, 36, channel=DRUM_CHANNEL),
    )
    one.insert(0, mido.MetaMessage("track_name", name=" Fiddle "))
    empty = track(tempo(0, 100))
    two = track(on(0, 70), off(100, 70))
    parts = read_midi(saved(tmp_path / "a.mid", one, empty, two))
    assert [(part.program, part.drums, part.name) for part in parts] == [
        (40, False, "Fiddle"), (0, True, "Fiddle"), (0, False, "")
    ]  # fmt: skip


def smf(content: bytes, division: int = 480) -> bytes:
    head = b"MThd" + struct.pack(">IHHH", 6, 0, 1, division)
    return head + b"MTrk" + struct.pack(">I", len(content)) + content


NOTE = b"\x00\x90\x3c\x50\x83\x60\x80\x3c\x40\x00\xff\x2f\x00"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no music",
        smf(NOTE)[:30],
        smf(b"\x00\xff\x59\x02\x10\x00" + NOTE),  # sixteen sharps
        smf(b"\x00\xff\x51\x01\x10" + NOTE),  # a tempo of one byte
        smf(NOTE, 0xE728),  # frames of film
        smf(NOTE, 0),
        smf(b"\x00\x90\x3c\x90"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.mid"
    file.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_midi(file)
    text = str(caught.value)
    assert text.startswith(f"{file}: ") and "\n" not in text and not text.endswith(": ")


NOTES = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(1, 800), st.integers(0, 127), st.integers(1, 127)),
    min_size=1,
    max_size=12,
    unique_by=lambda note: note[2],  # else one may cut another short
).map(lambda rows: tuple(Note(s / 1000, (s + d) / 1000, p, v) for s, d, p, v in sorted(rows)))


@given(NOTES, st.integers(0, 127), st.booleans())
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, notes: tuple[Note, ...], program: int, drums: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / "round.mid"
    _write_midi([Part(notes, program, drums), Part((Note(0, 1, 60, 80),))], file)
    first, second = read_midi(file)
    assert (first.program, first.drums, second.drums) == (program, drums, False)
    key = [(round(n.start, 6), round(n.end, 6), n.pitch, n.velocity) for n in first.notes]
    assert sorted(key) == sorted((n.start, n.end, n.pitch, n.velocity) for n in notes)


@given(NOTES, st.integers(-40, 40))
def test_transposed_notes_stay_in_the_range(notes: tuple[Note, ...], semitones: int) -> None:
    for before, after in zip(notes, Part(notes).transposed(semitones).notes, strict=True):
        assert 0 <= after.pitch <= 127 or abs(semitones) > 12
        assert (after.pitch - before.pitch - semitones) % 12 == 0
        assert (after.start, after.end, after.velocity) == (
            before.start, before.end, before.velocity
        )  # fmt: skip


def test_excerpts_count_from_their_start() -> None:
    part = Part(
        (Note(0.0, 2.0, 60, 80), Note(1.0, 1.5, 62, 80), Note(1.5, 9.0, 64, 80)), 5, name="x"
    )
    cut = part.excerpt(1.0, 3.0)
    assert cut.notes == (Note(0.0, 0.5, 62, 80), Note(0.5, 2.0, 64, 80))
    assert (cut.program, cut.name) == (5, "x")
    assert part.excerpt(1.0, 1.5).notes == (Note(0.0, 0.5, 62, 80),)


def test_notes_sound_until_the_pedal_is_lifted(tmp_path: Path) -> None:
    def pedal(time: int, value: int) -> tuple[str, int, dict[str, int]]:
        return "control_change", time, {"control": 64, "value": value, "channel": 0}

    # A beat of 0.5 s is 100 ticks: down at 0.5 s, up at 2 s; the last note is let go after that.
    notes = track(on(0, 60), off(50, 60), pedal(50, 127), on(0, 62), off(50, 62), on(50, 64),
                  pedal(200, 0), off(100, 64))  # fmt: skip
    file = saved(tmp_path / "a.mid", notes)
    dry = [round(note.end, 6) for note in read_midi(file)[0].notes]
    held = [round(note.end, 6) for note in read_midi(file, pedal=True)[0].notes]
    assert dry == [0.25, 0.75, 2.5]
    assert held == [0.25, 2.0, 2.5]


def test_stretched_parts_are_slower() -> None:
    assert Part((Note(1.0, 1.5, 60, 80),)).stretched(2.0).notes == (Note(2.0, 3.0, 60, 80),)


def test_onsets_of_soft_and_simultaneous_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    delays = {0: 0.013, 5: 0.001}
    monkeypatch.setattr(
        "audiocli.io.soundfont.attack_delay", lambda font, program, drums: delays[program]
    )
    piano = Part((Note(0.5, 1, 60, 80), Note(0.52, 1, 64, 80), Note(2.0, 3, 60, 10)))
    quick = Part((Note(1.0, 2, 60, 80), Note(0.51, 1, 60, 80)), program=5)
    font = Path("any.sf2")
    # Ten milliseconds later; what leads is not moved before the note.
    assert onsets_of([piano, quick], font).tolist() == pytest.approx([0.51, 1.0, 2.01])
    assert onsets_of([piano, quick], font, softest=20).tolist() == pytest.approx([0.51, 1.0])
    assert onsets_of([piano], font, merge=0.0).tolist() == pytest.approx([0.51, 0.53, 2.01])


def test_no_fluidsynth_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="install"):
        render([], tmp_path / "a.sf2")


@plays
def test_notes_sound_when_they_should() -> None:
    notes = tuple(Note(0.5 + k, 0.9 + k, pitch, 100) for k, pitch in enumerate((60, 67)))
    audio = render([Part(notes)], FONTS[0], sample_rate=22_050)
    assert audio.dtype == np.float32 and audio.ndim == 1
    assert np.abs(audio).max() == pytest.approx(0.9, abs=1e-3)
    assert len(audio) <= round((notes[-1].end + 2) * 22_050)
    assert np.abs(audio[: round(0.49 * 22_050)]).max() < 1e-3
    delay = attack_delay(FONTS[0], 0)
    assert 0 <= delay <= 0.03
    times = onsets_of([Part(notes)], FONTS[0])
    assert times.tolist() == pytest.approx([0.5, 1.5], abs=0.03)
    quiet = np.abs(audio[: round((times[0] - 0.005) * 22_050)]).max(initial=0)
    loud = np.abs(audio[round(times[0] * 22_050) :][:1100]).max()
    assert loud > 10 * quiet


@plays
def test_fonts_that_cannot_be_played_are_named(tmp_path: Path) -> None:
    font = tmp_path / "a.sf2"
    with pytest.raises(UsageError, match=r"a\.sf2: no such sound font"):
        render([], font)
