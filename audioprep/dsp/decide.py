"""Decisions about one recording, from what was measured of it: which gain, which part. The pipeline and the edge share them."""

from typing import Literal

import numpy as np

from audioprep.dsp.window import trim_bounds

LoudnessMode = Literal["lufs", "rms", "peak", "off"]

# Below this a recording has no sound in 16 bits: its loudest sample rounds to at most 3 steps.
SILENT_PEAK_DB = -80.0


def is_silent(peak_db: float | None) -> bool:
    """Tell whether a recording with this sample peak (dB re full scale; None for digital silence) holds no sound."""
    return peak_db is None or peak_db < SILENT_PEAK_DB


def decide_gain(
    *,
    mode: LoudnessMode,
    loudness_lufs: float | None,
    rms_db: float | None,
    peak_db: float | None,
    true_peak_db: float | None,
    attenuation_db: float,
    target_lufs: float,
    target_rms_db: float,
    target_peak_db: float,
    true_peak_ceiling_db: float,
    max_gain_db: float,
) -> tuple[float, str]:
    """Return the gain of a recording, always finite, and what decided it.

    Args:
        mode: What is brought to its target: integrated loudness, RMS, sample peak, or nothing.
        loudness_lufs: BS.1770 loudness; None for silence and below 0.4 s, where it is not defined.
        rms_db: RMS level, dB re full scale; None for digital silence.
        peak_db: Sample peak, dB re full scale; None for digital silence.
        true_peak_db: True peak, dB re full scale; None for digital silence.
        attenuation_db: By how much the stored recording was turned down to fit full scale.
        target_lufs: Target of mode `lufs`.
        target_rms_db: Target of mode `rms`.
        target_peak_db: Target of mode `peak`.
        true_peak_ceiling_db: No gain lifts the true peak above this.
        max_gain_db: No gain is larger than this.

    Returns:
        The gain in dB, and the reason: the mode; `rms_fallback` where there is no loudness (the RMS is brought to the
        loudness target instead); `true_peak` or `max_gain` where a limit decided; `silent` where there is nothing to
        measure and the gain is 0; `off`, where the gain restores the original level.
    """
    if mode == "off":
        return round(attenuation_db, 4), "off"
    level_db, target_db, reason = {
        "lufs": (loudness_lufs, target_lufs, "lufs"),
        "rms": (rms_db, target_rms_db, "rms"),
        "peak": (peak_db, target_peak_db, "peak"),
    }[mode]
    if level_db is None:
        level_db, reason = rms_db, "rms_fallback"
    if level_db is None:
        return 0.0, "silent"
    gain_db = target_db - level_db
    if gain_db > max_gain_db:
        gain_db, reason = max_gain_db, "max_gain"
    if true_peak_db is not None and true_peak_db + gain_db > true_peak_ceiling_db:
        gain_db, reason = true_peak_ceiling_db - true_peak_db, "true_peak"
    return round(gain_db, 4), reason


def decide_part(
    envelope_E: np.ndarray,
    envelope_frame_s: float,
    num_samples: int,
    rate_hz: int,
    *,
    mode: Literal["energy", "off"],
    threshold_db: float,
    margin_s: float,
    window_samples: int,
) -> tuple[int, int]:
    """Return the part of a recording that is used, `(start, stop)` in samples, at most one window long.

    Args:
        envelope_E: Level of each envelope frame [E], int8, dB.
        envelope_frame_s: Length of a frame.
        num_samples: Length of the recording.
        rate_hz: Sampling rate.
        mode: `energy` cuts quiet ends off, `off` keeps everything.
        threshold_db: What counts as sound, relative to the loudest frame.
        margin_s: Kept on both sides of the sound.
        window_samples: Length of the window; what is longer is cut to its first window.
    """
    start, stop = 0, num_samples
    if mode == "energy":
        start, stop = trim_bounds(
            envelope_E,
            round(envelope_frame_s * rate_hz),
            num_samples,
            threshold_db=threshold_db,
            margin_samples=round(margin_s * rate_hz),
        )
    return start, min(stop, start + window_samples)
