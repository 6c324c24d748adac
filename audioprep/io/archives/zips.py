"""Members of zips: whole, cut into pieces that follow each other, or split into volumes that know of each other.

A split zip says of each member in which volume it starts, and where there; what does not fit into a volume goes on at the
start of the next one. Joined, the volumes are thus a zip whose directory counts from the wrong place, and no more than that.

Source: .ZIP File Format Specification 6.3.10, sections 4.3 (records), 4.5.3 (64-bit sizes) and 8 (splitting).
"""

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from audioprep.errors import FetchError
from audioprep.io.archives.archive import Archive
from audioprep.io.archives.members import Member
from audioprep.io.archives.pieces import JoinedFile, open_joined

try:
    import deflate
except ImportError:  # a processor that it has no wheel for: zlib makes the same bytes, in twice the time
    deflate = None  # type: ignore[assignment]

# Signature and layout of the records that are read here; all numbers are little-endian.
_HEADER, _HEADER_BYTES = b"PK\x03\x04", 30
_ENTRY, _ENTRY_FIELDS = b"PK\x01\x02", struct.Struct("<4s6H3L5H2L")
_END, _END_FIELDS = b"PK\x05\x06", struct.Struct("<4s4H2LH")
_LOCATOR, _LOCATOR_FIELDS = b"PK\x06\x07", struct.Struct("<4sLQL")
_END64, _END64_FIELDS = b"PK\x06\x06", struct.Struct("<4sQ2H2L4Q")
_MAX_COMMENT_BYTES = 0xFFFF
_MAX_MEMBER_BYTES = 1 << 40
_MAX_DEFLATE_RATIO = 1032  # 258 bytes from two bits
_ZIP64_EXTRA = 0x0001
# A name's encoding: a flag of the zip, and one of ours, beyond its 16, for a name that is UTF-8 and does not say so.
_NAME_IS_UTF8, _NAME_LOOKS_UTF8, _ZIP_FLAGS = 0x800, 0x10000, 0xFFFF
# A directory of no entries: it lets zipfile open a file of which it need not know the members.
_NO_ENTRIES = _END + bytes(_END_FIELDS.size - len(_END))


@dataclass(frozen=True)
class _End:
    """Where the directory of a zip lies.

    Attributes:
        position: Where it ends in the joined file.
        num_bytes: Its size.
        disk: The volume that it starts in.
        start: Where it starts there.
        last_disk: The last volume; the first one is 0.
    """

    position: int
    num_bytes: int
    disk: int
    start: int
    last_disk: int


class ZipArchive(Archive):
    """A zip; zipfile reads its members, and is told where they are."""

    kind = "zip"
    # zipfile raises RuntimeError for a member that needs a password, or a method that it does not know.
    failures: ClassVar = (
        zipfile.BadZipFile,
        zlib.error,
        *((deflate.DeflateError,) if deflate else ()),
        lzma.LZMAError,
        struct.error,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        RuntimeError,
    )

    def close(self) -> None:
        """Close the zip, if it is open."""
        if "_opened" in self.__dict__:
            zip_, file = self._opened
            zip_.close()
            file.close()

    def _members(self) -> Iterator[Member]:
        joined = JoinedFile(self._paths)
        with io.BufferedReader(joined) as file:
            end = _find_end(file, self._paths, joined.starts)
            # Bytes before a zip, a program that unpacks it for example, shift all that it says.
            shift = 0 if end.last_disk else end.position - end.num_bytes - end.start
            if shift < 0 or joined.starts[end.disk] + shift + end.start + end.num_bytes != end.position:
                raise zipfile.BadZipFile("its directory is not where it should be")
            limit = file.seek(end.position - end.num_bytes)
            directory = file.read(end.num_bytes)
            checked = set() if end.last_disk else {0}
            for member, disk in _entries(directory, end.last_disk, [start + shift for start in joined.starts], limit):
                if disk not in checked:
                    checked.add(disk)
                    _check_header(file, self._paths, disk, member)
                if not member.path.endswith(("/", "\\")):
                    yield member

    def _read(self, member: Member) -> bytes:
        is_utf8 = member.flags & _NAME_IS_UTF8
        # What zipfile makes of the name beside the member, which it compares.
        info = zipfile.ZipInfo(member.path if is_utf8 else _stored_name(member).decode("cp437"))
        info.header_offset = member.start
        info.compress_size, info.file_size = member.stored_bytes, member.num_bytes
        info.compress_type, info.flag_bits = member.method, member.flags & _ZIP_FLAGS
        crc = int(member.digest.removeprefix("crc32:"), 16)
        if member.method != zipfile.ZIP_DEFLATED:
            info.CRC = crc
            with self._opened[0].open(info) as file:
                return file.read()
        info.compress_type, info.file_size = zipfile.ZIP_STORED, member.stored_bytes
        with self._opened[0].open(info) as file:
            return _inflated(file.read(), member, crc)

    @cached_property
    def _opened(self) -> tuple[zipfile.ZipFile, BinaryIO]:
        file = open_joined(self._paths, _NO_ENTRIES)
        return zipfile.ZipFile(file), file


