"""Shard tasks: stable places, whole files, resume, and an index that comes last."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep import engine
from audioprep.engine import (
    ShardTask,
    auto_num_shards,
    fingerprint,
    is_published,
    publish,
    read_index,
    run_shards,
    shard_of,
)
from audioprep.errors import ConfigError, ShardError

HEADER = {"stage": "test", "rule": {"rate_hz": 16000}}


@given(st.text(), st.integers(1, 100_000))
def test_shard_of_is_stable_and_in_range(recording_id, num_shards):
    shard = shard_of(recording_id, num_shards)
    assert 0 <= shard < num_shards
    assert shard == shard_of(recording_id, num_shards)


def test_shard_of_never_changes():
    assert [shard_of(name, 8) for name in ("a", "1-100032-A-0", "vögel--1")] == [2, 7, 5]


@given(st.integers(0, 10_000_000))
def test_auto_num_shards_keeps_shards_between_128_and_256_clips(num_clips):
    num_shards = auto_num_shards(num_clips)
    assert num_shards >= 4
    assert num_shards & (num_shards - 1) == 0
    assert num_clips / num_shards <= 256
    assert num_shards == 4 or num_clips / num_shards > 128


def test_fingerprint_sees_every_value_and_no_dictionary_order():
    assert fingerprint("a", {"x": 1, "y": 2}) == fingerprint("a", {"y": 2, "x": 1})
    assert (
        len({fingerprint("a", 1), fingerprint("a", 2), fingerprint("a", "1"), fingerprint("a1"), fingerprint(["a", 1])})
        == 5
    )


@pytest.mark.parametrize(("value", "num"), [("1", 1), ("3", 3), ("", None)])
def test_num_workers(monkeypatch, value, num):
    monkeypatch.setenv("AUDIOPREP_WORKERS", value)
    assert engine.num_workers() == (num or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "10000"])
def test_num_workers_refuses(monkeypatch, value):
    monkeypatch.setenv("AUDIOPREP_WORKERS", value)
    message = rf"^AUDIOPREP_WORKERS: expected a whole number from 1 to 9999, got '{re.escape(value)}'; set it again$"
    with pytest.raises(ConfigError, match=message):
        engine.num_workers()


def test_a_number_of_workers_that_nobody_can_read_is_cut(monkeypatch):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "9" * 5000)
    with pytest.raises(ConfigError, match=rf"expected a whole number from 1 to 9999, got '{'9' * 20}…'; set it again$"):
        engine.num_workers()


def write_number(number, out):
    """Make a shard of one file; workers import it by name."""
    (out / "a.txt").write_text(f"{number}\n")
    (out / "private.txt").write_text("for the caller\n")
    return number


def _tasks(*numbers):
    return [ShardTask(index, fingerprint("number", number), number) for index, number in enumerate(numbers)]


def _published(tmp_path, tasks, function=write_number):
    work, out = tmp_path / "work", engine.fresh_folder(tmp_path / "out")
    shards = run_shards(tasks, function, work, label="test")
    (out / "beside.txt").write_text("beside\n")
    for shard in shards:
        assert sorted(path.name for path in shard.folder.iterdir()) == ["_shard.json", "a.txt", "private.txt"]
    count = iter(range(len(tasks)))
    publish(shards, out, lambda name: f"sub/{next(count)}-{name}" if name == "a.txt" else None, HEADER, work)
    return out


@pytest.mark.parametrize("workers", ["1", "2"])
def test_published_shards_are_whole_and_indexed(tmp_path, monkeypatch, workers):
    monkeypatch.setenv("AUDIOPREP_WORKERS", workers)
    tasks = _tasks(7, 8, 9)
    out = _published(tmp_path, tasks)
    index = read_index(out)
    assert [entry["rows"] for entry in index["shards"]] == [7, 8, 9]
    assert [list(entry["files"]) for entry in index["shards"]] == [["sub/0-a.txt"], ["sub/1-a.txt"], ["sub/2-a.txt"]]
    listed = {**index["files"], **{name: facts for entry in index["shards"] for name, facts in entry["files"].items()}}
    found = {path.relative_to(out).as_posix(): path for path in out.rglob("*.txt")}
    assert {name: (facts["bytes"], facts["sha256"]) for name, facts in listed.items()} == {
        name: (path.stat().st_size, engine.file_sha256(path)) for name, path in found.items()
    }
    assert not (tmp_path / "work").exists()
    assert is_published(out, tasks, HEADER)


@pytest.mark.parametrize(
    "damage",
    [
        lambda out: (out / "_index.json").unlink(),
        lambda out: (out / "_index.json").write_text("[]"),
        lambda out: (out / "_index.json").write_text('{"shards": null, "files": {}}'),
        lambda out: (out / "sub" / "1-a.txt").unlink(),
        lambda out: (out / "sub" / "1-a.txt").write_text("longer\n"),
        lambda out: (out / "beside.txt").unlink(),
    ],
)
def test_a_damaged_folder_is_not_published(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    tasks = _tasks(7, 8)
    out = _published(tmp_path, tasks)
    damage(out)
    assert not is_published(out, tasks, HEADER)


def test_other_tasks_or_another_rule_are_not_published(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    out = _published(tmp_path, _tasks(7, 8))
    assert not is_published(out, _tasks(7, 9), HEADER)
    assert not is_published(out, _tasks(7, 8, 9), HEADER)
    assert not is_published(out, _tasks(7, 8), {**HEADER, "rule": {"rate_hz": 8000}})


def test_finished_shards_are_kept_and_damaged_ones_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    made = []

    def count(number, out):
        made.append(number)
        if number == 9 and len(made) == 3:
            (out / "half").write_text("written")
            raise RuntimeError("stop")
        return write_number(number, out)

    work = tmp_path / "work"
    with pytest.raises(RuntimeError, match="stop"):
        run_shards(_tasks(7, 8, 9), count, work, label="test")
    assert len(list(work.iterdir())) == 2, "nothing half-written stays"
    (work / fingerprint("number", 8) / "a.txt").write_text("9\n")
    shards = run_shards(_tasks(7, 8, 9), count, work, label="test")
    assert made == [7, 8, 9, 8, 9]
    assert [(shard.folder / "a.txt").read_text() for shard in shards] == ["7\n", "8\n", "9\n"]


def die_at_first(number, out):
    """End the worker as the out-of-memory killer would, once; the folder above the work folder remembers."""
    been = out.parents[1] / f"been-{number}"
    if number in (8, 9) and not been.exists():
        been.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return write_number(number, out)


def die(number, out):
    """End the worker at one shard, always."""
    if number == 8:
        os._exit(9)
    return write_number(number, out)


@pytest.mark.parametrize("workers", ["2", "3"])
def test_a_shard_whose_worker_is_killed_is_made_by_another(tmp_path, monkeypatch, workers):
    monkeypatch.setenv("AUDIOPREP_WORKERS", workers)
    shards = run_shards(_tasks(7, 8, 9, 10, 11), die_at_first, tmp_path / "work", label="test")
    assert [(shard.folder / "a.txt").read_text() for shard in shards] == ["7\n", "8\n", "9\n", "10\n", "11\n"]


def test_a_shard_that_kills_every_worker_is_named_when_all_others_are_finished(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "2")
    message = (
        r"work: 1 failed: shard 1 \(its worker died: exit code 9\); all others are finished and kept; free memory or give "
        r"the corpus more shards \(num_shards\), and run again$"
    )
    with pytest.raises(ShardError, match=message):
        run_shards(_tasks(7, 8, 9), die, tmp_path / "work", label="test")
    log = tmp_path / "log.jsonl"
    run_shards(_tasks(7, 8, 9), write_number, tmp_path / "work", label="test", log=log)
    assert [json.loads(line)["origin"] for line in log.read_text().splitlines()] == ["resumed", "resumed", "computed"]


class OddError(Exception):
    """An exception that cannot be sent to another process."""

    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


def fail_oddly(number, _out):
    """Fail with an exception that does not pickle, or does."""
    raise OddError("one", "two") if number == 7 else ShardError("here: expected x, got y; do z")


@pytest.mark.parametrize(
    ("number", "message"), [(7, r"^shard \d: OddError: one two$"), (8, "^here: expected x, got y; do z$")]
)
def test_what_a_worker_raises_arrives(tmp_path, monkeypatch, number, message):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "2")
    with pytest.raises(ShardError, match=message):
        run_shards(_tasks(number, number), fail_oddly, tmp_path / "work", label="test")


WAITING = """
import os, sys, signal
from pathlib import Path
from audioprep.engine import ShardTask, fingerprint, run_shards

