"""Where every member of a set of archives lies, remembered in a file: millions of names need no memory, and no second look."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import fields
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from audioprep.errors import FetchError
from audioprep.io.archives.members import Member

_FIELDS = [field.name for field in fields(Member)]
_COLUMNS = ", ".join(_FIELDS)
_VALUES = ", ".join("?" * (len(_FIELDS) + 2))
_values_of = attrgetter(*_FIELDS)


class Index:
    """A table of members by name; it is read by several processes at once, and never changed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        """Tell whether it has been written; if so, it is whole."""
        return self._path.exists()

    def write(self, rows: Iterable[tuple[str, int, Member]]) -> None:
        """Write the table.

        Args:
            rows: Name, number of the archive and member; of several of one name the first one counts.

        Raises:
            FetchError: It cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.unlink(missing_ok=True)
        try:
            with closing(_connect(part, "nolock=1")) as table:
                table.execute("PRAGMA journal_mode = OFF")
                table.execute(f"CREATE TABLE members (name TEXT PRIMARY KEY, archive, {_COLUMNS}) WITHOUT ROWID")
                flat = ((name, number, *_values_of(member)) for name, number, member in rows)
                table.executemany(f"INSERT OR IGNORE INTO members VALUES ({_VALUES})", flat)  # noqa: S608 - only marks
                table.commit()
            part.replace(self._path)
        except sqlite3.Error as error:
            raise FetchError(
                f"{self._path}: expected to write it, got {error}; check permissions and free space"
            ) from None
        finally:
            part.unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """Return all names, sorted."""
        return (name for (name,) in self._ask("SELECT name FROM members ORDER BY name"))

    def find(self, name: str) -> tuple[int, Member] | None:
        """Return the number of the archive that has a member, and where it lies there."""
        rows = self._ask(f"SELECT archive, {_COLUMNS} FROM members WHERE name = ?", name)  # noqa: S608 - our own columns
        return (rows[0][0], Member(*rows[0][1:])) if rows else None

    def _ask(self, query: str, *values: str) -> list[Any]:
        try:
            return self._table.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise FetchError(
                f"{self._path}: expected an index of members, got {error}; delete it and run again"
            ) from None

    @cached_property
    def _table(self) -> sqlite3.Connection:
        return _connect(self._path, "mode=ro&immutable=1")


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?{options}", uri=True)
