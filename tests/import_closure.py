"""Which of the project's own files a script runs: the import closure, computed from the source text.

Usage: python tests/import_closure.py     brings the deps in dvc.yaml up to date
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "audioprep"


def import_closure(script: Path) -> set[str]:
    """Return the files, relative to the project, that a script imports, imports inside functions included.

    A file that holds nothing but a docstring is left out: nothing in it can change a result. The corpora are found by
    listing their folder, so whoever imports that package depends on the folder as a whole. Templates count with the
    modules beside them.
    """
    todo, seen = [script], set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for module in imported_modules(path):
            todo += _files_of(module)
    templates = [template for path in seen if _has_code(path) for template in path.parent.glob("*.j2")]
    files = {path.relative_to(ROOT).as_posix() for path in [*filter(_has_code, seen), *templates]}
    if f"{PACKAGE}/datasets/__init__.py" in files:
        files = {file for file in files if not file.startswith(f"{PACKAGE}/datasets/")} | {f"{PACKAGE}/datasets"}
    return files


def imported_modules(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Return the dotted names of all modules that a file imports, and of the names imported from them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def _files_of(module: str) -> list[Path]:
    if module != PACKAGE and not module.startswith(f"{PACKAGE}."):
        return []
    parts = module.split(".")
    files = [ROOT.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    return [path for path in [*files, ROOT.joinpath(*parts).with_suffix(".py")] if path.is_file()]


def _has_code(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def rewrite_deps(dvc_yaml: Path) -> None:
    """Bring the code among the deps of every stage up to date; other deps and the layout of the file stay."""
    lines, stage = [], ""
    for line in dvc_yaml.read_text(encoding="utf-8").splitlines():
        if line.startswith("  ") and not line.startswith("   ") and line.endswith(":"):
            stage = line.strip(" :")
        if line.startswith((f"      - {PACKAGE}/", "      - stages/")):
            continue
        lines.append(line)
        if line == "    deps:":
            lines += [f"      - {file}" for file in sorted(import_closure(ROOT / "stages" / f"{stage}.py"))]
    dvc_yaml.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    rewrite_deps(ROOT / "dvc.yaml")
