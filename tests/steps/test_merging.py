"""Merges as git makes them, with the drivers installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.utils.serialize import dumps_yaml, loads_yaml
from import_closure import ROOT

from audioprep.errors import ShareError
from audioprep.steps import merging
from audioprep.steps.merging import install_drivers, merge_lock, merge_params

PARAMS = """\
# Every parameter.

datasets: [demo]              # corpora
recipes:                      # the rules
  demo:
    recipe: demo              # a file
    window_s: 2.0

resample:
  rate_hz: 16000              # one rate

train:
  epochs: 120
"""


def entry(stage, md5):
    outs = [{"path": f"data/{stage}", "hash": "md5", "md5": md5 * 32, "size": 7}]
    deps = [{"path": "audioprep/errors.py", "hash": "md5", "md5": "0" * 32, "size": 5}]
    params = {"params.yaml": {f"recipes.{stage}.variant": None, "trim": {"threshold_db": -60.0}}}
    return {"cmd": f"python stages/{stage}.py", "deps": deps, "params": params, "outs": outs}


def lock(**stages):
    """A dvc.lock as DVC writes it."""
    if not stages:
        return ""
    return dumps_yaml({"schema": "2.0", "stages": {f"{name}@x": entry(name, md5) for name, md5 in stages.items()}})


def merged(tmp_path, merge, base, ours, theirs):
    paths = [tmp_path / name for name in ("base", "ours", "theirs")]
    for path, text in zip(paths, (base, ours, theirs), strict=True):
        path.write_text(text)
    try:
        merge(*paths)
    except ShareError as error:
        return paths[1].read_text(), str(error)
    return paths[1].read_text(), ""


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        ({"a": "1"}, {"a": "1", "b": "2"}, {"a": "1", "c": "3"}, {"a": "1", "b": "2", "c": "3"}),
        ({"a": "1", "b": "1"}, {"a": "2", "b": "1"}, {"a": "1", "b": "2"}, {"a": "2", "b": "2"}),
        ({"a": "1"}, {"a": "2"}, {"a": "2"}, {"a": "2"}),
        ({"a": "1", "b": "1"}, {"b": "1"}, {"a": "1", "b": "1", "c": "1"}, {"b": "1", "c": "1"}),
        ({}, {"a": "1"}, {"b": "1"}, {"a": "1", "b": "1"}),
        ({}, {}, {"b": "1"}, {"b": "1"}),
        ({"a": "1"}, {}, {"a": "1"}, {}),
    ],
)
def test_stages_changed_on_one_side_are_united(tmp_path, base, ours, theirs, expected):
    text, error = merged(tmp_path, merge_lock, lock(**base), lock(**ours), lock(**theirs))
    assert (text, error) == (lock(**expected), "")
    assert text == dumps_yaml(loads_yaml(text, typ="rt")) or not expected, "as DVC itself writes it"


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({"a": "2"}, {"a": "3", "b": "1"}, {"a": "2", "b": "1"}),
        ({}, {"a": "3"}, {"a": "3"}),
        ({"a": "2"}, {}, {"a": "2"}),
    ],
)
def test_a_stage_changed_on_both_sides_stays_readable_and_is_named(tmp_path, ours, theirs, expected):
    text, error = merged(tmp_path, merge_lock, lock(a="1"), lock(**ours), lock(**theirs))
    assert text == lock(**expected)
    assert error.startswith("dvc.lock: expected each stage to be changed on one side, got both for a@x; ours are kept")


def test_a_name_in_quotes_is_the_same_stage(tmp_path):
    quoted = lock(a="1").replace("  a@x:", "  'a@x':")
    text, error = merged(tmp_path, merge_lock, lock(a="1"), quoted, lock(a="1", b="2"))
    assert (loads_yaml(text), error) == (loads_yaml(lock(a="1", b="2")), "")
    text, error = merged(tmp_path, merge_lock, quoted, quoted, lock(a="3"))
    assert (loads_yaml(text), error) == (loads_yaml(lock(a="3")), "")
    double = lock(c="1").replace("schema: '2.0'", 'schema: "2.0"')
    assert loads_yaml(merged(tmp_path, merge_lock, "", double, lock(d="1"))[0]) == loads_yaml(lock(c="1", d="1"))


def test_a_last_line_without_its_end_does_not_run_into_the_next(tmp_path):
    text, error = merged(tmp_path, merge_lock, lock(a="1"), lock(a="1", b="2").rstrip("\n"), lock(a="1", c="3"))
    assert (text, error) == (lock(a="1", b="2", c="3"), "")
    recipes = "recipes:\n  a: {recipe: demo}\n"
    text, error = merged(
        tmp_path, merge_params, recipes, f"{recipes}  b: {{recipe: b}}", f"{recipes}  c: {{recipe: c}}\n"
    )
    assert (sorted(loads_yaml(text)["recipes"]), error) == (["a", "b", "c"], "")


def test_another_file_than_a_lock_gets_gits_own_markers(tmp_path):
    text, error = merged(tmp_path, merge_lock, "a\n", "b\n", "c\n")
    assert error == "dvc.lock: expected stages, got a text of another kind; mend the conflicts marked in it"
    assert text == "<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n"
    assert merged(tmp_path, merge_lock, "a\n", "b\n", "a\n") == ("b\n", "")


def with_corpus(name, params=PARAMS, column=30):
    start = f"datasets: [demo, {name}]"
    params = params.replace(f"{'datasets: [demo]':<30}# corpora", f"{start:<{column}}# corpora")
    return params.replace("\nresample:", f"  {name}:\n    recipe: {name}          # {name}'s\n\nresample:", 1)


def test_two_corpora_are_united_with_their_comments(tmp_path):
    text, error = merged(tmp_path, merge_params, PARAMS, with_corpus("birds"), with_corpus("cars"))
    expected = with_corpus("birds").replace("\nresample:", "  cars:\n    recipe: cars          # cars's\n\nresample:")
    expected = expected.replace(f"{'datasets: [demo, birds]':<30}#", f"{'datasets: [demo, birds, cars]':<30}#")
    assert error == ""
    assert loads_yaml(text) == loads_yaml(expected)
    assert text.splitlines()[2] == expected.splitlines()[2]
    assert "# cars's" in text
    assert "# birds's" in text


def test_other_lines_are_merged_as_git_does(tmp_path):
    ours = with_corpus("birds").replace("epochs: 120", "epochs: 60")
    theirs = with_corpus("cars").replace("16000", "32000")
    text, error = merged(tmp_path, merge_params, PARAMS, ours, theirs)
    values = loads_yaml(text)
    assert error == ""
    assert (values["train"]["epochs"], values["resample"]["rate_hz"]) == (60, 32000)
    assert values["datasets"] == ["demo", "birds", "cars"]


@pytest.mark.parametrize(
    ("old", "ours", "theirs"),
    [("120", "60", "30"), ("window_s: 2.0", "window_s: 1.0", "window_s: 4.0")],
)
def test_a_line_changed_on_both_sides_is_marked(tmp_path, old, ours, theirs):
    theirs = with_corpus("cars").replace(old, theirs)
    text, error = merged(tmp_path, merge_params, PARAMS, PARAMS.replace(old, ours), theirs)
    assert error == "params.yaml: expected each line to be changed on one side, got both; mend the lines marked in it"
    assert text.count("<<<<<<< ours") == 1
    assert "datasets: [demo, cars]" in text


def test_a_corpus_taken_out_on_one_side_is_out(tmp_path):
    gone = PARAMS.replace("datasets: [demo]", "datasets: []    ")
    text, error = merged(tmp_path, merge_params, PARAMS, gone, with_corpus("cars"))
    assert error == ""
    assert loads_yaml(text)["datasets"] == ["cars"]


def test_params_of_another_shape_are_merged_as_text(tmp_path):
    assert merged(tmp_path, merge_params, "a: 1\n", "a: 1\nb: 2\n", "a: 1\n") == ("a: 1\nb: 2\n", "")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with dvc.lock, params.yaml and the drivers; returns a function that runs git in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test")

    def git(*arguments, status=0):
        result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout + result.stderr

    git("init", "-q", "-b", "main")
    (tmp_path / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    # The program of this environment imports the package that is under test, wherever that stands.
    program = tmp_path / "bin of it" / "audioprep"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c "{RUN}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(merging, "_program", lambda: program)
    # What runs is found without the PATH of the environment that the drivers were installed in.
    folders = (folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "audioprep").exists())
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    (tmp_path / ".git" / "info" / "exclude").write_text("bin of it/\n")
    install_drivers()
    return git


RUN = "from audioprep.cli import main; main()"


def commit(git, tmp_path, branch, lock_text, params_text, start="main"):
    git("checkout", "-q", "-B", branch, *([] if branch == start else [start]))
    (tmp_path / "dvc.lock").write_text(lock_text)
    (tmp_path / "params.yaml").write_text(params_text)
    git("add", "-A")
    git("commit", "-q", "-m", branch)


def test_git_unites_two_branches_that_each_add_a_corpus(repository, tmp_path):
    commit(repository, tmp_path, "main", lock(demo="1"), PARAMS)
    commit(repository, tmp_path, "birds", lock(demo="1", birds="2"), with_corpus("birds"))
    commit(repository, tmp_path, "cars", lock(demo="1", cars="3"), with_corpus("cars"))
    repository("merge", "birds", "-m", "both")
    assert (tmp_path / "dvc.lock").read_text() == lock(demo="1", cars="3", birds="2")
    assert loads_yaml((tmp_path / "params.yaml").read_text())["datasets"] == ["demo", "cars", "birds"]
    assert repository("status", "--porcelain") == ""


def test_the_drivers_are_found_by_name_when_their_environment_is_gone(repository, tmp_path, monkeypatch):
    (tmp_path / "bin of it").rename(tmp_path / ".git" / "another")
    monkeypatch.setenv("PATH", f"{tmp_path / '.git' / 'another'}{os.pathsep}{os.environ['PATH']}")
    commit(repository, tmp_path, "main", lock(demo="1"), PARAMS)
    commit(repository, tmp_path, "birds", lock(demo="1", birds="2"), PARAMS)
    commit(repository, tmp_path, "cars", lock(demo="1", cars="3"), PARAMS)
    repository("merge", "birds", "-m", "both")
    assert (tmp_path / "dvc.lock").read_text() == lock(demo="1", cars="3", birds="2")


def test_git_stops_at_a_stage_changed_on_both_sides(repository, tmp_path):
    commit(repository, tmp_path, "main", lock(demo="1"), PARAMS)
    commit(repository, tmp_path, "other", lock(demo="2"), PARAMS)
    commit(repository, tmp_path, "here", lock(demo="3"), PARAMS)
    output = repository("merge", "other", status=1)
    assert "error: dvc.lock: expected each stage to be changed on one side, got both for demo@x" in output
    assert (tmp_path / "dvc.lock").read_text() == lock(demo="3")
    assert "UU dvc.lock" in repository("status", "--porcelain")


def test_the_drivers_are_installed_once_and_said(repository, tmp_path, monkeypatch, capsys):
    capsys.readouterr()
    install_drivers()
    assert capsys.readouterr().out == ""
    repository("config", "--unset", "merge.dvc-lock.driver")
    install_drivers()
    said = capsys.readouterr().out
    assert said.startswith("$ git config merge.dvc-lock.driver ")
    assert said.count("\n") == 1


def test_where_git_or_the_attributes_are_not_there_nothing_is_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    install_drivers()
    (tmp_path / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    install_drivers()
    assert capsys.readouterr().out == ""
