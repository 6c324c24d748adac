"""What an index vouches for is compared with it before it is used."""

import json

import pytest

from audioprep.engine import INDEX_NAME, check_file, checked_file, file_identity, listed_sha256, write_index
from audioprep.errors import ShardError


@pytest.fixture
def folder(tmp_path):
    """A finished folder: a table beside the shards, and a shard."""
    (tmp_path / "shar").mkdir()
    for name in ("facts.parquet", "shar/one.tar"):
        (tmp_path / name).write_text(f"of {name}")
    shards = [{"shard": 0, "rows": 1, "files": {"shar/one.tar": file_identity(tmp_path / "shar/one.tar")}}]
    write_index(tmp_path, {"files": {"facts.parquet": file_identity(tmp_path / "facts.parquet")}, "shards": shards})
    return tmp_path


@pytest.mark.parametrize("name", ["facts.parquet", "shar/one.tar"])
def test_whole_files_may_be_read(folder, name):
    assert checked_file(folder, name) == folder / name
    assert check_file(folder, name, listed_sha256(folder)[name]) == folder / name


@pytest.mark.parametrize("name", ["facts.parquet", "shar/one.tar"])
def test_other_bytes_and_missing_files_are_refused_in_one_line(folder, name):
    message = rf"^{folder / name}: expected sha256 \w{{16}}, which its index lists, got %s; make it anew: audioprep verify {folder} --repair$"
    (folder / name).write_text(f"OF {name}")
    with pytest.raises(ShardError, match=message % r"\w{64}"):
        checked_file(folder, name)
    (folder / name).unlink()
    with pytest.raises(ShardError, match=message % r"FileNotFoundError: .+"):
        checked_file(folder, name)


def test_what_the_index_does_not_list_is_refused_where_it_must_be_listed(folder):
    (folder / "new").write_text("new")
    assert checked_file(folder, "new") == folder / "new"
    with pytest.raises(
        ShardError, match=r"/new: expected sha256 None, which its index lists, got \w{64}; make it anew"
    ):
        check_file(folder, "new", None)


def test_a_part_of_a_folder_has_no_index_to_compare_with(folder):
    (folder / INDEX_NAME).unlink()
    (folder / "facts.parquet").write_text("another")
    assert checked_file(folder, "facts.parquet") == folder / "facts.parquet"


@pytest.mark.parametrize(
    "index", [{}, {"files": [], "shards": []}, {"files": {"a": 1}, "shards": []}, {"files": {}, "shards": 1}]
)
def test_an_index_that_is_none_is_said(folder, index):
    (folder / INDEX_NAME).write_text(json.dumps(index))
    with pytest.raises(ShardError, match=r"_index\.json: expected a JSON index, got something else; delete the folder"):
        listed_sha256(folder)
