"""Tables: every row comes back, the same rows are the same bytes, and damage is one line."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.errors import ShardError
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


@pytest.mark.parametrize(("num_rows", "expected"), [(1, [2, 3, 1]), (3, [5, 1]), (5, [5, 1]), (9, [6])])
def test_a_table_is_read_in_parts_of_whole_row_groups(tmp_path, num_rows, expected):
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
