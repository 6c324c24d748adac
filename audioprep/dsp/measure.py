"""From a decoded recording to what is stored of it, and to what is known of it.

Shape letters: T samples, C channels.
"""

import math
from typing import Any

import numpy as np

from audioprep.dsp.arrays import Float32, Wave
from audioprep.dsp.k_weighting import Weigh, k_weighted
from audioprep.dsp.levels import dc_offset, energy_envelope_db, frame_energy, peak_db, power_db
from audioprep.dsp.loudness import integrated_lufs, true_peak_db
from audioprep.errors import ShapeError

# Frames of the coarse envelope, from which the used part is decided.
ENVELOPE_FRAME_S = 0.02
_STEPS = 32768


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


def to_stored(wave_T: Wave) -> tuple[np.ndarray, float]:
    """Bring a mono recording at the wanted rate to what is stored: within full scale, in 16-bit steps.

    Args:
        wave_T: Samples [T], float32.

    Returns:
        Samples [T], float32, multiples of 2^-15, and by how many dB they were turned down: resampling can overshoot
        and float files can exceed full scale, and neither is clipped here.
    """
    peak = max(float(wave_T.max()), -float(wave_T.min()))
    limit = 32767 / 32768
    attenuation_db = 20 * math.log10(peak / limit) if peak > limit else 0.0
    scale = np.float32(1.0)
    if attenuation_db:
        attenuation_db = math.ceil(attenuation_db * 1e4) / 1e4
        scale = np.float32(10 ** (-attenuation_db / 20))
    stored_T = wave_T * (scale * np.float32(_STEPS))
    np.rint(stored_T, out=stored_T)
    stored_T *= np.float32(1.0 / _STEPS)
    return stored_T, attenuation_db


def as_steps(wave_T: np.ndarray) -> np.ndarray:
    """Return stored samples [T] as the whole numbers that they are multiples of, int16."""
    return np.asarray(wave_T * np.float32(_STEPS), np.int16)


def measure(wave_T: np.ndarray, rate_hz: int, weigh: Weigh = k_weighted) -> dict[str, Any]:
    """Return what decisions are made of: loudness, levels and the coarse envelope.

    Args:
        wave_T: Samples [T], float32, full scale = 1.0.
        rate_hz: Sampling rate.
        weigh: What applies the K curve of loudness.
    """
    frame_samples = round(ENVELOPE_FRAME_S * rate_hz)
    energy_E = frame_energy(wave_T, frame_samples)
    levels = {
        "loudness_lufs": integrated_lufs(wave_T, rate_hz, weigh),
        "true_peak_db": true_peak_db(wave_T),
        "peak_db": peak_db(wave_T),
        "rms_db": power_db(float(energy_E.sum()) / len(wave_T)),
        "dc_offset": dc_offset(wave_T),
    }
    # Rounded well above the noise of float arithmetic, so that two kinds of CPU write the same table.
    rounded = {name: None if value is None else round(float(value), 4) for name, value in levels.items()}
    return {
        **rounded,
        "num_samples": len(wave_T),
        "duration_s": len(wave_T) / rate_hz,
        "envelope_frame_s": frame_samples / rate_hz,
        "envelope_db": energy_envelope_db(energy_E, len(wave_T), frame_samples).tolist(),
    }
