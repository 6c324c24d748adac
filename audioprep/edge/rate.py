"""Changing the rate with numpy alone, as the SoX resampler of the pipeline does it.

Inside a recording of one of the rates that the export has measured, the two differ by less than a step of 16 bits, even for
noise near full scale; of ESC-10's clips, by a third of one, so that after rounding one sample in a hundred at most is another.
At any other rate the filter is the nearest one's, and noise near full scale differs by tens of steps. Of the first and last few
samples SoX makes something else.

Shape letters: T samples, F bins of the spectrum, P points of the low-pass filter.
"""

import math

import numpy as np
import numpy.typing as npt

from audioprep.dsp.arrays import Float32, Wave

_BLOCK_S = 1.0
_GUARD_S = 0.1  # after that the filter's response to an impulse is below 1e-6


def resample(
    wave_T: Wave,
    rate_in_hz: int,
    rate_out_hz: int,
    lowpass_P: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
) -> Float32:
    """Return a mono wave at another rate.

    Blocks are transformed, and their spectra cut or lengthened: both rates have the same bins up to the lower of their
    Nyquist frequencies. What the ends of a block make of each other is left out.

    Args:
        wave_T: Samples [T], float, at least one.
        rate_in_hz: Rate of `wave_T`, Hz.
        rate_out_hz: Rate wanted, Hz.
        lowpass_P: Frequencies as shares of the lower Nyquist frequency, 0 to 1, and the filter's gains there.

    Returns:
        Samples [ceil(T * rate_out_hz / rate_in_hz)], float32; equal rates return the samples as they are.
    """
    if rate_in_hz == rate_out_hz:
        return wave_T.astype(np.float32, copy=False)
    common_hz = math.gcd(rate_in_hz, rate_out_hz)
    step_in, step_out = rate_in_hz // common_hz, rate_out_hz // common_hz
    guard, inner = math.ceil(_GUARD_S * common_hz), math.ceil(min(_BLOCK_S, wave_T.size / rate_in_hz) * common_hz)
    num_steps = _smooth(inner + 2 * guard)
    inner = num_steps - 2 * guard
    num_common = num_steps * min(step_in, step_out)
    num_bins = num_common // 2 + 1
    share_F = np.arange(num_bins) * (2 / num_common)  # of an odd length, no bin lies at the Nyquist frequency
    gain_F = np.interp(share_F, *lowpass_P) * (step_out / step_in)
    num_samples = -(-wave_T.size * step_out // step_in)
    resampled_T = np.empty(num_samples, np.float32)
    for step in range(0, -(-wave_T.size // step_in), inner):
        first = (step - guard) * step_in
        part_T = wave_T[max(0, first) : first + num_steps * step_in]
        padded = np.zeros(num_steps * step_in)
        padded[max(0, -first) :][: part_T.size] = part_T
        spectrum_F = np.fft.rfft(padded)[:num_bins] * gain_F
        block = np.fft.irfft(spectrum_F, num_steps * step_out)[guard * step_out : (guard + inner) * step_out]
        resampled_T[step * step_out :][: block.size] = block[: num_samples - step * step_out]
    return resampled_T


def _smooth(least: int) -> int:
    """Return the next whole number that 2, 3 and 5 alone divide: transforms of such lengths are fast."""
    number = least
    while True:
        rest = number
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return number
        number += 1
