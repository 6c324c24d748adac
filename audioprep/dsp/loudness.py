"""Programme loudness and true peak of a mono recording, after ITU-R BS.1770-4.

Shape letters: T samples, H hops of 100 ms, B blocks of 400 ms, P phases, K taps, R rows of 256 samples, W samples that a row
is interpolated from, C points that may be the peak.
"""

from functools import lru_cache

import numpy as np

from audioprep.dsp.arrays import Float32, Float64, Wave, check_mono, check_positive
from audioprep.dsp.k_weighting import Weigh, k_weighted
from audioprep.dsp.levels import amplitude_db

_OFFSET_LU = -0.691  # makes a 997 Hz sine at 0 dBFS in one channel -3.01 LUFS (eq. 2)
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_HOPS_PER_SECOND = 10
_HOPS_PER_BLOCK = 4  # 400 ms blocks that overlap by 75 %

_OVERSAMPLING = 4
_TAPS = 20  # per phase; with this window the interpolation is flat within 0.05 dB up to 0.42 of the rate
_KAISER_BETA = 5.0
_NEAR_TAPS = 8  # the middle ones, which carry most of the sum
_ROW_SAMPLES = 256
_BLOCK_SAMPLES = 256 * _ROW_SAMPLES
_ROUNDING = 1e-5  # of float32 sums of a few products, relative to the peak


def integrated_lufs(wave_T: Wave, rate_hz: int, weigh: Weigh = k_weighted) -> float | None:
    """Return the gated loudness of a whole recording.

    Args:
        wave_T: Samples [T], float, full scale = 1.0.
        rate_hz: Sampling rate, Hz.
        weigh: What applies the K curve; `k_recursion.k_weighted` is faster and wants scipy.

    Returns:
        Loudness, LUFS; None where the standard defines none: shorter than one block of 0.4 s, or every block below
        -70 LUFS. An incomplete block at the end is not used. Below 48 kHz the bilinear transform bends the K curve a
        little: white noise reads 0.02 LU high at 16 kHz and 0.1 LU at 8 kHz, a 997 Hz sine 0.05 and 0.2 LU low.

    Raises:
        ShapeError: `wave_T` is not a mono wave, or `rate_hz` is not positive.

    Source: ITU-R BS.1770-4, Annex 1, eq. 1-7, one channel of weight 1.
    """
    check_mono("integrated_lufs", wave_T)
    check_positive("integrated_lufs", rate_hz=rate_hz)
    num_hops = _HOPS_PER_SECOND * wave_T.size // rate_hz
    if num_hops < _HOPS_PER_BLOCK:
        return None
    power_B = _block_power(weigh(wave_T, rate_hz), rate_hz, num_hops)
    loud_B = power_B[power_B > _power(_ABSOLUTE_GATE_LUFS)]
    if loud_B.size == 0:
        return None
    relative_gate = float(np.mean(loud_B)) * 10.0 ** (_RELATIVE_GATE_LU / 10.0)
    return _OFFSET_LU + 10.0 * float(np.log10(np.mean(loud_B[loud_B > relative_gate])))


