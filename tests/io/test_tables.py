"""Tables: every row comes back, the same rows are the same bytes, and damage is one line."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.errors import ShardError
from audioprep.io import tables
from audioprep.io.tables import GAINS, read_parts, read_table, rows_to_table, write_table, write_tables

GAIN_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text(st.characters(exclude_categories=["Cs"])),
            "gain_db": st.none() | st.floats(allow_nan=False),
            "reason": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
        }
    )
)


@settings(max_examples=30, deadline=None)
@given(GAIN_ROWS, st.integers(1, 4))
def test_rows_round_trip_in_any_number_of_parts(tmp_path_factory, rows, num_parts):
    folder = tmp_path_factory.mktemp("tables")
    parts = [rows_to_table(rows[start::num_parts], GAINS) for start in range(num_parts)]
    write_tables(folder / "a.parquet", GAINS, parts)
    assert read_table(folder / "a.parquet").to_pylist() == [row for part in parts for row in part.to_pylist()]
    write_tables(folder / "b.parquet", GAINS, parts)
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()


@settings(max_examples=30, deadline=None)
@given(GAIN_ROWS, st.integers(0, 9), st.integers(0, 9))
def test_bytes_do_not_depend_on_where_parts_begin(tmp_path_factory, rows, first, size):
    folder = tmp_path_factory.mktemp("tables")
    spans = (rows[:first], rows[first : first + size], rows[first + size :])
    parts = [rows_to_table(part, GAINS) for part in spans]
    write_tables(folder / "a.parquet", GAINS, parts)
    write_table(folder / "b.parquet", rows_to_table(rows, GAINS))
    write_table(folder / "c.parquet", pa.concat_tables(parts))
    assert len({(folder / name).read_bytes() for name in ("a.parquet", "b.parquet", "c.parquet")}) == 1


@pytest.mark.parametrize(("group_rows", "expected"), [(1, [2, 3, 1]), (3, [5, 1]), (6, [6]), (7, [6])])
def test_small_tables_share_a_row_group(tmp_path, monkeypatch, group_rows, expected):
    monkeypatch.setattr(tables, "GROUP_ROWS", group_rows)
    write_tables(tmp_path / "a.parquet", GAINS, (rows_to_table([{"id": "x"}] * size, GAINS) for size in (2, 3, 0, 1)))
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == expected


@pytest.mark.parametrize(("num_rows", "expected"), [(1, [2, 3, 1]), (3, [5, 1]), (5, [5, 1]), (9, [6])])
def test_a_table_is_read_in_parts_of_whole_row_groups(tmp_path, monkeypatch, num_rows, expected):
    monkeypatch.setattr(tables, "GROUP_ROWS", 1)
    groups = [rows_to_table([{"id": f"{group}-{row}"} for row in range(group)], GAINS) for group in (2, 3, 1)]
    write_tables(tmp_path / "a.parquet", GAINS, groups)
    parts = list(read_parts(tmp_path / "a.parquet", ["reason", "id"], num_rows))
    assert [len(part) for part in parts] == expected
    assert pa.concat_tables(parts).equals(read_table(tmp_path / "a.parquet", ["reason", "id"]))


def test_an_empty_table_has_no_parts(tmp_path):
    write_tables(tmp_path / "a.parquet", GAINS, [])
    assert list(read_parts(tmp_path / "a.parquet", ["id"], 1)) == []


def test_a_missing_key_is_null_and_columns_can_be_chosen(tmp_path):
    write_table(tmp_path / "a.parquet", rows_to_table([{"id": "x", "gain_db": 1.0}], GAINS))
    assert read_table(tmp_path / "a.parquet", ["id", "reason"]).to_pylist() == [{"id": "x", "reason": None}]


@pytest.mark.parametrize("content", [None, b"", b"PAR1 is not enough"])
def test_a_damaged_table_is_said(tmp_path, content):
    path = tmp_path / "facts.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        ShardError, match=r"facts\.parquet: expected a table, got .+; run the stage that makes it$"
    ) as error:
        read_table(path)
    assert "\n" not in str(error.value)
    with pytest.raises(ShardError, match=r"facts\.parquet: expected a table, got .+; run the stage that makes it$"):
        list(read_parts(path, ["id"], 1))


def test_a_column_that_is_not_there_is_said(tmp_path):
    write_table(tmp_path / "a.parquet", rows_to_table([], GAINS))
    with pytest.raises(
        ShardError, match=r"a\.parquet: expected a table, got .*loudness.*; run the stage that makes it$"
    ):
        read_table(tmp_path / "a.parquet", ["loudness"])
    write_table(tmp_path / "a.parquet", rows_to_table([{"id": "x"}], GAINS))
    with pytest.raises(ShardError, match=r"a\.parquet: expected a table, got .*loudness.*; run the stage"):
        list(read_parts(tmp_path / "a.parquet", ["loudness"], 1))


@pytest.mark.parametrize("num_rows", [0, 1, 4, 5])
def test_rows_may_come_one_by_one(tmp_path, monkeypatch, num_rows):
    monkeypatch.setattr("audioprep.io.tables.GROUP_ROWS", 2)
    rows = [{"id": str(row), "gain_db": row / 2} for row in range(num_rows)]
    table = rows_to_table(iter(rows), GAINS)
    assert table.equals(pa.Table.from_pylist(rows, schema=GAINS))
    write_table(tmp_path / "parts", table)
    write_table(tmp_path / "whole", pa.Table.from_pylist(rows, schema=GAINS))
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
