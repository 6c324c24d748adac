import subprocess
import sys

import pytest

from audioprep.errors import DvcError, ShareError
from audioprep.steps.project import dvc, enter_project, project_root

PULL_ERROR = """\
WARNING: Some of the cache files do not exist neither locally nor on remote. Missing cache files:
md5: b6846c5a470340e36b67229304fef815
ERROR: failed to transfer 'one'
ERROR: failed to transfer 'two'
ERROR: failed to transfer 'three'
ERROR: failed to pull data from the cloud - 3 files failed to download
<https://error.dvc.org/missing-files>
"""


def test_the_project_is_found_from_below(tmp_path):
    (tmp_path / "project" / ".dvc").mkdir(parents=True)
    below = tmp_path / "project" / "data" / "deep"
    below.mkdir(parents=True)
    assert project_root(below) is None
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / "project" / name).touch()
    assert project_root(below) == tmp_path / "project"
    assert project_root(tmp_path) is None


def test_outside_a_project_there_is_nothing_to_share(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ShareError, match=r"expected an audioprep project \(.dvc, dvc.yaml, params.yaml\), got none"):
        enter_project()


@pytest.fixture
def answer(monkeypatch):
    """Let DVC end with a status and an error."""

    def prepare(status, stderr, *, terminal=False):
        def run(command, **options):
            assert command[:3] == [sys.executable, "-m", "dvc"]
            assert (options["stderr"] is None) is terminal
            return subprocess.CompletedProcess(command, status, "out", None if terminal else stderr)

        monkeypatch.setattr(subprocess, "run", run)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)

    return prepare


def test_a_command_is_printed_as_it_can_be_pasted(answer, capsys):
    answer(0, "WARNING: mind this\n")
    dvc("get", "a b")
    assert capsys.readouterr() == ("$ dvc get 'a b'\n", "WARNING: mind this\n")
    answer(0, "WARNING: No file hash info found for '/p/models'. It won't be created.\n")
    assert dvc("push", shows_output=False) == "out"
    assert capsys.readouterr() == ("$ dvc push\n", ""), "stages that have never run are no news"
    assert dvc("status", quiet=True) == "out"
    assert capsys.readouterr().out == "", "what only asks is no news"


def test_an_error_of_dvc_is_one_line(answer):
    answer(1, PULL_ERROR)
    expected = (
        "dvc pull: expected it to end well, got: failed to transfer 'one'; failed to transfer 'two'; "
        "failed to pull data from the cloud - 3 files failed to download (exit status 1)"
    )
    with pytest.raises(DvcError) as failure:
        dvc("pull")
    assert str(failure.value) == expected


def test_in_a_terminal_dvc_shows_its_error_itself(answer):
    answer(255, PULL_ERROR, terminal=True)
    with pytest.raises(DvcError, match=r"dvc pull: .* got: the error that it shows above \(exit status 255\)"):
        dvc("pull")
