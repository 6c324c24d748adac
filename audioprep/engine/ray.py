"""Shards on a Ray cluster whose machines share a file system, with the same paths on each.

A task is given out again when its worker or machine dies, so it may run twice, and even at the same time: each run
writes under a name of its own, and renames what is whole. What a task returns is small; shards go over the file system.
"""

import logging
import os
import re
import signal
import socket
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audioprep.config.engine import num_workers
from audioprep.engine.make import attempt
from audioprep.engine.tasks import Shard, ShardFunction, ShardTask, lost_error
from audioprep.errors import ConfigError, reason_of

_MAX_RETRIES = 5
# Tasks given out at a time, per core of the cluster: enough that no core waits, few enough to hold in memory.
_TASKS_PER_CORE = 2


def run(
    tasks: Sequence[ShardTask], function: ShardFunction, work: Path, *, address: str | None = None
) -> Iterator[Shard]:
    """Yield shards as they are finished, in any order.

    Args:
        tasks: What to make.
        function: Makes one shard.
        work: Folder of finished shards, on the shared file system.
        address: Of the cluster; None is what `RAY_ADDRESS` names, or a new one on this machine.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
        ShardError: The workers of a shard died again and again; all others are finished.
    """
    if not tasks:
        return
    with _connected(address) as ray:
        remote = ray.remote(num_cpus=1, max_retries=_MAX_RETRIES)(_make)
        queue, failures = deque(tasks), list[str]()
        pending: dict[Any, ShardTask] = {}
        try:
            while queue or pending:
                while queue and len(pending) < _TASKS_PER_CORE * max(1, ray.cluster_resources().get("CPU", 1)):
                    task = queue.popleft()
                    pending[remote.remote(task, function, str(work), str(Path.cwd()))] = task
                for done in ray.wait(list(pending))[0]:
                    task = pending.pop(done)
                    try:
                        answer = ray.get(done)
                    except ray.exceptions.RayError as error:
                        failures.append(f"shard {task.index} ({reason_of(error)})")
                        continue
                    if isinstance(answer, BaseException):
                        raise answer
                    yield answer
        finally:
            for unfinished in pending:
                ray.cancel(unfinished, force=True)
        if failures:
            raise lost_error(work, failures)


def _make(task: ShardTask, function: ShardFunction, work: str, folder: str) -> Shard | Exception:
    os.chdir(folder)  # the paths in a task may be relative to the driver's folder
    return attempt(task, function, Path(work))


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Connect to the cluster, or start one of this machine's cores, and let it go at the end."""
    try:
        import ray
    except ImportError:
        raise ConfigError("engine: expected Ray, found none; run: pip install 'audioprep[ray]'") from None
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    where = address or os.environ.get("RAY_ADDRESS")
    own = {"address": where} if where else {"num_cpus": num_workers(), "include_dashboard": False}
    imports = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _check_reachable(where)
        ray.init(**own, runtime_env=imports, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"ray.address: expected a Ray cluster at {where or 'this machine'}, got {reason_of(error)}; start it, or mend "
            "the address"
        ) from None
    signal.signal(signal.SIGTERM, handler)  # Ray sets its own, which would leave without a word
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Fail at once where nothing listens: Ray tries for two minutes, and then ends the process."""
    found = re.fullmatch(r"(?:ray://)?(?P<host>[^/]+):(?P<port>\d+)", address or "")
    if found:
        socket.create_connection((found["host"], int(found["port"])), timeout=10.0).close()
