"""Score separation on clips whose sources are known.

The protocol of Huang et al. (ISMIR 2014): each source is scaled to unit energy, their sum
is the mixture (0 dB), and BSS Eval compares what the network makes of it with the sources.
NSDR is the SDR of an estimate minus that of the mixture in its place; GNSDR, GSIR and GSAR
are means over the clips weighted by their lengths. Version 3 of BSS Eval (a filter of 512
taps is no distortion) is the column that the literature of MIR-1K reports; version 2
allows a gain only.

References
----------
Vincent, Gribonval, Févotte: Performance measurement in blind audio source
separation. IEEE TASLP 14(4), 2006.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from audiocli.batch import Callbacks, Progress
from audiocli.batch.inputs import Input, Job
from audiocli.errors import DataError, ModelError
from audiocli.nn import registry
from audiocli.nn.frontend import Stft, StftConfig
from audiocli.nn.masking import MaskingNetwork
from audiocli.tasks.evaluation import Evaluation, Measured, evaluate_jobs, record_measures
from audiocli.tasks.separate.bss_eval import FILTER_LENGTH, bss_eval, weighted_mean
from audiocli.tasks.separate.clips import PARTS, SOURCES, Clip, find_clips, unit_power
from audiocli.tasks.separate.separator import Separator
from audiocli.tasks.separate.tta import spread

__all__ = [
    "SYSTEMS",
    "ClipScore",
    "Total",
    "band_pass",
    "evaluate",
    "evaluate_clip",
    "oracle_masks",
    "record_scores",
    "totals",
]

#: The rows: the network, two baselines, and what no mask can surpass by much.
SYSTEMS = ("network", "mixture", "band-pass", "ideal ratio mask", "Wiener-like mask")
VERSIONS = {3: FILTER_LENGTH, 2: 1}
#: Hz between which most of a voice lies.
VOICE_BAND = (200.0, 5000.0)
#: Seconds of a long clip that are scored at once, and the share of a source's mean power below
#: which it is silent in them.
SEGMENT, SILENT = 30.0, 1e-3

Sources = NDArray[np.float32]


@dataclass(frozen=True)
class ClipScore:
    """How well one system separated one source of one clip.

    Parameters
    ----------
    clip : str
        The clip's name.
    seconds : float
        Its length.
    system : str
        One of ``SYSTEMS``.
    source : str
        ``vocals`` or ``accompaniment``; of stems, ``vocals``, ``drums``, ``bass`` or ``other``.
    version : int
        Of BSS Eval, 3 or 2.
    nsdr, sdr, sir, sar : float
        In dB.

    Examples
    --------
    >>> ClipScore("a", 8.0, "mixture", "vocals", 3, 0.0, 0.1, 0.1, 200.0).nsdr
    0.0
    """

    clip: str
    seconds: float
    system: str
    source: str
    version: int
    nsdr: float
    sdr: float
    sir: float
    sar: float


@dataclass(frozen=True)
class Total:
    """A system's scores over all clips, weighted by their lengths.

    Parameters
    ----------
    system, source, version
        As in :class:`ClipScore`.
    clips : int
        How many.
    gnsdr, gsir, gsar : float
        In dB.

    Examples
    --------
    >>> Total("mixture", "vocals", 3, 10, 0.0, 0.1, 200.0).gnsdr
    0.0
    """

    system: str
    source: str
    version: int
    clips: int
    gnsdr: float
    gsir: float
    gsar: float


def oracle_masks(sources: Sources, stft: Stft) -> dict[str, Sources]:
    """Separate by masks that are computed from the sources themselves, (2, ..., samples)."""
    spectra = stft(torch.from_numpy(sources))
    mixture = spectra.sum(dim=0)
    oracles = {}
    for name, power in (("ideal ratio mask", 1), ("Wiener-like mask", 2)):
        magnitudes = spectra.abs() ** power + 1e-12
        masked = magnitudes / magnitudes.sum(dim=0) * mixture
        oracles[name] = stft.inverse(masked, sources.shape[-1]).numpy()
    return oracles


def band_pass(mixture: Sources, sample_rate: int) -> Sources:
    """Separate by frequency alone, into (2, ..., samples): what a network must surpass."""
    low, high = (min(edge, 0.49 * sample_rate) for edge in VOICE_BAND)
    spectrum = np.fft.rfft(mixture)
    frequencies = np.fft.rfftfreq(mixture.shape[-1], 1 / sample_rate)
    inside = (frequencies >= low) & (frequencies <= high)
    voice = np.fft.irfft(spectrum * inside, mixture.shape[-1]).astype(np.float32)
    return np.stack([voice, mixture - voice])


def evaluate_clip(
    clip: Clip,
    separator: Separator,
    *,
    equal_levels: bool = True,
    oracles: bool = True,
    stems: bool = False,
) -> list[ClipScore]:
    """Separate a clip and score the result beside the references.

    A long clip is separated as a whole and scored in segments of 30 s; segments in which
    a source is silent, whose ratios are not defined, are left out. With ``stems`` each stem of
    the model is a source by itself, where the clip has a file of it.
    """
    names = _scored_stems(clip, separator) if stems else SOURCES
    sources, rate = clip.load_parts() if stems else clip.load()
    flat = sources.reshape(len(sources), -1)
    equal = unit_power(flat, name=clip.name, stems=names)  # refuses silence: ratios of it are not
    if equal_levels:
        sources = equal.reshape(sources.shape)
    mixture = sources.sum(axis=0)
    estimated = separator(mixture, rate)
    estimated |= {} if stems else {"accompaniment": mixture - estimated["vocals"]}
    systems = {
        "network": np.stack([estimated[name] for name in names]),
        "mixture": np.stack([mixture] * len(names)),
    }
    if not stems:
        systems["band-pass"] = band_pass(mixture, rate)
    if oracles:
        systems |= oracle_masks(sources, Stft(_transform(separator, rate)))
    scores = _in_segments(clip.name, names, sources, systems, rate)
    if not scores:
        raise DataError(f"{clip.name}: its sources never sound together; nothing can be scored")
    return scores


def _scored_stems(clip: Clip, separator: Separator) -> tuple[str, ...]:
    """Name the stems of a clip, which the model must have too."""
    if len(clip.stems) == 1:
        raise DataError(
            f"{clip.name}: its accompaniment is in one piece; to score stems, give a folder with "
            f"vocals and any of {', '.join(PARTS)}"
        )
    missing = [stem for stem in clip.stems if stem not in separator.stems]
    if missing:
        raise ModelError(
            f"{separator.entry.name}: does not separate {missing[0]}; its stems are "
            f"{', '.join(separator.stems)}"
        )
    return clip.stems


def _in_segments(
    name: str, names: Sequence[str], sources: Sources, systems: Mapping[str, Sources], rate: int
) -> list[ClipScore]:
    """Score segments in which all sources sound; all signals are (sources, channels, samples)."""
    loud = np.square(sources).mean(axis=(1, 2))
    longest = round(SEGMENT * rate)
    scores: list[ClipScore] = []
    for start in range(0, sources.shape[-1], longest):
        part = sources[..., start : start + longest]
        if (np.square(part).mean(axis=(1, 2)) < SILENT * loud).any():
            continue
        where = name if sources.shape[-1] <= longest else f"{name} {start // rate} s"
        estimates = {
            system: estimate[..., start : start + longest].reshape(len(names), -1)
            for system, estimate in systems.items()
        }
        flat = part.reshape(len(names), -1)
        scores += _scored(where, names, flat, estimates, part.shape[-1] / rate)
    return scores


def _transform(separator: Separator, rate: int) -> StftConfig:
    """Choose the transform in which oracles mask: the network's own, where it has one."""
    network = separator.network
    if isinstance(network, MaskingNetwork) and rate == network.sample_rate:
        return network.stft.config
    half = round(0.032 * rate)
    return StftConfig(sample_rate=rate, n_fft=2 * half, hop_length=half)


