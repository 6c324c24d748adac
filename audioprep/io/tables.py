"""Small and large tables as Parquet files with the same bytes for the same rows."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audioprep.errors import ShardError, reason_of

# What resample needs to know of each declared clip, and no more: a change of labels or splits decodes nothing.
FILES = pa.schema(
    [
        ("id", pa.string()),
        ("member", pa.string()),
        ("digest", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("sha256", pa.string()),
    ]
)
CLIPS = pa.schema(
    [
        ("id", pa.string()),
        ("member", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("group", pa.string()),
        ("splits", pa.map_(pa.string(), pa.string())),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("source_start_s", pa.float64()),
        ("source_end_s", pa.float64()),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("sha256", pa.string()),
    ]
)
USED = pa.schema([("id", pa.string()), ("used", pa.bool_())])
FINGERPRINTS = pa.schema([("id", pa.string()), ("fingerprint", pa.list_(pa.uint32()))])
STATUS = pa.schema([("id", pa.string()), ("member", pa.string()), ("status", pa.string()), ("reason", pa.string())])
FACTS = pa.schema(
    [
        ("id", pa.string()),
        ("shard", pa.int32()),
        ("file_sha256", pa.string()),
        ("pcm_sha256", pa.string()),
        ("container", pa.string()),
        ("source_rate_hz", pa.int32()),
        ("source_channels", pa.int32()),
        ("source_frames", pa.int64()),
        ("num_samples", pa.int64()),
        ("duration_s", pa.float64()),
        ("attenuation_db", pa.float64()),
        ("loudness_lufs", pa.float64()),
        ("true_peak_db", pa.float64()),
        ("peak_db", pa.float64()),
        ("rms_db", pa.float64()),
        ("dc_offset", pa.float64()),
        ("clipped_fraction", pa.float64()),
        ("bandwidth_hz", pa.float64()),
        ("envelope_frame_s", pa.float64()),
        ("envelope_db", pa.list_(pa.int8())),
    ]
)
GAINS = pa.schema([("id", pa.string()), ("gain_db", pa.float64()), ("reason", pa.string())])


# Rows that are read and written together. A row group a shard would be two hundred rows, and reading a column of two million
# rows from ten thousand groups takes ten times as long as from two hundred and fifty.
GROUP_ROWS = 8_192


def write_table(path: Path, table: pa.Table) -> None:
    """Write one table in one go, as one row group."""
    with _writer(path, table.schema) as writer:
        _write_group(writer, [table])


def write_tables(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write tables one after another, so that memory holds few at a time: each row group is of whole ones.

    Args:
        path: The Parquet file.
        schema: Columns of every table.
        tables: What to write; as many as have `GROUP_ROWS` rows together become a row group.
    """
    with _writer(path, schema) as writer:
        waiting: list[pa.Table] = []
        for table in tables:
            waiting.append(table)
            if sum(len(each) for each in waiting) >= GROUP_ROWS:
                _write_group(writer, waiting)
                waiting = []
        _write_group(writer, waiting)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Return a table, or some of its columns.

    Raises:
        ShardError: The file is missing or damaged.
    """
    try:
        return pq.read_table(path, columns=columns, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from None


def read_parts(path: Path, columns: list[str], num_rows: int) -> Iterator[pa.Table]:
    """Yield some columns of a table a part at a time, so that memory need not hold all of them.

    Args:
        path: The Parquet file.
        columns: Which columns.
        num_rows: Each part is of whole row groups, and so long or a little longer; the last one may be shorter.

    Raises:
        ShardError: The file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            groups, waiting_rows = [], 0
            for group in range(file.num_row_groups):
                groups.append(group)
                waiting_rows += file.metadata.row_group(group).num_rows
                if waiting_rows >= num_rows or group == file.num_row_groups - 1:
                    yield file.read_row_groups(groups, columns).select(columns)
                    groups, waiting_rows = [], 0
    except (OSError, KeyError, pa.ArrowException) as error:
        raise _damaged(path, error) from None


class RowReader:
    """Reads ranges of a table's rows, of which only their row groups are held."""

    def __init__(self, path: Path) -> None:
        """Open the table.

        Raises:
            ShardError: The file is missing or damaged.
        """
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path, error) from None
        metadata = self._file.metadata
        sizes = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        self._bounds = list(accumulate(sizes, initial=0))
        self._groups, self._held = range(0), self._file.schema_arrow.empty_table()

    def read(self, rows: range) -> pa.Table:
        """Return some rows that follow each other.

        Raises:
            ShardError: The file is damaged.
        """
        groups = (
            range(bisect_right(self._bounds, rows.start) - 1, bisect_left(self._bounds, rows.stop))
            if rows
            else range(0)
        )
        if groups and groups != self._groups:
            try:
                self._held = self._file.read_row_groups(list(groups))
            except (OSError, pa.ArrowException) as error:
                raise _damaged(self._path, error) from None
            self._groups = groups
        return self._held.slice(rows.start - self._bounds[groups.start], len(rows)) if rows else self._held.slice(0, 0)


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, schema, compression="zstd", version="2.6")


def _write_group(writer: pq.ParquetWriter, tables: list[pa.Table]) -> None:
    # Combined, as the bytes depend on where one chunk ends and the next begins.
    if num_rows := sum(len(table) for table in tables):
        writer.write_table(pa.concat_tables(tables).combine_chunks(), row_group_size=num_rows)


def _damaged(path: Path, error: Exception) -> ShardError:
    return ShardError(f"{path}: expected a table, got {reason_of(error)}; run the stage that makes it")


def rows_to_table(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table with the schema's columns; a key that a row lacks is null.

    Of rows that are made one by one few are held at a time: a row as a dict takes ten times as much as in the table.
    """
    rows = iter(rows)
    parts = iter(lambda: list(islice(rows, GROUP_ROWS)), [])
    return pa.Table.from_batches([pa.RecordBatch.from_pylist(part, schema=schema) for part in parts], schema)
