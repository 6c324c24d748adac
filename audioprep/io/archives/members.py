"""What a corpus is read from, and its files by name, wherever they lie."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from audioprep.errors import AudioError, DatasetError, FetchError
from audioprep.io import audio
from audioprep.io.rows import parse_rows

# The digest of a file that is there and cannot be opened.
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Place:
    """An archive, a single metadata file, or a folder.

    Attributes:
        paths: One file, the pieces of one in order (of a split zip the `.zip` last), or one folder.
        folder: Where its files lie in the corpus, once its own single top folder is taken off.
        sha256: Of the archive: what identifies members that have no checksum of their own.
    """

    paths: tuple[str, ...]
    folder: str = ""
    sha256: str = ""

    @property
    def where(self) -> str:
        """Its name in messages."""
        return first_and_more(self.paths)

    @property
    def prefix(self) -> str:
        """What stands before the names of its files."""
        return f"{self.folder.strip('/')}/" if self.folder else ""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive or folder.

    Attributes:
        path: Its path as stored.
        num_bytes: Its size.
        digest: The checksum of its content that the archive holds; empty where it holds none (tar, folder).
        start: Where it starts in the archive: its bytes in a tar, its header in a zip.
        stored_bytes: Its size in a zip, compressed.
        method: How a zip has compressed it.
        flags: How a zip has stored it.
    """

    path: str
    num_bytes: int
    digest: str = ""
    start: int = 0
    stored_bytes: int = 0
    method: int = 0
    flags: int = 0


class Source(ABC):
    """A folder, or archives side by side; None means that it has no file of the name."""

    @abstractmethod
    def names(self) -> Iterable[str]:
        """Return the names of all files."""

    @abstractmethod
    def find(self, name: str) -> Member | None:
        """Return what is known of a file without reading it."""

    @abstractmethod
    def digest(self, name: str) -> str | None:
        """Return what identifies a file's content."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return a file's bytes."""


class Members:
    """The files of a corpus by name, from one or several places; the first that has a name wins.

    Attributes:
        where: The places, for messages. Every error in reading a member of an archive begins with it.
    """

    def __init__(self, where: str, sources: Sequence[Source]) -> None:
        self.where = where
        self._sources = tuple(sources)

    def names(self) -> list[str]:
        """Return the names of all members, sorted."""
        return sorted({name for source in self._sources for name in source.names()})

    def __contains__(self, name: str) -> bool:
        return any(source.find(name) is not None for source in self._sources)

    def member(self, name: str) -> Member:
        """Return what is known of one member without reading it.

        Raises:
            FetchError: There is no such member.
        """
        for source in self._sources:
            if (member := source.find(name)) is not None:
                return member
        raise self._missing(name)

    def digest(self, name: str) -> str:
        """Return what identifies one member's content: its checksum, or its archive's hash where that is known.

        Raises:
            FetchError: There is no such member.
        """
        for source in self._sources:
            if (digest := source.digest(name)) is not None:
                return digest
        raise self._missing(name)

    def read(self, name: str) -> bytes:
        """Return one member's bytes.

        Raises:
            FetchError: There is no such member, or its bytes are damaged.
        """
        for source in self._sources:
            if (data := source.read(name)) is not None:
                return data
        raise self._missing(name)

    def rows(self, name: str, separator: str | None = None) -> list[dict[str, Any]]:
        """Return the rows of a metadata file.

        Args:
            name: The member.
            separator: What stands between its columns, where the suffix does not say or misleads.

        Raises:
            FetchError: There is no such member.
            DatasetError: It is not of the format that its suffix names.
        """
        return parse_rows(name, self.read(name), separator)

    def text(self, name: str) -> str:
        """Return a text file, decoded as UTF-8, with or without a byte-order mark.

        Raises:
            FetchError: There is no such member.
            DatasetError: It is not UTF-8.
        """
        try:
            return self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            found = f"byte 0x{error.object[error.start]:02x} at {error.start}"
            raise DatasetError(f"{name}: expected text in UTF-8, got {found}; save it as UTF-8") from None

    def duration_s(self, name: str) -> float:
        """Return the length of an audio file.

        Raises:
            FetchError: There is no such member.
            AudioError: It does not hold usable audio.
        """
        try:
            return audio.duration_s(self.read(name))
        except AudioError as error:
            raise AudioError(error.status, f"{name}: {error.reason}") from None

    def _missing(self, name: str) -> FetchError:
        return FetchError(
            f"{self.where}: expected a member '{name}', found none among {len(self.names())}; "
            "the archive is incomplete or of another corpus, get it again"
        )


def first_and_more(names: Sequence[str]) -> str:
    """Return the first of several names and how many there are besides."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}" if names else "no place"
