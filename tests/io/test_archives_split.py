"""Split zips: the volumes are read where they lie, as the zip that they were split from."""

import random
import shutil
import subprocess

import pytest
from archive_makers import NOISE, contents, place_of, split_zip, write_volumes, zip_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.errors import FetchError
from audioprep.io.archives import open_members

TEXT = b"many words, " * 400
FILES = {"audio/noise.wav": NOISE, "audio/kæt.wav": NOISE[::-1], "meta.csv": TEXT, "empty.txt": b"", "x/1.wav": b"1"}
STORED, DEFLATED = 0, 8


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("compression", [STORED, DEFLATED])
@pytest.mark.parametrize("volume_bytes", [100_000, 4000, 777, 64])
def test_volumes_have_the_members_of_the_zip(tmp_path, volume_bytes, compression, zip64):
    volumes = split_zip(zip_bytes(FILES, compression), volume_bytes, zip64=zip64)
    assert len(volumes) == 1 if volume_bytes == 100_000 else len(volumes) > 1
    members = open_members([place_of(write_volumes(tmp_path / "a.zip", volumes))], tmp_path / "work")
    assert contents(members) == FILES
    assert members.digest("audio/noise.wav").startswith("crc32:")


@settings(max_examples=60, deadline=None)
@given(st.integers(30, 9000), st.booleans(), st.sampled_from([STORED, DEFLATED]))
def test_volumes_of_any_size_have_the_members_of_the_zip(tmp_path_factory, volume_bytes, zip64, compression):
    folder = tmp_path_factory.mktemp("volumes")
    paths = write_volumes(folder / "a.zip", split_zip(zip_bytes(FILES, compression), volume_bytes, zip64=zip64))
    assert contents(open_members([place_of(paths)], folder)) == FILES


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs the program zip")
@pytest.mark.parametrize("options", [["-0"], ["-9"], ["-0", "-fz"], ["-9", "-fz"]], ids=" ".join)
def test_volumes_made_by_the_program_zip(tmp_path, options):
    generator = random.Random(0)
    sizes = {f"top/audio/{number}.wav": generator.choice([10, 900, 40_000, 300_000]) for number in range(40)}
    files = {name: generator.randbytes(size) for name, size in sizes.items()} | {"top/words.csv": TEXT * 100}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    subprocess.run(["zip", "-q", "-r", *options, "-s", "64k", "a.zip", "top"], cwd=tmp_path, check=True)
    paths = [*sorted(tmp_path.glob("a.z[0-9]*")), tmp_path / "a.zip"]
    assert len(paths) > 20
    expected = {name.removeprefix("top/"): data for name, data in files.items()}
    assert contents(open_members([place_of(paths)], tmp_path / "work")) == expected


def volumes_of(tmp_path, **options):
    return write_volumes(tmp_path / "a.zip", split_zip(zip_bytes(FILES, STORED), 1500, **options))


@pytest.mark.parametrize("zip64", [{}, {"zip64": True}], ids=["32", "64"])
def test_volumes_that_are_not_given_are_named(tmp_path, zip64):
    paths = volumes_of(tmp_path, **zip64)
    del paths[4], paths[1]
    num = len(paths) + 2
    message = rf"a\.zip: expected the {num} volumes of a split zip, got {num - 2}; place a\.z02, a\.z05 beside it$"
    with pytest.raises(FetchError, match=message):
        open_members([place_of(paths)], tmp_path)


def test_the_last_volume_alone_is_no_archive(tmp_path):
    last = volumes_of(tmp_path)[-1]
    message = (
        r"a\.zip: expected the 8 volumes of a split zip, got 1; place a\.z01, a\.z02, a\.z03, a\.z04, a\.z05 beside it$"
    )
    with pytest.raises(FetchError, match=message):
        open_members([place_of([last])], tmp_path)


def test_a_volume_too_many_is_said(tmp_path):
    paths = volumes_of(tmp_path)
    message = r"a\.zip: expected the 8 volumes of a split zip, got 9; get all of them again, of one version$"
    with pytest.raises(FetchError, match=message):
        open_members([place_of([*paths[:3], paths[2], *paths[3:]])], tmp_path)


def test_a_volume_that_is_not_there_is_named(tmp_path):
    paths = volumes_of(tmp_path)
    paths[2].unlink()
    with pytest.raises(FetchError, match=r"a\.z03: expected an archive, found none; run the download stage, or place"):
        open_members([place_of(paths)], tmp_path)


def test_a_volume_in_the_place_of_another_is_named(tmp_path):
    paths = volumes_of(tmp_path)
    first, third = paths[0].read_bytes(), paths[2].read_bytes()
    paths[0].write_bytes(third)
    paths[2].write_bytes(first)
    message = (
        r"a\.z01: expected volume 1 of a split zip with the start of audio/noise\.wav, found something else there; it is "
        r"damaged, or in the place of another one: get it again$"
    )
    with pytest.raises(FetchError, match=message):
        open_members([place_of(paths)], tmp_path)


def test_a_volume_cut_short_is_noticed(tmp_path):
    paths = volumes_of(tmp_path)
    paths[-2].write_bytes(paths[-2].read_bytes()[:-1])
    with pytest.raises(
        FetchError, match=r"a\.z01 and 7 more: expected a whole zip(.*), got a damaged one \(.+\); delete it"
    ):
        contents(open_members([place_of(paths)], tmp_path))


def test_damaged_bytes_in_a_volume_are_found_on_reading(tmp_path):
    paths = volumes_of(tmp_path)
    data = bytearray(paths[1].read_bytes())
    data[200] ^= 1
    paths[1].write_bytes(data)
    message = (
        r"more: expected a whole zip at audio/noise\.wav, got a damaged one \(Bad CRC-32 for file 'audio/noise\.wav'\)"
    )
    with pytest.raises(FetchError, match=message):
        open_members([place_of(paths)], tmp_path).read("audio/noise.wav")
