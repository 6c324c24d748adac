"""Decisions about recordings, from what was measured of them: which gain, which part. The pipeline and the edge share them.

Shape letters: K recordings, E envelope frames of all recordings, one recording after the other.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from audioprep.dsp.arrays import Float64, Int8
from audioprep.dsp.window import Ints, num_windows, trim_bounds

LoudnessMode = Literal["lufs", "rms", "peak", "off"]

# Below this a recording has no sound in 16 bits: its loudest sample rounds to at most 3 steps.
SILENT_PEAK_DB = -80.0
# Shorter than the hop of most features: nothing can be learnt from it.
MIN_DURATION_S = 0.01


def is_silent(peak_db: float | None) -> bool:
    """Tell whether a recording with this sample peak (dB re full scale; None for digital silence) holds no sound."""
    return peak_db is None or peak_db < SILENT_PEAK_DB


def decide_gains(
    *,
    mode: LoudnessMode,
    loudness_lufs: Float64,
    rms_db: Float64,
    peak_db: Float64,
    true_peak_db: Float64,
    attenuation_db: Float64,
    target_lufs: float,
    target_rms_db: float,
    target_peak_db: float,
    true_peak_ceiling_db: float,
    max_gain_db: float,
) -> tuple[Float64, npt.NDArray[np.str_]]:
    """Return the gain of each recording, finite where the levels are, and what decided it.

    Args:
        mode: What is brought to its target: integrated loudness, RMS, sample peak, or nothing.
        loudness_lufs: BS.1770 loudness [K]; NaN for silence and below 0.4 s, where it is not defined.
        rms_db: RMS levels [K], dB re full scale; NaN for digital silence.
        peak_db: Sample peaks [K], dB re full scale; NaN for digital silence.
        true_peak_db: True peaks [K], dB re full scale; NaN for digital silence.
        attenuation_db: By how much each stored recording was turned down to fit full scale [K].
        target_lufs: Target of mode `lufs`.
        target_rms_db: Target of mode `rms`.
        target_peak_db: Target of mode `peak`.
        true_peak_ceiling_db: No gain lifts the true peak above this.
        max_gain_db: No gain is larger than this.

    Returns:
        The gains [K], dB, and the reasons [K]: the mode; `rms_fallback` where there is no loudness (the RMS is brought to
        the loudness target instead); `true_peak` or `max_gain` where a limit decided; `silent` where there is nothing to
        measure and the gain is 0; `off`, where the gain restores the original level.
    """
    if mode == "off":
        return _rounded(attenuation_db), np.full(len(attenuation_db), mode)
    level_K, target_db = {
        "lufs": (loudness_lufs, target_lufs),
        "rms": (rms_db, target_rms_db),
        "peak": (peak_db, target_peak_db),
    }[mode]
    gain_K = target_db - np.where(np.isnan(level_K), rms_db, level_K)
    is_silent_K = np.isnan(gain_K)
    is_large_K = gain_K > max_gain_db
    gain_K = np.where(is_large_K, max_gain_db, gain_K)
    is_high_K = true_peak_db + gain_K > true_peak_ceiling_db  # false where there is no true peak
    gain_K = np.where(is_high_K, true_peak_ceiling_db - true_peak_db, gain_K)
    conditions = [is_silent_K, is_high_K, is_large_K, np.isnan(level_K)]
    reason_K = np.select(conditions, ["silent", "true_peak", "max_gain", "rms_fallback"], mode)
    return _rounded(np.where(is_silent_K, 0.0, gain_K)), reason_K


def decide_gain(*, attenuation_db: float, **settings: Any) -> tuple[float, str]:
    """Return the gain of one recording and what decided it: `decide_gains` for levels that are numbers, or None."""
    levels = ("loudness_lufs", "rms_db", "peak_db", "true_peak_db")
    settings |= {name: np.array([settings[name]], np.float64) for name in levels}
    (gain_db,), (reason,) = decide_gains(attenuation_db=np.array([attenuation_db]), **settings)
    return float(gain_db), str(reason)


def decide_parts(
    envelope_E: Int8,
    num_frames_K: Ints,
    envelope_frame_s_K: Float64,
    num_samples_K: Ints,
    rate_hz: int,
    *,
    mode: Literal["energy", "off"],
    threshold_db: float,
    margin_s: float,
    window_samples: int,
    hop_samples: int | None = None,
) -> tuple[Ints, Ints]:
    """Return the part of each recording that is used, starts [K] and stops [K] in samples.

    Args:
        envelope_E: Level of each envelope frame of all recordings [E], int8, dB.
        num_frames_K: How many of these frames each recording has [K].
        envelope_frame_s_K: Length of a frame [K].
        num_samples_K: Length of each recording [K].
        rate_hz: Sampling rate of all.
        mode: `energy` cuts quiet ends off, `off` keeps everything.
        threshold_db: What counts as sound, relative to the loudest frame.
        margin_s: Kept on both sides of the sound.
        window_samples: Length of the window.
        hop_samples: From the start of one window to that of the next: the part ends where its last window does, see
            `num_windows`. None: what is longer is cut to its first window.

    Raises:
        ShapeError: An envelope does not fit its recording.
    """
    start_K, stop_K = np.zeros_like(num_samples_K), num_samples_K
    if mode == "energy":
        start_K, stop_K = trim_bounds(
            envelope_E,
            num_frames_K,
            np.rint(envelope_frame_s_K * rate_hz).astype(np.int64),
            num_samples_K,
            threshold_db=threshold_db,
            margin_samples=round(margin_s * rate_hz),
        )
    last_K = (num_windows(stop_K - start_K, window_samples, hop_samples) - 1) * (hop_samples or 0)
    return start_K, np.minimum(stop_K, start_K + last_K + window_samples)


def decide_part(
    envelope_E: Int8, envelope_frame_s: float, num_samples: int, rate_hz: int, **settings: Any
) -> tuple[int, int]:
    """Return the part of one recording that is used, `(start, stop)` in samples: `decide_parts` for one."""
    (start,), (stop,) = decide_parts(
        envelope_E,
        np.array([len(envelope_E)]),
        np.array([envelope_frame_s]),
        np.array([num_samples]),
        rate_hz,
        **settings,
    )
    return int(start), int(stop)


def _rounded(gain_K: Float64) -> Float64:
    # Not np.round, which is off by a unit in the last place where the product with 10 000 is.
    return np.array([round(gain_db, 4) for gain_db in gain_K.tolist()], np.float64)
