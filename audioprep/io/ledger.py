"""What the download stage knows of a corpus, as two files: where its bytes came from, and what it is.

Files    raw/download.json  each archive or folder, its bytes and hashes, and against what they were verified
         raw/about.json     title, licence, variant, official splits with their known leaks
They are apart so that a word changed in a recipe decodes no audio again: resample reads the first one alone.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from audioprep.engine import write_atomically
from audioprep.errors import ShardError
from audioprep.io.layout import Layout

_LEDGER, _ABOUT = "download.json", "about.json"


def write_ledger(layout: Layout, ledger: dict[str, Any], about: dict[str, Any]) -> None:
    """Write both files, the ledger last."""
    for name, values in ((_ABOUT, about), (_LEDGER, ledger)):
        write_atomically(layout.raw / name, json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_ledger(layout: Layout) -> dict[str, Any]:
    """Return where the bytes of the corpus came from.

    Raises:
        ShardError: The ledger is missing or damaged.
    """
    return _read(layout.raw / _LEDGER, "sources")


def read_about(layout: Layout) -> dict[str, Any]:
    """Return what the corpus is.

    Raises:
        ShardError: The file is missing or damaged.
    """
    return _read(layout.raw / _ABOUT, "splits")


def is_verified(sources: Iterable[dict[str, Any]]) -> bool:
    """Tell whether every byte of a corpus was compared with a published hash."""
    return all(source["verified"] for source in sources)


def _read(path: Path, key: str) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        values[key]
    except (OSError, ValueError, KeyError, TypeError):
        raise ShardError(f"{path}: expected a file of the download stage, got none; run that stage") from None
    return values
