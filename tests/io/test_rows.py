"""Metadata files: four formats, the same rows; and what is not of its format."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audioprep.errors import DatasetError
from audioprep.io.rows import parse_rows

ROWS = [{"file_name": "a.wav", "label": "dog, big"}, {"file_name": "é.wav", "label": "a\u2028b"}]


def _parquet(rows):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.csv", 'file_name,label\na.wav,"dog, big"\né.wav,a\u2028b\n'.encode()),
        ("m.CSV", '\ufefffile_name,label\r\na.wav,"dog, big"\r\né.wav,a\u2028b\r\n'.encode()),
        ("m.tsv", "file_name\tlabel\na.wav\tdog, big\né.wav\ta\u2028b\n".encode()),
        (
            "m.jsonl",
            '{"file_name": "a.wav", "label": "dog, big"}\n\n{"file_name": "é.wav", "label": "a\u2028b"}'.encode(),
        ),
        ("m.parquet", _parquet(ROWS)),
    ],
)
def test_every_format_gives_the_same_rows(name, data):
    assert parse_rows(name, data) == ROWS


@pytest.mark.parametrize("name", ["meta.csv", "meta.txt", "meta", "meta.jsonl", "meta.parquet"])
@pytest.mark.parametrize("separator", ["\t", ";", " "])
def test_a_separator_that_is_given_counts_more_than_the_suffix(name, separator):
    data = f"file_name{separator}label\na.wav{separator}dog,big\n".encode()
    assert parse_rows(name, data, separator) == [{"file_name": "a.wav", "label": "dog,big"}]


@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.jsonl"])
def test_an_empty_file_has_no_rows(name):
    assert parse_rows(name, b"") == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "m.csv",
            b"file_name,label\na.wav,dog,barking\n",
            r"^m\.csv: expected csv rows, got more fields than columns in row 1;",
        ),
        ("m.csv", b"\xff\xfe\x00", r"^m\.csv: expected csv rows, got 'utf-8' codec can't decode .+; mend the file$"),
        (
            "m.csv",
            b'a,b\n"' + b"x" * 200_000,
            r"^m\.csv: expected csv rows, got field larger than field limit .+; mend",
        ),
        ("m.jsonl", b'{"a": 1}\n{"a": ', r"^m\.jsonl: expected jsonl rows, got Expecting value: .+; mend the file$"),
        ("m.jsonl", b'{"a": 1}\n[1]\n', r"^m\.jsonl: expected jsonl rows, got list in row 2; mend the file$"),
        ("m.parquet", b"no parquet", r"^m\.parquet: expected parquet rows, got .+; mend the file$"),
        ("m.parquet", _parquet(ROWS)[:-30] + b"\0" * 30, r"^m\.parquet: expected parquet rows, got .+; mend the file$"),
        (
            "m.parquet",
            _parquet(ROWS).replace(b"label", b"\xff\xff\xff\xff\xff"),
            r"^m\.parquet: expected parquet rows, got",
        ),
    ],
)
def test_other_bytes_are_refused_in_one_line(name, data, message):
    with pytest.raises(DatasetError, match=message) as error:
        parse_rows(name, data)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_a_trailing_comma_is_borne():
    assert parse_rows("m.csv", b"a,b\n1,2,\n")[0]["b"] == "2"
