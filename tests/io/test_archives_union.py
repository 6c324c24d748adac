"""Several places as one corpus: whose member counts, how it is named, and how cheap it is to open again."""

import pickle
import sqlite3

import pytest
from archive_makers import (
    ARCHIVE_WRITERS,
    FILES,
    WRITERS,
    contents,
    opened,
    place_of,
    split_zip,
    write_folder,
    write_pieces,
    write_tar,
    write_volumes,
    write_zip,
    zip_bytes,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.errors import FetchError
from audioprep.io.archives import Place, open_members
from audioprep.io.archives.archive_set import ArchiveSet
from audioprep.io.archives.index import Index
from audioprep.io.archives.tars import TarArchive

NAME = st.from_regex(r"[ab]{1,2}(/[ab]{1,2}){0,2}\.wav", fullmatch=True)


def place(path, **values):
    return Place((str(path),), **values)


def test_several_places_are_one_corpus(tmp_path):
    places = [
        place(write_zip(tmp_path / "dev.zip", {"FSD50K.dev_audio/1.wav": b"1"}), folder="dev"),
        place(write_tar(tmp_path / "eval.tar.gz", {"top/1.wav": b"2", "top/x/2.wav": b"3"}), folder="eval/audio/"),
        place(write_folder(tmp_path / "own", {"dog/1.wav": b"4"}), folder="own"),
        place(tmp_path / "list.csv", folder="meta"),
        place_of(write_pieces(tmp_path / "p.zip", zip_bytes({"p/q.wav": b"5"}), [10, 60])),
        place_of(write_volumes(tmp_path / "s.zip", split_zip(zip_bytes({"s/r.wav": b"6" * 90}, 0), 80)), folder="s"),
    ]
    (tmp_path / "list.csv").write_bytes(b"file\n1.wav\n")
    members = open_members(places, tmp_path / "work")
    assert contents(members) == {
        "dev/1.wav": b"1",
        "eval/audio/1.wav": b"2",
        "eval/audio/x/2.wav": b"3",
        "meta/list.csv": b"file\n1.wav\n",
        "own/dog/1.wav": b"4",
        "q.wav": b"5",
        "s/r.wav": b"6" * 90,
    }
    assert members.rows("meta/list.csv") == [{"file": "1.wav"}]
    assert members.where == f"{tmp_path / 'dev.zip'} and 5 more"
    assert [name for name in ("dev/1.wav", "1.wav", "dev/2.wav", "own/dog", "own", "") if name in members] == [
        "dev/1.wav"
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(WRITERS)), st.dictionaries(NAME, st.binary(max_size=9))), max_size=4))
def test_the_first_place_that_has_a_name_wins(tmp_path_factory, corpora):
    folder = tmp_path_factory.mktemp("union")
    places, expected = [], {}
    for number, (kind, files) in enumerate(corpora):
        (folder / str(number)).mkdir()
        top = "" if kind == "folder" else "x/"
        path = WRITERS[kind](folder / str(number) / kind, {f"{top}{name}": data for name, data in files.items()})
        if kind == "folder":
            path.mkdir(exist_ok=True)
        places.append(place(path, folder="f"))
        for name, data in files.items():
            expected.setdefault(f"f/{name}", data)
    assert contents(open_members(places, folder / "work")) == expected


def test_the_first_place_wins_between_folders_and_archives(tmp_path):
    first = place(write_folder(tmp_path / "f", {"a.wav": b"1", "b.wav": b"1"}))
    second = place(write_zip(tmp_path / "a.zip", {"b.wav": b"2", "c.wav": b"2"}))
    third = place(write_folder(tmp_path / "g", {"c.wav": b"3", "d.wav": b"3"}))
    members = open_members([first, second, third], tmp_path / "work")
    assert contents(members) == {"a.wav": b"1", "b.wav": b"1", "c.wav": b"2", "d.wav": b"3"}
    assert [members.digest(name)[:6] for name in members.names()] == ["sha256", "sha256", "crc32:", "sha256"]
    assert [members.member(name).num_bytes for name in members.names()] == [1, 1, 1, 1]


def test_members_without_a_checksum_have_the_hash_of_their_own_archive(tmp_path):
    places = [
        place(write_tar(tmp_path / "a.tar", {"a.wav": b"1"}), sha256="aa"),
        place(write_tar(tmp_path / "b.tar", {"b.wav": b"2"}), sha256="bb"),
        place(write_zip(tmp_path / "c.zip", {"c.wav": b"3"}), sha256="cc"),
    ]
    members = open_members(places, tmp_path / "work")
    assert [members.digest(name) for name in members.names()] == ["archive:aa", "archive:bb", "crc32:6dd28e9b"]
    with pytest.raises(
        FetchError, match=r"a\.tar and 2 more: expected a member 'd\.wav', found none among 3; the archive"
    ):
        members.digest("d.wav")
    with pytest.raises(
        FetchError, match=r"a\.tar and 2 more: expected a member 'd\.wav', found none among 3; the archive"
    ):
        members.member("d.wav")


