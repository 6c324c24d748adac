"""Shar shards: the same bytes for the same recordings, and readable by their names."""

import re
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.errors import ShardError
from audioprep.io.shar import read_audio_tar, read_cuts, recording_manifest, write_audio_tar, write_cuts

RECORDINGS = [("a", b"flac of a", 16000), ("vögel--1", b"flac of b", 8000), ("x" * 150, b"", 1)]


def test_recordings_come_back_in_order(tmp_path):
    write_audio_tar(tmp_path / "a.tar", RECORDINGS, 16000)
    assert list(read_audio_tar(tmp_path / "a.tar")) == [(name, flac) for name, flac, _ in RECORDINGS]
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = tar.getnames()
        assert all((info.mtime, info.uid, info.uname) == (0, 0, "") for info in tar)
    assert names[:4] == ["a.flac", "a.json", "vögel--1.flac", "vögel--1.json"]


def test_the_same_recordings_are_the_same_bytes(tmp_path):
    for name in ("a.tar", "b.tar"):
        write_audio_tar(tmp_path / name, RECORDINGS, 16000)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_a_manifest_says_its_length():
    manifest = recording_manifest("a", 8000, 16000)
    assert (manifest["duration"], manifest["num_samples"], manifest["sampling_rate"]) == (0.5, 8000, 16000)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:700])])
def test_a_damaged_tar_is_said(tmp_path, damage):
    path = tmp_path / "recording.000000.tar"
    write_audio_tar(path, [("a", bytes(2000), 16000)], 16000)
    damage(path)
    message = r"recording\.000000\.tar: expected a whole audio shard, got .+; delete its folder and run the resample stage again$"
    with pytest.raises(ShardError, match=message):
        list(read_audio_tar(path))


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.text(max_size=8), st.text() | st.floats(allow_nan=False) | st.none(), max_size=4)))
def test_cuts_round_trip(tmp_path_factory, cuts):
    path = tmp_path_factory.mktemp("cuts") / "cuts.000000.jsonl"
    write_cuts(path, cuts)
    assert read_cuts(path) == cuts


@pytest.mark.parametrize("content", [None, b"{", b"\xff\xfe"])
def test_damaged_cuts_are_said(tmp_path, content):
    path = tmp_path / "cuts.000000.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        ShardError, match=re.escape(f"{path}: expected cuts, got ") + ".+; run the stage that makes them$"
    ):
        read_cuts(path)
