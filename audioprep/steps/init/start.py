"""Start a project: git, DVC, and the files of the pipeline."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from audioprep.config.lock import LOCK, lock_text
from audioprep.console import say
from audioprep.datasets.folder import AUDIO_SUFFIXES
from audioprep.errors import ProjectError
from audioprep.steps.init.files import (
    DVC_CONFIG,
    PARAMS,
    README,
    complete_lists,
    is_same,
    kept_files,
    make_lock,
    original,
    params_template,
    write,
)
from audioprep.steps.project import reasons


def start(folder: Path) -> None:
    """Make a folder a git and DVC project with the pipeline of the installed version, and say what to type next.

    Args:
        folder: The folder. It may be missing, empty, or a git or DVC project without a pipeline; what one run has begun
            another one ends.

    Raises:
        ProjectError: The folder holds files that would be overwritten, or git or DVC cannot be set up in it.
    """
    kept = kept_files()
    files = {**kept, PARAMS: params_template()}
    _check_free(folder, files)
    recording = next(_recordings_in(folder), None)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".dvc").is_dir():
        _init(folder)
    for name, text in files.items():
        write(folder / name, text)
    complete_lists(folder)
    if not (folder / README).exists():
        write(folder / README, Path(__file__).with_name(README).read_text(encoding="utf-8"))
    lock = make_lock(folder, kept)
    write(folder / LOCK, lock_text(lock))
    say(f"{folder}: a project for audioprep {lock.version}")
    if recording is not None:
        say(
            f"{folder}: recordings are in it, as {recording}, and `git add -A` would take them into git; move them to a folder "
            "of their own outside, and prepare them with: audioprep prepare NAME --root THAT_FOLDER"
        )
    _say_next(folder)


def _check_free(folder: Path, files: dict[str, str]) -> None:
    if (folder / LOCK).exists():
        raise ProjectError(
            f"{folder}: expected no project of audioprep, got one; bring it up to date: audioprep init --update {folder}"
        )
    taken = sorted(
        name for name, text in files.items() if (folder / name).exists() and not is_same(folder / name, text)
    )
    if taken:
        raise ProjectError(
            f"{folder}: expected a folder without the files of a project, got {', '.join(taken)}; give another folder, "
            "which may be one inside it"
        )


def _init(folder: Path) -> None:
    """Set up DVC, in the git repository that the folder is in or in a new one."""
    git = shutil.which("git")
    if git is None:
        raise ProjectError(f"{folder}: expected the program git, found none; install it, DVC keeps its files in git")
    command = [git, "rev-parse", "--show-cdup"]
    inside = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if inside.returncode:
        _run(folder, "git init --quiet", git)
        say(f"{folder}: git init")
    command_line = "dvc init --subdir" if inside.stdout.strip() else "dvc init"
    _run(
        folder, command_line, sys.executable, "-m", "dvc"
    )  # not --quiet, which keeps the reason of a failure to itself
    say(f"{folder}: {command_line}")
    write(folder / DVC_CONFIG, original(DVC_CONFIG).read_text(encoding="utf-8"))


def _run(folder: Path, command_line: str, *program: str) -> None:
    """Run a command line, whose first word stands for the program."""
    command, quiet = [*program, *command_line.split()[1:]], {**os.environ, "DVC_NO_ANALYTICS": "1"}
    result = subprocess.run(command, cwd=folder, env=quiet, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if result.returncode:
        said = next(reasons(result.stderr), f"exit status {result.returncode}")
        raise ProjectError(
            f"{folder}: expected `{command_line}` to work, got {said}; mend that, and run the same command again"
        )


def _recordings_in(folder: Path) -> Iterator[str]:
    """Yield recordings that lie in a folder or one folder below, which is where those of a corpus lie."""
    files = (path for pattern in ("*", "[!.]*/*") for path in sorted(folder.glob(pattern)))
    return (path.relative_to(folder).as_posix() for path in files if path.suffix.lower() in AUDIO_SUFFIXES)


def _say_next(folder: Path) -> None:
    steps = [
        ("dvc repro", "the whole pipeline, on a small corpus that it synthesises"),
        ("audioprep prepare esc50", "a published corpus; --root FOLDER takes your own recordings"),
        ("git add -A && git commit -m 'Start'", "dvc.lock says what was made, and with what"),
    ]
    if folder.resolve() != Path.cwd():
        steps = [(shlex.join(["cd", str(folder)]), ""), *steps]
    say("Next:")
    width = max(len(command) for command, _ in steps)
    for command, what in steps:
        say(f"  {command:<{width}}   {what}".rstrip())
