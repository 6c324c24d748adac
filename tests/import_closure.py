"""The project's own files that each stage depends on, as DVC lists them.

Usage: python tests/import_closure.py     brings the deps in dvc.yaml up to date
"""

from pathlib import Path

from audioprep import closure
from audioprep.closure import PACKAGE, imported_modules

__all__ = ["PACKAGE", "ROOT", "import_closure", "imported_modules", "rewrite_deps"]

ROOT = Path(__file__).resolve().parent.parent


def import_closure(script: Path) -> set[str]:
    """Return a script and the files of the package that it imports, relative to the project."""
    return {script.relative_to(ROOT).as_posix()} | closure.import_closure(script, ROOT)


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
