"""Power spectrogram in dB, equal to librosa's and torchaudio's.

Shape letters: N frames, F = n_fft // 2 + 1 bins.
"""

import numpy as np

from audioprep.dsp.arrays import Float32
from audioprep.dsp.mel import decibel, with_top_db


def spectrogram(power_FN: Float32, top_db: float | None = None) -> Float32:
    """Return a power spectrogram in dB.

    Args:
        power_FN: Powers [F, N], float32, >= 0.
        top_db: Values lower than the clip's largest minus this are raised to it; None leaves them.

    Returns:
        Levels [N, F], float32, dB re 1.0, at least -100: bin f is at `f * rate_hz / n_fft` Hz.

    Source: equals librosa.power_to_db(abs(librosa.stft(y, n_fft, hop_length, win_length, pad_mode="reflect")) ** 2, ref=1.0,
    amin=1e-10, top_db=top_db) and torchaudio's Spectrogram + AmplitudeToDB("power", top_db), to 0.001 dB from -60 dB up;
    below that the spectra themselves differ by rounding.
    """
    return np.ascontiguousarray(with_top_db(decibel(power_FN), top_db).T)
