"""Files and folders that are whole or not there."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_identity(path: Path) -> dict[str, Any]:
    """Return what an index says of a file: its bytes and its sha256."""
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def fresh_folder(folder: Path) -> Path:
    """Return the folder, empty: what an earlier run left there has no index that vouches for it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, which costs no second copy; copy it where the two places are on different disks.

    Raises:
        FileNotFoundError: There is no such source.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)  # what a symbolic link stands for: the link itself may not last
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that it is either whole or not there."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
