"""What other processes do to a download: they are killed, they are interrupted, and two of them want the same file."""

import signal
import subprocess
import sys
import time

import pytest
from hostile_server import Trouble
from test_fetch import CONTENT, SHA256, names, wanted

from audioprep.io.fetch import download, fetch, part

SCRIPT = """
import sys
from pathlib import Path
from audioprep.errors import one_line_errors
from audioprep.io.fetch import Wanted, fetch
with one_line_errors():
    fetch([Wanted(Path(sys.argv[1]), (sys.argv[2],), int(sys.argv[3]), sys.argv[4] or None)])
"""
HALF = 500_000


@pytest.fixture
def start(tmp_path):
    """Return how to start a download in another process, which is there until it has half the file."""
    started = []

    def start_one(server, *, sha256):
        url = server.publish("/a.zip", CONTENT, Trouble(stall_after=HALF), ETag='"1"')
        given = (tmp_path / "a.zip", url, len(CONTENT), sha256 or "")
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *map(str, given)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        growing = tmp_path / "a.zip.part"
        while process.poll() is None and not (growing.exists() and growing.stat().st_size == HALF):
            time.sleep(0.01)
        return process, url

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("sha256", [None, SHA256])
@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_the_run_after_a_kill_goes_on(tmp_path, server, start, how, code, sha256):
    process, url = start(server, sha256=sha256)
    process.send_signal(how)
    process.wait(timeout=20)  # long before the connection that hangs is given up
    assert process.returncode == code
    assert names(tmp_path) == ["a.zip.part", "a.zip.part.json"]
    fetch([wanted(tmp_path, url, sha256=sha256)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [get.range for get in server.gets()] == [None, f"bytes={HALF}-"]
    assert sum(get.num_sent for get in server.gets()) == len(CONTENT)


def test_two_processes_download_a_file_once(tmp_path, server, start, monkeypatch, capsys):
    process, url = start(server, sha256=None)
    polls = []

    def pause(_, wait_s):
        if wait_s:
            polls.append(wait_s)
            server.released.set()
            process.wait(timeout=20)

    monkeypatch.setattr(download, "_pause", pause)
    fetch([wanted(tmp_path, url)])
    assert process.returncode == 0
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert len(server.gets()) == 1
    assert polls == [1.0]
    assert "a.zip.part: another process is downloading it; waiting for that\n" in capsys.readouterr().out
    assert names(tmp_path) == [".hashes.json", "a.zip"]


def test_what_another_process_left_while_we_waited_is_gone_on_with(tmp_path, server, start, monkeypatch):
    process, url = start(server, sha256=None)

    def pause(_, wait_s):
        if wait_s:
            process.kill()
            process.wait(timeout=20)

    monkeypatch.setattr(download, "_pause", pause)
    fetch([wanted(tmp_path, url)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [get.range for get in server.gets()] == [None, f"bytes={HALF}-"]


def test_a_file_that_appears_just_before_the_lock_is_left_alone(tmp_path, server, monkeypatch):
    def lock(_):
        (tmp_path / "a.zip").write_bytes(b"theirs")
        return True

    monkeypatch.setattr(part, "try_lock", lock)
    fetch([wanted(tmp_path, server.publish("/a.zip", CONTENT))])
    assert names(tmp_path) == ["a.zip"]
    assert server.gets() == []


def test_a_part_that_another_process_deletes_just_before_the_lock(tmp_path, server, monkeypatch):
    real, growing, deleted = part.try_lock, tmp_path / "a.zip.part", []

    def lock(file):
        if not deleted:
            growing.unlink()
            deleted.append(growing)
        return real(file)

    monkeypatch.setattr(part, "try_lock", lock)
    fetch([wanted(tmp_path, server.publish("/a.zip", CONTENT))])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_file_system_without_locks(tmp_path, server, monkeypatch):
    def flock(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", flock)
    fetch([wanted(tmp_path, server.publish("/a.zip", CONTENT))])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
