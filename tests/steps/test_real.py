"""Real audio: every faulty file has an honest status, and ESC-10 goes through as ESC-50 would."""

import subprocess
import sys

import pytest
from steps.small_corpus import Run

from audioprep.config.data import DataParams
from audioprep.engine import read_index
from audioprep.io.layout import Layout
from audioprep.io.tables import read_table
from audioprep.steps import prepare

pytestmark = pytest.mark.real

# What libsndfile reads of the collections of faulty FLACs, odd WAVs and odd other files; all that is not "ok".
BAD_STATUS = {
    "01 - wrong max blocksize.flac": "decode_error",
    "04 - wrong number of channels.flac": "decode_error",
    "06 - missing streaminfo metadata block.flac": "decode_error",
    "08 - blocksize 65536.flac": "decode_error",
    "11 - incorrect metadata block length.flac": "decode_error",
    "test2_8000.mkv": "decode_error",
    "test-44100Hz-le-1ch-4bytes-early-eof-no-data.wav": "decode_error",
    "test-44100Hz-le-1ch-4bytes-early-eof.wav": "truncated",
    "test-44100Hz-le-1ch-4bytes-incomplete-chunk.wav": "decode_error",
    "test-8000Hz-be-3ch-5S-24bit.wav": "too_short",
    "test-8000Hz-le-1ch-10S-20bit-extra.wav": "too_short",
    "test-8000Hz-le-1ch-1byte-ulaw.wav": "too_short",
    "test-8000Hz-le-3ch-5S-24bit-inconsistent.wav": "too_short",
    "test-8000Hz-le-3ch-5S-24bit-rf64.wav": "too_short",
    "test-8000Hz-le-3ch-5S-24bit.wav": "too_short",
    "test-8000Hz-le-3ch-5S-36bit.wav": "decode_error",
    "test-8000Hz-le-3ch-5S-45bit.wav": "decode_error",
    "test-8000Hz-le-3ch-5S-53bit.wav": "decode_error",
    "test-8000Hz-le-3ch-5S-64bit.wav": "decode_error",
    "test-8000Hz-le-4ch-9S-12bit.wav": "too_short",
    "test-8000Hz-le-5ch-9S-5bit.wav": "too_short",
    # The same samples as test-44100Hz-be-1ch-4bytes.wav, in another byte order and in RF64.
    "test-44100Hz-le-1ch-4bytes.wav": "duplicate",
    "test-44100Hz-le-1ch-4bytes-rf64.wav": "duplicate",
    # In 16 bits the same as its big-endian twin.
    "test-44100Hz-2ch-32bit-float-le.wav": "duplicate",
}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_faulty_file_has_an_honest_status(shared_data, tmp_path, monkeypatch, workers):
    monkeypatch.setenv("AUDIOPREP_WORKERS", workers)
    params = DataParams.model_validate({"resample": {"max_bad_fraction": 0.9}})
    run = Run(shared_data / "badfiles", tmp_path / "out", params, {"split": "grouped-3fold", "num_shards": 2})
    run.all()
    rows = read_table(run.layout.audio / "status.parquet").to_pylist()
    assert len(rows) == 38
    found = {row["member"].split("/")[-1]: row["status"] for row in rows if row["status"] != "ok"}
    assert found == BAD_STATUS
    assert all(row["reason"] for row in rows if row["status"] != "ok")
    assert sum(entry["rows"] for entry in read_index(run.layout.features("logmel"))["shards"]) == 38 - len(BAD_STATUS)


@pytest.fixture(scope="module")
def esc10_archive(shared_data, tmp_path_factory):
    """Return ESC-10 as a zip in the layout of ESC-50, made by the tool that makes it for everybody."""
    path = tmp_path_factory.mktemp("esc10") / "esc10.zip"
    tool = shared_data.parent / "tools" / "make_esc10_archive.py"
    subprocess.run([sys.executable, str(tool), str(path)], check=True, capture_output=True)
    return path


def test_esc10_goes_through_as_esc50(esc10_archive, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOPREP_WORKERS", "2")
    prepare.prepare_in_folder("esc50", tmp_path / "out", prepare.Asked(archives=(esc10_archive,)))
    said = capsys.readouterr().out
    assert "esc50: esc10.zip is not the published archive" in said
    assert (
        "esc50: not the published counts: 400 of 2000 clips; 10 of 50 classes; 80 of 400 clips in official-5fold/1"
        in said
    )
    layout = Layout.in_folder("esc50", tmp_path / "out")
    statuses = read_table(layout.audio / "status.parquet")["status"].to_pylist()
    assert len(statuses) == 400
    assert set(statuses) == {"ok"}
    split = read_table(layout.splits / "official-5fold.parquet")
    assert split.num_rows == statuses.count("ok")
    for fold in range(1, 6):
        assert [f == fold for f in split["fold"].to_pylist()] == [r == "test" for r in split[f"fold{fold}"].to_pylist()]
