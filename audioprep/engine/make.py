"""Making one shard, wherever it runs: under a temporary name, then renamed, whole, to its fingerprint."""

import json
import os
import shutil
from pathlib import Path

from audioprep.engine.files import file_identity, file_sha256, fresh_folder
from audioprep.engine.tasks import Shard, ShardFunction, ShardTask

_RECORD_NAME = "_shard.json"


def make(task: ShardTask, function: ShardFunction, work: Path) -> Shard:
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


def finished(task: ShardTask, work: Path) -> Shard | None:
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
