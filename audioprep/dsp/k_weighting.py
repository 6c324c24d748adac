"""The K curve of ITU-R BS.1770-4, which weighs frequencies before loudness is measured.

Shape letters: T samples, F bins of the spectrum.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audioprep.dsp.arrays import Float64, Wave

# From a wave [T], float, and its rate to the weighted wave [T], float64.
Weigh: TypeAlias = Callable[[Wave, int], Float64]

_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_HIGHPASS_HZ, _HIGHPASS_Q = 38.13547087602444, 0.5003270373238773
_TABLE_RATE_HZ = 48000  # the one rate that the standard's tables are for
_TAIL_S = 0.25  # after that the filter's response to an impulse is below 1e-11
_BLOCK_TAILS = 8


def k_weighted(wave_T: Wave, rate_hz: int) -> Float64:
    """Return the wave behind the K-weighting filter, which starts at rest [T].

    It multiplies the spectrum of overlapping blocks and so needs numpy alone. The first quarter of a second of each, where the end of
    the block's response comes round, is left out, and was heard at the end of the block before.

    Args:
        wave_T: Samples [T], float.
        rate_hz: Sampling rate, Hz.
    """
    tail = round(_TAIL_S * rate_hz)
    block = _BLOCK_TAILS * tail
    padded = np.concatenate([np.zeros(tail), wave_T, np.zeros(block)])
    weighted_T = np.empty(wave_T.size)
    for start in range(0, wave_T.size, block - tail):
        spectrum_F = np.fft.rfft(padded[start : start + block]) * _response(rate_hz, block)
        heard = np.fft.irfft(spectrum_F, block)[tail:]
        weighted_T[start : start + heard.size] = heard[: wave_T.size - start]
    return weighted_T


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


@lru_cache(maxsize=8)
def _response(rate_hz: int, num_samples: int) -> npt.NDArray[np.complex128]:
    """Return the response of the filter at each bin of a transform of so many samples [F]."""
    delay_F = np.exp(-2j * np.pi * np.arange(num_samples // 2 + 1) / num_samples)
    response_F = np.ones(delay_F.size, np.complex128)
    for section in k_weighting(rate_hz):
        zeros_F, poles_F = (np.polynomial.polynomial.polyval(delay_F, part) for part in np.split(section, 2))
        response_F *= zeros_F / poles_F
    return response_F
