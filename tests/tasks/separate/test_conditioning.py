"""Whatever a recording has besides music, the network gets what it was trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal

from audiocli.demo import compose
from audiocli.tasks.separate import Separator
from audiocli.tasks.separate.conditioning import (
    Alignment,
    ProgrammeLevel,
    alignment,
    conditioned,
    infrasound,
    muted,
)

RATE = 44100
Audio = np.ndarray


def music(seconds: float = 6.0, rate: int = RATE, seed: int = 0) -> Audio:
    """Noise in three colours that comes and goes, mostly in the middle."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * rate)
    noise = rng.normal(size=(3, samples))
    tilted = scipy.signal.sosfilt(scipy.signal.butter(1, 800, fs=rate, output="sos"), noise)
    bass = scipy.signal.butter(2, 60, "high", fs=rate, output="sos")
    tilted = scipy.signal.sosfilt(bass, tilted)
    beat = 1 + 0.8 * np.sin(2 * np.pi * 2 * np.arange(samples) / rate)
    middle, left, right = tilted * beat
    stereo = np.stack([middle + 0.3 * left, middle + 0.3 * right])
    return (0.1 * stereo / stereo.std()).astype(np.float32)


class Recorder:
    """Stands in for a network: keeps what it gets, and takes half of it for the vocals."""

    def __init__(self) -> None:
        self.inputs: list[Audio] = []

    def __call__(self, audio: Audio) -> Audio:
        self.inputs.append(audio)
        return 0.5 * audio[np.newaxis]

    def run(self, audio: Audio, level: float = 0.0) -> Audio:
        return conditioned(audio, RATE, self, target=1.0, level=level)[0]


def rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def decibels(ratio: float) -> float:
    return 20 * float(np.log10(ratio))


def low_noise(samples: int, cutoff: float) -> Audio:
    noise = np.random.default_rng(5).normal(size=samples)
    noise = scipy.signal.sosfilt(scipy.signal.butter(4, cutoff, fs=RATE, output="sos"), noise)
    return (0.3 * noise / noise.std()).astype(np.float32)


def tone(samples: int, frequency: float) -> Audio:
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(samples) / RATE)).astype(np.float32)


@pytest.mark.parametrize("offset", [0.05, -0.3])
def test_dc_does_not_reach_the_network(offset: float) -> None:
    clean, shifted = Recorder(), Recorder()
    reference = clean.run(music())
    sources = shifted.run(music() + np.float32(offset))
    assert abs(shifted.inputs[0].mean()) < 1e-4
    assert np.abs(shifted.inputs[0] - clean.inputs[0]).max() < 1e-2
    assert np.abs(sources - reference).max() < 1e-3


@pytest.mark.parametrize(
    "disturbance",
    [lambda n: low_noise(n, 9.0), lambda n: tone(n, 19_000), lambda n: tone(n, 12)],
    ids=["rumble", "19 kHz", "12 Hz"],
)
def test_what_is_no_music_does_not_change_the_gain(disturbance: Callable[[int], Audio]) -> None:
    plain, disturbed = Recorder(), Recorder()
    audio = music()
    plain.run(audio)
    disturbed.run(audio + disturbance(audio.shape[1]))
    band = scipy.signal.butter(4, [100, 8000], "band", fs=RATE, output="sos")
    levels = [rms(scipy.signal.sosfilt(band, each.inputs[0])) for each in (plain, disturbed)]
    assert abs(decibels(levels[1] / levels[0])) < 0.2


def test_rumble_does_not_reach_the_network() -> None:
    audio = np.zeros((1, 6 * RATE), np.float32) + low_noise(6 * RATE, 5.0)
    assert decibels(rms(audio - infrasound(audio, RATE)) / rms(audio)) < -25


