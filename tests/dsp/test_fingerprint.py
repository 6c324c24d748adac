"""Witnesses: noise and tones of which is known what must not matter (gain, shift, rate) and what must."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.dsp.fingerprint import correlation, fingerprint
from audioprep.dsp.resample import resample
from audioprep.errors import ShapeError

RATE_HZ = 16_000
HOP_SAMPLES = 160


def noise(seconds=2.0, seed=0, rate_hz=RATE_HZ):
    return np.random.default_rng(seed).normal(scale=0.1, size=round(seconds * rate_hz)).astype(np.float32)


def note(frequency_hz=440.0, seconds=2.0, decay_s=1.0):
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    harmonics = sum(np.sin(2 * np.pi * k * frequency_hz * time_s + k) / k for k in range(1, 8))
    return (0.1 * np.exp(-time_s / decay_s) * harmonics).astype(np.float32)


def error_rate(one, other):
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    known = (one != 0) & (other != 0)
    assert known.mean() > 0.5
    return np.bitwise_count(one[known] ^ other[known]).sum() / 32 / known.sum()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([4000, 8000, 11_025, 16_000, 22_050, 44_100, 48_000]), st.floats(0.07, 0.6))
def test_the_number_of_words_is_as_stated(rate_hz, seconds):
    wave_T = noise(seconds, rate_hz=rate_hz)
    words = fingerprint(wave_T, rate_hz)
    assert words.dtype == np.uint32
    frame_s = max(0.032, 218 / rate_hz)
    assert abs(len(words) - ((len(wave_T) / rate_hz - frame_s) / 0.01 - 2)) <= 1.1
    assert (words == fingerprint(wave_T, rate_hz)).all()


def test_five_seconds_take_two_kilobytes():
    assert fingerprint(noise(5.0), RATE_HZ).nbytes == 4 * 494


@settings(max_examples=20, deadline=None)
@given(st.integers(-6, 3))
def test_gain_leaves_every_bit(octaves):
    assert (fingerprint(noise() * np.float32(2.0**octaves), RATE_HZ) == fingerprint(noise(), RATE_HZ)).all()


@settings(max_examples=20, deadline=None)
@given(st.floats(-30.0, 20.0))
def test_gain_that_rounds_leaves_nearly_every_bit(gain_db):
    louder_T = noise() * np.float32(10 ** (gain_db / 20))
    assert error_rate(fingerprint(louder_T, RATE_HZ), fingerprint(noise(), RATE_HZ)) < 1e-3


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100))
def test_a_part_has_the_words_of_that_part(num_hops):
    whole, part = fingerprint(noise(), RATE_HZ), fingerprint(noise()[num_hops * HOP_SAMPLES :], RATE_HZ)
    both = (part != 0) & (whole[num_hops:] != 0)  # at its start a part knows less of what is steady
    assert both.mean() > 0.9
    assert (part == whole[num_hops:])[both].all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, HOP_SAMPLES - 1))
def test_a_shift_between_two_words_costs_few_bits(num_samples):
    shifted = fingerprint(noise()[num_samples:], RATE_HZ)
    whole = fingerprint(noise(), RATE_HZ)
    assert min(error_rate(shifted, whole), error_rate(shifted, whole[1:])) < 0.25


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_costs_few_bits(rate_hz):
    there_and_back_T = resample(resample(noise(), RATE_HZ, rate_hz), rate_hz, RATE_HZ)
    assert error_rate(fingerprint(there_and_back_T, RATE_HZ), fingerprint(noise(), RATE_HZ)) < 0.01
    other_rate = fingerprint(resample(noise(), RATE_HZ, rate_hz), rate_hz)
    assert error_rate(other_rate, fingerprint(noise(), RATE_HZ)) < 0.05


def test_unrelated_sounds_differ_in_half_of_the_bits():
    assert error_rate(fingerprint(noise(5.0), RATE_HZ), fingerprint(noise(5.0, seed=1), RATE_HZ)) == pytest.approx(
        0.5, abs=0.03
    )


@pytest.mark.parametrize(("band_hz", "bit"), [((312, 406), 31), ((3312, 3406), 0)])
def test_the_highest_bit_is_the_lowest_band(band_hz, bit):
    one, other = np.fft.rfft(noise(4.0)), np.fft.rfft(noise(4.0, seed=1))
    low, high = (frequency_hz * 4 for frequency_hz in band_hz)
    changed = one.copy()
    changed[low:high] = other[low:high]
    words = [fingerprint(np.fft.irfft(spectrum).astype(np.float32), RATE_HZ) for spectrum in (one, changed)]
    differing = [((words[0] ^ words[1]) >> np.uint32(bit) & 1).mean() for bit in range(32)]
    assert differing[bit] > 0.25
    assert max(differing[3:-3]) < 0.03


def test_at_a_low_rate_no_bit_is_lost():
    words = fingerprint(noise(5.0, rate_hz=4000), 4000)
    for bit in range(32):
        assert 0.3 < (words >> np.uint32(bit) & 1).mean() < 0.7


@pytest.mark.parametrize(
    "wave_T",
    [np.zeros(RATE_HZ), noise(0.06), noise() * np.float32(1e-6), note(decay_s=1e9), note(), note(262.0, decay_s=0.3)],
    ids=["silence", "too short", "rounding noise", "hum", "note", "short note"],
)
def test_what_cannot_be_told_apart_has_no_fingerprint(wave_T):
    words = fingerprint(wave_T, RATE_HZ)
    assert words.dtype == np.uint32
    assert words.size == 0


def test_silence_within_a_recording_is_zero():
    wave_T = np.concatenate([noise(1.0), np.zeros(RATE_HZ, np.float32), noise(1.0, seed=1)])
    words = fingerprint(wave_T, RATE_HZ)
    assert not words[101:193].any()
    assert (words[:97] != 0).mean() > 0.9


def test_not_a_wave_is_refused():
    with pytest.raises(ShapeError, match=r"fingerprint: expected samples \[T\]"):
        fingerprint(np.zeros((2, 3), np.float32), RATE_HZ)
    with pytest.raises(ShapeError, match="fingerprint: expected rate_hz > 0, got 0"):
        fingerprint(noise(), 0)


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.8, 2.0), st.floats(-40.0, 20.0), st.sampled_from([1.0, -1.0]), st.floats(-0.019, 0.019))
def test_a_copy_correlates_wherever_it_starts(offset_s, gain_db, polarity, slip_s):
    whole_T = noise(4.0)
    start = round((1.0 + offset_s) * RATE_HZ)
    copy_T = np.float32(polarity * 10 ** (gain_db / 20)) * whole_T[start : start + RATE_HZ]
    assert correlation(whole_T[RATE_HZ:], copy_T, RATE_HZ, offset_s + slip_s) == pytest.approx(1.0, abs=0.02)


def test_what_is_no_copy_does_not_correlate():
    assert correlation(noise(), noise(seed=1), RATE_HZ, 0.0) < 0.1
    assert correlation(noise(), noise(), RATE_HZ, 0.1) < 0.1
    assert correlation(note(440.0), note(466.0), RATE_HZ, 0.0) < 0.1


def test_no_overlap_and_silence_do_not_correlate():
    assert correlation(noise(), noise(), RATE_HZ, 2.0) == 0.0
    assert correlation(noise(), np.zeros(RATE_HZ, np.float32), RATE_HZ, 0.0) == 0.0


def test_of_a_long_overlap_the_middle_is_compared():
    wave_T = noise(60.0)
    wave_T[: 10 * RATE_HZ] = noise(10.0, seed=1)
    assert correlation(wave_T, noise(60.0), RATE_HZ, 0.0) == pytest.approx(1.0, abs=1e-6)


def test_correlation_of_no_wave_is_refused():
    with pytest.raises(ShapeError, match="correlation: expected float samples"):
        correlation(noise(), np.zeros(9, np.int16), RATE_HZ, 0.0)
    with pytest.raises(ShapeError, match="correlation: expected rate_hz > 0, got -1"):
        correlation(noise(), noise(), -1, 0.0)
