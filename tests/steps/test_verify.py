"""What is damaged is named, each file once; what is whole passes, and what nothing vouches for is said."""

import os
import shutil

import pytest

from audioprep.errors import ShardError
from audioprep.steps import verify as step
from audioprep.steps.verify import report, verify

PART = "part-000001.parquet"


def flip(path):
    """Change one bit in the middle of a file; a new file takes its place, as others may be links to the old one."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.unlink()
    path.write_bytes(data)


@pytest.fixture
def out(prepared, tmp_path):
    """Return a copy of the prepared corpus that may be damaged."""
    return shutil.copytree(prepared.out, tmp_path / "data" / "small", ignore=shutil.ignore_patterns("archives"))


def wrong_in(path):
    return {f"{c.folder.name}/{name}": what for c in verify(path) for name, what in c.damaged.items()}


def test_what_was_prepared_is_whole(out):
    for path in (out, out.parent):
        folders = verify(path)
        assert [folder.folder.name for folder in folders] == [
            "audio",
            "card",
            "cuts",
            "logmel",
            "loudness",
            "mfcc",
            "raw",
            "splits",
        ]
        assert not any(folder.num_wrong for folder in folders)
    (logmel,) = verify(out / "logmel")
    (line,) = logmel.lines()
    assert "logmel: 5 files, " in line
    assert line.endswith(", as their index says")
    (line,) = report(verify(out / "raw"))
    assert line.endswith("small: 4 tables of raw can be read; these have no index, which would tell of other bytes")
    lines = list(report(verify(out)))
    assert len(lines) == 5
    assert "small: 9 tables of card, loudness, raw, splits can be read; " in lines[-1]


def truncate(path):
    os.truncate(path, path.stat().st_size - 1)


def remove(path):
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (flip, "expected sha256 "),
        (truncate, " bytes, got "),
        (remove, " bytes, found no file"),
    ],
)
@pytest.mark.parametrize("file", [f"logmel/{PART}", "logmel/_stats.parquet", "audio/shar/recording.000000.tar"])
def test_a_damaged_file_is_named(out, damage, what, file):
    damage(out / file)
    found = wrong_in(out)
    assert list(found) == [file]
    assert what in found[file]


def test_a_file_that_the_index_does_not_list_is_named(out):
    (out / "audio" / "shar" / "notes.txt").write_text("mine")
    (audio,) = verify(out / "audio")
    assert audio.num_wrong == 1
    assert list(audio.lines())[1].endswith("shar/notes.txt: expected no such file, its index does not list it")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"files": {}, "shards": [3]}', '{"files": {"a": 1}, "shards": []}'])
def test_a_damaged_index_is_named(out, text):
    (out / "mfcc" / "_index.json").write_text(text)
    assert wrong_in(out).keys() == {"mfcc/_index.json"}
    assert wrong_in(out / "mfcc")["mfcc/_index.json"].startswith("expected a")


def test_an_unfinished_folder_is_named(out):
    (out / "logmel" / "_index.json").unlink()
    assert wrong_in(out) == {
        "logmel/_index.json": "expected _index.json, found none; run the stage that makes this folder"
    }
    (out / "logmel").rename(out / "other")
    assert wrong_in(out).keys() == {"other/_index.json"}, "by what it holds"


def test_tables_without_an_index_are_read(out):
    flip(out / "splits" / "grouped-3fold.parquet")
    truncate(out / "splits" / "grouped-3fold.parquet")
    (out / "raw" / "about.json").write_text("{")
    (out / "loudness" / "gains.parquet").unlink()
    assert wrong_in(out) == {
        "loudness/gains.parquet": "expected a table of its stage, found none",
        "raw/about.json": "expected json, got a file that cannot be read",
        "splits/grouped-3fold.parquet": "expected parquet, got a file that cannot be read",
    }


def test_a_disk_that_does_not_read_is_named(out, monkeypatch):
    def fails(_path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(step, "file_sha256", fails)
    assert set(wrong_in(out / "logmel").values()) == {"expected to read it, got Input/output error"}


def test_where_nothing_was_prepared(tmp_path, out):
    message = r"expected data, data/<corpus> or a folder of a corpus, found {}; run `audioprep prepare` first$"
    (tmp_path / "empty").mkdir()
    for path, found in (("empty", "nothing that was prepared"), ("none", "no such folder")):
        with pytest.raises(ShardError, match=message.format(found)):
            verify(tmp_path / path)
    for path, found in (("audio/shar", "nothing that was prepared"), ("audio/_index.json", "a file")):
        with pytest.raises(ShardError, match=rf"found {found}; give the folder that it is part of, {out}/audio$"):
            verify(out / path)


def test_a_folder_that_lies_beside_corpora_hides_none(out):
    shutil.copytree(out / "audio", out.parent / "moved")
    assert [checked.folder.name for checked in verify(out.parent)][:2] == ["moved", "audio"]


@pytest.mark.parametrize("name", ["audio/a.wav", "raw/photo.nef", "cuts/a", "logmel/part-00000-1b2c.snappy.parquet"])
def test_a_folder_of_somebody_else_is_none_of_ours(tmp_path, name):
    path = tmp_path / "theirs" / name
    path.parent.mkdir(parents=True)
    path.write_text("theirs")
    for folder in (tmp_path, path.parent.parent, path.parent):
        with pytest.raises(ShardError, match=r"found nothing that was prepared; run `audioprep prepare` first$"):
            verify(folder)
