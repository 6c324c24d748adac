"""Noise reduction by spectral gating: what is not above the noise in its band and moment is turned down.

It is noisereduce's gate with three settings of its own. Its mask is not smoothed over neighbouring bands, as by default over
500 Hz, which turns a tone down by 14 dB. Its transform is about 64 ms long at every rate. And the steady noise is
measured in the quietest half second of a recording, and not in all of it, where sounds that last would count as noise.

Source: Sainburg, Thielk and Gentner 2020, Finding, visualizing, and quantifying latent structure across diverse animal
vocal repertoires (PLoS Comput. Biol. 16(10)), whose program it is.

Shape letters: T samples, F frames.
"""

import math
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from audioprep.dsp.arrays import Float32, Wave, check_mono

_TRANSFORM_S = 0.064
_SMOOTH_MS = 50
_NOISE_S, _NOISE_SHARE = 0.5, 4
# Digital silence, with which corpora fill clips up, is no noise: it is left out, in blocks of so many samples.
_BLOCK_SAMPLES = 64


def denoiser(rule: Mapping[str, Any] | None, rate_hz: int) -> Callable[[Wave], Wave]:
    """Return the function from a stored recording [T] to one with less noise, of the same length.

    Args:
        rule: `mode`, `stationary` and `strength`, as in params.yaml; None is mode `off`, in which nothing changes.
        rate_hz: Sampling rate.
    """
    if rule is None or rule["mode"] == "off":
        return lambda wave_T: wave_T
    stationary, strength = bool(rule["stationary"]), float(rule["strength"])
    return lambda wave_T: gate(wave_T, rate_hz, stationary=stationary, strength=strength)


def gate(wave_T: Wave, rate_hz: int, *, stationary: bool, strength: float) -> Float32:
    """Return a recording with its noise turned down.

    Args:
        wave_T: Samples [T], float.
        rate_hz: Sampling rate.
        stationary: The noise is what the quietest stretch of the recording has, everywhere; otherwise it is what has
            lasted for two seconds or so.
        strength: Share of the noise that is taken away, 0 to 1: 0.9 turns it down by up to 20 dB.

    Returns:
        Samples [T], float32. Silence stays silence; what is shorter than the transform, 64 ms, stays as it is.

    Raises:
        ShapeError: It is not a mono wave.
    """
    check_mono("gate", wave_T)
    wave_T = wave_T.astype(np.float32, copy=False)
    num_fft = 2 ** round(math.log2(_TRANSFORM_S * rate_hz))
    if wave_T.size < num_fft or not wave_T.any():
        return wave_T
    noise_T = _quietest(wave_T, max(num_fft, min(round(_NOISE_S * rate_hz), wave_T.size // _NOISE_SHARE)))
    # Where a band is digital silence for long, the share of it above the noise is 0 / 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        gated_T = _reduce_noise()(
            wave_T,
            rate_hz,
            stationary=stationary,
            y_noise=noise_T if stationary else None,
            prop_decrease=strength,
            n_fft=num_fft,
            freq_mask_smooth_hz=None,
            time_mask_smooth_ms=_SMOOTH_MS,
        )
    return np.nan_to_num(gated_T, copy=False)


def _quietest(wave_T: Float32, num_samples: int) -> Float32:
    """Return the quietest stretch of a recording without its digital silence; all of it where that is too short."""
    blocks = wave_T[: wave_T.size - wave_T.size % _BLOCK_SAMPLES].reshape(-1, _BLOCK_SAMPLES)
    heard_T = blocks[blocks.any(axis=1)].reshape(-1)
    if heard_T.size < num_samples:
        return wave_T
    starts_F = np.arange(0, heard_T.size - num_samples + 1, num_samples // 4)
    energy_T = np.concatenate([[0.0], np.cumsum(np.square(heard_T, dtype=np.float64))])
    start = int(starts_F[np.argmin(energy_T[starts_F + num_samples] - energy_T[starts_F])])
    return heard_T[start : start + num_samples]


@cache
def _reduce_noise() -> Callable[..., Float32]:
    """Return noisereduce's function, imported without torch.

    It imports torch where it finds it, for another gate that is not used here: seconds and hundreds of megabytes of each
    worker. So torch is not to be found while it is imported, and what it shares with others is there before.
    """
    import joblib  # noqa: F401
    import scipy.signal  # noqa: F401
    import tqdm.auto  # noqa: F401

    hides = "torch" not in sys.modules
    if hides:
        sys.modules["torch"] = None  # type: ignore[assignment] # what Python takes for a module that is not there
    try:
        from noisereduce import reduce_noise
    finally:
        if hides:
            del sys.modules["torch"]
    return reduce_noise  # type: ignore[no-any-return]
