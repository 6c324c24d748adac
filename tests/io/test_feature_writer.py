"""What a feature shard holds, by type: values, steps and their bound, statistics, and who can read it."""

import json

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from audioprep.io.feature_writer import (
    METADATA_KEY,
    SHARD_STATS_NAME,
    FeatureWriter,
    decoded,
    quantised,
    value_columns,
)

IDS = [f"clip-{number}" for number in range(5)]
VALUES_KNM = np.random.default_rng(0).normal(-40, 15, (5, 7, 4)).astype(np.float32)
DTYPES = ("float16", "float32", "int8")


def write(folder, dtype, values_KNM=VALUES_KNM):
    writer = FeatureWriter({"kind": "logmel", "rule": {"dtype": dtype}, "rate_hz": 16000, "window_s": 0.1})
    for clip_id, values_NM in zip(IDS, values_KNM, strict=True):
        writer.add(clip_id, values_NM)
    assert writer.write(3, folder) == len(IDS)
    path = folder / "part-000003.parquet"
    return path, json.loads(pq.read_schema(path).metadata[METADATA_KEY])


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_is_decoded(tmp_path, dtype):
    path, meta = write(tmp_path, dtype)
    assert meta["rule"] == {"dtype": dtype}
    values_KNM = decoded(pq.read_table(path, columns=value_columns(meta)), meta)
    assert (values_KNM.shape, values_KNM.dtype) == ((5, 7, 4), np.float16 if dtype == "float16" else np.float32)
    if dtype == "int8":
        span_K = VALUES_KNM.max(axis=(1, 2)) - VALUES_KNM.min(axis=(1, 2))
        assert (np.abs(values_KNM - VALUES_KNM).max(axis=(1, 2)) <= span_K / 510 + 1e-5).all()
    else:
        np.testing.assert_array_equal(values_KNM, VALUES_KNM.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_some_rows_in_any_order_are_decoded(tmp_path, dtype):
    path, meta = write(tmp_path, dtype)
    table = pq.read_table(path)
    whole_KNM = decoded(table, meta)
    np.testing.assert_array_equal(decoded(table.slice(2, 2), meta), whole_KNM[2:4])
    np.testing.assert_array_equal(decoded(table.take([4, 0]), meta), whole_KNM[[4, 0]])
    assert decoded(table.slice(0, 0), meta).shape == (0, 7, 4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_statistics_are_those_of_what_is_stored(tmp_path, dtype):
    path, meta = write(tmp_path, dtype)
    stored_KNM = decoded(pq.read_table(path), meta).astype(np.float64)
    stats = pq.read_table(tmp_path / SHARD_STATS_NAME).to_pydict()
    assert stats["id"] == IDS
    assert stats["count"] == [7] * 5
    np.testing.assert_array_equal(stats["sum"], stored_KNM.sum(axis=1))
    np.testing.assert_array_equal(stats["sum_sq"], np.square(stored_KNM).sum(axis=1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_others_read_every_type(tmp_path, dtype):
    path, meta = write(tmp_path, dtype)
    columns = ["id", "num_frames", *value_columns(meta)]
    frame = pd.read_parquet(path)
    assert (list(frame.columns), len(frame["logmel"].iloc[0])) == (columns, 28)
    expected = np.stack(frame["logmel"].to_numpy()).astype(float)
    found = duckdb.sql(f"select * from '{path}'").fetchall()
    np.testing.assert_array_equal([row[columns.index("logmel")] for row in found], expected)
    hf = pytest.importorskip("datasets")
    loaded = hf.load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path / "cache"), split="train")
    np.testing.assert_array_equal(np.array(loaded["logmel"], float), expected)


def test_int8_needs_no_more_than_a_byte_a_value(tmp_path):
    values_KNM = np.random.default_rng(1).normal(-40, 15, (5, 501, 64)).astype(np.float32)
    path, _ = write(tmp_path, "int8", values_KNM)
    assert path.stat().st_size < 1.05 * values_KNM.size, "Parquet itself would take four"


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_features_are_the_same_bytes(tmp_path, dtype):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    first, second = (write(folder, dtype)[0].read_bytes() for folder in folders)
    assert first == second


FINITE = st.floats(-300, 300, width=32)


@settings(max_examples=200, deadline=None)
@given(npst.arrays(np.float32, npst.array_shapes(min_dims=2, max_dims=2), elements=FINITE))
def test_no_step_is_more_than_half_a_step_off(values_NM):
    clip = quantised(values_NM)
    back_NM = clip.offset + clip.scale * clip.steps
    assert (clip.steps.dtype, back_NM.dtype) == (np.int8, np.float32)
    assert clip.scale > 0
    largest = np.abs(values_NM).max()
    # A few roundings of float32 at the size of the values come on top.
    assert np.abs(back_NM - values_NM).max() <= clip.scale / 2 * 1.0001 + 4 * np.spacing(largest)


@pytest.mark.parametrize("value", [0.0, -100.0, 1e-40])
def test_a_clip_of_one_value_keeps_it(value):
    clip = quantised(np.full((3, 4), value, np.float32))
    np.testing.assert_allclose(clip.offset + clip.scale * clip.steps, np.float32(value), rtol=0)
