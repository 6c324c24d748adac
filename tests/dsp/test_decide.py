"""Decisions column by column are those that a plain rule makes of one recording after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.dsp.decide import decide_gain, decide_gains, decide_part, decide_parts
from audioprep.errors import ShapeError

LEVELS = ("loudness_lufs", "rms_db", "peak_db", "true_peak_db")
# Measured levels have four decimals; differences of such are where rounding is not what it seems.
LEVEL = st.none() | st.floats(-200, 20) | st.integers(-2_000_000, 200_000).map(lambda steps: steps / 10_000)
NUMBER = st.floats(-70, 0) | st.integers(-700, 0).map(lambda tenths: tenths / 10)
TARGETS = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["lufs", "rms", "peak", "off"]),
        **dict.fromkeys(("target_lufs", "target_rms_db", "target_peak_db", "true_peak_ceiling_db"), NUMBER),
        "max_gain_db": st.floats(0, 120),
    }
)
MEASURED = st.lists(
    st.fixed_dictionaries({**dict.fromkeys(LEVELS, LEVEL), "attenuation_db": st.floats(0, 700)}), max_size=30
)
PARTS = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["energy", "off"]),
        "threshold_db": st.floats(-120, -0.01) | st.integers(-120, -1).map(float),
        "margin_s": st.floats(0, 2),
        "window_samples": st.integers(1, 6000),
        "hop_samples": st.none() | st.integers(1, 6000),
    }
)


def plain_gain(row, rule):
    """The rule of `decide_gains` in words for one recording, None where a level is not defined."""
    if rule["mode"] == "off":
        return round(row["attenuation_db"], 4), "off"
    level_db, target_db, reason = {
        "lufs": (row["loudness_lufs"], rule["target_lufs"], "lufs"),
        "rms": (row["rms_db"], rule["target_rms_db"], "rms"),
        "peak": (row["peak_db"], rule["target_peak_db"], "peak"),
    }[rule["mode"]]
    if level_db is None:
        level_db, reason = row["rms_db"], "rms_fallback"
    if level_db is None:
        return 0.0, "silent"
    gain_db = target_db - level_db
    if gain_db > rule["max_gain_db"]:
        gain_db, reason = rule["max_gain_db"], "max_gain"
    true_peak_db, ceiling_db = row["true_peak_db"], rule["true_peak_ceiling_db"]
    if true_peak_db is not None and true_peak_db + gain_db > ceiling_db:
        gain_db, reason = ceiling_db - true_peak_db, "true_peak"
    return round(gain_db, 4), reason


def plain_part(levels, frame_samples, num_samples, rate_hz, rule):
    """The rule of `decide_parts` in words for one recording."""
    start, stop = 0, num_samples
    loudest_db = max(levels)
    if rule["mode"] == "energy" and loudest_db > -120:
        sounding = [frame for frame, level_db in enumerate(levels) if level_db >= loudest_db + rule["threshold_db"]]
        margin_samples = round(rule["margin_s"] * rate_hz)
        start = max(0, sounding[0] * frame_samples - margin_samples)
        stop = min(num_samples, (sounding[-1] + 1) * frame_samples + margin_samples)
    last = start
    while (hop_samples := rule["hop_samples"]) and last + rule["window_samples"] < stop:
        added = min(hop_samples, rule["window_samples"])
        if 2 * (stop - last - hop_samples - rule["window_samples"] + added) < added:
            break
        last += hop_samples
    return start, min(stop, last + rule["window_samples"])


@settings(max_examples=300, deadline=None)
@given(MEASURED, TARGETS)
def test_gains_are_those_of_the_plain_rule(measured, rule):
    columns = {name: np.array([row[name] for row in measured], np.float64) for name in (*LEVELS, "attenuation_db")}
    gain_K, reason_K = decide_gains(**columns, **rule)
    expected = [plain_gain(row, rule) for row in measured]
    assert list(zip(gain_K.tolist(), reason_K.tolist(), strict=True)) == expected
    assert [decide_gain(**row, **rule) for row in measured] == expected


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5000), st.sampled_from([0.02, 0.01, 0.5]), st.integers(-120, 0)), max_size=12),
    st.sampled_from([8000, 11025, 16000]),
    PARTS,
    st.integers(0, 99),
)
def test_parts_are_those_of_the_plain_rule(recordings, rate_hz, rule, seed):
    rng = np.random.default_rng(seed)
    frames = [round(frame_s * rate_hz) for _, frame_s, _ in recordings]
    envelopes = [
        rng.integers(-120, loudest_db + 1, -(-num_samples // frame)).astype(np.int8)
        for (num_samples, _, loudest_db), frame in zip(recordings, frames, strict=True)
    ]
    start_K, stop_K = decide_parts(
        np.concatenate([np.zeros(0, np.int8), *envelopes]),
        np.array([len(envelope_E) for envelope_E in envelopes], np.int64),
        np.array([frame / rate_hz for frame in frames]),
        np.array([num_samples for num_samples, *_ in recordings], np.int64),
        rate_hz,
        **rule,
    )
    expected = [
        plain_part(envelope_E.tolist(), frame, num_samples, rate_hz, rule)
        for envelope_E, frame, (num_samples, *_) in zip(envelopes, frames, recordings, strict=True)
    ]
    assert list(zip(start_K.tolist(), stop_K.tolist(), strict=True)) == expected
    for envelope_E, frame, (num_samples, *_), part in zip(envelopes, frames, recordings, expected, strict=True):
        assert decide_part(envelope_E, frame / rate_hz, num_samples, rate_hz, **rule) == part


def test_the_recording_with_the_wrong_envelope_is_named_by_its_length():
    with pytest.raises(
        ShapeError, match="expected an envelope of 11 frames for 1050 samples, got 10; measure it again"
    ):
        decide_parts(
            np.zeros(15, np.int8),
            np.array([5, 10]),
            np.full(2, 0.1),
            np.array([500, 1050]),
            1000,
            mode="energy",
            threshold_db=-50.0,
            margin_s=0.0,
            window_samples=1000,
        )
