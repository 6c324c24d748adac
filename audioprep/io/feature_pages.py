"""The values of one row group, straight from the pages of a Parquet file.

pyarrow decodes two levels for every value of a list, which takes longer than everything else. In a column of fixed-size
lists without nulls they say nothing that the number of values does not say, and are stepped over here. What is read:
data pages of version 1, encoded PLAIN or BYTE_STREAM_SPLIT. Everything else is left to pyarrow.

The footer is read here too: pyarrow ends the process where one that is damaged is asked for its columns.

Source: Parquet format 2.11, parquet.thrift and Encodings.md.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from audioprep.io.compact_protocol import read_struct

# Numbers of parquet.thrift. Codecs, by their names for pyarrow; an older framed LZ4, which is 5, is not among them.
_CODECS = {0: None, 1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
_INT32, _FLOAT, _FIXED_BYTES = 1, 4, 7
_WIDTHS = {_INT32: 4, _FLOAT: 4}
_DATA_PAGE, _PLAIN, _BYTE_STREAM_SPLIT = 0, 0, 9
# Fields of FileMetaData, SchemaElement, RowGroup and ColumnChunk,
_SCHEMA, _ROW_GROUPS = 2, 4
_TYPE_LENGTH, _NUM_CHILDREN = 2, 5
_COLUMNS, _META_DATA = 1, 3
# of ColumnMetaData,
_COLUMN_TYPE, _PATH, _CODEC, _COLUMN_VALUES, _COLUMN_UNCOMPRESSED, _COLUMN_COMPRESSED = 1, 3, 4, 5, 6, 7
_DATA_OFFSET, _DICTIONARY_OFFSET = 9, 11
# and of PageHeader and DataPageHeader.
_TYPE, _UNCOMPRESSED_BYTES, _COMPRESSED_BYTES, _CRC, _DATA_PAGE_HEADER = 1, 2, 3, 4, 5
_NUM_VALUES, _ENCODING = 1, 2
_TAIL_BYTES = 8  # the length of the footer, and PAR1
# What a reader of damaged bytes may raise. NotImplementedError is pyarrow's own word for a type that numpy has none for,
# which a damaged schema may name.
DAMAGED = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(RecursionError, NotImplementedError, pa.ArrowException),
)


@dataclass(frozen=True)
class Chunk:
    """Where the pages of one column of one row group stand.

    Attributes:
        start: Of the first page, in bytes.
        num_bytes: Of all pages.
        num_values: Numbers in them.
        max_page_bytes: No page unpacks to more.
        num_value_bytes: Bytes of one number.
        codec: Its name for pyarrow; None where nothing is compressed.
    """

    start: int
    num_bytes: int
    num_values: int
    max_page_bytes: int
    num_value_bytes: int
    codec: str | None


def find_chunks(path: Path, column: str) -> list[Chunk | None]:
    """Return for each row group where the values of a column of lists stand; None where only pyarrow can read them.

    Args:
        path: The Parquet file.
        column: Name of the column.

    Raises:
        OSError: The file cannot be read.
        ValueError, LookupError, TypeError, RecursionError: Its footer is damaged.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2) - _TAIL_BYTES
        file.seek(max(end, 0))
        start = end - int.from_bytes(file.read(4), "little")
        if start < 0:
            raise ValueError("no footer")
        file.seek(start)
        footer, _ = read_struct(memoryview(file.read(end - start)), 0)
    leaves = [element for element in footer[_SCHEMA] if not element.get(_NUM_CHILDREN)]
    return [_chunk_of(group, leaves, column.encode()) for group in footer[_ROW_GROUPS]]


