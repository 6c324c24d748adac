"""Mixing to mono and changing the rate.

Shape letters: T samples, C channels.
"""

import numpy as np
import soxr

from audioprep.dsp.arrays import Float32, Wave, check_mono, check_positive
from audioprep.errors import ShapeError


def to_mono(wave_TC: Wave) -> Float32:
    """Return the mean of all channels.

    Args:
        wave_TC: Samples [T, C] or [T], float, full scale = 1.0.

    Returns:
        Samples [T], float32.

    Raises:
        ShapeError: There is no channel, or there are more than two axes.
    """
    if wave_TC.ndim == 1:
        return wave_TC.astype(np.float32, copy=False)
    if wave_TC.ndim != 2 or wave_TC.shape[1] == 0:
        raise ShapeError(f"to_mono: expected samples [T, C] with C > 0, got shape {list(wave_TC.shape)}; see the file")
    num_channels = wave_TC.shape[1]
    if num_channels == 1:
        return wave_TC[:, 0].astype(np.float32, copy=False)
    # Adding whole channels is several times faster than a mean over the short axis.
    total = wave_TC[:, 0].astype(np.float32)
    for channel in range(1, num_channels):
        total += wave_TC[:, channel]
    return total / np.float32(num_channels)


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
