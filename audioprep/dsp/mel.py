"""Mel filterbank, power spectrogram and log-mel, equal to torchaudio's MelSpectrogram + AmplitudeToDB.

Shape letters: T samples, N frames, F = n_fft // 2 + 1 bins, M mel bands.
"""

import math
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
import scipy.fft
from scipy.sparse import csr_array

from audioprep.dsp.arrays import Float32, Float64, Wave, check_positive
from audioprep.dsp.decibel import levels_db
from audioprep.dsp.frames import framed, hann
from audioprep.errors import ShapeError

MelScale = Literal["htk", "slaney"]
Filters: TypeAlias = "Float32 | csr_array"

_BLOCK_SAMPLES = 192 * 1024  # what is transformed at a time: with its spectrum it stays in a core's own cache
_SLANEY_HZ_PER_MEL = 200.0 / 3.0  # Slaney's scale: linear up to 1 kHz = 15 mel, 27 mel for each factor 6.4 above
_SLANEY_KNEE_HZ = 1000.0
_SLANEY_KNEE_MEL = _SLANEY_KNEE_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(frequency_hz: float, scale: MelScale) -> float:
    """Return a frequency on a mel scale.

    Args:
        frequency_hz: Frequency, Hz, >= 0.
        scale: `htk`: 2595 log10(1 + f / 700); `slaney`: linear below 1 kHz, logarithmic above.

    Source: HTK Book 3.4 eq. 5.13; Slaney, Auditory Toolbox 2 (1998), mfcc.m.
    """
    if scale == "htk":
        return float(2595.0 * np.log10(1.0 + frequency_hz / 700.0))
    if frequency_hz < _SLANEY_KNEE_HZ:
        return frequency_hz / _SLANEY_HZ_PER_MEL
    return float(_SLANEY_KNEE_MEL + np.log(frequency_hz / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP)


def mel_to_hz(mels: Float64, scale: MelScale) -> Float64:
    """Return mel values as frequencies in Hz: the inverse of `hz_to_mel`."""
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mels / 2595.0) - 1.0))
    linear = mels * _SLANEY_HZ_PER_MEL
    logarithmic = _SLANEY_KNEE_HZ * np.exp(_SLANEY_LOG_STEP * (mels - _SLANEY_KNEE_MEL))
    return np.where(mels < _SLANEY_KNEE_MEL, linear, logarithmic)


