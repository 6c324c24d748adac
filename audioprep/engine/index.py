"""Publishing a folder of shards: `_index.json` comes last and is the commit point."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from audioprep.engine.files import file_identity, file_sha256, link_or_copy, write_atomically
from audioprep.engine.log import RunLog
from audioprep.engine.tasks import CACHE, Shard, ShardTask
from audioprep.errors import ShardError, reason_of

INDEX_NAME = "_index.json"


def publish(
    shards: Iterable[Shard], out: Path, place: Callable[[str], str | None], header: dict[str, Any], work: Path
) -> None:
    """Link the files of finished shards into their folder, write the index, and clear the work folder, in this order.

    Args:
        shards: All shards of the folder.
        out: The folder; files beside the shards are there already, and the index vouches for them too.
        place: Gives a shard file's path below `out`, of which the file's name is the last part, or None for a file that
            was only for the caller.
        header: What the index says before its list of shards, for example the rule.
        work: Folder of finished shards, which has done its duty then.

    Raises:
        ShardError: A file of a finished shard is gone.
    """
    beside = {
        path.relative_to(out).as_posix(): file_identity(path) for path in sorted(out.rglob("*")) if path.is_file()
    }
    entries = []
    for shard in shards:
        placed = {name: target for name in shard.files if (target := place(name)) is not None}
        for name, target in placed.items():
            try:
                link_or_copy(shard.folder / name, out / target)
            except FileNotFoundError:
                source = shard.folder / name
                raise ShardError(f"{source}: expected a finished shard, found none; run the stage again") from None
        files = {target: shard.files[name] for name, target in sorted(placed.items())}
        entries.append({"shard": shard.index, "rows": shard.num_rows, "fingerprint": shard.fingerprint, "files": files})
    write_index(out, {**header, "files": beside, "shards": entries})
    shutil.rmtree(work, ignore_errors=True)


def write_index(out: Path, index: dict[str, Any]) -> None:
    """Write `_index.json`, the commit point of a folder, atomically."""
    write_atomically(out / INDEX_NAME, json.dumps(index, indent=1, sort_keys=True) + "\n")


def read_index(folder: Path) -> dict[str, Any]:
    """Return the index of a finished folder.

    Raises:
        ShardError: There is no valid index: the folder is unfinished or is not one of ours.
    """
    path = folder / INDEX_NAME
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(index, dict):
            return index
    except FileNotFoundError:
        raise ShardError(f"{folder}: expected {INDEX_NAME}, found none; run the stage that makes this folder") from None
    except ValueError:
        pass
    raise _no_index(path)


def _no_index(path: Path) -> ShardError:
    return ShardError(f"{path}: expected a JSON index, got something else; delete the folder and run its stage again")


def listed_sha256(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file that the index of a finished folder vouches for, by its path in the folder.

    Raises:
        ShardError: There is no valid index.
    """
    index = read_index(folder)
    try:
        listings = [index["files"], *(entry["files"] for entry in index["shards"])]
        return {name: file["sha256"] for listing in listings for name, file in listing.items()}
    except (LookupError, TypeError, AttributeError):
        raise _no_index(folder / INDEX_NAME) from None


def check_file(folder: Path, name: str, sha256: str | None) -> Path:
    """Return the place of a file, whose bytes are those that its folder's index lists: not every flipped bit is noticed in reading.

    Args:
        folder: The folder.
        name: The file's path in it.
        sha256: What the index lists; None where it knows no such file.

    Raises:
        ShardError: The file is missing, or has other bytes.
    """
    path = folder / name
    try:
        found = file_sha256(path)
    except OSError as error:
        found = reason_of(error)
    if found != sha256:
        raise ShardError(
            f"{path}: expected sha256 {str(sha256)[:16]}, which its index lists, got {found[:200]}; make it anew: "
            f"audioprep verify {folder} --repair"
        )
    return path


def checked_file(folder: Path, name: str) -> Path:
    """Return the place of a file in a finished folder, compared with its index as `check_file` does.

    Of a folder that DVC has brought only a part of, and has compared, the index may not be there: then nothing is compared.

    Raises:
        ShardError: The file has other bytes than the index lists, or the index is damaged.
    """
    if not (folder / INDEX_NAME).is_file():
        return folder / name
    sha256 = listed_sha256(folder).get(name)
    return folder / name if sha256 is None else check_file(folder, name, sha256)


def is_published(out: Path, tasks: Sequence[ShardTask], header: dict[str, Any], log: Path | None = None) -> bool:
    """Tell whether a folder is finished and holds just what these tasks would make, so that nothing need be done.

    Args:
        out: The folder.
        tasks: What it should hold.
        header: What its index should say besides.
        log: Where to say that all shards were there.
    """
    try:
        index = read_index(out)
        entries = {entry["shard"]: entry for entry in index.pop("shards")}
        listings = [index.pop("files"), *(entry["files"] for entry in entries.values())]
        is_whole = (
            index == json.loads(json.dumps(header))
            and {n: entry["fingerprint"] for n, entry in entries.items()} == {t.index: t.fingerprint for t in tasks}
            and all((out / f).stat().st_size == x["bytes"] for listing in listings for f, x in listing.items())
            and all(len(x["sha256"]) == 64 for listing in listings for x in listing.values())
            and all(isinstance(entry["rows"], int) for entry in entries.values())
        )
    except (ShardError, OSError, LookupError, TypeError, AttributeError):
        return False
    if is_whole:
        run_log = RunLog(log)
        for task in tasks:
            run_log.add_line(task.index, CACHE)
    return is_whole
