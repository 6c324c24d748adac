"""Witness: librosa."""

import librosa
import numpy as np
import pytest
from scipy.sparse import csr_array

from audioprep.dsp.chroma import chroma, chroma_filterbank
from audioprep.dsp.mel import band_powers
from audioprep.errors import ShapeError

SETTINGS = [(16000, 4096, 1600, 160), (22050, 2048, 2048, 512), (44100, 1024, 1024, 441)]


def chord(rate_hz, *notes, seconds=1.0):
    seconds_T = np.arange(int(rate_hz * seconds)) / rate_hz
    return sum(np.sin(2 * np.pi * librosa.note_to_hz(note) * seconds_T) for note in notes).astype(np.float32) / 4


@pytest.mark.parametrize("tuning", [0.0, 0.3, -0.5])
@pytest.mark.parametrize(("rate_hz", "n_fft"), [one[:2] for one in SETTINGS])
def test_filters_equal_librosa(rate_hz, n_fft, tuning):
    ours, theirs = (
        chroma_filterbank(rate_hz, n_fft, tuning),
        librosa.filters.chroma(sr=rate_hz, n_fft=n_fft, tuning=tuning),
    )
    assert (ours.dtype, ours.shape) == (np.float32, theirs.shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("tuning", [0.0, 0.3])
@pytest.mark.parametrize(("rate_hz", "n_fft", "win_samples", "hop_samples"), SETTINGS)
def test_chroma_equals_librosa(rate_hz, n_fft, win_samples, hop_samples, tuning):
    noise_T = np.random.default_rng(0).normal(scale=0.01, size=rate_hz).astype(np.float32)
    wave_T = chord(rate_hz, "C4", "E4", "G4") + noise_T
    filters = csr_array(chroma_filterbank(rate_hz, n_fft, tuning))
    ours = chroma(band_powers(wave_T, filters, win_samples=win_samples, hop_samples=hop_samples))
    theirs = librosa.feature.chroma_stft(
        y=wave_T, sr=rate_hz, tuning=tuning, norm=np.inf, n_fft=n_fft, win_length=win_samples, hop_length=hop_samples,
        pad_mode="reflect",
    )  # fmt: skip
    assert (ours.dtype, ours.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(ours, theirs.T, atol=1e-4)
    assert (ours.max(axis=1) == 1.0).all()


def test_a_note_is_its_class_in_every_octave():
    filters = csr_array(chroma_filterbank(16000, 4096))
    for octave in (3, 4, 5, 6):
        for number, note in enumerate(librosa.key_to_notes("C:maj")):
            power_CN = band_powers(chord(16000, f"{note}{octave}"), filters, win_samples=1600, hop_samples=1600)
            assert chroma(power_CN)[4].argmax() == number, f"{note}{octave}"


def test_silence_is_nothing():
    assert (chroma(np.zeros((12, 3), np.float32)) == 0.0).all()


def test_an_impossible_size_is_refused():
    with pytest.raises(ShapeError, match=r"chroma_filterbank: expected n_fft > 0, got 0"):
        chroma_filterbank(16000, 0)
