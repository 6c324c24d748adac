"""Making one shard, wherever it runs: under a temporary name, then renamed, whole, to its fingerprint."""

import json
import pickle
import secrets
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from audioprep.engine.files import file_identity, file_sha256, fresh_folder
from audioprep.engine.tasks import BESIDE, COMPUTED, RESUMED, Shard, ShardFunction, ShardTask
from audioprep.errors import AudioprepError, ShardError, reason_of

_RECORD_NAME = "_shard.json"


def make(task: ShardTask, function: ShardFunction, work: Path, origin: str = COMPUTED) -> Shard:
    """Make one shard.

    Args:
        task: Which one.
        function: Makes it.
        work: Folder of finished shards.
        origin: `COMPUTED`, or `BESIDE` where it is made on the way, for a stage that is still to run.

    Raises:
        ShardError: The disk is full, or a file may not be read or written.
    """
    started_s = time.monotonic()
    try:
        # One thread: workers do not fight for the cores, and no product of matrices depends on how many there are.
        with temporary_folder(task, work) as temporary, threadpool_limits(1):
            num_rows = function(task.arguments, temporary)
            files = {path.name: file_identity(path) for path in sorted(temporary.iterdir())}
            return seal(task, temporary, num_rows, files, origin, seconds=round(time.monotonic() - started_s, 3))
    except OSError as error:
        raise ShardError(
            f"shard {task.index}: expected to read and write {error.filename or work}, got {error.strerror or error}; "
            "check free space, path and permissions, then run again: finished shards are kept"
        ) from error


def attempt(task: ShardTask, function: ShardFunction, work: Path) -> Shard | Exception:
    """Make one shard elsewhere than where it was asked for: what goes wrong is returned, to be raised there."""
    try:
        return make(task, function, work)
    except Exception as error:  # noqa: BLE001 - whatever it is
        if not isinstance(error, AudioprepError):
            error.add_note("".join(traceback.format_exception(error)))  # where it was raised, for whoever mends it
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
        except Exception:  # noqa: BLE001 - whatever its class gets wrong
            return ShardError(f"shard {task.index}: {reason_of(error)}")
        return error


@contextmanager
def temporary_folder(task: ShardTask, work: Path) -> Iterator[Path]:
    """Give an empty folder for a shard that is not whole yet; its name is nobody else's, on no other machine either."""
    folder = fresh_folder(work / f".{task.fingerprint}.{secrets.token_hex(8)}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seal(
    task: ShardTask,
    temporary: Path,
    num_rows: int,
    files: dict[str, dict[str, Any]],
    origin: str = COMPUTED,
    seconds: float = 0.0,
) -> Shard:
    """Rename a shard that is whole to its fingerprint.

    Args:
        task: What it was made for.
        temporary: Its folder, in the work folder.
        num_rows: How many rows it holds.
        files: Size and hash of each of its files.
        origin: How it came to be there.
        seconds: What computing it took.
    """
    (temporary / _RECORD_NAME).write_text(
        json.dumps({"rows": num_rows, "files": files, "origin": origin}), encoding="utf-8"
    )
    final = temporary.with_name(task.fingerprint)
    try:
        temporary.rename(final)
    except OSError:
        # A task that was given out a second time, as its first worker seemed dead: who comes later has the same bytes.
        if not (final / _RECORD_NAME).is_file():
            raise
    return Shard(task.index, task.fingerprint, final, num_rows, files, origin, seconds)


def finished(task: ShardTask, work: Path) -> Shard | None:
    """Return the shard if a run before finished it and its files are still what they were; clear it away if not."""
    folder = work / task.fingerprint
    try:
        record = json.loads((folder / _RECORD_NAME).read_text(encoding="utf-8"))
        num_rows, files = record["rows"], record["files"]
        origin = BESIDE if record["origin"] == BESIDE else RESUMED
        is_whole = all(file_sha256(folder / name) == facts["sha256"] for name, facts in files.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        is_whole = False
    if not is_whole:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return Shard(task.index, task.fingerprint, folder, num_rows, files, origin)
