"""CONTRIBUTING.md, followed to the letter: its files are written, and its command is run on them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from import_closure import ROOT

pytestmark = pytest.mark.slow

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = re.findall(r"```\w+ file=(\S+)\n(.*?)```", PAGE, flags=re.DOTALL)
(COMMAND,) = re.findall(r"^pytest .+$", PAGE, flags=re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The package and its tests of corpora, without the new corpus."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("audioprep", "tests/datasets"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    for name in ("tests/conftest.py", "pyproject.toml", "params.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_corpus_is_added_as_the_page_says(checkout: Path) -> None:
    for name, text in FILES:
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-m", *shlex.split(COMMAND), "-m", "", "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    passed = int(re.search(r"(\d+) passed", result.stdout)[1])
    assert passed >= 15, "the contract test knows the new corpus"


def test_the_recipe_is_about_sixty_lines() -> None:
    (recipe,) = [text for name, text in FILES if name.startswith("audioprep/datasets/")]
    assert len(recipe.splitlines()) <= 65
