"""A project as `start` makes it, and a later version of this package."""

import os
import shutil
from pathlib import Path

import pytest
from import_closure import ROOT

from audioprep.steps.init import files
from audioprep.steps.init.start import start


@pytest.fixture(scope="session")
def started(tmp_path_factory):
    """Return a started project and what was said; not to be changed."""
    folder = tmp_path_factory.mktemp("started")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GIT_CEILING_DIRECTORIES", str(folder))
        said = []
        patch.setattr("audioprep.steps.init.start.say", said.append)
        start(Path("team"))
    return folder / "team", said


@pytest.fixture
def team(started, tmp_path):
    """Return a copy of a started project."""
    return shutil.copytree(started[0], tmp_path / "team")


@pytest.fixture
def release(tmp_path, monkeypatch):
    """Return the top-level files of another version, which is then the installed one; code is the same until changed."""
    folder = tmp_path / "release"
    for name in ("stages", "data/.gitignore", "dvc.yaml", "params.yaml", "constraints.txt", *files.LISTS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, folder / name)
    shutil.rmtree(folder / "stages" / "__pycache__", ignore_errors=True)
    monkeypatch.setattr(files, "ROOT", folder)
    monkeypatch.setattr(files, "version", lambda _name: "9.9.9")
    return folder


@pytest.fixture
def environment():
    """Return the variables with which a project's commands run on this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