def _inflated(deflated: bytes, member: Member, crc: int) -> bytes:
    """Return a member's bytes; no more of them are made than the directory says there are."""
    if member.num_bytes > _MAX_DEFLATE_RATIO * len(deflated):
        raise EOFError(f"{len(deflated)} bytes cannot hold {member.num_bytes}")
    if deflate:
        data = bytes(deflate.deflate_decompress(deflated, member.num_bytes))
    else:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, max(1, member.num_bytes))
    if len(data) != member.num_bytes:
        raise EOFError(f"{len(data)} of {member.num_bytes} bytes")
    if (deflate or zlib).crc32(data) != crc:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {member.path!r}")
    return data


def _find_end(file: BinaryIO, paths: Sequence[Path], starts: Sequence[int]) -> _End:
    """Return where the directory lies, and see that all volumes are there."""
    position = _end_position(file)
    _, this_disk, disk, _, _, num_bytes, start, _ = _unpack(file, position, _END_FIELDS, _END)
    file.seek(max(0, position - _LOCATOR_FIELDS.size))
    if file.read(len(_LOCATOR)) == _LOCATOR:
        locator_at = position - _LOCATOR_FIELDS.size
        _, disk64, offset64, num_disks = _unpack(file, locator_at, _LOCATOR_FIELDS, _LOCATOR)
        _check_volumes(paths, num_disks)
        position = starts[disk64] + offset64
        if num_disks <= 1:  # where it says, or shifted by bytes before the zip: in both cases here
            position = locator_at - _END64_FIELDS.size
        _, _, _, _, this_disk, disk, _, _, num_bytes, start = _unpack(file, position, _END64_FIELDS, _END64)
    _check_volumes(paths, this_disk + 1)
    return _End(position, num_bytes, disk, start, this_disk)


def _end_position(file: BinaryIO) -> int:
    num_bytes = file.seek(0, 2)
    tail_start = file.seek(max(0, num_bytes - _END_FIELDS.size - _MAX_COMMENT_BYTES))
    tail = file.read()
    found = tail.rfind(_END, 0, len(tail) - _END_FIELDS.size + len(_END))
    last = found
    while found >= 0:  # what looks like an end may be part of its comment
        comment_at = found + _END_FIELDS.size
        if len(tail) - comment_at == int.from_bytes(tail[comment_at - 2 : comment_at], "little"):
            return tail_start + found
        found = tail.rfind(_END, 0, found)
    if last < 0:
        raise zipfile.BadZipFile("it has no end")
    return tail_start + last


