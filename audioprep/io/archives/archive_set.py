"""Archives side by side: their names in one index, and few of them open at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from audioprep.engine import fingerprint
from audioprep.errors import FetchError
from audioprep.io.archives.archive import Archive, SingleFile
from audioprep.io.archives.index import Index
from audioprep.io.archives.members import Member, Place, Source
from audioprep.io.archives.names import checked_name, common_root
from audioprep.io.archives.pieces import open_joined
from audioprep.io.archives.tars import TarArchive, is_compressed
from audioprep.io.archives.zips import ZipArchive

METADATA_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet")

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_HEAD_BYTES = _TAR_MAGIC_AT + len(_TAR_MAGIC)
# Raise it with any change of what an index holds.
_INDEX_VERSION = 1
# Each has one or two open files.
_MAX_OPEN = 16


class ArchiveSet(Source):
    """Zips, tars and single metadata files, any of them in pieces; the first that has a name wins."""

    def __init__(self, where: str, places: Sequence[Place], work: Path) -> None:
        """Index the archives, unless that has been done.

        Args:
            where: What the corpus is read from, for messages.
            places: The archives.
            work: Folder for what is made of them: the index, and compressed tars uncompressed.

        Raises:
            FetchError: One is not there or damaged, or a member's path leads outside it.
        """
        self._where = where
        self._places = tuple(places)
        self._keys = [_key(place) for place in places]
        self._work = work
        self._archives: dict[int, Archive] = {}
        folders = [place.folder for place in places]
        self._index = Index(work / f"{fingerprint('members', _INDEX_VERSION, self._keys, folders)[:16]}.members")
        if not self._index.exists():
            self._index.write(self._rows())

    def names(self) -> Iterator[str]:
        """Return the names of all files."""
        return self._index.names()

    def find(self, name: str) -> Member | None:
        """Return where a file lies."""
        found = self._index.find(name)
        return None if found is None else found[1]

    def digest(self, name: str) -> str | None:
        """Return the checksum that a file's archive holds, or else the archive's own hash, where it is known."""
        found = self._index.find(name)
        if found is None:
            return None
        number, member = found
        sha256 = self._places[number].sha256
        return member.digest or (f"archive:{sha256}" if sha256 else "")

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes."""
        found = self._index.find(name)
        if found is None:
            return None
        number, member = found
        place = self._places[number]
        # Which of several archives it is, without its path: that is of this machine.
        which = "" if place.where == self._where else f" in {Path(place.paths[0]).name}"
        return self._archive(number).read(member, self._where, which)

    def _rows(self) -> Iterator[tuple[str, int, Member]]:
        for number, place in enumerate(self._places):
            found = self._archive(number).members(place.where)
            # Of several members of one name the last one counts: it was appended to replace the others.
            members = {name: member for member in found if (name := checked_name(place.where, member.path)) is not None}
            root = common_root(members)
            for name, member in members.items():
                yield place.prefix + name.removeprefix(root), number, member

    def _archive(self, number: int) -> Archive:
        if number not in self._archives:
            if len(self._archives) >= _MAX_OPEN:
                self._archives.pop(next(iter(self._archives))).close()
            paths = [Path(path) for path in self._places[number].paths]
            plain = self._work / f"{paths[0].stem}.{self._keys[number][:16]}.tar"
            self._archives[number] = _opened(paths, plain)
        return self._archives[number]


def _key(place: Place) -> str:
    """Return what changes whenever the place's files change."""
    files = []
    for path in map(Path, place.paths):
        if not path.is_file():
            raise FetchError(
                f"{path}: expected an archive, found none; run the download stage, or place the file there"
            )
        stat = path.stat()
        files.append((str(path.resolve()), stat.st_size, stat.st_mtime_ns))
    return fingerprint(*files)


def is_archive(path: Path) -> bool:
    """Tell whether a file starts as archives do, or at least is named so."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    is_named = path.name.lower().endswith((".zip", ".tar"))
    return is_named or head.endswith(_TAR_MAGIC) or is_compressed(head) or head.startswith(_ZIP_MAGIC)


def _opened(paths: Sequence[Path], plain: Path) -> Archive:
    """Return an archive of the kind that its bytes, or else its name, show."""
    with open_joined(paths) as file:
        head = file.read(_HEAD_BYTES)
    name = paths[-1].name.lower()
    if head.endswith(_TAR_MAGIC) or is_compressed(head):
        return TarArchive(paths, plain)
    if head.startswith(_ZIP_MAGIC) or name.endswith(".zip"):
        return ZipArchive(paths)
    # A tar of before 1988 has no magic.
    return SingleFile(paths) if len(paths) == 1 and name.endswith(METADATA_SUFFIXES) else TarArchive(paths, plain)