def _scored(
    name: str,
    names: Sequence[str],
    sources: Sources,
    systems: Mapping[str, Sources],
    seconds: float,
) -> list[ClipScore]:
    """Score what each system made of a segment, all of shape (sources, samples)."""
    stacked = np.stack(list(systems.values()))
    scores = []
    for version, taps in VERSIONS.items():
        result = bss_eval(sources, stacked, filter_length=taps)
        mixed = list(systems).index("mixture")
        nsdr = result.sdr - result.sdr[mixed]
        result.sar[mixed] = np.inf  # nothing was added to it; what is left is rounding
        for i, system in enumerate(systems):
            for j, stem in enumerate(names):
                ratios = (nsdr[i, j], result.sdr[i, j], result.sir[i, j], result.sar[i, j])
                scores.append(ClipScore(name, seconds, system, stem, version, *map(float, ratios)))
    return scores


def totals(scores: Sequence[ClipScore]) -> list[Total]:
    """Sum up the scores of many clips."""
    groups: dict[tuple[int, str, str], list[ClipScore]] = {}
    for score in scores:
        groups.setdefault((score.version, score.source, score.system), []).append(score)
    names = (*SOURCES, *PARTS)
    order = sorted(groups, key=lambda key: (-key[0], names.index(key[1]), SYSTEMS.index(key[2])))
    rows = []
    for version, source, system in order:
        group = groups[version, source, system]
        ratios = [(score.nsdr, score.sir, score.sar) for score in group]
        means = weighted_mean(ratios, [score.seconds for score in group])
        rows.append(Total(system, source, version, len(group), *map(float, means)))
    return rows


