"""BSS Eval: how well estimated sources match the true ones, as SDR, SIR and SAR in dB.

An estimate is taken apart into what a short filter can make of its own source, what
such filters can add to that from the other sources (interference), and the rest
(artifacts). SDR compares the first with the sum of the other two, SIR with the
interference, and SAR compares the first two with the artifacts. With filters of 512
taps these are the `bss_eval_sources` of BSS Eval version 3, without its search for
the best permutation; with a single tap, a mere gain, those of version 2.

It is implemented here because mir_eval's `separation` module is deprecated and will be
removed in mir_eval 0.9, and fast_bss_eval has had no release since 2022.

Two things differ from mir_eval. First, all estimates share the Gram matrix of the
references and its factorization, and energies are summed over spectra, which needs no
inverse transform: that is where the speed comes from. Second, each reference is scaled to
unit energy and has a noise floor some 120 dB below it. References that leave part of the
spectrum empty, as lossy coding does, make the Gram matrix singular to working precision,
and a plain solver can then be wrong by several dB without a sign of it. The floor lets
no score of a filtered source exceed some 220 dB.

References
----------
E. Vincent, R. Gribonval and C. Févotte, "Performance measurement in blind audio source
separation", IEEE Trans. Audio, Speech and Language Processing 14(4), 1462-1469, 2006.

C. Févotte, R. Gribonval and E. Vincent, "BSS_EVAL toolbox user guide, revision 2.0",
IRISA technical report 1706, 2005.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from audiocli.errors import DataError

__all__ = ["FILTER_LENGTH", "BssEval", "bss_eval", "weighted_mean"]

FILTER_LENGTH = 512  # taps; that of BSS Eval version 3 whatever the sample rate
NOISE_FLOOR = 1e-15  # of the trace of the Gram matrix: above rounding, which is near 1e-16

Factor = tuple[NDArray[np.float64], bool]  # as scipy.linalg.cho_factor returns it


# two results are not compared as a whole: == on arrays has no one answer
@dataclass(frozen=True, eq=False)
class BssEval:
    """The three ratios of BSS Eval, in dB; more is better.

    Parameters
    ----------
    sdr : ndarray of shape (..., sources), float64
        Source to distortion ratio: over interference and artifacts together.
    sir : ndarray of shape (..., sources), float64
        Source to interference ratio: over what the other sources left.
    sar : ndarray of shape (..., sources), float64
        Sources to artifacts ratio: over what no filtering of the sources explains.
    """

    sdr: NDArray[np.float64]
    sir: NDArray[np.float64]
    sar: NDArray[np.float64]


def bss_eval(
    references: ArrayLike, estimates: ArrayLike, *, filter_length: int = FILTER_LENGTH
) -> BssEval:
    """Score estimated sources against the true ones; estimate i is for reference i.

    Several sets of estimates for the same references (the mixture, a network, an oracle)
    are best scored in one call, stacked along a leading axis: most of the work is done
    once for all of them.

    Takes ``references`` (sources, samples), ``estimates`` (..., sources, samples).

    References
    ----------
    Vincent, Gribonval and Févotte 2006, section III.B: version 3 is its decomposition with
    time-invariant filters, version 2 the one with time-invariant gains.
    """
    true, sets = _checked(references, estimates, filter_length)
    sources, samples = true.shape
    # long enough for no correlation or filtered source to wrap around into itself
    n_fft: int = scipy.fft.next_fast_len(samples + filter_length - 1, real=True)
    spectra: NDArray[np.complex128] = scipy.fft.rfft(_unit_energy(true), n_fft)
    gram = _gram(spectra, filter_length, n_fft)
    together = _factor(gram.reshape(sources * filter_length, -1))
    alone = [_factor(gram[source, :, source]) for source in range(sources)]
    ratios = np.empty((3, *sets.shape[:-1]))
    # one estimate at a time: the spectra of a whole stack would not fit for long songs
    for index in np.ndindex(sets.shape[:-1]):
        source = index[-1]
        estimate: NDArray[np.complex128] = scipy.fft.rfft(_unit_energy(sets[index]), n_fft)
        inner = _delayed_products(spectra, estimate, filter_length, n_fft)
        explained = _filtered(spectra, together, inner, n_fft)
        target = _filtered(spectra[[source]], alone[source], inner[[source]], n_fft)
        ratios[(slice(None), *index)] = (
            _decibels(target, estimate - target, n_fft),
            _decibels(target, explained - target, n_fft),
            _decibels(explained, estimate - explained, n_fft),
        )
    return BssEval(*ratios)


def weighted_mean(values: ArrayLike, lengths: ArrayLike) -> NDArray[np.float64]:
    """Average scores over clips, each clip weighing as much as it is long.

    This makes GSDR, GSIR and GSAR of the scores of clips, and GNSDR of their NSDR, which is
    the SDR of an estimate minus the SDR of the mixture in its place.

    Takes ``values`` (clips, ...), ``lengths`` (clips,); returns (...).

    References
    ----------
    C.-L. Hsu and J.-S. R. Jang, "On the improvement of singing voice separation for
    monaural recordings using the MIR-1K dataset", IEEE Trans. Audio, Speech and Language
    Processing 18(2), 310-319, 2010.

    P.-S. Huang, M. Kim, M. Hasegawa-Johnson and P. Smaragdis, "Singing-voice separation
    from monaural recordings using deep recurrent neural networks", ISMIR 2014.
    """
    scores = np.asarray(values, dtype=np.float64)
    weights = np.asarray(lengths, dtype=np.float64)
    if scores.ndim == 0 or weights.shape != scores.shape[:1] or not weights.size:
        raise ValueError(
            f"values of shape {scores.shape} and lengths of shape {weights.shape}: "
            "expected (clips, ...) and (clips,), with one clip or more"
        )
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(f"lengths must be finite and above 0: {weights.tolist()}")
    with np.errstate(invalid="ignore"):  # +inf and -inf add up to nan, as documented
        return np.asarray(np.average(scores, axis=0, weights=weights), dtype=np.float64)


def _checked(
    references: ArrayLike, estimates: ArrayLike, filter_length: int
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Refuse what has no score; the estimates stay in their own type, they may be large."""
    true = np.asarray(references, dtype=np.float64)
    sets = np.asarray(estimates)
    if true.ndim != 2 or true.size == 0 or sets.shape[-2:] != true.shape:
        raise ValueError(
            f"references of shape {true.shape} and estimates of shape {sets.shape}: "
            "expected (sources, samples) and (..., sources, samples)"
        )
    if filter_length < 1:
        raise ValueError(f"filter_length must be 1 or more taps: {filter_length}")
    for name, audio in (("references", true), ("estimates", sets)):
        if not np.isfinite(audio).all():
            raise ValueError(f"the {name} hold samples that are nan or infinite")
    for source, samples in enumerate(true):
        if not samples.any():
            raise DataError(
                f"reference source {source + 1} of {len(true)} is silent, against which nothing "
                "can be scored; leave the clip out, or choose a part where every source sounds"
            )
    return true, sets


