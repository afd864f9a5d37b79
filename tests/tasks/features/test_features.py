"""The features of sound: right, finite, and the same however the sound comes."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.errors import UsageError
from audiocli.tasks.beat_tracker import BeatTracker
from audiocli.tasks.features import FEATURES, SETS, Extractor, Settings, select
from audiocli.tasks.features.files import extract_file, extract_files
from audiocli.tasks.features.formulas import FORMULAS
from audiocli.tasks.features.statistics import Statistics, check
from audiocli.tasks.features.tables import FORMATS, Layout, Part, find_form, read, write

Floats = NDArray[np.floating[Any]]
RATE = 22_050
SAMPLES = RATE * 12


def music() -> NDArray[np.float32]:
    """Make a tone that changes, bursts and noise: (1, samples)."""
    rng = np.random.default_rng(1)
    time = np.arange(SAMPLES) / RATE
    tone = sum(np.sin(2 * np.pi * 220 * k * time) / k for k in range(1, 8)) * (time % 2 < 1.4)
    burst = np.exp(-(time % 0.5) * 20) * rng.standard_normal(SAMPLES)
    return (0.2 * tone + 0.2 * burst + 1e-3 * rng.standard_normal(SAMPLES)).astype(np.float32)[None]


SOUND = music()


def cut(sound: Floats, *sizes: int) -> Iterator[Floats]:
    place = 0
    for size in sizes:
        yield sound[:, place : place + size]
        place += size
    yield sound[:, place:]


def frames_of(names: list[str], sound: Floats, **options: Any) -> dict[str, Floats]:
    extractor = Extractor(names, Settings(**options))
    values = np.concatenate(list(extractor.frames([sound], extractor.settings.sample_rate)))
    return dict(zip(extractor.frame_columns, values.T, strict=True))


def test_the_common_set_is_what_the_lecture_has() -> None:
    columns = Extractor(["common"]).frame_columns
    assert len(columns) == 7 + 7 + 3 * 20 + 12
    some = ("rms", "spectral_centroid", "spectral_rolloff_85", "spectral_contrast_6", "chroma_b")
    assert {*some, "mfcc_0", "mfcc_delta_1", "mfcc_delta2_19"} <= set(columns)


def test_common_frames_are_those_of_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    found = frames_of(["common"], SOUND)
    y = SOUND[0]
    magnitude = np.abs(librosa.stft(y))
    mel = librosa.feature.melspectrogram(S=magnitude**2, sr=RATE)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=None), n_mfcc=20)
    expected = {
        "rms": librosa.feature.rms(y=y),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(y),
        "spectral_centroid": librosa.feature.spectral_centroid(S=magnitude, sr=RATE),
        "spectral_bandwidth": librosa.feature.spectral_bandwidth(S=magnitude, sr=RATE),
        "spectral_flatness": librosa.feature.spectral_flatness(S=magnitude),
        "spectral_rolloff_85": librosa.feature.spectral_rolloff(S=magnitude, sr=RATE),
        "mfcc": mfcc,
        "mfcc_delta": librosa.feature.delta(mfcc, mode="nearest"),
        "mfcc_delta2": librosa.feature.delta(mfcc, order=2, mode="nearest"),
        "chroma": librosa.feature.chroma_stft(S=magnitude**2, sr=RATE, tuning=0),
    }
    for name, rows in expected.items():
        columns = FEATURES[name.removesuffix("_85")].columns(Settings())
        ours = np.array([found[column] for column in columns])
        # Roll-off is a bin: where two are as good, rounding may choose the other.
        wrong = np.abs(ours - rows) > 1e-3 * np.abs(rows) + 2e-3
        assert ours.shape == rows.shape
        assert wrong.mean() < 0.002, name


@pytest.mark.parametrize("name", ["common", "all"])
def test_any_blocks_give_the_same(name: str) -> None:
    extractor = Extractor([name])
    whole = np.concatenate(list(extractor.frames([SOUND], RATE)))
    parts = np.concatenate(list(extractor.frames(cut(SOUND, 1, 1000, 60_001, 0, 777), RATE)))
    np.testing.assert_array_equal(whole, parts)
    assert len(whole) == Settings().framing.count(SAMPLES)


def test_a_stream_is_what_the_functions_give_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flux, deltas, RASTA and pitch remember the block before; one long block needs no memory."""
    names = ["mfcc_delta2", "spectral_flux", "onset_strength", "rasta_plp", "f0", "tristimulus"]
    in_blocks = frames_of(names, SOUND)
    monkeypatch.setattr("audiocli.tasks.features.extractor.BLOCK_SECONDS", 60.0)
    for name, whole in frames_of(names, SOUND).items():
        np.testing.assert_allclose(in_blocks[name], whole, rtol=1e-3, atol=1e-3, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 9000), max_size=4),
    st.sampled_from(["spectral_flux", "mfcc_delta", "rms"]),
)
def test_blocks_do_not_matter(sizes: list[int], name: str) -> None:
    extractor = Extractor([name])
    sound = SOUND[:, :20_000]
    whole = np.concatenate(list(extractor.frames([sound], RATE)))
    np.testing.assert_array_equal(
        whole, np.concatenate(list(extractor.frames(cut(sound, *sizes), RATE)))
    )


