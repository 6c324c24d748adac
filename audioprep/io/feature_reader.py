"""Feature shards, read row group by row group: what every reader of features in this package stands on.

Shape letters: K clips, R clips of a row group, N frames, M bins.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from audioprep.engine import read_index
from audioprep.errors import ShardError, reason_of
from audioprep.io.feature_pages import DAMAGED, Chunk, find_chunks, read_chunk
from audioprep.io.feature_writer import METADATA_KEY

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
# Columns that shards of int8 have besides.
_SCALE, _OFFSET = "scale", "offset"
_IDS = pa.schema([("id", pa.string())])
_SCALED = pa.schema([*_IDS, (_SCALE, pa.float32()), (_OFFSET, pa.float32())])
# What the index of a folder says of its shards, too.
_SAID_TWICE = ("kind", "rule", "rate_hz", "window_s")


@dataclass(frozen=True)
class RowGroup:
    """Clips that are read together.

    Attributes:
        path: The shard.
        number: In the shard.
        chunk: Where its values stand; None where pyarrow reads them.
    """

    path: Path
    number: int
    chunk: Chunk | None


class FeatureShards:
    """The feature shards of one kind. Clips are numbered in stored order: shard after shard, row after row.

    Attributes:
        folder: Where they lie, `data/<ds>/<kind>`, or the first of them.
        meta: What the shards say of themselves: kind, num_frames, num_bins, rate_hz, window_s, rule.
        dtype: float16, float32 or int8: what is stored.
        num_frames: N.
        num_bins: M.
        groups: Row groups, in stored order.
        bounds: Row group g holds the clips `bounds[g]` up to `bounds[g + 1]`.
        scale_K: Of int8: a value is offset + scale * stored, for each clip; None of other types.
        offset_K: Likewise.
    """

    def __init__(self, folder: Path, *more: Path) -> None:
        """Look into every shard; no features are read yet.

        Args:
            folder: Where they lie.
            more: Folders with more clips of the same rule, whose shards come after those.

        Raises:
            ShardError: There is no shard, a folder is unfinished, or a shard is damaged or of another rule.
        """
        self.folder, self._folders = folder, (folder, *more)
        self.meta: dict[str, Any] = {}
        self.groups: list[RowGroup] = []
        # Row groups whose checksums were right: once is enough, and checking takes longer than unpacking.
        self._checked: set[int] = set()
        sizes = [0]
        tables: list[pa.Table] = []
        self._first_of = [0]  # the first clip of each folder, and the end
        for each in self._folders:
            paths = sorted(each.glob("part-*.parquet"))
            if not paths:
                raise ShardError(f"{each}: expected feature shards, found none; run the features stage")
            self._index = read_index(each)  # it is written last: a folder without it may lack shards
            for path in paths:
                sizes += self._open(path, tables)
            self._first_of.append(sum(sizes))
        self.bounds: Ints = np.cumsum(sizes)
        table = pa.concat_tables(tables)
        self._ids: pa.ChunkedArray = table["id"]
        is_scaled = _SCALE in table.column_names
        self.scale_K: Floats | None = table[_SCALE].to_numpy() if is_scaled else None
        self.offset_K: Floats | None = table[_OFFSET].to_numpy() if is_scaled else None

    def __len__(self) -> int:
        return int(self.bounds[-1])

    @property
    def ids(self) -> list[str]:
        """Ids of all clips [K], in stored order."""
        return list(self._ids.to_pylist())

    def find(self, ids: Sequence[str], folder: int = 0) -> Ints:
        """Return the numbers of some clips [K].

        Args:
            ids: The clips.
            folder: In which of the folders they are; others may have clips that are called the same.

        Raises:
            ShardError: A clip is in no shard.
        """
        first, end = self._first_of[folder : folder + 2]
        wanted = pa.array(ids, pa.string())
        found = pc.index_in(wanted, value_set=self._ids.slice(first, end - first).combine_chunks())
        if found.null_count:
            missing = wanted.filter(found.is_null()).to_pylist()
            stage = "augment" if folder else "features"
            raise ShardError(
                f"{self._folders[folder]}: expected {len(ids)} clips, {len(missing)} are not there "
                f"({', '.join(missing[:5])}); run the {stage} and split stages"
            )
        return np.asarray(found.to_numpy(), np.int64) + first

    def group_of(self, clips: Ints) -> Ints:
        """Return the row group of each of some clips, given by number [K]."""
        return np.searchsorted(self.bounds, clips, side="right") - 1

    def read(self, group: int, room: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Return the values of one row group [R, N, M] as they are stored.

        Args:
            group: Its number.
            room: Memory [R or more, N, M] of the stored type, at the front of which the values may be put.

        Raises:
            ShardError: The shard is damaged, or no longer the one that was looked into.
        """
        found = self.groups[group]
        num_clips = int(self.bounds[group + 1] - self.bounds[group])
        shape = (num_clips, self.num_frames, self.num_bins)
        values = np.empty(shape, self.dtype) if room is None else room[:num_clips]
        try:
            is_checked = group in self._checked
            if found.chunk and read_chunk(found.path, found.chunk, values.reshape(-1), is_checked=is_checked):
                self._checked.add(group)
                return values
            with pq.ParquetFile(found.path, page_checksum_verification=True) as file:
                table = file.read_row_group(found.number, [self.meta["kind"]], use_threads=False)
            return np.asarray(table.column(0).combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(shape))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise ShardError(
                f"{found.path}: expected {num_clips} clips in row group {found.number}, got {reason_of(error)}; "
                "run the features stage again"
            ) from None

    def values(self, clips: Ints) -> npt.NDArray[Any]:
        """Return some clips [K, N, M] in the order asked for: float16 or float32 as stored, int8 as float32.

        Args:
            clips: Their numbers [K].

        Raises:
            ShardError: A shard is damaged.
        """
        is_float = self.dtype.kind == "f"
        values_KNM = np.empty((len(clips), self.num_frames, self.num_bins), self.dtype if is_float else np.float32)
        order = np.argsort(clips, kind="stable")
        groups, starts = np.unique(self.group_of(clips[order]), return_index=True)
        for group, places in zip(groups, np.split(order, starts)[1:], strict=True):
            part = self.read(int(group))[clips[places] - self.bounds[group]]
            if self.scale_K is not None and self.offset_K is not None:
                part = dequantised(part, self.scale_K[clips[places]], self.offset_K[clips[places]])
            values_KNM[places] = part
        return values_KNM

    def _open(self, path: Path, tables: list[pa.Table]) -> list[int]:
        """Take in one shard and return the sizes of its row groups."""
        meta = read_meta(path)
        # What the index does not say is compared among the shards.
        said = {key: self._index[key] for key in _SAID_TWICE if key in self._index}
        if meta != {**(self.meta or meta), **said}:
            raise ShardError(
                f"{path}: expected the rule of the other shards and of the index, got another; run the features stage again"
            )
        self.meta = meta
        try:
            self.num_frames, self.num_bins = int(meta["num_frames"]), int(meta["num_bins"])
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                self.dtype = _stored_dtype(file.schema_arrow, meta["kind"], self.num_frames * self.num_bins)
                table, sizes = _read_small(file, _SCALED if self.dtype == np.int8 else _IDS)
            chunks = zip(sizes, find_chunks(path, meta["kind"]), strict=True)
            groups = [RowGroup(path, number, chunk) for number, (_, chunk) in enumerate(chunks)]
        except DAMAGED as error:
            raise ShardError(
                f"{path}: expected a feature shard, got {reason_of(error)}; run the features stage again"
            ) from None
        if self.dtype.name != (declared := meta.get("rule", {}).get("dtype", self.dtype.name)):
            raise ShardError(f"{path}: expected {declared}, got {self.dtype}; run the features stage again")
        tables.append(table)
        self.groups += groups
        return sizes


