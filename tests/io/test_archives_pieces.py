"""Archives in pieces: read where they lie, and no differently from the whole."""

import io
import os
import random
from pathlib import Path

import pytest
from archive_makers import (
    ARCHIVE_WRITERS,
    FILES,
    NOISE,
    WRITERS,
    contents,
    place_of,
    write_pieces,
    write_zip,
    zip_bytes,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.errors import FetchError
from audioprep.io.archives import open_members
from audioprep.io.archives.pieces import JoinedFile, open_joined

MOVES = st.lists(st.tuples(st.integers(-50, 350), st.sampled_from([0, 1, 2]), st.integers(0, 120)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6), st.binary(max_size=20), MOVES)
def test_pieces_read_as_the_whole_does_for_any_cuts(tmp_path_factory, data, cuts, tail, moves):
    folder = tmp_path_factory.mktemp("pieces")
    paths = write_pieces(folder / "a", data, [min(cut, len(data)) for cut in cuts])
    with open_joined(paths, tail) as joined, io.BytesIO(data + tail) as whole:
        assert joined.read() == whole.read()
        for offset, whence, num_bytes in moves:
            try:
                expected = whole.seek(offset, whence)
            except ValueError:
                with pytest.raises((ValueError, OSError)):
                    joined.seek(offset, whence)
                continue
            if whence and expected == 0 and offset < 0:
                joined.seek(0)  # BytesIO stops at the start where a file refuses
            else:
                assert joined.seek(offset, whence) == expected
            assert joined.read(num_bytes) == whole.read(num_bytes)
            assert joined.tell() == whole.tell()


def test_a_position_before_the_start_is_refused(tmp_path):
    (paths := [tmp_path / "a"])[0].write_bytes(b"abc")
    with pytest.raises(ValueError, match=r"^position: expected 0 or more, got -1$"), JoinedFile(paths) as file:
        file.seek(-4, os.SEEK_END)


def num_open():
    """Return how many files this process has open, where the system says so."""
    listing = Path("/proc/self/fd")
    return len(list(listing.iterdir())) if listing.is_dir() else 0


def test_no_more_than_one_piece_is_open(tmp_path):
    paths = write_pieces(tmp_path / "a", bytes(1000), range(10, 1000, 10))
    with open_joined(paths) as file:
        before = num_open()
        for start in random.Random(0).sample(range(1000), 200):
            file.seek(start)
            file.read(37)
        assert num_open() <= before + 1


@pytest.mark.parametrize("name", ARCHIVE_WRITERS)
@pytest.mark.parametrize("num_pieces", [2, 7])
def test_an_archive_in_pieces_has_the_same_members(tmp_path, name, num_pieces):
    data = WRITERS[name](tmp_path / name, FILES | {"audio/noise.wav": NOISE}).read_bytes()
    cuts = [len(data) * number // num_pieces for number in range(1, num_pieces)]
    members = open_members([place_of(write_pieces(tmp_path / name, data, cuts))], tmp_path / "work")
    assert contents(members) == FILES | {"audio/noise.wav": NOISE}
    assert members.where == f"{tmp_path / name}.001 and {num_pieces - 1} more"


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_zip_in_pieces_has_the_same_members_for_any_cuts(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("pieces")
    packed = zip_bytes(FILES | {"audio/noise.wav": NOISE})
    paths = write_pieces(folder / "a.zip", packed, data.draw(st.lists(st.integers(0, len(packed)), max_size=5)))
    assert contents(open_members([place_of(paths)], folder)) == FILES | {"audio/noise.wav": NOISE}


def test_a_piece_that_is_not_there_is_named(tmp_path):
    paths = write_pieces(tmp_path / "a.zip", zip_bytes(FILES), [50, 100])
    paths[1].unlink()
    message = r"a\.zip\.002: expected an archive, found none; run the download stage, or place the file there$"
    with pytest.raises(FetchError, match=message):
        open_members([place_of(paths)], tmp_path)


def test_pieces_in_the_wrong_order_are_no_archive(tmp_path):
    first, second, third = write_pieces(tmp_path / "a.zip", zip_bytes({"noise.wav": NOISE}), [500, 1000])
    with pytest.raises(
        FetchError, match=r"a\.zip\.001 and 2 more: expected a whole (zip|tar), got a damaged one \(.+\)"
    ):
        contents(open_members([place_of([first, third, second])], tmp_path / "work"))


def test_the_members_are_those_that_zipfile_finds(tmp_path):
    generator = random.Random(0)
    files = {f"x/{n % 7}/{n}.wav": generator.randbytes(generator.randrange(300)) for n in range(200)}
    assert contents(open_members([place_of([write_zip(tmp_path / "a.zip", files)])], tmp_path)) == {
        name.removeprefix("x/"): data for name, data in files.items()
    }
