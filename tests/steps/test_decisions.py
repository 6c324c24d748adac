"""Gains and parts are finite and in range, whatever was measured."""

import math
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps.small_corpus import Run

from audioprep.config.data import LoudnessRule, TrimRule
from audioprep.dsp.decide import decide_gain, decide_part
from audioprep.engine import EngineRule, file_identity, read_index, write_index
from audioprep.errors import ShardError
from audioprep.io.shar import read_cuts
from audioprep.io.tables import CLIPS, FACTS, read_table, rows_to_table, write_table
from audioprep.steps import trim as trim_step
from audioprep.steps.loudness import loudness
from audioprep.steps.trim import trim

LEVEL = st.none() | st.floats(-400, 700)
RULES = st.builds(
    LoudnessRule,
    mode=st.sampled_from(["lufs", "rms", "peak", "off"]),
    target_lufs=st.floats(-70, 0),
    target_rms_db=st.floats(-70, 0),
    target_peak_db=st.floats(-70, 0),
    true_peak_ceiling_db=st.floats(-70, 0),
    max_gain_db=st.floats(0, 120),
)


@given(RULES, LEVEL, LEVEL, LEVEL, LEVEL, st.floats(0, 700))
def test_a_gain_is_finite_and_within_its_limits(rule, loudness_lufs, rms_db, peak_db, true_peak_db, attenuation_db):
    gain_db, reason = decide_gain(
        loudness_lufs=loudness_lufs,
        rms_db=rms_db,
        peak_db=peak_db,
        true_peak_db=true_peak_db,
        attenuation_db=attenuation_db,
        **rule.model_dump(),
    )
    assert math.isfinite(gain_db)
    if rule.mode == "off":
        assert (gain_db, reason) == (round(attenuation_db, 4), "off")
    elif reason == "silent":
        assert gain_db == 0
    else:
        assert gain_db <= rule.max_gain_db + 1e-3
        assert true_peak_db is None or true_peak_db + gain_db <= rule.true_peak_ceiling_db + 1e-3