def _unit_energy(signals: NDArray[Any]) -> NDArray[np.float64]:
    """Scale signals of shape (..., samples) to unit energy; silence stays silence."""
    audio = signals.astype(np.float64)
    norm = np.linalg.norm(audio, axis=-1, keepdims=True)
    np.divide(audio, norm, out=audio, where=norm > 0)
    return audio


def _gram(spectra: NDArray[np.complex128], filter_length: int, n_fft: int) -> NDArray[np.float64]:
    """Multiply all delayed references with each other: (sources, delay, sources, delay)."""
    sources = len(spectra)
    gram = np.empty((sources, filter_length, sources, filter_length))
    for i in range(sources):
        for j in range(i, sources):
            products: NDArray[np.float64] = scipy.fft.irfft(spectra[i].conj() * spectra[j], n_fft)
            # lags 0, 1, 2, ... are at the start, lags -1, -2, ... at the end, backwards
            later, earlier = products[:filter_length], products[:-filter_length:-1]
            block = scipy.linalg.toeplitz(later, np.concatenate([products[:1], earlier]))
            gram[i, :, j] = block
            gram[j, :, i] = block.T
    return gram


def _factor(gram: NDArray[np.float64]) -> Factor:
    """Factorize the Gram matrix of references that lie on a noise floor."""
    floor = NOISE_FLOOR * np.trace(gram)
    factor: Factor = scipy.linalg.cho_factor(gram + floor * np.eye(len(gram)), lower=True)
    return factor


def _delayed_products(
    spectra: NDArray[np.complex128],
    estimate: NDArray[np.complex128],
    filter_length: int,
    n_fft: int,
) -> NDArray[np.float64]:
    """Multiply each delayed reference with the estimate: (sources, delay)."""
    products = [scipy.fft.irfft(spectrum.conj() * estimate, n_fft) for spectrum in spectra]
    return np.stack([product[:filter_length] for product in products])


def _filtered(
    spectra: NDArray[np.complex128], factor: Factor, inner: NDArray[np.float64], n_fft: int
) -> NDArray[np.complex128]:
    """Filter references so that their sum comes as near to the estimate as it can."""
    filters = scipy.linalg.cho_solve(factor, inner.ravel()).reshape(inner.shape)
    total: NDArray[np.complex128] = np.zeros_like(spectra[0])
    for spectrum, taps in zip(spectra, filters, strict=True):
        total += spectrum * scipy.fft.rfft(taps, n_fft)
    return total


def _decibels(
    wanted: NDArray[np.complex128], unwanted: NDArray[np.complex128], n_fft: int
) -> float:
    """Compare the energies of two signals that are given by their half spectra."""
    # subtracting signals and not energies keeps ratios far above 150 dB exact
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 is nan, x/0 inf, log 0 -inf
        return float(10 * np.log10(_energy(wanted, n_fft) / _energy(unwanted, n_fft)))


def _energy(spectrum: NDArray[np.complex128], n_fft: int) -> np.float64:
    """Sum the squares of a signal of `n_fft` samples (Parseval), up to the factor `n_fft`."""
    power = spectrum.real**2 + spectrum.imag**2
    # all bins stand for a pair of conjugates but 0 Hz and, for an even size, the last
    unpaired = power[0] + (power[-1] if n_fft % 2 == 0 else 0.0)
    return np.float64(2 * power.sum() - unpaired)
