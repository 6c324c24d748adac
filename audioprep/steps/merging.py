"""Merge drivers for git: two branches that each add a corpus meet in dvc.lock and params.yaml without a conflict.

dvc.lock is merged stage by stage. Each entry says: these inputs gave these outputs. That stays true whichever branch it
comes from, and DVC compares it with what is there: a mixture of entries can make a stage run again, and nothing worse.
params.yaml is merged corpus by corpus under `recipes`, with the union of `datasets`, and line by line elsewhere.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audioprep.console import say
from audioprep.errors import ShareError
from audioprep.io.sections import Sections, split_sections

# driver in .gitattributes: command
DRIVERS = {"dvc-lock": "merge-lock", "dvc-params": "merge-params"}
_LOCK_HEAD = re.compile(r"schema: (['\"])2\.0\1\nstages:\n")
_DATASETS = re.compile(r"^datasets: *\[(?P<names>[^\]\n]*)\](?P<rest> *(#.*)?)$", re.MULTILINE)


@dataclass(frozen=True)
class Versions:
    """The three versions of a text in a merge."""

    base: str
    ours: str
    theirs: str

    @property
    def settled(self) -> str | None:
        """What the merge is where one side has changed nothing; None where both have."""
        if self.theirs in (self.ours, self.base):
            return self.ours
        return self.theirs if self.ours == self.base else None


def merge_lock(base: Path, ours: Path, theirs: Path) -> None:
    """Merge dvc.lock as git asks its driver to; the result goes into `ours`.

    A stage that both sides have changed keeps our entry, without conflict markers, which DVC could not read.

    Args:
        base: The version of the common ancestor; empty if it had none.
        ours: The version of the current branch.
        theirs: The version of the other branch.

    Raises:
        ShareError: A stage was changed on both sides, or a file is no dvc.lock, which leaves git's own conflict markers.
    """
    versions = _read(base, ours, theirs)
    locks = [_as_lock(text) for text in (versions.base, versions.ours, versions.theirs)]
    if any(lock is None for lock in locks):
        merged, is_clean = _merge_lines(versions)
        ours.write_text(merged, encoding="utf-8")
        if not is_clean:
            raise ShareError("dvc.lock: expected stages, got a text of another kind; mend the conflicts marked in it")
        return
    old, our, other = (lock for lock in locks if lock is not None)
    blocks, clashes = _union(old.blocks, our.blocks, other.blocks)
    ours.write_text(Sections(our.head or other.head, blocks, "").text() if blocks else "", encoding="utf-8")
    if clashes:
        raise ShareError(
            f"dvc.lock: expected each stage to be changed on one side, got both for {', '.join(clashes)}; ours are kept: "
            "run dvc repro, which makes what is not up to date, then git add dvc.lock"
        )


def merge_params(base: Path, ours: Path, theirs: Path) -> None:
    """Merge params.yaml as git asks its driver to; the result goes into `ours`.

    Args:
        base: The version of the common ancestor; empty if it had none.
        ours: The version of the current branch.
        theirs: The version of the other branch.

    Raises:
        ShareError: Both sides have changed the same lines; git's conflict markers are in them.
    """
    versions = _with_one_list(_read(base, ours, theirs))
    sections = [split_sections(text, "recipes") for text in (versions.base, versions.ours, versions.theirs)]
    if any(section is None for section in sections):
        merged, is_clean = _merge_lines(versions)
    else:
        merged, is_clean = _merge_sections(*(section for section in sections if section is not None))
    ours.write_text(merged, encoding="utf-8")
    if not is_clean:
        raise ShareError(
            "params.yaml: expected each line to be changed on one side, got both; mend the lines marked in it"
        )


def install_drivers() -> None:
    """Tell git in this clone about the drivers that .gitattributes names, and say so; a clone never brings them along."""
    attributes = Path(".gitattributes")
    text = attributes.read_text(encoding="utf-8") if attributes.is_file() else ""
    # By name, so that another environment will do; by its whole path where git runs without one, from an editor say.
    program = f'"$(command -v audioprep || echo {shlex.quote(str(_program()))})"'
    for driver, name in DRIVERS.items():
        key, value = f"merge.{driver}.driver", f"{program} {name} %O %A %B"
        if f"merge={driver}" not in text or _git("config", key).stdout.strip() == value:
            continue
        if _git("config", key, value).returncode == 0:
            say(f"$ {shlex.join(['git', 'config', key, value])}")


def _program() -> Path:
    """Return our command with its whole path."""
    program = Path(sys.executable).with_name("audioprep")
    return program if program.exists() else Path("audioprep")


def _read(base: Path, ours: Path, theirs: Path) -> Versions:
    texts = (path.read_text(encoding="utf-8") for path in (base, ours, theirs))
    # Without its end a last line would run into the first one of what is put behind it.
    return Versions(*(text if text.endswith("\n") or not text else f"{text}\n" for text in texts))


def _as_lock(text: str) -> Sections | None:
    """Split a dvc.lock into its stages; a file that is not there yet has none."""
    if not text.strip():
        return Sections("", {}, "")
    lock = split_sections(text, "stages")
    return lock if lock is not None and _LOCK_HEAD.match(lock.head) and not lock.tail else None


def _union(
    base: Mapping[str, str], ours: Mapping[str, str], theirs: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Merge entries by name; return them, and the names of those that both sides have changed, where ours stand."""
    merged, clashes = {}, []
    for name in dict.fromkeys((*ours, *theirs)):
        entry = Versions(base.get(name, ""), ours.get(name, ""), theirs.get(name, ""))
        if entry.settled is None:
            clashes.append(name)
        # What one side has deleted and the other has changed stays.
        text = entry.ours or entry.theirs if entry.settled is None else entry.settled
        if text:
            merged[name] = text
    return merged, clashes


