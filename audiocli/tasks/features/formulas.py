"""The formula of every feature in one line, as the documentation prints it."""

from __future__ import annotations

__all__ = ["FORMULAS", "SYMBOLS"]

#: What the letters stand for.
SYMBOLS = (
    "x: samples of a frame; m: magnitudes of the bins, p = m^2, f: their frequencies in Hz; t: a "
    "frame; S: energies in 128 mel bands in dB, B: in HTK's 26; a_k, f_k: amplitude and frequency "
    "of partial k; A(z), a_k: the predictor. Sums and means run over all samples, bins, bands or "
    "partials"
)

#: By the feature's name.
FORMULAS: dict[str, str] = {
    "rms": "sqrt(mean(x^2))",
    "zero_crossing_rate": "changes of sign / 2048; from -1e-10 up counts as positive",
    "log_energy": "ln(max(sum(x^2), 1e-10))",
    "crest_factor": "max(abs(x)) / sqrt(mean(x^2))",
    "peak_level": "20 log10(max(abs(x))), at least -120",
    "spectral_centroid": "c = sum(f m) / sum(m)",
    "spectral_bandwidth": "s = sqrt(sum((f - c)^2 m) / sum(m))",
    "spectral_skewness": "sum((f - c)^3 m) / sum(m) / s^3",
    "spectral_kurtosis": "sum((f - c)^4 m) / sum(m) / s^4; 3 for a Gaussian",
    "spectral_entropy": "-sum(q ln(q)) / ln(1025), q = m / sum(m)",
    "spectral_flatness": "exp(mean(ln(p))) / mean(p), p at least 1e-10",
    "spectral_rolloff": "lowest f with sum(m up to f) >= 0.85 sum(m)",
    "spectral_flux": "sqrt(sum(d^2)), d = m[t] - m[t-1]",
    "spectral_contrast": "10 log10(peak / valley): means of the highest, lowest 2 % of m",
    "spectral_flux_l1": "sum(abs(d))",
    "spectral_flux_rectified": "sum(max(d, 0))",
    "spectral_flux_normalised": "sqrt(sum((q[t] - q[t-1])^2)), q = m / sum(m)",
    "spectral_flux_log": "sum(max(l[t] - l[t-1], 0)), l = log10(1 + m)",
    "spectral_slope": "sum(g m) / sum(g^2) / sum(m), g = f - mean(f)",
    "spectral_decrease": "sum((m[k] - m[0]) / k) / sum(m[k]), k from 1",
    "spectral_crest": "max(m) / mean(m)",
    "spectral_irregularity_jensen": "sum((m[k] - m[k+1])^2) / sum(m^2)",
    "spectral_irregularity_krimphoff": "sum(abs(m[k] - (m[k-1] + m[k] + m[k+1]) / 3))",
    "high_frequency_content": "sum(f p)",
    "band_flatness": "exp(mean(ln(p))) / mean(p) of a band's bins",
    "mfcc": "s_n sum(S[b] cos(pi n (b + 1/2) / 128)), s_n = sqrt(2/128), s_0 = sqrt(1/128)",
    "mfcc_delta": "sum(k (c[t+k] - c[t-k])) / (2 sum(k^2)), k = 1 to 4",
    "mfcc_delta2": "second derivative of the parabola that fits c[t-4] to c[t+4]",
    "mfcc_htk": "(1 + 11 sin(pi n / 22)) sqrt(2/26) sum(ln(B[b]) cos(pi n (b + 1/2) / 26))",
    "cepstrum": "abs(IDFT(ln(p)))^2, p at least 1e-10",
    "cepstral_peak_prominence": (
        "10 log10 of the cepstrum: its peak at 60 to 333 Hz less its straight line"
    ),
    "f0": "rate / lag of the trough of d'(lag) that the Viterbi path takes",
    "voicing": "f0 > 0",
    "voiced_probability": "P(threshold > trough), threshold drawn from Beta(2, 18)",
    "harmonic_to_noise_ratio": (
        "10 log10(r / (1 - r)), r = autocorrelation at the period over that at 0"
    ),
    "inharmonicity": "2 / f0 sum(abs(f_k - k f0) a_k^2) / sum(a_k^2)",
    "odd_to_even_ratio": "sum(a_1^2, a_3^2, ...) / sum(a_2^2, a_4^2, ...), at most 1000",
    "tristimulus": "a_1 / A, (a_2 + a_3 + a_4) / A, (a_5 + a_6 + ...) / A, A = sum(a_k)",
    "harmonic_centroid": "sum(f_k a_k) / sum(a_k)",
    "harmonic_deviation": "sum(abs(a_k - e_k)) / sum(a_k), e_k = mean(a_(k-1), a_k, a_(k+1))",
    "harmonic_energy_ratio": "1.5 sum(a_k^2) / sum(p)",
    "chroma": "W p / max(W p), W Gaussian over pitch class and octave",
    "tonnetz": "sum(q r sin(w n)), sum(q r cos(w n)), w = 7, 9, 4 pi/6; q = chroma / sum",
    "lpc_coefficient": "x[n] = -sum(a_k x[n-k]) + e[n] with least sum(e^2), x under a Hann window",
    "lpc_burg": "k_m = -2 sum(f b) / sum(f^2 + b^2), order by order, no window",
    "reflection": "k_m: the last coefficient of the predictor of order m",
    "lsf": "angles of the zeros of A(z) +- z^-17 A(1/z), times rate / (2 pi)",
    "lpcc": "c_0 = ln(error), c_n = -a_n - sum(k / n c_k a_(n-k))",
    "formant": (
        "angle(z) rate / (2 pi) of poles with -ln(abs(z)) rate / pi < 400; order 24, "
        "pre-emphasis 0.97"
    ),
    "plp": "lpcc of order 12 of (critical bands x equal loudness)^0.33",
    "rasta_plp": "plp of bands filtered by 0.1 (2 + z^-1 - z^-3 - 2 z^-4) / (1 - 0.94 z^-1)",
    "loudness": "-0.691 + 10 log10(mean K-weighted power above -70 and above the mean less 10)",
    "onset_strength": "mean(max(S[t] - S[t-1], 0)), S at least 80 dB below the highest of both",
    "tempo": "median interval of the beats that a network and a bar-pointer model find",
    "pulse_rate": "period whose 8 multiples repeat best, times a log-normal prior about 120",
    "onset_rate": "peaks 1.5 dB above the mean of 200 ms, but the last two frames, over the length",
    "pulse_clarity": "highest peak of the autocorrelation of onset_strength, 30 to 320 BPM",
}
