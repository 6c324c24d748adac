"""What every kind of archive can do, and the simplest kind: a metadata file that is published by itself."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from audioprep.errors import FetchError
from audioprep.io.archives.members import Member


class Archive(ABC):
    """An archive of one kind; it is opened when it is first needed.

    Attributes:
        kind: What it is called in messages.
        failures: What its library raises where its bytes are damaged.
    """

    kind: ClassVar[str]
    failures: ClassVar[tuple[type[Exception], ...]]

    def __init__(self, paths: Sequence[Path]) -> None:
        """Take an archive.

        Args:
            paths: Its file, or the pieces of it in order.
        """
        self._paths = tuple(paths)

    def members(self, where: str) -> list[Member]:
        """Return all its files.

        Args:
            where: The archive, for messages.

        Raises:
            FetchError: It is damaged.
            OSError: It cannot be read for another reason: a full disk, for example.
        """
        try:
            return list(self._members())
        except self.failures as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise self._damaged(where, "", error) from None

    def read(self, member: Member, where: str, which: str) -> bytes:
        """Return the bytes of one of its files.

        Args:
            member: The file.
            where: What the corpus is read from, for messages.
            which: Words that say which of several archives this is.

        Raises:
            FetchError: It is damaged.
        """
        try:
            return self._read(member)
        except self.failures as error:
            raise self._damaged(where, f" at {member.path}{which}", error) from None

    @abstractmethod
    def close(self) -> None:
        """Close its files."""

    @abstractmethod
    def _members(self) -> Iterable[Member]: ...

    @abstractmethod
    def _read(self, member: Member) -> bytes: ...

    def _damaged(self, where: str, place: str, error: Exception) -> FetchError:
        text = error.strerror if isinstance(error, OSError) else None
        reason = text or " ".join(str(error).split()) or type(error).__name__
        return FetchError(
            f"{where}: expected a whole {self.kind}{place}, got a damaged one ({reason}); delete it and get it again"
        )


class SingleFile(Archive):
    """A file that is its own only member."""

    kind = "file"
    failures = (OSError,)

    def close(self) -> None:
        """Do nothing: it is never open."""

    def _members(self) -> Iterator[Member]:
        (path,) = self._paths
        yield Member(path.name, path.stat().st_size)

    def _read(self, member: Member) -> bytes:  # noqa: ARG002 - there is only one
        (path,) = self._paths
        return path.read_bytes()
