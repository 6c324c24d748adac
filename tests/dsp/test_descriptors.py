"""Witness: librosa, each descriptor by its own function."""

import librosa
import numpy as np
import pytest

from audioprep.dsp.descriptors import DESCRIPTORS, ONSET_MELS, descriptors, onset_strength
from audioprep.dsp.mel import mel_filterbank, power_spectrogram

# rate, n_fft, window, hop
SETTINGS = [(16000, 1024, 400, 160), (22050, 2048, 2048, 512), (32000, 1024, 800, 320)]


def described(wave_T, rate_hz, n_fft, win_samples, hop_samples, **settings):
    power_FN = np.ascontiguousarray(power_spectrogram(wave_T, n_fft, win_samples, hop_samples).T)
    mel_MN = mel_filterbank(rate_hz, n_fft, ONSET_MELS, 0.0, rate_hz / 2, "slaney", "slaney") @ power_FN
    return descriptors(power_FN, mel_MN, rate_hz=rate_hz, hop_samples=hop_samples, **settings)


def sounds(rate_hz):
    """Return noise that swells, tones that start in turn, and clicks in silence."""
    rng, seconds_T = np.random.default_rng(0), np.arange(2 * rate_hz) / rate_hz
    noise_T = rng.normal(scale=0.1, size=len(seconds_T)) * np.linspace(0.01, 1, len(seconds_T))
    tones_T = sum(
        0.1 * np.sin(2 * np.pi * hz * seconds_T) * (seconds_T > start) for hz, start in ((220, 0.2), (997, 1))
    )
    clicks_T = np.zeros(len(seconds_T))
    clicks_T[rate_hz // 3 :: rate_hz // 2] = 0.5
    return [wave_T.astype(np.float32) for wave_T in (noise_T, tones_T + 1e-4 * noise_T, clicks_T)]


def librosas(wave_T, rate_hz, n_fft, win_samples, hop_samples, rolloff):
    framing = {"n_fft": n_fft, "hop_length": hop_samples, "win_length": win_samples, "pad_mode": "reflect"}
    magnitude = np.abs(librosa.stft(wave_T, **framing))
    own = {"sr": rate_hz, **framing}
    return {
        "centroid_hz": librosa.feature.spectral_centroid(y=wave_T, **own)[0],
        "bandwidth_hz": librosa.feature.spectral_bandwidth(y=wave_T, **own)[0],
        "rolloff_hz": librosa.feature.spectral_rolloff(y=wave_T, roll_percent=rolloff, **own)[0],
        "flatness": librosa.feature.spectral_flatness(y=wave_T, **framing)[0],
        "onset_strength": librosa.onset.onset_strength(y=wave_T, **own),
        "rms": librosa.feature.rms(S=magnitude, frame_length=n_fft)[0],
    }


@pytest.mark.filterwarnings("ignore:Empty filters detected")  # of 128 bands some lie between two bins, in ours too
@pytest.mark.parametrize("rolloff", [0.85, 0.5])
@pytest.mark.parametrize(("rate_hz", "n_fft", "win_samples", "hop_samples"), SETTINGS)
def test_each_equals_librosa(rate_hz, n_fft, win_samples, hop_samples, rolloff):
    for wave_T in sounds(rate_hz):
        ours_ND = described(wave_T, rate_hz, n_fft, win_samples, hop_samples, rolloff=rolloff)
        theirs = librosas(wave_T, rate_hz, n_fft, win_samples, hop_samples, rolloff)
        assert (ours_ND.dtype, ours_ND.shape) == (np.float32, (1 + len(wave_T) // hop_samples, len(DESCRIPTORS)))
        assert tuple(theirs) == DESCRIPTORS
        for name, ours_N in zip(DESCRIPTORS, ours_ND.T, strict=True):
            away_N = np.abs(ours_N - theirs[name])
            if name == "rolloff_hz":  # a sum that meets the share to the last bit may do so one bin later
                assert (away_N <= rate_hz / n_fft + 1e-2).all()
                assert (away_N < 1e-2).mean() > 0.99
            else:
                assert away_N.max() <= 1e-4 * np.abs(theirs[name]).max() + 1e-6, name


def test_silence_is_nothing_and_flat():
    assert described(np.zeros(16000, np.float32), *SETTINGS[0])[50].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]


def test_rms_is_that_of_the_windowed_samples():
    noise_T = np.random.default_rng(0).normal(scale=0.1, size=16000).astype(np.float32)
    rms_N = described(noise_T, 16000, 1024, 1024, 160)[:, DESCRIPTORS.index("rms")]
    # A Hann window leaves three eighths of the power.
    assert rms_N[10:-10].mean() == pytest.approx(0.1 * np.sqrt(3 / 8), rel=0.02)


def test_a_window_of_one_frame_has_no_rise():
    assert onset_strength(np.ones((ONSET_MELS, 1), np.float32), 3).tolist() == [0.0]
    assert onset_strength(np.ones((ONSET_MELS, 2), np.float32), 3).tolist() == [0.0, 0.0]
