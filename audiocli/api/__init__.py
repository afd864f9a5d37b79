"""One call a command, on a path or an array, with results to look at in a notebook.

Each call takes a file's path, or an array with its sample rate, and gives a result with
``to_frame()`` (pandas), ``save(path)`` (the formats of the command), ``plot()`` (matplotlib) and a
player where a notebook shows it. Models are loaded once and kept.

For folders, processes and resuming use the ``..._files`` functions; for long streams in constant
memory the classes, such as :class:`audiocli.OnsetDetector`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from audiocli.api.results import (
    BeatResult,
    ChordResult,
    ClassResult,
    FeatureResult,
    NoteResult,
    OnsetResult,
    StemResult,
)
from audiocli.api.sources import Source
from audiocli.tasks.beat_tracker import BeatTracker
from audiocli.tasks.chords.recognizer import ChordRecognizer
from audiocli.tasks.classify.classifier import Classifier
from audiocli.tasks.classify.files import ClassifyRequest, find_models
from audiocli.tasks.classify.results import describe, name_of
from audiocli.tasks.features.files import describer, layout_of
from audiocli.tasks.notes.transcriber import NoteTranscriber
from audiocli.tasks.onsets.detector import OnsetDetector
from audiocli.tasks.separate.separator import Separator

__all__ = [
    "BeatResult",
    "ChordResult",
    "ClassResult",
    "FeatureResult",
    "NoteResult",
    "OnsetResult",
    "StemResult",
    "beats",
    "chords",
    "classify",
    "features",
    "notes",
    "onsets",
    "separate",
    "tag",
]

#: Loaded models of a kind that are kept.
KEPT = 4

_separator = lru_cache(KEPT)(Separator)
_detector = lru_cache(KEPT)(OnsetDetector)
_tracker = lru_cache(KEPT)(BeatTracker)
_transcriber = lru_cache(KEPT)(NoteTranscriber)
_recognizer = lru_cache(KEPT)(ChordRecognizer)


@lru_cache(KEPT)
def _classifier(
    models: tuple[tuple[str, str], ...], segment: float | None, device: str
) -> Classifier:
    """Load models, given by task and folder."""
    tasks = {task for task, _ in models}
    task = tasks.pop() if len(tasks) == 1 else None
    return Classifier(task, [folder for _, folder in models], segment=segment, device=device)


def separate(
    audio: Any,
    sample_rate: float | None = None,
    *,
    model: str = "stereo-drnn",
    device: str = "auto",
) -> StemResult:
    """Separate vocals and accompaniment.

    Parameters
    ----------
    audio : path or array_like, shape (channels, samples) or (samples,)
        A file, or a signal with full scale at 1.0.
    sample_rate : float, optional
        In Hz; of a signal, not of a file.
    model : str
        A name that ``audiocli models list`` shows, or a model folder.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Returns
    -------
    StemResult
        Stems (channels, samples) by name, which add up to the mixture. All of it is in memory:
        use :func:`audiocli.separate_file` for hours.

    Raises
    ------
    AudioCliError
        If there is no such file or model, or the audio cannot be read.

    References
    ----------
    Huang, Kim, Hasegawa-Johnson, Smaragdis: Singing-voice separation from monaural recordings
    using deep recurrent neural networks. ISMIR 2014.

    Examples
    --------
    >>> import audiocli
    >>> song = audiocli.demo_song().mixture[:, :44100] / 32768
    >>> stems = separate(song, 44100)
    >>> stems["vocals"].shape
    (2, 44100)
    """
    source = Source.of(audio, sample_rate)
    signal, rate = source.load()
    return StemResult(source, _separator(model, device=device)(signal, rate), rate)


def onsets(
    audio: Any,
    sample_rate: float | None = None,
    *,
    threshold: float | None = None,
    min_gap: float | None = None,
    backtrack: bool = False,
    model: str = "crnn",
    device: str = "auto",
) -> OnsetResult:
    """Detect note onsets.

    Parameters
    ----------
    audio, sample_rate, device
        As in :func:`separate`.
    threshold : float, optional
        Least activation of an onset, 0 to 1; by default the model's own.
    min_gap : float, optional
        In seconds; onsets that follow each other faster are one.
    backtrack : bool
        Move each onset to where the level is lowest before it.
    model : str
        ``crnn``, ``blstm`` (Eyben et al. 2010), ``online``, or a model folder.

    Returns
    -------
    OnsetResult
        ``times`` in seconds.

    Raises
    ------
    AudioCliError
        If there is no such file or model, or the audio cannot be read.

    References
    ----------
    Eyben, Boeck, Schuller, Graves: Universal onset detection with bidirectional long short-term
    memory neural networks. ISMIR 2010.

    Examples
    --------
    >>> time = np.arange(44100) / 44100
    >>> found = onsets(np.where(time < 0.5, 0, 0.5 * np.sin(2 * np.pi * 440 * time)), 44100)
    >>> len(found), bool(abs(found.times[0] - 0.5) < 0.02)
    (1, True)
    """
    source = Source.of(audio, sample_rate)
    detector = _detector(model, device=device, threshold=threshold, min_gap=min_gap)
    with source.blocks() as (blocks, rate):
        found = detector.stream(blocks, rate, backtrack=backtrack)
    return OnsetResult(source, found, detector.entry.name)


def beats(
    audio: Any,
    sample_rate: float | None = None,
    *,
    meters: tuple[int, ...] | None = None,
    tempo_range: tuple[float, float] | None = None,
    model: str = "tcn",
    device: str = "auto",
) -> BeatResult:
    """Track beats, downbeats and the tempo.

    Parameters
    ----------
    audio, sample_rate, model, device
        As in :func:`separate`.
    meters : tuple of int, optional
        Beats a bar that may be; by default the model's own, 3 and 4.
    tempo_range : tuple of float, optional
        Slowest and fastest tempo, in beats a minute.

    Returns
    -------
    BeatResult
        ``times`` and ``downbeats`` in seconds, and ``tempo``.

    Raises
    ------
    AudioCliError
        If there is no such file or model, or the audio cannot be read.

    References
    ----------
    Krebs, Boeck, Widmer: An efficient state-space model for joint tempo and meter tracking.
    ISMIR 2015.

    Examples
    --------
    >>> beats(np.zeros(44100), 44100).tempo.bpm is None
    True
    """
    source = Source.of(audio, sample_rate)
    tracker = _tracker(model, device=device, meters=meters, tempo_range=tempo_range)
    with source.blocks() as (blocks, rate):
        found = tracker.stream(blocks, rate)
    return BeatResult(source, found, tracker.entry.name)


def notes(
    audio: Any,
    sample_rate: float | None = None,
    *,
    fmin: float = 55.0,
    fmax: float = 2100.0,
    model: str = "crnn",
    device: str = "auto",
) -> NoteResult:
    """Transcribe a melody of one voice.

    Parameters
    ----------
    audio, sample_rate, device
        As in :func:`separate`. Of a song, take the vocals: ``separate(song)["vocals"]``.
    fmin, fmax : float
        Lowest and highest pitch, in Hz.
    model : str
        A model that detects onsets.

    Returns
    -------
    NoteResult
        Notes with start and end in seconds and MIDI pitch with cents.

    Raises
    ------
    AudioCliError
        If there is no such file or model, or the audio cannot be read.

    References
    ----------
    Mauch et al.: Computer-aided melody note transcription using the Tony software: accuracy and
    efficiency. TENOR 2015.

    Examples
    --------
    >>> time = np.arange(22050) / 22050
    >>> notes(np.sin(2 * np.pi * 220 * time) * (time > 0.3) / 2, 22050).melody.pitches.round(1)
    array([57.])
    """
    source = Source.of(audio, sample_rate)
    transcriber = _transcriber(model, device=device, fmin=fmin, fmax=fmax)
    with source.blocks() as (blocks, rate):
        found = transcriber.stream(blocks, rate)
    return NoteResult(source, found, transcriber.entry.name)


def chords(
    audio: Any,
    sample_rate: float | None = None,
    *,
    vocabulary: str | None = None,
    simplify: bool = False,
    transpose: int = 0,
    model: str = "crnn",
    device: str = "auto",
) -> ChordResult:
    """Recognise chords and the key.

    Parameters
    ----------
    audio, sample_rate, model, device
        As in :func:`separate`.
    vocabulary : str, optional
        As ``audiocli chords --vocabulary``.
    simplify : bool
        Major and minor triads only.
    transpose : int
        Move all chords by so many semitones.

    Returns
    -------
    ChordResult
        Segments with labels in Harte's syntax, and ``key``.

    Raises
    ------
    AudioCliError
        If there is no such file or model, or the audio cannot be read.

    Examples
    --------
    >>> time = np.arange(2 * 22050) / 22050
    >>> notes = [np.sin(2 * np.pi * hz * time) for hz in (220.0, 261.63, 329.63)]
    >>> chords(0.2 * np.sum(notes, axis=0), 22050).key
    'A minor'
    """
    source = Source.of(audio, sample_rate)
    recognizer = _recognizer(model, device=device, vocabulary=vocabulary)
    with source.blocks() as (blocks, rate):
        found = recognizer.stream(blocks, rate)
    found = found.transposed(transpose) if transpose else found
    return ChordResult(source, found.simplified() if simplify else found, recognizer.entry.name)


def features(
    audio: Any,
    sample_rate: float | None = None,
    *,
    names: Sequence[str] = ("common",),
    statistics: Sequence[str] = ("mean", "std"),
    frames: bool = False,
) -> FeatureResult:
    """Extract features.

    Parameters
    ----------
    audio, sample_rate
        As in :func:`separate`.
    names : sequence of str
        Features and sets of them, as ``audiocli features --list`` shows.
    statistics : sequence of str
        Of the frames.
    frames : bool
        A row for each frame, in place of one for the recording.

    Returns
    -------
    FeatureResult
        A row, or a row a frame; NaN where a feature is not defined.

    Raises
    ------
    AudioCliError
        If there is no such file or feature, or the audio cannot be read.

    Examples
    --------
    >>> sine = np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100)
    >>> round(features(sine, 44100, names=["rms"])["rms_mean"], 1)
    0.7
    """
    source = Source.of(audio, sample_rate)
    extractor = describer(tuple(names), None, tuple(statistics))()
    layout = layout_of(extractor, frames=frames)
    with source.blocks() as (blocks, rate):
        if frames:
            values = np.concatenate(list(extractor.frames(blocks, rate)))
        else:
            row = extractor.summary(blocks, rate)
            values = np.array([[row[name] for name in layout.columns]])
    return FeatureResult(source, values, layout)


def classify(
    audio: Any,
    sample_rate: float | None = None,
    *,
    task: str | Sequence[str] = "content",
    top: int | None = None,
    segment: float | None = None,
    device: str = "auto",
) -> ClassResult:
    """Classify a recording.

    Parameters
    ----------
    audio, sample_rate, device
        As in :func:`separate`.
    task : str or sequence of str
        As ``audiocli classify --task``: ``genre``, ``mood``, ``instrument``, ``event`` and others.
    top : int, optional
        So many labels of each model; by default all, the likeliest first.
    segment : float, optional
        In seconds; an answer for each segment of this length, in place of one for the whole.

    Returns
    -------
    ClassResult
        Labels with probabilities; ``best`` is the likeliest of each model.

    Raises
    ------
    AudioCliError
        If there is no such file or task, or the audio cannot be read.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = classify(rng.normal(scale=0.1, size=16000), 16000, task="content", top=1)
    >>> len(found)
    1
    """
    tasks = (task,) if isinstance(task, str) else tuple(task)
    return _answer(audio, sample_rate, tasks, (), top, None, segment, device)


def tag(
    audio: Any,
    sample_rate: float | None = None,
    *,
    threshold: float | None = None,
    top: int | None = None,
    segment: float | None = None,
    model: str = "music",
    device: str = "auto",
) -> ClassResult:
    """Tag music: any number of labels, each with its own probability.

    Parameters
    ----------
    audio, sample_rate, top, segment, device
        As in :func:`classify`.
    threshold : float, optional
        Least probability of a tag, 0 to 1; by default all tags are given.
    model : str
        A name that ``audiocli models list --task tag`` shows, or a model folder.

    Returns
    -------
    ClassResult
        Tags with probabilities, the likeliest first.

    Raises
    ------
    AudioCliError
        If there is no such file or model, or the audio cannot be read.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> len(tag(rng.normal(scale=0.1, size=4 * 16000), 16000, top=3))
    3
    """
    return _answer(audio, sample_rate, (), (model,), top, threshold, segment, device)


def _answer(
    audio: Any,
    sample_rate: float | None,
    tasks: tuple[str, ...],
    tags: tuple[str, ...],
    top: int | None,
    threshold: float | None,
    segment: float | None,
    device: str,
) -> ClassResult:
    source = Source.of(audio, sample_rate)
    entries = tuple(find_models(tasks, (), tags))
    request = ClassifyRequest(
        "csv", top=top, threshold=threshold, segment=segment, entries=entries, device=device
    )
    names = tuple((entry.task, str(entry.folder)) for entry in entries)
    classifier = _classifier(names, segment, device)
    with source.blocks() as (blocks, rate):
        tracks = classifier.stream(blocks, rate)
    meanings = {
        name_of(track): entry.config.get("descriptions") or {}
        for track, entry in zip(tracks, entries, strict=True)
    }
    warnings = list(dict.fromkeys(t for track in tracks for t in classifier.warnings(track)))
    found = describe(tracks, request, source.name, meanings=meanings, warnings=warnings)
    return ClassResult(source, found)
