import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from model.corpora import write_features

from audioprep.errors import ShardError
from audioprep.io.feature_reader import FeatureShards
from audioprep.io.parquet import read_features, read_stats, read_sums

IDS = [f"{row:02d}-clip" for row in range(23)]
VALUES_KNM = np.random.default_rng(0).normal(-40, 10, (23, 5, 3)).astype(np.float16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_features(tmp_path / "logmel", IDS, VALUES_KNM, num_shards=3)
    return tmp_path / "logmel"


def rewrite(path: Path, row_group_size: int, change=lambda table: table) -> None:
    pq.write_table(change(pq.read_table(path, partitioning=None)), path, row_group_size=row_group_size)


def test_row_groups_are_numbered_through_all_shards(folder: Path) -> None:
    rewrite(folder / "part-000001.parquet", 3)
    shards = FeatureShards(folder)
    assert len(shards) == 23
    assert shards.bounds.tolist() == [0, 8, 11, 14, 16, 23]
    assert [group.number for group in shards.groups] == [0, 0, 1, 2, 0]
    parts = [shards.read(group) for group in range(5)]
    np.testing.assert_array_equal(np.concatenate(parts), VALUES_KNM[[IDS.index(clip) for clip in shards.ids]])


def test_clips_come_in_any_order_and_number(folder: Path) -> None:
    shards = FeatureShards(folder)
    wanted = ["07-clip", "22-clip", "00-clip", "07-clip"]
    np.testing.assert_array_equal(shards.values(shards.find(wanted)), VALUES_KNM[[7, 22, 0, 7]])
    assert shards.values(np.empty(0, np.int64)).shape == (0, 5, 3)


def test_values_may_be_put_into_room_of_the_caller(folder: Path) -> None:
    rewrite(folder / "part-000002.parquet", 100)  # pyarrow's own defaults: with a dictionary
    shards = FeatureShards(folder)
    for group in range(3):
        room = np.empty((9, 5, 3), np.float16)
        np.testing.assert_array_equal(shards.read(group, room), shards.read(group))


def test_int8_is_scaled_clip_by_clip(tmp_path: Path) -> None:
    stored = np.random.default_rng(1).integers(-128, 128, (6, 5, 3)).astype(np.int8)
    scale, offset = np.linspace(0.1, 0.6, 6, dtype=np.float32), np.linspace(-50, 20, 6, dtype=np.float32)
    meta = {"kind": "logmel", "num_frames": 5, "num_bins": 3, "rule": {"dtype": "int8"}}
    column = pa.FixedSizeListArray.from_arrays(pa.array(stored.reshape(-1)), 15)
    table = pa.table({"id": IDS[:6], "logmel": column, "scale": scale, "offset": offset})
    (tmp_path / "logmel").mkdir()
    path = tmp_path / "logmel/part-000000.parquet"
    pq.write_table(table.replace_schema_metadata({"audioprep": json.dumps(meta)}), path, row_group_size=4)
    (tmp_path / "logmel/_index.json").write_text("{}")
    wanted = [4, 1, 5]
    read = read_features(tmp_path / "logmel", [IDS[row] for row in wanted]).values_KNM
    assert read.dtype == np.float32
    expected = offset[wanted, None, None] + scale[wanted, None, None] * stored[wanted]
    np.testing.assert_array_equal(read, expected)


def test_sums_are_those_of_the_clips_asked_for(folder: Path) -> None:
    stats, rows = read_stats(folder), [3, 0, 19]
    sums = read_sums(folder, [stats.ids[row] for row in rows])
    assert sums.num_frames == 15
    np.testing.assert_allclose(sums.sum_M, stats.sum_KM[rows].sum(axis=0))
    np.testing.assert_allclose(sums.sum_sq_M, stats.sum_sq_KM[rows].sum(axis=0))


def test_sums_that_are_not_there_are_missed(folder: Path) -> None:
    with pytest.raises(ShardError, match=r"_stats.parquet: expected 2 clips, got 1 of them; run the features stage"):
        read_sums(folder, ["00-clip", "99-clip"])
    (folder / "_stats.parquet").unlink()
    with pytest.raises(ShardError, match=r"_stats.parquet: expected a table, got FileNotFoundError"):
        read_sums(folder, ["00-clip"])


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
def test_any_flipped_bit_changes_no_value_or_is_said(tmp_path: Path, dtype: str) -> None:
    """In a process of its own: pyarrow ends it where a damaged footer is asked for its columns."""
    command = [sys.executable, str(Path(__file__).with_name("flipped_bits.py")), dtype, str(tmp_path / "logmel")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout) == []


@pytest.mark.parametrize("key", ["kind", "rule", "rate_hz"])
def test_a_rule_that_is_not_that_of_the_index_is_refused(folder: Path, key: str) -> None:
    index = json.loads((folder / "_index.json").read_text())
    (folder / "_index.json").write_text(json.dumps({**index, key: "another"}))
    with pytest.raises(
        ShardError, match=r"part-000000.parquet: expected the rule of the other shards and of the index"
    ):
        FeatureShards(folder)


def test_a_table_of_something_else_is_refused(folder: Path) -> None:
    rewrite(folder / "part-000001.parquet", 100, lambda table: table.drop_columns(["logmel"]))
    with pytest.raises(ShardError, match=r"part-000001.parquet: expected a feature shard, got KeyError"):
        FeatureShards(folder)


def test_an_unfinished_folder_is_refused(folder: Path) -> None:
    (folder / "_index.json").unlink()
    message = r"logmel: expected _index\.json, found none; run the stage that makes this folder$"
    with pytest.raises(ShardError, match=message):
        FeatureShards(folder)


def test_what_is_said_in_two_places_must_agree(folder: Path) -> None:
    def without_an_id(table: pa.Table) -> pa.Table:
        return table.set_column(0, "id", pa.array([None, *table["id"].to_pylist()[1:]], pa.string()))

    def with_fewer_bins(table: pa.Table) -> pa.Table:
        meta = json.loads(table.schema.metadata[b"audioprep"]) | {"num_bins": 2}
        return table.replace_schema_metadata({"audioprep": json.dumps(meta)})

    rewrite(folder / "part-000001.parquet", 100, without_an_id)
    with pytest.raises(
        ShardError, match=r"part-000001.parquet: expected a feature shard, got ValueError: other than 8"
    ):
        FeatureShards(folder)
    rewrite(folder / "part-000000.parquet", 100, with_fewer_bins)
    with pytest.raises(
        ShardError, match=r"part-000000.parquet: expected a feature shard, got ValueError: 15 values a c"
    ):
        FeatureShards(folder)


def test_a_scale_of_another_type_is_refused(tmp_path: Path) -> None:
    meta = {"kind": "logmel", "num_frames": 1, "num_bins": 2, "rule": {"dtype": "int8"}}
    column = pa.FixedSizeListArray.from_arrays(pa.array([1, 2], pa.int8()), 2)
    table = pa.table({"id": ["a"], "logmel": column, "scale": [True], "offset": pa.array([0], pa.float32())})
    (tmp_path / "logmel").mkdir()
    path = tmp_path / "logmel/part-000000.parquet"
    (tmp_path / "logmel/_index.json").write_text("{}")
    pq.write_table(table.replace_schema_metadata({"audioprep": json.dumps(meta)}), path)
    with pytest.raises(
        ShardError, match=r"part-000000.parquet: expected a feature shard, got ValueError: scale and of"
    ):
        FeatureShards(tmp_path / "logmel")


def test_a_file_that_says_nothing_is_refused(folder: Path) -> None:
    rewrite(folder / "part-000001.parquet", 100, lambda table: table.replace_schema_metadata(None))
    with pytest.raises(ShardError, match=r"part-000001.parquet: expected a file that says its rule, got KeyError"):
        FeatureShards(folder)


def test_a_row_group_that_is_cut_is_named(folder: Path) -> None:
    shards = FeatureShards(folder)
    (folder / "part-000001.parquet").write_bytes((folder / "part-000001.parquet").read_bytes()[:200])
    with pytest.raises(ShardError, match=r"part-000001.parquet: expected 8 clips in row group 0, got ArrowInvalid"):
        shards.read(1)
    (folder / "part-000001.parquet").unlink()
    with pytest.raises(
        ShardError, match=r"part-000001.parquet: expected 8 clips in row group 0, got FileNotFoundError"
    ):
        shards.values(shards.find(["01-clip"]))