@settings(max_examples=200)
@given(
    st.integers(1, 48000),
    st.sampled_from([8000, 11025, 16000, 44100]),
    st.floats(-120, -1),
    st.floats(0, 2),
    st.integers(1, 48000),
    st.sampled_from(["energy", "off"]),
    st.randoms(use_true_random=False),
)
def test_a_part_is_inside_the_recording_and_the_window(
    num_samples, rate_hz, threshold_db, margin_s, window_samples, mode, random
):
    frame_samples = round(0.02 * rate_hz)
    num_frames = -(-num_samples // frame_samples)
    envelope_E = np.array([random.randint(-120, 0) for _ in range(num_frames)], np.int8)
    start, stop = decide_part(
        envelope_E,
        frame_samples / rate_hz,
        num_samples,
        rate_hz,
        mode=mode,
        threshold_db=threshold_db,
        margin_s=margin_s,
        window_samples=window_samples,
    )
    assert 0 <= start < stop <= num_samples
    assert stop - start <= window_samples
    if mode == "off":
        assert (start, stop) == (0, min(num_samples, window_samples))


@pytest.fixture
def run(prepared, tmp_path):
    """Return a copy of the prepared corpus that may be changed."""
    shutil.copytree(prepared.out, tmp_path / "copy")
    return Run(prepared.root, tmp_path / "copy")


@pytest.mark.parametrize("mode", ["lufs", "rms", "peak", "off"])
def test_every_mode_decides_every_recording(run, mode):
    loudness(run.layout, LoudnessRule(mode=mode))
    rows = read_table(run.layout.loudness / "gains.parquet").to_pylist()
    assert len(rows) == 23
    assert all(math.isfinite(row["gain_db"]) for row in rows)
    assert {row["reason"] for row in rows} <= {mode, "rms_fallback", "true_peak", "max_gain", "silent"}


def vouch_for(path):
    """Let the index of the audio folder say that a table was always so."""
    index = read_index(path.parent)
    write_index(path.parent, {**index, "files": {**index["files"], path.name: file_identity(path)}})


def with_level(run, level_db):
    """Write facts in which one recording is impossibly loud."""
    path = run.layout.audio / "facts.parquet"
    rows = read_table(path).to_pylist()
    rows[1]["loudness_lufs"] = level_db
    write_table(path, rows_to_table(rows, FACTS))
    vouch_for(path)
    return rows[1]["id"]


def test_a_gain_that_is_not_finite_stops_the_stage_and_replaces_nothing(run):
    before = (run.layout.loudness / "gains.parquet").read_bytes()
    wrong_id = with_level(run, math.inf)
    with pytest.raises(
        ShardError, match=rf"^{wrong_id}: expected a finite gain, got -inf; run the resample stage again$"
    ):
        loudness(run.layout, LoudnessRule())
    assert (run.layout.loudness / "gains.parquet").read_bytes() == before


@pytest.mark.parametrize("table", ["loudness/gains.parquet", "audio/status.parquet", "raw/clips.parquet"])
def test_a_recording_that_another_table_lacks_stops_the_stage(run, table):
    path = run.layout.data / table
    whole = read_table(path)
    write_table(path, whole.slice(1))
    if path.parent == run.layout.audio:
        vouch_for(path)
    with pytest.raises(
        ShardError,
        match=rf"{path.name}: expected a row for every recording, got none for bell--\d; run the stage that makes it$",
    ):
        trim(run.layout, TrimRule(), 0.5)


def test_cuts_are_the_same_in_one_task_and_in_many(run, monkeypatch):
    def files(engine=None):
        trim(run.layout, TrimRule(), 0.5, engine)
        return {path.name: path.read_bytes() for path in run.layout.cuts.iterdir()}

    whole = files()
    monkeypatch.setattr(trim_step, "_CUTS", 1)
    monkeypatch.setattr(trim_step, "_ENVELOPES", 1)
    assert files(EngineRule(engine="serial")) == whole
    assert files() == whole
    assert not (run.layout.work / "trim").exists()


@pytest.mark.parametrize(
    ("exclude", "left_out"),
    [((), set()), (("silent",), {"bell--7"}), (("silent", "duplicate"), {"bell--7", "engine--7"})],
)
def test_clips_that_are_left_out_stay_as_rows(run, exclude, left_out):
    trim(run.layout, TrimRule(exclude=exclude, pad="wrap"), 0.5)
    index = read_index(run.layout.cuts)
    cuts = [cut for path in sorted(run.layout.cuts.glob("*.jsonl")) for cut in read_cuts(path)]
    assert index["rule"]["pad"] == "wrap"
    assert sum(entry["rows"] for entry in index["shards"]) == len(cuts) == 23
    assert {cut["id"] for cut in cuts if not cut["custom"]["used"]} == left_out
    assert all(0 < cut["duration"] <= 0.5 for cut in cuts)
    assert all(cut["supervisions"][0]["duration"] == cut["duration"] for cut in cuts)


def test_a_copy_under_another_label_or_in_another_part_stays(run):
    table = read_table(run.layout.raw / "clips.parquet")
    before = table.to_pylist()

    def left_out(**changes):
        rows = [row | changes if row["id"] == "engine--7" else row for row in before]
        write_table(run.layout.raw / "clips.parquet", rows_to_table(rows, CLIPS))
        trim(run.layout, TrimRule(), 0.5)
        used = read_table(run.layout.cuts / "_used.parquet").to_pylist()
        return {row["id"] for row in used if not row["used"]}

    assert left_out() == {"bell--7", "engine--7"}, "it says nothing that its original does not say"
    assert left_out(labels=["rain"]) == {"bell--7"}
    assert left_out(splits=[("official", "test")]) == {"bell--7"}, "a published test set stays as published"
