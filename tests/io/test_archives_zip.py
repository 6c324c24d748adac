"""Zips as they are found: renamed, prefixed, odd names, damaged directories."""

import os
import struct
import zipfile

import pytest
from archive_makers import (
    FILES,
    NOISE,
    contents,
    opened,
    place_of,
    split_zip,
    write_tar,
    write_zip,
    zip_bytes,
)

from audioprep.errors import FetchError
from audioprep.io.archives import open_members, zips


def test_a_zip_made_on_windows_has_the_same_names(tmp_path):
    members = opened(write_zip(tmp_path / "a.zip", {"root\\audio\\a.wav": b"A", "root\\b.csv": b""}), tmp_path)
    assert members.names() == ["audio/a.wav", "b.csv"]
    assert members.read("audio/a.wav") == b"A"


@pytest.mark.parametrize("inflater", [zips.deflate, None], ids=["libdeflate", "zlib"])
def test_members_are_inflated_to_what_they_were(tmp_path, monkeypatch, inflater):
    monkeypatch.setattr(zips, "deflate", inflater)
    files = {"zeros.wav": bytes(100_000), "empty.wav": b"", "noise.wav": NOISE}
    path = write_zip(tmp_path / "a.zip", files, zipfile.ZIP_DEFLATED)
    members = opened(path, tmp_path / "work")
    assert {name: members.read(name) for name in files} == files
    # A directory that claims more than so many bytes can hold, and asks for as much memory, is not believed.
    data = path.read_bytes()
    claimed = data.rindex(struct.pack("<L", len(files["zeros.wav"])))
    path.write_bytes(data[:claimed] + struct.pack("<L", 1 << 31) + data[claimed + 4 :])
    with pytest.raises(
        FetchError, match=r"expected a whole zip at zeros\.wav, got a damaged one \(.+ bytes cannot hold"
    ):
        opened(path, tmp_path / "again").read("zeros.wav")


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
        opened(path, tmp_path / "work").read("audio/a.wav")


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path):
    files = {"x/a.wav": b"A", "x/inner.zip": zip_bytes(FILES)}
    assert opened(write_tar(tmp_path / "a.tar", files), tmp_path).names() == ["a.wav", "inner.zip"]


def test_a_zip_behind_a_program_that_unpacks_it(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"MZ" * 500 + zip_bytes(FILES))
    assert contents(opened(tmp_path / "a.zip", tmp_path)) == FILES


@pytest.mark.parametrize("after", [b"\0" * 40, b"PK\x05\x06", b"PK\x05\x06" * 9])
def test_bytes_after_a_zip_do_no_harm(tmp_path, after):
    (tmp_path / "a.zip").write_bytes(zip_bytes(FILES) + after)
    with_comment = bytearray(zip_bytes(FILES) + after)
    with_comment[-2 - len(after) : -len(after)] = struct.pack("<H", len(after))
    (tmp_path / "b.zip").write_bytes(with_comment)
    assert contents(opened(tmp_path / "b.zip", tmp_path)) == FILES
    if len(after) >= 22 and after.startswith(b"PK"):
        return  # without a word that it is a comment, this is another end
    assert contents(opened(tmp_path / "a.zip", tmp_path)) == FILES


def test_names_of_a_zip_that_are_utf8_without_saying_so(tmp_path):
    data = zip_bytes({"x/kaet.wav": b"1", "x/kA.wav": b"2"})
    data = data.replace(b"kaet", "kæt".encode()).replace(
        b"kA", b"k\x91"
    )  # the latter is code page 437, as DOS wrote it
    (tmp_path / "a.zip").write_bytes(data)
    assert contents(opened(tmp_path / "a.zip", tmp_path)) == {"kæt.wav": b"1", "kæ.wav": b"2"}


def test_names_of_a_zip_that_are_utf8_and_say_so(tmp_path):
    assert contents(opened(write_zip(tmp_path / "a.zip", {"x/kæt.wav": b"1"}), tmp_path)) == {"kæt.wav": b"1"}
    broken = zip_bytes({"x/kæt.wav": b"1"}).replace("æ".encode(), b"\xff\xfe")
    (tmp_path / "b.zip").write_bytes(broken)
    with pytest.raises(
        FetchError, match=r"b\.zip: expected a whole zip, got a damaged one \('utf-8' codec can't decode .+"
    ):
        opened(tmp_path / "b.zip", tmp_path)


def test_a_zip_that_needs_a_password_is_said(tmp_path):
    data = bytearray(zip_bytes({"x/a.wav": NOISE}, zipfile.ZIP_STORED))
    for flags_at in (6, data.rindex(b"PK\x01\x02") + 8):
        data[flags_at] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(
        FetchError, match=r"expected a whole zip at x/a\.wav, got a damaged one \(.+ password required .+"
    ):
        opened(tmp_path / "a.zip", tmp_path).read("a.wav")


@pytest.mark.parametrize(
    ("find", "offset", "value", "reason"),
    [
        (b"PK\x05\x06", 12, b"\xff\xff\0\0", "its directory is not where it should be"),
        (b"PK\x05\x06", 0, b"XX", "it has no end"),
        (b"PK\x01\x02", 0, b"XX", "its directory is damaged"),
        (b"PK\x01\x02", 34, b"\x05\0", "it places a file in volume 6 of 1"),
        (b"PK\x01\x02", 30, b"\xff\xff", "its directory is cut off"),
        (b"PK\x01\x02", 42, b"\xf0\xff\xff\xff", "it places a file beyond its end"),
        (b"PK\x01\x02", 20, b"\xf0\xff\xff\xff", "it places a file beyond its end"),
    ],
)
def test_a_damaged_directory_of_a_zip_is_said(tmp_path, find, offset, value, reason):
    data = bytearray(zip_bytes(FILES))
    at = data.rindex(find) + offset
    data[at : at + len(value)] = value
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(
        FetchError, match=rf"a\.zip: expected a whole zip, got a damaged one \({reason}\); delete it and"
    ):
        contents(opened(tmp_path / "a.zip", tmp_path))
    assert not list(tmp_path.glob("*.part"))


def test_a_member_larger_than_any_file_is_refused(tmp_path):
    (volume,) = split_zip(zip_bytes({"x/a.wav": NOISE}), 100_000, zip64=True)
    extra = volume.rindex(b"\x01\x00\x1c\x00") + 4
    (tmp_path / "a.zip").write_bytes(volume[:extra] + b"\xff" * 8 + volume[extra + 8 :])
    with pytest.raises(
        FetchError, match=r"a\.zip: expected a whole zip, got a damaged one \(it places a file beyond its"
    ):
        opened(tmp_path / "a.zip", tmp_path)


def test_offsets_beyond_32_bits(tmp_path):
    (tmp_path / "a.001").touch()
    os.truncate(tmp_path / "a.001", 5 << 30)  # takes no space
    (tmp_path / "a.zip").write_bytes(zip_bytes(FILES))
    members = open_members([place_of([tmp_path / "a.001", tmp_path / "a.zip"])], tmp_path)
    assert contents(members) == FILES
    assert members.member("audio/a.wav").start > 5 << 30
