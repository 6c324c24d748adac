"""Members of zips, tars and folders: the same names and bytes wherever they come from, and no way out."""

import errno
import io
import re
import shutil
import tarfile
import wave

import pytest
from archive_makers import (
    ARCHIVE_WRITERS,
    FILES,
    WRITERS,
    contents,
    opened,
    write_folder,
    write_tar,
    write_zip,
)

from audioprep.errors import AudioError, DatasetError, FetchError


def wav(num_samples, rate_hz=16000):
    """Return a silent WAV."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, rate_hz, num_samples, "NONE", ""))
        file.writeframes(bytes(2 * num_samples))
    return buffer.getvalue()


@pytest.mark.parametrize("name", WRITERS)
def test_members_have_the_same_names_and_bytes_everywhere(tmp_path, name):
    members = opened(WRITERS[name](tmp_path / name, FILES), tmp_path / "work")
    assert members.names() == sorted(FILES)
    assert {member: members.read(member) for member in members.names()} == FILES
    assert members.rows("meta/list.csv") == [{"file": "a.wav", "label": "dog"}]
    assert "audio/a.wav" in members
    assert "audio/c.wav" not in members


@pytest.mark.parametrize("name", ARCHIVE_WRITERS)
@pytest.mark.parametrize("prefix", ["ESC-50-master/", "./", "./ESC-50/"])
def test_the_common_root_of_an_archive_is_dropped(tmp_path, name, prefix):
    files = {prefix + member: data for member, data in FILES.items()}
    members = opened(WRITERS[name](tmp_path / name, files), tmp_path / "work")
    assert members.names() == sorted(FILES)
    assert members.read("audio/b.wav") == FILES["audio/b.wav"]


@pytest.mark.parametrize("name", WRITERS)
def test_what_systems_add_is_ignored(tmp_path, name):
    junk = ["__MACOSX/audio/._a.wav", ".DS_Store", "audio/Thumbs.db", "audio/._b.wav", "audio/desktop.ini"]
    files = FILES | dict.fromkeys(junk, b"junk")
    assert opened(WRITERS[name](tmp_path / name, files), tmp_path / "work").names() == sorted(FILES)


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
        opened(path, tmp_path / "work")


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_member_is_said(tmp_path, name):
    path = WRITERS[name](tmp_path / name, FILES)
    message = (
        r": expected a member 'meta/esc50\.csv', found none among 3; the archive is incomplete or of another corpus, get it "
        r"again$"
    )
    with pytest.raises(FetchError, match=message):
        opened(path, tmp_path / "work").rows("meta/esc50.csv")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_a_truncated_archive_is_refused(tmp_path, name, share):
    path = WRITERS[name](tmp_path / name, FILES | {"audio/noise.wav": bytes(range(256)) * 40})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(
        FetchError, match=r": expected a whole .+, got a damaged one \(.+\); delete it and get it again$"
    ):
        opened(path, tmp_path / "work")
    assert not list((tmp_path / "work").glob("*")), "nothing half-uncompressed stays"


def test_a_truncated_tar_is_refused(tmp_path):
    path = write_tar(tmp_path / "a.tar", FILES)
    path.write_bytes(path.read_bytes()[:2500])  # in the middle of audio/a.wav
    with pytest.raises(FetchError, match=r"a\.tar: expected a whole tar, got a damaged one \(.+\); delete it and get"):
        opened(path, tmp_path / "work")


@pytest.mark.parametrize("name", ["a.zip", "a.bin"])
def test_bytes_of_another_kind_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no archive at all" * 100)
    with pytest.raises(FetchError, match=r": expected a whole (zip|tar), got a damaged one \(.+\); delete it"):
        opened(tmp_path / name, tmp_path / "work")


def test_a_tar_that_shrinks_after_opening_is_said(tmp_path):
    path = write_tar(tmp_path / "a.tar", {**FILES, "audio/a.wav": b"A" * 30_000})
    members = opened(path, tmp_path / "work")
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(
        FetchError, match=r"a\.tar: expected a whole tar at audio/a\.wav, got a damaged one \(.+\); delete"
    ):
        members.read("audio/a.wav")


def test_a_compressed_tar_is_uncompressed_once_and_again_when_it_changes(tmp_path):
    path, work = write_tar(tmp_path / "a.tar.gz", FILES), tmp_path / "work"
    opened(path, work)
    (plain,) = work.glob("*.tar")
    stamp = plain.stat().st_mtime_ns
    opened(path, work)
    assert plain.stat().st_mtime_ns == stamp
    write_tar(path, {"audio/a.wav": b"changed"})
    assert opened(path, work).read("a.wav") == b"changed"


def test_work_may_be_deleted_between_runs(tmp_path):
    path, work = write_tar(tmp_path / "a.tar.gz", FILES), tmp_path / "work"
    opened(path, work)
    for made in work.glob("*.tar"):
        made.unlink()
    assert contents(opened(path, work)) == FILES
    shutil.rmtree(work)
    assert contents(opened(path, work)) == FILES


def test_a_full_disk_is_not_taken_for_a_damaged_archive(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = write_tar(tmp_path / "a.tar.gz", FILES)
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left on device"):
        opened(path, tmp_path / "work")
    assert not list((tmp_path / "work").iterdir())


def test_checksums_tell_contents_apart_where_the_archive_has_them(tmp_path):
    in_zip = opened(write_zip(tmp_path / "a.zip", FILES), tmp_path)
    assert in_zip.digest("audio/b.wav").startswith("crc32:")
    assert in_zip.digest("audio/a.wav") != in_zip.digest("audio/b.wav")
    tar = write_tar(tmp_path / "a.tar", FILES)
    assert opened(tar, tmp_path).digest("audio/a.wav") == ""
    assert opened(tar, tmp_path, sha256="0f").digest("audio/a.wav") == "archive:0f"
    in_folder = opened(write_folder(tmp_path / "f", FILES), tmp_path)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", in_folder.digest("audio/a.wav"))


def test_metadata_of_the_wrong_format_is_said(tmp_path):
    members = opened(write_folder(tmp_path / "f", {"metadata.jsonl": b"no json"}), tmp_path)
    with pytest.raises(DatasetError, match=r"^metadata\.jsonl: expected jsonl rows, got .+; mend the file$"):
        members.rows("metadata.jsonl")


@pytest.mark.parametrize("name", WRITERS)
def test_a_text_is_read_as_utf8(tmp_path, name):
    files = {
        "a/plain.txt": "dog é\r\n".encode(),
        "a/marked.txt": b"\xef\xbb\xbfdog",
        "b/latin.txt": "é".encode("latin-1"),
    }
    members = opened(WRITERS[name](tmp_path / name, files), tmp_path / "work")
    assert members.text("a/plain.txt") == "dog é\r\n"
    assert members.text("a/marked.txt") == "dog"
    with pytest.raises(
        DatasetError, match=r"^b/latin\.txt: expected text in UTF-8, got byte 0xe9 at 0; save it as UTF-8$"
    ):
        members.text("b/latin.txt")


def test_rows_of_a_file_whose_suffix_misleads(tmp_path):
    members = opened(write_folder(tmp_path / "f", {"meta.csv": b"file\tscene\na.wav\tpark, city\n"}), tmp_path)
    assert members.rows("meta.csv", "\t") == [{"file": "a.wav", "scene": "park, city"}]


def test_the_length_of_a_member(tmp_path):
    files = {"a/1.wav": wav(4000), "b/2.wav": b"no sound"}
    members = opened(write_zip(tmp_path / "a.zip", files), tmp_path)
    assert members.duration_s("a/1.wav") == 0.25
    with pytest.raises(AudioError, match=r"^decode_error: b/2\.wav: Format not recognised\.$"):
        members.duration_s("b/2.wav")


@pytest.mark.parametrize("name", ARCHIVE_WRITERS)
def test_the_last_member_of_a_name_counts(tmp_path, name):
    files = {"./a.wav": b"old", "b.wav": b"b", "a.wav": b"new"}
    assert contents(opened(ARCHIVE_WRITERS[name](tmp_path / name, files), tmp_path / "work"))["a.wav"] == b"new"


def test_a_hard_link_in_a_tar_is_the_file_it_links_to(tmp_path):
    with tarfile.open(write_tar(tmp_path / "a.tar", {"x/a.wav": b"A" * 700}), "a") as archive:
        for kind, name, target in ((tarfile.LNKTYPE, "x/b.wav", "x/a.wav"), (tarfile.SYMTYPE, "x/c.wav", "a.wav")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    assert contents(opened(tmp_path / "a.tar", tmp_path)) == {"a.wav": b"A" * 700, "b.wav": b"A" * 700}


def test_a_sparse_file_in_a_tar_is_said(tmp_path):
    info = tarfile.TarInfo("a.wav")
    info.type = tarfile.GNUTYPE_SPARSE
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    message = (
        r"a\.tar: expected a whole tar, got a damaged one \(a\.wav is sparse: pack it without --sparse\); delete it"
    )
    with pytest.raises(FetchError, match=message):
        opened(tmp_path / "a.tar", tmp_path)


def test_the_bytes_tell_what_an_archive_is_and_its_name_does_not(tmp_path):
    write_tar(tmp_path / "a.tar.gz", FILES).rename(tmp_path / "a.zip")
    write_zip(tmp_path / "b.zip", FILES).rename(tmp_path / "b.tar")
    for name in ("a.zip", "b.tar"):
        assert contents(opened(tmp_path / name, tmp_path / "work")) == FILES


@pytest.mark.parametrize("name", ["list.csv", "list.TSV", "a.txt", "a.json", "a.jsonl", "a.parquet"])
def test_a_metadata_file_is_its_own_member(tmp_path, name):
    (tmp_path / name).write_bytes(b"file,label\n")
    members = opened(tmp_path / name, tmp_path / "work", folder="meta", sha256="0f")
    assert contents(members) == {f"meta/{name}": b"file,label\n"}
    assert members.digest(f"meta/{name}") == "archive:0f"
    assert members.member(f"meta/{name}").num_bytes == 11


def test_a_metadata_file_that_vanishes_is_said(tmp_path):
    (tmp_path / "list.csv").write_bytes(b"file,label\n")
    members = opened(tmp_path / "list.csv", tmp_path / "work")
    (tmp_path / "list.csv").unlink()
    message = (
        r"list\.csv: expected a whole file at list\.csv, got a damaged one \(No such file or directory\); delete it"
    )
    with pytest.raises(FetchError, match=message):
        members.read("list.csv")
