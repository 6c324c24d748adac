"""Members of tars, plain or compressed."""

import bz2
import gzip
import lzma
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from audioprep.io.archives.archive import Archive
from audioprep.io.archives.members import Member
from audioprep.io.archives.pieces import open_joined

_UNCOMPRESS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_MAX_MAGIC_BYTES = max(map(len, _UNCOMPRESS))


class TarArchive(Archive):
    """A tar; its headers are read once, from end to end, and never its members' bytes."""

    kind = "tar"
    failures: ClassVar = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)

    def __init__(self, paths: Sequence[Path], plain: Path) -> None:
        """Take a tar.

        Args:
            paths: Its pieces.
            plain: Where it is uncompressed to, if it is compressed: its members cannot be reached otherwise.
        """
        super().__init__(paths)
        self._plain = plain

    def close(self) -> None:
        """Close the tar, if it is open."""
        if "_file" in self.__dict__:
            self._file.close()

    def _members(self) -> Iterable[Member]:
        found: dict[str, Member] = {}
        with tarfile.open(fileobj=self._file, mode="r:") as tar:
            for info in tar:
                if info.issparse():
                    raise tarfile.ReadError(f"{info.name} is sparse: pack it without --sparse")
                if info.isfile():
                    found[info.name] = Member(info.name, info.size, start=info.offset_data)
                elif info.islnk() and info.linkname in found:  # a hard link is the file that it links to
                    found[info.name] = replace(found[info.linkname], path=info.name)
        return found.values()

    def _read(self, member: Member) -> bytes:
        self._file.seek(member.start)
        data = self._file.read(member.num_bytes)
        if len(data) < member.num_bytes:
            raise EOFError("unexpected end of data")
        return data

    @cached_property
    def _file(self) -> BinaryIO:
        file = open_joined(self._paths)
        opener = _uncompressor(file.read(_MAX_MAGIC_BYTES))
        if opener is None:
            file.seek(0)
            return file
        file.close()
        if not self._plain.exists():
            _uncompress(self._paths, opener, self._plain)
        return open_joined([self._plain])


def is_compressed(head: bytes) -> bool:
    """Tell from its first bytes whether a file is compressed as tars are."""
    return _uncompressor(head) is not None


def _uncompressor(head: bytes) -> Callable[[Any], Any] | None:
    return next((opener for start, opener in _UNCOMPRESS.items() if head.startswith(start)), None)


def _uncompress(paths: Sequence[Path], opener: Callable[[Any], Any], plain: Path) -> None:
    plain.parent.mkdir(parents=True, exist_ok=True)
    part = plain.with_suffix(".part")
    try:
        with open_joined(paths) as packed, opener(packed) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        part.replace(plain)
    finally:
        part.unlink(missing_ok=True)
