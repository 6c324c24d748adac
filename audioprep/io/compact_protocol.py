"""Thrift's compact protocol, in which a Parquet file says what is where: structs as fields by number.

pyarrow reads it too, but on some damaged footers it ends the whole process; what is read here ends in an exception at worst.

Source: Apache Thrift, compact protocol.
"""

from typing import Any

_MAX_BITS = 70  # ten bytes, as in Thrift's own readers
_TRUE, _FALSE, _BYTE, _INTEGERS, _BINARY, _LIST, _STRUCT = 1, 2, 3, (4, 5, 6), 8, 9, 12
# So many elements of a list have their number in bits of its head.
_LONG_LIST = 15


def read_struct(data: memoryview, at: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a struct by number, and where it ends.

    Args:
        data: Bytes that hold it.
        at: Where it begins.

    Raises:
        ValueError, LookupError, RecursionError: There is no struct of the fields that Parquet has.
    """
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
        else:
            fields[number], at = _read_value(kind, data, at)
    return fields, at + 1


def _read_value(kind: int, data: memoryview, at: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _read_integer(data, at)
    if kind == _BINARY:
        num_bytes, at = _read_varint(data, at)
        return bytes(data[at : at + num_bytes]), at + num_bytes
    if kind == _STRUCT:
        return read_struct(data, at)
    if kind == _LIST:
        return _read_list(data, at)
    if kind in {_TRUE, _FALSE, _BYTE}:
        return data[at], at + 1
    raise ValueError("no field of Parquet")


def _read_list(data: memoryview, at: int) -> tuple[list[Any], int]:
    size, kind = data[at] >> 4, data[at] & 15
    at += 1
    if size == _LONG_LIST:
        size, at = _read_varint(data, at)
    values = []
    for _ in range(size):
        value, at = _read_value(kind, data, at)
        values.append(value)
    return values, at


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
            raise ValueError("no number of Parquet")
