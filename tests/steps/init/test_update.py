"""A project and a new version: what is renewed, what is left alone, what runs again."""

import re

import pytest

from audioprep.config.lock import LOCK, read_lock
from audioprep.errors import ConfigError, ProjectError
from audioprep.steps.init import files
from audioprep.steps.init.update import update

TRIM = "stages/trim.py"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def append(path, text):
    path.write_text(path.read_text() + text)


def test_the_same_version_changes_nothing(team, capsys):
    before = contents(team)
    update(team)
    assert contents(team) == before
    version = read_lock(team / LOCK).version
    assert capsys.readouterr().out.splitlines() == [
        f"{team}: a project for audioprep {version}, which is the installed one",
        "No stage has new code: nothing runs again for that reason",
    ]


def test_a_version_with_the_same_code_changes_no_parameter_of_dvc(team, release, capsys):
    before = read_lock(team / LOCK)
    append(release / "constraints.txt", "# newer\n")
    update(team)
    now = read_lock(team / LOCK)
    assert (now.version, now.code) == ("9.9.9", before.code)
    assert "constraints.txt: renewed\n" in capsys.readouterr().out
    assert (team / "constraints.txt").read_bytes() == (release / "constraints.txt").read_bytes()


def test_only_stages_with_new_code_get_a_new_hash(team, monkeypatch, capsys):
    real, before = files.code_hash, read_lock(team / LOCK)
    monkeypatch.setattr(files, "code_hash", lambda script: "f" * 16 if script.stem == "features" else real(script))
    update(team)
    assert capsys.readouterr().out.endswith("which `dvc repro` runs again: features\n")
    assert read_lock(team / LOCK).code == {**before.code, "features": "f" * 16}


def test_edited_files_stay_where_nothing_is_new_and_stand_in_the_way_otherwise(team, release, capsys):
    append(team / TRIM, "# mine\n")
    append(team / "dvc.yaml", "# mine\n")
    update(team)
    said = capsys.readouterr().out
    assert f"{TRIM}: left as you have edited it\n" in said
    assert "dvc.yaml: left as you have edited it\n" in said
    append(release / TRIM, "# theirs\n")
    append(release / "stages/split.py", "# theirs\n")
    before = contents(team)
    message = (
        r"team: expected stages/trim\.py as audioprep 9\.9\.9 wrote it, got an edited file, and this version has a new one; "
        r"move yours away, run the same command again, and repeat your edits$"
    )
    with pytest.raises(ProjectError, match=message):
        update(team)
    assert contents(team) == before
    (team / TRIM).unlink()
    update(team)
    for name in (TRIM, "stages/split.py"):
        assert (team / name).read_bytes() == (release / name).read_bytes()


def test_stages_of_the_teams_own_are_noted_and_stay(team, release):
    (team / "stages" / "own.py").write_text("import audioprep.errors\n")
    (release / "stages" / "export.py").unlink()
    (release / "stages" / "card.py").unlink()
    append(team / "stages" / "card.py", "# mine\n")
    update(team)
    assert {"own", "card"} <= set(read_lock(team / LOCK).code)
    assert not (team / "stages" / "export.py").exists()
    assert "stages/card.py" not in read_lock(team / LOCK).files


def test_new_parameters_are_added(team, release, capsys):
    params, section = team / "params.yaml", "new:\n  first: 1                    # what it does\n\nsplit:\n  seed"
    mine = params.read_text().replace("target_lufs: -23.0", "target_lufs: -20.0  # ours")
    params.write_text(mine)
    theirs = (release / "params.yaml").read_text().replace("split:\n  seed", section)
    (release / "params.yaml").write_text(theirs)
    update(team)
    assert "params.yaml: added new\n" in capsys.readouterr().out
    assert params.read_text() == mine.replace("split:\n  seed", section)


def test_a_new_line_of_an_ignore_file_is_added(team, release):
    append(team / ".gitignore", "mine\n")
    append(release / ".gitignore", "theirs\n")
    update(team)
    assert (team / ".gitignore").read_text().splitlines()[-2:] == ["mine", "theirs"]


def test_what_is_no_project_is_refused(tmp_path):
    with pytest.raises(
        ProjectError, match=r"expected a project that `audioprep init` has started \(audioprep\.lock\), found none"
    ):
        update(tmp_path)


@pytest.mark.parametrize("name", ["params.yaml", LOCK.name])
def test_a_damaged_file_is_one_line(team, name):
    (team / name).write_text("<<<<<<< ours\na: [")
    with pytest.raises(ConfigError, match=rf"{name}: expected .+; mend the file$"):
        update(team)


@pytest.mark.parametrize(
    ("recipes", "where", "got"),
    [("{demo: }", "recipes.demo", "nothing"), ("{demo: 7}", "recipes.demo", "7"), ("[demo]", "recipes", "['demo']")],
)
def test_recipes_without_rules_are_one_line(team, recipes, where, got):
    (team / "params.yaml").write_text(f"datasets: [demo]\nrecipes: {recipes}\n")
    before = contents(team)
    message = rf"^params\.yaml {re.escape(where)}: expected names and values, got {re.escape(got)}; fill them in, or take it out$"
    with pytest.raises(ConfigError, match=message):
        update(team)
    assert contents(team) == before
    (team / "params.yaml").write_text("datasets: [demo]\nrecipes:\n")
    update(team)
