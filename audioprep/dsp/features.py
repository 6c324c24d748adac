"""From a stored recording and its decisions to features.

Shape letters: T samples, N frames, M bins.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from audioprep.dsp.mel import log_mel, mel_filterbank
from audioprep.dsp.mfcc import deltas, mfcc
from audioprep.dsp.window import fit


def windowed(wave_T: np.ndarray, cut: dict[str, Any], window_samples: int) -> np.ndarray:
    """Return the decided part of a recording at its decided gain, fitted to the window.

    Args:
        wave_T: Samples [T], float32, of the stored recording.
        cut: `start` and `stop` in samples, `gain_db`, `pad`.
        window_samples: Length of the result.
    """
    part_T = wave_T[cut["start"] : cut["stop"]] * np.float32(10 ** (cut["gain_db"] / 20))
    return fit(part_T, window_samples, cut["pad"])


def feature_kernel(kind: str, rule: dict[str, Any], rate_hz: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from a windowed wave [T] to features [N, M], float32.

    Args:
        kind: `logmel` or `mfcc`.
        rule: Its section of params.yaml, as plain values.
        rate_hz: Sampling rate of the wave.
    """
    filters = _filters(
        rate_hz,
        rule["n_fft"],
        rule["n_mels"],
        rule["fmin_hz"],
        rule["fmax_hz"] or rate_hz / 2,
        rule["mel_scale"],
        rule["mel_norm"],
    )
    win_samples, hop_samples = round(rule["win_ms"] * rate_hz / 1000), round(rule["hop_ms"] * rate_hz / 1000)

    def logmel_of(wave_T: np.ndarray) -> np.ndarray:
        return log_mel(wave_T, filters, win_samples=win_samples, hop_samples=hop_samples, top_db=rule["top_db"])

    def mfcc_of(wave_T: np.ndarray) -> np.ndarray:
        orders = [mfcc(logmel_of(wave_T), rule["n_mfcc"])]
        for _ in range(rule["deltas"]):
            orders.append(deltas(orders[-1]))
        return np.concatenate(orders, axis=1)

    return {"logmel": logmel_of, "mfcc": mfcc_of}[kind]


@functools.lru_cache(maxsize=8)
def _filters(rate_hz: int, n_fft: int, n_mels: int, fmin_hz: float, fmax_hz: float, scale: Any, norm: Any) -> csr_array:
    return csr_array(mel_filterbank(rate_hz, n_fft, n_mels, fmin_hz, fmax_hz, scale, norm))
