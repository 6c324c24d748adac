"""Programme loudness and true peak of a mono recording, after ITU-R BS.1770-4.

Shape letters: T samples, H hops of 100 ms, B blocks of 400 ms, P phases, K taps.
"""

from functools import lru_cache

import numpy as np
from scipy.signal import sosfilt

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
_BLOCK_SAMPLES = 1 << 16


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
    power_B = _block_power(sosfilt(k_weighting(rate_hz), wave_T.astype(np.float64)), rate_hz, num_hops)
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
    padded = np.pad(wave_T.astype(np.float32, copy=False), (_TAPS // 2 - 1, _TAPS // 2))
    for start in range(0, wave_T.size, _BLOCK_SAMPLES):
        num_samples = min(_BLOCK_SAMPLES, wave_T.size - start)
        for taps_K in _interpolators():
            between = _correlate(padded[start : start + num_samples + _TAPS - 1], taps_K)
            peak = max(peak, float(between.max()), -float(between.min()))
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


@lru_cache(maxsize=1)
def _interpolators() -> Float32:
    """Return the filters [P, K] for the points a quarter, a half and three quarters on from a sample."""
    offset_PK = np.arange(1, _OVERSAMPLING)[:, None] / _OVERSAMPLING - np.arange(1 - _TAPS // 2, _TAPS // 2 + 1)
    taper_PK = np.i0(_KAISER_BETA * np.sqrt(1.0 - (2.0 * offset_PK / _TAPS) ** 2))  # Kaiser's, but for its scale
    taps_PK = np.sinc(offset_PK) * taper_PK
    taps_PK /= taps_PK.sum(axis=1, keepdims=True)  # a constant stays that constant
    return np.asarray(taps_PK, np.float32)


def _correlate(wave_T: Float32, taps_K: Float32) -> Float32:
    """Return the K-tap filter's output, [T - K + 1]; np.correlate would go to BLAS."""
    num_outputs = wave_T.size - taps_K.size + 1
    total = np.zeros(num_outputs, np.float32)
    product = np.empty(num_outputs, np.float32)
    for k, tap in enumerate(taps_K):
        total += np.multiply(wave_T[k : k + num_outputs], tap, out=product)
    return total
