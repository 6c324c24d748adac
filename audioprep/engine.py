"""How shard tasks are run: in processes, resumable after a kill, and published by an index that comes last.

A task maps the inputs of one shard to the files of one shard, and knows nothing else. Its fingerprint is a
hash of everything that decides its bytes: inputs, rule and code version. A finished shard waits in the work
folder under its fingerprint until all shards of its folder are there; then they are linked into the folder
and `_index.json` is written. A folder without that file is unfinished; the next run makes what is missing.
"""

import hashlib
import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioprep.console import track
from audioprep.errors import ShardError

INDEX_NAME = "_index.json"
_RECORD_NAME = "_shard.json"
_WORKERS_VARIABLE = "AUDIOPREP_WORKERS"

# A shard function gets the task's arguments and an empty folder, writes the shard's files there, and
# returns how many rows they hold.
ShardFunction = Callable[[Any, Path], int]


@dataclass(frozen=True)
class ShardTask:
    """One shard to be made."""

    index: int
    fingerprint: str
    arguments: Any


@dataclass(frozen=True)
class Shard:
    """One finished shard: its files by name, with size and hash, in `folder` until it is published."""

    index: int
    fingerprint: str
    folder: Path
    num_rows: int
    files: dict[str, dict[str, Any]]


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
    """Return the default number of shards: the power of two that puts 128 to 256 clips in each, at least 4."""
    return max(4, 1 << max(0, (num_clips - 1) // 256).bit_length())


def num_workers() -> int:
    """Return how many processes to use: `AUDIOPREP_WORKERS`, or one a core.

    Raises:
        ShardError: The variable is set to something else than a positive whole number.
    """
    value = os.environ.get(_WORKERS_VARIABLE, "")
    if not value:
        return os.cpu_count() or 1
    if not value.isdecimal() or int(value) < 1:
        raise ShardError(f"{_WORKERS_VARIABLE}: expected a whole number from 1, got '{value}'; set it again")
    return int(value)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_shards(tasks: Sequence[ShardTask], function: ShardFunction, work: Path, *, label: str) -> list[Shard]:
    """Make every shard that the work folder does not hold already, and return all of them in order.

    Args:
        tasks: What to make.
        function: Makes one shard; a top-level function, as it is sent to other processes.
        work: Folder of finished shards, one sub-folder a fingerprint; it survives a kill.
        label: What is being made, for the progress display.

    Raises:
        ShardError: A worker process died; finished shards are kept.
    """
    work.mkdir(parents=True, exist_ok=True)
    done = {task.index: shard for task in tasks if (shard := _finished(task, work)) is not None}
    todo = [task for task in tasks if task.index not in done]
    for shard in track(_run(todo, function, work), label, len(todo)):
        done[shard.index] = shard
    return [done[task.index] for task in tasks]


def publish(
    shards: Iterable[Shard], out: Path, place: Callable[[str], str | None], header: dict[str, Any], work: Path
) -> None:
    """Link the files of finished shards into their folder, write the index, and clear the work folder, in this order.

    Args:
        shards: All shards of the folder.
        out: The folder; files beside the shards are there already, and the index vouches for them too.
        place: Gives a shard file's path below `out`, or None for a file that was only for the caller.
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
            _link(shard.folder / name, out / target)
        files = {target: shard.files[name] for name, target in sorted(placed.items())}
        entries.append({"shard": shard.index, "rows": shard.num_rows, "fingerprint": shard.fingerprint, "files": files})
    write_index(out, {**header, "files": beside, "shards": entries})
    shutil.rmtree(work, ignore_errors=True)


def write_index(out: Path, index: dict[str, Any]) -> None:
    """Write `_index.json`, the commit point of a folder, atomically."""
    write_atomically(out / INDEX_NAME, json.dumps(index, indent=1, sort_keys=True) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that it is either whole or not there."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


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
    raise ShardError(f"{path}: expected a JSON index, got something else; delete the folder and run its stage again")


def is_published(out: Path, tasks: Sequence[ShardTask], header: dict[str, Any]) -> bool:
    """Tell whether a folder is finished and holds just what these tasks would make, so that nothing need be done.

    Args:
        out: The folder.
        tasks: What it should hold.
        header: What its index should say besides.
    """
    try:
        index = read_index(out)
        entries = {entry["shard"]: entry for entry in index.pop("shards")}
        listings = [index.pop("files"), *(entry["files"] for entry in entries.values())]
        wanted = {task.index: task.fingerprint for task in tasks}
        return (
            index == json.loads(json.dumps(header))
            and {shard: entry["fingerprint"] for shard, entry in entries.items()} == wanted
            and all((out / f).stat().st_size == x["bytes"] for listing in listings for f, x in listing.items())
        )
    except (ShardError, OSError, LookupError, TypeError, AttributeError):
        return False


def fresh_folder(folder: Path) -> Path:
    """Return the folder, empty: what an earlier run left there has no index that vouches for it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _run(tasks: Sequence[ShardTask], function: ShardFunction, work: Path) -> Iterator[Shard]:
    workers = min(num_workers(), len(tasks))
    if workers <= 1:
        for task in tasks:
            yield _make(task, function, work)
        return
    # Forks of a fresh interpreter, not of this one: that would copy its threads' locks in whatever state they are.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        futures: list[Future[Shard]] = [pool.submit(_make, task, function, work) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise ShardError(
                f"{work}: expected {workers} workers to finish, but one died (out of memory?); finished shards are "
                f"kept, run again, with {_WORKERS_VARIABLE}=1 if it recurs"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when its parent is killed: it would wait for more work for ever, or write beside the next run."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def file_identity(path: Path) -> dict[str, Any]:
    """Return what an index says of a file: its bytes and its sha256."""
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _make(task: ShardTask, function: ShardFunction, work: Path) -> Shard:
    """Make one shard under a temporary name and rename it, whole, to its fingerprint."""
    temporary = fresh_folder(work / f".{task.fingerprint}.{os.getpid()}")
    try:
        num_rows = function(task.arguments, temporary)
        files = {path.name: file_identity(path) for path in sorted(temporary.iterdir())}
        record = {"rows": num_rows, "files": files}
        (temporary / _RECORD_NAME).write_text(json.dumps(record), encoding="utf-8")
        final = work / task.fingerprint
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Shard(task.index, task.fingerprint, final, num_rows, files)


def _finished(task: ShardTask, work: Path) -> Shard | None:
    """Return the shard if an earlier run finished it and its files are still what they were."""
    folder = work / task.fingerprint
    try:
        record = json.loads((folder / _RECORD_NAME).read_text(encoding="utf-8"))
        for name, facts in record["files"].items():
            if file_sha256(folder / name) != facts["sha256"]:
                return None
    except (OSError, ValueError, KeyError):
        return None
    return Shard(task.index, task.fingerprint, folder, record["rows"], record["files"])


def _link(source: Path, target: Path) -> None:
    """Link, so that publishing costs no second copy and a kill in the middle loses nothing; copy across disks."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise ShardError(f"{source}: expected a finished shard, found none; run the stage again") from None
    except OSError:
        shutil.copyfile(source, target)
