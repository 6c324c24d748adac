"""Sliding windows over sound of the fixture's network: low tones and high tones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bundles import RATE_HZ, write_bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.edge.events import Event, events_of
from audioprep.edge.predict import Predictor
from audioprep.edge.stream import Heard, _windows, hear
from audioprep.io.bundle import read_bundle


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(read_bundle(write_bundle(tmp_path_factory.mktemp("edge") / "bundle")))


def sine(frequency_hz: float, duration_s: float) -> np.ndarray:
    return 0.1 * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ, dtype=np.float32)


def pieces(wave_T: np.ndarray, num_samples: int) -> Iterator[np.ndarray]:
    return (wave_T[start : start + num_samples] for start in range(0, len(wave_T), num_samples))


LOW_HIGH = np.concatenate([sine(300, 3.0), sine(6000, 3.0)])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 12), st.integers(1, 12))
def test_windows_are_the_same_however_the_sound_comes(sizes: list[int], window: int, hop: int) -> None:
    hop = min(hop, window)
    wave_T = np.arange(sum(sizes), dtype=np.float32)
    found = list(_windows(np.split(wave_T, np.cumsum(sizes)[:-1]) if sizes else [], window, hop))
    assert [(start, part.tolist()) for start, part in found] == [
        (start, part.tolist()) for start, part in _windows([wave_T] if len(wave_T) else [], window, hop)
    ]
    for number, (start, part_T) in enumerate(found):
        assert start == number * hop
        np.testing.assert_array_equal(part_T, wave_T[start : start + window])
    heard = max((start + len(part_T) for start, part_T in found), default=0)
    assert 2 * (len(wave_T) - heard) < hop or heard == len(wave_T)


def test_each_window_is_heard_as_a_file_of_its_length(predictor: Predictor) -> None:
    heard = list(hear(predictor, pieces(LOW_HIGH, 1000), 0.5))
    assert [(window.start_s, window.stop_s) for window in heard] == [(n / 2, n / 2 + 1) for n in range(11)]
    for window in heard:
        part_T = LOW_HIGH[round(window.start_s * RATE_HZ) : round(window.stop_s * RATE_HZ)]
        np.testing.assert_array_equal(window.probability_L, predictor.probability_of(part_T))
        assert window.level_db == pytest.approx(-23.01, abs=0.01)
    best = [int(np.argmax(window.probability_L)) for window in heard if window.probability_L is not None]
    assert best[:5] + best[-5:] == [0] * 5 + [1] * 5


def test_probabilities_are_smoothed_and_silence_starts_anew(predictor: Predictor) -> None:
    silence_T = np.zeros(RATE_HZ, np.float32)
    sound_T = np.concatenate([sine(300, 1.0), sine(6000, 1.0), silence_T, sine(6000, 1.0)])
    alone = [window.probability_L for window in hear(predictor, [sound_T], 1.0)]
    smooth = [window.probability_L for window in hear(predictor, [sound_T], 1.0, num_smoothed=2)]
    assert alone[2] is None
    assert smooth[2] is None
    np.testing.assert_array_equal(smooth[0], alone[0])
    np.testing.assert_allclose(smooth[1], np.mean([alone[0], alone[1]], axis=0))
    np.testing.assert_array_equal(smooth[3], alone[3])


def test_what_is_quiet_counts_as_silence_where_asked(predictor: Predictor) -> None:
    (window,) = hear(predictor, [0.01 * sine(300, 1.0)], 1.0, min_level_db=-60.0)
    assert (window.probability_L, round(window.level_db)) == (None, -63)
    (window,) = hear(predictor, [0.01 * sine(300, 1.0)], 1.0)
    assert window.probability_L is not None


def test_short_sound_is_one_window_and_none_is_none(predictor: Predictor) -> None:
    (window,) = hear(predictor, [sine(300, 0.2)], 0.5)
    assert (window.start_s, window.stop_s) == (0.0, 0.2)
    assert not list(hear(predictor, [], 0.5))


def test_events_are_windows_in_a_row(predictor: Predictor) -> None:
    sound_T = np.concatenate([LOW_HIGH, np.zeros(2 * RATE_HZ, np.float32), sine(300, 2.0)])
    events = list(events_of(predictor, hear(predictor, [sound_T], 0.5), 0.5, threshold=0.6))
    assert [event.label for event in events] == ["low", "high", "low"]
    for event, (start_s, stop_s) in zip(events, [(0, 3), (3, 6), (8, 10)], strict=True):
        assert event.start_s == pytest.approx(start_s, abs=0.6)
        assert event.stop_s == pytest.approx(stop_s, abs=0.6)
        assert event.probability > 0.6
    assert events[0].stop_s <= events[1].start_s


def heard(*probabilities: float | None) -> list[Heard]:
    """Windows of 1 s every 0.5 s with these probabilities of `low`."""
    rows = [None if low is None else np.float32([low, 1 - low]) for low in probabilities]
    wave_T = np.zeros(RATE_HZ, np.float32)
    return [Heard(number / 2, number / 2 + 1, -23.0, row, wave_T) for number, row in enumerate(rows)]


@pytest.mark.parametrize("num_smoothed", [1, 3, 5])
def test_smoothing_makes_events_no_later(predictor: Predictor, num_smoothed: int) -> None:
    sound_T = np.concatenate([sine(300, 8.0), sine(5000, 8.0)])
    found = hear(predictor, [sound_T], 0.25, num_smoothed)
    low, high = events_of(predictor, found, 0.25, 0.5, late_s=(num_smoothed - 1) / 2 * 0.25)
    assert (low.label, high.label) == ("low", "high")
    assert (low.start_s, high.stop_s) == (0.0, 16.0)
    assert low.stop_s == high.start_s == pytest.approx(8.0, abs=0.3)


def test_a_window_speaks_for_its_middle(predictor: Predictor) -> None:
    events = list(events_of(predictor, heard(0.9, 0.7, 0.1, None, 0.5, 0.8), 0.5, threshold=0.6))
    assert events == [
        Event(0.0, 1.25, "low", pytest.approx(0.8)),
        Event(1.25, 1.75, "high", pytest.approx(0.9)),
        Event(2.75, 3.5, "low", pytest.approx(0.8)),
    ]


def test_several_classes_sound_at_once_where_they_may(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", thresholds={"low": 0.3, "high": 0.3})
    predictor = Predictor(read_bundle(folder))
    events = list(events_of(predictor, heard(0.5, 0.5, 0.9), 0.5, threshold=0.99))
    assert sorted(events) == [
        Event(0.0, 1.25, "high", pytest.approx(0.5)),
        Event(0.0, 2.0, "low", pytest.approx(1.9 / 3)),
    ]
