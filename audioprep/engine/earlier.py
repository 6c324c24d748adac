"""Earlier versions of a folder of shards: what has not changed since is taken from them instead of being made again.

A version is the folder as it lies there, or, as DVC deletes what a stage is about to write, the one that dvc.lock
names in DVC's cache. A shard is taken when its fingerprint stands in that version's index and its bytes have the
hashes that the index gives. It is linked, so that no second copy comes into being; nothing ever writes through a link.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any

from audioprep.engine.files import file_identity, link_or_copy
from audioprep.engine.index import INDEX_NAME, check_file, read_index
from audioprep.engine.make import seal, temporary_folder
from audioprep.engine.tasks import CACHE, Shard, ShardTask
from audioprep.errors import ShardError

_LOCK, _DVC = Path("dvc.lock"), Path(".dvc")


@dataclass(frozen=True)
class Earlier:
    """A finished version of a folder.

    Attributes:
        index: What its `_index.json` says.
        where: Gives the place of a file by its path below the folder; a `LookupError` if there is none.
    """

    index: dict[str, Any]
    where: Callable[[str], Path]

    def beside(self, name: str) -> Path:
        """Return the place of a file beside the shards.

        Raises:
            ShardError: Its bytes are not what the index says.
        """
        path = self.where(name)
        return check_file(path.parent, path.name, self.index["files"][name]["sha256"])

    @cached_property
    def rows(self) -> dict[int, range]:
        """Where the rows of each shard stand in a table that has those of all shards, one after another."""
        entries = self.index["shards"]
        stops = accumulate(entry["rows"] for entry in entries)
        return {e["shard"]: range(stop - e["rows"], stop) for e, stop in zip(entries, stops, strict=True)}


# Writes the files of a shard that are the caller's own and stand in no published folder, from an earlier version's.
RestoreShard = Callable[[ShardTask, Path], None]
# Opens what that takes, once a version.
Restore = Callable[[Earlier], RestoreShard]


def take(tasks: list[ShardTask], out: Path, work: Path, restore: Restore | None) -> Iterator[Shard]:
    """Yield those shards that an earlier version of a folder holds, put into the work folder as finished ones.

    Args:
        tasks: What is wanted.
        out: The folder.
        work: Folder of finished shards.
        restore: Brings back the files of a shard that are not published; None where there are none.
    """
    wanted = {task.index: task for task in tasks}
    for earlier in _versions(out):
        try:
            entries = [entry for entry in earlier.index["shards"] if _is_wanted(entry, wanted)]
            restore_shard = restore(earlier) if restore and entries else None
        except (ShardError, OSError, LookupError, TypeError, AttributeError):
            continue  # a version that is damaged has nothing to give
        for entry in entries:
            shard = _taken(wanted[entry["shard"]], entry, earlier, restore_shard, work)
            if shard is not None:
                del wanted[shard.index]
                yield shard


def _is_wanted(entry: dict[str, Any], wanted: dict[int, ShardTask]) -> bool:
    task = wanted.get(entry["shard"])
    is_same = task is not None and task.fingerprint == entry["fingerprint"]
    return is_same and isinstance(entry["rows"], int) and isinstance(entry["files"], dict)


def _taken(
    task: ShardTask, entry: dict[str, Any], earlier: Earlier, restore_shard: RestoreShard | None, work: Path
) -> Shard | None:
    with temporary_folder(task, work) as temporary:
        files = {}
        for target, facts in entry["files"].items():
            name = PurePosixPath(target).name
            try:
                link_or_copy(earlier.where(target), temporary / name)
                if file_identity(temporary / name) != facts:  # nothing of a damaged index goes into the next one
                    return None
            except (OSError, LookupError):
                return None
            files[name] = facts
        if restore_shard is not None:
            try:
                restore_shard(task, temporary)
            except (ShardError, LookupError):
                return None  # an index that counts its rows wrongly would give another shard's
            files |= {path.name: file_identity(path) for path in temporary.iterdir() if path.name not in files}
        return seal(task, temporary, entry["rows"], files, CACHE)


def _versions(out: Path) -> Iterator[Earlier]:
    with suppress(ShardError):  # there is none, or not a finished one
        yield Earlier(read_index(out), lambda name: out / name)
    yield from _dvc_versions(out)


def _dvc_versions(out: Path) -> Iterator[Earlier]:
    """Yield what dvc.lock names: the version that its stage wrote last, and those that later stages read last."""
    pattern = rf"path: {re.escape(out.as_posix())}\n(?: +[^\s-].*\n)*? +md5: ([0-9a-f]+\.dir)\n"
    named = dict.fromkeys(re.findall(pattern, _LOCK.read_text(encoding="utf-8"))) if _LOCK.is_file() else {}
    if not named or not _DVC.is_dir():
        return
    cache = dvc_cache()

    def object_path(md5: str) -> Path:
        return cache / "files" / "md5" / md5[:2] / md5[2:]

    for md5 in named:
        try:
            listing = json.loads(object_path(md5).read_text(encoding="utf-8"))
            places = {file["relpath"]: object_path(file["md5"]) for file in listing}
            index = json.loads(places[INDEX_NAME].read_text(encoding="utf-8"))
        except (OSError, ValueError, LookupError, TypeError):
            continue  # never pulled, or cleared away
        yield Earlier(index, places.__getitem__)


def dvc_cache(project: Path = Path()) -> Path:
    """Return the cache folder of a DVC project, from all the levels of its configuration."""
    from dvc.config import Config  # a tenth of a second; opening the whole project with DVC takes a second

    return Path(Config(str(project / _DVC), validate=False)["cache"].get("dir") or project / _DVC / "cache")
