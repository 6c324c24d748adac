"""The Parquet files that training reads: feature shards, their statistics, and splits."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from audioprep.engine import checked_file
from audioprep.errors import ShardError, SplitError, reason_of
from audioprep.io.feature_reader import FeatureShards, read_meta
from audioprep.io.feature_writer import STATS_NAME
from audioprep.io.tables import read_table

_FIRST_FOLD_COLUMN = "fold1"
# Clips whose sums are in memory at a time.
_STATS_ROWS = 512


class Features(NamedTuple):
    """Feature matrices of clips.

    Attributes:
        ids: Clip ids [K].
        values_KNM: Feature matrices [K clips, N frames, M bins], float16 or float32 as they are stored, int8 as float32.
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


class Sums(NamedTuple):
    """Sums per bin over all frames of some clips.

    Attributes:
        num_frames: Of all of them.
        sum_M: Sum [M], float64.
        sum_sq_M: Sum of squares [M], float64.
    """

    num_frames: int
    sum_M: npt.NDArray[np.float64]
    sum_sq_M: npt.NDArray[np.float64]


class Split(NamedTuple):
    """Who trains, validates and tests.

    Attributes:
        ids: Clip ids [K].
        labels: Labels of each clip.
        classes: Every label of the corpus, sorted.
        roles: For each fold the role of every clip when that fold is tested: train, valid, test or unused.
        meta: What the split says of itself.
        recordings: Where clips are windows, the recording of each.
    """

    ids: list[str]
    labels: list[list[str]]
    classes: list[str]
    roles: dict[int, list[str]]
    meta: dict[str, Any]
    recordings: list[str] | None = None


def read_features(folder: Path, ids: Sequence[str] | None = None) -> Features:
    """Read feature shards into memory.

    Args:
        folder: A feature folder, `data/<ds>/<kind>`.
        ids: The clips wanted, in the order wanted; None is every clip, in stored order.

    Raises:
        ShardError: A shard is missing or damaged, or does not hold a clip that is wanted.
    """
    shards = FeatureShards(folder)
    clips = np.arange(len(shards)) if ids is None else shards.find(ids)
    return Features(shards.ids if ids is None else list(ids), shards.values(clips), shards.meta)


def read_stats(folder: Path) -> Stats:
    """Read the per-clip sums of a feature folder.

    Raises:
        ShardError: They are missing or damaged.
    """
    table = read_table(checked_file(folder, STATS_NAME), ["id", "count", "sum", "sum_sq"])
    return Stats(
        table["id"].to_pylist(),
        table["count"].to_numpy().astype(np.int64),
        _matrix(table["sum"]).astype(np.float64),
        _matrix(table["sum_sq"]).astype(np.float64),
    )


def read_sums(folder: Path, ids: Sequence[str]) -> Sums:
    """Add up the sums of some clips, a piece of the table at a time.

    Args:
        folder: A feature folder, `data/<ds>/<kind>`.
        ids: The clips; their order changes nothing.

    Raises:
        ShardError: The sums are missing or damaged, or not there for each of the clips.
    """
    path, wanted = checked_file(folder, STATS_NAME), pa.array(ids, pa.string())
    num_clips, parts = 0, []
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_STATS_ROWS, columns=["id", "count", "sum", "sum_sq"], use_threads=False):
                table = pa.Table.from_batches([batch]).filter(pc.is_in(batch["id"], value_set=wanted))
                num_clips += table.num_rows
                sums = [_matrix(table[name]).sum(axis=0, dtype=np.float64) for name in ("sum", "sum_sq")]
                parts.append((int(np.sum(table["count"].to_numpy())), *sums))
    except (OSError, LookupError, pa.ArrowException) as error:
        raise ShardError(f"{path}: expected a table, got {reason_of(error)}; run the stage that makes it") from None
    if num_clips != len(ids):
        raise ShardError(f"{path}: expected {len(ids)} clips, got {num_clips} of them; run the features stage again")
    return Sums(*(sum(part) for part in zip(*parts, strict=True)))


def read_split(path: Path) -> Split:
    """Read one split, `data/<ds>/splits/<split>.parquet`.

    Raises:
        ShardError: The file is missing or damaged.
        SplitError: It has no folds.
    """
    table, meta = read_table(path, None), read_meta(path)
    roles = {
        int(name.removeprefix("fold")): _strings(table[name].combine_chunks())
        for name in table.column_names
        if name.startswith("fold") and name != "fold"
    }
    if not roles:
        raise SplitError(f"{path}: expected columns {_FIRST_FOLD_COLUMN} and on, got none; run the split stage")
    lists = table["labels"].combine_chunks()
    labels, bounds = _strings(lists.values), lists.offsets.to_pylist()
    labels_K = [labels[start:stop] for start, stop in pairwise(bounds)]
    recordings = _strings(table["recording"].combine_chunks()) if "recording" in table.column_names else None
    return Split(table["id"].to_pylist(), labels_K, list(meta["labels"]), roles, meta, recordings)


def _strings(values: pa.Array) -> list[str]:
    """Return strings, of which equal ones are one object: there are as many as clips, and few that differ."""
    encoded = values.dictionary_encode()
    known = encoded.dictionary.to_pylist()
    return [known[code] for code in encoded.indices.to_pylist()]


def _matrix(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a column of fixed-size lists as [rows, size], without a copy where it is one chunk."""
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    flat = chunks[0] if len(chunks) == 1 else np.concatenate(chunks or [np.empty(0, np.float64)])
    return flat.reshape(-1, column.type.list_size)
