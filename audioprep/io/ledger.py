"""The ledger of the download stage: what a corpus is, where its bytes came from, and against what they were verified."""

import json
from pathlib import Path
from typing import Any

from audioprep.engine import write_atomically
from audioprep.errors import FetchError, ShardError
from audioprep.io.layout import Layout

_NAME = "download.json"


def write_ledger(layout: Layout, ledger: dict[str, Any]) -> None:
    """Write the ledger; the last file of its folder."""
    write_atomically(layout.raw / _NAME, json.dumps(ledger, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_ledger(layout: Layout) -> dict[str, Any]:
    """Return the ledger.

    Raises:
        ShardError: There is none, or it is damaged.
    """
    path = layout.raw / _NAME
    try:
        ledger: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ShardError(f"{path}: expected the ledger of the download stage, got none; run that stage") from None
    return ledger


def source_path(layout: Layout, root: str | None) -> Path:
    """Return the archive or folder that the corpus is read from.

    Args:
        layout: Where the corpus lies.
        root: The folder, for a corpus that is one.

    Raises:
        FetchError: The archive or folder is not on this machine.
    """
    ledger = read_ledger(layout)
    source = ledger["source"]
    path = Path(root).expanduser() if root and source["origin"] == "folder" else layout.archives / source["name"]
    if not path.exists():
        raise FetchError(
            f"{path}: expected the {source['origin']} source of {layout.dataset} (sha256 {source.get('sha256', 'of each file')}), "
            f"found none; `audioprep prepare {layout.dataset}` gets it, or place it there"
        )
    return path
