"""What every entry from Python makes of arrays as other libraries have them: right, or refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import audiocli
from audiocli.dsp.frames import Framer, Framing, frame, pad_centred
from audiocli.dsp.loudness import LoudnessMeter, loudness
from audiocli.dsp.signals import as_audio, as_blocks, as_mono, as_rate
from audiocli.errors import AudioCliError, AudioError, UsageError

RATE = 22_050
TIME = np.arange(RATE // 2) / RATE
NOTE = 0.5 * np.sin(2 * np.pi * 440 * TIME) * np.exp(-6 * TIME)
# Steps of 2^-15, so that all that stands for it holds the same numbers.
MONO = (np.round(np.concatenate([np.zeros(RATE // 4), NOTE, NOTE]) * 2**14) / 2**15).astype(
    np.float32
)
GOOD = MONO[np.newaxis]
STEREO = np.stack([MONO, np.roll(MONO, 40)])


def meter(audio: Any, rate: Any) -> float:
    measured = LoudnessMeter(rate)
    measured.add(audio)
    return measured.result()


def fed(audio: Any, rate: Any) -> list[tuple[float, float]]:
    detector = audiocli.OnlineDetector(rate, device="cpu")
    return detector.feed(audio) + detector.finish()


@cache
def loaded(name: str) -> Any:
    made: dict[str, Callable[[], Any]] = {
        "onsets": lambda: audiocli.OnsetDetector("blstm", device="cpu"),
        "chords": lambda: audiocli.ChordRecognizer(device="cpu"),
        "classify": lambda: audiocli.Classifier("classify", ["digits"], device="cpu"),
        "encode": lambda: audiocli.Encoder(device="cpu"),
        "features": lambda: audiocli.FeatureExtractor(["rms", "loudness"]),
        "embedder": lambda: audiocli.FeatureEmbedder("onsets/blstm", ["mean"], device="cpu"),
        "basis": lambda: audiocli.FeatureBasis("pca", ["mean"], device="cpu"),
        "separate": lambda: audiocli.Separator("drnn-mir1k", device="cpu"),
    }
    return made[name]()


#: Every entry that takes several channels: from audio and rate to something to compare.
ENTRIES: dict[str, Callable[[Any, Any], Any]] = {
    "OnsetDetector": lambda a, r: loaded("onsets")(a, r).activations,
    "OnsetDetector.stream": lambda a, r: loaded("onsets").stream([a], r).activations,
    "ChordRecognizer": lambda a, r: loaded("chords")(a, r).tones,
    "ChordRecognizer.stream": lambda a, r: loaded("chords").stream([a], r).tones,
    "Classifier.stream": lambda a, r: loaded("classify").stream([a], r)[0].probabilities,
    "Encoder.stream": lambda a, r: loaded("encode").stream([a], r),
    "FeatureExtractor.summary": lambda a, r: list(loaded("features").summary([a], r).values()),
    "FeatureExtractor.frames": lambda a, r: list(loaded("features").frames([a], r)),
    "FeatureEmbedder.summary": lambda a, r: list(loaded("embedder").summary([a], r).values()),
    "FeatureEmbedder.frames": lambda a, r: list(loaded("embedder").frames([a], r)),
    "FeatureBasis.summary": lambda a, r: list(loaded("basis").summary([a], r).values()),
    "FeatureBasis.measured": lambda a, r: list(loaded("basis").measured([a], r)),
    "Separator": lambda a, r: loaded("separate")(a, r)["vocals"],
    "Separator.blocks": lambda a, r: list(loaded("separate").blocks([a], r, 0.1)),
    "dsp loudness": loudness,
    "dsp LoudnessMeter": meter,
}
#: Those that take one channel.
SINGLE: dict[str, Callable[[Any, Any], Any]] = {
    "OnlineDetector": fed,
    "dsp frame": lambda a, r: frame(a, 512, 256),
    "dsp pad_centred": lambda a, r: pad_centred(a, 512),
    "dsp Framer": lambda a, r: list(Framer(Framing(512, 256)).over([a])),
}

#: Those that take a whole signal: what may mean two things is refused.
WHOLE = ("OnsetDetector", "ChordRecognizer", "Separator", "dsp loudness", *SINGLE)

#: Other forms of MONO.
SAME: dict[str, tuple[Any, Any]] = {
    "one dimension": (MONO, RATE),
    "a column": (MONO[:, np.newaxis], RATE),
    "not contiguous": (np.repeat(GOOD, 2, axis=1)[:, ::2], RATE),
    "big endian": (GOOD.astype(">f4"), RATE),
    "float64": (GOOD.astype(np.float64), RATE),
    "float16": (np.round(GOOD * 512).astype(np.float16) / np.float16(512), RATE),
    "int16": (np.round(GOOD * 2**15).astype(np.int16), RATE),
    "int32": (np.round(GOOD.astype(np.float64) * 2**31).astype(np.int32), RATE),
    "rate as a float": (GOOD, float(RATE)),
    "rate of numpy": (GOOD, np.int64(RATE)),
}
#: What no entry can make sense of.
WRONG: dict[str, tuple[Any, Any]] = {
    "NaN": (np.where(np.arange(len(MONO)) == 5, np.nan, GOOD).astype(np.float32), RATE),
    "infinity": (np.where(np.arange(len(MONO)) == 5, np.inf, GOOD).astype(np.float32), RATE),
    "beyond float32": (np.where(np.arange(len(MONO)) == 5, 1e300, GOOD.astype(float)), RATE),
    "not scaled": (GOOD * 2.0**31, RATE),
    "int64": (np.round(GOOD * 2**15).astype(np.int64), RATE),
    "complex": (GOOD + 0j, RATE),
    "bool": (GOOD > 0, RATE),
    "three dimensions": (GOOD[np.newaxis], RATE),
    "a number": (0.5, RATE),
    "text": ("song.wav", RATE),
    "None": (None, RATE),
    "too many channels": (np.zeros((9, 900), np.float32), RATE),
    "unclear": (np.zeros((3, 2), np.float32), RATE),
    "square": (np.zeros((2, 2), np.float32), RATE),
    "a short column": (np.zeros((4, 1), np.float32), RATE),
    "ragged": ([[0.0, 0.1], [0.2]], RATE),
}
EMPTY: dict[str, Any] = {
    "nothing": np.zeros(0, np.float32),
    "(1, 0)": np.zeros((1, 0), np.float32),
    "(0, 2)": np.zeros((0, 2)),
    "an empty list": [],
}
NO_RATE: tuple[Any, ...] = (
    0,
    -44_100,
    22_050.5,
    float("nan"),
    float("inf"),
    "22050",
    None,
    True,
    1e6,
)


def flat(values: Any) -> np.ndarray:
    if isinstance(values, list):
        return np.concatenate([np.ravel(value) for value in values]) if values else np.zeros(0)
    return np.ravel(values)


@pytest.mark.parametrize("form", SAME)
@pytest.mark.parametrize("name", [*ENTRIES, *SINGLE])
def test_forms_of_the_same_audio_have_the_same_answer(name: str, form: str) -> None:
    call = {**ENTRIES, **SINGLE}[name]
    audio, rate = SAME[form]
    expected = flat(
        call(np.asarray(audio, np.float32).reshape(1, -1) if form == "float16" else GOOD, RATE)
    )
    np.testing.assert_array_equal(flat(call(audio, rate)), expected)


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("form", ["samples first", "float64", "int16"])
def test_soundfile_s_stereo_is_recognised(name: str, form: str) -> None:
    audio = {
        "samples first": STEREO.T,
        "float64": STEREO.T.astype(np.float64),
        "int16": np.round(STEREO.T * 2**15).astype(np.int16),
    }[form]
    np.testing.assert_array_equal(
        flat(ENTRIES[name](audio, RATE)), flat(ENTRIES[name](STEREO, RATE))
    )


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("name", [*ENTRIES, *SINGLE])
def test_what_is_no_audio_is_refused(name: str, case: str) -> None:
    audio, rate = WRONG[case]
    if case in ("unclear", "square", "a short column") and name not in WHOLE:
        pytest.skip("a block of a stream may be that short")
    if case == "a short column" and name in SINGLE:
        pytest.skip("there can be one channel only")
    if case == "not scaled" and name.startswith("dsp ") and name in SINGLE:
        pytest.skip("functions of dsp take signals of any level")
    with pytest.raises(AudioCliError) as caught:
        {**ENTRIES, **SINGLE}[name](audio, rate)
    text = str(caught.value)
    assert "--" not in text and "\n" not in text and ":" in text


@pytest.mark.parametrize("name", SINGLE)
def test_one_channel_means_one(name: str) -> None:
    with pytest.raises(UsageError, match="average the channels"):
        SINGLE[name](STEREO, RATE)


@pytest.mark.parametrize("case", EMPTY)
@pytest.mark.parametrize("name", ENTRIES)
def test_nothing_is_refused(name: str, case: str) -> None:
    if name == "dsp LoudnessMeter":
        pytest.skip("a meter measures what there is so far")
    with pytest.raises(AudioError, match="holds no samples"):
        ENTRIES[name](EMPTY[case], RATE)


@pytest.mark.parametrize("rate", NO_RATE)
@pytest.mark.parametrize("name", [*ENTRIES, "OnlineDetector"])
def test_rates_that_are_none_are_refused(name: str, rate: Any) -> None:
    with pytest.raises(UsageError, match="sample_rate"):
        {**ENTRIES, **SINGLE}[name](GOOD, rate)


def test_a_stream_may_be_one_array_and_holds_empty_blocks() -> None:
    assert [block.shape for block in as_blocks(STEREO)] == [STEREO.shape]
    assert [block.shape for block in as_blocks(MONO)] == [GOOD.shape]
    blocks = [
        np.zeros((2, 0)),
        np.zeros((2, 9)),
        np.zeros((2, 0)),
        np.zeros((2, 2)),
        np.zeros((2, 1)),
    ]
    assert [block.shape for block in as_blocks(blocks)] == [(2, 9), (2, 2), (2, 1)]
    lying = [np.ones((9, 2)), np.array([[1.0, 2.0], [3.0, 4.0]])]
    assert list(as_blocks(lying))[1].tolist() == [[1.0, 3.0], [2.0, 4.0]]
    with pytest.raises(UsageError, match="channels after one of 2"):
        list(as_blocks([np.zeros((2, 9)), np.zeros((3, 9))]))
    with pytest.raises(UsageError, match="no iterable"):
        list(as_blocks(7))


def test_integers_of_all_widths() -> None:
    full = [
        np.array([0, 128, 255], np.uint8),
        np.array([-128, 0, 127], np.int8),
        np.array([-(2**15), 0, 2**15 - 1], np.int16),
        np.array([-(2**31), 0, 2**31 - 1], np.int32),
    ]
    for integers in full:
        low, zero, high = as_audio(integers)[0].tolist()
        assert (low, zero) == (-1, 0) and 0.99 < high <= 1


def test_what_fits_is_not_copied() -> None:
    assert as_audio(STEREO) is STEREO
    assert as_mono(MONO) is MONO
    assert as_mono(MONO.astype(np.float64)).dtype == np.float64
    assert as_rate(np.float32(8000)) == 8000
