"""Bytes of Thrift's compact protocol, written by hand after its specification."""

import pytest

from audioprep.io.compact_protocol import read_struct


def read(*data: int) -> tuple[dict[int, object], int]:
    return read_struct(memoryview(bytes(data)), 0)


def test_every_kind_of_field_is_read() -> None:
    number = (0x15, 0xAC, 0x02)  # field 1, i32, zigzag 150
    text = (0x18, 2, *b"ab")  # field 2, binary
    inner = (0x1C, 0x15, 1, 0)  # field 3, struct of field 1, i32, -1
    numbers = (0x19, 0x25, 2, 4)  # field 4, list of two i32
    flags = (0x11, 0x12)  # fields 5 and 6, true and false
    far = (0x03, 0x80, 0x01, 7)  # a byte, its number 64 in full
    fields, end = read(*number, *text, *inner, *numbers, *flags, *far, 0, 99)
    assert fields == {1: 150, 2: b"ab", 3: {1: -1}, 4: [1, 2], 5: True, 6: False, 64: 7}
    assert end == len(number + text + inner + numbers + flags + far) + 1


def test_a_long_list_has_its_size_in_full() -> None:
    assert read(0x19, 0xF3, 20, *range(20), 0)[0] == {1: list(range(20))}


@pytest.mark.parametrize(
    ("data", "message"), [((0x1D, 0), "no field of Parquet"), ((0x15, *[0xFF] * 11, 0), "no number of Parquet")]
)
def test_what_parquet_does_not_have_is_refused(data: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        read(*data)


def test_data_that_ends_too_soon_is_refused() -> None:
    with pytest.raises(LookupError):
        read(0x19, 0xF5, 0xFF, 0xFF, 0x03, 1, 2)
