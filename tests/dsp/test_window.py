"""Laws of trimming and fitting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.dsp.levels import envelope_db
from audioprep.dsp.window import fit, num_windows, trim_bounds
from audioprep.errors import ShapeError

PADS = ["zeros", "centre", "wrap", "reflect"]
WAVE_T = np.array([1.0, 2.0, 3.0], np.float32)


def bounds(wave_T, threshold_db=-50.0, margin_samples=0, frame_samples=100):
    return bounds_of(envelope_db(wave_T, frame_samples), frame_samples, wave_T.size, threshold_db, margin_samples)


def bounds_of(envelope_E, frame_samples, num_samples, threshold_db=-50.0, margin_samples=0):
    """Return the bounds of one recording."""
    (start,), (stop,) = trim_bounds(
        envelope_E,
        np.array([len(envelope_E)]),
        np.array([frame_samples]),
        np.array([num_samples]),
        threshold_db=threshold_db,
        margin_samples=margin_samples,
    )
    return start, stop


def test_quiet_ends_are_cut_and_a_quiet_middle_is_kept():
    wave_T = np.zeros(1050)
    wave_T[310:390], wave_T[700:750] = 0.5, 0.25
    assert bounds(wave_T) == (300, 800)


def test_the_margin_stops_at_the_ends():
    wave_T = np.zeros(1050)
    wave_T[300:800] = 0.5
    assert bounds(wave_T, margin_samples=50) == (250, 850)
    assert bounds(wave_T, margin_samples=10_000) == (0, 1050)


def test_the_threshold_is_relative_to_the_loudest_frame():
    wave_T = np.concatenate([np.full(100, 1e-3), np.full(100, 1e-1), np.full(50, 1e-2)])
    assert bounds(wave_T, threshold_db=-10.0) == (100, 200)
    assert bounds(wave_T, threshold_db=-20.0) == (100, 250)
    assert bounds(wave_T / 10, threshold_db=-20.0) == (100, 250)
    assert bounds(wave_T, threshold_db=-40.0) == (0, 250)


def test_silence_is_kept_whole():
    assert bounds(np.zeros(1050)) == (0, 1050)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 400), st.integers(0, 500), st.integers(0, 99))
def test_bounds_are_a_part_of_the_recording_that_holds_its_loudest_frame(num_samples, frame_samples, margin, seed):
    rng = np.random.default_rng(seed)
    wave_T = rng.normal(size=num_samples) * 10 ** rng.uniform(-4, 0, num_samples)
    start, stop = bounds(wave_T, -20.0, margin, frame_samples)
    assert 0 <= start < stop <= num_samples
    loudest = int(envelope_db(wave_T, frame_samples).argmax()) * frame_samples
    assert start <= loudest < stop


def test_an_envelope_of_another_recording_is_refused():
    with pytest.raises(
        ShapeError, match=r"expected an envelope of 11 frames for 1050 samples, got 10; measure it again"
    ):
        bounds_of(np.zeros(10, np.int8), 100, 1050)


@pytest.mark.parametrize("wrong", [{"threshold_db": 60.0}, {"margin_samples": -1}])
def test_impossible_rules_are_refused(wrong):
    with pytest.raises(ShapeError, match="expected threshold_db <= 0 and margin_samples >= 0"):
        bounds(np.ones(100), **wrong)


def test_lengths_must_be_positive():
    with pytest.raises(ShapeError, match="expected frame_samples > 0, got 0"):
        bounds_of(np.zeros(1, np.int8), 0, 100)


@pytest.mark.parametrize(
    ("pad", "expected"),
    [
        ("zeros", [1, 2, 3, 0, 0, 0, 0, 0]),
        ("centre", [0, 0, 1, 2, 3, 0, 0, 0]),
        ("wrap", [1, 2, 3, 1, 2, 3, 1, 2]),
        ("reflect", [1, 2, 3, 2, 1, 2, 3, 2]),
    ],
)
def test_a_short_clip_is_filled(pad, expected):
    np.testing.assert_array_equal(fit(WAVE_T, 8, pad), expected)


@pytest.mark.parametrize("pad", PADS)
def test_a_long_clip_is_cut_to_its_beginning(pad):
    np.testing.assert_array_equal(fit(WAVE_T, 2, pad), [1, 2])


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(PADS))
def test_fitting_is_idempotent_and_exact(num_samples, wanted_samples, pad):
    wave_T = np.random.default_rng(num_samples).normal(size=num_samples)
    once_T = fit(wave_T, wanted_samples, pad)
    assert once_T.shape == (wanted_samples,)
    assert once_T.dtype == np.float32
    np.testing.assert_array_equal(fit(once_T, wanted_samples, pad), once_T)


def test_an_unknown_pad_is_refused_and_the_nearest_suggested():
    with pytest.raises(ShapeError, match=r"fit pad: expected one of .*got 'center'; did you mean 'centre'\?"):
        fit(WAVE_T, 8, "center")


def test_an_empty_window_is_refused():
    with pytest.raises(ShapeError, match="fit: expected num_samples > 0, got 0"):
        fit(WAVE_T, 0)


def plain_windows(num_samples, window_samples, hop_samples):
    """The rule of `num_windows` in words for one part."""
    count, heard = 1, set(range(window_samples))
    while True:
        added = set(range(count * hop_samples, count * hop_samples + window_samples)) - heard
        if 2 * len({sample for sample in added if sample < num_samples}) < len(added):
            return count
        count, heard = count + 1, heard | added


@settings(deadline=None)
@given(st.lists(st.integers(1, 300), max_size=4), st.integers(1, 60), st.integers(1, 90))
def test_windows_are_those_of_the_plain_rule(lengths, window_samples, hop_samples):
    counts = num_windows(np.array(lengths, np.int64), window_samples, hop_samples).tolist()
    assert counts == [plain_windows(length, window_samples, hop_samples) for length in lengths]
    # What is cut to the end of the last window has as many.
    kept = [min(n, (k - 1) * hop_samples + window_samples) for n, k in zip(lengths, counts, strict=True)]
    assert num_windows(np.array(kept, np.int64), window_samples, hop_samples).tolist() == counts
    assert num_windows(np.array(lengths, np.int64), window_samples, None).tolist() == [1] * len(lengths)


@pytest.mark.parametrize(
    ("num_samples", "count"), [(1, 1), (100, 1), (124, 1), (125, 2), (150, 2), (174, 2), (175, 3), (1000, 19)]
)
def test_windows_that_overlap_reach_the_end_but_for_half_a_hop(num_samples, count):
    assert num_windows(np.array([num_samples]), 100, 50).tolist() == [count]


@pytest.mark.parametrize(("num_samples", "count"), [(100, 1), (149, 1), (150, 2), (249, 2), (250, 3)])
def test_a_last_window_is_at_least_half_full(num_samples, count):
    assert num_windows(np.array([num_samples]), 100, 100).tolist() == [count]
