"""Witnesses: sines and square waves of known level."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.dsp.levels import amplitude_db, clipped_fraction, dc_offset, envelope_db, frame_energy, peak_db, rms_db
from audioprep.errors import ShapeError

SINE_T = np.sin(2 * np.pi * 100 * np.arange(16000) / 16000)


def test_a_full_scale_sine_has_its_known_levels():
    assert rms_db(SINE_T) == pytest.approx(-3.0103, abs=1e-4)
    assert peak_db(SINE_T) == pytest.approx(0.0, abs=1e-9)
    assert dc_offset(SINE_T) == pytest.approx(0.0, abs=1e-12)


def test_the_peak_may_be_negative():
    assert peak_db(np.array([0.1, -0.5, 0.2])) == pytest.approx(-6.0206, abs=1e-4)


def test_dc_is_the_mean():
    assert dc_offset(SINE_T.astype(np.float32) + np.float32(0.25)) == pytest.approx(0.25, abs=1e-6)


def test_silence_has_no_level():
    assert rms_db(np.zeros(10)) is None
    assert peak_db(np.zeros(10)) is None
    assert amplitude_db(0.0) is None


def test_a_clipped_sine_is_seen_and_a_loud_one_is_not():
    clipped_T = np.clip(2 * SINE_T, -1, 32767 / 32768)
    assert clipped_fraction(clipped_T) == pytest.approx(2 / 3, abs=0.01)  # |sin x| > 1 / 2 two thirds of the time
    assert clipped_fraction(SINE_T) == 0.0
    assert clipped_fraction(np.clip(SINE_T, -0.7, 0.7)) == 0.0  # flat, but not at full scale
    assert clipped_fraction(np.zeros(100)) == 0.0


def test_clipping_is_counted_on_each_side_by_runs_of_three():
    wave_T = np.array([1, 1, 0, 1, 1, 1, 0, -1, -1, -1, -1, 0, -1, 0.5, 1, -1, 1])
    assert clipped_fraction(wave_T) == pytest.approx(7 / 17)


def test_the_envelope_follows_the_level_and_ends_in_a_short_frame():
    wave_T = np.concatenate([np.zeros(100), np.full(100, 0.1), np.full(100, 1.0), np.full(10, 0.01)])
    envelope_E = envelope_db(wave_T, 100)
    assert envelope_E.dtype == np.int8
    assert envelope_E.tolist() == [-120, -20, 0, -40]


def test_the_envelope_stays_within_its_range():
    assert envelope_db(np.array([1e-9, 30.0]), 1).tolist() == [-120, 0]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 2000), st.integers(1, 700))
def test_the_envelope_has_the_stated_length(num_samples, frame_samples):
    assert envelope_db(np.ones(num_samples), frame_samples).shape == (-(-num_samples // frame_samples),)


@settings(max_examples=50, deadline=None)
@given(st.floats(-60, 20))
def test_gain_moves_the_levels_by_that_many_decibels(gain_db):
    wave_T = np.random.default_rng(0).normal(scale=0.1, size=1000)
    louder_T = wave_T * 10 ** (gain_db / 20)
    assert rms_db(louder_T) - rms_db(wave_T) == pytest.approx(gain_db, abs=1e-9)
    assert peak_db(louder_T) - peak_db(wave_T) == pytest.approx(gain_db, abs=1e-9)


def test_a_frame_of_no_samples_is_refused():
    with pytest.raises(ShapeError, match="envelope_db: expected frame_samples > 0, got 0"):
        envelope_db(SINE_T, 0)
    with pytest.raises(ShapeError, match="frame_energy: expected frame_samples > 0, got 0"):
        frame_energy(SINE_T, 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=3000), st.integers(1, 700))
def test_the_energy_of_16_bit_steps_is_exact(steps, frame_samples):
    energy_E = frame_energy(np.array(steps, np.float32) / 32768, frame_samples)
    exact = [sum(s * s for s in steps[at : at + frame_samples]) for at in range(0, len(steps), frame_samples)]
    assert (energy_E * 2.0**30).tolist() == exact