@pytest.mark.parametrize("frequency", [30.0, 50.0, 1000.0])
def test_music_passes_the_filter(frequency: float) -> None:
    audio = tone(3 * RATE, frequency)[np.newaxis]
    low = infrasound(audio, RATE)[:, RATE // 4 : -RATE // 4]
    assert np.abs(low).max() < 0.003 * 0.3


@pytest.mark.parametrize("where", [0, 3, 4])
def test_one_loud_second_changes_nothing_for_the_others(where: int) -> None:
    quiet = music(8) * np.float32(0.1)
    loud = quiet.copy()
    loud[:, where * RATE : (where + 1) * RATE] = music(1, seed=3) * 8
    plain, disturbed = Recorder(), Recorder()
    plain.run(quiet)
    disturbed.run(loud)
    rest = slice(round((where + 1.5) * RATE), (where + 3) * RATE)
    change = rms(disturbed.inputs[0][:, rest]) / rms(plain.inputs[0][:, rest])
    assert abs(decibels(change)) < 0.5


def test_a_third_that_is_loud_is_how_the_recording_is() -> None:
    audio = music(9)
    audio[:, : 6 * RATE] *= np.float32(0.1)  # -20 dB
    recorder = Recorder()
    recorder.run(audio)
    loud, quiet = recorder.inputs[0][:, 7 * RATE :], recorder.inputs[0][:, : 5 * RATE]
    assert decibels(rms(loud)) < 13
    assert -12 < decibels(rms(quiet)) < 1


def test_ordinary_music_has_the_level_of_training() -> None:
    recorder = Recorder()
    recorder.run(music())
    assert abs(decibels(rms(recorder.inputs[0]))) < 1


def test_segment_that_is_far_quieter_than_the_song_is_not_raised_all_the_way() -> None:
    recorder = Recorder()
    recorder.run(music() / 1000, level=0.1)
    assert decibels(rms(recorder.inputs[0])) == pytest.approx(-60 + 26, abs=1)


@pytest.mark.parametrize("level", [1.0, 1e-3, 1e-9, 1e-20])
def test_sources_have_the_level_of_the_audio(level: float) -> None:
    audio = music(2) * np.float32(level)
    sources = Recorder().run(audio)
    assert np.abs(sources[0] - 0.5 * (audio - infrasound(audio, RATE))).max() < 1e-6 * level


@pytest.mark.parametrize("silent", [0, 1])
def test_a_silent_channel_stays_silent_and_the_other_is_mono(silent: int) -> None:
    audio = music()
    audio[silent] = 0
    recorder = Recorder()
    sources = recorder.run(audio)
    assert not sources[0, silent].any()
    assert all(len(each) == 1 for each in recorder.inputs)
    assert abs(decibels(rms(recorder.inputs[1 - silent]))) < 1


def test_channel_with_nothing_but_an_offset_is_silent() -> None:
    audio = music()
    audio[1] = 0.1
    assert np.abs(Recorder().run(audio)[0, 1]).max() < 1e-4


@pytest.mark.parametrize("bits", [None, 16])
def test_inverted_channel_is_turned_for_the_network_alone(bits: int | None) -> None:
    audio = music()
    audio[1] = -audio[0]
    if bits:
        audio = (np.round(audio * 2.0 ** (bits - 1)) / 2.0 ** (bits - 1)).astype(np.float32)
    audio[1] += np.random.default_rng(4).normal(scale=1e-5, size=audio.shape[1])
    recorder = Recorder()
    sources = recorder.run(audio)
    given = recorder.inputs[0]
    assert rms(given[0] - given[1]) < 1e-2 * rms(given[0])
    assert np.abs(sources[0] - 0.5 * (audio - infrasound(audio, RATE))).max() < 1e-4


@pytest.mark.parametrize("milliseconds", [0.1, 0.5, -0.5, 2.0, 3.3])
@pytest.mark.parametrize("inverted", [False, True])
def test_late_channel_is_aligned_for_the_network_alone(milliseconds: float, inverted: bool) -> None:
    mono = music()[0]
    delay = milliseconds * RATE / 1000
    spectrum = np.fft.rfft(mono, 2 * len(mono))
    spectrum *= np.exp(-2j * np.pi * np.arange(len(mono) + 1) / (2 * len(mono)) * delay)
    late = np.fft.irfft(spectrum)[: len(mono)] * (-1 if inverted else 1)
    audio = np.stack([mono, late]).astype(np.float32)
    found = alignment(audio, RATE)
    assert found.inverted == inverted
    assert found.delay == pytest.approx(delay, abs=0.15)
    recorder = Recorder()
    sources = recorder.run(audio)
    given = recorder.inputs[0][:, 1000:-1000]
    assert rms(given[0] - given[1]) < 0.02 * rms(given[0])
    assert np.abs(sources[0] - 0.5 * (audio - infrasound(audio, RATE)))[:, 500:-500].max() < 1e-4


@pytest.mark.parametrize("seed", [0, 1])
def test_ordinary_channels_are_left_as_they_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    unrelated = rng.normal(size=(2, 2 * RATE)).astype(np.float32)
    partials = np.array([[220, 440, 1300], [222, 470, 1300]])
    time = np.arange(2 * RATE) / RATE
    tones = np.sin(2 * np.pi * partials[..., np.newaxis] * time + rng.uniform(0, 1.5, (2, 3, 1)))
    for audio in (music(seed=seed), unrelated, tones.sum(axis=1), np.zeros((2, 1000))):
        assert alignment(np.asarray(audio, np.float32), RATE) == Alignment()


def test_level_does_not_depend_on_the_blocks() -> None:
    audio = music(4)
    whole, parts = ProgrammeLevel(RATE), ProgrammeLevel(RATE)
    whole.add(audio)
    for start in range(0, audio.shape[1], 7777):
        parts.add(audio[:, start : start + 7777])
    assert parts.level == pytest.approx(whole.level, rel=1e-6)
    assert (parts.frames, parts.peak) == (whole.frames, whole.peak)
    assert whole.level == pytest.approx(0.1, rel=0.1)


def test_level_of_little_or_nothing() -> None:
    assert ProgrammeLevel(RATE).level == 0
    short = ProgrammeLevel(RATE)
    short.add(music(0.2))
    assert 0.03 < short.level < 0.3


def test_zero_crossings_are_no_silence() -> None:
    mixture = np.array([[0.1, 0, 0, 0.1, 0, 0.1]], np.float32)
    source = np.ones((2, 1, 6), np.float32)
    assert muted(source, mixture, 3) is source


@pytest.fixture(scope="module")
def separator() -> Separator:
    return Separator(device="cpu")


@pytest.fixture(scope="module")
def song() -> tuple[Audio, Audio]:
    """The demonstration's vocals and accompaniment, in stereo."""
    demo = compose()
    vocals, accompaniment = (
        np.asarray(each[:, 7 * RATE : 14 * RATE], np.float32) / 32768
        for each in (demo.stems["vocals"], demo.accompaniment)
    )
    return vocals, accompaniment


def improvement(separator: Separator, vocals: Audio, accompaniment: Audio) -> float:
    """Signal-to-noise ratio of the vocals in dB; checks that the stems add up, too."""
    mixture = vocals + accompaniment
    stems = separator(mixture, RATE)
    assert np.abs(stems["vocals"] + stems["accompaniment"] - mixture).max() < 1e-6
    return decibels(rms(vocals) / rms(stems["vocals"] - vocals))


@pytest.mark.parametrize("kind", ["dc", "rumble", "19 kHz", "inverted", "late"])
def test_nothing_of_this_costs_decibels(
    separator: Separator, song: tuple[Audio, Audio], kind: str
) -> None:
    vocals, accompaniment = (each.copy() for each in song)
    if kind in ("inverted", "late"):
        vocals[1], accompaniment[1] = vocals[0], accompaniment[0]
    plain = improvement(separator, vocals, accompaniment)
    samples = vocals.shape[1]
    if kind == "dc":
        accompaniment += np.float32(0.1)
    elif kind == "rumble":
        accompaniment += low_noise(samples, 9.0)
    elif kind == "19 kHz":
        accompaniment += tone(samples, 19_000)
    elif kind == "inverted":
        vocals[1] *= -1
        accompaniment[1] *= -1
    elif kind == "late":
        for each in (vocals, accompaniment):
            each[1] = np.roll(each[1], 22)
    assert improvement(separator, vocals, accompaniment) > plain - 0.5


def test_one_loud_second_costs_no_decibels(separator: Separator, song: tuple[Audio, Audio]) -> None:
    vocals, accompaniment = (each / 30 for each in song)
    end = 5 * RATE  # what is next to the loud second is masked by it
    loud = accompaniment.copy()
    loud[:, 6 * RATE :] = np.random.default_rng(0).normal(scale=0.3, size=(2, RATE))
    errors = [
        rms((separator(vocals + each, RATE)["vocals"] - vocals)[:, :end])
        for each in (accompaniment, loud)
    ]
    assert decibels(errors[1] / errors[0]) < 0.5


def test_digital_silence_of_a_channel_stays(separator: Separator) -> None:
    mixture = music(3)
    mixture[1, : 2 * RATE] = 0
    stems = separator(mixture, RATE)
    assert not any(stem[1, : 2 * RATE].any() for stem in stems.values())
    mixture[1] = 0
    stems = separator(mixture, RATE)
    assert not any(stem[1].any() for stem in stems.values())
    assert stems["vocals"][0].any()
