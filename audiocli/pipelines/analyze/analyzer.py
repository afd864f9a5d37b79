"""What finds the fields of a recording, in one pass over its blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.loudness import LoudnessMeter, TruePeakMeter
from audiocli.dsp.signals import as_rate
from audiocli.io.audio.downmix import full_range_channels
from audiocli.nn import registry
from audiocli.pipelines.analyze.fields import Field, Value, select
from audiocli.pipelines.analyze.harmony import camelot
from audiocli.pipelines.analyze.rhythm import Rhythm, RhythmFinder
from audiocli.pipelines.analyze.streams import of_full_range, shared
from audiocli.tasks.beat_tracker import DEFAULT_MODEL as BEATS
from audiocli.tasks.chords.recognizer import DEFAULT_MODEL as CHORDS
from audiocli.tasks.chords.recognizer import ChordRecognizer, Chords
from audiocli.tasks.classify.classifier import Classifier
from audiocli.tasks.classify.decisions import Track

__all__ = ["CLASSES", "SEGMENT", "LibraryAnalyzer", "best", "models_of", "of_music", "sounding"]

Block = NDArray[np.float32]
#: The models that answer, by the field: of each the label, and its probability.
CLASSES = {"content": "content", "instrument": "instrument", "genre": "genre-broad", "mood": "mood"}
TAGS = "music"
#: Seconds of the segments whose tags are averaged, and in which a voice is looked for.
SEGMENT = 10.0
#: What is shorter is a one-shot, in s: it has no tempo, and no key or genre.
ONE_SHOT = 3.0
#: What is shorter tells no music from speech, and, shorter still, no instrument either, in s.
CONTENT, INSTANT = 1.0, 0.1
#: From this probability on what is no music has nothing that music has.
NO_MUSIC = 0.5
#: What counts as a voice among the tags, and what speaks against one.
NO_VOICE = "No voice"
#: An instrument is named from this probability on, and where there is hardly a voice: the model
#: knows recordings of one instrument alone.
INSTRUMENT, VOICED = 0.5, 0.5
#: Below this integrated loudness nothing is said of what sounds.
SILENT = -69.9  # LUFS
#: Nor below this peak, which is -90 dB.
SILENT_PEAK = 10.0**-4.5


@dataclass(frozen=True)
class _Level:
    loudness: float
    range: float
    true_peak: float
    sounds: bool


class LibraryAnalyzer:
    """Finds the fields of recordings; its models are loaded once.

    Parameters
    ----------
    fields : sequence of str
        Names of fields or of groups of fields; all by default.
    device : str
        As in :func:`audiocli.nn.models.device`.

    Raises
    ------
    UsageError
        If there is no such field.
    ModelError
        If a model cannot be loaded.

    Examples
    --------
    >>> analyzer = LibraryAnalyzer(["level"])
    >>> sine = np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000)[None].astype(np.float32)
    >>> analyzer.stream([sine], 48000)["loudness"]
    -3.0
    """

    def __init__(self, fields: Sequence[str] = (), *, device: str = "auto") -> None:
        self.fields = select(fields)
        groups = {field.group for field in self.fields}
        if any(field.of_music for field in self.fields):
            groups.add("classes")  # tells what is music
        self._level = bool(groups - {"file"})  # tells what is silent
        self._rhythm = RhythmFinder(device=device) if "rhythm" in groups else None
        self._chords = ChordRecognizer(device=device) if "harmony" in groups else None
        self._names = list(CLASSES) if self._wants("classes") else ["content"]
        self._classes = (
            Classifier("classify", [CLASSES[name] for name in self._names], device=device)
            if "classes" in groups
            else None
        )
        self._tags = (
            Classifier("tag", [TAGS], device=device, segment=SEGMENT) if "tags" in groups else None
        )
        self._voices = _voices() if self._tags is not None else frozenset()

    def _wants(self, group: str) -> bool:
        """Tell whether more of a group is asked for than what tells music from speech."""
        return any(f.group == group and not f.name.startswith("content") for f in self.fields)

    def stream(
        self,
        blocks: Iterable[Block],
        sample_rate: int,
        *,
        layout: Sequence[str] | None = None,
    ) -> dict[str, Value]:
        """Analyse a stream once, in constant memory.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (channels, samples)
            The recording.
        sample_rate : int
            In Hz.
        layout : sequence of str, optional
            The speakers of the channels, by which the loudness weights them.

        Returns
        -------
        dict of str to str, float or None
            By the names of the fields; None is what does not apply or cannot be measured.
        """
        rate = as_rate(sample_rate)
        samples = channels = 0

        def counted() -> Iterator[Block]:
            nonlocal samples, channels
            for block in blocks:
                samples, channels = samples + block.shape[1], block.shape[0]
                yield block

        found = shared(counted(), self.analyses(rate, layout))
        return self.row(found, samples, rate, channels)

    def row(
        self, found: Mapping[str, Any], samples: int, rate: int, channels: int
    ) -> dict[str, Value]:
        """Make the fields of what the analyses of a recording found."""
        seconds = samples / rate
        row: dict[str, Any] = {"duration": seconds, "sample_rate": rate, "channels": channels}
        level: _Level | None = found.get("level")
        if level is not None:
            row |= {"loudness": level.loudness, "loudness_range": level.range,
                    "true_peak": level.true_peak}  # fmt: skip
        if level is None or level.sounds:
            row |= self._heard(found, seconds)
        return {field.name: _rounded(row.get(field.name), field) for field in self.fields}

    def analyses(
        self, rate: int, layout: Sequence[str] | None
    ) -> dict[str, Callable[[Iterator[Block]], Any]]:
        """List what is to be done with the stream, by name."""
        made: dict[str, Callable[[Iterator[Block]], Any]] = {}
        speakers = tuple(layout or ())
        if self._level:
            made["level"] = lambda blocks: _measured(blocks, rate, layout)
        for name, analysis in (
            ("rhythm", self._rhythm),
            ("chords", self._chords),
            ("classes", self._classes),
            ("tags", self._tags),
        ):
            if analysis is not None:
                stream = _of_sound(analysis) if name == "classes" else analysis.stream
                made[name] = of_full_range(stream, rate, speakers)
        return made

    def classes(self, found: Mapping[str, Any]) -> dict[str, Track]:
        """Give what the classifiers found, by the names of the fields."""
        return dict(zip(self._names, found.get("classes") or (), strict=False))

    def _heard(self, found: Mapping[str, Any], seconds: float) -> dict[str, Value]:
        """Say what sounds, leaving out what does not apply."""
        row: dict[str, Value] = {}
        classes = self.classes(found)
        content = best(classes["content"]) if "content" in classes else ("music", 1.0)
        one_shot = seconds < ONE_SHOT
        is_music = of_music(*content, seconds)
        if seconds < CONTENT:
            classes.pop("content", None)
        if seconds < INSTANT:
            classes.clear()
        for name, track in classes.items():
            applies = name == "content" or (
                is_music if name != "instrument" else is_music
                or one_shot and (content[0] != "speech" or seconds < CONTENT)
            )  # fmt: skip
            if applies:
                row[name], row[f"{name}_probability"] = best(track)
        if not is_music:
            return _of_one_instrument(row)
        if "mood" in classes:
            row |= _mood(classes["mood"], row["mood"])
        rhythm: Rhythm | None = found.get("rhythm")
        if rhythm is not None:
            row |= {"tempo": rhythm.tempo, "tempo_confidence": rhythm.confidence,
                    "metre": rhythm.metre}  # fmt: skip
        row |= _key(found.get("chords")) | self._tagged(found.get("tags"))
        return _of_one_instrument(row)

    def _tagged(self, tracks: list[Track] | None) -> dict[str, Value]:
        """Give the tags that hold on average, and in how many segments there is a voice."""
        if tracks is None:
            return {}
        [track] = tracks
        rows = sounding(track)
        if not len(rows):
            return {}
        mean = rows.mean(axis=0)
        holding = [place for place in np.argsort(-mean) if mean[place] >= track.threshold]
        voices = [label in self._voices for label in track.labels]
        silent = track.labels.index(NO_VOICE) if NO_VOICE in track.labels else None
        row: dict[str, Value] = {"tags": "; ".join(track.labels[place] for place in holding)}
        if any(voices) and silent is not None:
            row["vocal_share"] = float(np.mean(rows[:, voices].max(axis=1) > rows[:, silent]))
        return row


def of_music(content: Value, probability: Value, seconds: float) -> bool:
    """Tell whether what music alone has applies: not to speech, to sounds and to one-shots.

    Where it is doubtful what there is, it does.
    """
    doubtful = content is None or isinstance(probability, float) and probability < NO_MUSIC
    return (content == "music" or doubtful) and seconds >= ONE_SHOT


def sounding(track: Track) -> NDArray[np.float32]:
    """Give the probabilities (segments, labels) of the segments that are not silent."""
    silent = [track.is_silent(place) for place in range(len(track.probabilities))]
    kept: NDArray[np.float32] = track.probabilities[~np.array(silent, bool)]
    return kept


def _of_sound(analysis: Any) -> Callable[[Iterator[Block], int], Any]:
    """Analyse what lies between the silences at both ends."""
    return lambda blocks, rate: analysis.stream(_trimmed(blocks), rate)


def _trimmed(blocks: Iterable[Block]) -> Iterator[Block]:
    """Leave out the silence at both ends, in whole blocks: it is no part of what sounds there.

    If there is nothing else, all of it comes.
    """
    started = False
    held: list[tuple[int, ...]] = []
    for block in blocks:
        if float(np.abs(block).max(initial=0.0)) <= SILENT_PEAK:
            held.append(block.shape)
            continue
        if started:
            yield from (np.zeros(shape, np.float32) for shape in held)
        started, held = True, []
        yield block
    if not started:
        yield from (np.zeros(shape, np.float32) for shape in held)


def _measured(blocks: Iterator[Block], rate: int, layout: Sequence[str] | None) -> _Level:
    loudness, peak = LoudnessMeter(rate, layout), TruePeakMeter(rate)
    kept, highest = full_range_channels(tuple(layout or ())) or slice(None), 0.0
    for block in blocks:
        highest = max(highest, float(np.abs(block[kept]).max(initial=0.0)))
        loudness.add(block)
        peak.add(block)
    integrated = loudness.result()
    return _Level(integrated if integrated > SILENT else math.nan, loudness.range(), peak.result(),
                  highest > SILENT_PEAK)  # fmt: skip


def best(track: Track) -> tuple[str | None, float | None]:
    """Give the likeliest label; none where the model does not believe it."""
    row = track.probabilities[0]
    place = int(row.argmax())
    if track.out_of_domain or row[place] < track.threshold:
        return None, None
    return track.labels[place].replace("_", " "), float(row[place])


def _of_one_instrument(row: dict[str, Value]) -> dict[str, Value]:
    """Take the instrument out where it is not sure, or a voice is there."""
    probability, voice = row.get("instrument_probability"), row.get("vocal_share") or 0.0
    if not isinstance(probability, float) or probability < INSTRUMENT or float(voice) >= VOICED:
        return {name: value for name, value in row.items() if not name.startswith("instrument")}
    return row


def _mood(track: Track, best: Value) -> dict[str, Value]:
    """Give the mood in words, and its axes."""
    words = registry.find("classify", CLASSES["mood"]).config.get("descriptions") or {}
    axes: dict[str, Value] = {name: float(values[0]) for name, values in track.axes.items()}
    return {**axes, "mood": words.get(str(best), best)}


def _key(chords: Chords | None) -> dict[str, Value]:
    key = None if chords is None else chords.key
    if chords is None or key is None:
        return {}
    return {"key": str(key), "key_confidence": chords.key_stability(),
            "camelot": camelot(key)}  # fmt: skip


def _voices() -> frozenset[str]:
    groups = registry.find("tag", TAGS).config.get("groups") or {}
    return frozenset(groups.get("voice", ())) - {NO_VOICE}


def _rounded(value: Any, field: Field) -> Value:
    """Round a number as the table has it; what is not finite is None."""
    if field.kind == "text" or value is None:
        return value or None
    number = round(float(value), field.decimals)
    if not math.isfinite(number):
        return None
    return number + 0.0 if field.decimals else int(number)


def models_of(fields: Sequence[str]) -> list[registry.ModelEntry]:
    """List the models that fields depend on."""
    chosen = select(fields)
    groups = {field.group for field in chosen}
    found = []
    if "classes" in groups or any(field.of_music for field in chosen):
        names = CLASSES.values() if "classes" in groups else [CLASSES["content"]]
        found += [registry.find("classify", name) for name in names]
    if "tags" in groups:
        found.append(registry.find("tag", TAGS))
    if "rhythm" in groups:
        found.append(registry.find("beats", BEATS))
    if "harmony" in groups:
        found.append(registry.find("chords", CHORDS))
    return found
