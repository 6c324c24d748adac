"""Changing the rate.

Shape letters: T samples.
"""

import math

import numpy as np
import soxr

from audioprep.dsp.arrays import Float32, Float64, Wave, check_mono, check_positive

_REACH_S = 0.1  # the filter's response to an impulse is shorter on either side
_FINER = 4


def num_resampled(num_samples: int, rate_in_hz: int, rate_out_hz: int) -> int:
    """Return how many samples `resample` gives: `ceil(num_samples * rate_out_hz / rate_in_hz)`."""
    return -(-num_samples * rate_out_hz // rate_in_hz)


def resample(wave_T: Wave, rate_in_hz: int, rate_out_hz: int) -> Float32:
    """Return a mono wave at another rate, by the SoX resampler at its high quality (20 bits, linear phase).

    Args:
        wave_T: Samples [T], float, full scale = 1.0.
        rate_in_hz: Rate of `wave_T`, Hz.
        rate_out_hz: Rate wanted, Hz.

    Returns:
        Samples [ceil(T * rate_out_hz / rate_in_hz)], float32; equal rates return the samples as they are. SoX rounds
        the length to the nearest sample instead, so its last one may be missing; it is then repeated.

    Raises:
        ShapeError: `wave_T` is not a mono wave, or a rate is not positive.
    """
    check_mono("resample", wave_T)
    check_positive("resample", rate_in_hz=rate_in_hz, rate_out_hz=rate_out_hz)
    wave_T = np.ascontiguousarray(wave_T, dtype=np.float32)
    if rate_in_hz == rate_out_hz:
        return wave_T
    resampled: Float32 = soxr.resample(wave_T, rate_in_hz, rate_out_hz, quality="HQ")
    num_samples = num_resampled(wave_T.size, rate_in_hz, rate_out_hz)
    if resampled.size == 0:  # one or two samples, far downwards: SoX rounds to nothing
        return np.full(num_samples, wave_T[0], np.float32)
    missing = num_samples - resampled.size
    return np.pad(resampled, (0, missing), mode="edge") if missing > 0 else resampled[:num_samples]


def lowpass_gains(rate_in_hz: int, rate_out_hz: int, frequencies_P: Float64) -> Float64:
    """Return what `resample` makes of the amplitude of tones, measured with impulses.

    Args:
        rate_in_hz: Rate of what comes in, Hz.
        rate_out_hz: Rate of what goes out, Hz.
        frequencies_P: Frequencies [P] as shares of the lower of both Nyquist frequencies, 0 to 1.

    Returns:
        Gains [P], relative to that of 0 Hz.
    """
    common_hz = math.gcd(rate_in_hz, rate_out_hz)
    step_in, step_out = rate_in_hz // common_hz, rate_out_hz // common_hz
    # Each impulse comes at another place between output samples; together they show the filter at the rate common to both.
    reach = math.ceil(_REACH_S * rate_in_hz / step_in) * step_in
    places_I = (2 * reach + 1) * np.arange(step_in) + reach
    wave_T = np.zeros(places_I[-1] + reach, np.float32)
    wave_T[places_I] = 1.0
    heard_T = resample(wave_T, rate_in_hz, rate_out_hz)
    at_T = np.arange(heard_T.size) * step_in
    nearest_T = np.minimum(at_T // (step_out * (2 * reach + 1)), step_in - 1)
    half = reach * step_out
    filter_ = np.zeros(_FINER * 2 * half)  # zeros behind make the steps between frequencies finer
    np.add.at(filter_, half + at_T - places_I[nearest_T] * step_out, heard_T)
    gain_F = np.abs(np.fft.rfft(filter_))
    nyquist_bins = _FINER * reach * min(step_in, step_out) / step_in
    return np.asarray(np.interp(frequencies_P * nyquist_bins, np.arange(gain_F.size), gain_F / gain_F[0]))
