"""From the ledger to the archives and folders on this machine."""

from pathlib import Path
from typing import Any

from audioprep.errors import FetchError
from audioprep.io.archives import Place
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_ledger


def source_places(layout: Layout, root: str | None) -> list[Place]:
    """Return the archives and folders that the corpus is read from.

    Args:
        layout: Where the corpus lies.
        root: The folder, for a corpus that is one.

    Raises:
        FetchError: One of them is not on this machine.
    """
    ledger = read_ledger(layout)
    places = [to_place(source, layout.archives / ledger["store"], root) for source in ledger["sources"]]
    missing = [path for place in places for path in place.paths if not Path(path).exists()]
    if missing:
        more = f", and {len(missing) - 1} more of its files" if len(missing) > 1 else ""
        raise FetchError(
            f"{missing[0]}: expected what {layout.dataset} was listed from{more}, found none; "
            f"`audioprep prepare {layout.dataset}` gets it, or place it there"
        )
    return places


def to_place(source: dict[str, Any], store: Path, root: str | None) -> Place:
    """Return a source of the ledger as a place on this machine.

    Args:
        source: One of the ledger's sources.
        store: Folder of the corpus's archives.
        root: The user's folder, for a source that is one or lies in one.
    """
    base = Path(root or "").expanduser() if source["in_root"] else store
    names = [file["name"] for file in source["files"]] or [""]
    return Place(tuple(str(base / name) for name in names), source["folder"], source["sha256"])
