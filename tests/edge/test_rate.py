"""Witness: the SoX resampler, which the pipeline uses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.dsp.resample import lowpass_gains, num_resampled
from audioprep.dsp.resample import resample as by_sox
from audioprep.edge.rate import resample

FREQUENCIES_P = np.concatenate([np.linspace(0.0, 0.9, 18, endpoint=False), np.linspace(0.9, 1.0, 401)])
IDEAL = (np.array([0.0, 0.9, 1.0]), np.array([1.0, 1.0, 0.0]))


@pytest.mark.parametrize("rate_in_hz", [8000, 11025, 22050, 44100, 48000, 96000])
def test_noise_comes_out_as_sox_makes_it(rate_in_hz: int) -> None:
    wave_T = np.random.default_rng(0).normal(0, 0.1, 25 * rate_in_hz // 2).astype(np.float32)
    gains_P = lowpass_gains(rate_in_hz, 16000, FREQUENCIES_P)
    ours_T = resample(wave_T, rate_in_hz, 16000, (FREQUENCIES_P, gains_P))
    theirs_T = by_sox(wave_T, rate_in_hz, 16000)
    assert ours_T.dtype == np.float32
    assert ours_T.size == theirs_T.size
    inner = slice(400, -400)
    assert np.abs(ours_T - theirs_T)[inner].max() < 2.0**-15 / 4, "a quarter of a step of 16 bits; more than one block"


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3000), st.sampled_from([8000, 11025, 12000, 44100, 44101]), st.sampled_from([16000, 32000]))
def test_the_length_is_as_of_sox(num_samples: int, rate_in_hz: int, rate_out_hz: int) -> None:
    resampled_T = resample(np.ones(num_samples, np.float32), rate_in_hz, rate_out_hz, IDEAL)
    assert resampled_T.size == num_resampled(num_samples, rate_in_hz, rate_out_hz)
    assert np.isfinite(resampled_T).all()


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), [(44100, 16000), (8000, 16000)])
def test_a_sine_stays_the_same_sine(rate_in_hz: int, rate_out_hz: int) -> None:
    wave_T = np.sin(2 * np.pi * 440 * np.arange(rate_in_hz) / rate_in_hz)
    expected_T = np.sin(2 * np.pi * 440 * np.arange(rate_out_hz) / rate_out_hz)
    middle = slice(rate_out_hz // 10, -rate_out_hz // 10)
    np.testing.assert_allclose(resample(wave_T, rate_in_hz, rate_out_hz, IDEAL)[middle], expected_T[middle], atol=1e-4)


def test_what_lies_above_the_new_nyquist_is_gone() -> None:
    wave_T = np.sin(2 * np.pi * 10_000 * np.arange(44100) / 44100)
    assert np.abs(resample(wave_T, 44100, 16000, IDEAL)[1000:-1000]).max() < 1e-4


def test_equal_rates_change_nothing() -> None:
    wave_T = np.random.default_rng(0).normal(size=100).astype(np.float32)
    np.testing.assert_array_equal(resample(wave_T, 16000, 16000, IDEAL), wave_T)
