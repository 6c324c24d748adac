"""Witnesses: torchaudio (MelSpectrogram, AmplitudeToDB), torch.stft and librosa."""

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from audioprep.dsp.decibel import decibel
from audioprep.dsp.frames import hann
from audioprep.dsp.mel import hz_to_mel, log_mel, mel_filterbank, mel_to_hz, power_spectrogram
from audioprep.errors import ShapeError

# The defaults at 16 kHz, the PANNs front-end at 32 kHz, and an odd window with a hop that does not divide it.
SETTINGS = [
    (16000, 1024, 400, 160, 64, 50.0, 8000.0),
    (32000, 1024, 1024, 320, 64, 50.0, 14000.0),
    (22050, 512, 501, 177, 40, 0.0, 11025.0),
]


def noise(num_samples, scale=0.1, seed=0):
    return np.random.default_rng(seed).normal(scale=scale, size=num_samples).astype(np.float32)


@pytest.mark.parametrize(("scale", "norm"), [("htk", None), ("slaney", "slaney"), ("slaney", None), ("htk", "slaney")])
@pytest.mark.parametrize(("rate_hz", "n_fft", "n_mels", "fmin_hz", "fmax_hz"), [(s[0], s[1], *s[4:]) for s in SETTINGS])
def test_filters_equal_librosa_and_torchaudio(rate_hz, n_fft, n_mels, fmin_hz, fmax_hz, scale, norm):
    ours = mel_filterbank(rate_hz, n_fft, n_mels, fmin_hz, fmax_hz, scale, norm)
    theirs = librosa.filters.mel(
        sr=rate_hz, n_fft=n_fft, n_mels=n_mels, fmin=fmin_hz, fmax=fmax_hz, htk=scale == "htk", norm=norm
    )
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-7)
    torch_FM = torchaudio.functional.melscale_fbanks(n_fft // 2 + 1, fmin_hz, fmax_hz, n_mels, rate_hz, norm, scale)
    np.testing.assert_allclose(ours, torch_FM.numpy().T, atol=2e-5)


@given(st.floats(0, 30000), st.sampled_from(["htk", "slaney"]))
def test_mel_scale_is_undone_by_its_inverse(frequency_hz, scale):
    assert mel_to_hz(np.array([hz_to_mel(frequency_hz, scale)]), scale)[0] == pytest.approx(frequency_hz, abs=1e-8)


def test_hann_equals_torch():
    np.testing.assert_allclose(hann(400), torch.hann_window(400).numpy(), atol=1e-6)


@pytest.mark.parametrize(("n_fft", "win_samples", "hop_samples"), [s[1:4] for s in SETTINGS])
@pytest.mark.parametrize("num_samples", [513, 1024, 10_007, 32_000])
def test_power_equals_torch_stft(n_fft, win_samples, hop_samples, num_samples):
    wave_T = noise(num_samples)
    ours = power_spectrogram(wave_T, n_fft, win_samples, hop_samples)
    theirs = torch.stft(
        torch.from_numpy(wave_T), n_fft, hop_samples, win_samples, torch.hann_window(win_samples), return_complex=True
    )
    assert ours.shape == (1 + num_samples // hop_samples, n_fft // 2 + 1)
    np.testing.assert_allclose(ours, theirs.abs().square().numpy().T, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("top_db", [None, 80.0, 20.0])
@pytest.mark.parametrize(("rate_hz", "n_fft", "win_samples", "hop_samples", "n_mels", "fmin_hz", "fmax_hz"), SETTINGS)
@pytest.mark.parametrize(("scale", "norm"), [("htk", None), ("slaney", "slaney")])
def test_log_mel_equals_torchaudio_to_a_thousandth_of_a_decibel(
    rate_hz, n_fft, win_samples, hop_samples, n_mels, fmin_hz, fmax_hz, scale, norm, top_db
):
    wave_T = noise(2 * rate_hz + 123) * np.linspace(0.01, 1, 2 * rate_hz + 123, dtype=np.float32)
    filters_MF = mel_filterbank(rate_hz, n_fft, n_mels, fmin_hz, fmax_hz, scale, norm)
    ours = log_mel(wave_T, filters_MF, win_samples=win_samples, hop_samples=hop_samples, top_db=top_db)
    mel = torchaudio.transforms.MelSpectrogram(
        rate_hz, n_fft, win_samples, hop_samples, fmin_hz, fmax_hz, n_mels=n_mels, norm=norm, mel_scale=scale
    )
    theirs = torchaudio.transforms.AmplitudeToDB("power", top_db)(mel(torch.from_numpy(wave_T)))
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs.numpy().T, atol=1e-3)


def test_log_mel_equals_librosa():
    wave_T = noise(16000)
    power = librosa.feature.melspectrogram(
        y=wave_T, sr=16000, n_fft=1024, win_length=400, hop_length=160, n_mels=64, pad_mode="reflect"
    )
    theirs = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
    filters_MF = mel_filterbank(16000, 1024, 64, 0.0, 8000.0, "slaney", "slaney")
    np.testing.assert_allclose(log_mel(wave_T, filters_MF, win_samples=400, hop_samples=160), theirs.T, atol=1e-3)


def test_a_sine_lands_in_the_band_that_holds_it():
    filters_MF = mel_filterbank(16000, 1024, 64, 50.0, 8000.0)
    centres_hz = mel_to_hz(np.linspace(hz_to_mel(50.0, "htk"), hz_to_mel(8000.0, "htk"), 66), "htk")[1:-1]
    for band in (10, 30, 60):
        sine_T = np.sin(2 * np.pi * centres_hz[band] * np.arange(16000) / 16000)
        level_M = log_mel(sine_T, filters_MF, win_samples=400, hop_samples=160)[20:80].mean(axis=0)
        assert level_M.argmax() == band


def test_prepared_filters_give_the_same_bytes():
    filters_MF, wave_T = mel_filterbank(16000, 1024, 64, 50.0, 8000.0), noise(9000)
    dense = log_mel(wave_T, filters_MF, win_samples=400, hop_samples=160)
    prepared = log_mel(wave_T, csr_array(filters_MF), win_samples=400, hop_samples=160)
    np.testing.assert_array_equal(dense, prepared)


@pytest.mark.parametrize("num_samples", [2, 150, 200, 201, 202, 5000])
def test_the_ends_are_mirrored_as_numpy_does_it(num_samples):
    wave_T, hop_samples = noise(num_samples), 100
    padded = np.pad(wave_T, 512, mode="reflect")
    frames = np.stack([padded[start + 312 :][:400] for start in range(0, num_samples + 1, hop_samples)])
    expected = np.abs(np.fft.rfft(frames * hann(400), n=1024)) ** 2
    np.testing.assert_allclose(power_spectrogram(wave_T, 1024, 400, hop_samples), expected, rtol=1e-3, atol=1e-6)


def test_a_long_clip_in_many_blocks_equals_its_parts():
    wave_T = noise(16000 * 20)
    whole = power_spectrogram(wave_T, 1024, 400, 160)
    for start in (0, 160 * 500, 160 * 1200):
        part = power_spectrogram(wave_T[start : start + 160 * 300], 1024, 400, 160)
        np.testing.assert_array_equal(whole[start // 160 + 4 : start // 160 + 290], part[4:290])


def test_frames_do_not_depend_on_their_place_in_a_block():
    wave_T = noise(16000 * 3)
    whole = power_spectrogram(wave_T, 1024, 400, 160)
    part = power_spectrogram(wave_T[160 * 37 :], 1024, 400, 160)
    np.testing.assert_array_equal(whole[37 + 4 :], part[4:])  # the first frames see the mirrored edge


@given(
    st.lists(st.floats(2**-33, 2**100, width=32), min_size=1, max_size=50),
)
def test_decibel_equals_numpy_to_a_hundred_thousandth(powers):
    power = np.array(powers, np.float32)
    # 1e-5 dB up to 100 dB, and then the last bit of a float32.
    np.testing.assert_allclose(decibel(power), 10 * np.log10(power.astype(np.float64)), rtol=1.5e-7, atol=1e-5)


def test_decibel_rises_with_the_power():
    mantissas = np.linspace(1, 4, 200_001, dtype=np.float32)  # over all of a power of two, both of its halves
    assert (np.diff(decibel(mantissas)) >= -1e-6).all()
    assert decibel(np.array([[1.0, 0.0], [1e-10, 1e-45]], np.float32)).tolist() == [[0.0, -100.0], [-100.0, -100.0]]


def test_decibel_leaves_its_argument_alone():
    power = np.full((3, 4), 0.25, np.float32)
    decibel(power[:, ::2])
    np.testing.assert_array_equal(power, 0.25)


def test_silence_is_the_floor():
    decibel_NM = log_mel(np.zeros(1600), mel_filterbank(16000, 512, 40, 0.0, 8000.0), win_samples=400, hop_samples=160)
    np.testing.assert_array_equal(decibel_NM, np.full((11, 40), -100.0, np.float32))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3000), st.sampled_from([80, 160, 333]))
def test_any_length_gives_the_stated_number_of_finite_frames(num_samples, hop_samples):
    filters_MF = mel_filterbank(16000, 1024, 40, 0.0, 8000.0)
    decibel_NM = log_mel(noise(num_samples), filters_MF, win_samples=400, hop_samples=hop_samples)
    assert decibel_NM.shape == (1 + num_samples // hop_samples, 40)
    assert np.isfinite(decibel_NM).all()


@settings(max_examples=20, deadline=None)
@given(st.floats(-30, 30))
def test_gain_moves_every_bin_by_that_many_decibels(gain_db):
    filters_MF = mel_filterbank(16000, 1024, 64, 50.0, 8000.0)
    before, after = (
        log_mel(noise(8000) * gain, filters_MF, win_samples=400, hop_samples=160)
        for gain in (1.0, 10 ** (gain_db / 20))
    )
    np.testing.assert_allclose(after - before, gain_db, atol=1e-3)


@pytest.mark.parametrize("edges_hz", [(-1.0, 8000.0), (500.0, 500.0), (50.0, 8000.1)])
def test_impossible_band_edges_are_refused(edges_hz):
    with pytest.raises(ShapeError, match=r"expected 0 <= fmin_hz < fmax_hz <= 8000 Hz \(Nyquist\)"):
        mel_filterbank(16000, 1024, 64, *edges_hz)


def test_an_odd_transform_is_refused():
    with pytest.raises(ShapeError, match="expected an even n_fft, got 1023; use 1024"):
        mel_filterbank(16000, 1023, 64, 0.0, 8000.0)
    with pytest.raises(ShapeError, match="expected an even n_fft of at least the window"):
        power_spectrogram(noise(2000), 1023, 400, 160)


def test_a_window_longer_than_the_transform_is_refused():
    with pytest.raises(ShapeError, match="got n_fft 512 for a window of 513 samples"):
        power_spectrogram(noise(2000), 512, 513, 160)


@pytest.mark.parametrize("name", ["n_fft", "win_samples", "hop_samples"])
def test_counts_must_be_positive(name):
    sizes = {"n_fft": 512, "win_samples": 400, "hop_samples": 160, name: 0}
    with pytest.raises(ShapeError, match=f"expected {name} > 0, got 0"):
        power_spectrogram(noise(2000), **sizes)
