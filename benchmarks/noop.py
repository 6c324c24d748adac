"""What `dvc repro` costs where nothing has changed, in a project of 12 corpora: as much as DVC itself, as nothing of ours runs.

Three projects take turns. Ours: 12 tiny folder corpora, from download to card, 96 stages. Its twin: the same graph, parameters
and outs, but every command is `true` and every code file is empty. And the twin with one code file a stage, to show what
the list of all modules that a stage imports costs; without that list a change of code would not rerun what it changes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import wave
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from suite import OURS, Row, compared, report, take_turns

from audioprep.config.data import RecipeRule
from audioprep.io.layout import Layout
from audioprep.steps.prepare import Asked, prepare_in_folder

ROOT = Path(__file__).resolve().parent.parent
NUM_CORPORA, ROUNDS = 12, 5
STAGES = ("download", "resample", "loudness", "trim", "features", "split", "card")
RATE_HZ, CLIPS_OF_CLASS = 16_000, 6
MIN_RATIO = 0.9
_CODE = ("audioprep/", "stages/")
_TWIN, _LEAN = "DVC, same graph", "DVC, one code file a stage"
_yaml = YAML(typ="safe")


def make_project(folder: Path) -> None:
    """Write a project of 12 corpora in which every stage up to the card has run."""
    for name in ("audioprep", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / ".dvcignore", folder / ".dvcignore")
    graph = _yaml.load(ROOT / "dvc.yaml")
    _yaml.dump({"stages": {name: graph["stages"][name] for name in STAGES}}, folder / "dvc.yaml")
    params = _yaml.load(ROOT / "params.yaml")
    names = [f"tones{number:02d}" for number in range(NUM_CORPORA)]
    rules = {name: _rule(folder / "sounds" / name) for name in names}
    _yaml.dump({**params, "datasets": names, "recipes": rules}, folder / "params.yaml")
    os.chdir(folder)  # where the parameters are looked for
    for number, name in enumerate(names):
        _write_sounds(Path(rules[name]["root"]), number)
        # The same functions as those of the stages, which would start a process each; the same bytes, too.
        with redirect_stdout(StringIO()):
            prepare_in_folder(name, folder / "data" / name, Asked(root=Path(rules[name]["root"])))
        shutil.rmtree(Layout.in_folder(name, folder / "data" / name).work.parent, ignore_errors=True)
    _commit(folder)


def make_twin(project: Path, folder: Path, *, is_lean: bool) -> None:
    """Write a project with the same graph and data as another, in which no command does anything."""
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".dvc", "dvc.lock", "sounds"))
    for path in (path for name in _CODE for path in (folder / name).rglob("*") if path.is_file()):
        path.write_bytes(b"")
    graph = _yaml.load(folder / "dvc.yaml")
    for name, stage in graph["stages"].items():
        stage["cmd"] = f"true {stage['cmd'].partition(' ')[2]}"
        if is_lean:
            stage["deps"] = [dep for dep in stage.get("deps", []) if not dep.startswith(_CODE)] + [f"stages/{name}.py"]
    _yaml.dump(graph, folder / "dvc.yaml")
    _commit(folder)


def repro(folder: Path) -> None:
    """Run `dvc repro` where nothing is to be done."""
    done = _dvc(folder, "repro")
    if "Running stage" in done:
        raise SystemExit(f"{folder}: expected nothing to run, got\n{done}")


def rows() -> list[Row]:
    """Return the line."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary, place) for name, place in ((OURS, "ours"), (_TWIN, "twin"), (_LEAN, "lean"))}
        folders[OURS].mkdir()
        try:
            make_project(folders[OURS])
            for name in (_TWIN, _LEAN):
                make_twin(folders[OURS], folders[name], is_lean=name == _LEAN)
            times = take_turns({name: lambda folder=folder: repro(folder) for name, folder in folders.items()}, ROUNDS)
        finally:
            os.chdir(here)
    what = f"`dvc repro` with nothing to do, {NUM_CORPORA} corpora, {NUM_CORPORA * (len(STAGES) + 1)} stages"
    return [compared(what, times, target=MIN_RATIO, per=1, beside=(_LEAN,))]


def _rule(root: Path) -> dict[str, Any]:
    rule = RecipeRule(recipe="folder", root=str(root), window_s=0.5, split="grouped-5fold")
    return rule.model_dump(mode="json")


def _write_sounds(root: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for label in ("high", "low"):
        (root / label).mkdir(parents=True)
        for number in range(CLIPS_OF_CLASS):
            with wave.open(str(root / label / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, RATE_HZ, RATE_HZ // 2, "NONE", ""))
                file.writeframes(rng.integers(-9000, 9000, RATE_HZ // 2).astype("<i2").tobytes())


def _commit(folder: Path) -> None:
    """Make DVC take the folder's files as what its stages have made."""
    _dvc(folder, "init", "--no-scm", "-q")
    _dvc(folder, "config", "core.analytics", "false")
    _dvc(folder, "commit", "--force", "-q")


def _dvc(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"dvc {' '.join(arguments)}: expected it to end well, got\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    report(rows())
