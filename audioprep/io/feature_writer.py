"""Feature shards: Parquet that pandas, pyarrow, polars, duckdb and HF datasets read without this package.

Columns  id, num_frames, and <kind>: FixedSizeList of num_frames * num_bins values, frame after frame
Schema   metadata key `audioprep`: kind, num_frames, num_bins, rate_hz, window_s, rule
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audioprep.errors import ShardError, reason_of
from audioprep.io.tables import read_table, write_tables

METADATA_KEY = b"audioprep"
STATS_NAME = "_stats.parquet"
_ROW_GROUP_CLIPS = 128


def part_name(shard: int) -> str:
    """Return the file name of a feature shard."""
    return f"part-{shard:06d}.parquet"


def write_features(
    part: Path, stats: Path, ids: list[str], features_KNM: np.ndarray, dtype: str, meta: dict[str, Any]
) -> None:
    """Write one shard of features and its per-clip statistics.

    Args:
        part: The shard.
        stats: The statistics of what is stored: count, sum and sum of squares per bin.
        ids: Clip ids [K].
        features_KNM: Features [K, N, M], float32.
        dtype: `float16` or `float32`, what is stored.
        meta: Kind, rule, rate and window, for the schema's metadata.
    """
    num_clips, num_frames, num_bins = features_KNM.shape
    stored = features_KNM.astype(dtype)
    full_meta = {**meta, "num_frames": num_frames, "num_bins": num_bins}
    column = pa.FixedSizeListArray.from_arrays(pa.array(stored.reshape(-1)), num_frames * num_bins)
    schema = pa.schema(
        [("id", pa.string()), ("num_frames", pa.int32()), (meta["kind"], column.type)],
        metadata={METADATA_KEY: json.dumps(full_meta, sort_keys=True).encode()},
    )
    counts = np.full(num_clips, num_frames, np.int32)
    table = pa.Table.from_arrays([pa.array(ids), pa.array(counts), column], schema=schema)
    # A dictionary of float16 values would be four times slower to read and no smaller.
    pq.write_table(
        table, part, row_group_size=_ROW_GROUP_CLIPS, compression="zstd", compression_level=1, use_dictionary=False
    )
    write_tables(stats, _stats_schema(num_bins), [_stats(ids, stored.astype(np.float64))])


def shard_meta(part: Path) -> dict[str, Any]:
    """Return what a feature shard says of itself: kind, num_frames, num_bins, rate_hz, window_s, rule.

    Raises:
        ShardError: It is missing or damaged.
    """
    try:
        meta = json.loads((pq.read_schema(part).metadata or {})[METADATA_KEY])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise ShardError(f"{part}: expected a feature shard, got {reason_of(error)}; make it again") from None
    return dict(meta)


def decoded(table: pa.Table, meta: dict[str, Any]) -> np.ndarray:
    """Return the features of a shard, or of some of its rows, as numbers.

    Args:
        table: Its rows, with the column of the kind, and `scale` and `offset` where it is stored as int8.
        meta: What the shard says of itself: kind, num_frames, num_bins.

    Returns:
        Features [K, N, M]: float16 or float32 as they are stored; float32, `offset + scale * stored`, where that is int8.
    """
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in table[meta["kind"]].chunks]
    stored = chunks[0] if len(chunks) == 1 else np.concatenate(chunks or [np.empty(0, np.float32)])
    stored_KNM = stored.reshape(-1, meta["num_frames"], meta["num_bins"])
    if stored_KNM.dtype != np.int8:
        return np.asarray(stored_KNM)
    scale_K, offset_K = (table[name].to_numpy().astype(np.float32) for name in ("scale", "offset"))
    return np.asarray(offset_K[:, None, None] + scale_K[:, None, None] * stored_KNM.astype(np.float32))


def merge_stats(parts: Iterable[Path], out: Path) -> None:
    """Join the statistics of all shards into `_stats.parquet`."""
    tables = [read_table(path) for path in parts]
    write_tables(out, tables[0].schema, tables)


def _stats_schema(num_bins: int) -> pa.Schema:
    per_bin = pa.list_(pa.float64(), num_bins)
    return pa.schema([("id", pa.string()), ("count", pa.int64()), ("sum", per_bin), ("sum_sq", per_bin)])


def _stats(ids: list[str], values_KNM: np.ndarray) -> pa.Table:
    num_clips, num_frames, num_bins = values_KNM.shape
    columns = [
        pa.array(ids),
        pa.array(np.full(num_clips, num_frames, np.int64)),
        pa.FixedSizeListArray.from_arrays(pa.array(values_KNM.sum(axis=1).reshape(-1)), num_bins),
        pa.FixedSizeListArray.from_arrays(pa.array(np.square(values_KNM).sum(axis=1).reshape(-1)), num_bins),
    ]
    return pa.Table.from_arrays(columns, schema=_stats_schema(num_bins))
