"""Feature shards: Parquet that pandas, pyarrow, polars, duckdb and HF datasets read without this package.

Columns  id, num_frames, and <kind>: FixedSizeList of num_frames * num_bins values, frame after frame; for int8 values two
         more, scale and offset: a value is offset + scale * <kind>
Schema   metadata key `audioprep`: kind, num_frames, num_bins, rate_hz, window_s, rule; denoise, where noise was taken away
"""

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audioprep.io.tables import read_table, write_tables

METADATA_KEY = b"audioprep"
STATS_NAME = "_stats.parquet"
SHARD_STATS_NAME = "stats.parquet"
_ROW_GROUP_CLIPS = 128
_INT8 = np.iinfo(np.int8)
# What is read by all: neither duckdb nor polars reads float16 in split bytes, which would be smaller; small integers go as
# differences of few bits.
_ENCODINGS = {"float32": "BYTE_STREAM_SPLIT", "float16": "PLAIN", "int8": "DELTA_BINARY_PACKED"}
# float16 is what is trained on: LZ4 takes a fifth more space than zstd, and half the time of reading an epoch.
_CODECS = {"float32": "zstd", "float16": "lz4", "int8": "zstd"}
_ID_FIELDS = (pa.field("id", pa.string()), pa.field("num_frames", pa.int32()))
_SCALE_FIELDS = (pa.field("scale", pa.float32()), pa.field("offset", pa.float32()))


class Quantised(NamedTuple):
    """A clip in 256 steps from its smallest to its largest value: `offset + scale * steps`.

    Attributes:
        steps: The clip, int8.
        scale: Size of a step, float32, > 0; no value is more than half of it off, but for rounding in float32.
        offset: Value of step 0, float32.
    """

    steps: np.ndarray
    scale: np.float32
    offset: np.float32


def part_name(shard: int) -> str:
    """Return the file name of a feature shard."""
    return f"part-{shard:06d}.parquet"


def quantised(values: np.ndarray) -> Quantised:
    """Return values of one clip as int8.

    Args:
        values: Values of any shape, float32, finite, at least one.
    """
    low, high = values.min(), values.max()
    scale = (high - low) / np.float32(_INT8.max - _INT8.min)
    if scale == 0:
        return Quantised(np.zeros(values.shape, np.int8), np.float32(1.0), low)
    offset = low - scale * np.float32(_INT8.min)
    steps = np.rint((values - offset) / scale)
    return Quantised(np.clip(steps, _INT8.min, _INT8.max).astype(np.int8), scale, offset)


class FeatureWriter:
    """Takes the features of a shard, clip by clip, and writes them with their statistics."""

    def __init__(self, meta: dict[str, Any]) -> None:
        """Take no clip yet.

        Args:
            meta: `kind`, `rule` (with `dtype`: float16, float32 or int8), rate and window, for the schema's metadata.
        """
        self._meta = meta
        self._dtype = meta["rule"]["dtype"]
        self._ids: list[str] = []
        self._clips: list[np.ndarray] = []
        self._scales: list[tuple[np.float32, np.float32]] = []
        self._sums: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, clip_id: str, features_NM: np.ndarray) -> None:
        """Take the features [N, M], float32, of one clip; all clips of a shard have one shape."""
        if self._dtype == "int8":
            clip = quantised(features_NM)
            self._scales.append((clip.scale, clip.offset))
            stored = clip.steps
            values = (clip.offset + clip.scale * stored).astype(np.float64)
        else:
            stored = features_NM.astype(self._dtype)
            values = stored.astype(np.float64)
        self._ids.append(clip_id)
        self._clips.append(stored)
        self._sums.append((values.sum(axis=0), np.square(values).sum(axis=0)))

    def write(self, shard: int, folder: Path) -> int:
        """Write what was taken, and its statistics: count, sum and sum of squares of what is stored, per clip and bin.

        Args:
            shard: Number of the shard.
            folder: Where `part-NNNNNN.parquet` and `stats.parquet` go.

        Returns:
            Number of clips.
        """
        num_frames, num_bins = self._clips[0].shape
        kind, num_clips = self._meta["kind"], len(self._ids)
        meta = {**self._meta, "num_frames": num_frames, "num_bins": num_bins}
        flat = pa.array(np.stack(self._clips).reshape(-1))
        # Values that cannot be null are read a third faster.
        per_clip = pa.list_(pa.field("element", flat.type, nullable=False), num_frames * num_bins)
        fields = [*_ID_FIELDS, pa.field(kind, per_clip)]
        columns = [
            pa.array(self._ids),
            pa.array(np.full(num_clips, num_frames, np.int32)),
            pa.FixedSizeListArray.from_arrays(flat, type=per_clip),
        ]
        if self._scales:
            fields += _SCALE_FIELDS
            columns += [pa.array(np.array(column)) for column in zip(*self._scales, strict=True)]
        schema = pa.schema(fields, metadata={METADATA_KEY: json.dumps(meta, sort_keys=True).encode()})
        pq.write_table(
            pa.Table.from_arrays(columns, schema=schema),
            folder / part_name(shard),
            row_group_size=_ROW_GROUP_CLIPS,
            compression=_CODECS[self._dtype],
            use_dictionary=False,
            column_encoding={f"{kind}.list.element": _ENCODINGS[self._dtype]},
            write_statistics=["id"],
            write_page_checksum=True,
        )
        counts = pa.array(np.full(num_clips, num_frames, np.int64))
        sums = [
            pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(column)), num_bins)
            for column in zip(*self._sums, strict=True)
        ]
        table = pa.Table.from_arrays([pa.array(self._ids), counts, *sums], schema=_stats_schema(num_bins))
        write_tables(folder / SHARD_STATS_NAME, table.schema, [table])
        return num_clips


def value_columns(meta: dict[str, Any]) -> list[str]:
    """Return the columns of a shard that `decoded` needs."""
    return [meta["kind"], *(field.name for field in _SCALE_FIELDS if meta["rule"].get("dtype") == "int8")]


def decoded(table: pa.Table, meta: dict[str, Any]) -> np.ndarray:
    """Return the values of a shard, or of some of its rows.

    Args:
        table: At least the columns `value_columns(meta)`.
        meta: What the shard's schema says under the key `audioprep`.

    Returns:
        Features [K, N, M]: float16 or float32 as stored, without a copy where the column is one chunk; float32 for int8.
    """
    column = table[meta["kind"]]
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    stored = chunks[0] if len(chunks) == 1 else np.concatenate([np.empty(0, np.int8), *chunks])
    values_KNM = stored.reshape(table.num_rows, meta["num_frames"], meta["num_bins"])
    if not pa.types.is_int8(column.type.value_type):
        return values_KNM
    scale_K, offset_K = (table[name].to_numpy()[:, None, None] for name in ("scale", "offset"))
    return np.asarray(offset_K + scale_K * values_KNM)


def merge_stats(parts: Iterable[Path], out: Path) -> None:
    """Join the statistics of all shards into `_stats.parquet`, of which few are held at a time."""
    first, *rest = parts
    table = read_table(first)
    write_tables(out, table.schema, chain([table], map(read_table, rest)))


def _stats_schema(num_bins: int) -> pa.Schema:
    per_bin = pa.list_(pa.float64(), num_bins)
    return pa.schema([("id", pa.string()), ("count", pa.int64()), ("sum", per_bin), ("sum_sq", per_bin)])
