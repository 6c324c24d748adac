"""Members of zips, tars and folders: the same names and bytes wherever they come from, and no way out."""

import io
import re
import tarfile
import zipfile

import pytest

from audioprep.errors import DatasetError, FetchError
from audioprep.io.archives import UNREADABLE, FolderMembers, open_members

FILES = {"meta/list.csv": b"file,label\na.wav,dog\n", "audio/a.wav": b"A" * 3000, "audio/b.wav": b"B" * 10}


def write_zip(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path, files):
    mode = {"gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(path.suffix[1:], "w")
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_folder(path, files):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


WRITERS = {
    "a.zip": write_zip,
    "a.tar": write_tar,
    "a.tar.gz": write_tar,
    "a.tar.bz2": write_tar,
    "a.tar.xz": write_tar,
    "folder": write_folder,
}


@pytest.mark.parametrize("name", WRITERS)
def test_members_have_the_same_names_and_bytes_everywhere(tmp_path, name):
    members = open_members(WRITERS[name](tmp_path / name, FILES), tmp_path / "work")
    assert members.names() == sorted(FILES)
    assert {member: members.read(member) for member in members.names()} == FILES
    assert members.rows("meta/list.csv") == [{"file": "a.wav", "label": "dog"}]
    assert "audio/a.wav" in members
    assert "audio/c.wav" not in members


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "folder"])
@pytest.mark.parametrize("prefix", ["ESC-50-master/", "./", "./ESC-50/"])
def test_the_common_root_of_an_archive_is_dropped(tmp_path, name, prefix):
    files = {prefix + member: data for member, data in FILES.items()}
    members = open_members(WRITERS[name](tmp_path / name, files), tmp_path / "work")
    assert members.names() == sorted(FILES)
    assert members.read("audio/b.wav") == FILES["audio/b.wav"]


def test_a_zip_made_on_windows_has_the_same_names(tmp_path):
    members = open_members(write_zip(tmp_path / "a.zip", {"root\\audio\\a.wav": b"A", "root\\b.csv": b""}), tmp_path)
    assert members.names() == ["audio/a.wav", "b.csv"]
    assert members.read("audio/a.wav") == b"A"


def test_a_folder_keeps_its_only_class(tmp_path):
    assert open_members(write_folder(tmp_path / "f", {"dog/1.wav": b"", "dog/2.wav": b""}), tmp_path).names() == [
        "dog/1.wav",
        "dog/2.wav",
    ]


@pytest.mark.parametrize("name", WRITERS)
def test_what_systems_add_is_ignored(tmp_path, name):
    junk = ["__MACOSX/audio/._a.wav", ".DS_Store", "audio/Thumbs.db", "audio/._b.wav", "audio/desktop.ini"]
    files = FILES | dict.fromkeys(junk, b"junk")
    assert open_members(WRITERS[name](tmp_path / name, files), tmp_path / "work").names() == sorted(FILES)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize(
    "member", ["../evil.wav", "audio/../../evil.wav", "/etc/passwd", "C:/evil.wav", "..\\evil.wav"]
)
def test_members_that_lead_outside_are_refused(tmp_path, name, member):
    path = WRITERS[name](tmp_path / name, {**FILES, member: b"evil"})
    message = (
        rf"expected members inside the archive, got '{re.escape(member)}', which escapes it; do not trust this archive$"
    )
    with pytest.raises(FetchError, match=message):
        open_members(path, tmp_path / "work")


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_member_is_said(tmp_path, name):
    path = WRITERS[name](tmp_path / name, FILES)
    message = (
        r": expected a member 'meta/esc50\.csv', found none among 3; the archive is incomplete or of another corpus, get it "
        r"again$"
    )
    with pytest.raises(FetchError, match=message):
        open_members(path, tmp_path / "work").rows("meta/esc50.csv")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_a_truncated_archive_is_refused(tmp_path, name, share):
    path = WRITERS[name](tmp_path / name, FILES | {"audio/noise.wav": bytes(range(256)) * 40})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(
        FetchError, match=r": expected a whole .+, got a damaged one \(.+\); delete it and get it again$"
    ):
        open_members(path, tmp_path / "work")
    assert not list((tmp_path / "work").glob("*")), "nothing half-uncompressed stays"


def test_a_truncated_tar_is_refused(tmp_path):
    path = write_tar(tmp_path / "a.tar", FILES)
    path.write_bytes(path.read_bytes()[:2500])  # in the middle of audio/a.wav
    with pytest.raises(FetchError, match=r"a\.tar: expected a whole tar, got a damaged one \(.+\); delete it and get"):
        open_members(path, tmp_path / "work")


