"""Witnesses: librosa and torchaudio."""

import librosa
import numpy as np
import pytest
import torch
import torchaudio

from audioprep.dsp.decibel import levels_db
from audioprep.dsp.mel import power_spectrogram

SETTINGS = [(1024, 400, 160), (2048, 2048, 512), (512, 501, 177)]


def swelling_noise(num_samples=32_123):
    noise_T = np.random.default_rng(0).normal(scale=0.1, size=num_samples).astype(np.float32)
    return noise_T * np.linspace(0.01, 1, num_samples, dtype=np.float32)


@pytest.mark.parametrize("top_db", [None, 40.0])
@pytest.mark.parametrize(("n_fft", "win_samples", "hop_samples"), SETTINGS)
def test_equals_librosa_and_torchaudio(n_fft, win_samples, hop_samples, top_db):
    wave_T = swelling_noise()
    ours = levels_db(power_spectrogram(wave_T, n_fft, win_samples, hop_samples).T, top_db)
    stft = librosa.stft(wave_T, n_fft=n_fft, hop_length=hop_samples, win_length=win_samples, pad_mode="reflect")
    theirs = librosa.power_to_db(np.abs(stft) ** 2, ref=1.0, amin=1e-10, top_db=top_db).T
    torch_FN = torchaudio.transforms.Spectrogram(n_fft, win_samples, hop_samples)(torch.from_numpy(wave_T))
    torchs = torchaudio.transforms.AmplitudeToDB("power", top_db)(torch_FN).numpy().T
    assert (ours.dtype, ours.shape) == (np.float32, (1 + len(wave_T) // hop_samples, n_fft // 2 + 1))
    for witness in (theirs, torchs):
        heard = witness > -60.0
        assert heard.mean() > 0.9
        np.testing.assert_allclose(ours[heard], witness[heard], atol=2e-3)
        np.testing.assert_allclose(ours, witness, atol=0.2)


def test_silence_is_the_floor():
    assert (levels_db(np.zeros((513, 4), np.float32)) == -100.0).all()
