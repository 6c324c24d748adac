"""Bring a project up to date with the installed version."""

from pathlib import Path

from audioprep.config.base import read_mapping
from audioprep.config.lock import LOCK, ProjectLock, lock_text, read_lock
from audioprep.console import say
from audioprep.engine import file_sha256
from audioprep.errors import ConfigError, ProjectError
from audioprep.steps.init.files import (
    PARAMS,
    complete_lists,
    is_same,
    kept_files,
    make_lock,
    params_template,
    text_sha256,
    write,
)
from audioprep.steps.init.params import completed


def update(folder: Path) -> None:
    """Renew the files that `start` wrote, add new parameters, and say what changed and which stages will run again.

    A file that was edited since is left alone where this version has nothing new for it. The lock comes last: an update
    that was cut short is done by the next one.

    Args:
        folder: The project.

    Raises:
        ProjectError: There is no project, or an edited file is in the way of a new one; then nothing is written.
        ConfigError: A parameter file is damaged.
    """
    lock = read_lock(folder / LOCK)
    if lock is None:
        raise ProjectError(
            f"{folder}: expected a project that `audioprep init` has started ({LOCK}), found none; start one with: "
            f"audioprep init {folder}"
        )
    files = kept_files()
    params = folder / PARAMS
    _check_recipes(read_mapping(params).get("recipes"))
    text, added = completed(params.read_text(encoding="utf-8"), params_template())
    edited = {
        name for name in files if (folder / name).exists() and not _is_as_written(folder, name, files[name], lock)
    }
    _check_free(folder, sorted(name for name in edited if text_sha256(files[name]) != lock.files.get(name)), lock)
    for name in sorted(files.keys() - edited):
        if not is_same(folder / name, files[name]):
            write(folder / name, files[name])
            say(f"{name}: renewed")
    for name in sorted(edited):
        say(f"{name}: left as you have edited it")
    _remove_dropped(folder, lock, files)
    if added:
        write(params, text)
        say(f"{PARAMS}: added {', '.join(added)}")
    for name in complete_lists(folder):
        say(f"{name}: added the lines that it lacked")
    new = make_lock(folder, files)
    write(folder / LOCK, lock_text(new))
    _say_code(folder, lock, new)


def _check_recipes(recipes: object) -> None:
    """Refuse recipes that hold something else where new parameters are to go."""
    wanted = {} if recipes is None else recipes
    rules = (
        {f"recipes.{name}": rule for name, rule in wanted.items()} if isinstance(wanted, dict) else {"recipes": wanted}
    )
    for where, rule in rules.items():
        if not isinstance(rule, dict):
            got = "nothing" if rule is None else repr(rule)
            raise ConfigError(f"{PARAMS} {where}: expected names and values, got {got}; fill them in, or take it out")


def _is_as_written(folder: Path, name: str, text: str, lock: ProjectLock) -> bool:
    return is_same(folder / name, text) or file_sha256(folder / name) == lock.files.get(name)


def _check_free(folder: Path, names: list[str], lock: ProjectLock) -> None:
    if names:
        raise ProjectError(
            f"{folder}: expected {', '.join(names)} as audioprep {lock.version} wrote it, got an edited file, and this "
            "version has a new one; move yours away, run the same command again, and repeat your edits"
        )


def _remove_dropped(folder: Path, lock: ProjectLock, files: dict[str, str]) -> None:
    """Remove what only the version before needed, unless it was edited."""
    for name in sorted(lock.files.keys() - files.keys()):
        path = folder / name
        if path.is_file() and file_sha256(path) == lock.files[name]:
            path.unlink()
            say(f"{name}: removed, this version has no use for it")


def _say_code(folder: Path, before: ProjectLock, now: ProjectLock) -> None:
    changed = sorted(name for name, digest in now.code.items() if before.code.get(name) != digest)
    if now.version == before.version:
        say(f"{folder}: a project for audioprep {now.version}, which is the installed one")
    else:
        say(f"{folder}: a project for audioprep {now.version}, before for {before.version}")
    if changed:
        say(f"Stages with new code, which `dvc repro` runs again: {', '.join(changed)}")
    else:
        say("No stage has new code: nothing runs again for that reason")
