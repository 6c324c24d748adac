"""A folder of --out: one run at a time, and nothing in it that is not the corpus's."""

import fcntl
import threading

import pytest

from audioprep.errors import DatasetError
from audioprep.io.layout import Layout
from audioprep.steps import out_folder
from audioprep.steps.out_folder import alone_in, check_out


def test_a_lock_that_a_run_which_ends_has_removed_keeps_nobody_out_and_lets_nobody_in_twice(tmp_path, monkeypatch):
    layout = Layout.in_folder("birds", tmp_path / "out")
    lock = tmp_path / "out" / ".audioprep" / "lock"
    ended = []

    def lock_late(file):
        """Lock, as if the run before had ended between the opening of the file and its locking."""
        if not ended:
            ended.append(True)
            lock.unlink()
            lock.parent.rmdir()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True

    monkeypatch.setattr(out_folder, "try_lock", lock_late)
    with alone_in(layout):
        assert ended
        monkeypatch.undo()
        message = r"out: expected no other run there, got one that is at work; wait until it has ended$"
        with pytest.raises(DatasetError, match=message), alone_in(layout):
            pass
    assert not (tmp_path / "out").exists()


def test_of_many_runs_one_is_at_work_at_a_time(tmp_path):
    layout = Layout.in_folder("birds", tmp_path / "out")
    at_work, most, failures = [], [], []

    def run():
        for _ in range(200):
            try:
                with alone_in(layout):
                    at_work.append(1)
                    most.append(len(at_work))
                    at_work.pop()
            except DatasetError:
                pass
            except OSError as error:
                failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert set(most) == {1}


def test_a_link_instead_of_a_folder_is_refused_first(tmp_path):
    layout = Layout.in_folder("birds", tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    layout.raw.mkdir(parents=True)
    (layout.raw / "download.json").write_text('{"dataset": "birds", "sources": []}')
    (tmp_path / "archives").mkdir()
    (layout.data / "archives").symlink_to(tmp_path / "archives")
    check_out("birds", layout, None)
    layout.audio.symlink_to(tmp_path / "elsewhere")
    message = (
        r"out/audio: expected a folder, which its stage can empty, got a link to .+/elsewhere; put the folder itself"
    )
    with pytest.raises(DatasetError, match=message):
        check_out("birds", layout, None)