def _chunk_of(group: dict[int, Any], leaves: list[dict[int, Any]], column: bytes) -> Chunk | None:
    for stored, leaf in zip(group[_COLUMNS], leaves, strict=True):
        found = stored[_META_DATA]
        if found[_PATH][:2] != [column, b"list"]:
            continue
        kind, codec = found[_COLUMN_TYPE], found[_CODEC]
        width = leaf[_TYPE_LENGTH] if kind == _FIXED_BYTES else _WIDTHS.get(kind)
        if _DICTIONARY_OFFSET in found or codec not in _CODECS or not width:
            return None
        return Chunk(
            start=found[_DATA_OFFSET],
            num_bytes=found[_COLUMN_COMPRESSED],
            num_values=found[_COLUMN_VALUES],
            max_page_bytes=found[_COLUMN_UNCOMPRESSED],
            num_value_bytes=width,
            codec=_CODECS[codec],
        )
    return None


def read_chunk(path: Path, chunk: Chunk, out: npt.NDArray[Any], *, is_checked: bool = False) -> bool:
    """Read all values of a column of one row group; tell whether that went well, or pyarrow has to do it.

    Args:
        path: The Parquet file.
        chunk: Where the values stand.
        out: Where they go, one after another; whole numbers may be narrower than they are stored.
        is_checked: Whether the pages' checksums were right before.

    Raises:
        OSError: The file cannot be read.
    """
    if not 0 <= chunk.start <= chunk.start + chunk.num_bytes <= path.stat().st_size:
        return False
    # For large arrays numpy asks the system for huge pages, which come several times faster.
    stored = np.empty(chunk.num_bytes, np.uint8)
    with path.open("rb", buffering=0) as file:
        file.seek(chunk.start)
        data = stored.data[: file.readinto(stored.data)]
    at = filled = 0
    try:
        while at < len(data):
            header, at = read_struct(data, at)
            end = at + header[_COMPRESSED_BYTES]
            # LZ4 that ends too soon leaves the rest of the page as the memory was: only the checksum tells.
            crc = None if is_checked else header.get(_CRC)
            if not at <= end <= len(data) or (crc is not None and zlib.crc32(data[at:end]) != crc & 0xFFFFFFFF):
                return False
            count = _read_page(data[at:end], header, chunk, out[filled:])
            at, filled = end, filled + count
    except DAMAGED:
        return False
    return filled == chunk.num_values == len(out)


def _read_page(data: memoryview, header: dict[int, Any], chunk: Chunk, out: npt.NDArray[Any]) -> int:
    """Put the values of one page at the front of `out` and return how many there are."""
    about = header[_DATA_PAGE_HEADER]
    count, num_bytes = about[_NUM_VALUES], header[_UNCOMPRESSED_BYTES]
    if header[_TYPE] != _DATA_PAGE or not 0 <= num_bytes <= chunk.max_page_bytes or not 0 < count <= len(out):
        raise ValueError("no page of values")
    page = data if chunk.codec is None else memoryview(pa.Codec(chunk.codec).decompress(data, num_bytes))
    start = 0
    for _ in ("repetition levels", "definition levels"):
        start += 4 + int.from_bytes(page[start : start + 4], "little")
    # A null has levels and no value: the length is right only where there are none.
    packed = np.frombuffer(page, np.uint8, offset=start)
    if len(packed) != count * chunk.num_value_bytes:
        raise ValueError("nulls")
    _unpack(packed, about[_ENCODING], chunk.num_value_bytes, out[:count])
    return int(count)


def _unpack(packed: npt.NDArray[np.uint8], encoding: int, num_value_bytes: int, out: npt.NDArray[Any]) -> None:
    if encoding == _PLAIN:
        # The lowest bytes come first, so that a narrower type needs the front of each number.
        out.view(np.uint8).reshape(-1, out.itemsize)[:] = packed.reshape(-1, num_value_bytes)[:, : out.itemsize]
    elif encoding == _BYTE_STREAM_SPLIT:
        # First the lowest bytes of all numbers, and so on.
        streams = packed.reshape(num_value_bytes, -1)[: out.itemsize]
        bits = out.view(f"u{out.itemsize}")
        bits[:] = streams[-1]
        for stream in streams[-2::-1]:
            bits <<= 8
            bits |= stream
    else:
        raise ValueError("another encoding")
