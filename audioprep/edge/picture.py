"""Features and sound as pictures, with numpy alone.

Shape letters: T samples, N frames, M bins, W pixels across, H pixels down.
"""

import numpy as np

from audioprep.dsp.arrays import Float32

_RANGE = 80.0  # of dB; features of other kinds span less
# From the quietest to the loudest: shares of the range, and the colours there.
_STOPS = (0.0, 0.3, 0.55, 0.75, 0.9, 1.0)
_COLOURS = ((13, 17, 28), (54, 25, 96), (140, 41, 110), (222, 73, 76), (251, 160, 60), (252, 246, 195))
_TABLE = np.stack([np.interp(np.linspace(0, 1, 256), _STOPS, channel) for channel in zip(*_COLOURS, strict=True)], 1)


def spectrogram_ppm(values_NM: Float32, width: int, height: int) -> bytes:
    """Return features as a picture in PPM, which every Tk reads: time goes to the right, and bins upwards.

    Args:
        values_NM: Features [N, M], at least one.
        width: Pixels across.
        height: Pixels down.
    """
    high = float(values_NM.max())
    low = max(float(np.percentile(values_NM, 2)), high - _RANGE)
    share_NM = np.clip((values_NM - low) / max(high - low, 1e-6), 0.0, 1.0)
    share_HW = _stretched(_stretched(share_NM, width).T, height)[::-1]
    pixels_HW3 = _TABLE.astype(np.uint8)[np.rint(share_HW * 255).astype(np.uint8)]
    return b"P6 %d %d 255\n" % (width, height) + pixels_HW3.tobytes()


def outline(wave_T: Float32, width: int) -> tuple[Float32, Float32]:
    """Return the lowest and the highest sample of each column of a picture, each [W].

    Of fewer samples than columns, neighbours show the same one.

    Args:
        wave_T: Samples [T], at least one.
        width: Pixels across.
    """
    first_W = np.arange(width) * len(wave_T) // width
    return np.minimum.reduceat(wave_T, first_W), np.maximum.reduceat(wave_T, first_W)


def _stretched(values: Float32, size: int) -> Float32:
    """Return rows in another number, each between its two neighbours."""
    place = np.clip((np.arange(size) + 0.5) * len(values) / size - 0.5, 0, len(values) - 1)
    before = place.astype(int)
    after = np.minimum(before + 1, len(values) - 1)
    share = (place - before).astype(np.float32)[:, None]
    stretched: Float32 = values[before] * (1 - share) + values[after] * share
    return stretched
