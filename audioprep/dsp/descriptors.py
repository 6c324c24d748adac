"""Six numbers a frame that describe its spectrum, each equal to librosa's.

All come from one power spectrum, whose frames are centred and mirrored at the ends: librosa's with center=True and
pad_mode="reflect" (its default pads with zeros).

Shape letters: N frames, F = n_fft // 2 + 1 bins, M mel bands, D descriptors.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.dsp.arrays import Float32, Float64
from audioprep.dsp.decibel import decibel, with_top_db

# The columns, in their order.
DESCRIPTORS = ("centroid_hz", "bandwidth_hz", "rolloff_hz", "flatness", "onset_strength", "rms")
ONSET_MELS = 128
_ONSET_TOP_DB = 80.0
_FLOOR = np.float32(1e-10)
_OCTAVES_PER_DB = np.log2(10.0) / 10.0


def descriptors(
    power_FN: Float32, mel_MN: Float32, *, rate_hz: int, hop_samples: int, rolloff: float = 0.85
) -> Float32:
    """Return the descriptors of each frame.

    Args:
        power_FN: Power spectrum [F, N], float32, >= 0.
        mel_MN: The same in `ONSET_MELS` mel bands [M, N], of Slaney's scale and norm from 0 Hz to Nyquist.
        rate_hz: Sampling rate, Hz.
        hop_samples: Distance between frame centres, samples.
        rolloff: Share of the magnitudes that lies below the roll-off.

    Returns:
        Descriptors [N, D], float32, in the order of `DESCRIPTORS`; silence is 0, but its flatness 1.

    Source: librosa.feature.spectral_centroid, spectral_bandwidth (p=2), spectral_rolloff (roll_percent=rolloff) and rms of the
    magnitudes S; spectral_flatness (amin=1e-10, power=2); librosa.onset.onset_strength (its defaults: 128 mel bands, top_db 80,
    lag 1, mean over the bands, moved by n_fft // (2 * hop) frames): all to a part in 10^4 of their largest. A roll-off may be one bin off, where the sum
    meets the share to the last bit.
    """
    num_bins = len(power_FN)
    n_fft = 2 * (num_bins - 1)
    bins_hz = np.arange(num_bins, dtype=np.float32) * np.float32(rate_hz / n_fft)
    magnitude_FN = np.sqrt(power_FN)
    centroid_N, bandwidth_N = _centre_and_spread(magnitude_FN, bins_hz[:, None])
    columns = (
        centroid_N,
        bandwidth_N,
        _rolloff(magnitude_FN, bins_hz, rolloff),
        _flatness(power_FN),
        onset_strength(mel_MN, n_fft // (2 * hop_samples)),
        _rms(power_FN),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def onset_strength(mel_MN: Float32, delay_frames: int) -> Float32:
    """Return by how many dB the bands rise from one frame to the next, on average; falling counts as 0.

    Args:
        mel_MN: Powers in mel bands [M, N], float32.
        delay_frames: By so many frames the result comes later, so that a rise stands where its cause is in the middle of the
            frame, and not where the frame begins to see it.

    Returns:
        Strength [N], float32, dB, >= 0; 0 in the first `delay_frames + 1` frames.
    """
    decibel_MN = with_top_db(decibel(mel_MN), _ONSET_TOP_DB)
    rise_N = np.maximum(np.diff(decibel_MN, axis=1), np.float32(0.0)).mean(axis=0)
    num_frames = mel_MN.shape[1]
    return np.concatenate([np.zeros(delay_frames + 1, np.float32), rise_N])[:num_frames]


def _centre_and_spread(magnitude_FN: Float32, bins_hz: Float32) -> tuple[Float64, Float64]:
    """Return the mean frequency, and the root of the mean squared distance from it, weighted by magnitude."""
    total_N = _sum(magnitude_FN)
    shares_FN = magnitude_FN / np.where(total_N > 0.0, total_N, 1.0).astype(np.float32)
    centroid_N = _sum(bins_hz * shares_FN)
    away_FN = bins_hz - centroid_N.astype(np.float32)
    return centroid_N, np.sqrt(_sum(shares_FN * np.square(away_FN)))


def _rolloff(magnitude_FN: Float32, bins_hz: Float32, share: float) -> Float32:
    """Return the frequency of the first bin up to which the magnitudes make up a share of their sum."""
    sums_FN = np.cumsum(magnitude_FN, axis=0)
    first_N = (sums_FN >= np.float32(share) * sums_FN[-1]).argmax(axis=0)
    return np.asarray(bins_hz[first_N])


def _flatness(power_FN: Float32) -> Float64:
    """Return the geometric mean of the powers over their arithmetic mean."""
    mean_db_N = _sum(decibel(power_FN)) / len(power_FN)
    mean_N = _sum(np.maximum(power_FN, _FLOOR)) / len(power_FN)
    return _power_of(mean_db_N) / mean_N


def _rms(power_FN: Float32) -> Float64:
    """Return the root mean square of the windowed samples, by Parseval: inner bins stand for two."""
    n_fft = 2 * (len(power_FN) - 1)
    twice_N = 2.0 * _sum(power_FN) - power_FN[0] - power_FN[-1]
    return np.asarray(np.sqrt(np.maximum(twice_N, 0.0))) / n_fft


def _sum(values_FN: npt.NDArray[Any]) -> Float64:
    """Return the sum over the bins, added in their order."""
    return np.asarray(values_FN.sum(axis=0, dtype=np.float64))


def _power_of(decibel_N: Float64) -> Float64:
    """Return 10 ** (decibel / 10), within 1e-10 of it, the same on every CPU, as `decibel` is.

    2 ** t is 2 to the whole part of t times the exponential series of the rest, which is at most a half.
    """
    octaves_N = decibel_N * _OCTAVES_PER_DB
    whole_N = np.rint(octaves_N)
    rest_N = (octaves_N - whole_N) * np.log(2.0)
    series_N = np.ones_like(rest_N)
    for order in range(10, 0, -1):
        series_N = 1.0 + series_N * rest_N / order
    return np.asarray(np.ldexp(series_N, whole_N.astype(np.int32)))
