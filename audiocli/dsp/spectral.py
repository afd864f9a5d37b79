"""The shape of the spectrum along frequency, and how it changes from frame to frame.

Noise-likeness and features of bands are in :mod:`audiocli.dsp.bands`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.rows import row_products
from audiocli.errors import UsageError, suggest

__all__ = [
    "Shape",
    "centroid",
    "centroid_and_spread",
    "decrease",
    "flux",
    "high_frequency_content",
    "kurtosis",
    "rolloff",
    "shape",
    "skewness",
    "slope",
    "spread",
]

Floats = NDArray[np.floating[Any]]
FluxDefinition = Literal["l1", "l2", "rectified", "normalised", "log"]
HighFrequencyDefinition = Literal["masri", "jensen", "brossier"]

#: Bins that the roll-off looks at in one step.
RUN = 32


class Shape(NamedTuple):
    """The moments of spectra, each (frames,); what they are is said in :func:`shape`."""

    centroid: Floats
    spread: Floats
    skewness: Floats
    kurtosis: Floats


def shape(magnitude: Floats, frequencies: Floats) -> Shape:
    """Measure the first four moments of spectra, in one go.

    The spectrum is taken as a distribution p = m / sum(m) over frequency::

        centroid = sum(p f)
        spread   = sqrt(sum(p (f - centroid)^2))
        skewness = sum(p (f - centroid)^3) / spread^3
        kurtosis = sum(p (f - centroid)^4) / spread^4

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz.

    Returns
    -------
    Shape
        Centroid and spread in Hz; skewness, positive where the spectrum
        reaches further up than down; kurtosis, 3 for a Gaussian. Silence has
        0 in all four, a single bin in spread, skewness and kurtosis.

    References
    ----------
    G. Peeters, A large set of audio features for sound description (similarity and
    classification) in the CUIDADO project, IRCAM, 2004.

    Examples
    --------
    >>> magnitude = np.array([[0.0, 1.0, 2.0, 1.0, 0.0]])
    >>> [round(float(value[0]), 3) for value in shape(magnitude, np.arange(5) * 2.0)]
    [4.0, 1.414, 0.0, 2.0]
    """
    middle = centroid(magnitude, frequencies)
    moments = _moments(magnitude, frequencies, middle, 4)
    width = np.sqrt(moments[0])
    # What is left of a single bin is the rounding of its centroid, with no shape of its own.
    known = width > 1e-6 * frequencies[-1]
    safe = np.where(known, width, 1)
    skew, kurt = (np.where(known, moments[i] / safe ** (i + 2), 0) for i in (1, 2))
    return Shape(middle, width, skew, kurt)


def _moments(magnitude: Floats, frequencies: Floats, middle: Floats, highest: int) -> list[Floats]:
    """Give the moments about the middle, from the second to the highest."""
    total = _divisor(magnitude)
    # Made of the raw moments they would be one matrix product, but that cancels.
    deviation = frequencies - middle[:, None]
    raised = deviation if highest == 2 else deviation.copy()
    moments: list[Floats] = []
    for _ in range(2, highest + 1):
        raised *= deviation
        moments.append(row_products(raised, magnitude) / total)
    return moments


def _sum(spectra: Floats) -> Floats:
    total: Floats = spectra.sum(axis=1)
    return total


def _divisor(spectra: Floats) -> Floats:
    """Give the sums, and 1 for silence, whose own sums of any kind are 0."""
    total = _sum(spectra)
    return np.where(total > 0, total, 1)


def centroid(magnitude: Floats, frequencies: Floats) -> Floats:
    """Find the centre of gravity of spectra, sum(m f) / sum(m).

    librosa's `spectral_centroid`. With skewness and the like, :func:`shape`
    is cheaper.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz.

    Returns
    -------
    ndarray, shape (frames,)
        In Hz; 0 for silence.

    Examples
    --------
    >>> centroid(np.array([[0, 1, 0], [0, 1, 3], [0, 0, 0]]), np.array([0.0, 100.0, 200.0]))
    array([100., 175.,   0.])
    """
    gravity: Floats = magnitude @ frequencies
    return gravity / _divisor(magnitude)


def spread(magnitude: Floats, frequencies: Floats) -> Floats:
    """Measure the bandwidth of spectra, their standard deviation along frequency.

    librosa's `spectral_bandwidth` with its default p = 2. The formula is in
    :func:`shape`.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz.

    Returns
    -------
    ndarray, shape (frames,)
        In Hz; 0 for silence and for a single bin.

    Examples
    --------
    >>> spread(np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0]]), np.array([0.0, 100.0, 200.0]))
    array([100.,   0.])
    """
    return centroid_and_spread(magnitude, frequencies)[1]


def centroid_and_spread(magnitude: Floats, frequencies: Floats) -> tuple[Floats, Floats]:
    """Give :func:`centroid` and :func:`spread`, for which one centroid serves."""
    middle = centroid(magnitude, frequencies)
    return middle, np.sqrt(_moments(magnitude, frequencies, middle, 2)[0])


def skewness(magnitude: Floats, frequencies: Floats) -> Floats:
    """Measure how lopsided spectra are: the third moment of :func:`shape`.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz.

    Returns
    -------
    ndarray, shape (frames,)
        0 for a symmetric spectrum, for a single bin and for silence; positive
        where it reaches further up than down.

    Examples
    --------
    >>> skewness(np.array([[4.0, 0.0, 1.0], [1.0, 1.0, 1.0]]), np.array([0.0, 100.0, 200.0]))
    array([1.5, 0. ])
    """
    return shape(magnitude, frequencies).skewness


def kurtosis(magnitude: Floats, frequencies: Floats, excess: bool = False) -> Floats:
    """Measure how peaked spectra are: the fourth moment of :func:`shape`.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz.
    excess : bool
        Take 3 off, as LibXtract and Essentia do, so that a Gaussian has 0.

    Returns
    -------
    ndarray, shape (frames,)
        0 for silence and for a single bin, also as excess; 1 or more else,
        and 1.8 for a flat spectrum.

    Examples
    --------
    >>> kurtosis(np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), np.array([0.0, 100.0, 200.0]))
    array([1., 0.])
    """
    plain = shape(magnitude, frequencies).kurtosis
    return np.where(plain > 0, plain - 3, 0) if excess else plain


def rolloff(magnitude: Floats, frequencies: Floats, fractions: Sequence[float] = (0.85,)) -> Floats:
    """Find the frequencies below which given parts of spectra lie.

    The first bin k with sum(m[:k + 1]) >= fraction * sum(m). librosa's
    `spectral_rolloff`, for any number of fractions at once. (Where the sum
    comes as close to the target as float32 rounds, which is rare, it may be
    the next bin.)

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra, or power spectra for parts of the energy (Peeters).
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz.
    fractions : sequence of float
        Above 0 and up to 1.

    Returns
    -------
    ndarray, shape (frames, fractions)
        In Hz; 0 for silence.

    Raises
    ------
    UsageError
        If a fraction is out of range.

    Examples
    --------
    >>> rolloff(np.ones((1, 5)), np.arange(5) * 100.0, fractions=(0.2, 0.5, 0.9))
    array([[  0., 200., 400.]])
    """
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise UsageError(
                f"roll-off: {fraction} is not a part between 0 and 1; 85 % is written 0.85"
            )
    # Two steps, because a running sum over all bins is slow: the run of bins, then the bin in it.
    bins = magnitude.shape[1]
    runs = _run_sums(magnitude)
    up_to = np.cumsum(runs, axis=1)
    found = []
    for fraction in fractions:
        target = fraction * up_to[:, -1:]
        run = (up_to >= target).argmax(axis=1)[:, None]
        inside = np.minimum(run * RUN + np.arange(RUN), bins - 1)
        before = np.take_along_axis(up_to - runs, run, axis=1)
        within = before + np.cumsum(np.take_along_axis(magnitude, inside, axis=1), axis=1)
        # At most the run's last bin: rounded another way, the run may just miss the target.
        place = np.minimum((within < target).sum(axis=1), RUN - 1)
        found.append(inside[np.arange(len(inside)), place])
    rolled: Floats = frequencies[np.stack(found, axis=1)]
    return rolled


def _run_sums(magnitude: Floats) -> Floats:
    """Sum runs of bins, the last of which may be shorter: a product takes a third of reduceat."""
    whole = magnitude.shape[1] // RUN * RUN
    runs = magnitude[:, :whole].reshape(len(magnitude), whole // RUN, RUN)
    sums: Floats = runs @ np.ones(RUN, magnitude.dtype)
    rest = magnitude[:, whole:]
    return np.append(sums, rest.sum(axis=1, keepdims=True), axis=1) if rest.shape[1] else sums


def slope(magnitude: Floats, frequencies: Floats, normalise: bool = False) -> Floats:
    """Fit a straight line to spectra by least squares and give its slope.

    sum((f - mean(f)) m) / sum((f - mean(f))^2), the first coefficient of
    librosa's `poly_features` of order 1.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz.
    normalise : bool
        Divide by sum(m), as Peeters does: the slope then does not depend on
        the level.

    Returns
    -------
    ndarray, shape (frames,)
        Magnitude per Hz, or 1 / Hz if normalised; 0 for silence.

    References
    ----------
    G. Peeters, A large set of audio features for sound description (similarity and
    classification) in the CUIDADO project, IRCAM, 2004.

    Examples
    --------
    >>> magnitude = np.array([[4.0, 3.0, 2.0, 1.0]])
    >>> slope(magnitude, np.arange(4) * 100.0), slope(magnitude, np.arange(4) * 100.0, True)
    (array([-0.01]), array([-0.001]))
    """
    centred = frequencies - frequencies.mean()
    fitted: Floats = magnitude @ (centred / (centred @ centred))
    return fitted / _divisor(magnitude) if normalise else fitted


def decrease(magnitude: Floats) -> Floats:
    """Measure how spectra fall off, with the low bins counting most.

    sum over k of (m[k] - m[0]) / k, divided by the sum over k of m[k], with k
    from 1.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.

    Returns
    -------
    ndarray, shape (frames,)
        Negative where the first bin stands above the others; 0 for a flat
        spectrum, for silence, and where there is nothing but the first bin.

    References
    ----------
    G. Peeters, A large set of audio features for sound description (similarity and
    classification) in the CUIDADO project, IRCAM, 2004.

    Examples
    --------
    >>> decrease(np.array([[4.0, 2.0, 2.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))
    array([-0.75,  0.  ,  0.  ])
    """
    first, others = magnitude[:, 0], magnitude[:, 1:]
    weights = 1 / np.arange(1, magnitude.shape[1], dtype=magnitude.dtype)
    falling = others @ weights - first * weights.sum()
    return np.where(others.any(axis=1), falling, 0) / _divisor(others)


def high_frequency_content(
    magnitude: Floats, frequencies: Floats, definition: HighFrequencyDefinition = "masri"
) -> Floats:
    """Weigh spectra by frequency, so that attacks stand out.

    =============  ==============
    ``masri``      sum(f m^2)
    ``jensen``     sum(f^2 m)
    ``brossier``   sum(f m)
    =============  ==============

    Frequencies in Hz as in Essentia. The papers, and aubio, count bins
    instead, which is another unit: f = k sample_rate / n_fft.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz.
    definition : {"masri", "jensen", "brossier"}
        Which of them.

    Returns
    -------
    ndarray, shape (frames,)
        0 for silence.

    Raises
    ------
    UsageError
        If there is no such definition.

    References
    ----------
    P. Masri, A. Bateman, Improved modelling of attack transients in music
    analysis-resynthesis, ICMC 1996. K. Jensen, T. Andersen, Beat estimation on the beat,
    WASPAA 2003. P. Brossier, J. Bello, M. Plumbley, Real-time temporal segmentation of note
    objects in music signals, ICMC 2004.

    Examples
    --------
    >>> high_frequency_content(np.array([[1.0, 2.0, 3.0]]), np.array([0.0, 10.0, 20.0]))
    array([220.])
    """
    _known("high-frequency content", definition, get_args(HighFrequencyDefinition))
    content: Floats
    if definition == "masri":
        content = np.square(magnitude) @ frequencies
    elif definition == "jensen":
        content = magnitude @ np.square(frequencies)
    else:
        content = magnitude @ frequencies
    return content


def _known(feature: str, definition: str, definitions: Sequence[str]) -> None:
    """Refuse a definition that does not exist."""
    if definition not in definitions:
        raise UsageError(
            f"{feature}: unknown definition {definition!r}; {suggest(definition, definitions)}"
        )


def flux(
    magnitude: Floats,
    definition: FluxDefinition = "l2",
    previous: Floats | None = None,
    compression: float = 1.0,
) -> Floats:
    """Measure how much spectra change from one frame to the next.

    With d = m[t] - m[t - 1]:

    ===============  ===========================================================
    ``l1``           sum(abs(d))
    ``l2``           sqrt(sum(d^2))
    ``rectified``    sum(max(d, 0)): only what is added, for onsets
    ``normalised``   ``l2`` of m / sum(m): the level does not matter
    ``log``          ``rectified`` of log10(1 + compression m)
    ===============  ===========================================================

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    definition : {"l1", "l2", "rectified", "normalised", "log"}
        Which of them. ``l1`` and ``l2`` are Essentia's, ``rectified`` is
        Dixon's spectral flux, ``normalised`` the root of Tzanetakis and
        Cook's, ``log`` that of Boeck et al. without their filters.
    previous : ndarray, shape (bins,), optional
        The magnitude spectrum before the first. Unless given, the first frame
        has no change.
    compression : float
        Only for ``log``.

    Returns
    -------
    ndarray, shape (frames,)
        0 between equal spectra, and within silence.

    Raises
    ------
    UsageError
        If there is no such definition.

    References
    ----------
    G. Tzanetakis, P. Cook, Musical genre classification of audio signals, IEEE Trans. SAP 10(5),
    2002. S. Dixon, Onset detection revisited, DAFx 2006. S. Boeck, F. Krebs, M. Schedl,
    Evaluating the online capabilities of onset detection methods, ISMIR 2012.

    Examples
    --------
    >>> magnitude = np.array([[3.0, 0.0], [0.0, 4.0]])
    >>> flux(magnitude), flux(magnitude, "l1"), flux(magnitude, "rectified", previous=np.zeros(2))
    (array([0., 5.]), array([0., 7.]), array([3., 4.]))
    """
    _known("flux", definition, get_args(FluxDefinition))
    spectra = magnitude
    first = magnitude[:1] if previous is None else previous[None]
    if definition == "normalised":
        spectra, first = (part / _divisor(part)[:, None] for part in (spectra, first))
    elif definition == "log":
        spectra, first = (np.log10(1 + compression * part) for part in (spectra, first))
    difference = np.empty(spectra.shape, np.result_type(spectra, first))
    np.subtract(spectra[:1], first, out=difference[:1])
    np.subtract(spectra[1:], spectra[:-1], out=difference[1:])
    if definition in ("l2", "normalised"):
        return np.sqrt(row_products(difference, difference))
    if definition == "l1":
        return _sum(np.abs(difference, out=difference))
    return _sum(np.maximum(difference, 0, out=difference))
