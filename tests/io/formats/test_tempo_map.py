"""MIDI that carries the music's tempo, read back with mido."""

from __future__ import annotations

import io

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocli.io.formats import Instants, Options, Segments, render
from audiocli.io.formats.tempo_map import TICKS_PER_BEAT, tempo_map


def read(data: bytes | str) -> tuple[list[tuple[float, int, mido.Message]], mido.MidiFile]:
    """Give each message with its time in seconds and its tick."""
    assert isinstance(data, bytes)
    file = mido.MidiFile(file=io.BytesIO(data))
    messages, tick, now, tempo = [], 0, 0.0, 500_000
    for message in file.tracks[0]:
        tick += message.time
        now += mido.tick2second(message.time, file.ticks_per_beat, tempo)
        if message.type == "set_tempo":
            tempo = message.tempo
        messages.append((now, tick, message))
    return messages, file


def beats_of(times: np.ndarray, positions: list[int]) -> Instants:
    return Instants(times, "beat", columns={"position": np.array(positions, float)})


def bar_lines(messages: list[tuple[float, int, mido.Message]], end: int) -> set[int]:
    """Give the ticks at which bars begin, as a program that reads the file counts them."""
    signatures = [(t, m) for _, t, m in messages if m.type == "time_signature"]
    lines: set[int] = set()
    for index, (tick, message) in enumerate(signatures):
        stop = signatures[index + 1][0] if index + 1 < len(signatures) else end + 1
        bar = message.numerator * 4 * TICKS_PER_BEAT // message.denominator
        lines |= set(range(tick, stop, bar))
    return lines


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0, 9),
    st.lists(st.floats(0.25, 1.2), min_size=2, max_size=40),
    st.integers(2, 5),
    st.integers(0, 4),
)
def test_bars_and_times_line_up(first: float, steps: list[float], meter: int, pickup: int) -> None:
    times = first + np.concatenate([[0.0], np.cumsum(steps)])
    positions = [(index - pickup) % meter + 1 for index in range(len(times))]
    messages, _ = read(render(beats_of(times, positions), "midi"))
    struck = [each for each in messages if each[2].type == "note_on" and each[2].velocity]
    assert [now for now, _, _ in struck] == pytest.approx(times.tolist(), abs=0.001)
    lines = bar_lines(messages, struck[-1][1])
    firsts = [tick for (_, tick, _), place in zip(struck, positions, strict=True) if place == 1]
    assert set(firsts) <= lines
    assert np.diff([tick for _, tick, _ in struck]).tolist() == [TICKS_PER_BEAT] * len(steps)


def test_roundings_do_not_add_up_over_an_hour() -> None:
    times = 0.3 + np.arange(7000) * 0.5123457
    messages, _ = read(render(beats_of(times, [k % 4 + 1 for k in range(7000)]), "midi"))
    struck = [now for now, _, message in messages if message.type == "note_on"]
    assert np.abs(np.array(struck) - times).max() < 0.001


def test_downbeats_sound_higher() -> None:
    times = np.arange(8) * 0.5
    messages, _ = read(render(beats_of(times, [1, 2, 3, 4] * 2), "midi"))
    notes = [message.note for _, _, message in messages if message.type == "note_on"]
    assert notes == [76, 77, 77, 77] * 2
    tempi = [message.tempo for _, _, message in messages if message.type == "set_tempo"]
    assert tempi == [500_000]


def test_chords_carry_the_tempo_of_their_beats() -> None:
    beats = 1.0 + np.arange(16) * 0.4
    chords = Segments(np.array([1.0, 4.2]), np.array([4.2, 7.4]), ["C", "G"], "chord")
    options = Options(pitches=lambda label: [60], beats=beats, bars=beats[::4])
    messages, _ = read(render(chords, "midi", options))
    struck = [(now, tick) for now, tick, message in messages if message.type == "note_on"]
    assert [now for now, _ in struck] == pytest.approx([1.0, 4.2], abs=0.001)
    assert {tick for _, tick in struck} <= bar_lines(messages, 10**6)


def test_without_beats_nothing_changes() -> None:
    assert tempo_map(np.array([1.0]), [1]) is None
    messages, _ = read(render(Instants(np.array([0.5, 0.75])), "midi"))
    assert [m.tempo for _, _, m in messages if m.type == "set_tempo"] == [500_000]
    assert not [m for _, _, m in messages if m.type == "time_signature"]
