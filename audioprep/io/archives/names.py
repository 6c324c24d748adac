"""Names of members: no way out of the archive, nothing that systems add by themselves, no needless top folder."""

from collections.abc import Collection
from pathlib import PurePosixPath

from audioprep.errors import FetchError

# What systems add to archives and folders by themselves, and what is ours beside the archives of a folder.
_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", ".hashes.json")


def checked_name(where: str, path: str) -> str | None:
    """Return the name of a member, with plain slashes, or nothing where a system has added it by itself.

    Args:
        where: The archive or folder, for messages.
        path: The member's path as stored.

    Raises:
        FetchError: It leads outside, or is not UTF-8.
    """
    # `tar -C folder .` stores `./a.wav`, and some Windows programs `a\\b.wav`.
    pure = PurePosixPath(path.replace("\\", "/"))
    if any(part in _JUNK or part.startswith("._") for part in pure.parts):
        return None
    if not path.isprintable() and any(0xD800 <= ord(letter) <= 0xDFFF for letter in path):
        shown = path.encode("utf-8", "backslashreplace").decode()
        raise FetchError(f"{where}: expected file names in UTF-8, got '{shown}'; rename the file")
    if pure.is_absolute() or ".." in pure.parts or (pure.parts and pure.parts[0].endswith(":")):
        raise FetchError(
            f"{where}: expected members inside the archive, got '{path}', which escapes it; do not trust this archive"
        )
    return pure.as_posix()


def common_root(names: Collection[str]) -> str:
    """Return the single top folder that all names share, with its slash, or nothing."""
    first = {name.split("/", 1)[0] for name in names}
    return f"{first.pop()}/" if len(first) == 1 and all("/" in name for name in names) else ""
