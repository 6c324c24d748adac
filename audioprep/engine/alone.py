"""One run at a time: the stages empty the folders that they write."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from audioprep.errors import ShardError


def try_lock(file: IO[Any]) -> bool:
    """Lock a file until it is closed; tell whether no other process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, as on some clusters: better unlocked than not at all
        return True
    return True


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Keep a second run out for as long as this one lasts, however it ends.

    Args:
        lock: The file that stands for it; it stays, as deleting it would let a third run in beside a second.

    Raises:
        ShardError: Another run is at work.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="utf-8") as file:
        if not try_lock(file):
            file.seek(0)
            raise ShardError(
                f"{lock}: expected no other run, got {file.read().strip() or 'one'} at work; wait until it has ended"
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
