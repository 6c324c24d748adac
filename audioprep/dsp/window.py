"""Where a recording is trimmed, and how a clip is fitted to the window that the model takes.

Shape letters: T samples, K recordings, E envelope frames of all recordings, one recording after the other.
"""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from audioprep.dsp.arrays import Float32, Int8, Wave, check_mono, check_positive
from audioprep.dsp.levels import ENVELOPE_FLOOR_DB
from audioprep.errors import ShapeError, unknown_name

Ints = npt.NDArray[np.int64]
Pad = Literal["zeros", "centre", "wrap", "reflect"]


def trim_bounds(
    envelope_E: Int8,
    num_frames_K: Ints,
    frame_samples_K: Ints,
    num_samples_K: Ints,
    *,
    threshold_db: float,
    margin_samples: int,
) -> tuple[Ints, Ints]:
    """Return the part of each recording that is left when quiet ends are cut off.

    Args:
        envelope_E: Level of each frame of all recordings [E], int8, dB, as `levels.envelope_db` gives it.
        num_frames_K: How many of these frames each recording has [K]: `ceil(num_samples_K / frame_samples_K)`.
        frame_samples_K: Length of a frame, samples [K].
        num_samples_K: Length of each recording, samples [K].
        threshold_db: A frame counts as sound down to this level relative to the loudest frame, dB, <= 0 (-50: up to
            50 dB below it).
        margin_samples: Kept on either side of the first and the last such frame, samples.

    Returns:
        Starts [K] and stops [K], samples, 0 <= start < stop <= num_samples. Digital silence is kept whole.

    Raises:
        ShapeError: An envelope does not fit its recording, the threshold is positive, or the margin is negative.
    """
    _check_envelopes(envelope_E, num_frames_K, frame_samples_K, num_samples_K)
    if threshold_db > 0 or margin_samples < 0:
        raise ShapeError(
            f"trim_bounds: expected threshold_db <= 0 and margin_samples >= 0, got {threshold_db:g} and "
            f"{margin_samples}; the threshold is relative to the loudest frame, for example -50"
        )
    if not len(num_frames_K):
        return num_samples_K, num_samples_K
    ends_K = np.cumsum(num_frames_K)
    first_K = ends_K - num_frames_K
    loudest_K = np.maximum.reduceat(envelope_E, first_K)
    # Levels are whole, so the least that counts as sound is too.
    quietest_K = np.ceil(loudest_K + threshold_db).astype(np.int16)
    sounding = np.flatnonzero(envelope_E >= np.repeat(quietest_K, num_frames_K))
    # Every recording has a sounding frame, its loudest.
    start_K = sounding[np.searchsorted(sounding, first_K)] - first_K
    stop_K = sounding[np.searchsorted(sounding, ends_K) - 1] - first_K + 1
    is_silent_K = loudest_K == ENVELOPE_FLOOR_DB
    start_K = np.where(is_silent_K, 0, np.maximum(0, start_K * frame_samples_K - margin_samples))
    stop_K = np.where(is_silent_K, num_samples_K, stop_K * frame_samples_K + margin_samples)
    return start_K, np.minimum(num_samples_K, stop_K)


def _check_envelopes(envelope_E: Int8, num_frames_K: Ints, frame_samples_K: Ints, num_samples_K: Ints) -> None:
    check_positive(
        "trim_bounds", frame_samples=frame_samples_K.min(initial=1), num_samples=num_samples_K.min(initial=1)
    )
    expected_K = -(-num_samples_K // frame_samples_K)
    wrong = np.flatnonzero(num_frames_K != expected_K)
    if len(wrong) or len(envelope_E) != num_frames_K.sum():
        row = int(wrong[0]) if len(wrong) else -1
        raise ShapeError(
            f"trim_bounds: expected an envelope of {expected_K[row]} frames for {num_samples_K[row]} samples, got "
            f"{num_frames_K[row]}; measure it again"
        )


def num_windows(num_samples_K: Ints, window_samples: int, hop_samples: int | None) -> Ints:
    """Return how many windows there are in each part [K], at least one; window w starts at `w * hop_samples`.

    Another one follows where at least half of what it adds is there, a hop or, with gaps between, a window; so the last one
    may be shorter than a window, but not than half of one, and less than half a hop at the end may be in none.

    Args:
        num_samples_K: Length of each part, samples [K].
        window_samples: Length of a window.
        hop_samples: Distance between starts of windows; None is one window, whatever there is.
    """
    if hop_samples is None:
        return np.ones_like(num_samples_K)
    added_samples = min(hop_samples, window_samples)
    more_K = (2 * (num_samples_K - window_samples) + added_samples) // (2 * hop_samples)
    return np.asarray(1 + np.maximum(0, more_K), np.int64)


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