def _merge_sections(base: Sections, ours: Sections, theirs: Sections) -> tuple[str, bool]:
    blocks, clashes = _union(base.blocks, ours.blocks, theirs.blocks)
    head, is_clean = _merge_lines(Versions(base.head, ours.head, theirs.head))
    for name in clashes:
        texts = (side.blocks.get(name, "") for side in (base, ours, theirs))
        blocks[name], is_clean_here = _merge_lines(Versions(*texts))
        is_clean = is_clean and is_clean_here
    tail, is_clean_here = _merge_lines(Versions(base.tail, ours.tail, theirs.tail))
    return Sections(head, blocks, tail).text(), is_clean and is_clean_here


def _with_one_list(versions: Versions) -> Versions:
    """Put the union of the three `datasets: [...]` into all versions, so that no line of it differs."""
    texts = (versions.base, versions.ours, versions.theirs)
    lines = [_DATASETS.search(text) for text in texts]
    found = [line for line in lines if line is not None]
    if len(found) < len(texts):
        return versions
    base, ours, theirs = ([name.strip() for name in line["names"].split(",") if name.strip()] for line in found)
    kept = [name for name in ours if name in theirs or name not in base]
    names = ", ".join([*kept, *(name for name in theirs if name not in ours and name not in base)])
    comment = found[1]["rest"].strip()
    # The comment stays in its column where it can.
    start = f"datasets: [{names}]"
    column = found[1].group().index(comment) if comment else 0
    line = f"{start.ljust(column - 1)} {comment}" if comment else start
    return Versions(*(text[: old.start()] + line + text[old.end() :] for text, old in zip(texts, found, strict=True)))


def _merge_lines(versions: Versions) -> tuple[str, bool]:
    """Merge as git does without a driver; return the text, with conflict markers where need be, and whether it has none."""
    if versions.settled is not None:
        return versions.settled, True
    with tempfile.TemporaryDirectory() as folder:
        names = ("ours", "base", "theirs")  # in the order that git takes them
        for name in names:
            Path(folder, name).write_text(getattr(versions, name), encoding="utf-8")
        labels = (argument for name in names for argument in ("-L", name))
        result = _git("merge-file", "-p", *labels, *(str(Path(folder, name)) for name in names))
    return result.stdout, result.returncode == 0


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
