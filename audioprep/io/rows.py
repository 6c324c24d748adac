"""Metadata files as rows of plain values."""

import csv
import io
import json
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audioprep.errors import DatasetError


def parse_rows(name: str, data: bytes) -> list[dict[str, Any]]:
    """Return the rows of a metadata file.

    Args:
        name: Its name; the suffix says how it is read: `.csv`, `.tsv`, `.jsonl` or `.parquet`.
        data: Its bytes; text is UTF-8, with or without a byte-order mark.

    Raises:
        DatasetError: The bytes are not of that format.
    """
    suffix = PurePosixPath(name).suffix.lower()
    try:
        if suffix == ".parquet":
            return pq.read_table(io.BytesIO(data)).to_pylist()
        text = data.decode("utf-8-sig")
        if suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if suffix == ".tsv" else ","))
    except (ValueError, csv.Error, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(f"{name}: expected {suffix[1:]} rows, got {reason}; mend the file") from None