@pytest.mark.parametrize("samples", [1, 3, 100, 2047, 5000])
@pytest.mark.parametrize("kind", ["silence", "constant", "noise", "loud"])
def test_nothing_gives_nan(samples: int, kind: str) -> None:
    noise = np.random.default_rng(0).standard_normal((2, samples)).astype(np.float32)
    sound = {
        "silence": 0 * noise,
        "constant": 0 * noise + 0.5,
        "noise": noise,
        "loud": 1e5 * noise,
    }[kind].astype(np.float32)
    extractor = Extractor(["all"], statistics=["mean", "std", "min", "max", "median", "p10"])
    row = extractor.summary([sound], RATE)
    assert list(row) == [column.name for column in extractor.columns()]
    undefined = {name for name, value in row.items() if np.isnan(value)}
    assert not any(np.isinf(list(row.values())))
    voiced = {c for f in FEATURES.values() if f.voiced for c in extractor._columns_of(f)}
    allowed = voiced | {"tempo", "pulse_rate", "loudness"}
    if kind == "silence":
        defined = {c for f in FEATURES.values() if f.silent for c in extractor._columns_of(f)}
        allowed = set(row) - defined | {"loudness"}
        assert undefined >= allowed - {"loudness"}
    assert undefined <= allowed


@pytest.mark.parametrize(
    "options",
    [
        {"sample_rate": 8000},
        {"sample_rate": 4000, "frame_length": 256, "hop_length": 100},
        {"frame_length": 1014, "hop_length": 220},
        {"frame_length": 551, "hop_length": 900},
        {"sample_rate": 48_000, "frame_length": 1200},
    ],
)
def test_all_features_with_other_settings(options: dict[str, int]) -> None:
    extractor = Extractor(["all"], Settings(**options))
    row = extractor.summary([SOUND[:, :30_000]], RATE)
    assert {name for name, value in row.items() if np.isnan(value)} <= {"tempo", "pulse_rate"}
    assert list(row) == [column.name for column in extractor.columns()]


def test_columns_do_not_depend_on_the_file() -> None:
    extractor = Extractor(["all"])
    short, stereo = np.zeros((1, 5), np.float32), np.repeat(SOUND[:, :9000], 2, axis=0)
    assert list(extractor.summary([short], 8000)) == list(extractor.summary([stereo], 44_100))


def test_summary_is_the_statistics_of_the_frames() -> None:
    statistics = ["mean", "std", "min", "max", "median", "p10", "p97.5"]
    extractor = Extractor(["rms", "mfcc", "mfcc_delta"], statistics=statistics)
    row = extractor.summary([SOUND], RATE)
    values = np.concatenate(list(extractor.frames([SOUND], RATE))).astype(np.float64)
    for name, column in zip(extractor.frame_columns, values.T, strict=True):
        expected = [column.mean(), column.std(), column.min(), column.max(),
                    *np.percentile(column, [50, 10, 97.5])]  # fmt: skip
        found = [row[f"{name}_{statistic}"] for statistic in statistics]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_statistics_of_the_pitch_are_of_voiced_frames() -> None:
    row = Extractor(["f0", "voicing", "odd_to_even_ratio"]).summary([SOUND], RATE)
    assert 0.3 < row["voicing_mean"] < 0.95
    assert row["f0_mean"] == pytest.approx(220, rel=0.01)


def test_a_feature_alone_is_that_of_the_set() -> None:
    together = Extractor(["all"]).summary([SOUND], RATE)
    # Other shapes of a matrix product are summed in another order. Of 128 bands of up to 100 dB,
    # times cosines of sqrt(2 / 128), the root sum of squares is 141; rounding errors of float32
    # in a sum of 128 such terms walk sqrt(128) * 6e-8 of that, 1e-4 dB. All else is of the same
    # numbers in the same order, but for vectors of another width.
    names = ("mfcc_delta", "tempo", "pulse_rate", "inharmonicity", "spectral_flux_log", "loudness")
    for name in names:
        alone = Extractor([name]).summary([SOUND], RATE)
        slack = 1e-4 if name == "mfcc_delta" else 0.0
        near = {key: pytest.approx(together[key], rel=1e-5, abs=slack) for key in alone}
        assert alone == near


