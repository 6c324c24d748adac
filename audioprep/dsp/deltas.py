"""How features change over time, equal to torchaudio's deltas.

Shape letters: N frames, C coefficients.
"""

import numpy as np

from audioprep.dsp.arrays import Float32
from audioprep.errors import ShapeError


def with_deltas(coefficients_NC: Float32, num_orders: int) -> Float32:
    """Return coefficients with their deltas, the deltas of these, and so on beside them: [N, C * (1 + num_orders)]."""
    orders = [coefficients_NC]
    for _ in range(num_orders):
        orders.append(deltas(orders[-1]))
    return np.concatenate(orders, axis=1)


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
