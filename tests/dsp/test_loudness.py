"""Witnesses: the standard's own table and levels, pyloudnorm, and scipy's Fourier interpolation."""

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample as fourier_resample
from scipy.signal import sosfreqz

from audioprep.dsp.k_weighting import k_weighting
from audioprep.dsp.levels import peak_db
from audioprep.dsp.loudness import integrated_lufs, true_peak_db
from audioprep.errors import ShapeError

RATES_HZ = [8000, 11025, 16000, 22050, 32000, 44100, 48000]
STANDARD_48K = [  # ITU-R BS.1770-4, Annex 1, tables 1 and 2
    [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
    [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
]


def sine(frequency_hz, rate_hz, duration_s=5.0, level_db=0.0):
    num_samples = round(duration_s * rate_hz)
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency_hz * np.arange(num_samples) / rate_hz)


def uneven_noise(rate_hz, seconds=7):
    """Return noise whose level steps through loud, soft and silent, so that both gates have work."""
    rng = np.random.default_rng(rate_hz)
    level_T = np.repeat(rng.choice([1.0, 0.3, 0.05, 0.0001], seconds), rate_hz)
    return rng.normal(scale=0.1, size=level_T.size) * level_T


def test_k_weighting_is_the_standard_at_48_khz():
    np.testing.assert_allclose(k_weighting(48000), STANDARD_48K, atol=1e-9)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_k_weighting_keeps_its_shape_at_other_rates(rate_hz):
    frequency_hz = np.array([20.0, 40.0, 100.0, 500.0, 997.0, 2000.0, 3000.0])
    _, reference = sosfreqz(np.array(STANDARD_48K), frequency_hz, fs=48000)
    _, ours = sosfreqz(k_weighting(rate_hz), frequency_hz, fs=rate_hz)
    atol = {8000: 0.21, 11025: 0.13}.get(rate_hz, 0.062)
    np.testing.assert_allclose(20 * np.log10(np.abs(ours / reference)), 0.0, atol=atol)


def test_the_shelf_is_left_out_where_it_lies_above_nyquist():
    assert k_weighting(3364).shape == (2, 6)
    assert k_weighting(3363).shape == (1, 6)
    assert integrated_lufs(sine(100, 2000), 2000) == pytest.approx(integrated_lufs(sine(100, 48000), 48000), abs=0.05)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_full_scale_997_hz_sine_is_3_lu_below_zero(rate_hz):
    atol = {8000: 0.21, 11025: 0.11, 16000: 0.05}.get(rate_hz, 0.03)
    assert integrated_lufs(sine(997, rate_hz), rate_hz) == pytest.approx(-3.01, abs=atol)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_loudness_equals_pyloudnorm(rate_hz):
    wave_T = uneven_noise(rate_hz)
    theirs = pyloudnorm.Meter(rate_hz).integrated_loudness(wave_T)
    assert integrated_lufs(wave_T, rate_hz) == pytest.approx(theirs, abs=0.1)


def test_blocks_and_gates_equal_pyloudnorm_exactly_where_the_filters_agree():
    wave_T = uneven_noise(48000)
    theirs = pyloudnorm.Meter(48000, filter_class="DeMan").integrated_loudness(wave_T)
    assert integrated_lufs(wave_T, 48000) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 32000])
def test_loudness_after_resampling_is_that_of_48_khz(rate_hz):
    """Noise without content above the lower Nyquist frequency, so that both rates hold the same sound."""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(scale=0.05, size=48000 * 4))[: 2 * rate_hz]
    high_T = np.fft.irfft(np.pad(spectrum, (0, 48000 * 2 + 1 - spectrum.size)))
    low_T = np.fft.irfft(np.append(spectrum, 0.0)) * (rate_hz / 48000)
    expected_lufs = integrated_lufs(high_T, 48000)
    assert integrated_lufs(low_T, rate_hz) == pytest.approx(expected_lufs, abs=0.15 if rate_hz == 8000 else 0.05)


