"""Shards in processes of this machine."""

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from audioprep.engine.make import make
from audioprep.engine.tasks import Shard, ShardFunction, ShardTask
from audioprep.errors import ShardError

_WORKERS_VARIABLE = "AUDIOPREP_WORKERS"


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


def run(tasks: Sequence[ShardTask], function: ShardFunction, work: Path) -> Iterator[Shard]:
    """Yield shards as they are finished, in any order.

    Raises:
        ShardError: A worker process died; finished shards are kept.
    """
    workers = min(num_workers(), len(tasks))
    if workers <= 1:
        for task in tasks:
            yield make(task, function, work)
        return
    # Forks of a fresh interpreter, not of this one: that would copy its threads' locks in whatever state they are.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        futures: list[Future[Shard]] = [pool.submit(make, task, function, work) for task in tasks]
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
