"""Every way to write a row group is read as pyarrow reads it, or left to pyarrow."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.io.feature_pages import find_chunks, read_chunk

RNG = np.random.default_rng(0)


def write(path: Path, values_KV: np.ndarray, *, nullable: bool = True, **how: Any) -> None:
    flat = pa.array(values_KV.reshape(-1))
    kind = pa.list_(pa.field("element", flat.type, nullable=nullable), values_KV.shape[1])
    column = pa.FixedSizeListArray.from_arrays(flat, type=kind)
    table = pa.table({"id": [str(row) for row in range(len(values_KV))], "x": column})
    split = how.pop("split", False)
    encoding = {"x.list.element": "BYTE_STREAM_SPLIT"} if split else None
    pq.write_table(table, path, **{"use_dictionary": False, "column_encoding": encoding, **how})


def read(path: Path, dtype: Any) -> list[np.ndarray | None]:
    parts: list[np.ndarray | None] = []
    for chunk in find_chunks(path, "x"):
        values = None if chunk is None else np.empty(chunk.num_values, dtype)
        parts.append(values if values is not None and chunk and read_chunk(path, chunk, values) else None)
    return parts


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("split", [False, True])
def test_pages_hold_what_was_written(tmp_path: Path, dtype: str, codec: str, *, split: bool) -> None:
    values_KV = RNG.normal(0, 40, (21, 300)).astype(dtype)
    # Small pages: several a row group, which do not end where clips end.
    write(tmp_path / "x", values_KV, compression=codec, split=split, row_group_size=8, data_page_size=700)
    parts = read(tmp_path / "x", dtype)
    assert len(parts) == 3
    np.testing.assert_array_equal(np.concatenate(parts), values_KV.reshape(-1))


@settings(max_examples=25, deadline=None)
@given(
    num_clips=st.integers(1, 9),
    num_values=st.integers(1, 40),
    row_group_size=st.integers(1, 9),
    page_bytes=st.integers(1, 300),
    nullable=st.booleans(),
    split=st.booleans(),
)
def test_any_shape_is_read(
    tmp_path_factory, num_clips, num_values, row_group_size, page_bytes, nullable, split
) -> None:
    path = tmp_path_factory.mktemp("pages") / "x"
    values_KV = RNG.normal(0, 40, (num_clips, num_values)).astype(np.float16)
    how = {"row_group_size": row_group_size, "data_page_size": page_bytes, "write_batch_size": 3}
    write(path, values_KV, nullable=nullable, split=split, **how)
    np.testing.assert_array_equal(np.concatenate(read(path, np.float16)), values_KV.reshape(-1))


@pytest.mark.parametrize(
    "how",
    [
        {"use_dictionary": True},
        {"data_page_version": "2.0"},
        {"column_encoding": {"x.list.element": "DELTA_BINARY_PACKED"}},
    ],
)
def test_another_layout_is_left_to_pyarrow(tmp_path: Path, how: dict[str, Any]) -> None:
    write(tmp_path / "x", np.ones((4, 5), np.int8), **how)
    assert read(tmp_path / "x", np.int8) == [None]


def test_nulls_are_left_to_pyarrow(tmp_path: Path) -> None:
    column = pa.array([[1.0, None], [3.0, 4.0]], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"x": column}), tmp_path / "x", use_dictionary=False)
    assert read(tmp_path / "x", np.float32) == [None]


def test_damage_is_left_to_pyarrow(tmp_path: Path) -> None:
    write(tmp_path / "x", RNG.normal(0, 1, (8, 50)).astype(np.float32), compression="zstd", split=True)
    whole = (tmp_path / "x").read_bytes()
    (chunk,) = find_chunks(tmp_path / "x", "x")
    assert chunk is not None
    out = np.empty(chunk.num_values, np.float32)
    for place in range(chunk.start, chunk.start + 40):
        (tmp_path / "x").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        assert read_chunk(tmp_path / "x", chunk, out) in {True, False}
    (tmp_path / "x").write_bytes(whole[: chunk.start + chunk.num_bytes // 2])
    assert not read_chunk(tmp_path / "x", chunk, out)
    (tmp_path / "x").write_bytes(whole)
    assert not read_chunk(tmp_path / "x", chunk, out[:-1])
    assert not read_chunk(tmp_path / "x", chunk, np.append(out, out[:1]))


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + (99).to_bytes(4, "little") + b"PAR1"])
def test_a_file_without_a_footer_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match=r"^no footer$"):
        find_chunks(tmp_path / "x", "x")