def wait(_arguments, _out):
    os.write(1, b"ready\\n")  # in one piece: two workers write here
    signal.pause()

if __name__ == "__main__":
    run_shards([ShardTask(i, fingerprint(i), i) for i in range(2)], wait, Path(sys.argv[1]), label="wait")
"""


def test_workers_end_when_their_parent_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "2")
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    child = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "work")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert [child.stdout.readline(), child.stdout.readline()] == [b"ready\n"] * 2
    child.kill()
    child.communicate(timeout=30)  # ends when every process that holds the pipe has ended


def test_a_finished_shard_that_vanished_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    shards = run_shards(_tasks(7), write_number, tmp_path / "work", label="test")
    (shards[0].folder / "a.txt").unlink()
    out = engine.fresh_folder(tmp_path / "out")
    with pytest.raises(ShardError, match=r"a\.txt: expected a finished shard, found none; run the stage again$"):
        publish(shards, out, lambda name: name, HEADER, tmp_path / "work")
    assert not (out / "_index.json").exists()


def test_publishing_across_disks_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    monkeypatch.setattr("os.link", refuse)
    assert (_published(tmp_path, _tasks(7)) / "sub" / "0-a.txt").read_text() == "7\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"out: expected _index\.json, found none; run the stage that makes this folder$"),
        ("{", r"_index\.json: expected a JSON index, got something else; delete the folder and run its stage again$"),
        ("[1]", r"_index\.json: expected a JSON index, got something else; delete the folder and run its stage again$"),
    ],
)
def test_read_index_refuses(tmp_path, content, message):
    out = engine.fresh_folder(tmp_path / "out")
    if content is not None:
        (out / "_index.json").write_text(content)
    with pytest.raises(ShardError, match=message):
        read_index(out)


@settings(max_examples=20)
@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5))
def test_an_index_round_trips(tmp_path_factory, header):
    out = tmp_path_factory.mktemp("index")
    engine.write_index(out, header)
    assert read_index(out) == header
    assert [path.name for path in out.iterdir()] == ["_index.json"]
    assert json.loads((out / "_index.json").read_text()) == header
