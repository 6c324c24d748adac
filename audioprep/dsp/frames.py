"""A wave in overlapping frames.

Shape letters: T samples, N frames.
"""

from functools import lru_cache

import numpy as np

from audioprep.dsp.arrays import Float32, Wave, check_mono, check_positive
from audioprep.errors import ShapeError


def framed(wave_T: Wave, n_fft: int, win_samples: int, hop_samples: int) -> Float32:
    """Return what each window covers [N, win_samples], a view.

    Args:
        wave_T: Samples [T], float, full scale = 1.0.
        n_fft: Size of the transform that follows, samples, even; the window sits in its middle.
        win_samples: Length of the window, at most `n_fft`.
        hop_samples: Distance between frame centres, samples: `N = 1 + T // hop_samples`, and frame n is centred on sample
            `n * hop_samples`; the wave is mirrored beyond its ends.

    Raises:
        ShapeError: `wave_T` is not a mono wave, `n_fft` is odd, or the window does not fit into it.
    """
    check_mono("power_spectrogram", wave_T)
    check_positive("power_spectrogram", n_fft=n_fft, win_samples=win_samples, hop_samples=hop_samples)
    if n_fft % 2 or win_samples > n_fft:
        raise ShapeError(
            f"power_spectrogram: expected an even n_fft of at least the window, got n_fft {n_fft} for a window of "
            f"{win_samples} samples; use a larger n_fft or a shorter window"
        )
    before = n_fft // 2 - (n_fft - win_samples) // 2
    padded = _mirrored(wave_T.astype(np.float32, copy=False), before, win_samples - before)
    return np.lib.stride_tricks.sliding_window_view(padded, win_samples)[::hop_samples]


def _mirrored(wave_T: Float32, before: int, after: int) -> Float32:
    """Return a wave with its mirror image beyond both ends."""
    if wave_T.size <= max(before, after):
        return np.pad(wave_T, (before, after), mode="reflect")
    # The same, without np.pad's many small steps.
    return np.concatenate([wave_T[before:0:-1], wave_T, wave_T[-2 : -after - 2 : -1]])


@lru_cache(maxsize=8)
def hann(num_samples: int) -> Float32:
    """Return the periodic Hann window [num_samples], float32, 0 at its first sample, as torch.hann_window does."""
    phase = 2.0 * np.pi * np.arange(num_samples) / num_samples
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
