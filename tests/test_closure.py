"""Which code a script runs, and when that code counts as changed."""

import pytest

from audioprep.closure import code_hash, code_of, import_closure, imported_modules
from audioprep.errors import ProjectError

MODULE = '''\
"""What it is."""

import os  # for its names

NAMES = ("a",
    # between
    "b")
"""What NAMES is."""


class Thing:
    """What a thing is."""

    text = """

    # stays
    """

    def f(self):
        """What f does."""
        return os.name, "#", 'it''s', f"{self!r}"
'''
SAME = '''\
"""Something else."""
import os
NAMES = ("a",
    "b")
class Thing:
    # a remark
    text = """

    # stays
    """  # of the text
    def f(self):
        return os.name, "#", 'it''s', f"{self!r}"
'''


def test_remarks_are_no_code():
    assert code_of(MODULE) == code_of(SAME)
    assert "What" not in code_of(MODULE)
    assert code_of('def f():\n    "says"\n') == "def f():\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stays", "goes"),
        ('"#"', '"##"'),
        ('"b"', '"c"'),
        ("import os", "import os, re"),
        ("\n\n    # stays", "\n    # stays"),
    ],
)
def test_code_and_texts_in_it_count(old, new):
    assert old in MODULE
    assert code_of(MODULE.replace(old, new)) != code_of(MODULE)


@pytest.fixture
def root(tmp_path):
    """Return a folder with a small package of the same name, and a script."""
    files = {
        "audioprep/__init__.py": '"""Nothing but this."""\n',
        "audioprep/steps/__init__.py": "",
        "audioprep/steps/trim.py": "def trim():\n    from audioprep.dsp import cut\n",
        "audioprep/steps/page.md.j2": "a page",
        "audioprep/dsp/__init__.py": "",
        "audioprep/dsp/cut.py": "import numpy\n",
        "audioprep/dsp/other.py": "import audioprep.steps.trim\n",
        "audioprep/datasets/__init__.py": "import pkgutil\n",
        "audioprep/datasets/demo.py": "import audioprep.errors\n",
        "audioprep/errors.py": "X = 1\n",
        "elsewhere/stage.py": "from audioprep.steps.trim import trim\nfrom audioprep.datasets import load\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_closure_follows_imports_inside_functions_and_skips_files_without_code(root):
    found = import_closure(root / "elsewhere" / "stage.py", root)
    cut, trim, page = "audioprep/dsp/cut.py", "audioprep/steps/trim.py", "audioprep/steps/page.md.j2"
    assert found == {cut, trim, page, "audioprep/datasets"}
    assert imported_modules(root / cut) == {"numpy"}


@pytest.mark.parametrize(
    ("name", "text", "counts"),
    [
        ("audioprep/dsp/cut.py", "import numpy  # faster\n", False),
        ("audioprep/dsp/cut.py", "import numpy as np\n", True),
        ("audioprep/dsp/other.py", "import os\n", False),
        ("audioprep/steps/page.md.j2", "another page", True),
        ("audioprep/datasets/new.py", "RECIPE = 1\n", True),
        ("elsewhere/stage.py", "from audioprep.steps import trim\nimport audioprep.datasets\nX = 1\n", False),
    ],
)
def test_the_hash_changes_with_the_code_that_runs(root, name, text, counts):
    script = root / "elsewhere" / "stage.py"
    before = code_hash(script, root)
    (root / name).write_text(text)
    assert (code_hash(script, root) != before) == counts
    assert len(before) == 16


def test_the_hash_does_not_tell_where_the_package_lies(root, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved") / "site-packages"
    before = code_hash(root / "elsewhere" / "stage.py", root)
    root.rename(moved)
    assert code_hash(moved / "elsewhere" / "stage.py", moved) == before


@pytest.mark.parametrize("text", [b"def f(:", b"\xff\xfe"])
def test_a_script_that_is_no_python_is_one_line(tmp_path, text):
    (tmp_path / "own.py").write_bytes(text)
    with pytest.raises(
        ProjectError, match=r"own\.py: expected a Python file, got (Syntax|UnicodeDecode)Error: .+; mend it$"
    ):
        code_hash(tmp_path / "own.py")
