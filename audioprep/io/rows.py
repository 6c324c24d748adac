"""Metadata files as rows of plain values."""

import csv
import io
import json
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audioprep.errors import DatasetError


def parse_rows(name: str, data: bytes, separator: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of a metadata file.

    Args:
        name: Its name; the suffix says how it is read: `.csv`, `.tsv`, `.jsonl` or `.parquet`.
        data: Its bytes; text is UTF-8, with or without a byte-order mark.
        separator: What stands between its columns, where the suffix does not say or misleads.

    Raises:
        DatasetError: The bytes are not of that format.
    """
    suffix = PurePosixPath(name).suffix.lower()
    try:
        if suffix == ".parquet" and separator is None:
            table: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
            return table
        text = data.decode("utf-8-sig")
        if suffix == ".jsonl" and separator is None:
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            delimiter = separator or ("\t" if suffix == ".tsv" else ",")
            if suffix == ".csv" and separator is None:
                _check_header(name, text)
            rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
        for number, row in enumerate(rows, start=1):
            _check_row(number, row)
    except (ValueError, OSError, csv.Error, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(f"{name}: expected {suffix[1:]} rows, got {reason}; mend the file") from None
    return rows


def _check_header(name: str, text: str) -> None:
    """Refuse what spreadsheets of some languages write: semicolons, or tabs."""
    header = text.split("\n", 1)[0].strip()
    if "," not in header and (";" in header or "\t" in header):
        raise DatasetError(
            f"{name}: expected columns with commas between them, got {header[:100]!r}; separate the columns with commas"
        )


def _check_row(number: int, row: object) -> None:
    if not isinstance(row, dict):
        raise ValueError(f"{type(row).__name__} in row {number}")  # noqa: TRY004 - caught above, as all bad bytes are
    # csv collects what stands beyond the header's columns under None: often a label with a comma and no quotes.
    if any(row.get(None) or ()):
        raise ValueError(f"more fields than columns in row {number}")
