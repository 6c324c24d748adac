"""Members of zip and tar archives and of folders, read in place: nothing is unpacked.

A member's name is relative to the archive's single top folder, if it has one: a published archive and a
mirror of it may differ in that folder's name.
"""

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from audioprep.engine import file_sha256
from audioprep.errors import FetchError
from audioprep.io.rows import parse_rows

_UNCOMPRESS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
# The digest of a file that is there and cannot be opened.
UNREADABLE = "unreadable"
# What systems add to archives and folders by themselves.
_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Member:
    """One file of an archive.

    Attributes:
        path: Its path as stored.
        num_bytes: Its size.
        digest: The checksum of its content that the archive holds; empty where it holds none (tar, folder).
    """

    path: str
    num_bytes: int
    digest: str


class Members(ABC):
    """The files of one archive or folder, by name."""

    def __init__(self, where: Path, members: Sequence[Member]) -> None:
        kept = [member for member in members if not _is_junk(member.path)]
        for member in kept:
            _check_name(where, member.path)
        # `tar -C folder .` stores `./a.wav`, and some Windows programs `a\\b.wav`.
        names = [PurePosixPath(member.path.replace("\\", "/")).as_posix() for member in kept]
        root = _common_root(names)
        self.where = where
        self._by_name = {name.removeprefix(root): member for name, member in zip(names, kept, strict=True)}

    def names(self) -> list[str]:
        """Return the names of all members, sorted."""
        return sorted(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def member(self, name: str) -> Member:
        """Return what the archive says of one member.

        Raises:
            FetchError: There is no such member.
        """
        if name not in self._by_name:
            raise FetchError(
                f"{self.where}: expected a member '{name}', found none among {len(self._by_name)}; "
                "the archive is incomplete or of another corpus, get it again"
            )
        return self._by_name[name]

    def digest(self, name: str) -> str:
        """Return what identifies one member's content, or nothing where the archive holds no checksums."""
        return self.member(name).digest

    def read(self, name: str) -> bytes:
        """Return one member's bytes.

        Raises:
            FetchError: There is no such member, or its bytes are damaged.
        """
        return self._read(self.member(name))

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a metadata file.

        Raises:
            FetchError: There is no such member.
            DatasetError: It is not of the format that its suffix names.
        """
        return parse_rows(name, self.read(name))

    @abstractmethod
    def _read(self, member: Member) -> bytes: ...


class _ZipMembers(Members):
    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, EOFError) as error:
            raise _damaged(path, "zip", error) from None
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        super().__init__(path, [Member(info.filename, info.file_size, f"crc32:{info.CRC:08x}") for info in infos])

    def _read(self, member: Member) -> bytes:
        try:
            return self._zip.read(member.path)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError) as error:
            raise _damaged(self.where, f"zip at {member.path}", error) from None


class _TarMembers(Members):
    def __init__(self, path: Path) -> None:
        try:
            self._tar = tarfile.open(path, "r:")  # noqa: SIM115 - stays open for the reads to come
            infos = [info for info in self._tar if info.isfile()]
        except (tarfile.TarError, EOFError, OSError) as error:
            raise _damaged(path, "tar", error) from None
        super().__init__(path, [Member(info.name, info.size, "") for info in infos])

    def _read(self, member: Member) -> bytes:
        try:
            file = self._tar.extractfile(member.path)
            return b"" if file is None else file.read()
        except (tarfile.TarError, OSError) as error:
            raise _damaged(self.where, f"tar at {member.path}", error) from None


class FolderMembers(Members):
    """The files below a folder; symbolic links count as what they point to."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise FetchError(f"{root}: expected a folder, found none; give the folder with the audio files")
        walk = os.walk(root, followlinks=True)
        paths = sorted(path for folder, _, names in walk for name in names if (path := Path(folder, name)).is_file())
        self._root = root
        relative = [path.relative_to(root).as_posix() for path in paths]
        super().__init__(root, [Member(name, (root / name).stat().st_size, "") for name in relative])
        # A user's folder is named as it is: `dog/1.wav` stays so even if there is no other class.
        self._by_name = {member.path: member for member in self._by_name.values()}

    def _read(self, member: Member) -> bytes:
        try:
            return (self._root / member.path).read_bytes()
        except OSError as error:
            raise FetchError(f"{self._root / member.path}: expected a readable file, got {error.strerror}") from None

    def digest(self, name: str) -> str:
        """Return the sha256 of one file, or that it cannot be read."""
        try:
            return f"sha256:{file_sha256(self._root / self.member(name).path)}"
        except OSError:
            return UNREADABLE


def open_members(path: Path, work: Path) -> Members:
    """Open an archive or a folder for reading its members in any order.

    Args:
        path: A zip, a tar (plain, or compressed by gzip, bzip2 or xz), or a folder.
        work: Where a compressed tar is uncompressed to, once: its members cannot be reached otherwise.

    Raises:
        FetchError: It is none of these, it is damaged, or a member's path leads outside it.
    """
    if path.is_dir():
        return FolderMembers(path)
    if not path.is_file():
        raise FetchError(f"{path}: expected an archive, found none; run the download stage, or place the file there")
    if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        return _ZipMembers(path)
    return _TarMembers(_plain_tar(path, work))


def _plain_tar(path: Path, work: Path) -> Path:
    with path.open("rb") as file:
        magic = file.read(6)
    opener = next((opener for start, opener in _UNCOMPRESS.items() if magic.startswith(start)), None)
    if opener is None:
        return path
    stat = path.stat()
    plain = work / f"{path.stem}.{stat.st_size}.{stat.st_mtime_ns}.tar"
    if not plain.exists():
        work.mkdir(parents=True, exist_ok=True)
        part = plain.with_suffix(".part")
        try:
            with opener(path) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            part.unlink(missing_ok=True)
            raise _damaged(path, "compressed tar", error) from None
        part.replace(plain)
    return plain


def _damaged(path: Path, kind: str, error: Exception) -> FetchError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return FetchError(f"{path}: expected a whole {kind}, got a damaged one ({reason}); delete it and get it again")


def _is_junk(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return any(part in _JUNK or part.startswith("._") for part in parts)


def _check_name(where: Path, path: str) -> None:
    if not path.isprintable() and any(0xD800 <= ord(letter) <= 0xDFFF for letter in path):
        shown = path.encode("utf-8", "backslashreplace").decode()
        raise FetchError(f"{where}: expected file names in UTF-8, got '{shown}'; rename the file")
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or (pure.parts and pure.parts[0].endswith(":")):
        raise FetchError(
            f"{where}: expected members inside the archive, got '{path}', which escapes it; do not trust this archive"
        )


def _common_root(paths: Sequence[str]) -> str:
    first = {PurePosixPath(path).parts[0] for path in paths if path}
    nested = all("/" in path for path in paths)
    return f"{first.pop()}/" if nested and len(first) == 1 else ""
