"""What a shard task is: its place, its fingerprint, and the shard that it becomes."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioprep.errors import ShardError, summarise

# A shard function gets the task's arguments and an empty folder, writes the shard's files there, and
# returns how many rows they hold.
ShardFunction = Callable[[Any, Path], int]

# How a shard came to be there, as the run log says it.
COMPUTED, CACHE, RESUMED = "computed", "cache", "resumed"


@dataclass(frozen=True)
class ShardTask:
    """One shard to be made."""

    index: int
    fingerprint: str
    arguments: Any


@dataclass(frozen=True)
class Shard:
    """One finished shard: its files by name, with size and hash, in `folder` until it is published.

    Attributes:
        index: Its number.
        fingerprint: Of everything that decides its bytes.
        folder: Where its files are.
        num_rows: How many rows they hold.
        files: `bytes` and `sha256` of each.
        origin: `computed`; `cache`: taken from an earlier version; `resumed`: finished by a run that was stopped.
        seconds: What computing it took.
    """

    index: int
    fingerprint: str
    folder: Path
    num_rows: int
    files: dict[str, dict[str, Any]]
    origin: str = COMPUTED
    seconds: float = 0.0


def lost_error(work: Path, failures: Sequence[str]) -> ShardError:
    """Return the error of shards whose workers died again and again.

    Args:
        work: Folder of finished shards, which are all others.
        failures: What befell each.
    """
    remedy = "all others are finished and kept; free memory or give the corpus more shards (num_shards), and run again"
    return ShardError(summarise(str(work), failures, remedy))


def fingerprint(*parts: object) -> str:
    """Return the hash of everything that decides a shard's bytes.

    Args:
        parts: Values that JSON can write, with the same text on every machine.
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def shard_of(recording_id: str, num_shards: int) -> int:
    """Return the shard of a recording: a hash of its id alone, so that no other recording can move it."""
    return int.from_bytes(hashlib.sha256(recording_id.encode()).digest()[:8], "big") % num_shards


def auto_num_shards(num_clips: int) -> int:
    """Return the default number of shards: the power of two that puts 128 to 256 clips in each, at least 4.

    A corpus that grows past 256 clips a shard gets twice as many shards, and all of them are computed anew; one that
    will grow is better given its `num_shards`.
    """
    return max(4, 1 << max(0, (num_clips - 1) // 256).bit_length())
