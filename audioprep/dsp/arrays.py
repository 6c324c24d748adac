"""The array types of the kernels, and the one check that all of them need."""

from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.errors import ShapeError

Float16 = npt.NDArray[np.float16]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int8 = npt.NDArray[np.int8]
Wave = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def check_mono(where: str, wave_T: npt.NDArray[Any]) -> None:
    """Refuse what is not one channel of floating-point samples.

    Args:
        where: The kernel that asks, for the message.
        wave_T: Samples [T], float, at least one.

    Raises:
        ShapeError: `wave_T` is not 1-D, is empty, or holds integers.
    """
    if wave_T.ndim != 1 or wave_T.size == 0:
        raise ShapeError(f"{where}: expected samples [T] with T > 0, got shape {list(wave_T.shape)}; mix to mono first")
    if not np.issubdtype(wave_T.dtype, np.floating):
        raise ShapeError(f"{where}: expected float samples, full scale 1.0, got {wave_T.dtype}; scale them first")


def check_positive(where: str, **values: float) -> None:
    """Refuse a rate or a number of samples that is zero or negative.

    Args:
        where: The kernel that asks, for the message.
        **values: The numbers, by the name the caller knows them by.

    Raises:
        ShapeError: One of them is not above zero.
    """
    for name, value in values.items():
        if value <= 0:
            raise ShapeError(f"{where}: expected {name} > 0, got {value}; mend that value")
