"""Power in dB, the same bits on every CPU.

Shape letters: N frames, M bins or bands.
"""

import numpy as np

from audioprep.dsp.arrays import Float32

_FLOOR_DB = -100.0  # of a power of 1e-10 and less: keeps silence finite
# 10 log10(m) = s (c0 + c1 s^2 + c2 s^4) with s = (m - 1) / (m + 1), for m between the root of 1/2 and the root of 2: the
# polynomial through the Chebyshev nodes of that range, 2e-7 dB off at most.
_LOG_COEFFICIENTS = tuple(np.float32(20.0 / np.log(10.0) * c) for c in (1.00000012, 0.33326133, 0.20647455))
_ROOT_HALF_BITS = np.int32(0x3F3504F3)  # a float32: the power of two from bit 23 up, and what it multiplies below
_MANTISSA_MASK = np.int32(0x7FFFFF)
_DB_PER_OCTAVE = np.float32(10.0 * np.log10(2.0))


def levels_db(power_MN: Float32, top_db: float | None = None) -> Float32:
    """Return powers in dB, frame by frame.

    Args:
        power_MN: Powers [M, N], float32, >= 0.
        top_db: Values lower than the largest minus this are raised to it; None leaves them.

    Returns:
        Levels [N, M], float32, dB re 1.0, at least -100.

    Source: of a power spectrogram it equals librosa.power_to_db(ref=1.0, amin=1e-10, top_db=top_db) and torchaudio's
    AmplitudeToDB("power", top_db), to 0.001 dB from -60 dB up; below that the spectra themselves differ by rounding.
    """
    return np.ascontiguousarray(with_top_db(decibel(power_MN), top_db).T)


def with_top_db(decibel_MN: Float32, top_db: float | None) -> Float32:
    """Return dB values with those lower than the largest minus `top_db` raised to it; None leaves them."""
    return decibel_MN if top_db is None else np.maximum(decibel_MN, decibel_MN.max() - np.float32(top_db))


def decibel(power: Float32) -> Float32:
    """Return 10 log10(power), at least -100, float32, within 1e-5 dB.

    Each step is one operation that IEEE 754 rounds in one way, so that every CPU gives the same bits; the logarithms of
    numpy and the C library differ between CPUs in the last one.

    Args:
        power: Powers of any shape, float32, >= 0, finite.
    """
    bits = np.ascontiguousarray(power).view(np.int32) - _ROOT_HALF_BITS
    decibels = (bits >> 23).astype(np.float32)
    decibels *= _DB_PER_OCTAVE
    bits &= _MANTISSA_MASK
    bits += _ROOT_HALF_BITS
    mantissa = bits.view(np.float32)
    ratio = mantissa - np.float32(1.0)
    mantissa += np.float32(1.0)
    ratio /= mantissa
    square = np.square(ratio, out=mantissa)
    c0, c1, c2 = _LOG_COEFFICIENTS
    series = square * c2
    series += c1
    series *= square
    series += c0
    series *= ratio
    decibels += series
    return np.maximum(decibels, np.float32(_FLOOR_DB), out=decibels)
