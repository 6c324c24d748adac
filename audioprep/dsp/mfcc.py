"""Mel-frequency cepstral coefficients and their deltas, equal to torchaudio's.

Shape letters: N frames, M mel bands, C coefficients.
"""

import numpy as np
import scipy.fft

from audioprep.dsp.arrays import Float32
from audioprep.errors import ShapeError


def mfcc(log_mel_NM: Float32, n_mfcc: int) -> Float32:
    """Return the first cepstral coefficients of a log-mel spectrogram.

    Args:
        log_mel_NM: Log-mel power [N, M], float32, dB. torchaudio's MFCC makes its own with `top_db=80`.
        n_mfcc: Number of coefficients C, 1 to M.

    Returns:
        Coefficients [N, C], float32: the orthonormal DCT-II over the bands, so coefficient 0 is the mean level times
        sqrt(M).

    Raises:
        ShapeError: `log_mel_NM` is not 2-D, or there are fewer bands than coefficients.

    Source: equals torchaudio.transforms.MFCC (dct_type 2, norm "ortho", log_mels False) to 1e-3.
    """
    if log_mel_NM.ndim != 2:
        raise ShapeError(f"mfcc: expected log-mel [N, M], got shape {list(log_mel_NM.shape)}; give one clip at a time")
    num_bands = log_mel_NM.shape[1]
    if not 1 <= n_mfcc <= num_bands:
        raise ShapeError(f"mfcc: expected n_mfcc from 1 to n_mels = {num_bands}, got {n_mfcc}; mend n_mfcc or n_mels")
    cepstrum = scipy.fft.dct(log_mel_NM, type=2, norm="ortho", axis=1)
    return np.ascontiguousarray(cepstrum[:, :n_mfcc], dtype=np.float32)


def deltas(coefficients_NC: Float32, win_frames: int = 5) -> Float32:
    """Return the slope over time of every coefficient, by linear regression around each frame.

    Args:
        coefficients_NC: Coefficients [N, C], float32.
        win_frames: Frames that the regression spans, odd, at least 3.

    Returns:
        Slopes [N, C], float32, units per frame; the first and last frame are repeated beyond the ends.

    Raises:
        ShapeError: `coefficients_NC` is not 2-D or has no frame, or `win_frames` is even or below 3.

    Source: HTK Book 3.4 eq. 5.16; equals torchaudio.functional.compute_deltas (which takes [C, N]).
    """
    if coefficients_NC.ndim != 2 or len(coefficients_NC) == 0:
        shape = list(coefficients_NC.shape)
        raise ShapeError(f"deltas: expected coefficients [N, C] with N > 0, got shape {shape}; give one clip at a time")
    if win_frames < 3 or win_frames % 2 == 0:
        raise ShapeError(f"deltas: expected an odd win_frames >= 3, got {win_frames}; use 5")
    reach = win_frames // 2
    padded = np.pad(coefficients_NC.astype(np.float64), ((reach, reach), (0, 0)), mode="edge")
    num_frames = len(coefficients_NC)
    slope = np.zeros(coefficients_NC.shape)
    for lag in range(1, reach + 1):
        ahead = padded[reach + lag : reach + lag + num_frames]
        behind = padded[reach - lag : reach - lag + num_frames]
        slope += lag * (ahead - behind)
    slope /= 2.0 * sum(lag * lag for lag in range(1, reach + 1))
    return slope.astype(np.float32)