def mel_filterbank(
    rate_hz: int,
    n_fft: int,
    n_mels: int,
    fmin_hz: float,
    fmax_hz: float,
    scale: MelScale = "htk",
    norm: Literal["slaney"] | None = None,
) -> Float32:
    """Return triangular filters whose corners are equally spaced in mel.

    Args:
        rate_hz: Sampling rate, Hz.
        n_fft: Size of the transform, samples, even.
        n_mels: Number of bands, M.
        fmin_hz: Lower corner of the first band, Hz, >= 0.
        fmax_hz: Upper corner of the last band, Hz, at most `rate_hz / 2`.
        scale: Mel formula, see `hz_to_mel`.
        norm: None: every triangle peaks at 1 (torchaudio's default); `slaney`: every triangle has area 1 (librosa's).

    Returns:
        Filters [M, F], float32, >= 0. A band narrower than the bins' distance may be all zero, as in torchaudio and
        librosa: its log-mel is then constant.

    Raises:
        ShapeError: A count is not positive, `n_fft` is odd, or the band edges are not 0 <= fmin < fmax <= Nyquist.

    Source: torchaudio.functional.melscale_fbanks, librosa.filters.mel; both to 1e-6.
    """
    check_positive("mel_filterbank", rate_hz=rate_hz, n_fft=n_fft, n_mels=n_mels)
    if n_fft % 2:
        raise ShapeError(f"mel_filterbank: expected an even n_fft, got {n_fft}; use {n_fft + 1}")
    if not 0 <= fmin_hz < fmax_hz <= rate_hz / 2:
        raise ShapeError(
            f"mel_filterbank: expected 0 <= fmin_hz < fmax_hz <= {rate_hz / 2:g} Hz (Nyquist), "
            f"got {fmin_hz:g} and {fmax_hz:g}; mend the band edges"
        )
    corners_mel = np.linspace(hz_to_mel(fmin_hz, scale), hz_to_mel(fmax_hz, scale), n_mels + 2)
    corners_hz = mel_to_hz(corners_mel, scale)
    bins_hz = np.linspace(0.0, rate_hz / 2, n_fft // 2 + 1)
    width_hz = np.diff(corners_hz)
    rising = (bins_hz - corners_hz[:-2, None]) / width_hz[:-1, None]
    falling = (corners_hz[2:, None] - bins_hz) / width_hz[1:, None]
    filters_MF = np.maximum(0.0, np.minimum(rising, falling))
    if norm == "slaney":
        filters_MF *= 2.0 / (corners_hz[2:] - corners_hz[:-2])[:, None]
    return filters_MF.astype(np.float32)


def power_spectrogram(wave_T: Wave, n_fft: int, win_samples: int, hop_samples: int) -> Float32:
    """Return the squared magnitude of the short-time Fourier transform.

    Args:
        wave_T: Samples [T], float, full scale = 1.0.
        n_fft: Size of the transform, samples, even.
        win_samples: Length of the periodic Hann window, samples, at most `n_fft`; it sits in the middle of `n_fft`.
        hop_samples: Distance between frame centres, samples.

    Returns:
        Power [N, F], float32, `N = 1 + T // hop_samples`: frame n is centred on sample `n * hop_samples`, and the
        wave is mirrored beyond its ends. torch.stft refuses a wave of `n_fft // 2` samples or less, which cannot be
        mirrored once; here the mirror image is repeated, as np.pad does.

    Raises:
        ShapeError: `wave_T` is not a mono wave, `n_fft` is odd, or the window does not fit into it.

    Source: equals torch.stft(center=True, pad_mode="reflect") squared, within float32 rounding.
    """
    frames = framed(wave_T, n_fft, win_samples, hop_samples)
    power_NF = np.empty((len(frames), n_fft // 2 + 1), np.float32)
    for start, power_FB in _power_blocks(frames, n_fft):
        power_NF[start : start + power_FB.shape[1]] = power_FB.T
    return power_NF


def log_mel(
    wave_T: Wave, filters_MF: Filters, *, win_samples: int, hop_samples: int, top_db: float | None = None
) -> Float32:
    """Return the log-mel power of one mono clip, in dB.

    Args:
        wave_T: Samples [T], float, full scale = 1.0, finite.
        filters_MF: Mel filterbank [M, F], dense or, to save its conversion for every clip, `csr_array(filters)`; it
            fixes `n_fft = 2 * (F - 1)`.
        win_samples: Length of the Hann window, samples, at most `n_fft`.
        hop_samples: Distance between frame centres, samples.
        top_db: Values lower than the clip's largest minus this are raised to it; None leaves them.

    Returns:
        Log-mel power [N, M], float32, dB re 1.0, at least -100, `N = 1 + T // hop_samples` (edges as in
        `power_spectrogram`).

    Raises:
        ShapeError: `wave_T` is not a mono wave, or the window does not fit into `n_fft`.

    Source: equals torchaudio's MelSpectrogram + AmplitudeToDB to 1e-3 dB.
    """
    power_MN = band_powers(wave_T, filters_MF, win_samples=win_samples, hop_samples=hop_samples)
    return levels_db(power_MN, top_db)


def band_powers(wave_T: Wave, filters_MF: Filters, *, win_samples: int, hop_samples: int) -> Float32:
    """Return the power of one mono clip in each band [M, N], float32: `log_mel` before the logarithm.

    Several filterbanks of one framing, stacked to one, share the spectrum that way; arguments as in `log_mel`.
    """
    # A sparse product adds each band's few bins in index order on every CPU; the dense one would go to BLAS.
    filters = filters_MF if isinstance(filters_MF, csr_array) else csr_array(filters_MF)
    n_fft = 2 * (filters.shape[1] - 1)
    frames = framed(wave_T, n_fft, win_samples, hop_samples)
    mel_MN = np.empty((filters.shape[0], len(frames)), np.float32)
    for start, power_FB in _power_blocks(frames, n_fft):
        mel_MN[:, start : start + power_FB.shape[1]] = filters @ power_FB
    return mel_MN


def _power_blocks(frames: Float32, n_fft: int) -> Iterator[tuple[int, Float32]]:
    """Yield the number of a block's first frame, and its power spectra [F, B] in an array that the next block overwrites.

    All blocks are of one size: the last one repeats some frames of the one before.
    """
    num_frames, win_samples = frames.shape
    window = hann(win_samples)
    num_blocks = math.ceil(num_frames * n_fft / _BLOCK_SAMPLES)
    size = math.ceil(num_frames / num_blocks)
    # Only the window's samples are transformed, zero-padded to n_fft behind: that shifts phases and leaves the power.
    padded = np.zeros((size, n_fft), np.float32)
    power_FB = np.empty((n_fft // 2 + 1, size), np.float32)
    imaginary_FB = np.empty_like(power_FB)
    for start in range(0, num_frames, size):
        first = min(start, num_frames - size)
        np.multiply(frames[first : first + size], window, out=padded[:, :win_samples])
        # Along the first axis the spectra come out bin by bin, as the product with the filters wants them.
        spectra_FB = scipy.fft.rfft(padded.T, axis=0)
        np.square(spectra_FB.real, out=power_FB)
        np.square(spectra_FB.imag, out=imaginary_FB)
        power_FB += imaginary_FB
        yield first, power_FB
