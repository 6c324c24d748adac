"""Worse audio on purpose: noise at a chosen level, and the sound of a room.

Shape letters: T samples.
"""

import numpy as np
from scipy.signal import fftconvolve

from audioprep.dsp.arrays import Float64, Wave, check_mono
from audioprep.errors import ShapeError

# The direct sound is followed by reverberation this much weaker, in all: a source some metres away.
_DIRECT_TO_REVERBERANT_DB = 0.0


def white_noise(num_samples: int, rng: np.random.Generator) -> Float64:
    """Return noise [T] of mean power 1 with the same power in every hertz."""
    return _unit_power(rng.standard_normal(num_samples))


def pink_noise(num_samples: int, rng: np.random.Generator) -> Float64:
    """Return noise [T] of mean power 1 with the same power in every octave: 3 dB less in each hertz an octave up."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0.0
    return _unit_power(np.fft.irfft(spectrum, num_samples))


def part_of_noise(noise_T: Wave, num_samples: int, rng: np.random.Generator) -> Float64:
    """Return a part [T] of recorded noise that begins anywhere, of mean power 1; shorter noise begins again.

    Raises:
        ShapeError: The noise is no mono wave, or silent.
    """
    check_mono("noise", noise_T)
    if not np.any(noise_T):
        raise ShapeError("noise: expected a sound, got silence; choose other noise")
    start = int(rng.integers(len(noise_T)))
    # From a silent part, the next sound counts.
    part_T = np.resize(np.roll(noise_T, -start), num_samples).astype(np.float64)
    return _unit_power(part_T if np.any(part_T) else np.resize(noise_T[noise_T != 0], num_samples).astype(np.float64))


def with_noise(wave_T: Wave, noise_T: Float64, snr_db: float, power: float) -> Float64:
    """Return a wave [T] with noise.

    Args:
        wave_T: The wave.
        noise_T: Noise of mean power 1.
        snr_db: How much more power the sound has than the noise.
        power: Mean power of the sound, where it sounds: padding would make it weaker than it is.
    """
    return np.asarray(wave_T + np.sqrt(power / 10 ** (snr_db / 10)) * noise_T, np.float64)


def with_reverb(wave_T: Wave, rate_hz: int, rt60_s: float, rng: np.random.Generator) -> Float64:
    """Return a wave [T] as it sounds in a synthetic room, of the same mean power.

    The room's response is an impulse, then white noise that falls by 60 dB in `rt60_s`, of as much energy as the impulse.

    Args:
        wave_T: The wave.
        rate_hz: Its sampling rate.
        rt60_s: Reverberation time.
        rng: Draws the response.

    Source: Moorer 1979, About this reverberation business, Computer Music Journal 3(2), 13-28: decaying noise.
    """
    check_mono("with_reverb", wave_T)
    times_s = np.arange(1, max(2, round(rt60_s * rate_hz))) / rate_hz
    tail = rng.standard_normal(len(times_s)) * 10 ** (-3 * times_s / rt60_s)
    tail *= 10 ** (-_DIRECT_TO_REVERBERANT_DB / 20) / np.sqrt((tail**2).sum())
    wet_T = fftconvolve(wave_T.astype(np.float64), np.concatenate([[1.0], tail]))[: len(wave_T)]
    before, after = np.mean(np.square(wave_T, dtype=np.float64)), np.mean(wet_T**2)
    return np.asarray(wet_T * np.sqrt(before / after) if after > 0 else wet_T, np.float64)


def _unit_power(noise_T: Float64) -> Float64:
    return np.asarray(noise_T / np.sqrt(np.mean(noise_T**2)), np.float64)
