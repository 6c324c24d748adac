"""Mel filterbank, power spectrogram and log-mel, equal to torchaudio's MelSpectrogram + AmplitudeToDB.

Shape letters: T samples, N frames, F = n_fft // 2 + 1 bins, M mel bands.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
import scipy.fft
from scipy.sparse import csr_array

from audioprep.dsp.arrays import Float32, Float64, Wave, check_mono, check_positive
from audioprep.errors import ShapeError

MelScale = Literal["htk", "slaney"]
Filters: TypeAlias = "Float32 | csr_array"

_BLOCK_FRAMES = 64  # 64 frames of a 1024-point spectrum stay in a core's own cache
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
    return np.concatenate(list(_power_blocks(wave_T, n_fft, win_samples, hop_samples)))


def log_mel(
    wave_T: Wave,
    filters_MF: Filters,
    *,
    win_samples: int,
    hop_samples: int,
    top_db: float | None = None,
    amin: float = 1e-10,
) -> Float32:
    """Return the log-mel power of one mono clip, in dB.

    Args:
        wave_T: Samples [T], float, full scale = 1.0.
        filters_MF: Mel filterbank [M, F], dense or, to save its conversion for every clip, `csr_array(filters)`; it
            fixes `n_fft = 2 * (F - 1)`.
        win_samples: Length of the Hann window, samples, at most `n_fft`.
        hop_samples: Distance between frame centres, samples.
        top_db: Values lower than the clip's largest minus this are raised to it; None leaves them.
        amin: Smallest power that is told apart; 1e-10 puts silence at -100 dB.

    Returns:
        Log-mel power [N, M], float32, dB re 1.0, `N = 1 + T // hop_samples` (edges as in `power_spectrogram`).

    Raises:
        ShapeError: `wave_T` is not a mono wave, or the window does not fit into `n_fft`.

    Source: equals torchaudio's MelSpectrogram + AmplitudeToDB to 1e-3 dB.
    """
    filters = csr_array(filters_MF)
    n_fft = 2 * (filters.shape[1] - 1)
    blocks = [
        # A sparse product adds each band's few bins in index order on every CPU; the dense one would go to BLAS.
        filters @ np.ascontiguousarray(power_NF.T)
        for power_NF in _power_blocks(wave_T, n_fft, win_samples, hop_samples)
    ]
    # float64, so that the last-bit differences of math libraries vanish when the result is rounded.
    mel_NM = np.concatenate(blocks, axis=1).T.astype(np.float64, order="C")
    decibel_NM = 10.0 * np.log10(np.maximum(mel_NM, amin))
    if top_db is not None:
        np.maximum(decibel_NM, decibel_NM.max() - top_db, out=decibel_NM)
    return decibel_NM.astype(np.float32)


def _power_blocks(wave_T: Wave, n_fft: int, win_samples: int, hop_samples: int) -> Iterator[Float32]:
    """Yield the power spectrogram a few frames at a time, [up to 64, F]."""
    check_mono("power_spectrogram", wave_T)
    check_positive("power_spectrogram", n_fft=n_fft, win_samples=win_samples, hop_samples=hop_samples)
    if n_fft % 2 or win_samples > n_fft:
        raise ShapeError(
            f"power_spectrogram: expected an even n_fft of at least the window, got n_fft {n_fft} for a window of "
            f"{win_samples} samples; use a larger n_fft or a shorter window"
        )
    padded = np.pad(wave_T.astype(np.float32, copy=False), n_fft // 2, mode="reflect")
    # Only the window's samples are transformed, zero-padded to n_fft behind: that shifts phases and leaves the power.
    inside = padded[(n_fft - win_samples) // 2 :]
    frames = np.lib.stride_tricks.sliding_window_view(inside, win_samples)[::hop_samples]
    frames = frames[: 1 + wave_T.size // hop_samples]
    window = hann(win_samples)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        spectrum = scipy.fft.rfft(frames[start : start + _BLOCK_FRAMES] * window, n=n_fft, axis=1)
        yield np.square(spectrum.real) + np.square(spectrum.imag)


def hann(num_samples: int) -> Float32:
    """Return the periodic Hann window [num_samples], float32, 0 at its first sample, as torch.hann_window does."""
    phase = 2.0 * np.pi * np.arange(num_samples) / num_samples
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
