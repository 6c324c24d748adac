"""Folders: only their own files, whatever links and names lie in them."""

import errno
import os
from pathlib import Path

import pytest
from archive_makers import (
    FILES,
    contents,
    opened,
    write_folder,
    write_zip,
)

from audioprep.errors import FetchError
from audioprep.io.archives import UNREADABLE, FolderMembers


def test_a_folder_keeps_its_only_class(tmp_path):
    assert opened(write_folder(tmp_path / "f", {"dog/1.wav": b"", "dog/2.wav": b""}), tmp_path).names() == [
        "dog/1.wav",
        "dog/2.wav",
    ]


def test_no_archive_and_no_folder_at_all(tmp_path):
    message = r"none: expected an archive, found none; run the download stage, or place the file there$"
    with pytest.raises(FetchError, match=message):
        opened(tmp_path / "none", tmp_path / "work")
    with pytest.raises(FetchError, match=r"none: expected a folder, found none; give the folder with the audio files$"):
        FolderMembers(tmp_path / "none")


def test_an_empty_archive_and_an_empty_folder_have_no_members(tmp_path):
    (tmp_path / "empty").mkdir()
    assert opened(tmp_path / "empty", tmp_path).names() == []
    assert opened(write_zip(tmp_path / "a.zip", {}), tmp_path).names() == []


def test_a_file_of_a_folder_that_vanishes_is_said(tmp_path):
    members = opened(write_folder(tmp_path / "f", FILES), tmp_path)
    assert "audio/a.wav" in members
    (tmp_path / "f" / "audio" / "a.wav").unlink()
    assert members.digest("audio/a.wav") == UNREADABLE
    assert "audio/a.wav" not in members
    with pytest.raises(FetchError, match=r"f: expected a member 'audio/a\.wav', found none among 3; the archive is "):
        members.read("audio/a.wav")


def test_a_file_of_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    members = opened(write_folder(tmp_path / "f", FILES), tmp_path)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    message = r"f/audio/a\.wav: expected a readable file, got Permission denied; mend or remove it$"
    with pytest.raises(FetchError, match=message):
        members.read("audio/a.wav")


def test_a_folder_that_cannot_be_listed_is_said(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    members = opened(write_folder(tmp_path / "f", FILES), tmp_path)
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        FetchError, match=r"f: expected a readable folder, got Permission denied; mend its permissions$"
    ):
        members.names()


@pytest.mark.skipif(os.sep != "/", reason="there a backslash is no letter of a name")
def test_a_backslash_in_the_name_of_a_file_is_a_letter(tmp_path):
    folder = write_folder(tmp_path / "f", {"dog/a\\b.wav": b"1", "dog/..\\b.wav": b"2", "dog/a/b.wav": b"3"})
    assert contents(opened(folder, tmp_path)) == {"dog/a\\b.wav": b"1", "dog/..\\b.wav": b"2", "dog/a/b.wav": b"3"}


def test_a_link_that_leads_back_is_not_followed(tmp_path):
    folder = write_folder(tmp_path / "f", {"dog/1.wav": b"1", "cat/1.wav": b"2"})
    (folder / "dog" / "up").symlink_to(folder)
    (folder / "dog" / "again").symlink_to(folder / "dog")
    (folder / "both").symlink_to(folder / "cat")
    assert opened(folder, tmp_path).names() == ["both/1.wav", "cat/1.wav", "dog/1.wav"]


@pytest.mark.parametrize(
    "name", ["../secret.wav", "dog/../../secret.wav", "/secret.wav", "dog//1.wav", "./dog/1.wav", "dog"]
)
def test_a_folder_gives_only_its_own_files(tmp_path, name):
    write_folder(tmp_path, {"secret.wav": b"no", "f/dog/1.wav": b"1"})
    members = opened(tmp_path / "f", tmp_path)
    name = str(tmp_path / "secret.wav") if name.startswith("/") else name
    assert name not in members
    with pytest.raises(FetchError, match=r"f: expected a member '.+', found none among 1; "):
        members.read(name)


def test_a_link_to_a_file_is_that_file(tmp_path):
    write_folder(tmp_path / "f", {"dog/1.wav": b"1"})
    (tmp_path / "f" / "dog" / "2.wav").symlink_to(tmp_path / "f" / "dog" / "1.wav")
    (tmp_path / "f" / "dog" / "dangling.wav").symlink_to(tmp_path / "nowhere")
    members = opened(tmp_path / "f", tmp_path)
    assert members.names() == ["dog/1.wav", "dog/2.wav"]
    assert members.read("dog/2.wav") == b"1"


def test_names_that_are_not_utf8_are_said(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    try:
        (folder / "caf\udce9.wav").write_bytes(b"")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(FetchError, match=r"f: expected file names in UTF-8, got 'caf\\udce9\.wav'; rename the file$"):
        opened(folder, tmp_path).names()
