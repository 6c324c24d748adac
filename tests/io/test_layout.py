"""Where a corpus lies, and the ledger that says where it came from."""

from pathlib import Path

import pytest

from audioprep.errors import FetchError, ShardError
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_ledger, source_path, write_ledger


def test_a_project_keeps_archives_outside_what_dvc_may_delete(monkeypatch):
    monkeypatch.delenv("AUDIOPREP_ARCHIVES", raising=False)
    layout = Layout.in_project("birds")
    assert layout.archives == Path("data/archives/birds")
    assert layout.data == Path("data/birds")
    assert (layout.shar, layout.features("logmel")) == (Path("data/birds/audio/shar"), Path("data/birds/logmel"))
    assert layout.work == Path(".audioprep/work/birds")


def test_archives_can_be_shared(monkeypatch):
    monkeypatch.setenv("AUDIOPREP_ARCHIVES", "~/archives")
    expected = Path("~/archives/birds").expanduser()
    assert Layout.in_project("birds").archives == Layout.in_folder("birds", Path("out")).archives == expected


def test_a_folder_of_ones_own_holds_everything(monkeypatch):
    monkeypatch.delenv("AUDIOPREP_ARCHIVES", raising=False)
    layout = Layout.in_folder("birds", Path("out"))
    assert all(
        path.is_relative_to("out") for path in (layout.raw, layout.audio, layout.loudness, layout.cuts, layout.splits)
    )
    assert all(path.is_relative_to("out") for path in (layout.archives, layout.work))


@pytest.fixture
def layout(tmp_path, monkeypatch):
    monkeypatch.delenv("AUDIOPREP_ARCHIVES", raising=False)
    layout = Layout.in_folder("birds", tmp_path)
    layout.raw.mkdir()
    return layout


@pytest.mark.parametrize("content", [None, "{"])
def test_a_missing_or_damaged_ledger_is_said(layout, content):
    if content is not None:
        (layout.raw / "download.json").write_text(content)
    with pytest.raises(
        ShardError, match=r"download\.json: expected the ledger of the download stage, got none; run that"
    ):
        read_ledger(layout)


def test_the_source_is_the_archive_or_the_folder(layout, tmp_path):
    write_ledger(layout, {"source": {"origin": "user-placed", "name": "a.zip", "sha256": "00"}})
    message = (
        r"archives/a\.zip: expected the user-placed source of birds \(sha256 00\), found none; `audioprep prepare birds` gets "
        r"it, or place it there$"
    )
    with pytest.raises(FetchError, match=message):
        source_path(layout, None)
    layout.archives.mkdir()
    (layout.archives / "a.zip").touch()
    assert source_path(layout, None) == layout.archives / "a.zip"
    write_ledger(layout, {"source": {"origin": "folder", "name": ""}})
    assert source_path(layout, str(tmp_path)) == tmp_path
    with pytest.raises(
        FetchError, match=r"gone: expected the folder source of birds \(sha256 of each file\), found none"
    ):
        source_path(layout, str(tmp_path / "gone"))
