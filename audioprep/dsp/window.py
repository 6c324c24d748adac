"""Where a recording is trimmed, and how a clip is fitted to the window that the model takes.

Shape letters: T samples, E envelope frames.
"""

from typing import Literal, get_args

import numpy as np

from audioprep.dsp.arrays import Float32, Int8, Wave, check_mono, check_positive
from audioprep.dsp.levels import ENVELOPE_FLOOR_DB
from audioprep.errors import ShapeError, unknown_name

Pad = Literal["zeros", "centre", "wrap", "reflect"]


def trim_bounds(
    envelope_E: Int8,
    frame_samples: int,
    num_samples: int,
    *,
    threshold_db: float,
    margin_samples: int,
) -> tuple[int, int]:
    """Return the part of a recording that is left when quiet ends are cut off.

    Args:
        envelope_E: Level of each frame [E], int8, dB, as `levels.envelope_db` gives it.
        frame_samples: Length of a frame, samples.
        num_samples: Length of the recording, samples; `E = ceil(num_samples / frame_samples)`.
        threshold_db: A frame counts as sound down to this level relative to the loudest frame, dB, <= 0 (-50: up to
            50 dB below it).
        margin_samples: Kept on either side of the first and the last such frame, samples.

    Returns:
        `(start, stop)`, samples, 0 <= start < stop <= num_samples. Digital silence is kept whole.

    Raises:
        ShapeError: The envelope does not fit the recording, the threshold is positive, or the margin is negative.
    """
    check_positive("trim_bounds", frame_samples=frame_samples, num_samples=num_samples)
    num_frames = -(-num_samples // frame_samples)
    if envelope_E.shape != (num_frames,):
        raise ShapeError(
            f"trim_bounds: expected an envelope of {num_frames} frames for {num_samples} samples, "
            f"got shape {list(envelope_E.shape)}; measure it again"
        )
    if threshold_db > 0 or margin_samples < 0:
        raise ShapeError(
            f"trim_bounds: expected threshold_db <= 0 and margin_samples >= 0, got {threshold_db:g} and "
            f"{margin_samples}; the threshold is relative to the loudest frame, for example -50"
        )
    loudest_db = int(envelope_E.max())
    if loudest_db == ENVELOPE_FLOOR_DB:
        return 0, num_samples
    sounding = np.flatnonzero(envelope_E >= loudest_db + threshold_db)
    start = int(sounding[0]) * frame_samples - margin_samples
    stop = (int(sounding[-1]) + 1) * frame_samples + margin_samples
    return max(0, start), min(num_samples, stop)


def fit(wave_T: Wave, num_samples: int, pad: Pad = "zeros") -> Float32:
    """Return a clip of exactly the wanted length. Fitting what fits changes nothing.

    Args:
        wave_T: Samples [T], float.
        num_samples: Length wanted, samples. A longer clip is cut to its first `num_samples`.
        pad: How a shorter one is filled: `zeros` behind it, `centre` zeros on both sides (the odd one behind), `wrap`
            with the clip again from its start, `reflect` with its mirror image, and so on in turn.

    Returns:
        Samples [num_samples], float32.

    Raises:
        ShapeError: `wave_T` is not a mono wave, `num_samples` is not positive, or `pad` is unknown.
    """
    check_mono("fit", wave_T)
    check_positive("fit", num_samples=num_samples)
    wave_T = wave_T[:num_samples].astype(np.float32, copy=False)
    missing = num_samples - wave_T.size
    if pad == "zeros":
        return np.pad(wave_T, (0, missing))
    if pad == "centre":
        return np.pad(wave_T, (missing // 2, missing - missing // 2))
    if pad in ("wrap", "reflect"):
        return np.pad(wave_T, (0, missing), mode=pad)
    raise ShapeError(unknown_name("fit pad", pad, get_args(Pad)))
