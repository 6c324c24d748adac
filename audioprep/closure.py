"""Which files of this package a script runs: its import closure, computed from the source text.

DVC lists them as what a stage depends on, and a project outside this repository has one hash over them for each stage.
"""

import ast
import hashlib
import io
import tokenize
from functools import cache
from pathlib import Path

from audioprep.errors import ProjectError, reason_of

PACKAGE = "audioprep"
ROOT = Path(__file__).resolve().parent.parent
# The corpora are found by listing their folder: whoever imports it depends on the folder as a whole.
_LISTED = f"{PACKAGE}/datasets"
_NO_CODE = {tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def import_closure(script: Path, root: Path = ROOT) -> set[str]:
    """Return the files of the package that a script imports, imports inside functions included.

    A file that holds nothing but a docstring is left out: nothing in it can change a result. Templates count with the
    modules beside them, and a folder that is imported by listing it counts as a whole.

    Args:
        script: The script.
        root: The folder that holds the package.

    Returns:
        Paths relative to `root`, with slashes.
    """
    todo, found = [script], set[Path]()
    while todo:
        new = {path for module in imported_modules(todo.pop()) for path in _files_of(module, root)} - found
        found |= new
        todo += new
    coded = [path for path in found if code_of(_text(path))]
    templates = [template for path in coded for template in path.parent.glob("*.j2")]
    files = {path.relative_to(root).as_posix() for path in [*coded, *templates]}
    if f"{_LISTED}/__init__.py" in files:
        files = {file for file in files if not file.startswith(f"{_LISTED}/")} | {_LISTED}
    return files


def imported_modules(path: Path) -> frozenset[str]:
    """Return the dotted names of all modules that a file imports, and of the names imported from them.

    Raises:
        ProjectError: The file is not Python.
    """
    try:
        return _modules_of(_text(path))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path}: expected a Python file, got {reason_of(error)}; mend it") from None


def code_hash(script: Path, root: Path = ROOT) -> str:
    """Return a hash of the code of this package that a script runs.

    Comments, docstrings, blank lines and the file's place on disk are no part of it: a release that changes nothing else
    reruns nothing. It is cut from the text instead of taken from the syntax tree, which differs between versions of Python.

    Args:
        script: The script; its own text is no part of the hash.
        root: The folder that holds the package.

    Returns:
        16 hexadecimal digits.

    Raises:
        ProjectError: The script is not Python.
    """
    files = [path for name in import_closure(script, root) for path in _expanded(root / name)]
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.relative_to(root).parts):
        code = code_of(_text(path)) if path.suffix == ".py" else _text(path)
        digest.update(f"{path.relative_to(root).as_posix()}\0{code}\0".encode())
    return digest.hexdigest()[:16]


@cache
def code_of(source: str) -> str:
    """Return a module's source without comments, without statements that are but a text (docstrings), and without blank lines."""
    lines, kept = list(io.StringIO(source)), set[int]()
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT:
            lines[row - 1] = f"{lines[row - 1][:column].rstrip()}\n"
        elif token.type == tokenize.NEWLINE:
            if any(part.type != tokenize.STRING for part in statement):
                kept |= {row for part in statement for row in range(part.start[0], part.end[0] + 1)}
            statement = []
        elif token.type not in _NO_CODE:
            statement.append(token)
    return "".join(lines[row - 1] for row in sorted(kept))


def _expanded(path: Path) -> list[Path]:
    return list(path.rglob("*.py")) if path.is_dir() else [path]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _modules_of(source: str) -> frozenset[str]:
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(modules)


def _files_of(module: str, root: Path) -> list[Path]:
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return []
    files = [root.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    return [path for path in [*files, root.joinpath(*parts).with_suffix(".py")] if path.is_file()]