def _stored_dtype(schema: pa.Schema, kind: str, num_values: int) -> np.dtype[Any]:
    """Return the type of the values in a shard."""
    column = schema.field(kind).type
    if column.list_size != num_values:
        raise ValueError(f"{column.list_size} values a clip")
    dtype: np.dtype[Any] = np.dtype(column.value_type.to_pandas_dtype())
    return dtype


def _read_small(file: pq.ParquetFile, wanted: pa.Schema) -> tuple[pa.Table, list[int]]:
    """Return the columns of a shard that have one value a clip, and the sizes of its row groups.

    Page headers and footer have no checksums: what they say in two places must agree.
    """
    metadata, schema = file.metadata, file.schema_arrow
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    table = file.read(wanted.names, use_threads=False)
    if {len(table), sum(sizes)} != {metadata.num_rows} or any(column.null_count for column in table.columns):
        raise ValueError(f"other than {metadata.num_rows} clips")
    if [schema.field(name) for name in wanted.names[1:]] != list(wanted)[1:]:
        raise ValueError("scale and offset of another type")
    return table.cast(wanted), sizes


def dequantised(values_KNM: npt.NDArray[np.int8], scale_K: Floats, offset_K: Floats) -> Floats:
    """Return the float values of int8 shards [K, N, M]: offset + scale * stored, both of each clip."""
    values = values_KNM.astype(np.float32)
    values *= scale_K[:, None, None]
    values += offset_K[:, None, None]
    return values


def read_meta(path: Path) -> dict[str, Any]:
    """Return what a table of this project says of itself in its schema.

    Raises:
        ShardError: The file is missing or damaged, or says nothing.
    """
    try:
        found = pq.read_schema(path).metadata or {}
        return dict(json.loads(found[METADATA_KEY]))
    except (OSError, pa.ArrowException, LookupError, ValueError, TypeError) as error:
        raise ShardError(f"{path}: expected a file that says its rule, got {reason_of(error)}; make it again") from None
