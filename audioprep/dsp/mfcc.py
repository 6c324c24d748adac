"""Mel-frequency cepstral coefficients, equal to torchaudio's.

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
