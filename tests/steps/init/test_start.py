"""A new project: its files, what is refused, and that DVC understands it."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from import_closure import PACKAGE, ROOT
from ruamel.yaml import YAML

from audioprep.config.lock import LOCK, read_lock
from audioprep.errors import ProjectError
from audioprep.steps.init import files
from audioprep.steps.init.start import start

SCRIPTS = {f"stages/{path.name}" for path in (ROOT / "stages").glob("*.py")}
LISTS = {name for name in files.LISTS if (ROOT / name).exists()}
COPIED = {"constraints.txt", "data/.gitignore", "dvc.yaml", "params.yaml", ".dvc/config", *LISTS}
OURS = {*COPIED, *SCRIPTS, "README.md", LOCK.name}


def names_in(folder):
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith((".git/", ".dvc/tmp/"))}


def stages_of(path):
    return YAML(typ="safe").load(path.read_text())["stages"]


def test_the_files_and_what_is_said(started):
    folder, said = started
    assert names_in(folder) == {*OURS, ".dvc/.gitignore"}
    assert (folder / ".git").is_dir()
    assert said[:2] == ["team: git init", "team: dvc init"]
    assert said[2].startswith("team: a project for audioprep ")
    assert [line.split("   ")[0].strip() for line in said[4:]] == [
        "cd team",
        "dvc repro",
        "audioprep prepare esc50",
        "git add -A && git commit -m 'Start'",
    ]
    assert (folder / ".dvc" / "config").read_bytes() == (ROOT / ".dvc" / "config").read_bytes()
    assert (folder / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


def test_no_file_names_a_place_on_this_machine(started):
    for name in names_in(started[0]):
        text = (started[0] / name).read_text()
        assert str(ROOT) not in text
        assert str(started[0].parent) not in text


def test_the_pipeline_is_this_one_with_a_hash_for_the_code(started):
    ours, theirs = stages_of(ROOT / "dvc.yaml"), stages_of(started[0] / "dvc.yaml")
    assert list(ours) == list(theirs)
    for name, stage in theirs.items():
        code = {LOCK.name: [f"code.{name}"]}
        assert stage.pop("params") == [code, *ours[name].pop("params", [])]
        assert stage.pop("deps") == [dep for dep in ours[name].pop("deps") if not dep.startswith(f"{PACKAGE}/")]
        assert stage == ours[name]
    assert set(read_lock(started[0] / LOCK).code) == set(ours)


def test_a_wheel_carries_every_file_of_a_project():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert set(packed) == {*COPIED, "stages"}
    assert all(target == f"{PACKAGE}/project/{source}" for source, target in packed.items())
    assert set(pyproject["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]) == {PACKAGE, *packed}


def test_corpora_of_whoever_works_in_a_checkout_stay_there(tmp_path, monkeypatch):
    shipped = (ROOT / "params.yaml").read_text()
    assert files.params_template() == shipped
    own = "  own:\n    recipe: folder\n    root: /home/me/recordings\n    window_s: 5.0\n    split: grouped-5fold\n"
    mine = shipped.replace("datasets: [demo]", "datasets: [demo, own, esc50]").replace(
        "\nresample:", f"{own}\nresample:"
    )
    mine = mine.replace("    root:      ", "    root: /x   ", 1)
    assert mine.count("root: /") == 2
    (tmp_path / "params.yaml").write_text(mine)
    monkeypatch.setattr(files, "ROOT", tmp_path)
    assert [line.split("#")[0].rstrip() for line in files.params_template().splitlines()] == [
        line.split("#")[0].rstrip() for line in shipped.splitlines()
    ]


def test_the_copies_of_a_wheel_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", tmp_path)
    assert files.original("dvc.yaml") == tmp_path / "dvc.yaml"
    (tmp_path / PACKAGE / "project").mkdir(parents=True)
    assert files.original("dvc.yaml") == tmp_path / PACKAGE / "project" / "dvc.yaml"


def test_dvc_understands_it(started, environment):
    def dvc(*arguments):
        command = [sys.executable, "-m", "dvc", *arguments]
        result = subprocess.run(command, cwd=started[0], env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    listed = dvc("stage", "list", "--name-only").split()
    assert listed[0] == "download@demo"
    assert {name.split("@")[0] for name in listed} == set(stages_of(ROOT / "dvc.yaml"))
    assert "> python stages/download.py demo" in dvc("repro", "--dry", "--single-item", "download@demo")


def test_a_stage_with_other_code_stops_before_it_imports_it(team, environment):
    lock, script = team / LOCK, team / "stages" / "train.py"
    lock.write_text(lock.read_text().replace("train: ", "train: x", 1))
    script.write_text(
        script.read_text().replace("    layout, params", "    from audioprep.gone import it\n\n    layout, params")
    )
    command = [sys.executable, "stages/train.py", "demo"]
    result = subprocess.run(command, cwd=team, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: stages/train.py: expected the code of audioprep ")
    assert result.stderr.count("\n") == 1


def test_a_folder_with_files_of_a_project_is_refused_and_left_alone(tmp_path):
    (tmp_path / "stages").mkdir()
    for name in ("dvc.yaml", "stages/train.py"):
        (tmp_path / name).write_text("mine")
    message = (
        r"^\S+: expected a folder without the files of a project, got dvc\.yaml, stages/train\.py; give another folder"
    )
    with pytest.raises(ProjectError, match=message):
        start(tmp_path)
    assert names_in(tmp_path) == {"dvc.yaml", "stages/train.py"}


def test_a_project_is_not_started_twice(team):
    with pytest.raises(
        ProjectError, match=r"team: expected no project of audioprep, got one; .+ init --update \S+team$"
    ):
        start(team)


def test_a_start_that_was_cut_short_is_ended_by_the_next(team, started):
    for name in (LOCK.name, "dvc.yaml", "README.md"):
        (team / name).unlink()
    start(team)
    assert {name: (team / name).read_bytes() for name in OURS} == {
        name: (started[0] / name).read_bytes() for name in OURS
    }


def test_what_a_repository_has_stays(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("*.bak\n__pycache__/")
    (tmp_path / "README.md").write_text("ours")
    folder = tmp_path / "below"
    shutil.copyfile(tmp_path / ".gitignore", tmp_path / "kept")
    start(folder)
    assert not (folder / ".git").exists(), "it is in the repository around it"
    assert (folder / ".dvc" / "config").is_file()
    (folder / LOCK).unlink()
    shutil.rmtree(folder / "stages")
    for name in ("README.md", ".gitignore"):
        shutil.copyfile(tmp_path / name, folder / name)
    (folder / ".dvc" / "config").write_text("# ours\n")
    start(folder)
    assert (folder / ".dvc" / "config").read_text() == "# ours\n"
    assert (folder / "README.md").read_text() == "ours"
    lines = (folder / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["*.bak", "__pycache__/"]
    assert sorted(lines) == sorted({"*.bak", *(ROOT / ".gitignore").read_text().splitlines()})


def test_without_git_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(ProjectError, match=r"expected the program git, found none; install it"):
        start(tmp_path / "new")


def test_what_git_or_dvc_says_is_passed_on(tmp_path, monkeypatch):
    (tmp_path / ".git").write_text("nonsense")
    message = r": expected `git init --quiet` to work, got fatal: .+; mend that, and run the same command again$"
    with pytest.raises(ProjectError, match=message):
        start(Path(tmp_path))


def test_what_dvc_says_is_passed_on(tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / ".dvc").write_text("a file")
    message = r"new: expected `dvc init` to work, got unexpected error - .+File exists.+; mend that, and run the same command again$"
    with pytest.raises(ProjectError, match=message):
        start(folder)


def test_recordings_in_the_folder_are_pointed_at(tmp_path, capsys):
    for name in ("new/dog/2.wav", "new/dog/1.WAV", "new/.trash/0.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    start(tmp_path / "new")
    said = capsys.readouterr().out
    assert (
        f"{tmp_path}/new: recordings are in it, as dog/1.WAV, and `git add -A` would take them into git; move them"
        in said
    )
