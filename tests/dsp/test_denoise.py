"""Noise reduction by what it must do to sounds whose noise is known."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.dsp.denoise import denoiser, gate
from audioprep.errors import ShapeError

NOISE_DB, TONE_HZ, TONE_DB = -40.0, 1000.0, -20.0
MODES = pytest.mark.parametrize("stationary", [True, False])


def level_db(wave_T):
    return 10 * np.log10(np.mean(np.square(wave_T, dtype=np.float64)))


def tone_in_noise(rate_hz):
    """Return four seconds of white noise, in whose second one there is a tone."""
    time_T = np.arange(4 * rate_hz) / rate_hz
    tone_T = 10 ** (TONE_DB / 20) * np.sqrt(2) * np.sin(2 * np.pi * TONE_HZ * time_T) * ((time_T >= 1) & (time_T < 2))
    noise_T = 10 ** (NOISE_DB / 20) * np.random.default_rng(0).standard_normal(len(time_T))
    return (tone_T + noise_T).astype(np.float32)


def parts_of(wave_T, rate_hz):
    """Return the level of the tone, that of what is beside it at the same time, and that of the noise alone, dB."""
    during_T = wave_T[round(1.1 * rate_hz) : round(1.9 * rate_hz)].astype(np.float64)
    turn_T = np.exp(-2j * np.pi * TONE_HZ * np.arange(len(during_T)) / rate_hz)
    tone_T = 2 * np.real(np.mean(during_T * turn_T) * np.conj(turn_T))
    alone_T = np.concatenate([wave_T[: round(0.8 * rate_hz)], wave_T[round(2.2 * rate_hz) :]])
    return level_db(tone_T), level_db(during_T - tone_T), level_db(alone_T)


@MODES
@pytest.mark.parametrize("rate_hz", [8000, 16000, 32000])
def test_a_tone_stays_and_the_noise_around_it_goes(rate_hz, stationary):
    wave_T = tone_in_noise(rate_hz)
    gated_T = gate(wave_T, rate_hz, stationary=stationary, strength=0.9)
    assert (gated_T.dtype, gated_T.shape) == (np.float32, wave_T.shape)
    tone_db, beside_db, alone_db = parts_of(gated_T, rate_hz)
    assert abs(tone_db - TONE_DB) < 1
    assert alone_db < NOISE_DB - 10, "at most 20 dB"
    snr_before_db, snr_db = TONE_DB - parts_of(wave_T, rate_hz)[1], tone_db - beside_db
    assert snr_db > snr_before_db + 8


@MODES
def test_strength_says_how_far_the_noise_goes_down(stationary):
    rate_hz, wave_T = 16000, tone_in_noise(16000)
    alone_db = [parts_of(gate(wave_T, rate_hz, stationary=stationary, strength=s), rate_hz)[2] for s in (0.5, 0.9, 1.0)]
    assert NOISE_DB - 6.1 < alone_db[0] < NOISE_DB - 4
    assert alone_db[0] > alone_db[1] > alone_db[2]


@MODES
def test_a_gain_before_is_a_gain_after(stationary):
    wave_T = tone_in_noise(16000)
    one_T, other_T = (gate(g * wave_T, 16000, stationary=stationary, strength=0.9) / g for g in (1.0, 0.125))
    np.testing.assert_allclose(one_T, other_T, atol=1e-5)


@MODES
@pytest.mark.parametrize("num_samples", [1, 1023, 1024, 5000, 16000])
def test_silence_stays_silence(num_samples, stationary):
    silence_T = np.zeros(num_samples, np.float32)
    np.testing.assert_array_equal(gate(silence_T, 16000, stationary=stationary, strength=1.0), silence_T)


@MODES
def test_digital_silence_around_a_sound_is_no_noise(stationary):
    """Corpora fill clips up with zeros: the noise is that of the sound all the same, and the zeros stay zeros."""
    wave_T = tone_in_noise(16000)
    filled_T = np.concatenate([wave_T, np.zeros(160000, np.float32)])
    gated_T = gate(filled_T, 16000, stationary=stationary, strength=0.9)
    assert np.isfinite(gated_T).all()
    assert level_db(gated_T[:12000]) < NOISE_DB - (13 if stationary else 8)
    assert np.abs(gated_T[80000:]).max() < 1e-9


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4000), st.sampled_from([4000, 8000, 192000]), st.booleans(), st.floats(0.01, 1.0), st.integers(0, 9)
)
def test_what_comes_out_is_finite_as_long_and_the_same_again(num_samples, rate_hz, stationary, strength, seed):
    rng = np.random.default_rng(seed)
    wave_T = (rng.uniform(-1, 1, num_samples) * (rng.random(num_samples) < 0.5)).astype(np.float32)
    gated_T = gate(wave_T, rate_hz, stationary=stationary, strength=strength)
    assert gated_T.shape == wave_T.shape
    assert np.isfinite(gated_T).all()
    np.testing.assert_array_equal(gate(wave_T, rate_hz, stationary=stationary, strength=strength), gated_T)


def test_long_recordings_are_the_same_in_pieces():
    """The library works through pieces of 600,000 samples: where they meet nothing is heard."""
    wave_T = np.tile(tone_in_noise(16000), 12)
    gated_T = gate(wave_T, 16000, stationary=True, strength=0.9)
    whole_T = gate(wave_T[560000:640000], 16000, stationary=True, strength=0.9)
    error_T = gated_T[570000:630000] - whole_T[10000:70000]
    assert level_db(error_T) < level_db(whole_T) - 20


def test_off_changes_nothing():
    wave_T = tone_in_noise(8000)
    for rule in (None, {"mode": "off", "stationary": True, "strength": 0.9}):
        assert denoiser(rule, 8000)(wave_T) is wave_T
    rule = {"mode": "gate", "stationary": False, "strength": 0.5}
    np.testing.assert_array_equal(denoiser(rule, 8000)(wave_T), gate(wave_T, 8000, stationary=False, strength=0.5))


def test_several_channels_are_refused():
    with pytest.raises(
        ShapeError, match=r"gate: expected samples \[T\] with T > 0, got shape \[2, 4000\]; mix to mono first"
    ):
        gate(np.zeros((2, 4000), np.float32), 16000, stationary=True, strength=0.9)


def test_torch_is_not_imported_and_can_be_later():
    code = (
        "import sys, numpy as np; from audioprep.dsp.denoise import gate; "
        "gate(np.random.default_rng(0).standard_normal(8000).astype(np.float32), 8000, stationary=True, strength=0.9); "
        "assert 'torch' not in sys.modules; import torch; torch.zeros(1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
