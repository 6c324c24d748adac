"""A file that is still growing: one process at a time writes it, and the next one can go on with it."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from audioprep.console import say, size_text
from audioprep.engine import try_lock, write_atomically

_POLL_S = 1.0


class NoRoomError(Exception):
    """The disk refuses more bytes."""


class Part:
    """A growing file and what is known of it; whoever holds this object holds the file's lock.

    Attributes:
        path: Where it is, `NAME.part`.
        num_bytes: How much of it is there.
        url: The address it comes from.
        validator: ETag or date by which that address knows its version; None where it gives none.
        num_bytes_whole: How long it will be; None where nobody has said.
        is_joined: Its bytes may not be of one version: an earlier run began it, or a server did not confirm the version.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._notes = path.with_name(f"{path.name}.json")
        self.num_bytes = os.fstat(file.fileno()).st_size
        self.is_joined = self.num_bytes > 0
        notes = self._read_notes()
        self.url: str | None = notes.get("url")
        self.validator: str | None = notes.get("validator")
        self.num_bytes_whole: int | None = notes.get("num_bytes_whole")

    def note(self, url: str, validator: str | None, num_bytes_whole: int | None) -> None:
        """Remember what the next bytes are a part of; before they come, so that a kill leaves no bytes of unknown origin."""
        self.url, self.validator, self.num_bytes_whole = url, validator, num_bytes_whole
        notes = {"num_bytes_whole": num_bytes_whole, "url": url, "validator": validator}
        write_atomically(self._notes, json.dumps(notes, indent=1, sort_keys=True) + "\n")

    def append(self, chunk: bytes) -> None:
        """Write the next bytes through, so that a kill loses none.

        Raises:
            NoRoomError: The disk is full, or the file may not grow.
        """
        rest = memoryview(chunk)
        try:
            while rest:
                num_written = self._file.write(rest)
                self.num_bytes += num_written
                rest = rest[num_written:]
        except OSError as error:
            raise NoRoomError(
                f"{self.path}: expected room for more than {size_text(self.num_bytes)}, got {error.strerror}"
            ) from None

    def restart(self) -> None:
        """Throw away what is there."""
        self._file.truncate(0)
        self.num_bytes, self.is_joined = 0, False
        self.url = self.validator = self.num_bytes_whole = None

    def rename(self, path: Path) -> None:
        """Put what is there on the disk for good and give it another name."""
        os.fsync(self._file.fileno())
        self.path.replace(path)
        self._notes.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Leave nothing behind where nothing has come."""
        if self.num_bytes == 0 and _is_at(self._file, self.path):
            self.path.unlink()
            self._notes.unlink(missing_ok=True)

    def _read_notes(self) -> dict[str, Any]:
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return notes if isinstance(notes, dict) else {}


def part_path(path: Path) -> Path:
    """Return where a file grows."""
    return path.with_name(f"{path.name}.part")


@contextmanager
def locked_part(path: Path, pause: Callable[[float], None]) -> Iterator[Part | None]:
    """Give the growing file to one process at a time; others wait.

    Args:
        path: The name it will have.
        pause: Waits so many seconds.

    Yields:
        The growing file; None where the whole one is there meanwhile.
    """
    growing, is_said = part_path(path), False
    while not path.exists():
        with growing.open("ab", buffering=0) as file:
            if try_lock(file):
                # Another process may have renamed or deleted the file between our opening and our locking it.
                if _is_at(file, growing):
                    part = Part(growing, file)
                    try:
                        yield None if path.exists() else part
                    finally:
                        part.tidy()
                    return
                continue
        if not is_said:
            say(f"{growing}: another process is downloading it; waiting for that")
            is_said = True
        pause(_POLL_S)
    yield None


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
