"""Programme loudness and true peak of a mono recording, after ITU-R BS.1770-4.

Shape letters: T samples, H hops of 100 ms, B blocks of 400 ms, P phases, K taps, R rows of 256 samples, W samples that a row
is interpolated from, C points that may be the peak.
"""

from functools import lru_cache

import numpy as np
from scipy.signal import lfilter

from audioprep.dsp.arrays import Float32, Float64, Wave, check_mono, check_positive
from audioprep.dsp.levels import amplitude_db

_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_HIGHPASS_HZ, _HIGHPASS_Q = 38.13547087602444, 0.5003270373238773
_TABLE_RATE_HZ = 48000  # the one rate that the standard's tables are for
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


def integrated_lufs(wave_T: Wave, rate_hz: int) -> float | None:
    """Return the gated loudness of a whole recording.

    Args:
        wave_T: Samples [T], float, full scale = 1.0.
        rate_hz: Sampling rate, Hz.

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
    zeros, poles = _k_polynomials(rate_hz)
    power_B = _block_power(lfilter(zeros, poles, wave_T.astype(np.float64)), rate_hz, num_hops)
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


def k_weighting(rate_hz: int) -> Float64:
    """Return the K-weighting filter as second-order sections [up to 2, 6] in scipy's layout.

    The standard gives coefficients for 48 kHz only; these are their analogue prototypes, carried to any rate by the
    bilinear transform with their gain, and equal the standard's at 48 kHz to 1e-9. At rates below 3364 Hz the shelf
    lies above Nyquist and is left out.

    Args:
        rate_hz: Sampling rate, Hz.

    Source: ITU-R BS.1770-4, Annex 1, tables 1 and 2; prototypes by De Man, "Evaluation of implementations of the EBU
    R128 loudness measurement", AES 145 (2018).
    """
    sections = [_highpass(rate_hz)]
    if rate_hz > 2 * _SHELF_HZ:
        sections.insert(0, _high_shelf(rate_hz))
    return np.array(sections)


def _high_shelf(rate_hz: int) -> list[float]:
    """Return the first filter, the acoustic effect of the head, as one section."""
    k = _warped(_SHELF_HZ, rate_hz)
    high = 10.0 ** (_SHELF_DB / 20.0)
    band = high**0.4996667741545416  # not quite the square root: the exponent that reproduces the standard's table
    a0 = 1.0 + k / _SHELF_Q + k * k
    zeros = [high + band * k / _SHELF_Q + k * k, 2.0 * (k * k - high), high - band * k / _SHELF_Q + k * k]
    poles = [a0, 2.0 * (k * k - 1.0), 1.0 - k / _SHELF_Q + k * k]
    return [value / a0 for value in zeros + poles]


def _highpass(rate_hz: int) -> list[float]:
    """Return the second filter, the revised low-frequency B curve, as one section."""
    k = _warped(_HIGHPASS_HZ, rate_hz)
    a0 = 1.0 + k / _HIGHPASS_Q + k * k
    # The standard's numerator is 1, -2, 1, not divided by a0: a gain of 0.04 dB at 48 kHz. Taken over as it stands it
    # would be 0.13 dB at 16 kHz and 0.26 dB at 8 kHz, so other rates are given the gain of 48 kHz.
    k_table = _warped(_HIGHPASS_HZ, _TABLE_RATE_HZ)
    gain = (1.0 + k_table / _HIGHPASS_Q + k_table * k_table) / a0
    return [gain, -2.0 * gain, gain, 1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / _HIGHPASS_Q + k * k) / a0]


def _warped(frequency_hz: float, rate_hz: int) -> float:
    """Return the analogue frequency that the bilinear transform maps to this one."""
    return float(np.tan(np.pi * frequency_hz / rate_hz))


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


@lru_cache(maxsize=8)
def _k_polynomials(rate_hz: int) -> tuple[Float64, Float64]:
    """Return numerator and denominator of the K-weighting filter as one, which runs in 3/4 of the time of two sections."""
    zeros = poles = np.ones(1)
    for section in k_weighting(rate_hz):
        zeros, poles = np.convolve(zeros, section[:3]), np.convolve(poles, section[3:])
    return zeros, poles


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
