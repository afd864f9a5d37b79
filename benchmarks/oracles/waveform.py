"""Checks of energy, of the shape of the spectrum and its texture, and of its changes."""

from __future__ import annotations

import librosa
import numpy as np
import scipy.ndimage
import scipy.signal
import scipy.spatial.distance
import scipy.stats

from oracles import FREQUENCIES, HOP, LENGTH, RATE, Array, Sound, against, exact, middle, rows


def essentia_rows(name: str, values: Array, **options: object) -> Array:
    """Run one of essentia's algorithms over frames."""
    import essentia.standard

    algorithm = getattr(essentia.standard, name)(**options)
    return rows(algorithm, values.astype(np.float32))


def heard(sound: Sound) -> Array:
    """Choose the frames that are not silent."""
    return np.flatnonzero(np.abs(sound.frames).max(axis=1) > 1e-4)


# energy


@against("rms", "librosa")
def rms(sound: Sound) -> Array:
    """Librosa `feature.rms`."""
    return librosa.feature.rms(y=sound.signal, frame_length=LENGTH, hop_length=HOP)[0]


@against("zero_crossing_rate", "librosa")
def zero_crossing_rate(sound: Sound) -> Array:
    """Librosa `feature.zero_crossing_rate`."""
    return librosa.feature.zero_crossing_rate(sound.samples, frame_length=LENGTH, hop_length=HOP)[0]


@against("log_energy", "essentia", chosen=heard)
def log_energy(sound: Sound) -> Array:
    """Essentia `Energy`, its logarithm."""
    return np.log(essentia_rows("Energy", sound.frames[heard(sound)]))


@exact("log_energy", "square waves of level 0.001 to 1, silence")
def log_energy_of_squares() -> tuple[Array, Array]:
    """The exact value ln(2048 level^2), and ln(1e-10)."""
    levels = np.array([0.001, 0.03, 0.5, 1.0])
    square = np.where(np.arange(8 * LENGTH) % 40 < 20, 1.0, -1.0)
    ours = [middle(level * square, "log_energy") for level in [*levels, 0.0]]
    true = np.log([*(LENGTH * levels**2), 1e-10])
    return np.concatenate(ours), np.repeat(true, len(ours[0]))


@against("crest_factor", "scipy", chosen=heard)
def crest_factor(sound: Sound) -> Array:
    """Scipy `stats.pmean` of power 2, under the peak."""
    frames = np.abs(sound.frames[heard(sound)])
    return frames.max(axis=1) / scipy.stats.pmean(frames, 2, axis=1)


@against("peak_level", "librosa")
def peak_level(sound: Sound) -> Array:
    """Librosa `amplitude_to_db` of the peaks."""
    return librosa.amplitude_to_db(np.abs(sound.frames).max(axis=1), amin=1e-6, top_db=None)


# shape


@against("spectral_centroid", "librosa", chosen=heard)
def centroid(sound: Sound) -> Array:
    """Librosa `feature.spectral_centroid`."""
    return librosa.feature.spectral_centroid(S=sound.magnitude.T, sr=RATE)[0][heard(sound)]


@exact("spectral_centroid", "sines at the middle of a bin, up to 9 kHz")
def centroid_of_sines() -> tuple[Array, Array]:
    """The exact value: the sine's frequency."""
    true = FREQUENCIES[[100, 333, 840]]
    time = np.arange(8 * LENGTH) / RATE
    ours = [middle(np.sin(2 * np.pi * each * time), "spectral_centroid") for each in true]
    return np.concatenate(ours), np.repeat(true, len(ours[0]))


@against("spectral_bandwidth", "librosa", chosen=heard)
def bandwidth(sound: Sound) -> Array:
    """Librosa `feature.spectral_bandwidth`."""
    return librosa.feature.spectral_bandwidth(S=sound.magnitude.T, sr=RATE)[0][heard(sound)]


def distribution(sound: Sound, moment: str) -> Array:
    """Take a moment of the spectra as scipy's discrete distributions."""
    found = []
    for row in sound.magnitude[heard(sound)]:
        discrete = scipy.stats.rv_discrete(values=(np.arange(len(row)), row / row.sum()))
        found.append(float(discrete.stats(moments=moment)))
    return np.array(found)


