import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from model.corpora import write_features, write_split

from audioprep.errors import ShardError, SplitError
from audioprep.io.feature_writer import SHARD_STATS_NAME, STATS_NAME, FeatureWriter, merge_stats
from audioprep.io.parquet import read_features, read_split, read_stats

IDS = [f"{row:02d}-clip" for row in range(7)]
VALUES_KNM = np.random.default_rng(0).normal(-40, 10, (7, 5, 3)).astype(np.float16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_features(tmp_path / "logmel", IDS, VALUES_KNM, num_shards=3)
    return tmp_path / "logmel"


def test_features_come_in_the_order_asked_for(folder: Path) -> None:
    wanted = ["04-clip", "00-clip", "06-clip"]
    read = read_features(folder, wanted)
    assert read.ids == wanted
    assert read.values_KNM.dtype == np.float16
    np.testing.assert_array_equal(read.values_KNM, VALUES_KNM[[4, 0, 6]])
    assert read.meta["kind"] == "logmel"


def test_without_ids_every_clip_comes(folder: Path) -> None:
    read = read_features(folder)
    assert sorted(read.ids) == IDS
    np.testing.assert_array_equal(read.values_KNM, VALUES_KNM[[IDS.index(clip) for clip in read.ids]])


def test_what_the_features_stage_writes_is_read(tmp_path: Path) -> None:
    meta = {"kind": "mfcc", "rule": {"n_mfcc": 3, "dtype": "float32"}, "rate_hz": 16000, "window_s": 0.1}
    writer = FeatureWriter(meta)
    for clip_id, values_NM in zip(IDS, VALUES_KNM.astype(np.float32), strict=True):
        writer.add(clip_id, values_NM)
    writer.write(0, tmp_path)
    merge_stats([tmp_path / SHARD_STATS_NAME], tmp_path / STATS_NAME)
    (tmp_path / "_index.json").write_text('{"files": {}, "shards": []}')
    read = read_features(tmp_path, IDS)
    np.testing.assert_array_equal(read.values_KNM, VALUES_KNM.astype(np.float32))
    assert read.meta == {**meta, "num_frames": 5, "num_bins": 3}
    sums = read_stats(tmp_path)
    assert sums.ids == IDS
    np.testing.assert_allclose(sums.sum_KM, VALUES_KNM.astype(np.float64).sum(axis=1))
    np.testing.assert_allclose(sums.sum_sq_KM, (VALUES_KNM.astype(np.float64) ** 2).sum(axis=1))
    assert sums.count_K.tolist() == [5] * 7


def test_missing_clips_and_shards_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"logmel: expected 2 clips, 1 are not there \(99-clip\); run the features"):
        read_features(folder, ["00-clip", "99-clip"])
    with pytest.raises(ShardError, match=r"mfcc: expected feature shards, found none; run the features stage"):
        read_features(tmp_path / "mfcc")
    with pytest.raises(ShardError, match=r"_stats.parquet: expected a table, got FileNotFoundError"):
        read_stats(tmp_path)


def test_damaged_shards_are_named(folder: Path) -> None:
    (folder / "part-000001.parquet").write_bytes(b"PAR1 not a table")
    with pytest.raises(ShardError, match=r"part-000001.parquet: expected a file that says its rule, got ArrowInvalid"):
        read_features(folder, IDS)


def test_shards_of_two_rules_are_refused(folder: Path, tmp_path: Path) -> None:
    write_features(tmp_path / "other", IDS, VALUES_KNM, num_shards=3, meta={"rate_hz": 32000})
    (tmp_path / "other/part-000002.parquet").replace(folder / "part-000002.parquet")
    with pytest.raises(
        ShardError, match=r"part-000002.parquet: expected the rule of the other shards and of the index, got another"
    ):
        read_features(folder, IDS)


def test_split_roles_are_read(tmp_path: Path) -> None:
    write_split(tmp_path / "s.parquet", IDS[:3], ["b", "a", "b"], [1, 2, 3], num_folds=3)
    split = read_split(tmp_path / "s.parquet")
    assert split.classes == ["a", "b"]
    assert split.labels == [["b"], ["a"], ["b"]]
    assert split.roles == {
        1: ["test", "valid", "train"],
        2: ["train", "test", "valid"],
        3: ["valid", "train", "test"],
    }


def test_a_split_without_folds_is_refused(tmp_path: Path) -> None:
    table = pa.table({"id": ["a"], "labels": [["x"]], "fold": [1]})
    table = table.replace_schema_metadata({"audioprep": json.dumps({"labels": ["x"]})})
    pq.write_table(table, tmp_path / "s.parquet")
    with pytest.raises(SplitError, match=r"s.parquet: expected columns fold1 and on, got none; run the split stage"):
        read_split(tmp_path / "s.parquet")
