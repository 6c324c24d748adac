import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from audioprep.model.monitor.tally import SCALES, Scale, Tally, Timeline, add_up

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def line(seconds: float = 0.0, **change: Any) -> dict[str, Any]:
    """Return a line of a record; a value of None takes the key away."""
    whole = {
        "time": (START + timedelta(seconds=seconds)).isoformat(),
        "source": "microphone",
        "labels": ["dog"],
        "probability": 0.9,
        "rms_db": -30.0,
        "loudness_lufs": -27.0,
        "true_peak_db": -6.0,
        "bundle": "b1",
    } | change
    return {name: value for name, value in whole.items() if value is not None}


def test_a_quantile_lies_where_a_share_of_the_values_is_below() -> None:
    values = np.random.default_rng(0).normal(-30.0, 8.0, 5000)
    scale = SCALES["rms_db"]
    counts = [0] * scale.num_bins
    for value in values:
        counts[scale.bin(value)] += 1
    for share in (0.1, 0.5, 0.9):
        assert scale.quantile(counts, share) == pytest.approx(np.quantile(values, share), abs=0.25)


def test_what_is_beyond_the_ends_counts_to_the_outermost() -> None:
    scale = Scale(0.0, 0.5, 4)
    assert [scale.bin(value) for value in (-9.0, 0.0, 0.49, 0.5, 1.99, 2.0, 9.0)] == [0, 0, 0, 1, 3, 3, 3]


def test_lines_are_counted_by_what_they_say() -> None:
    lines = [
        line(),
        line(1.0, labels=["cat", "dog"], true_peak_db=0.5),
        line(2.0, labels=[]),
        line(3.0, loudness_lufs=None),
        line(4.0, probability=None, labels=None, status="silent"),
        line(5.0, probability=None, labels=None, status="decode_error"),
        line(6.0, bundle="b2"),
        None,
    ]
    heard, bundles = add_up(lines, "b1", {"rms_db": [-40.0, -30.0, -20.0], "confidence": [0.5]}, 5.0)
    assert bundles == {"b1": 6, "b2": 1}
    assert (heard.num_lines, heard.num_judged, heard.num_other, heard.num_broken) == (6, 4, 1, 1)
    assert heard.labels == {"dog": 3, "cat": 1}
    assert heard.num_unlabelled == 1
    assert (heard.num_silent, heard.num_failed) == (1, 1)
    assert (heard.num_peaks, heard.num_over) == (4, 1)
    assert heard.last_s - heard.first_s == 5.0
    assert heard.binned == {"rms_db": [0, 4, 0, 0], "confidence": [0, 4]}, "an edge belongs to the bin below it"
    assert [sum(heard.counts[name]) for name in ("rms_db", "loudness_lufs", "confidence")] == [4, 3, 4]


def test_time_is_divided_into_few_stretches_however_long_it_is() -> None:
    rng = np.random.default_rng(0)
    heard = Tally({})
    for seconds in rng.permutation(20_000):  # also backwards: clocks are set
        heard.add(line(7.0 * seconds, rms_db=-20.0 if seconds < 10_000 else -50.0))
    stretches = heard.timeline.stretches()
    assert 50 < len(stretches) <= 120
    middles = [middle_s for middle_s, _ in stretches]
    assert middles == sorted(middles)
    assert np.diff(middles) == pytest.approx(heard.timeline.width_s)
    assert abs(middles[0] - START.timestamp()) <= heard.timeline.width_s
    assert sum(sum(counts["rms_db"]) for _, counts in stretches) == 20_000
    medians = [SCALES["rms_db"].quantile(counts["rms_db"], 0.5) for _, counts in stretches]
    assert medians[:25] == pytest.approx([-20.0] * 25, abs=0.5)
    assert medians[-25:] == pytest.approx([-50.0] * 25, abs=0.5)


def test_few_lines_are_few_stretches() -> None:
    heard = Tally({})
    for seconds in range(60):
        heard.add(line(seconds))
    assert 8 <= len(heard.timeline.stretches()) <= 12
    assert Timeline().stretches() == []


def test_a_long_pause_does_not_use_up_the_stretches() -> None:
    heard = Tally({})
    for start_s in (0.0, 1.8e9):
        for seconds in range(100):
            heard.add(line(start_s + seconds))
    assert len(heard.timeline.stretches()) >= 20


def test_memory_does_not_grow_with_the_lines() -> None:
    heard = Tally({})
    for seconds in range(3000):
        heard.add(json.loads(json.dumps(line(60.0 * seconds, labels=["dog", "cat"]))))
    num_counts = sum(len(row) for _, counts in heard.timeline.stretches() for row in counts.values())
    assert num_counts <= 121 * sum(scale.num_bins for scale in SCALES.values())


def test_of_windows_that_overlap_what_is_new_counts() -> None:
    def num_new(*windows: tuple[str, float, float]) -> float:
        heard = Tally({}, window_s=4.0)
        for source, start_s, stop_s in windows:
            heard.add(line(source=source, start_s=start_s, stop_s=stop_s))
        return heard.num_new

    assert num_new(*(("a", 0.5 * number, 0.5 * number + 4) for number in range(9))) == pytest.approx(1 + 8 / 8)
    assert num_new(("a", 0, 4), ("a", 4, 8), ("a", 20, 24)) == 3
    assert num_new(("a", 0, 4), ("b", 1, 5), ("a", 1, 5), ("b", 2, 6)) == 2.5, "two that take turns"
    assert num_new(*(("a", 0, 0.5 * number) for number in range(1, 9))) == 1, "a live window that fills"
    assert num_new(("a", 0, 4), ("a", 9, 13), ("a", 0, 4)) == 3, "one that starts anew"
    heard = Tally({}, window_s=4.0)
    heard.add(line(source="a"))
    heard.add(line(source="a"))
    assert heard.num_new == 2, "files"