@against("spectral_skewness", "scipy", chosen=heard)
def skewness(sound: Sound) -> Array:
    """Scipy `stats.rv_discrete`."""
    return distribution(sound, "s")


@against("spectral_skewness", "essentia", chosen=heard)
def skewness_of_essentia(sound: Sound) -> Array:
    """Essentia `CentralMoments` and `DistributionShape`."""
    import essentia.standard

    moments = essentia.standard.CentralMoments(range=RATE / 2)
    shape = essentia.standard.DistributionShape()
    spectra = sound.magnitude[heard(sound)].astype(np.float32)
    return rows(lambda row: shape(moments(row))[1], spectra)


@against("spectral_kurtosis", "scipy", chosen=heard)
def kurtosis(sound: Sound) -> Array:
    """Scipy `stats.rv_discrete`, plus the 3 that it takes off."""
    return distribution(sound, "k") + 3


@against("spectral_entropy", "scipy", chosen=heard)
def entropy(sound: Sound) -> Array:
    """Scipy `stats.entropy` over ln 1025."""
    return scipy.stats.entropy(sound.magnitude[heard(sound)], axis=1) / np.log(LENGTH // 2 + 1)


@against("spectral_flatness", "librosa")
def flatness(sound: Sound) -> Array:
    """Librosa `feature.spectral_flatness`."""
    return librosa.feature.spectral_flatness(S=sound.magnitude.T)[0]


@against("spectral_rolloff", "librosa")
def rolloff(sound: Sound) -> Array:
    """Librosa `feature.spectral_rolloff`."""
    return librosa.feature.spectral_rolloff(S=sound.magnitude.T, sr=RATE)[0]


@against("spectral_slope", "librosa", chosen=heard)
def slope(sound: Sound) -> Array:
    """Librosa `feature.poly_features`, over the sum."""
    spectra = sound.magnitude[heard(sound)]
    fitted = librosa.feature.poly_features(S=spectra.T, sr=RATE, order=1)[0]
    return fitted / spectra.sum(axis=1)


@against("spectral_decrease", "audioflux", chosen=heard)
def decrease_of_audioflux(sound: Sound) -> Array:
    """AudioFlux `Spectral.decrease`."""
    import audioflux

    spectra = np.ascontiguousarray(sound.magnitude[heard(sound)].T, np.float32)
    spectral = audioflux.Spectral(num=len(spectra), fre_band_arr=FREQUENCIES.astype(np.float32))
    spectral.set_time_length(spectra.shape[1])
    return spectral.decrease(spectra)


@against("spectral_decrease", chosen=heard)
def decrease(sound: Sound) -> Array:
    """Peeters' formula, bin by bin in double precision."""
    spectra = sound.magnitude[heard(sound)]
    total = np.zeros(len(spectra))
    for k in range(1, spectra.shape[1]):
        total += (spectra[:, k] - spectra[:, 0]) / k
    return total / spectra[:, 1:].sum(axis=1)


@against("spectral_crest", "essentia", chosen=heard)
def crest(sound: Sound) -> Array:
    """Essentia `Crest`."""
    return essentia_rows("Crest", sound.magnitude[heard(sound)])


@exact("spectral_crest", "one click")
def crest_of_a_click() -> tuple[Array, Array]:
    """The exact value: 1, because its spectrum is flat."""
    click = np.zeros(8 * LENGTH)
    click[4 * LENGTH] = 0.5
    ours = middle(click, "spectral_crest")
    with_click = ours[ours > 0]
    return with_click, np.ones(len(with_click))


@against("spectral_irregularity_jensen", "scipy", chosen=heard)
def jensen(sound: Sound) -> Array:
    """Scipy `signal.correlate`: (2 r0 - 2 r1 - m[0]^2) / r0, the same sum multiplied out."""
    found = []
    for row in sound.magnitude[heard(sound)]:
        r = scipy.signal.correlate(row, row, method="direct")[len(row) - 1 :]
        found.append((2 * r[0] - 2 * r[1] - row[0] ** 2) / r[0])
    return np.array(found)


@against("spectral_irregularity_krimphoff", "scipy", chosen=heard)
def krimphoff(sound: Sound) -> Array:
    """Scipy `ndimage.uniform_filter1d` for the mean of three."""
    spectra = sound.magnitude[heard(sound)]
    smooth = scipy.ndimage.uniform_filter1d(spectra, 3, axis=1)
    return np.abs(spectra - smooth)[:, 1:-1].sum(axis=1)


@against("high_frequency_content", "essentia")
def high_frequency_content(sound: Sound) -> Array:
    """Essentia `HFC` of type Masri."""
    return essentia_rows("HFC", sound.magnitude, sampleRate=RATE, type="Masri")


@against("high_frequency_content", "scipy")
def high_frequency_content_by_energy(sound: Sound) -> Array:
    """Scipy `integrate.trapezoid` over bins, its ends made whole."""
    import scipy.integrate

    weighted = sound.power * FREQUENCIES
    ends = (weighted[:, 0] + weighted[:, -1]) / 2
    return scipy.integrate.trapezoid(weighted, axis=1) + ends


@against("spectral_contrast", "librosa")
def contrast(sound: Sound) -> Array:
    """Librosa `feature.spectral_contrast`, a frame at a time.

    Of a whole file, librosa raises all to 80 dB below the loudest frame.
    """
    return rows(
        lambda row: librosa.feature.spectral_contrast(S=row[:, None], sr=RATE)[:, 0],
        sound.magnitude,
    )


@against("band_flatness", "librosa")
def band_flatness(sound: Sound) -> Array:
    """Librosa `feature.spectral_flatness` of each band's bins."""
    found, low = [], 250.0
    while low * 2**0.25 <= RATE / 2:
        inside = (FREQUENCIES >= 0.95 * low) & (FREQUENCIES < 1.05 * low * 2**0.25)
        found.append(librosa.feature.spectral_flatness(S=sound.magnitude[:, inside].T)[0])
        low *= 2**0.25
    return np.stack(found, axis=1)


# changes


def changes(sound: Sound, distance: object) -> Array:
    """Measure the distances of spectra from those before; the first has none."""
    spectra = sound.magnitude
    return np.array([0.0, *map(distance, spectra[1:], spectra[:-1])])


@against("spectral_flux", "scipy")
def flux(sound: Sound) -> Array:
    """Scipy `spatial.distance.euclidean`."""
    return changes(sound, scipy.spatial.distance.euclidean)


@against("spectral_flux", "essentia")
def flux_of_essentia(sound: Sound) -> Array:
    """Essentia `Flux`, whose first frame counts from silence."""
    found = essentia_rows("Flux", sound.magnitude)
    found[0] = 0
    return found


@against("spectral_flux_l1", "scipy")
def flux_l1(sound: Sound) -> Array:
    """Scipy `spatial.distance.cityblock`."""
    return changes(sound, scipy.spatial.distance.cityblock)


@against("spectral_flux_rectified", "librosa")
def flux_rectified(sound: Sound) -> Array:
    """Librosa `onset.onset_strength` of magnitudes, times 1025."""
    spectra = sound.magnitude
    return librosa.onset.onset_strength(S=spectra.T, center=False) * spectra.shape[1]


@against("spectral_flux_log", "librosa")
def flux_log(sound: Sound) -> Array:
    """Librosa `onset.onset_strength` of log10(1 + m), times 1025."""
    spectra = np.log10(1 + sound.magnitude)
    return librosa.onset.onset_strength(S=spectra.T, center=False) * spectra.shape[1]


@against("spectral_flux_normalised", "scipy")
def flux_normalised(sound: Sound) -> Array:
    """Scipy `spatial.distance.euclidean` of spectra over their sums."""
    total = sound.magnitude.sum(axis=1, keepdims=True)
    spectra = sound.magnitude / np.where(total > 0, total, 1)
    pairs = zip(spectra[1:], spectra[:-1], strict=True)
    return np.array([0.0, *(scipy.spatial.distance.euclidean(*pair) for pair in pairs)])
