"""Augmented copies of clips: what they are called, and what a folder of them says of itself."""

from pathlib import Path
from typing import Any, NamedTuple

from audioprep.engine import INDEX_NAME, read_index
from audioprep.errors import ShardError


class Copies(NamedTuple):
    """The copies that a corpus has of its clips.

    Attributes:
        num: Of each clip.
        rule: How they were made; empty where there are none.
    """

    num: int
    rule: dict[str, Any]


NO_COPIES = Copies(0, {})


def copy_id(clip_id: str, copy: int) -> str:
    """Return the id of a copy of a clip: `bell-00-a~1`."""
    return f"{clip_id}~{copy}"


def read_copies(folder: Path) -> Copies:
    """Return which copies lie in a folder, `data/<ds>/augmented/<kind>`; one that is not there has none.

    Raises:
        ShardError: Its index is damaged.
    """
    if not (folder / INDEX_NAME).is_file():
        return NO_COPIES
    index = read_index(folder)
    try:
        return Copies(int(index["copies"]), dict(index.get("augment", {})))
    except (LookupError, TypeError, ValueError):
        raise ShardError(f"{folder}: expected an index of copies, got another; run the augment stage again") from None
