"""Chroma: how the power of a sound is shared among the twelve pitch classes, equal to librosa's.

Shape letters: N frames, F = n_fft // 2 + 1 bins, C = 12 pitch classes, from C to B.
"""

import numpy as np

from audioprep.dsp.arrays import Float32, check_positive

NUM_CLASSES = 12
_A0_HZ = 27.5  # an A; A4 is 440 Hz
_C_ABOVE_A = 3  # classes are counted from C
_CENTRE_OCTAVES, _WIDTH_OCTAVES = 5.0, 2.0  # octaves above A0 that weigh most: a Gaussian around 880 Hz


def chroma_filterbank(rate_hz: int, n_fft: int, tuning: float = 0.0) -> Float32:
    """Return how much each bin of the spectrum belongs to each pitch class.

    Args:
        rate_hz: Sampling rate, Hz.
        n_fft: Size of the transform, samples, even.
        tuning: By how much the music is tuned above A4 = 440 Hz, as a share of a semitone, -0.5 to 0.5.

    Returns:
        Filters [C, F], float32, >= 0.

    Raises:
        ShapeError: Rate or size is not positive.

    Source: Ellis, Chroma Feature Analysis and Synthesis (2007), fft2chromamx.m; equals librosa.filters.chroma with its defaults
    (ctroct 5, octwidth 2, norm 2, base_c) to 1e-6.
    """
    check_positive("chroma_filterbank", rate_hz=rate_hz, n_fft=n_fft)
    bins_hz = np.arange(1, n_fft) * (rate_hz / n_fft)
    reference_hz = _A0_HZ * 2.0 ** (tuning / NUM_CLASSES)
    semitones = NUM_CLASSES * np.log2(bins_hz / reference_hz)
    # 0 Hz has no pitch: it counts as an octave and a half below bin 1, and so as wide as all classes.
    semitones_F = np.concatenate([semitones[:1] - 1.5 * NUM_CLASSES, semitones])
    widths_F = np.append(np.maximum(np.diff(semitones_F), 1.0), 1.0)
    away_CF = semitones_F - np.arange(NUM_CLASSES)[:, None]
    half = NUM_CLASSES / 2
    away_CF = np.remainder(away_CF + half, NUM_CLASSES) - half
    filters_CF = np.exp(-0.5 * (2.0 * away_CF / widths_F) ** 2)
    filters_CF /= np.sqrt(np.square(filters_CF).sum(axis=0))
    octaves_F = semitones_F / NUM_CLASSES
    filters_CF *= np.exp(-0.5 * ((octaves_F - _CENTRE_OCTAVES) / _WIDTH_OCTAVES) ** 2)
    filters_CF = np.roll(filters_CF, -_C_ABOVE_A, axis=0)
    return np.asarray(filters_CF[:, : n_fft // 2 + 1], np.float32)


def chroma(power_CN: Float32) -> Float32:
    """Return pitch classes of each frame, relative to the strongest.

    Args:
        power_CN: What the filterbank makes of the power spectrum [C, N], float32, >= 0.

    Returns:
        Chroma [N, C], float32, 0 to 1: the largest of each frame is 1, silence is 0.

    Source: with `chroma_filterbank` equals librosa.feature.chroma_stft(y, sr, tuning=tuning, norm=inf, n_fft, win_length,
    hop_length, pad_mode="reflect") to 1e-4.
    """
    largest_N = power_CN.max(axis=0)
    is_silent_N = largest_N < np.finfo(np.float32).tiny
    return np.ascontiguousarray((power_CN / np.where(is_silent_N, np.float32(1.0), largest_N)).T)