def test_no_loudness_below_one_block_or_below_the_gate():
    assert integrated_lufs(sine(997, 16000, 0.4), 16000) is not None
    assert integrated_lufs(sine(997, 16000, 0.4)[:-1], 16000) is None
    assert integrated_lufs(np.zeros(16000), 16000) is None
    assert integrated_lufs(sine(997, 16000, 1.0, -75.0), 16000) is None


@settings(max_examples=30, deadline=None)
@given(st.floats(-30, 20), st.sampled_from([8000, 16000, 44100]))
def test_gain_moves_loudness_by_that_many_lu(gain_db, rate_hz):
    wave_T = np.random.default_rng(1).normal(scale=0.1, size=rate_hz)
    louder = integrated_lufs(wave_T * 10 ** (gain_db / 20), rate_hz)
    assert louder - integrated_lufs(wave_T, rate_hz) == pytest.approx(gain_db, abs=1e-6)


def test_a_rate_of_zero_is_refused():
    with pytest.raises(ShapeError, match="integrated_lufs: expected rate_hz > 0, got 0"):
        integrated_lufs(np.zeros(100), 0)


def test_true_peak_finds_the_top_between_samples():
    """A sine at a quarter of the rate, sampled at 45 degrees: samples reach -3.01 dB, the wave 0 dB."""
    wave_T = np.sin(np.pi / 2 * np.arange(2000) + np.pi / 4) * np.hanning(2000)
    assert peak_db(wave_T) == pytest.approx(-3.01, abs=0.01)
    assert true_peak_db(wave_T) == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_true_peak_equals_ideal_interpolation_of_band_limited_noise(seed):
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=4000))
    spectrum[1600:] = 0  # below 0.4 of the rate, where the filter is flat
    wave_T = np.fft.irfft(spectrum) * np.hanning(4000)
    ideal_db = 20 * np.log10(np.abs(fourier_resample(wave_T, 16000)).max())
    assert true_peak_db(wave_T) == pytest.approx(ideal_db, abs=0.1)


def test_a_block_edge_hides_no_peak():
    wave_T = np.zeros((1 << 16) + 1000)
    wave_T[(1 << 16) - 500 : (1 << 16) + 500] = np.sin(np.pi / 2 * np.arange(1000) + np.pi / 4) * np.hanning(1000)
    assert true_peak_db(wave_T) == pytest.approx(true_peak_db(wave_T[-2000:]), abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(0, 100))
def test_true_peak_is_never_below_the_sample_peak(num_samples, seed):
    wave_T = np.random.default_rng(seed).normal(size=num_samples)
    assert true_peak_db(wave_T) >= peak_db(wave_T)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 1000), st.sampled_from(["noise", "steps", "clicks", "tone"]))
def test_what_is_left_out_of_the_true_peak_is_below_it(num_samples, seed, kind):
    """Every point between samples, computed plainly from the definition in the docstring."""
    rng = np.random.default_rng(seed)
    noise_T = rng.normal(size=num_samples)
    waves = {
        "noise": noise_T,
        "steps": np.sign(noise_T),
        "clicks": noise_T * (rng.random(num_samples) < 0.01),
        "tone": np.sin(2 * np.pi * rng.uniform(0.2, 0.3) * np.arange(num_samples)),
    }
    wave_T = waves[kind].astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(wave_T.astype(np.float64), (9, 10)), 20)
    offset = np.arange(1, 4)[:, None] / 4 - np.arange(-9, 11)
    taps = np.sinc(offset) * np.i0(5.0 * np.sqrt(1.0 - (offset / 10.0) ** 2))
    between = windows @ (taps / taps.sum(axis=1, keepdims=True)).T
    peak = max(float(np.abs(wave_T).max()), float(np.abs(between).max()))
    assert true_peak_db(wave_T) == (pytest.approx(20 * np.log10(peak), abs=1e-9) if peak else None)


def test_silence_has_no_true_peak():
    assert true_peak_db(np.zeros(100)) is None
