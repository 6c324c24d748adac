"""The Parquet files of the training side: reads feature shards, their statistics and splits, writes predictions."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from audioprep.errors import ShardError, SplitError, reason_of
from audioprep.io.feature_writer import METADATA_KEY, STATS_NAME
from audioprep.io.tables import read_table

_FIRST_FOLD_COLUMN = "fold1"


class Features(NamedTuple):
    """Feature matrices of clips.

    Attributes:
        ids: Clip ids [K].
        values_KNM: Feature matrices [K clips, N frames, M bins], float16 or float32 as they are stored.
        meta: What the shards say of themselves: kind, num_frames, num_bins, rate_hz, window_s, rule.
    """

    ids: list[str]
    values_KNM: npt.NDArray[Any]
    meta: dict[str, Any]


class Stats(NamedTuple):
    """Sums per clip and bin, from which the mean and deviation of any set of clips follow.

    Attributes:
        ids: Clip ids [K].
        count_K: Frames of each clip [K], int64.
        sum_KM: Sum over frames [K, M], float64.
        sum_sq_KM: Sum of squares over frames [K, M], float64.
    """

    ids: list[str]
    count_K: npt.NDArray[np.int64]
    sum_KM: npt.NDArray[np.float64]
    sum_sq_KM: npt.NDArray[np.float64]


class Split(NamedTuple):
    """Who trains, validates and tests.

    Attributes:
        ids: Clip ids [K].
        labels: Labels of each clip.
        classes: Every label of the corpus, sorted.
        roles: For each fold the role of every clip when that fold is tested: train, valid, test or unused.
        meta: What the split says of itself.
    """

    ids: list[str]
    labels: list[list[str]]
    classes: list[str]
    roles: dict[int, list[str]]
    meta: dict[str, Any]


def read_features(folder: Path, ids: Sequence[str] | None = None) -> Features:
    """Read feature shards into memory.

    Args:
        folder: A feature folder, `data/<ds>/<kind>`.
        ids: The clips wanted, in the order wanted; None is every clip, in stored order.

    Raises:
        ShardError: A shard is missing or damaged, or does not hold a clip that is wanted.
    """
    shards = sorted(folder.glob("part-*.parquet"))
    if not shards:
        raise ShardError(f"{folder}: expected feature shards, found none; run the features stage")
    meta = _metadata(shards[0])
    wanted = (
        ids if ids is not None else [clip for path in shards for clip in read_table(path, ["id"])["id"].to_pylist()]
    )
    row_of = {clip: row for row, clip in enumerate(wanted)}
    values_KNM, is_there_K = None, np.zeros(len(wanted), bool)
    for path in shards:
        clips, part_KNM = _read_shard(path, meta)
        rows = [(source, row_of[clip]) for source, clip in enumerate(clips) if clip in row_of]
        if values_KNM is None:
            values_KNM = np.zeros((len(wanted), *part_KNM.shape[1:]), part_KNM.dtype)
        if rows:
            sources, targets = zip(*rows, strict=True)
            values_KNM[list(targets)] = part_KNM[list(sources)]
            is_there_K[list(targets)] = True
    if values_KNM is None or not is_there_K.all():
        missing = [clip for clip, is_there in zip(wanted, is_there_K, strict=True) if not is_there]
        raise ShardError(
            f"{folder}: expected {len(wanted)} clips, {len(missing)} are not there ({', '.join(missing[:5])}); "
            "run the features and split stages"
        )
    return Features(list(wanted), values_KNM, meta)


def read_stats(folder: Path) -> Stats:
    """Read the per-clip sums of a feature folder.

    Raises:
        ShardError: They are missing or damaged.
    """
    table = read_table(folder / STATS_NAME, ["id", "count", "sum", "sum_sq"])
    return Stats(
        table["id"].to_pylist(),
        table["count"].to_numpy().astype(np.int64),
        _matrix(table["sum"]).astype(np.float64),
        _matrix(table["sum_sq"]).astype(np.float64),
    )


def read_split(path: Path) -> Split:
    """Read one split, `data/<ds>/splits/<split>.parquet`.

    Raises:
        ShardError: The file is missing or damaged.
        SplitError: It has no folds.
    """
    table, meta = read_table(path, None), _metadata(path)
    roles = {
        int(name.removeprefix("fold")): table[name].to_pylist()
        for name in table.column_names
        if name.startswith("fold") and name != "fold"
    }
    if not roles:
        raise SplitError(f"{path}: expected columns {_FIRST_FOLD_COLUMN} and on, got none; run the split stage")
    return Split(table["id"].to_pylist(), table["labels"].to_pylist(), list(meta["labels"]), roles, meta)


def write_predictions(
    path: Path,
    *,
    ids: Sequence[str],
    folds: npt.NDArray[np.int64],
    labels: Sequence[str],
    scores_KL: npt.NDArray[np.float32],
    classes: Sequence[str],
) -> None:
    """Write the pooled out-of-fold predictions: id, fold, label, predicted, probabilities.

    Args:
        path: The Parquet file; its schema metadata names the classes.
        ids: Clip ids [K].
        folds: The fold that each clip was tested in [K].
        labels: True labels [K].
        scores_KL: Probabilities [K, L].
        classes: Names of the classes [L].
    """
    table = pa.table(
        {
            "id": list(ids),
            "fold": pa.array(folds, pa.int32()),
            "label": list(labels),
            "predicted": [classes[best] for best in scores_KL.argmax(axis=1)],
            "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(scores_KL.reshape(-1)), len(classes)),
        }
    )
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps({"labels": list(classes)})}), path)


def _read_shard(path: Path, meta: dict[str, Any]) -> tuple[list[str], npt.NDArray[Any]]:
    if _metadata(path) != meta:
        raise ShardError(f"{path}: expected the rule of the other shards, got another; run the features stage again")
    table = read_table(path, ["id", meta["kind"]])
    values_KNM = _matrix(table[meta["kind"]]).reshape(-1, meta["num_frames"], meta["num_bins"])
    return table["id"].to_pylist(), values_KNM


def _matrix(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a column of fixed-size lists as [rows, size], without a copy where it is one chunk."""
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    flat = chunks[0] if len(chunks) == 1 else np.concatenate(chunks or [np.empty(0, np.float64)])
    return flat.reshape(-1, column.type.list_size)


def _metadata(path: Path) -> dict[str, Any]:
    try:
        found = pq.read_schema(path).metadata or {}
        meta = json.loads(found[METADATA_KEY])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise ShardError(f"{path}: expected a file that says its rule, got {reason_of(error)}; make it again") from None
    return dict(meta)
