"""A copy of the project in which the whole pipeline has run once, with short training."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from import_closure import ROOT

Run = Callable[..., str]

# Enough training to go through every branch, little enough for a test; too little for the gate of the export.
SHORT = {
    "  epochs: ": "  epochs: 2",
    "  folds:": "  folds: [1, 2]",
    "  max_accuracy_drop:": "  max_accuracy_drop: 1.0",
    "  min_agreement:": "  min_agreement: 0.0",
}


def tracked_files() -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    return [name for name in listing.stdout.decode().splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The copy's folder; `dvc repro` has run in it."""
    folder = tmp_path_factory.mktemp("project")
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    params = (folder / "params.yaml").read_text(encoding="utf-8").splitlines()
    for start, line in SHORT.items():
        params = [line if old.startswith(start) else old for old in params]
    (folder / "params.yaml").write_text("\n".join(params) + "\n", encoding="utf-8")
    run = runner(folder)
    run("git", "init", "-q")
    run("git", "add", "-A")
    run("git", "commit", "-q", "-m", "copy")
    run("dvc", "repro")
    run("git", "add", "dvc.lock")
    run("git", "commit", "-q", "-m", "run")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def run(project: Path) -> Run:
    """Run a command in the copy and return what it prints."""
    return runner(project)


@pytest.fixture(scope="session")
def esc_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip in the layout of ESC-50: 3 classes, 5 folds, 30 clips of one second."""
    path = tmp_path_factory.mktemp("esc") / "esc10.zip"
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(30):
            fold, target = number % 5 + 1, number % 3
            name = f"{fold}-{number}-A-{target}.wav"
            rows.append(f"{name},{fold},{target},class{target},True,{number},A")
            noise = np.random.default_rng(number).standard_normal(44_100)
            wave = 0.1 * noise * np.sin(np.arange(44_100) * 0.01 * (target + 1))
            file = io.BytesIO()
            soundfile.write(file, wave, 44_100, format="WAV", subtype="PCM_16")
            archive.writestr(f"ESC-50-master/audio/{name}", file.getvalue())
        archive.writestr("ESC-50-master/meta/esc50.csv", "\n".join(rows) + "\n")
    return path


def runner(folder: Path) -> Run:
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # The copy's own package, not the one that is installed: a changed file there must take effect.
    variables = {"PATH": path, "HOME": str(home), "PYTHONPATH": str(folder), "COLUMNS": "160"}
    identity = {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def run(*command: str, fails: bool = False) -> str:
        env = {**os.environ, **variables, **identity}
        result = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        output = result.stdout + result.stderr
        assert (result.returncode != 0) == fails, f"{' '.join(command)} exited with {result.returncode}:\n{output}"
        return output

    return run
