"""A fingerprint that survives re-encoding, gain, resampling and cutting: 32 bits for every 10 ms of sound.

Every bit says whether the energy of a band grew, over 20 ms, by more than that of the band above it. Gain leaves all bits
as they are; the bands lie between 312 and 3,406 Hz, which every rate from 8 kHz on can carry; a shift moves the words; a
part of a recording has the words of that part. A tone that rings or hums has the same word all along, and so has any other
of its pitch: words that do not change are taken out, as silence is.

Shape letters: T samples, N frames, B bands, W words.

Source: J. Haitsma and T. Kalker, A Highly Robust Audio Fingerprinting System, ISMIR 2002, eq. 1; with short frames, for
recordings of a few tenths of a second.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft

from audioprep.dsp.arrays import Float32, Float64, Wave, check_mono, check_positive

UInt32 = npt.NDArray[np.uint32]

HOP_S = 0.010
FRAME_S = 0.032
# Bins are 1 / FRAME_S = 31.25 Hz apart at every rate from 7 kHz on.
_FIRST_BIN, _NUM_BANDS, _BINS_PER_BAND = 10, 33, 3
_NUM_BINS = _NUM_BANDS * _BINS_PER_BAND
_LAG_FRAMES = 2
# Frames this far below the loudest one, or no louder than ten times what rounding to 16 bits adds, say nothing.
_QUIET = 10.0**-6.0
_ROUNDING_NOISE = 10.0 * 2.0**-30 / 12.0
# A word says nothing where no more bits than this change in 40 to 120 ms: 1 % of the words of speech and of field
# recordings, most of a note's. Unrelated words differ by 16.
_STEADY_LAGS, _STEADY_BITS = range(4, 13), 6
_MIN_TOLD_SHARE = 0.4  # speech and field recordings have 0.6 and more
_BLOCK_FRAMES = 192  # the spectra of a block stay in a core's own cache
# Waves are compared in the same band, which starts and ends over 100 Hz.
_LOW_HZ, _HIGH_HZ, _SLOPE_HZ = 300.0, 3400.0, 100.0
_COMPARED_S = 30.0  # the middle of a longer overlap


def fingerprint(wave_T: Wave, rate_hz: int) -> UInt32:
    """Return the fingerprint of a recording.

    Args:
        wave_T: Samples [T], float, full scale = 1.0.
        rate_hz: Sampling rate, Hz. Below 7 kHz frames are longer (55 ms at 4 kHz) and the bands lie lower.

    Returns:
        Words [W], uint32, `W = N - 3` for `N = 1 + floor((T / rate_hz - 0.032) / 0.01)` frames: word n describes the 62 ms
        from `n * 0.01` s on, its highest bit the lowest band. 0 stands for silence and for a steady tone, and is never the
        word of anything else. 2 kB for 5 s. Empty for silence, for a recording shorter than a word, and where over 60 %
        of the sound is a steady tone: a held note has no fingerprint.

    Raises:
        ShapeError: `wave_T` is not a mono wave, or the rate is not positive.
    """
    check_mono("fingerprint", wave_T)
    check_positive("fingerprint", rate_hz=rate_hz)
    power_NB = _band_power(wave_T, rate_hz)
    if len(power_NB) < _LAG_FRAMES + 2:
        return np.empty(0, np.uint32)
    pair_NB = power_NB[1:] + power_NB[:-1]
    growth_WB = pair_NB[_LAG_FRAMES:] - pair_NB[:-_LAG_FRAMES]
    bits = growth_WB[:, :-1] > growth_WB[:, 1:]
    words_W = np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)
    level_N = pair_NB.sum(axis=1)
    level_W = np.maximum(level_N[_LAG_FRAMES:], level_N[:-_LAG_FRAMES])
    is_sound_W = level_W > max(_QUIET * float(level_W.max()), _rounding_level(rate_hz))
    is_told_W = is_sound_W & ~_is_steady(words_W)
    if not is_told_W.any() or is_told_W.sum() < _MIN_TOLD_SHARE * is_sound_W.sum():
        return np.empty(0, np.uint32)
    return np.where(is_told_W, np.maximum(words_W, np.uint32(1)), np.uint32(0))


def correlation(one_T: Wave, other_T: Wave, rate_hz: int, offset_s: float, slack_s: float = 0.02) -> float:
    """Return how alike two waves are where they overlap, at the best lag near a given one.

    Both are limited to the band of the fingerprint and differentiated, so that a common pitch alone makes little of it.

    Args:
        one_T: Samples [T], float.
        other_T: Samples [T'], float, at the same rate.
        rate_hz: Sampling rate, Hz.
        offset_s: Where the other starts on the time axis of the first, s; negative: before it.
        slack_s: How far the best lag may be from there, s.

    Returns:
        Absolute normalised cross-correlation, 0 to 1; a copy has 0.85 or more at usual bit rates, 0 where they do not
        overlap or one is silent. Gain and polarity do not matter.

    Raises:
        ShapeError: One is not a mono wave, or the rate is not positive.
    """
    check_mono("correlation", one_T)
    check_mono("correlation", other_T)
    check_positive("correlation", rate_hz=rate_hz)
    slack = math.ceil(slack_s * rate_hz)
    offset = round(offset_s * rate_hz)
    start, stop = max(0, offset), min(one_T.size, offset + other_T.size)
    surplus = max(0, stop - start - round(_COMPARED_S * rate_hz))
    start, stop = start + surplus // 2, stop - (surplus + 1) // 2
    if stop - start <= 2 * slack:
        return 0.0
    one_T = _in_band(one_T[start:stop], rate_hz)
    # The other's part is shorter by the slack on either side, so that it fits into the first at every lag.
    part_T = _in_band(other_T[start - offset : stop - offset], rate_hz)[slack : stop - start - slack]
    num_lags = 2 * slack + 1
    size = scipy.fft.next_fast_len(one_T.size, real=True)
    product = scipy.fft.rfft(one_T, size) * np.conj(scipy.fft.rfft(part_T, size))
    cross = np.abs(scipy.fft.irfft(product, size)[:num_lags])
    energy = np.concatenate([[0.0], np.cumsum(np.square(one_T))])
    energy = (energy[part_T.size :] - energy[: -part_T.size])[:num_lags] * np.square(part_T).sum()
    loud = energy > 0
    return min(1.0, float(np.max(cross[loud] / np.sqrt(energy[loud]), initial=0.0)))


def _band_power(wave_T: Wave, rate_hz: int) -> Float32:
    """Return the power of every band in every frame, [N, B], float32."""
    frame_samples = _frame_samples(rate_hz)
    num_frames = 1 + math.floor((wave_T.size - frame_samples) / rate_hz / HOP_S + 1e-6)
    # Rates that are no multiple of 100 Hz have no whole number of samples in 10 ms: a frame starts at the nearest one.
    starts = np.rint(np.arange(max(0, num_frames)) * (HOP_S * rate_hz)).astype(np.int64)
    starts = starts[starts + frame_samples <= wave_T.size]
    power_NB = np.zeros((len(starts), _NUM_BANDS), np.float32)
    if not starts.size:
        return power_NB
    frames = np.lib.stride_tricks.sliding_window_view(wave_T.astype(np.float32, copy=False), frame_samples)
    window = _window(frame_samples)
    hop_samples = HOP_S * rate_hz
    is_even = hop_samples.is_integer()  # then frames need not be picked one by one
    for start in range(0, len(starts), _BLOCK_FRAMES):
        chosen = starts[start : start + _BLOCK_FRAMES]
        block = frames[chosen[0] : chosen[-1] + 1 : int(hop_samples)] if is_even else frames[chosen]
        block = block * window
        # As pairs of floats: numpy squares one row of floats faster than two of every other.
        parts = scipy.fft.rfft(block, axis=1).view(np.float32)[:, 2 * _FIRST_BIN : 2 * (_FIRST_BIN + _NUM_BINS)]
        parts = np.square(parts)
        power = parts[:, 0::2] + parts[:, 1::2]
        bands = power[:, 0::_BINS_PER_BAND] + power[:, 1::_BINS_PER_BAND] + power[:, 2::_BINS_PER_BAND]
        power_NB[start : start + len(block)] = bands
    return power_NB


@lru_cache(maxsize=4)
def _window(frame_samples: int) -> Float32:
    """Return a periodic Hann window."""
    return np.hanning(frame_samples + 1)[:-1].astype(np.float32)


def _is_steady(words_W: UInt32) -> npt.NDArray[np.bool_]:
    """Tell which words hardly differ from one shortly before or after."""
    steady_W = np.zeros(len(words_W), np.bool_)
    for lag in _STEADY_LAGS:
        if len(words_W) > lag:
            alike = np.bitwise_count(words_W[lag:] ^ words_W[:-lag]) <= _STEADY_BITS
            steady_W[lag:] |= alike
            steady_W[:-lag] |= alike
    return steady_W


def _frame_samples(rate_hz: int) -> int:
    """Return the length of a frame: 32 ms, or what it takes for all bands to lie below half of a lower rate."""
    return max(round(FRAME_S * rate_hz), 2 * (_FIRST_BIN + _NUM_BINS))


def _rounding_level(rate_hz: int) -> float:
    """Return the power of the noise of rounding in all bands of two frames."""
    window_energy = 3.0 / 8.0 * _frame_samples(rate_hz)
    return 2.0 * _NUM_BINS * window_energy * _ROUNDING_NOISE


def _in_band(wave_T: Wave, rate_hz: int) -> Float64:
    """Return the differentiated wave in the band of the fingerprint, [T], float64."""
    size = scipy.fft.next_fast_len(wave_T.size + round(rate_hz / _SLOPE_HZ), real=True)
    frequency_hz = scipy.fft.rfftfreq(size, 1.0 / rate_hz)
    rise = np.clip((frequency_hz - _LOW_HZ + _SLOPE_HZ) / _SLOPE_HZ, 0.0, 1.0)
    fall = np.clip((_HIGH_HZ + _SLOPE_HZ - frequency_hz) / _SLOPE_HZ, 0.0, 1.0)
    spectrum = scipy.fft.rfft(wave_T.astype(np.float64), size) * (rise * fall * frequency_hz)
    return np.asarray(scipy.fft.irfft(spectrum, size)[: wave_T.size])
