"""audiocli: audio analysis on the command line and from Python.

What a command does, one call does; the names below are loaded when first used
(PEP 562), so that ``import audiocli`` costs nothing.

Examples
--------
>>> import audiocli
>>> separator = audiocli.Separator()
>>> song = audiocli.demo_song().mixture[:, :88200].astype("float32") / 32768
>>> stems = separator(song, sample_rate=44100)
>>> stems["vocals"].shape
(2, 88200)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: Public name: the module that holds it, and what it is called there.
_PUBLIC = {
    "AnalyzeRequest": ("audiocli.pipelines.analyze.files", "AnalyzeRequest"),
    "AudioCliError": ("audiocli.errors", "AudioCliError"),
    "BatchOptions": ("audiocli.tasks.runner", "BatchOptions"),
    "BeatRequest": ("audiocli.tasks.beats", "BeatRequest"),
    "BeatResult": ("audiocli.api", "BeatResult"),
    "BeatTracker": ("audiocli.tasks.beats", "BeatTracker"),
    "ChordRecognizer": ("audiocli.tasks.chords", "ChordRecognizer"),
    "ChordRequest": ("audiocli.tasks.chords", "ChordRequest"),
    "ChordResult": ("audiocli.api", "ChordResult"),
    "ClassResult": ("audiocli.api", "ClassResult"),
    "Classifier": ("audiocli.tasks.classify.classifier", "Classifier"),
    "ClassifyRequest": ("audiocli.tasks.classify.files", "ClassifyRequest"),
    "Encoder": ("audiocli.tasks.classify.classifier", "Encoder"),
    "FeatureBasis": ("audiocli.tasks.features.learned", "Basis"),
    "FeatureEmbedder": ("audiocli.tasks.features.learned", "Embedder"),
    "FeatureExtractor": ("audiocli.tasks.features", "Extractor"),
    "FeatureRequest": ("audiocli.tasks.features.files", "FeatureRequest"),
    "FeatureResult": ("audiocli.api", "FeatureResult"),
    "LibraryAnalyzer": ("audiocli.pipelines.analyze.analyzer", "LibraryAnalyzer"),
    "NoteRequest": ("audiocli.tasks.notes", "NoteRequest"),
    "NoteResult": ("audiocli.api", "NoteResult"),
    "NoteTranscriber": ("audiocli.tasks.notes", "NoteTranscriber"),
    "OnlineDetector": ("audiocli.tasks.onsets", "OnlineDetector"),
    "OnsetDetector": ("audiocli.tasks.onsets", "OnsetDetector"),
    "OnsetRequest": ("audiocli.tasks.onsets", "OnsetRequest"),
    "OnsetResult": ("audiocli.api", "OnsetResult"),
    "ReportRequest": ("audiocli.pipelines.report.files", "ReportRequest"),
    "SeparationExports": ("audiocli.tasks.separate", "SeparationExports"),
    "SeparationRequest": ("audiocli.tasks.separate", "SeparationRequest"),
    "Separator": ("audiocli.tasks.separate", "Separator"),
    "StemResult": ("audiocli.api", "StemResult"),
    "analyze_files": ("audiocli.pipelines.analyze.files", "analyze_files"),
    "beats": ("audiocli.api", "beats"),
    "checkup": ("audiocli.tasks.checkup", "checkup"),
    "chords": ("audiocli.api", "chords"),
    "classify": ("audiocli.api", "classify"),
    "classify_files": ("audiocli.tasks.classify.files", "classify_files"),
    "compare_files": ("audiocli.tasks.classify.comparing", "compare_files"),
    "demo_song": ("audiocli.demo", "compose"),
    "detect_file": ("audiocli.tasks.onsets", "detect_file"),
    "detect_files": ("audiocli.tasks.onsets", "detect_files"),
    "evaluate_beats": ("audiocli.tasks.beats.evaluation", "evaluate"),
    "evaluate_chords": ("audiocli.tasks.chords.evaluation", "evaluate"),
    "evaluate_classes": ("audiocli.tasks.classify.evaluation", "evaluate"),
    "evaluate_encoder": ("audiocli.tasks.classify.evaluation", "verify"),
    "evaluate_features": ("audiocli.tasks.features.evaluation", "evaluate"),
    "evaluate_notes": ("audiocli.tasks.notes.evaluation", "evaluate"),
    "evaluate_onsets": ("audiocli.tasks.onsets.evaluation", "evaluate"),
    "evaluate_separation": ("audiocli.tasks.separate.evaluation", "evaluate"),
    "extract_features": ("audiocli.tasks.features.files", "extract_files"),
    "features": ("audiocli.api", "features"),
    "find_model": ("audiocli.nn.registry", "find"),
    "find_models": ("audiocli.tasks.classify.files", "find_models"),
    "install_model": ("audiocli.nn.installing", "install"),
    "list_models": ("audiocli.nn.registry", "list_models"),
    "local_data": ("audiocli.tasks.data_sources", "local_data"),
    "merge_files": ("audiocli.batch.merging", "merge_files"),
    "notes": ("audiocli.api", "notes"),
    "onsets": ("audiocli.api", "onsets"),
    "read": ("audiocli.io.audio", "read"),
    "recognize_file": ("audiocli.tasks.chords", "recognize_file"),
    "recognize_files": ("audiocli.tasks.chords", "recognize_files"),
    "report_files": ("audiocli.pipelines.report.files", "report_files"),
    "separate": ("audiocli.api", "separate"),
    "separate_file": ("audiocli.tasks.separate", "separate_file"),
    "separate_files": ("audiocli.tasks.separate", "separate_files"),
    "tag": ("audiocli.api", "tag"),
    "track_file": ("audiocli.tasks.beats", "track_file"),
    "track_files": ("audiocli.tasks.beats", "track_files"),
    "train_beats": ("audiocli.tasks.beats.training", "train"),
    "train_chords": ("audiocli.tasks.chords.training", "train"),
    "train_classes": ("audiocli.tasks.classify.training", "train"),
    "train_features": ("audiocli.tasks.features.training", "train"),
    "train_head": ("audiocli.tasks.classify.heads", "train"),
    "train_onsets": ("audiocli.tasks.onsets.training", "train"),
    "train_separation": ("audiocli.tasks.separate.training", "train"),
    "transcribe_file": ("audiocli.tasks.notes", "transcribe_file"),
    "transcribe_files": ("audiocli.pipelines.notes", "transcribe_files"),
    "write_demo": ("audiocli.demo", "write_demo"),
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'audiocli' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
