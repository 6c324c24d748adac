"""A stage script: its arguments, and the code that it must run."""

import importlib
import os
import shutil
import sys

import pytest
from import_closure import ROOT

from audioprep.closure import PACKAGE, code_hash
from audioprep.config.lock import LOCK, ProjectLock, lock_text
from audioprep.errors import ConfigError, ProjectError
from audioprep.stage import check_code, enter_experiment, run_stage

TRIM = ROOT / "stages" / "trim.py"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def note(code):
    LOCK.write_text(lock_text(ProjectLock(version="0.0.9", code=code, files={})))


def test_without_a_note_there_is_nothing_to_check(here):
    check_code(here / "gone.py")


def test_the_noted_code_runs(here):
    note({"trim": code_hash(TRIM)})
    check_code(TRIM)


@pytest.mark.parametrize("code", [{"trim": "0" * 16}, {"split": "0" * 16}])
@pytest.mark.usefixtures("here")
def test_other_code_is_refused_in_one_line(code):
    note(code)
    message = (
        rf"trim\.py: expected the code of audioprep 0\.0\.9 \({code.get('trim', 'none')}\), got that of \d\S* "
        r"\([0-9a-f]{16}\); install the expected version, or go on with this one: audioprep init --update \.$"
    )
    with pytest.raises(ProjectError, match=message):
        check_code(TRIM)


@pytest.fixture
def checkout(here):
    """A second checkout, which the environment knows nothing of."""
    shutil.copytree(ROOT / PACKAGE, here / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    return here


def test_the_code_of_another_checkout_is_refused_in_one_line(checkout):
    (checkout / PACKAGE / "dsp" / "decide.py").write_text("NEW = 1\n")
    message = (
        rf"^\S+trim\.py: expected the code of {checkout}/audioprep \([0-9a-f]{{16}}\), got that of {ROOT}/audioprep "
        r"\([0-9a-f]{16}\), which the environment has installed; use this checkout's own environment, or run here: "
        r"pip install -e \.$"
    )
    with pytest.raises(ProjectError, match=message):
        check_code(TRIM)


def test_another_checkout_with_the_same_code_may_be_run(checkout):
    with (checkout / PACKAGE / "dsp" / "decide.py").open("a") as file:
        file.write("# a remark\n")
    with (checkout / PACKAGE / "dsp" / "mel.py").open("a") as file:
        file.write("NEW = 'of other stages'\n")
    check_code(TRIM)


def test_the_checkout_that_is_installed_is_not_compared(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("audioprep.stage.code_hash", None)
    check_code(TRIM)


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """The copy of a project in which DVC runs an experiment, with code of its own."""
    folder = tmp_path / "project" / ".dvc" / "tmp" / "exps" / "tmp1"
    (folder / PACKAGE).mkdir(parents=True)
    (folder / PACKAGE / "__init__.py").touch()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", "/other")
    monkeypatch.delenv("AUDIOPREP_ARCHIVES", raising=False)
    return folder


def test_an_experiment_goes_on_with_the_code_of_its_copy(experiment, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python", "-u", "stages/trim.py", "demo"])
    started = []
    monkeypatch.setattr("os.execv", lambda *command: started.append((*command, os.environ["PYTHONPATH"])))
    enter_experiment()
    paths = f"{experiment}{os.pathsep}/other"
    assert started == [(sys.executable, [sys.executable, "-u", "stages/trim.py", "demo"], paths)]
    enter_experiment()
    assert len(started) == 1, "once is enough"


def test_an_experiment_reads_the_archives_of_its_project(experiment, monkeypatch):
    (experiment / PACKAGE / "__init__.py").unlink()
    (experiment / PACKAGE).rmdir()
    for given, expected in ((None, "data/archives"), ("../shared", "../shared"), ("/shared", "/shared")):
        monkeypatch.delenv("AUDIOPREP_ARCHIVES", raising=False)
        if given:
            monkeypatch.setenv("AUDIOPREP_ARCHIVES", given)
        enter_experiment()
        assert os.environ["AUDIOPREP_ARCHIVES"] == str(experiment.parents[3] / expected)


def test_elsewhere_nothing_is_an_experiment(here, monkeypatch):
    monkeypatch.delenv("AUDIOPREP_ARCHIVES", raising=False)
    enter_experiment()
    assert "AUDIOPREP_ARCHIVES" not in os.environ


def test_a_module_that_git_does_not_know_is_missed_in_one_line(monkeypatch, capsys, tmp_path):
    def main(dataset):
        importlib.import_module(f"{PACKAGE}.model.archs.gone")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stages/x.py", "demo"])
    with pytest.raises(SystemExit):
        run_stage(main)
    line = f"error: stages/x.py: expected {PACKAGE}.model.archs.gone in {ROOT}, found none; in a queued experiment is only "
    assert capsys.readouterr().err == f"{line}what git knows: git add it, and queue again\n"


@pytest.mark.usefixtures("here")
def test_a_damaged_note_is_said():
    LOCK.write_text("version: 0.1.0\n")
    with pytest.raises(ConfigError, match=r"^audioprep\.lock code: expected .+; mend that value$"):
        check_code(TRIM)


def test_a_hash_that_looks_like_a_number_stays_a_text(here):
    lock = ProjectLock(version="1.0", code={"a": "1234567812345678", "b": "12345e6789012345"}, files={})
    LOCK.write_text(lock_text(lock))
    from audioprep.config.lock import read_lock

    assert read_lock(here / LOCK) == lock


@pytest.mark.usefixtures("here")
def test_arguments_go_to_the_stage(monkeypatch, capsys):
    given = []

    def main(dataset, kind):
        given.append((dataset, kind))

    monkeypatch.setattr(sys, "argv", ["stages/x.py", "demo", "mfcc"])
    run_stage(main)
    assert given == [("demo", "mfcc")]
    monkeypatch.setattr(sys, "argv", ["stages/x.py", "demo"])
    with pytest.raises(SystemExit):
        run_stage(main)
    line = "error: stages/x.py: expected DATASET KIND, got 'demo'; run: python stages/x.py DATASET KIND\n"
    assert capsys.readouterr().err == line
