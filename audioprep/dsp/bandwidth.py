"""The effective bandwidth of a stored recording: a file upsampled from 8 kHz ends at 4 kHz, whatever its rate says.

Shape letters: T samples, N frames, F = n // 2 + 1 bins.
"""

from functools import lru_cache

import numpy as np
import scipy.fft

from audioprep.dsp.arrays import Float32, Wave, check_mono, check_positive

STEP_HZ = 50.0
_FRAME_S = 0.064
_MAX_FRAMES = 32  # spread over the recording: the edge is the same everywhere
_SMOOTH_BINS = 4  # 62 Hz
# Stored audio is rounded to 16 bits, which adds white noise of this variance. 9 dB above it leaves room for a source that
# was dithered and rounded before.
_ROUNDING_NOISE = 2.0**-30 / 12.0
_MARGIN = 10.0**0.9


def bandwidth_hz(wave_T: Wave, rate_hz: int) -> float | None:
    """Return the highest frequency at which a recording stands out of the noise that 16 bits have anyway.

    It is an edge of the recording, not of the sound: the background of a dark sound reaches to the end of the band in
    most recordings, and a sound as such fades; a file that was once sampled at a lower rate, or went through a codec
    that cuts, has nothing at all above the cut. Quiet recordings whose sound fades into the noise of 16 bits are
    reported with the frequency at which it does. A file that was amplified by over 6 dB after it was upsampled and
    stored has louder noise, and its edge is not seen.

    Args:
        wave_T: Samples [T], float, full scale = 1.0, in steps of 16 bits.
        rate_hz: Sampling rate, Hz. Resampling to it has cut what was above half of it.

    Returns:
        The edge, Hz, a multiple of 50, at most `rate_hz / 2`; None where nothing stands out, as in silence. Speech and
        field recordings brought from 8 to 16 kHz have 3,850 to 4,150, those recorded at 44.1 kHz 5,700 and more.

    Raises:
        ShapeError: `wave_T` is not a mono wave, or the rate is not positive.
    """
    check_mono("bandwidth_hz", wave_T)
    check_positive("bandwidth_hz", rate_hz=rate_hz)
    frame_samples = max(2 * _SMOOTH_BINS, round(_FRAME_S * rate_hz))
    missing = max(0, frame_samples - wave_T.size)
    padded_T = np.pad(wave_T, (missing // 2, missing - missing // 2)) if missing else wave_T
    num_frames = min(_MAX_FRAMES, max(1, 2 * wave_T.size // frame_samples))
    starts = np.linspace(0, padded_T.size - frame_samples, num_frames).astype(np.int64)
    window, window_energy = _window(frame_samples)
    frames_NT = np.lib.stride_tricks.sliding_window_view(padded_T, frame_samples)[starts] * window
    spectrum_NF = scipy.fft.rfft(frames_NT, axis=1)
    # As pairs of floats: numpy squares one row of floats faster than two of every other.
    parts_NF = np.square(spectrum_NF.view(spectrum_NF.real.dtype))
    power_NF = parts_NF[:, 0::2] + parts_NF[:, 1::2]
    sounding = power_NF.any(axis=1)
    if not sounding.any():
        return None
    # White noise of variance v has power v * sum(window ** 2) in every bin.
    power_F = power_NF[sounding].mean(axis=0, dtype=np.float64) / window_energy
    total_F = np.concatenate([[0.0], np.cumsum(power_F)])
    smooth_F = (total_F[_SMOOTH_BINS:] - total_F[:-_SMOOTH_BINS]) / _SMOOTH_BINS
    above = np.flatnonzero(smooth_F > _MARGIN * _ROUNDING_NOISE)
    if not above.size:
        return None
    if above[-1] == smooth_F.size - 1:
        return rate_hz / 2
    return float(STEP_HZ * round(above[-1] * rate_hz / frame_samples / STEP_HZ))


@lru_cache(maxsize=4)
def _window(frame_samples: int) -> tuple[Float32, float]:
    """Return a Blackman-Harris window and its sum of squares: what leaks further than 62 Hz is 92 dB down.

    Source: F. J. Harris, On the Use of Windows for Harmonic Analysis, Proc. IEEE 66 (1978), table 1, 4 terms.
    """
    phase = 2.0 * np.pi * np.arange(frame_samples) / frame_samples
    window = 0.35875 - 0.48829 * np.cos(phase) + 0.14128 * np.cos(2.0 * phase) - 0.01168 * np.cos(3.0 * phase)
    stored = window.astype(np.float32)
    return stored, float(np.square(stored, dtype=np.float64).sum())
