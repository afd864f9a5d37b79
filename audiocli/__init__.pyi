"""Types of the public names, which ``__init__.py`` loads when they are first used."""

from audiocli.api import (
    BeatResult,
    ChordResult,
    ClassResult,
    FeatureResult,
    NoteResult,
    OnsetResult,
    StemResult,
    beats,
    chords,
    classify,
    features,
    notes,
    onsets,
    separate,
    tag,
)
from audiocli.batch.merging import merge_files
from audiocli.demo import compose as demo_song
from audiocli.demo import write_demo
from audiocli.errors import AudioCliError
from audiocli.io.audio import read
from audiocli.nn.installing import install as install_model
from audiocli.nn.registry import find as find_model
from audiocli.nn.registry import list_models
from audiocli.pipelines.analyze.analyzer import LibraryAnalyzer
from audiocli.pipelines.analyze.files import AnalyzeRequest, analyze_files
from audiocli.pipelines.notes import transcribe_files
from audiocli.pipelines.report.files import (
    ReportRequest,
    report_files,
)
from audiocli.tasks.beats import BeatRequest, BeatTracker, track_file, track_files
from audiocli.tasks.beats.evaluation import evaluate as evaluate_beats
from audiocli.tasks.beats.training import train as train_beats
from audiocli.tasks.checkup import checkup
from audiocli.tasks.chords import ChordRecognizer, ChordRequest, recognize_file, recognize_files
from audiocli.tasks.chords.evaluation import evaluate as evaluate_chords
from audiocli.tasks.chords.training import train as train_chords
from audiocli.tasks.classify.classifier import Classifier, Encoder
from audiocli.tasks.classify.comparing import compare_files
from audiocli.tasks.classify.evaluation import evaluate as evaluate_classes
from audiocli.tasks.classify.evaluation import verify as evaluate_encoder
from audiocli.tasks.classify.files import ClassifyRequest, classify_files, find_models
from audiocli.tasks.classify.heads import train as train_head
from audiocli.tasks.classify.training import train as train_classes
from audiocli.tasks.data_sources import (
    local_data,
)
from audiocli.tasks.features import Extractor as FeatureExtractor
from audiocli.tasks.features.evaluation import evaluate as evaluate_features
from audiocli.tasks.features.files import FeatureRequest
from audiocli.tasks.features.files import extract_files as extract_features
from audiocli.tasks.features.learned import Basis as FeatureBasis
from audiocli.tasks.features.learned import Embedder as FeatureEmbedder
from audiocli.tasks.features.training import train as train_features
from audiocli.tasks.notes import NoteRequest, NoteTranscriber, transcribe_file
from audiocli.tasks.notes.evaluation import evaluate as evaluate_notes
from audiocli.tasks.onsets import (
    OnlineDetector,
    OnsetDetector,
    OnsetRequest,
    detect_file,
    detect_files,
)
from audiocli.tasks.onsets.evaluation import evaluate as evaluate_onsets
from audiocli.tasks.onsets.training import train as train_onsets
from audiocli.tasks.runner import BatchOptions
from audiocli.tasks.separate import SeparationExports as SeparationExports
from audiocli.tasks.separate import SeparationRequest, Separator, separate_file, separate_files
from audiocli.tasks.separate.evaluation import evaluate as evaluate_separation
from audiocli.tasks.separate.training import train as train_separation

__version__: str

__all__ = [
    "__version__",
    "AnalyzeRequest",
    "AudioCliError",
    "BatchOptions",
    "BeatRequest",
    "BeatResult",
    "BeatTracker",
    "ChordRecognizer",
    "ChordRequest",
    "ChordResult",
    "ClassResult",
    "Classifier",
    "ClassifyRequest",
    "Encoder",
    "FeatureBasis",
    "FeatureEmbedder",
    "FeatureExtractor",
    "FeatureRequest",
    "FeatureResult",
    "LibraryAnalyzer",
    "NoteRequest",
    "NoteResult",
    "NoteTranscriber",
    "OnlineDetector",
    "OnsetDetector",
    "OnsetRequest",
    "OnsetResult",
    "ReportRequest",
    "SeparationExports",
    "SeparationRequest",
    "Separator",
    "StemResult",
    "analyze_files",
    "beats",
    "checkup",
    "chords",
    "classify",
    "classify_files",
    "compare_files",
    "demo_song",
    "detect_file",
    "detect_files",
    "evaluate_beats",
    "evaluate_chords",
    "evaluate_classes",
    "evaluate_encoder",
    "evaluate_features",
    "evaluate_notes",
    "evaluate_onsets",
    "evaluate_separation",
    "extract_features",
    "features",
    "find_model",
    "find_models",
    "install_model",
    "list_models",
    "local_data",
    "merge_files",
    "notes",
    "onsets",
    "read",
    "recognize_file",
    "recognize_files",
    "report_files",
    "separate",
    "separate_file",
    "separate_files",
    "tag",
    "track_file",
    "track_files",
    "train_beats",
    "train_chords",
    "train_classes",
    "train_features",
    "train_head",
    "train_onsets",
    "train_separation",
    "transcribe_file",
    "transcribe_files",
    "write_demo",
]
