"""The files below a folder, as members."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

from audioprep.engine import file_sha256
from audioprep.errors import FetchError
from audioprep.io.archives.members import UNREADABLE, Member, Members, Place, Source
from audioprep.io.archives.names import checked_name


class Folder(Source):
    """The files below a folder; symbolic links count as what they point to.

    It is walked through when names are asked for, and not to read a file: there may be millions.
    """

    def __init__(self, place: Place) -> None:
        """Take a folder.

        Args:
            place: The folder. Its names stay as they are, `dog/1.wav` even if there is no other class.
        """
        self._root = Path(place.paths[0])
        self._prefix = place.prefix

    def names(self) -> Iterator[str]:
        """Return the names of all files."""
        return iter(self._path_of)

    def find(self, name: str) -> Member | None:
        """Return the path and size of a file."""
        path = self._path_of.get(name)
        try:
            return None if path is None else Member(path, (self._root / path).stat().st_size)
        except OSError:
            return None

    def digest(self, name: str) -> str | None:
        """Return the sha256 of a file, or that it cannot be read."""
        path = self._path_of.get(name)
        try:
            return None if path is None else f"sha256:{file_sha256(self._root / path)}"
        except OSError:
            return UNREADABLE

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes."""
        relative = name.removeprefix(self._prefix)
        pure = PurePosixPath(relative)
        if not name.startswith(self._prefix) or str(pure) != relative or pure.is_absolute() or ".." in pure.parts:
            return None
        path = self._root / relative
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise FetchError(f"{path}: expected a readable file, got {error.strerror}; mend or remove it") from None

    @cached_property
    def _path_of(self) -> dict[str, str]:
        where = str(self._root)
        # In a folder a backslash is a letter like any other; between folders it stands in archives only.
        paths = (path for path in self._walk() if checked_name(where, path.replace("\\", "_")) is not None)
        return {self._prefix + path: path for path in paths}

    def _walk(self) -> Iterator[str]:
        start = len(os.path.join(self._root, ""))  # noqa: PTH118 - plain strings here: there may be millions
        for folder, folders, files in os.walk(self._root, followlinks=True, onerror=_refuse):
            folders[:] = [name for name in folders if not _leads_back(Path(folder, name))]
            for name in files:
                if os.path.isfile(path := os.path.join(folder, name)):  # noqa: PTH113, PTH118
                    yield path[start:].replace(os.sep, "/")


class FolderMembers(Members):
    """The files below a folder, named as they are."""

    def __init__(self, root: Path) -> None:
        """Take a folder.

        Raises:
            FetchError: There is none.
        """
        if not root.is_dir():
            raise FetchError(f"{root}: expected a folder, found none; give the folder with the audio files")
        super().__init__(str(root), [Folder(Place((str(root),)))])


def _leads_back(folder: Path) -> bool:
    """Tell whether a link leads to a folder that it lies in: following it would never end."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _refuse(error: OSError) -> None:
    raise FetchError(f"{error.filename}: expected a readable folder, got {error.strerror}; mend its permissions")
