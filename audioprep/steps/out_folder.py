"""A folder of --out, where a corpus is prepared without DVC: who may write there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from audioprep.engine import try_lock
from audioprep.errors import DatasetError
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_ledger

# Each is lost to a run that ends in that moment.
_MAX_ATTEMPTS = 100


@contextmanager
def alone_in(layout: Layout) -> Iterator[None]:
    """Keep a second run out of a folder of --out: the stages empty the folders that they write.

    Raises:
        DatasetError: Another run is at work there.
    """
    lock = layout.work.parent / "lock"
    with _locked(lock, layout.data):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
            for folder in (layout.work, lock.parent, layout.data):  # those of a run that was refused are empty
                with suppress(OSError):
                    folder.rmdir()


def check_out(name: str, layout: Layout, root: Path | None) -> None:
    """Refuse a folder that holds anything but this corpus: the stages empty the folders that they write.

    Args:
        name: The corpus.
        layout: Where it is to lie.
        root: The user's folder, if the corpus is read from one.

    Raises:
        DatasetError: It is so, or the folder lies in the user's, or around it.
    """
    out = layout.data
    if root and (out == root or out in root.parents or root in out.parents):
        raise DatasetError(
            f"{out}: expected --out apart from --root {root}, got one inside the other; give another --out"
        )
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    is_ours = (layout.raw / "download.json").is_file() and read_ledger(layout)["dataset"] == name
    if found - {"archives", ".audioprep"} and not is_ours:
        raise DatasetError(
            f"{out}: expected a new folder or one that holds {name}, got other files; give another --out"
        )
    linked = [path for path in sorted(found) if (out / path).is_symlink() and path != "archives"]
    if linked:
        raise DatasetError(
            f"{out / linked[0]}: expected a folder, which its stage can empty, got a link to {(out / linked[0]).readlink()}; "
            "put the folder itself there, or give another --out"
        )


def _locked(lock: Path, out: Path) -> IO[Any]:
    """Return the lock file, open and locked: the one that stands there, not one that a run which ends has removed."""
    for number in range(_MAX_ATTEMPTS):
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            file = lock.open("a")
        except (FileNotFoundError, FileExistsError):  # the folder is going as well
            if number == _MAX_ATTEMPTS - 1:
                raise
            continue
        if not try_lock(file):
            file.close()
            break
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                return file
        file.close()
    raise DatasetError(f"{out}: expected no other run there, got one that is at work; wait until it has ended")