def test_twice_as_loud_changes_the_level_alone() -> None:
    once, twice = (Extractor(["common"]).summary([k * SOUND], RATE) for k in (0.5, 1.0))
    assert twice["rms_mean"] == pytest.approx(2 * once["rms_mean"], rel=1e-6)
    assert twice["spectral_flux_mean"] == pytest.approx(2 * once["spectral_flux_mean"], rel=1e-5)
    for name in ("spectral_centroid_mean", "spectral_contrast_3_mean", "chroma_a_mean"):
        assert twice[name] == pytest.approx(once[name], rel=1e-4)
    assert twice["mfcc_0_mean"] - once["mfcc_0_mean"] == pytest.approx(
        20 * np.log10(2) * np.sqrt(128), rel=1e-3
    )


def test_another_rate_of_the_file_changes_little() -> None:
    time = np.arange(4 * 44_100) / 44_100
    sine = np.sin(2 * np.pi * 997 * time).astype(np.float32)[None]
    high = Extractor(["spectral_centroid"]).summary([sine], 44_100)
    low = Extractor(["spectral_centroid"]).summary([sine[:, ::2]], 22_050)
    assert high["spectral_centroid_mean"] == pytest.approx(low["spectral_centroid_mean"], rel=0.01)


def test_a_long_file_takes_no_more_memory() -> None:
    extractor = Extractor(["common", "loudness"])

    def peak(repeats: int) -> int:
        tracemalloc.start()
        extractor.summary((SOUND[:, :RATE] for _ in range(repeats)), RATE)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(12)
    assert peak(120) < 1.1 * peak(12) + 100_000


def test_every_feature_says_what_it_is() -> None:
    for feature in FEATURES.values():
        assert feature.unit and feature.source and feature.description[0].isupper()
        assert feature.family in SETS
        kinds = [
            feature.compute, feature.delta_of, feature.summarise, feature.meter, feature.tracked
        ]  # fmt: skip
        assert sum(bool(kind) for kind in kinds) == 1
    assert not FEATURES.keys() & SETS.keys()
    assert FORMULAS.keys() == FEATURES.keys()
    columns = [name for feature in FEATURES.values() for name in feature.columns(Settings())]
    assert len(columns) == len(set(columns))
    assert all(set(names) <= FEATURES.keys() for names in SETS.values())


def test_what_cannot_be_is_refused() -> None:
    for wrong in (["mfc"], []):
        with pytest.raises(UsageError, match="feature"):
            select(wrong)
    for wrong in ["p101", "p", "average", "p-1"]:
        with pytest.raises(UsageError, match=wrong):
            check([wrong])
    with pytest.raises(UsageError):
        check([])
    with pytest.raises(UsageError, match="frames of 10"):
        Settings(frame_length=10)
    with pytest.raises(UsageError, match="100 Hz"):
        Settings(sample_rate=100)
    with pytest.raises(UsageError, match="roll-off"):
        Settings(rolloff=(1.2,))
    with pytest.raises(UsageError, match="whole files"):
        next(Extractor(["tempo"]).frames([SOUND], RATE))


def test_no_frames_have_no_statistics() -> None:
    assert np.isnan(Statistics(["mean", "p10"], 2).result()).all()


