"""Pictures and sounds that lie in the page itself, as data addresses; the same bytes for the same numbers.

Shape letters: T samples, N frames, M bins.
"""

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

from audioprep.io.audio import encode_for_ears

# So much of a clip is heard and seen.
MAX_S = 10.0
# Frames are taken together until so many are left: a picture is no wider on the page.
_MAX_FRAMES = 360
# So many colours look like all of them, and make a file of a third of the size.
_NUM_COLOURS = 64
_PALETTE = (colormaps["magma"](np.linspace(0.0, 1.0, _NUM_COLOURS))[:, :3] * 255).round().astype(np.uint8)


def spectrogram(values_NM: npt.NDArray[Any], low: float, high: float) -> str:
    """Return features [N, M] as a PNG, time to the right and bins upwards; values from low to high run from dark to bright."""
    values_NM = values_NM.astype(np.float32)
    together = -(-len(values_NM) // _MAX_FRAMES)
    starts = np.arange(0, len(values_NM), together)
    values_NM = np.maximum.reduceat(values_NM, starts, axis=0)
    levels_NM = np.clip((values_NM - low) / max(high - low, 1e-6), 0.0, 1.0) * (_NUM_COLOURS - 1)
    image = Image.fromarray(np.ascontiguousarray(levels_NM.round().astype(np.uint8).T[::-1]))
    image.putpalette(_PALETTE.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return _address(buffer.getvalue(), "image/png")


def sound(wave_T: npt.NDArray[Any], rate_hz: int) -> str:
    """Return a mono clip [T] that browsers play."""
    return _address(*encode_for_ears(wave_T.astype(np.float32), rate_hz))


def _address(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
