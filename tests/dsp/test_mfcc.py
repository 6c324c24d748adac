"""Witnesses: torchaudio (MFCC, compute_deltas) and the definition of the DCT."""

import numpy as np
import pytest
import torch
import torchaudio

from audioprep.dsp.deltas import deltas
from audioprep.dsp.mel import log_mel, mel_filterbank
from audioprep.dsp.mfcc import mfcc
from audioprep.errors import ShapeError


@pytest.mark.parametrize("n_mfcc", [1, 13, 40])
def test_mfcc_equals_torchaudio(n_mfcc):
    wave_T = np.random.default_rng(0).normal(scale=0.1, size=32123).astype(np.float32)
    ours = mfcc(
        log_mel(wave_T, mel_filterbank(16000, 1024, 64, 0.0, 8000.0), win_samples=400, hop_samples=160, top_db=80.0),
        n_mfcc,
    )
    settings = {"n_fft": 1024, "win_length": 400, "hop_length": 160, "n_mels": 64}
    theirs = torchaudio.transforms.MFCC(16000, n_mfcc, melkwargs=settings)(torch.from_numpy(wave_T))
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs.numpy().T, atol=1e-3)


def test_a_flat_spectrum_has_only_the_first_coefficient():
    coefficients = mfcc(np.full((3, 64), -20.0, np.float32), 13)
    np.testing.assert_allclose(coefficients[:, 0], -20.0 * np.sqrt(64), rtol=1e-6)
    np.testing.assert_allclose(coefficients[:, 1:], 0.0, atol=1e-5)


def test_all_coefficients_keep_the_energy():
    log_mel_NM = np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)
    np.testing.assert_allclose(np.sum(mfcc(log_mel_NM, 64) ** 2, axis=1), np.sum(log_mel_NM**2, axis=1), rtol=1e-5)


@pytest.mark.parametrize("win_frames", [3, 5, 9])
@pytest.mark.parametrize("num_frames", [1, 2, 50])
def test_deltas_equal_torchaudio(win_frames, num_frames):
    coefficients_NC = np.random.default_rng(2).normal(size=(num_frames, 13)).astype(np.float32)
    theirs = torchaudio.functional.compute_deltas(torch.from_numpy(coefficients_NC.T.copy()), win_frames)
    np.testing.assert_allclose(deltas(coefficients_NC, win_frames), theirs.numpy().T, atol=1e-6)


def test_the_delta_of_a_ramp_is_its_slope():
    ramp_NC = np.arange(20, dtype=np.float32)[:, None] * np.array([1.0, -0.5], np.float32)
    np.testing.assert_allclose(deltas(ramp_NC)[2:-2], np.broadcast_to([1.0, -0.5], (16, 2)), atol=1e-6)


@pytest.mark.parametrize("n_mfcc", [0, 65])
def test_more_coefficients_than_bands_are_refused(n_mfcc):
    with pytest.raises(ShapeError, match=f"expected n_mfcc from 1 to n_mels = 64, got {n_mfcc}"):
        mfcc(np.zeros((3, 64), np.float32), n_mfcc)


def test_log_mel_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"expected log-mel \[N, M\], got shape \[64\]"):
        mfcc(np.zeros(64, np.float32), 13)


@pytest.mark.parametrize("shape", [(0, 13), (13,)])
def test_deltas_of_nothing_are_refused(shape):
    with pytest.raises(ShapeError, match=r"expected coefficients \[N, C\] with N > 0, got shape"):
        deltas(np.zeros(shape, np.float32))


@pytest.mark.parametrize("win_frames", [1, 4])
def test_an_impossible_regression_is_refused(win_frames):
    with pytest.raises(ShapeError, match=f"expected an odd win_frames >= 3, got {win_frames}"):
        deltas(np.zeros((9, 13), np.float32), win_frames)
