"""The values of one row group, straight from the pages of a Parquet file.

pyarrow decodes two levels for every value of a list, which takes longer than everything else. In a column of fixed-size
lists without nulls they say nothing that the number of values does not say, and are stepped over here. What is read:
data pages of version 1, encoded PLAIN or BYTE_STREAM_SPLIT. Everything else is left to pyarrow.

Source: Parquet format 2.11, parquet.thrift (PageHeader) and Encodings.md; Apache Thrift, compact protocol.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

# LZ4 is the bare format here; of an older framed one, which has the same name, the pages do not unpack.
_CODECS = {
    "UNCOMPRESSED": None,
    "SNAPPY": "snappy",
    "GZIP": "gzip",
    "BROTLI": "brotli",
    "ZSTD": "zstd",
    "LZ4": "lz4_raw",
}
_WIDTHS = {"INT32": 4, "FLOAT": 4}
# Numbers of parquet.thrift: fields of PageHeader and DataPageHeader, and what stands in them.
_TYPE, _UNCOMPRESSED_BYTES, _COMPRESSED_BYTES, _CRC, _DATA_PAGE_HEADER = 1, 2, 3, 4, 5
_NUM_VALUES, _ENCODING = 1, 2
_DATA_PAGE, _PLAIN, _BYTE_STREAM_SPLIT = 0, 0, 9
# Types of the compact protocol.
_MAX_BITS = 70  # ten bytes, as in Thrift's own readers
_TRUE, _FALSE, _BYTE, _INTEGERS, _BINARY, _STRUCT = 1, 2, 3, (4, 5, 6), 8, 12


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


def find_chunk(metadata: pq.FileMetaData, row_group: int, column: str) -> Chunk | None:
    """Return where the values of a column of lists stand; None where only pyarrow can read them.

    Args:
        metadata: The file's.
        row_group: Its number.
        column: Name of the column.
    """
    group = metadata.row_group(row_group)
    for number in range(group.num_columns):
        found, schema = group.column(number), metadata.schema.column(number)
        if not found.path_in_schema.startswith(f"{column}."):
            continue
        width = schema.length if found.physical_type == "FIXED_LEN_BYTE_ARRAY" else _WIDTHS.get(found.physical_type)
        if (
            found.has_dictionary_page
            or found.compression not in _CODECS
            or not width
            or not schema.max_definition_level
        ):
            return None
        return Chunk(
            start=found.data_page_offset,
            num_bytes=found.total_compressed_size,
            num_values=found.num_values,
            max_page_bytes=found.total_uncompressed_size,
            num_value_bytes=width,
            codec=_CODECS[found.compression],
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
            header, at = _read_struct(data, at)
            end = at + header[_COMPRESSED_BYTES]
            # LZ4 that ends too soon leaves the rest of the page as the memory was: only the checksum tells.
            crc = None if is_checked else header.get(_CRC)
            if not at <= end <= len(data) or (crc is not None and zlib.crc32(data[at:end]) != crc & 0xFFFFFFFF):
                return False
            count = _read_page(data[at:end], header, chunk, out[filled:])
            at, filled = end, filled + count
    except (ValueError, LookupError, TypeError, OSError, RecursionError, pa.ArrowException):
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


def _read_struct(data: memoryview, at: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a Thrift struct by number, and where it ends; strings are stepped over."""
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        step, kind = head >> 4, head & 15
        if step:
            number += step
        else:
            number, at = _read_integer(data, at)
        if kind in {_TRUE, _FALSE}:
            fields[number] = kind == _TRUE
        elif kind == _BYTE:
            fields[number], at = data[at], at + 1
        elif kind in _INTEGERS:
            fields[number], at = _read_integer(data, at)
        elif kind == _BINARY:
            length, at = _read_varint(data, at)
            at += length
        elif kind == _STRUCT:
            fields[number], at = _read_struct(data, at)
        else:
            raise ValueError("no field of a page header")
    return fields, at + 1


def _read_integer(data: memoryview, at: int) -> tuple[int, int]:
    value, at = _read_varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
        if shift >= _MAX_BITS:
            raise ValueError("no number of a page header")
