"""Where a corpus lies, and the ledger that says where it came from."""

from pathlib import Path

import pytest

from audioprep.errors import FetchError, ShardError
from audioprep.io.archives import Place
from audioprep.io.layout import Layout, sound_name
from audioprep.io.ledger import is_verified, read_about, read_ledger, write_ledger
from audioprep.io.places import source_places


def test_a_project_keeps_archives_outside_what_dvc_may_delete(monkeypatch):
    monkeypatch.delenv("AUDIOPREP_ARCHIVES", raising=False)
    layout = Layout.in_project("birds")
    assert layout.archives == Path("data/archives")
    assert layout.data == Path("data/birds")
    assert (layout.shar, layout.features("logmel")) == (Path("data/birds/audio/shar"), Path("data/birds/logmel"))
    assert layout.work == Path(".audioprep/work/birds")


def test_archives_can_be_shared(monkeypatch):
    monkeypatch.setenv("AUDIOPREP_ARCHIVES", "~/archives")
    expected = Path("~/archives").expanduser()
    assert Layout.in_project("birds").archives == Layout.in_folder("birds", Path("out")).archives == expected


def test_a_folder_of_ones_own_holds_everything(monkeypatch):
    monkeypatch.delenv("AUDIOPREP_ARCHIVES", raising=False)
    layout = Layout.in_folder("birds", Path("out"))
    assert all(
        path.is_relative_to("out") for path in (layout.raw, layout.audio, layout.loudness, layout.cuts, layout.splits)
    )
    assert all(path.is_relative_to("out") for path in (layout.archives, layout.work))


def test_sounds_have_names_that_file_systems_hold():
    assert sound_name("dog--1") == "dog--1.flac"
    names = {sound_name("ö" * length) for length in (101, 102, 500)}
    assert len(names) == 3
    assert all(len(name.encode()) < 255 for name in names)


@pytest.fixture
def layout(tmp_path, monkeypatch):
    monkeypatch.delenv("AUDIOPREP_ARCHIVES", raising=False)
    layout = Layout.in_folder("birds", tmp_path)
    layout.raw.mkdir()
    return layout


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_missing_or_damaged_ledger_is_said(layout, content):
    if content is not None:
        (layout.raw / "download.json").write_text(content)
        (layout.raw / "about.json").write_text(content)
    for name, read in (("download", read_ledger), ("about", read_about)):
        with pytest.raises(
            ShardError, match=rf"{name}\.json: expected a file of the download stage, got none; run that stage$"
        ):
            read(layout)


SOURCE = {"files": [], "folder": "", "in_root": True, "origin": "folder", "sha256": "", "verified": False}
ARCHIVES = {"in_root": False, "files": [{"name": "a.1"}, {"name": "a.2"}], "folder": "a", "sha256": "00"}


def test_sources_are_archives_of_the_store_or_the_users_folder(layout, tmp_path):
    write_ledger(layout, {"store": "birds", "sources": [SOURCE | ARCHIVES]}, {"splits": {}})
    message = (
        r"archives/birds/a\.1: expected what birds was listed from, and 1 more of its files, found none; `audioprep prepare "
        r"birds` gets it, or place it there$"
    )
    with pytest.raises(FetchError, match=message):
        source_places(layout, None)
    store = layout.archives / "birds"
    store.mkdir(parents=True)
    (store / "a.1").touch()
    (store / "a.2").touch()
    assert source_places(layout, None) == [Place((str(store / "a.1"), str(store / "a.2")), "a", "00")]
    write_ledger(layout, {"store": "birds", "sources": [SOURCE]}, {"splits": {}})
    assert source_places(layout, str(tmp_path)) == [Place((str(tmp_path),))]
    with pytest.raises(FetchError, match=r"gone: expected what birds was listed from, found none"):
        source_places(layout, str(tmp_path / "gone"))


def test_a_corpus_is_verified_if_every_source_is():
    assert is_verified([SOURCE | {"verified": True}])
    assert not is_verified([SOURCE | {"verified": True}, SOURCE])
