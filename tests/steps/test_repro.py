"""DVC runs the stages: what it says of a failure, and of what it ran, becomes one line."""

import signal
import subprocess
import sys

import pytest

from audioprep.config.engine import EngineRule
from audioprep.errors import ShardError
from audioprep.steps.repro import _failure, _ran, repro

BUSY = """\
ERROR: '/team/data/own/raw' is busy, it is being blocked by:
  (PID 4711): dvc repro download@own

If there are no processes with such PIDs, you can manually remove '.dvc/tmp/rwlock' and try again.
"""
FAILED = "ERROR: failed to reproduce 'split@own': failed to run: python stages/split.py own, exited with {}\n"
RAN = """\
Stage 'download@own' didn't change, skipping
Running stage 'trim@own':
> python stages/trim.py own
Stage 'features@own-logmel' is cached - skipping run, checking out outputs
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_another_run_of_the_same_corpus_is_named():
    error = _failure("own", BUSY, ("--force", "--single-item", "download@own"), 255)
    assert str(error) == (
        "own: expected no other run of DVC, got one at work on this project (process 4711); wait until it has ended"
    )


def test_a_stage_that_has_said_its_error_is_not_followed_by_a_second_line():
    assert isinstance(_failure("own", FAILED.format(1), ("split@own",), 255), SystemExit)
    error = _failure("own", FAILED.format(-9), ("--force", "split@own"), 255)
    assert str(error) == (
        "own: expected its stages to finish, got: failed to reproduce 'split@own': failed to run: python stages/split.py "
        "own, exited with -9; see more with: dvc repro -v split@own"
    )


def test_what_ran_is_told_from_what_did_not():
    assert list(_ran(RAN)) == ["trim", "features-logmel"]


def test_what_dvc_itself_refuses_is_one_line(here):
    message = r"^demo: expected its stages to finish, got: .+; see more with: dvc repro -v split@demo$"
    with pytest.raises(ShardError, match=message):
        repro("demo", EngineRule(), "split@demo")


def test_a_stopped_prepare_ends_dvc_and_its_stages(here, monkeypatch):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    real_wait = child.wait

    def wait():
        monkeypatch.setattr(child, "wait", real_wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(child, "wait", wait)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: child)
    with pytest.raises(KeyboardInterrupt):
        repro("demo", EngineRule(), "split@demo")
    assert child.returncode == -signal.SIGTERM


def test_the_engine_reaches_the_stages(here, monkeypatch):
    seen = []

    class Child:
        def __init__(self, _command, env, **_):
            seen.append(env["AUDIOPREP_ENGINE"])

        def wait(self):
            return 0

    monkeypatch.setattr("subprocess.Popen", Child)
    repro("demo", EngineRule(engine="serial"), "split@demo")
    assert seen == ["serial"]
