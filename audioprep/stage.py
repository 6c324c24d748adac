"""What every stage script does: check that it runs the code it should, run alone, and end an error in one line."""

import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path

from audioprep.closure import PACKAGE, ROOT, code_hash
from audioprep.config.lock import ProjectLock, read_lock
from audioprep.errors import ConfigError, ProjectError, one_line_errors

# Where DVC makes the copies in which queued experiments run, below a project.
_EXPERIMENTS = (".dvc", "tmp", "exps")


def run_stage(main: Callable[..., None]) -> None:
    """Run a stage with the arguments of the command line.

    Stages import what they run inside `main`: code of another version, which may not even import, is found out first.

    Args:
        main: The stage; its parameters are the names of the arguments, the corpus first.
    """
    script, *given = sys.argv
    names = " ".join(inspect.signature(main).parameters).upper()
    with one_line_errors():
        if len(given) != len(names.split()):
            raise ConfigError(f"{script}: expected {names}, got '{' '.join(given)}'; run: python {script} {names}")
        enter_experiment()
        check_code(Path(script))
        from audioprep.engine import alone
        from audioprep.engine.imports import spare_pandas
        from audioprep.io.layout import Layout

        spare_pandas()
        dataset, *kind = given
        with alone(Layout.in_project(dataset).lock("-".join([Path(script).stem, *kind]))):
            _call(main, given)


def _call(main: Callable[..., None], given: list[str]) -> None:
    try:
        main(*given)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(f"{PACKAGE}."):
            raise
        raise ProjectError(
            f"{sys.argv[0]}: expected {error.name} in {ROOT}, found none; in a queued experiment is only what git knows: "
            "git add it, and queue again"
        ) from None


def enter_experiment() -> None:
    """In the copy of a project in which DVC runs a queued experiment, go on with the copy's code and the project's archives.

    The copy has what git knew when the experiment was queued: the code may have been edited in the project since, and
    archives are not in it. The process starts anew there, with the copy's package before the environment's.

    The current folder is the project's, or that of a copy.
    """
    here = Path.cwd()
    project = next((folder.parents[2] for folder in here.parents if folder.parts[-3:] == _EXPERIMENTS), None)
    if project is None:
        return
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if (here / PACKAGE).is_dir() and here != ROOT and paths[0] != str(here):
        os.environ["PYTHONPATH"] = os.pathsep.join([str(here), *filter(None, paths)])
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same command once more
    from audioprep.io.layout import ARCHIVES_VARIABLE, Layout

    os.environ[ARCHIVES_VARIABLE] = str(project / Layout.in_project("").archives)


def check_code(script: Path) -> None:
    """Check that the code which runs is the code that the project's outputs are said to be made with.

    In a checkout DVC looks at the files of its own package, in a team's project at what `audioprep.lock` notes.

    Args:
        script: The stage's script; the current folder is the project's.

    Raises:
        ProjectError: The code is another one; it says which it should be.
        ConfigError: The note of it is damaged.
    """
    here = Path(PACKAGE, "__init__.py")
    if here.is_file() and not here.samefile(ROOT / here):
        _check_checkout(script, here.parent.resolve())
    if (lock := read_lock()) is not None:
        _check_lock(script, lock)


def _check_checkout(script: Path, package: Path) -> None:
    """Check that a package elsewhere, as with the environment of another checkout, has the same code as the one here."""
    expected, got = code_hash(script, package.parent), code_hash(script)
    if expected != got:
        raise ProjectError(
            f"{script}: expected the code of {package} ({expected}), got that of {ROOT / PACKAGE} ({got}), which the "
            "environment has installed; use this checkout's own environment, or run here: pip install -e ."
        )


def _check_lock(script: Path, lock: ProjectLock) -> None:
    expected, got = lock.code.get(script.stem, "none"), code_hash(script)
    if expected != got:
        from importlib.metadata import version

        raise ProjectError(
            f"{script}: expected the code of audioprep {lock.version} ({expected}), got that of {version('audioprep')} "
            f"({got}); install the expected version, or go on with this one: audioprep init --update ."
        )
