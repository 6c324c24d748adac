"""Witnesses: noise cut at a known frequency, and real recordings that were once sampled at 8 kHz."""

import numpy as np
import pytest
import scipy.fft
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.dsp.bandwidth import bandwidth_hz
from audioprep.dsp.measure import to_mono, to_stored
from audioprep.dsp.resample import resample
from audioprep.errors import ShapeError

RATE_HZ = 16_000
STEP = 2.0**-15


def in_16_bits(wave_T):
    return (np.round(wave_T / STEP) * STEP).astype(np.float32)


def cut_noise(edge_hz, level=0.1, seconds=3.0, slope=0.0, rate_hz=RATE_HZ, seed=0):
    """Return noise whose power falls as frequency ** -slope, with nothing above an edge."""
    wave_T = np.random.default_rng(seed).normal(size=round(seconds * rate_hz))
    frequency_hz = scipy.fft.rfftfreq(wave_T.size, 1 / rate_hz)
    spectrum = scipy.fft.rfft(wave_T) * np.maximum(frequency_hz, 50.0) ** (-slope / 2) * (frequency_hz <= edge_hz)
    wave_T = scipy.fft.irfft(spectrum, wave_T.size)
    return in_16_bits(level * wave_T / wave_T.std())


@settings(max_examples=40, deadline=None)
@given(st.floats(400, 7500), st.sampled_from([0.002, 0.02, 0.2]))
def test_the_edge_of_cut_noise_is_found(edge_hz, level):
    found_hz = bandwidth_hz(cut_noise(edge_hz, level), RATE_HZ)
    assert found_hz == pytest.approx(edge_hz, abs=100)
    assert found_hz % 50 == 0


@pytest.mark.parametrize("rate_hz", [4000, 16_000, 44_100, 192_000])
def test_noise_reaches_to_half_of_the_rate(rate_hz):
    assert bandwidth_hz(cut_noise(rate_hz, rate_hz=rate_hz), rate_hz) == rate_hz / 2


def test_a_dark_sound_is_not_cut():
    assert bandwidth_hz(cut_noise(RATE_HZ, slope=4.0), RATE_HZ) == RATE_HZ / 2  # 12 dB an octave


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 48_000])
def test_upsampled_from_8_khz_shows(rate_hz):
    upsampled_T = in_16_bits(resample(cut_noise(4000, rate_hz=8000), 8000, rate_hz))
    assert 3850 <= bandwidth_hz(upsampled_T, rate_hz) <= 4150


@settings(max_examples=20, deadline=None)
@given(st.floats(-20, 5))
def test_gain_moves_nothing(gain_db):
    louder_T = in_16_bits(cut_noise(3000, 0.02) * 10 ** (gain_db / 20))
    assert bandwidth_hz(louder_T, RATE_HZ) == pytest.approx(3000, abs=100)


def test_silence_around_a_sound_changes_nothing():
    wave_T = in_16_bits(cut_noise(5000, seconds=0.5) * np.hanning(8000))  # a sudden start would be a click
    padded_T = np.concatenate([np.zeros(40_000), wave_T, np.zeros(30_000)]).astype(np.float32)
    assert bandwidth_hz(padded_T, RATE_HZ) == pytest.approx(bandwidth_hz(wave_T, RATE_HZ), abs=100)


@pytest.mark.parametrize("wave_T", [np.zeros(9000), cut_noise(RATE_HZ, STEP / 4)], ids=["silence", "rounding noise"])
def test_silence_has_no_bandwidth(wave_T):
    assert bandwidth_hz(wave_T, RATE_HZ) is None


def test_a_handful_of_samples_is_enough():
    assert 0 < bandwidth_hz(cut_noise(RATE_HZ)[:10], RATE_HZ) <= RATE_HZ / 2
    assert bandwidth_hz(np.ones(1), 8) == 4.0


def test_not_a_wave_is_refused():
    with pytest.raises(ShapeError, match=r"bandwidth_hz: expected samples \[T\]"):
        bandwidth_hz(np.zeros((2, 3)), RATE_HZ)
    with pytest.raises(ShapeError, match="bandwidth_hz: expected rate_hz > 0, got 0"):
        bandwidth_hz(np.zeros(3), 0)


@pytest.mark.real
def test_real_speech_at_8_khz_ends_at_4_khz(shared_data):
    for path in sorted((shared_data / "fsdd" / "recordings").glob("*.wav"))[::30]:
        wave_TC, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        assert 3800 <= bandwidth_hz(to_stored(resample(to_mono(wave_TC), rate_hz, RATE_HZ))[0], RATE_HZ) <= 4150, (
            path.name
        )


@pytest.mark.real
def test_real_field_recordings_reach_further_unless_they_were_at_8_khz(shared_data):
    for path in sorted((shared_data / "esc10" / "audio").glob("*.ogg"))[::10]:
        wave_TC, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        assert bandwidth_hz(to_stored(resample(to_mono(wave_TC), rate_hz, RATE_HZ))[0], RATE_HZ) > 5000, path.name
        upsampled_T = in_16_bits(resample(resample(wave_TC.mean(axis=1), rate_hz, 8000), 8000, rate_hz))
        assert (
            3800
            <= bandwidth_hz(to_stored(resample(to_mono(upsampled_T[:, None]), rate_hz, RATE_HZ))[0], RATE_HZ)
            <= 4200
        ), path.name
