"""What a published file must be, and whether a file that is there is that."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioprep.console import track_bytes
from audioprep.engine import write_atomically
from audioprep.errors import FetchError

_MEMORY_NAME = ".hashes.json"
_CHUNK_BYTES = 1 << 20
_memory_lock = threading.Lock()


@dataclass(frozen=True)
class Wanted:
    """A published file.

    Attributes:
        path: Where it goes; nothing partial or unverified ever gets this name.
        urls: Where it is published, in the order of trying.
        num_bytes: Its published size; None where none is published.
        sha256: Its published hash; None where none is published.
        md5: Its published MD5, which counts where there is no sha256.
    """

    path: Path
    urls: tuple[str, ...] = ()
    num_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None

    @property
    def hash_kind(self) -> str:
        """Name of the hash that counts."""
        return "md5" if self.md5 and not self.sha256 else "sha256"

    @property
    def published_hash(self) -> str | None:
        """The hash that counts; None where none is published."""
        digest = self.sha256 or self.md5
        return digest.lower() if digest else None

    @property
    def published(self) -> str:
        """What it must be, for messages."""
        facts = [f"{self.num_bytes} bytes"] if self.num_bytes is not None else []
        if self.published_hash:
            facts.append(f"{self.hash_kind} {self.published_hash}")
        return " with ".join(facts) or "the published file"

    def wrong_hash(self, hashes: Mapping[str, str]) -> str | None:
        """Return the hash that should be another one, as `sha256 <64 hex digits>`; None where all is well."""
        found = hashes[self.hash_kind]
        return None if self.published_hash in (None, found) else f"{self.hash_kind} {found}"


def verify(wanted: Wanted) -> str:
    """Return the sha256 of a file that is there; it is computed once, and again when the file has changed.

    Args:
        wanted: The file, and what is published of it; its addresses do not matter.

    Raises:
        FetchError: It is not there, or is not what was published.
    """
    path = wanted.path
    if not path.is_file():
        raise FetchError(f"{path}: expected a file, found none; download it again")
    num_bytes = path.stat().st_size
    got = f"{num_bytes} bytes"
    if wanted.num_bytes in (None, num_bytes):
        with track_bytes("checking", {path: num_bytes}) as progress:
            progress.begin(path, 0, num_bytes)
            hashes = hashes_of(wanted, path, lambda num_read: progress.advance(path, num_read))
        wrong = wanted.wrong_hash(hashes)
        if wrong is None:
            return hashes["sha256"]
        got = f"{wrong} ({got})"
    raise FetchError(
        f"{path}: expected {wanted.published}, got {got}; the file is kept: delete it to download it again, or use it as "
        f"it is with --archive {path}"
    )


def hashes_of(wanted: Wanted, path: Path, on_read: Callable[[int], None]) -> dict[str, str]:
    """Return the sha256 of a file, and the hash that counts where that is another one; remembered or computed.

    Args:
        wanted: Says which hash counts.
        path: The file, under whatever name it has at present; hashes are remembered for its name at last.
        on_read: Is told of every so many bytes that are read.
    """
    found = path.stat()
    facts = {"mtime_ns": found.st_mtime_ns, "num_bytes": found.st_size}
    remembered = _read_memory(wanted.path.parent).get(wanted.path.name, {})
    known = remembered if isinstance(remembered, dict) and facts.items() <= remembered.items() else {}
    kinds = [kind for kind in dict.fromkeys(("sha256", wanted.hash_kind)) if kind not in known]
    if kinds:
        known = facts | known | _compute(path, kinds, on_read)
        _remember(wanted.path, known)
    return {kind: known[kind] for kind in ("sha256", wanted.hash_kind)}


def _compute(path: Path, kinds: Sequence[str], on_read: Callable[[int], None]) -> dict[str, str]:
    digests = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            for digest in digests.values():
                digest.update(chunk)
            on_read(len(chunk))
    return {kind: digest.hexdigest() for kind, digest in digests.items()}


def _read_memory(folder: Path) -> dict[str, Any]:
    try:
        memory = json.loads((folder / _MEMORY_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}


def _remember(path: Path, entry: Mapping[str, Any]) -> None:
    # It only saves time: a folder that cannot be written, or another process that forgets our entry, does no harm.
    with _memory_lock, suppress(OSError):
        memory = _read_memory(path.parent) | {path.name: dict(entry)}
        write_atomically(path.parent / _MEMORY_NAME, json.dumps(memory, indent=1, sort_keys=True) + "\n")