def test_an_error_in_reading_says_which_archive_it_is_and_not_where_that_lies(tmp_path):
    good = place(write_zip(tmp_path / "a.zip", {"a.wav": b"1"}))
    bad = write_tar(tmp_path / "b.tar", {"x/b.wav": b"2" * 30_000})
    members = open_members([good, place(bad)], tmp_path / "work")
    bad.write_bytes(bad.read_bytes()[:9000])
    with pytest.raises(FetchError) as caught:
        members.read("b.wav")
    assert str(caught.value).removeprefix(f"{members.where}: ") == (
        "expected a whole tar at x/b.wav in b.tar, got a damaged one (unexpected end of data); delete it and get it again"
    )


@pytest.mark.parametrize("root", ["genres/", ""])
@pytest.mark.parametrize("name", ARCHIVE_WRITERS)
def test_a_single_top_folder_is_taken_off(tmp_path, name, root):
    files = {
        f"{root}country/1.wav": b"1",
        f"{root}rock/1.wav": b"2",
        f"{root}.DS_Store": b"",
        f"{root}rock/._1.wav": b"",
    }
    members = opened(ARCHIVE_WRITERS[name](tmp_path / name, files), tmp_path / "work", folder="x", sha256="0f")
    assert contents(members) == {"x/country/1.wav": b"1", "x/rock/1.wav": b"2"}
    assert "country/1.wav" not in members
    assert members.digest("x/rock/1.wav")


@pytest.mark.parametrize("name", ARCHIVE_WRITERS)
def test_an_archive_is_looked_through_once(tmp_path, name, monkeypatch):
    path = ARCHIVE_WRITERS[name](tmp_path / name, FILES)
    first = opened(path, tmp_path / "work")
    monkeypatch.setattr(ArchiveSet, "_rows", None)
    second = opened(path, tmp_path / "work")
    assert contents(second) == contents(first) == FILES
    assert second.digest("audio/a.wav") == first.digest("audio/a.wav")


def test_a_changed_archive_is_looked_through_again(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    opened(path, tmp_path / "work")
    write_zip(path, {"new.wav": b"new"})
    assert contents(opened(path, tmp_path / "work")) == {"new.wav": b"new"}
    assert contents(opened(path, tmp_path / "work", folder="moved")) == {"moved/new.wav": b"new"}


def test_what_is_remembered_is_whole_or_not_there(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    path = write_tar(tmp_path / "a.tar.gz", FILES)
    with monkeypatch.context() as patch:
        patch.setattr(TarArchive, "_members", fail)
        with pytest.raises(KeyboardInterrupt):
            opened(path, tmp_path / "work")
    assert not list((tmp_path / "work").iterdir())
    (tmp_path / "work" / "a.members").write_bytes(b"of another run")
    assert contents(opened(path, tmp_path / "work")) == FILES


def test_what_is_remembered_is_the_same_for_the_same_archive(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    for work in ("one", "two"):
        opened(path, tmp_path / work)
    one, two = ([*(tmp_path / work).iterdir()] for work in ("one", "two"))
    assert [file.name for file in one] == [file.name for file in two]
    dumps = [list(sqlite3.connect(file).iterdump()) for file in (*one, *two)]
    assert dumps[0] == dumps[1]


def test_an_index_that_cannot_be_read_is_said(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    members = opened(path, tmp_path / "work")
    (index,) = (tmp_path / "work").iterdir()
    index.write_bytes(b"damaged" * 999)
    message = r"work/[0-9a-f]{16}\.members: expected an index of members, got file is not a database; delete it and run again$"
    with pytest.raises(FetchError, match=message):
        members.names()
    with pytest.raises(FetchError, match=message):
        members.read("audio/a.wav")


def test_an_index_that_cannot_be_written_is_said(tmp_path):
    def full():
        raise sqlite3.OperationalError("database or disk is full")
        yield

    message = r"b\.members: expected to write it, got database or disk is full; check permissions and free space$"
    with pytest.raises(FetchError, match=message):
        Index(tmp_path / "b.members").write(full())
    assert not list(tmp_path.iterdir())


def test_few_archives_are_open_at_a_time(tmp_path):
    places = [place(write_zip(tmp_path / f"{number}.zip", {f"{number}.wav": b"1"})) for number in range(40)]
    members = open_members(places, tmp_path / "work")
    for name in [*members.names(), *members.names()]:
        assert members.read(name) == b"1"
    (source,) = members._sources
    assert len(source._archives) == 16


def test_a_place_travels_to_another_process():
    value = Place(("a.z01", "a.zip"), folder="x", sha256="0f")
    assert pickle.loads(pickle.dumps(value)) == value


def test_no_place_at_all_has_no_members(tmp_path):
    members = open_members([], tmp_path)
    assert members.names() == []
    with pytest.raises(FetchError, match=r"^no place: expected a member 'a\.wav', found none among 0; the archive is"):
        members.read("a.wav")