LAYOUT = Layout(("rms_mean", "f0_mean"))
NAMES = ["a.wav", 'odd, "name".wav', "it's \\ ä.wav"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("frame_rate", [None, 40.0])
def test_tables_are_read_back(tmp_path: Path, form: str, frame_rate: float | None) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    layout = Layout(LAYOUT.columns, frame_rate)
    rows = 3 if frame_rate else 1
    values = np.random.default_rng(0).standard_normal((3, rows, 2)).astype(np.float32)
    parts = [Part(name, part) for name, part in zip(NAMES, values, strict=True)]
    path = tmp_path / f"table.{form}"
    write(path, layout, parts, form)
    for part, back in zip(parts, read(path, layout, form), strict=True):
        assert part.file == back.file
        np.testing.assert_allclose(back.values, part.values, rtol=1e-6)
    with pytest.raises(UsageError, match="other columns"):
        read(path, Layout(("rms_mean",), frame_rate), form)
    path.write_bytes(b"no table")
    with pytest.raises(UsageError, match="overwrite"):
        read(path, layout, form)


def test_csv_and_parquet_are_what_pandas_reads(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    parts = [Part(name, np.array([[k + 0.25, 220.0]])) for k, name in enumerate(NAMES)]
    write(tmp_path / "a.csv", LAYOUT, parts, "csv")
    frame = pandas.read_csv(tmp_path / "a.csv")
    assert list(frame["file"]) == NAMES
    assert list(frame["rms_mean"]) == [0.25, 1.25, 2.25]


def test_arff_is_what_scipy_reads(tmp_path: Path) -> None:
    arff = pytest.importorskip("scipy.io.arff")
    layout = Layout(("rms_mean",))
    write(tmp_path / "a.arff", layout, [Part("a.wav", np.array([[0.5]]))], "arff")
    text = (tmp_path / "a.arff").read_text()
    # SciPy knows no strings, so that the names are taken out.
    text = text.replace("@attribute file string\n", "").replace("'a.wav',", "")
    (tmp_path / "b.arff").write_text(text)
    data, _ = arff.loadarff(str(tmp_path / "b.arff"))
    assert data["rms_mean"].tolist() == [0.5]


def test_arff_is_what_liac_arff_reads(tmp_path: Path) -> None:
    arff = pytest.importorskip("arff", reason="pip install liac-arff")
    parts = [Part(name, np.array([[0.25, np.nan]])) for name in NAMES]
    write(tmp_path / "a.arff", LAYOUT, parts, "arff")
    with open(tmp_path / "a.arff", encoding="utf-8", newline="") as stream:
        found = arff.load(stream)
    assert [name for name, _ in found["attributes"]] == list(LAYOUT.heading)
    assert [row[1:] for row in found["data"]] == [[0.25, None]] * len(NAMES)
    assert [row[0] for row in found["data"]] == NAMES


def test_formats_are_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_form(Path("a.CSV"), None) == "csv"
    assert find_form(Path("a.txt"), "arff") == "arff"
    with pytest.raises(UsageError, match=r"a\.txt"):
        find_form(Path("a.txt"), None)
    with pytest.raises(UsageError, match="no text"):
        find_form(None, "npz")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install pyarrow"):
        find_form(Path("a.parquet"), None)


def test_files_are_read_in_blocks_and_told_of(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.repeat(SOUND, 2, axis=0).T, RATE, "FLOAT")
    reported: list[float] = []
    extractor = Extractor(["common"])
    seconds, values = extract_file(
        extractor, tmp_path / "a.wav", progress=lambda done, total: reported.append(done)
    )
    assert seconds == 12 and reported[-1] == 12 and len(reported) > 2
    expected = list(extractor.summary([SOUND], RATE).values())
    np.testing.assert_allclose(values[0], expected, rtol=1e-5, atol=1e-5)


def test_from_python_as_from_the_command_line(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SOUND[0, :RATE], RATE)
    summary = extract_files([str(tmp_path)], tmp_path / "t.jsonl", names=["rms"])
    assert summary.done == 1
    row = json.loads((tmp_path / "t.jsonl").read_text())
    assert list(row) == ["file", "rms_mean", "rms_std"] and row["file"] == "a.wav"


def test_features_but_the_tempo_load_neither_librosa_nor_torch() -> None:
    code = (
        "import sys; from audiocli.tasks.features.files import extract_file;"
        "from audiocli.tasks.features import Extractor; import numpy as np;"
        "from audiocli.tasks.features.catalogue import FEATURES;"
        "names = [name for name in FEATURES if not FEATURES[name].tracked];"
        "Extractor(names).summary([np.zeros((1, 9000), np.float32)], 22050);"
        "print(sorted({'librosa', 'torch', 'pandas', 'matplotlib', 'numba'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr


def test_the_common_set_does_not_wait_for_scipy() -> None:
    code = (
        "import sys; from audiocli.tasks.features.files import extract_file;"
        "from audiocli.tasks.features import Extractor; import numpy as np;"
        "Extractor(['common']).summary([np.ones((1, 9000), np.float32)], 44100);"
        "print('scipy' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "False\n", result.stderr


def test_the_tempo_is_that_of_the_beats_and_blocks_may_be_an_iterator() -> None:
    clicks = np.zeros((1, 8 * RATE), np.float32)
    for beat in np.arange(0.3, 8, 60 / 96):
        start = round(beat * RATE)
        clicks[0, start : start + 800] += np.exp(-np.arange(800) / 150)[: 8 * RATE - start]
    clicks *= np.random.default_rng(0).normal(size=clicks.shape).astype(np.float32) / 4
    tempo = BeatTracker()(clicks, RATE).tempo
    for blocks in ([clicks], iter(np.array_split(clicks, 7, axis=1))):
        row = Extractor(["rms", "tempo"]).summary(blocks, RATE)
        assert row["tempo"] == pytest.approx(tempo.bpm)
    assert tempo.bpm == pytest.approx(96, rel=0.02)
