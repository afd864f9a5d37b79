"""Formats: what is written is read back, by us and by the programs it is meant for."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import mido
import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocli.errors import AudioCliError, DataError, UsageError
from audiocli.io import atomic
from audiocli.io.formats import (
    FORMATS,
    Instants,
    Options,
    Segments,
    find_format,
    format_of,
    read_instants,
    read_segments,
    render,
    write,
)
from audiocli.io.names import plain_words

ONSETS = Instants(
    np.array([0.5, 1.25, 2.000001]),
    strengths=np.array([0.9, 0.4, 0.1]),
    columns={"salience": np.array([1.0, 2.5, 1e-9])},
    file="music/a.wav",
    duration=3.0,
    sample_rate=8000,
    metadata={"model": "onset-rnn"},
)
CHORDS = Segments(
    np.array([0.0, 1.5]),
    np.array([1.5, 4.25]),
    ["C:maj", "N"],
    "chord",
    confidences=np.array([0.75, 0.5]),
    file="b.wav",
    duration=4.25,
)
PITCHES = {"C:maj": [60, 64, 67], "N": []}

#: What holds both kinds and is read back.
EXACT = ("csv", "json", "jsonl", "lab", "jams", "audacity")


def text(results: Any, format: str, **options: Any) -> str:
    rendered = render(results, format, Options(**options))
    assert isinstance(rendered, str)
    return rendered


def midi(results: Any, **options: Any) -> mido.MidiFile:
    rendered = render(results, "midi", Options(**options))
    assert isinstance(rendered, bytes)
    return mido.MidiFile(file=io.BytesIO(rendered), charset="utf-8")


def timed(file: mido.MidiFile) -> list[tuple[float, Any]]:
    """List the messages with their times in seconds, exactly."""
    now, tempo, messages = 0, 500_000, []
    for message in file.tracks[0]:
        now += message.time
        tempo = message.tempo if message.type == "set_tempo" else tempo
        messages.append((now * tempo / 1e6 / file.ticks_per_beat, message))
    return messages


moments = st.floats(0, 40_000, allow_nan=False)
times = st.lists(moments, max_size=20).map(sorted)
labels = st.text(max_size=8) | st.sampled_from(
    ["a,b", 'say "x"', "\t", "two\nlines", "\r", "#x", "ü 你", "", " ", "a;b", "\0", "\x85"]
)


@st.composite
def segments(draw: st.DrawFn, names: st.SearchStrategy[str] = labels) -> Segments:
    starts = draw(times)
    ends = [start + draw(st.floats(0, 100)) for start in starts]
    confidences = draw(st.none() | st.just(np.linspace(0, 1, len(starts))))
    named = [draw(names) for _ in starts]
    return Segments(np.array(starts), np.array(ends), named, confidences=confidences, duration=1e5)


# ---- what is written ----------------------------------------------------------------------------


def test_txt_is_a_time_a_line() -> None:
    assert text(ONSETS, "txt") == "0.500\n1.250\n2.000001\n"


def test_txt_has_further_columns_when_asked() -> None:
    assert text(ONSETS, "txt", columns=True) == (
        "0.500\t0.9\t1\n1.250\t0.4\t2.5\n2.000001\t0.1\t1e-09\n"
    )
    assert text(ONSETS, "txt", file=True).splitlines()[0] == "0.500\tmusic/a.wav"


def test_csv_has_all_columns_under_a_header() -> None:
    assert text(ONSETS, "csv") == (
        "time,strength,salience\n0.500,0.9,1\n1.250,0.4,2.5\n2.000001,0.1,1e-09\n"
    )
    assert text(CHORDS, "csv") == (
        "start,end,label,confidence\n0.000,1.500,C:maj,0.75\n1.500,4.250,N,0.5\n"
    )
    assert text(Instants(np.zeros(0)), "csv") == "time\n"


def test_csv_of_several_files_is_one_table() -> None:
    other = Instants(np.array([7.0]), file='a "live", 2.wav')
    plain = Instants(np.array([0.5]), file="a.wav")
    whole = text([plain, other], "csv")
    assert whole == 'file,time\na.wav,0.500\n"a ""live"", 2.wav",7.000\n'
    # A stream grows file by file.
    assert whole == text(plain, "csv", file=True) + text(other, "csv", file=True, header=False)


def test_json_is_one_object_a_file() -> None:
    assert text(CHORDS, "json").count("\n") == 1
    assert json.loads(text(ONSETS, "json")) == {
        "schema": "audiocli/1",
        "file": "music/a.wav",
        "duration": 3.0,
        "name": "onset",
        "metadata": {"model": "onset-rnn"},
        "events": [
            {"time": 0.5, "strength": 0.9, "salience": 1.0},
            {"time": 1.25, "strength": 0.4, "salience": 2.5},
            {"time": 2.000001, "strength": 0.1, "salience": 1e-9},
        ],
    }
    both = text([CHORDS, CHORDS], "json").splitlines()
    assert [json.loads(line)["file"] for line in both] == ["b.wav", "b.wav"]


def test_jsonl_is_one_object_an_event() -> None:
    assert [json.loads(line) for line in text(CHORDS, "jsonl").splitlines()] == [
        {"file": "b.wav", "start": 0.0, "end": 1.5, "label": "C:maj", "confidence": 0.75},
        {"file": "b.wav", "start": 1.5, "end": 4.25, "label": "N", "confidence": 0.5},
    ]


def test_lab_and_audacity_are_lines() -> None:
    assert text(CHORDS, "lab") == "0.000 1.500 C:maj\n1.500 4.250 N\n"
    assert text(CHORDS, "audacity") == "0.000\t1.500\tC:maj\n1.500\t4.250\tN\n"
    assert text(ONSETS, "audacity").splitlines()[1] == "1.250\t1.250\t"


def test_a_line_without_quotes_stays_one_line() -> None:
    odd = Segments(np.zeros(2), np.ones(2), [" two\nlines\tand \u2028 ", "\n"])
    assert text(odd, "lab") == "0.000 1.000 two lines and\n0.000 1.000 -\n"
    assert text(odd, "audacity") == "0.000\t1.000\ttwo lines and\n0.000\t1.000\t\n"


def test_jams_is_a_document() -> None:
    document = json.loads(text(CHORDS, "jams"))
    assert document["file_metadata"]["duration"] == 4.25
    assert document["file_metadata"]["title"] == "b.wav"
    (annotation,) = document["annotations"]
    assert annotation["namespace"] == "chord"
    assert annotation["data"] == [
        {"time": 0.0, "duration": 1.5, "value": "C:maj", "confidence": 0.75},
        {"time": 1.5, "duration": 2.75, "value": "N", "confidence": 0.5},
    ]
    # What the schema requires of every annotation and document.
    assert {"annotation_metadata", "data", "namespace"} <= annotation.keys()
    assert document.keys() == {"file_metadata", "annotations", "sandbox"}


@pytest.mark.parametrize(
    ("annotation", "namespace", "expected"),
    [
        (ONSETS, None, "onset"),
        (CHORDS, None, "chord"),
        (CHORDS, "chord_harte", "chord_harte"),
        (Segments([0], [1], ["rock"], "tag"), None, "segment_open"),
        (Segments([0], [1], ["rock"], "tag"), "tag_open", "tag_open"),
        (Instants([0.0], "drum hit"), None, "onset"),
        (Instants([0.0], "beat"), None, "beat"),
    ],
)
def test_jams_namespace(annotation: Any, namespace: str | None, expected: str) -> None:
    lasting = dataclasses.replace(annotation, duration=9.0)
    document = json.loads(text(lasting, "jams", namespace=namespace))
    assert document["annotations"][0]["namespace"] == expected


def test_jams_keeps_what_has_no_place_in_an_observation() -> None:
    annotation = json.loads(text(ONSETS, "jams"))["annotations"][0]
    assert [one["confidence"] for one in annotation["data"]] == [0.9, 0.4, 0.1]
    assert annotation["sandbox"] == {"salience": [1.0, 2.5, 1e-9]}
    assert annotation["annotation_metadata"]["annotator"] == {"model": "onset-rnn"}


def test_jams_needs_a_duration() -> None:
    with pytest.raises(ValueError, match="duration"):
        render(Instants(np.array([1.0])), "jams")


def test_sonic_visualiser_instants() -> None:
    root = ElementTree.fromstring(text(ONSETS, "sv"))
    model, dataset = root.find("data/model"), root.find("data/dataset")
    layer = root.find("display/layer")
    assert model is not None and dataset is not None and layer is not None
    assert (model.get("type"), model.get("dimensions")) == ("sparse", "1")
    assert (model.get("sampleRate"), model.get("end")) == ("8000", "24000")
    assert (model.get("dataset"), layer.get("model")) == (dataset.get("id"), model.get("id"))
    assert layer.get("type") == "timeinstants"
    assert [point.get("frame") for point in dataset] == ["4000", "10000", "16000"]
    assert list(root[0]) == [model, dataset]  # the order that its reader depends on


def test_sonic_visualiser_regions() -> None:
    odd = "a\nb\t\"<&>'\r\x01"
    three = Segments(np.array([0.0, 0.5, 2]), np.array([0.5, 2, 3]), ["C", odd, "C"], "chord")
    root = ElementTree.fromstring(text(three, "sv"))
    model, dataset = root.find("data/model"), root.find("data/dataset")
    layer = root.find("display/layer")
    assert model is not None and dataset is not None and layer is not None
    assert (model.get("subtype"), model.get("dimensions")) == ("region", "3")
    assert (dataset.get("dimensions"), layer.get("type")) == ("3", "regions")
    assert model.get("maximum") == "1"
    points = [[point.get(key) for key in ("frame", "duration", "value")] for point in dataset]
    assert points == [["0", "22050", "0"], ["22050", "66150", "1"], ["88200", "44100", "0"]]
    assert dataset[1].get("label") == odd.replace("\x01", "\ufffd")


def test_midi_clicks_are_louder_where_instants_are_stronger() -> None:
    ons = [message for message in midi(ONSETS).tracks[0] if message.type == "note_on"]
    assert [message.velocity for message in ons] == [127, 66, 30]
    assert {(message.channel, message.note) for message in ons} == {(9, 76)}
    even = midi(Instants(np.array([1.0, 2.0]), strengths=np.array([3.0, 3.0])))
    assert len({m.velocity for m in even.tracks[0] if m.type == "note_on"}) == 1


def test_midi_chords_are_held_and_named() -> None:
    messages = timed(midi(CHORDS, pitches=PITCHES.__getitem__))
    held = [(time, m.type, m.note) for time, m in messages if m.type.startswith("note")]
    assert held == [(0.0, "note_on", pitch) for pitch in PITCHES["C:maj"]] + [
        (1.5, "note_off", pitch) for pitch in PITCHES["C:maj"]
    ]
    assert [(time, m.text) for time, m in messages if m.type == "marker"] == [
        (0.0, "C:maj"),
        (1.5, "N"),
    ]


def test_midi_ends_a_note_before_the_same_begins() -> None:
    twice = Segments(np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, 2.0]), ["a", "b", "c"])
    messages = timed(midi(twice, pitches=lambda label: [60]))
    notes = [(time, m.type) for time, m in messages if m.type.startswith("note")]
    assert notes == [(0, "note_on"), (1, "note_off"), (1, "note_on"), (2, "note_off")]


def test_midi_of_labels_without_pitches_is_refused() -> None:
    with pytest.raises(UsageError, match="midi cannot write chord labels.*another format"):
        render(CHORDS, "midi")


# ---- what is written is read back ----------------------------------------------------------------


@pytest.mark.parametrize("format", ["txt", *EXACT])
@given(times=times)
def test_instants_come_back(
    tmp_path_factory: pytest.TempPathFactory, format: str, times: list[float]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"instants-{format}{FORMATS[format].extension}"
    strengths = np.linspace(0, 1, len(times))
    instants = Instants(np.array(times), strengths=strengths, file="x.wav", duration=1e5)
    write(path, instants, format, Options(columns=True), overwrite=True)
    np.testing.assert_allclose(read_instants(path), times, rtol=0, atol=1e-6)


@pytest.mark.parametrize("format", EXACT)
@given(written=segments())
def test_segments_come_back(
    tmp_path_factory: pytest.TempPathFactory, format: str, written: Segments
) -> None:
    path = tmp_path_factory.getbasetemp() / f"segments-{format}{FORMATS[format].extension}"
    write(path, written, format, overwrite=True)
    read = read_segments(path)
    np.testing.assert_allclose(read.starts, written.starts, rtol=0, atol=1e-6)
    np.testing.assert_allclose(read.ends, written.ends, rtol=0, atol=1.1e-6)
    if format in ("lab", "audacity"):  # these cannot hold all labels; see the tests of lines
        cleaned = [" ".join(label.split()) for label in written.labels if label.isprintable()]
        kept = [
            got
            for got, label in zip(read.labels, written.labels, strict=True)
            if label.isprintable()
        ]
        empty = "-" if format == "lab" else ""
        assert kept == [label or empty for label in cleaned]
    else:
        nul = "\ufffd" if format == "csv" else "\0"
        expected = [label.replace("\0", nul) for label in written.labels]
        assert list(read.labels) == expected
    if format in ("csv", "json", "jsonl", "jams") and len(written):
        assert (read.confidences is None) == (written.confidences is None)


@given(times=times)
def test_midi_keeps_times_within_a_millisecond(times: list[float]) -> None:
    messages = timed(midi(Instants(np.array(times))))
    ons = [time for time, message in messages if message.type == "note_on"]
    offs = [time for time, message in messages if message.type == "note_off"]
    np.testing.assert_allclose(ons, times, rtol=0, atol=0.3e-3)
    # No note outlasts the next one's beginning, or its 50 ms.
    assert all(off <= on for off, on in zip(offs, ons[1:], strict=False))
    assert all(0 <= off - on < 0.051 for off, on in zip(offs, ons, strict=True))


@given(written=segments())
def test_midi_text_is_any_text(written: Segments) -> None:
    file = midi(written, pitches=lambda label: [60])
    assert sum(message.type == "marker" for message in file.tracks[0]) == len(written)
    sounding = {n for n, m in enumerate(file.tracks[0]) if m.type.startswith("note")}
    assert len(sounding) % 2 == 0


@given(written=segments())
def test_csv_is_what_python_reads(written: Segments) -> None:
    rows = list(csv.DictReader(io.StringIO(text(written, "csv"), newline="")))
    assert [plain_words(row["label"]) for row in rows] == [
        label.replace("\0", "\ufffd") for label in written.labels
    ]


@given(written=segments())
def test_layers_are_well_formed(written: Segments) -> None:
    dataset = ElementTree.fromstring(text(written, "sv")).find("data/dataset")
    assert dataset is not None
    for point, start, label in zip(dataset, written.starts, written.labels, strict=True):
        assert abs(int(point.get("frame", "")) / 44100 - start) <= 0.5001 / 44100
        if label.isprintable():
            assert point.get("label") == label


@given(times=st.lists(st.integers(1, 10**9), unique=True, max_size=20).map(sorted))
def test_mir_eval_loads_events(tmp_path_factory: pytest.TempPathFactory, times: list[int]) -> None:
    wanted = np.array(times) / 1e5
    for format in ("txt", "lab"):
        path = tmp_path_factory.getbasetemp() / f"events-{format}"
        write(path, Instants(wanted), format, overwrite=True)
        np.testing.assert_allclose(mir_eval.io.load_events(path), wanted, rtol=0, atol=1e-6)


@given(names=st.lists(labels.filter(str.isprintable), max_size=10))
def test_mir_eval_loads_labelled_intervals(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "intervals.lab"
    starts = np.arange(len(names)) * 1.25
    write(path, Segments(starts, starts + 1, names), overwrite=True)
    if not names:
        assert path.read_bytes() == b""
        return
    with open(path, encoding="utf-8") as file:
        intervals, read = mir_eval.io.load_labeled_intervals(file)
    np.testing.assert_array_equal(intervals, np.stack([starts, starts + 1], axis=1))
    assert read == [" ".join(name.split()) or "-" for name in names]


def test_surrogates_of_file_names_can_be_written(tmp_path: Path) -> None:
    name = "caf\udce9.wav"  # how Python shows a file name that is not UTF-8
    instants = Instants(np.array([1.0]), file=name, duration=2.0)
    for format, form in FORMATS.items():
        if instants.kind in form.kinds:
            write(tmp_path / format, instants, format, Options(file=True))
    assert json.loads((tmp_path / "json").read_text("utf-8"))["file"] == name


# ---- readers ------------------------------------------------------------------------------------


def annotation(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.onsets", "0.5\n1.25\n"),
        ("a.onsets", "1.25\n\n0.5"),
        ("a.txt", "# by ear\r\n0.5\tsnare\r\n\r\n1.25\tkick drum\r\n"),
        ("a.txt", "time strength\n0.5 1\n1.25 0.3\n"),
        ("a.txt", codecs.BOM_UTF8 + b"0.5\n1.25\n"),
        ("a.txt", "0.5\r1.25\r"),
        ("a.lab", "0.5 0.5 onset\n1.25 1.25 onset\n"),
        ("a.txt", "0.500000\t0.500000\tx\n\\\t100.0\t200.0\n1.250000\t1.300000\ty\n"),
        ("a.csv", "0.5\n1.25\n"),
        ("a.csv", "time,strength\n1.25,7\n0.5,7\n"),
        ("a.csv", "# made by hand\nstrength,Time\n7,1.25\n7,0.5\n"),
        ("a.csv", "#c\nonset;strength\n1.25;7\n0.5;7\n"),
        ("a.csv", "file,time\n#1.wav,1.25\n#1.wav,0.5\n"),
        ("a.csv", "seconds\tvelocity\n1.25\t7\n0.5\t7\n"),
        ("a.csv", 'label,start\n"two\nlines",0.5\n\n,1.25\n'),
        ("a.CSV", codecs.BOM_UTF8 + b"time\r\n0.5\r\n1.25\r\n"),
        ("a.jsonl", '{"time": 0.5}\n\n{"time": 1.25}\n'),
        ("a.json", '{"events": [\n{"start": 0.5, "end": 1}, {"start": 1.25, "end": 2}]}'),
    ],
)
def test_times_are_found(tmp_path: Path, name: str, content: str | bytes) -> None:
    read = read_instants(annotation(tmp_path, name, content))
    assert read.dtype == np.float64
    assert read.tolist() == [0.5, 1.25]


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_no_events_are_no_events(tmp_path: Path, name: str) -> None:
    empty = read_instants(annotation(tmp_path, name, "" if name == "a.jsonl" else "# nothing\n"))
    assert empty.shape == (0,)
    assert len(read_segments(tmp_path / name)) == 0


def test_a_header_alone_is_no_event(tmp_path: Path) -> None:
    path = annotation(tmp_path, "a.csv", "time\n")
    assert read_instants(path).tolist() == []


@pytest.mark.parametrize(
    ("name", "content", "pattern"),
    [
        ("a.txt", "0.5\n-1\n", r"a\.txt, line 2: '-1' is not a time"),
        ("a.txt", "# c\n\n0.5\nnan\n", r"a\.txt, line 4: 'nan' is not a time"),
        ("a.txt", "nan\n", r"line 1: 'nan' is not a time"),
        ("a.txt", "inf\n", r"line 1: 'inf' is not a time"),
        ("a.txt", "1e999\n", r"line 1: '1e999' is not a time"),
        ("a.txt", "onset\ntime\n1\n", r"line 2: 'time' is not a number"),
        ("a.txt", "x 0.5\n", r"line 1: 'x' is not a number"),
        ("a.txt", "1.2.3\n", r"line 1: '1.2.3' is not a number"),
        ("a.txt", "0.5,1\n", r"line 1: '0.5,1' is not a number"),
        ("a.csv", "time\n0.5\n\n\nx\n", r"line 5: 'x' is not a number"),
        ("a.csv", "time;x\n0,5;1\n", r"line 2: '0,5' is not a number"),
        ("a.csv", "file,time\na.wav,1\nb.wav,2\n", r"line 3: another recording begins"),
        ("a.csv", "a.wav,1\n", r"line 1: 'a.wav' is not a number"),
        ("a.csv", "label,time\nx\n", r"line 2: there is no time"),
        ("a.json", "[1]", r"a\.json: has no list of events"),
        ("a.json", "{", r"a\.json: is not JSON"),
        ("a.json", '{"events": [1]}', r"event 1: 1 is no object"),
        ("a.jsonl", '{"time": 1}\n{"time": null}', r"line 2: None is not a number"),
        ("a.jsonl", '{"time": 1, "file": []}\n{"time": 1}', r"line 2: another recording"),
        ("a.jsonl", '{"time": 1', r"line 1: is not JSON"),
        ("a.txt", b"\xff\xfe1\x00", r"a\.txt: is no text in UTF-8"),
        ("a.csv", '"' + "x" * 200_000, r"is no csv \(field larger"),
        ("a.jams", "[]", r"a\.jams: is no JAMS document"),
        ("a.jams", '{"annotations": []}', r"no annotation with namespace 'onset'; there are: none"),
        (
            "a.jams",
            '{"annotations": [{"namespace": "beat", "data": []}]}',
            r"there are: beat",
        ),
        (
            "a.jams",
            '{"annotations": [{"namespace": "onset", "data": {"time": []}}]}',
            r"the data of 'onset' are no list",
        ),
        (
            "a.jams",
            '{"annotations": [{"namespace": "onset", "data": [{"time": -1}]}]}',
            r"a\.jams, observation 1: -1 is not a time",
        ),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, name: str, content: str | bytes, pattern: str
) -> None:
    csv.field_size_limit(131_072)  # Python's own, which other packages raise for the whole process
    with pytest.raises(DataError, match=pattern) as caught:
        read_instants(annotation(tmp_path, name, content))
    assert len(str(caught.value).splitlines()) == 1


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: cannot be read \(No such file"):
        read_instants(tmp_path / "none.txt")
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory"):
        read_segments(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.lab", "0 1.5 C:maj\n1.5 4 F# sus\n"),
        ("a.lab", "# c\r\n1.5\t4\tF# sus\r\n0\t1.5\tC:maj\r\n"),
        ("a.txt", "0.000000\t1.500000\tC:maj\n1.500000\t4.000000\tF# sus\n"),
        ("a.csv", "start,end,label\n0,1.5,C:maj\n1.5,4,F# sus\n"),
        ("a.csv", "0,1.5,C:maj\n1.5,4,F# sus\n"),
        ("a.csv", "Label,End,Start\nF# sus,4,1.5\nC:maj,1.5,0\n"),
        ("a.csv", "file,start,end,label\nx,0,1.5,C:maj\nx,1.5,4,F# sus\n"),
        (
            "a.jams",
            json.dumps(
                {
                    "annotations": [
                        {"namespace": "onset", "data": [{"time": 1, "value": None}]},
                        {
                            "namespace": "chord",
                            "data": [
                                {"time": 0, "duration": 1.5, "value": "C:maj"},
                                {"time": 1.5, "duration": 2.5, "value": "F# sus"},
                            ],
                        },
                    ]
                }
            ),
        ),
    ],
)
def test_segments_are_found(tmp_path: Path, name: str, content: str) -> None:
    read = read_segments(annotation(tmp_path, name, content))
    assert read.table() == {
        "start": [0.0, 1.5],
        "end": [1.5, 4.0],
        "label": ["C:maj", "F# sus"],
    }


@pytest.mark.parametrize(
    ("name", "content", "pattern"),
    [
        ("a.lab", "0 1 a\n2 1.5 b\n", r"line 2: the segment ends at 1.5 s, before its start 2 s"),
        ("a.lab", "0 -1 a\n", r"line 1: '-1' is not a time"),
        ("a.lab", "0\n", r"line 1: there is no end"),
        ("a.csv", "start,duration,label\n", r"line 1: there is no column 'end'"),
        ("a.jams", '{"annotations": [{"data": 1}]}', r"no annotation with labelled segments"),
    ],
)
def test_what_is_wrong_in_segments_is_named(
    tmp_path: Path, name: str, content: str, pattern: str
) -> None:
    with pytest.raises(DataError, match=pattern):
        read_segments(annotation(tmp_path, name, content))


def test_segments_without_label_have_an_empty_one(tmp_path: Path) -> None:
    assert read_segments(annotation(tmp_path, "a.lab", "0 1\n")).labels == ("",)


def test_a_namespace_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.jams"
    write(path, ONSETS, options=Options(namespace="beat"))
    assert read_instants(path, namespace="beat").tolist() == [0.5, 1.25, 2.000001]
    write(path, CHORDS, overwrite=True)
    assert list(read_segments(path, namespace="chord").labels) == ["C:maj", "N"]
    assert read_segments(path).confidences is not None


def test_confidences_that_some_lack_are_left_out(tmp_path: Path) -> None:
    content = "start,end,label,confidence\n0,1,a,0.5\n1,2,b,\n"
    assert read_segments(annotation(tmp_path, "a.csv", content)).confidences is None


# ---- names of formats ---------------------------------------------------------------------------


def test_every_format_is_found_by_its_extension() -> None:
    for name, form in FORMATS.items():
        for kind in form.kinds:
            guess = format_of(f"x/a{form.extension.upper()}", kind)
            assert FORMATS[guess].extension == form.extension
            assert kind in FORMATS[guess].kinds
            assert guess == name or form.extension == ".txt"
    assert format_of("a.onsets") == "txt"
    assert format_of("a.txt", "segments") == "audacity"


def test_unknown_extensions_are_refused() -> None:
    with pytest.raises(UsageError, match=r"a\.xls: no format.*'\.xls'; end the name in \.txt, "):
        format_of("a.xls")


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(UsageError, match="'jam': did you mean 'jams'"):
        render(ONSETS, "jam")


def test_a_format_that_cannot_is_refused() -> None:
    with pytest.raises(UsageError, match="txt cannot write segments; these formats can: csv, json"):
        render(CHORDS, "txt")
    with pytest.raises(UsageError, match="txt cannot write segments"):
        find_format("txt", "segments")


@pytest.mark.parametrize("format", [name for name, form in FORMATS.items() if not form.joins])
def test_formats_of_one_file_refuse_two(format: str) -> None:
    with pytest.raises(UsageError, match=f"{format} holds the result of one file"):
        render([ONSETS, ONSETS] if ONSETS.kind in FORMATS[format].kinds else [CHORDS] * 2, format)


def test_results_with_other_columns_do_not_join() -> None:
    with pytest.raises(ValueError, match="same columns"):
        render([ONSETS, Instants(np.zeros(1))], "csv")


# ---- files --------------------------------------------------------------------------------------


def test_files_appear_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.csv"
    write(path, ONSETS)
    assert path.read_text("utf-8") == text(ONSETS, "csv")
    assert os.listdir(path.parent) == ["a.csv"]


def test_no_file_is_replaced_by_accident(tmp_path: Path) -> None:
    path = annotation(tmp_path, "a.csv", "mine")
    with pytest.raises(UsageError, match=r"a\.csv: exists already"):
        write(path, ONSETS)
    assert path.read_text() == "mine"
    write(path, ONSETS, overwrite=True)
    assert path.read_text().startswith("time")
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("links", [True, False])
def test_no_file_that_came_meanwhile_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    path = tmp_path / "a.csv"
    link = os.link

    def late(source: Any, target: Any) -> None:
        path.write_text("theirs")
        if not links:
            raise OSError("this file system has no hard links")
        link(source, target)

    monkeypatch.setattr(atomic.os, "link", late)
    with pytest.raises(UsageError, match="exists already"):
        write(path, ONSETS)
    assert path.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_files_are_written_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Any, target: Any) -> None:
        raise OSError("this file system has no hard links")

    monkeypatch.setattr(atomic.os, "link", refuse)
    write(tmp_path / "a.mid", ONSETS)
    assert mido.MidiFile(tmp_path / "a.mid").tracks
    assert os.listdir(tmp_path) == ["a.mid"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    annotation(tmp_path, "a.csv", "mine")

    def full(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "replace", full)
    with pytest.raises(AudioCliError, match=r"a\.csv: cannot be written \(No space left"):
        write(tmp_path / "a.csv", ONSETS, overwrite=True)
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_folders_and_what_lies_below_a_file_are_refused(tmp_path: Path) -> None:
    annotation(tmp_path, "file", "")
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder or device"):
        write(tmp_path / "a.csv", ONSETS, overwrite=True)
    with pytest.raises(AudioCliError, match="cannot be written"):
        write(tmp_path / "file" / "a.csv", ONSETS)


def test_several_results_go_into_one_file(tmp_path: Path) -> None:
    write(tmp_path / "all.csv", [ONSETS, ONSETS])
    assert (tmp_path / "all.csv").read_text().startswith("file,time,strength,salience\n")


# ---- what results must be -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (lambda: Instants([1.0, 0.5]), "ascend"),
        (lambda: Instants([-0.1]), "not negative"),
        (lambda: Instants([float("nan")]), "NaN"),
        (lambda: Instants([[1.0]]), r"shape \(n,\), not \(1, 1\)"),
        (lambda: Instants([1.0], strengths=[1.0, 2.0]), r"strengths have shape \(1,\)"),
        (lambda: Instants([1.0], strengths=[float("inf")]), "strengths hold NaN or infinity"),
        (lambda: Instants([1.0], columns={"x": []}), r"x have shape \(1,\)"),
        (lambda: Instants([1.0], columns={"file": [1]}), "cannot be named file"),
        (lambda: Segments([1.0], [0.5], ["a"]), "ends before it starts"),
        (lambda: Segments([1.0, 0.0], [2.0, 2.0], ["a", "b"]), "ascend"),
        (lambda: Segments([1.0], [2.0], []), "0 labels do not fit 1 starts"),
        (lambda: Segments([1.0], [2.0], ["a"], confidences=[]), "confidences have shape"),
    ],
)
def test_results_that_make_no_sense_are_refused(make: Any, pattern: str) -> None:
    with pytest.raises(ValueError, match=pattern):
        make()


def test_results_keep_what_they_were_given() -> None:
    times = np.array([-0.0, 1.0])
    instants = Instants(times)
    times[1] = 9
    assert instants.times.tolist() == [0.0, 1.0]
    assert text(instants, "txt") == "0.000\n1.000\n"
