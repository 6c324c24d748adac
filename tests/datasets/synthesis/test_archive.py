"""The demo archive: the same bytes every time, balanced, and with every defect it promises."""

import csv
import io
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioprep.datasets.synthesis import archive as demo_synth
from audioprep.datasets.synthesis.archive import DUPLICATE, LABELS, MISSING, ROOT, SILENT, TRUNCATED, write_demo_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "demo.zip"
    write_demo_archive(path)
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def rows(archive):
    return list(csv.DictReader(io.StringIO(archive.read(f"{ROOT}/meta/demo.csv").decode())))


def member(archive, name):
    """Return the bytes of a clip by its name without suffix."""
    (found,) = [entry for entry in archive.namelist() if entry.startswith(f"{ROOT}/audio/{name}.")]
    return archive.read(found)


def test_a_second_run_in_another_second_writes_the_same_bytes(archive, tmp_path):
    # The fixture's run began at least two seconds of work ago, so that a clock in any header would show.
    again = tmp_path / "again.zip"
    write_demo_archive(again)
    assert again.read_bytes() == Path(archive.filename).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.zip"]


def test_the_archive_is_small_and_undated(archive):
    assert sum(entry.file_size for entry in archive.infolist()) < 12e6
    assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.filename.split("/")[0] for entry in archive.infolist()} == {ROOT}


def test_classes_and_folds_are_balanced(rows):
    assert Counter(row["label"] for row in rows) == dict.fromkeys(LABELS, 30)
    assert Counter((row["label"], row["fold"]) for row in rows) == {
        (label, str(fold)): 6 for label in LABELS for fold in range(1, 6)
    }
    assert len({row["filename"] for row in rows}) == 240


def test_a_source_has_two_clips_in_one_fold(rows):
    folds = defaultdict(list)
    for row in rows:
        folds[row["source"]].append(row["fold"])
    assert len(folds) == 120
    assert all(len(of_source) == 2 and len(set(of_source)) == 1 for of_source in folds.values())


def test_every_format_reads_and_no_class_owns_one(archive, rows):
    kinds = defaultdict(set)
    for row in rows:
        if row["filename"].split(".")[0] == MISSING:
            continue
        info = soundfile.info(io.BytesIO(member(archive, row["filename"].split(".")[0])))
        kinds[info.samplerate, info.channels, info.format, info.subtype].add(row["label"])
        assert 1.1 <= info.duration <= 3.1 or row["filename"].startswith(TRUNCATED)
    assert len(kinds) == len(demo_synth.RECORDERS)
    assert all(labels == set(LABELS) for labels in kinds.values())


def test_the_declared_files_are_there_but_one(archive, rows):
    declared = {f"{ROOT}/audio/{row['filename']}" for row in rows}
    present = set(archive.namelist()) - {f"{ROOT}/meta/demo.csv"}
    assert present < declared
    assert [name.split("/")[-1].split(".")[0] for name in declared - present] == [MISSING]


def test_one_clip_is_silent(archive, rows):
    names = [row["filename"].split(".")[0] for row in rows]
    silent = [
        name for name in names if name != MISSING and not soundfile.read(io.BytesIO(member(archive, name)))[0].any()
    ]
    assert silent == [SILENT]


def test_one_wav_ends_before_its_header_says(archive):
    data = member(archive, TRUNCATED)
    declared_bytes = int.from_bytes(data[4:8], "little") + 8
    assert data[:4] == b"RIFF"
    assert declared_bytes == pytest.approx(2 * len(data), abs=2)


def test_one_clip_is_another_byte_for_byte(archive):
    clips = [entry for entry in archive.namelist() if "/audio/" in entry and SILENT not in entry]
    repeated = [data for data, count in Counter(archive.read(entry) for entry in clips).items() if count > 1]
    assert repeated == [member(archive, DUPLICATE)]
    assert repeated == [member(archive, DUPLICATE[:-1] + "a")]


def test_some_recordings_clip(archive):
    peaks = [
        np.abs(soundfile.read(io.BytesIO(archive.read(entry)))[0]).max()
        for entry in archive.namelist()
        if entry.endswith(".flac")
    ]
    assert 3 < sum(peak >= 0.999 for peak in peaks) < len(peaks) / 2