@dataclass(frozen=True)
class _MakeScorer:
    """Makes what evaluates a clip; pickled to worker processes."""

    clips: Mapping[str, Clip]
    model: str
    device: str
    equal_levels: bool
    oracles: bool
    stems: bool
    tta_pitches: int | None

    def __call__(self) -> Callable[[Job, Progress], tuple[float, list[ClipScore]]]:
        separator = Separator(self.model, device=self.device, tta_pitches=self.tta_pitches)

        def work(job: Job, progress: Progress) -> tuple[float, list[ClipScore]]:
            scores = evaluate_clip(
                self.clips[job.input.name],
                separator,
                equal_levels=self.equal_levels,
                oracles=self.oracles,
                stems=self.stems,
            )
            return sum({score.clip: score.seconds for score in scores}.values()), scores

        return work


def evaluate(
    folder: Path,
    model: str,
    *,
    equal_levels: bool = True,
    every: int = 1,
    oracles: bool = True,
    stems: bool = False,
    tta_pitches: int | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    callbacks: Callbacks | None = None,
) -> Evaluation[ClipScore, list[Total]]:
    """Score a model on a folder of clips.

    Parameters
    ----------
    model, n_jobs, device, callbacks
        As in :func:`audiocli.evaluate_onsets`.
    folder : Path
        Clips as :func:`audiocli.tasks.separate.clips.find_clips` finds them.
    equal_levels, oracles, stems
        As in :func:`evaluate_clip`.
    every : int
        Take each so-manyth clip only: a quick look at a large set.
    tta_pitches : int, optional
        As in :class:`audiocli.tasks.separate.separator.Separator`.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If there are no clips.
    ModelError
        If the model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> noise = np.random.default_rng(0).normal(scale=0.1, size=(16000, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/noise.wav", noise, 16000)
    ...     scores = evaluate(Path(folder), "drnn-mir1k", oracles=False)
    >>> scores.total[0].system, scores.total[0].version
    ('network', 3)
    """
    spread(tta_pitches)  # refuse what cannot be before any work
    clips = {clip.name: clip for clip in find_clips(folder)[::every]}
    jobs = [Job(Input(folder / name, name, Path(name)), ()) for name in clips]
    make_scorer = _MakeScorer(clips, model, device, equal_levels, oracles, stems, tta_pitches)
    found = evaluate_jobs(jobs, make_scorer, _flat, n_jobs=n_jobs, callbacks=callbacks)
    scores = found.total or []
    return Evaluation(scores, totals(scores) if scores else None, found.summary)


def _flat(scores: Sequence[list[ClipScore]]) -> list[ClipScore]:
    return [score for clip in scores for score in clip]


def record_scores(model: str, scores: Sequence[Total], data: str) -> None:
    """Write the totals of the network into its model folder, configuration and card."""
    ours = [total for total in scores if total.system == "network"]
    measures = [
        Measured(f"{total.source} {metric.upper()}", round(getattr(total, metric), 2), "dB",
                 f"BSS Eval {total.version}")
        for total in ours
        for metric in ("gnsdr", "gsir", "gsar")
    ]  # fmt: skip
    entry = registry.find("separate", model)
    record_measures(entry, measures, f"{data}; number of clips: {ours[0].clips}")