def _entries(directory: bytes, last_disk: int, starts: Sequence[int], limit: int) -> Iterator[tuple[Member, int]]:
    """Yield every entry of a directory, with its start in the joined file, and the volume that this lies in.

    Args:
        directory: Its bytes.
        last_disk: The last volume.
        starts: Where the volumes start in the joined file.
        limit: Where all members have ended.
    """
    at = 0
    while at < len(directory):
        fields = _ENTRY_FIELDS.unpack_from(directory, at)
        signature, _, _, flags, method, _, _, crc, *rest = fields
        stored_bytes, num_bytes, name_bytes, extra_bytes, comment_bytes, disk, _, _, start = rest
        if signature != _ENTRY:
            raise zipfile.BadZipFile("its directory is damaged")
        at += _ENTRY_FIELDS.size
        name, extra = directory[at : at + name_bytes], directory[at + name_bytes : at + name_bytes + extra_bytes]
        at += name_bytes + extra_bytes + comment_bytes
        if at > len(directory):
            raise zipfile.BadZipFile("its directory is cut off")
        num_bytes, stored_bytes, start, disk = _with_zip64(extra, num_bytes, stored_bytes, start, disk)
        if disk > last_disk:
            raise zipfile.BadZipFile(f"it places a file in volume {disk + 1} of {last_disk + 1}")
        if starts[disk] + start + stored_bytes > limit or num_bytes > _MAX_MEMBER_BYTES:
            raise zipfile.BadZipFile("it places a file beyond its end")
        path, flags = _decoded(name, flags)
        yield Member(path, num_bytes, f"crc32:{crc:08x}", starts[disk] + start, stored_bytes, method, flags), disk


def _with_zip64(extra: bytes, *values: int) -> list[int]:
    """Return sizes, start and volume of an entry; what is too large for its field stands in the extra ones, in this order."""
    full = list(values)
    while len(extra) >= 4:
        kind, num_bytes = struct.unpack("<2H", extra[:4])
        if kind == _ZIP64_EXTRA:
            at = 4
            for index, field in enumerate("QQQL"):
                if values[index] == (0xFFFF if field == "L" else 0xFFFFFFFF):
                    (full[index],) = struct.unpack_from(f"<{field}", extra, at)
                    at += struct.calcsize(f"<{field}")
        extra = extra[4 + num_bytes :]
    return full


def _decoded(name: bytes, flags: int) -> tuple[str, int]:
    """Return a name, and the flags of its encoding: most systems write UTF-8 without saying so, old ones code page 437."""
    try:
        return name.decode("utf-8"), flags | _NAME_LOOKS_UTF8
    except UnicodeDecodeError:
        if flags & _NAME_IS_UTF8:
            raise
        return name.decode("cp437"), flags


def _stored_name(member: Member) -> bytes:
    return member.path.encode("utf-8" if member.flags & _NAME_LOOKS_UTF8 else "cp437")


def _check_volumes(paths: Sequence[Path], num_disks: int) -> None:
    # Pieces of a zip that was cut without its knowing are one disk.
    if num_disks <= 1 or num_disks == len(paths):
        return
    last = paths[-1]
    there = {path.suffix.lower() for path in paths[:-1]}
    wanted = [f".z{number:02d}" for number in range(1, num_disks)]
    missing = [last.with_suffix(suffix).name for suffix in wanted if suffix not in there]
    remedy = f"place {', '.join(missing[:5])} beside it" if missing else "get all of them again, of one version"
    raise FetchError(f"{last}: expected the {num_disks} volumes of a split zip, got {len(paths)}; {remedy}")


def _check_header(file: BinaryIO, paths: Sequence[Path], disk: int, member: Member) -> None:
    """See that a volume holds what the directory places in it; its name alone says nothing."""
    name = _stored_name(member)
    file.seek(member.start)
    header = file.read(_HEADER_BYTES + len(name))
    if header[:4] != _HEADER or header[_HEADER_BYTES:] != name:
        raise FetchError(
            f"{paths[disk]}: expected volume {disk + 1} of a split zip with the start of {member.path}, found something else "
            "there; it is damaged, or in the place of another one: get it again"
        )


def _unpack(file: BinaryIO, position: int, fields: struct.Struct, signature: bytes) -> tuple[Any, ...]:
    file.seek(position)
    data = file.read(fields.size)
    if len(data) < fields.size or data[:4] != signature:
        raise zipfile.BadZipFile("its end is damaged")
    return fields.unpack(data)
