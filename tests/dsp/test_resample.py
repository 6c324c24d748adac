"""Witnesses: analytic sines, and the length formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.dsp.measure import to_mono
from audioprep.dsp.resample import num_resampled, resample
from audioprep.errors import ShapeError

RATES_HZ = [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000]


@pytest.mark.parametrize("num_channels", [1, 2, 6])
def test_mono_is_the_mean_of_the_channels(num_channels):
    wave_TC = np.random.default_rng(0).normal(size=(100, num_channels)).astype(np.float32)
    mono_T = to_mono(wave_TC)
    assert mono_T.dtype == np.float32
    np.testing.assert_allclose(mono_T, wave_TC.mean(axis=1), atol=1e-6)


def test_mono_leaves_mono_and_its_input_alone():
    wave_TC = np.ones((5, 2), np.float32)
    to_mono(wave_TC)
    np.testing.assert_array_equal(wave_TC, 1.0)
    np.testing.assert_array_equal(to_mono(np.arange(3.0)), [0.0, 1.0, 2.0])


@pytest.mark.parametrize("shape", [(5, 0), (5, 2, 1)])
def test_no_channels_or_too_many_axes_are_refused(shape):
    with pytest.raises(ShapeError, match=r"to_mono: expected samples \[T, C\] with C > 0"):
        to_mono(np.zeros(shape, np.float32))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 5000), st.sampled_from(RATES_HZ), st.sampled_from(RATES_HZ))
def test_the_length_is_as_stated_and_samples_are_finite(num_samples, rate_in_hz, rate_out_hz):
    resampled_T = resample(np.ones(num_samples, np.float32), rate_in_hz, rate_out_hz)
    assert resampled_T.dtype == np.float32
    assert resampled_T.size == num_resampled(num_samples, rate_in_hz, rate_out_hz)
    assert resampled_T.size == int(np.ceil(num_samples * rate_out_hz / rate_in_hz))
    assert np.isfinite(resampled_T).all()


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), [(44100, 16000), (8000, 16000), (22050, 16000), (48000, 32000)])
def test_a_sine_stays_the_same_sine(rate_in_hz, rate_out_hz):
    wave_T = np.sin(2 * np.pi * 440 * np.arange(rate_in_hz) / rate_in_hz)
    expected_T = np.sin(2 * np.pi * 440 * np.arange(rate_out_hz) / rate_out_hz)
    middle = slice(rate_out_hz // 10, -rate_out_hz // 10)
    np.testing.assert_allclose(resample(wave_T, rate_in_hz, rate_out_hz)[middle], expected_T[middle], atol=1e-4)


def test_what_lies_above_the_new_nyquist_is_gone():
    wave_T = np.sin(2 * np.pi * 10_000 * np.arange(44100) / 44100)
    assert np.abs(resample(wave_T, 44100, 16000)[1000:-1000]).max() < 1e-4


def test_equal_rates_change_nothing():
    wave_T = np.random.default_rng(0).normal(size=100).astype(np.float32)
    np.testing.assert_array_equal(resample(wave_T, 16000, 16000), wave_T)


def test_a_channel_of_an_interleaved_array_is_read_right():
    wave_TC = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    np.testing.assert_array_equal(resample(wave_TC[:, 1], 8000, 16000), resample(wave_TC[:, 1].copy(), 8000, 16000))


@pytest.mark.parametrize("rates_hz", [(0, 16000), (16000, -1)])
def test_impossible_rates_are_refused(rates_hz):
    with pytest.raises(ShapeError, match=r"resample: expected rate_(in|out)_hz > 0"):
        resample(np.zeros(10, np.float32), *rates_hz)