@pytest.mark.parametrize("name", ["a.zip", "a.bin"])
def test_bytes_of_another_kind_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no archive at all" * 100)
    with pytest.raises(FetchError, match=r": expected a whole (zip|tar), got a damaged one \(.+\); delete it"):
        open_members(tmp_path / name, tmp_path / "work")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_bytes_of_a_zip_member_are_found_on_reading(tmp_path, compression):
    noise = bytes((7 * i * i) % 251 for i in range(3000))
    path = write_zip(tmp_path / "a.zip", {"audio/a.wav": noise, "b": b""}, compression)
    data = bytearray(path.read_bytes())
    data[60:70] = b"damaged!!!"
    path.write_bytes(data)
    with pytest.raises(
        FetchError, match=r"a\.zip: expected a whole zip at audio/a\.wav, got a damaged one \(.+\); delete"
    ):
        open_members(path, tmp_path / "work").read("audio/a.wav")


def test_a_tar_that_shrinks_after_opening_is_said(tmp_path):
    path = write_tar(tmp_path / "a.tar", FILES)
    members = open_members(path, tmp_path / "work")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(
        FetchError, match=r"a\.tar: expected a whole tar at audio/a\.wav, got a damaged one \(.+\); delete"
    ):
        members.read("audio/a.wav")


def test_a_compressed_tar_is_uncompressed_once_and_again_when_it_changes(tmp_path):
    path, work = write_tar(tmp_path / "a.tar.gz", FILES), tmp_path / "work"
    open_members(path, work)
    (plain,) = work.iterdir()
    stamp = plain.stat().st_mtime_ns
    open_members(path, work)
    assert plain.stat().st_mtime_ns == stamp
    write_tar(path, {"audio/a.wav": b"changed"})
    assert open_members(path, work).read("a.wav") == b"changed"


def test_no_archive_and_no_folder_at_all(tmp_path):
    message = r"none: expected an archive, found none; run the download stage, or place the file there$"
    with pytest.raises(FetchError, match=message):
        open_members(tmp_path / "none", tmp_path / "work")
    with pytest.raises(FetchError, match=r"none: expected a folder, found none; give the folder with the audio files$"):
        FolderMembers(tmp_path / "none")


def test_an_empty_archive_and_an_empty_folder_have_no_members(tmp_path):
    (tmp_path / "empty").mkdir()
    assert open_members(tmp_path / "empty", tmp_path).names() == []
    assert open_members(write_zip(tmp_path / "a.zip", {}), tmp_path).names() == []


def test_checksums_tell_contents_apart_where_the_archive_has_them(tmp_path):
    in_zip = open_members(write_zip(tmp_path / "a.zip", FILES), tmp_path)
    assert in_zip.digest("audio/b.wav").startswith("crc32:")
    assert in_zip.digest("audio/a.wav") != in_zip.digest("audio/b.wav")
    assert open_members(write_tar(tmp_path / "a.tar", FILES), tmp_path).digest("audio/a.wav") == ""
    in_folder = open_members(write_folder(tmp_path / "f", FILES), tmp_path)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", in_folder.digest("audio/a.wav"))


def test_a_file_of_a_folder_that_vanishes_is_said(tmp_path):
    members = open_members(write_folder(tmp_path / "f", FILES), tmp_path)
    (tmp_path / "f" / "audio" / "a.wav").unlink()
    assert members.digest("audio/a.wav") == UNREADABLE
    with pytest.raises(FetchError, match=r"audio/a\.wav: expected a readable file, got No such file or directory"):
        members.read("audio/a.wav")


def test_a_link_to_a_file_is_that_file(tmp_path):
    write_folder(tmp_path / "f", {"dog/1.wav": b"1"})
    (tmp_path / "f" / "dog" / "2.wav").symlink_to(tmp_path / "f" / "dog" / "1.wav")
    (tmp_path / "f" / "dog" / "dangling.wav").symlink_to(tmp_path / "nowhere")
    members = open_members(tmp_path / "f", tmp_path)
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
        open_members(folder, tmp_path)


def test_metadata_of_the_wrong_format_is_said(tmp_path):
    members = open_members(write_folder(tmp_path / "f", {"metadata.jsonl": b"no json"}), tmp_path)
    with pytest.raises(DatasetError, match=r"^metadata\.jsonl: expected jsonl rows, got .+; mend the file$"):
        members.rows("metadata.jsonl")
