"""What is shown of a clip and of a shard."""

import re
import shutil

import pytest
from steps.small_corpus import Run

from audioprep.errors import DatasetError, ShardError
from audioprep.io.layout import Layout
from audioprep.steps.inspect import describe_clip, describe_shard


def test_a_clip_shows_facts_decisions_and_a_picture(prepared, tmp_path):
    picture = tmp_path / "deep" / "clip.png"
    text = "\n".join(describe_clip([prepared.layout], "rain--3", picture))
    assert "rain--3 in small" in text
    assert "file        rain/3.wav" in text
    assert "status      ok" in text
    for name in ("container", "source_rate_hz", "loudness_lufs", "gain_db", "labels", "used part"):
        assert name in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    first = picture.read_bytes()
    list(describe_clip([prepared.layout], "rain--3", picture))
    assert picture.read_bytes() == first


def test_a_picture_needs_no_log_mel_on_disk(prepared, tmp_path):
    for name in ("audio", "cuts", "mfcc"):
        shutil.copytree(prepared.out / name, tmp_path / name)
    pictures = tmp_path / "with.png", tmp_path / "without.png"
    for layout, picture in zip((prepared.layout, Layout.in_folder("small", tmp_path)), pictures, strict=True):
        list(describe_clip([layout], "rain--3", picture))
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_an_unusable_clip_shows_why(prepared, tmp_path):
    lines = list(describe_clip([prepared.layout], "rain--7", tmp_path / "a.png"))
    assert lines[-1] == "  status      truncated: the header declares 16000 bytes of samples more than there are"
    assert not (tmp_path / "a.png").exists()


def test_before_the_decisions_there_are_the_facts(corpus, tmp_path):
    run = Run(corpus, tmp_path)
    run.download()
    run.resample()
    text = "\n".join(describe_clip([run.layout], "rain--3", tmp_path / "a.png"))
    assert "true_peak_db" in text
    assert "gain_db" not in text


def test_a_silent_clip_shows_that_nothing_was_measured(prepared, tmp_path):
    text = "\n".join(describe_clip([prepared.layout], "bell--7", tmp_path / "a.png"))
    assert "loudness_lufs      none" in text


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("audio/shar/recording.000000.tar", r": \d recordings, [\d,]+ bytes$"),
        ("audio/shar/cuts.000000.jsonl", r": \d cuts$"),
        ("logmel/part-000000.parquet", r": \d rows, [\d,]+ bytes$"),
        ("audio/facts.parquet", r": 23 rows, [\d,]+ bytes$"),
    ],
)
def test_a_shard_shows_what_it_holds(prepared, path, first):
    lines = list(describe_shard(prepared.layout.data / path))
    assert re.search(first, lines[0])
    assert len(lines) > 1


def test_an_unknown_clip_and_no_corpus(prepared, tmp_path):
    message = r"^clip: expected one of 24 ids, got 'rain--33'; did you mean 'rain--3'\?$"
    with pytest.raises(DatasetError, match=message):
        list(describe_clip([prepared.layout], "rain--33", tmp_path / "a.png"))
    empty = Layout.in_folder("none", tmp_path)
    message = r"^rain--3: expected a prepared corpus, found none; run `audioprep prepare NAME` first$"
    with pytest.raises(DatasetError, match=message):
        list(describe_clip([empty], "rain--3", tmp_path / "a.png"))


def test_other_files_and_damaged_shards(tmp_path):
    (tmp_path / "notes.txt").touch()
    message = r"notes\.txt: expected a \.tar, \.jsonl or \.parquet shard, got '\.txt'; give one of these$"
    with pytest.raises(DatasetError, match=message):
        list(describe_shard(tmp_path / "notes.txt"))
    for name in ("a.tar", "a.parquet"):
        (tmp_path / name).write_bytes(b"damaged" * 200)
        with pytest.raises(ShardError, match=rf"{name}: expected a .+, got .+"):
            list(describe_shard(tmp_path / name))