def true_peak_db(wave_T: Wave) -> float | None:
    """Return the largest absolute value of the wave between its samples too, by fourfold oversampling.

    Args:
        wave_T: Samples [T], float, full scale = 1.0; taken as zero beyond its ends.

    Returns:
        Level, dB re full scale (dBTP), never below the largest sample; None for digital silence. A fourfold grid may
        miss the top of a sine at 0.4 of the rate by 0.43 dB, at 0.25 by 0.17 dB.

    Raises:
        ShapeError: `wave_T` is not a mono wave.

    Source: ITU-R BS.1770-4, Annex 2, with an 80-tap windowed sinc in place of the 48-tap example.
    """
    check_mono("true_peak_db", wave_T)
    peak = max(float(wave_T.max()), -float(wave_T.min()))
    num_rows = -(-wave_T.size // _ROW_SAMPLES)
    padded = np.zeros(num_rows * _ROW_SAMPLES + _TAPS - 1, np.float32)
    padded[_TAPS // 2 - 1 :][: wave_T.size] = wave_T
    for start in range(0, wave_T.size, _BLOCK_SAMPLES):
        peak = _raised_peak(padded[start : start + _BLOCK_SAMPLES + _TAPS - 1], peak)
    return amplitude_db(peak)


def _block_power(weighted_T: Float64, rate_hz: int, num_hops: int) -> Float64:
    """Return the mean square [B] of each overlapping block, B = H - 3."""
    # Whole hops are summed once and shared by the four blocks they belong to; the last edge only closes the last hop.
    edges = np.arange(num_hops + 1) * rate_hz // _HOPS_PER_SECOND
    energy_H: Float64 = np.add.reduceat(np.square(weighted_T[: edges[-1]]), edges[:-1])
    num_blocks = num_hops - _HOPS_PER_BLOCK + 1
    energy_B = np.zeros(num_blocks)
    for hop in range(_HOPS_PER_BLOCK):
        energy_B += energy_H[hop : hop + num_blocks]
    return energy_B / (edges[_HOPS_PER_BLOCK:] - edges[:-_HOPS_PER_BLOCK])


def _power(loudness_lufs: float) -> float:
    """Return the K-weighted mean square of a loudness (eq. 4 solved for z)."""
    return float(10.0 ** ((loudness_lufs - _OFFSET_LU) / 10.0))


def _raised_peak(padded_T: Float32, peak: float) -> float:
    """Return the largest absolute value between samples, or the peak given if none is larger.

    Only what may be larger is computed. A point between samples is at most the sum of the absolute taps times the largest
    sample near it, which rules out whole rows; and it is at most what its nearest samples make of it plus the same bound for
    the other taps, which rules out all but a few points.

    Args:
        padded_T: Rows of samples, float32, with 9 more before them and 10 after them.
        peak: What is known already.
    """
    taps_PK, near_PK, all_gain, far_gain = _interpolators()
    rows_RW = np.lib.stride_tricks.sliding_window_view(padded_T, _ROW_SAMPLES + _TAPS - 1)[::_ROW_SAMPLES]
    largest_R = np.maximum(rows_RW.max(axis=1), -rows_RW.min(axis=1))
    may_exceed_R = largest_R * all_gain > peak
    if not may_exceed_R.any():
        return peak
    rows_RW, largest_R = rows_RW[may_exceed_R], largest_R[may_exceed_R]
    # Across the rows in one go: what the end of one makes with the start of the next is not looked at. So few taps do not
    # go to BLAS, and nothing that is computed from them is returned.
    samples_T, bound_T = rows_RW.ravel(), np.zeros(rows_RW.size, np.float32)
    for near_K in near_PK:
        between_T = np.correlate(samples_T, near_K, "same")
        np.maximum(bound_T, np.abs(between_T, out=between_T), out=bound_T)
    bound_RW = bound_T.reshape(rows_RW.shape)[:, _TAPS // 2 :][:, :_ROW_SAMPLES]
    near_peak_R = (peak * (1.0 - _ROUNDING) - far_gain * largest_R).astype(np.float32)
    row_C, column_C = np.nonzero(bound_RW > near_peak_R[:, None])
    if not row_C.size:
        return peak
    windows_CK = np.lib.stride_tricks.sliding_window_view(rows_RW, _TAPS, axis=1)[row_C, column_C]
    return max(peak, float(np.abs(np.einsum("ck,pk->cp", windows_CK, taps_PK)).max()))


@lru_cache(maxsize=1)
def _interpolators() -> tuple[Float64, Float32, float, float]:
    """Return the filters [P, K] for the points a quarter, a half and three quarters on from a sample, and bounds on them.

    Returns:
        The filters; their middle taps; and the most that all taps, and all but the middle ones, make of samples up to 1.
    """
    offset_PK = np.arange(1, _OVERSAMPLING)[:, None] / _OVERSAMPLING - np.arange(1 - _TAPS // 2, _TAPS // 2 + 1)
    taper_PK = np.i0(_KAISER_BETA * np.sqrt(1.0 - (2.0 * offset_PK / _TAPS) ** 2))  # Kaiser's, but for its scale
    taps_PK = np.sinc(offset_PK) * taper_PK
    taps_PK /= taps_PK.sum(axis=1, keepdims=True)  # a constant stays that constant
    first = (_TAPS - _NEAR_TAPS) // 2
    near_PK = taps_PK[:, first : first + _NEAR_TAPS]
    all_P, near_P = np.abs(taps_PK).sum(axis=1), np.abs(near_PK).sum(axis=1)
    return taps_PK, near_PK.astype(np.float32), float(all_P.max()), float((all_P - near_P).max())
