"""What a project consists of, and where its files come from.

A wheel carries copies of the files at the top of this repository (pyproject.toml says which); a checkout has the originals.
"""

import hashlib
import io
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from audioprep.closure import PACKAGE, ROOT, code_hash
from audioprep.config.lock import LOCK, ProjectLock
from audioprep.engine import file_sha256, write_atomically

PARAMS = "params.yaml"
README = "README.md"
DVC_CONFIG = ".dvc/config"
# A project may have these already: they get the lines that they lack.
LISTS = (".dvcignore", ".gitattributes", ".gitignore")
# The corpora that a new project begins with: the one it prepares, and a published one beside it.
_PREPARED, _SHIPPED = ("demo",), ("demo", "esc50")
_PIPELINE_HEADER = """\
# The pipeline: one instance of every stage per corpus in `datasets` (params.yaml). A stage lists the parameters that it
# reads, no wider, and its line of audioprep.lock, which stands for the code of audioprep that it runs. Stages of your own
# may follow; `audioprep init --update` then leaves this file alone.

"""


def original(name: str) -> Path:
    """Return where a file of a new project is copied from; it may be missing."""
    packed = ROOT / PACKAGE / "project"
    return (packed if packed.is_dir() else ROOT) / name


def params_template() -> str:
    """Return the params.yaml of a new project: that of a checkout may hold corpora, and places, of whoever works in it."""
    text = original(PARAMS).read_text(encoding="utf-8")
    yaml = round_trip()
    document = yaml.load(text)
    recipes = document["recipes"]
    own = [name for name in recipes if name not in _SHIPPED]
    placed = [(name, key) for name in _SHIPPED for key in ("root", "archive") if recipes.get(name, {}).get(key)]
    if tuple(document["datasets"]) == _PREPARED and not own and not placed:
        return text
    document["datasets"][:] = _PREPARED
    for name, key in placed:
        recipes[name][key] = None
    for name in own:
        del recipes[name]
    # The blank line before a section belongs to the last recipe, and goes with it.
    return re.sub(r"(\n +[^\n]*\n)(?=\w)", r"\1\n", dumped(yaml, document))


def kept_files() -> dict[str, str]:
    """Return the files of a project that an update renews, with their content by path."""
    scripts = sorted(original("stages").glob("*.py"))
    names = ["constraints.txt", "data/.gitignore", *(f"stages/{script.name}" for script in scripts)]
    files = {name: original(name).read_text(encoding="utf-8") for name in names}
    return {**files, "dvc.yaml": _pipeline(original("dvc.yaml").read_text(encoding="utf-8"))}


def make_lock(folder: Path, files: dict[str, str]) -> ProjectLock:
    """Return what a project notes of the installed version.

    Args:
        folder: The project; its scripts, which may be edited or its own, say what they run.
        files: The files of this version, with their content by path.
    """
    code = {script.stem: code_hash(script) for script in sorted((folder / "stages").glob("*.py"))}
    hashes = {name: text_sha256(text) for name, text in sorted(files.items())}
    return ProjectLock(version=version(PACKAGE), code=code, files=hashes)


def text_sha256(text: str) -> str:
    """Return the sha256 of a file with this content."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_same(path: Path, text: str) -> bool:
    """Tell whether a file has this content."""
    return path.is_file() and file_sha256(path) == text_sha256(text)


def write(path: Path, text: str) -> None:
    """Write a file, and the folder that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)


def complete_lists(folder: Path) -> list[str]:
    """Add the lines that the project's ignore files lack; return the names of those that are changed."""
    changed = []
    for name in LISTS:
        wanted = original(name).read_text(encoding="utf-8").splitlines() if original(name).is_file() else []
        present = (folder / name).read_text(encoding="utf-8").splitlines() if (folder / name).is_file() else []
        missing = [line for line in wanted if line not in present]
        if missing:
            write(folder / name, "\n".join([*present, *missing]) + "\n")
            changed.append(name)
    return changed


def round_trip() -> YAML:
    """Return a YAML reader and writer that keeps comments and order."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def dumped(yaml: YAML, document: Any) -> str:
    """Return the text of a document."""
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue()


def _pipeline(text: str) -> str:
    """Return dvc.yaml for a project that has this package installed instead of its source files."""
    yaml = round_trip()
    document = yaml.load(text[text.index("stages:") :])
    for name, stage in document["stages"].items():
        for dep in [dep for dep in stage["deps"] if dep.startswith(f"{PACKAGE}/")]:
            stage["deps"].remove(dep)
        code = {LOCK.name: [f"code.{name}"]}
        if "params" in stage:
            stage["params"].insert(0, code)
        else:
            stage.insert(list(stage).index("deps") + 1, "params", [code])
    return _PIPELINE_HEADER + dumped(yaml, document)
