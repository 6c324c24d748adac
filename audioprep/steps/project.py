"""The project that a command works in, and DVC's commands as a user would type them there."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from audioprep.console import say
from audioprep.errors import DvcError, ShareError

PARAMS = Path("params.yaml")
# Of an error that goes on over many files, so many lines say enough.
_MAX_LINES = 3
_MAX_CHARS = 400
# What DVC adds to its errors for its own users.
_ASIDES = ("WARNING", "<http", "Having any troubles", "Is your cache up to date", "Hit us up", "md5: ")
# What it says of each output of a stage that has never run, where that is no error.
_NO_NEWS = "WARNING: No file hash info found for "


def project_root(start: Path) -> Path | None:
    """Return the DVC project that a folder is in, if it is one of ours."""
    for folder in (start, *start.parents):
        if (folder / ".dvc").is_dir():
            return folder if (folder / "dvc.yaml").is_file() and (folder / PARAMS).is_file() else None
    return None


def enter_project() -> None:
    """Make the project that the current folder is in the current folder.

    Raises:
        ShareError: It is in none.
    """
    root = project_root(Path.cwd())
    if root is None:
        raise ShareError(f"{no_project()}; go to one")
    os.chdir(root)


def no_project() -> str:
    """Return what is wrong where the current folder is in no project, without what to do."""
    return f"{Path.cwd()}: expected an audioprep project (.dvc, dvc.yaml, params.yaml), got none"


def dvc(*arguments: str, quiet: bool = False, shows_output: bool = True) -> str:
    """Run a DVC command; one that changes something is printed first, so that it can be learnt and repeated.

    Args:
        arguments: What follows `dvc`.
        quiet: It only asks: return what it prints, and print nothing.
        shows_output: Print what it prints; its errors and progress are seen in any case.

    Returns:
        What it printed, if that was not shown.

    Raises:
        DvcError: It failed.
    """
    command = shlex.join(["dvc", *arguments])
    if not quiet:
        say(f"$ {command}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    # A terminal gets DVC's progress and errors as they come; there is no way to have both them and their text.
    is_watched = sys.stderr.isatty()
    result = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "dvc", *arguments],
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE if quiet or not shows_output else None,
        stderr=None if is_watched else subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode:
        told = "; ".join(reasons(result.stderr or "")) or "the error that it shows above"
        raise DvcError(command, f"{told} (exit status {result.returncode})")
    warnings = [line for line in (result.stderr or "").splitlines() if not line.startswith(_NO_NEWS)]
    if warnings:
        print(*warnings, sep="\n", file=sys.stderr)
    return result.stdout or ""


def reasons(stderr: str) -> Iterator[str]:
    """Find what is wrong in what DVC prints: the first lines of it, and the last, which says what came of it."""
    lines = [line.strip() for line in stderr.splitlines()]
    first = next((number for number, line in enumerate(lines) if line.startswith("ERROR:")), 0)
    told = [line for line in lines[first:] if line and not line.startswith(_ASIDES)]
    told = list(dict.fromkeys(line.removeprefix("ERROR:").strip() for line in told))
    for line in told if len(told) <= _MAX_LINES else [*told[: _MAX_LINES - 1], told[-1]]:
        yield line[:_MAX_CHARS]
