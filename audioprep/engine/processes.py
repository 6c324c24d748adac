"""Shards in processes of this machine.

A worker that dies, because memory runs out for example, loses the shard that it was at and no other. Such shards are
tried again when the rest is finished, one at a time, with all the memory to themselves.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from pathlib import Path

from audioprep.config.engine import num_workers
from audioprep.engine import serial
from audioprep.engine.imports import spare_pandas
from audioprep.engine.make import attempt
from audioprep.engine.tasks import Shard, ShardFunction, ShardTask, lost_error

_TRIES_ALONE = 2


def run(
    tasks: Sequence[ShardTask], function: ShardFunction, work: Path, *, address: str | None = None
) -> Iterator[Shard]:
    """Yield shards as they are finished, in any order; a single worker is this process.

    Args:
        tasks: What to make.
        function: Makes one shard.
        work: Folder of finished shards.
        address: For engines that are elsewhere.

    Raises:
        ShardError: A shard's worker died also when nothing else ran; all others are finished.
    """
    workers = min(num_workers(), len(tasks))
    if workers <= 1:
        yield from serial.run(tasks, function, work, address=address)
        return
    crew = _Crew(function, work)
    try:
        again: list[ShardTask] = []
        yield from crew.make(tasks, workers, again)
        for _ in range(_TRIES_ALONE):
            if again:
                crew.end()  # for the memory that they hold
            tried, again = again, []
            yield from crew.make(tried, 1, again)
        if again:
            raise lost_error(work, [f"shard {task.index} (its worker died: {crew.last_words})" for task in again])
    finally:
        crew.end()


class _Worker:
    """A process that makes one shard after another."""

    def __init__(self, context: ForkServerContext, function: ShardFunction, work: Path) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function, work), daemon=True)
        self.process.start()
        theirs.close()
        self.task: ShardTask | None = None

    def give(self, task: ShardTask) -> None:
        self.task = task
        with suppress(OSError):  # one that has died meanwhile is noticed when its answer is read
            self.pipe.send(task)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class _Crew:
    """The workers that there are, and how the last one that died ended."""

    def __init__(self, function: ShardFunction, work: Path) -> None:
        # Forks of a fresh interpreter, not of this one: that would copy its threads' locks in whatever state they are.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([function.__module__])
        self._function, self._work = function, work
        self._workers: list[_Worker] = []
        self.last_words = ""

    def make(self, tasks: Sequence[ShardTask], num_wanted: int, lost: list[ShardTask]) -> Iterator[Shard]:
        """Yield shards as they are finished; those whose worker died go to `lost`."""
        queue = deque(tasks)
        while busy := self._give(queue, num_wanted):
            ready = wait([worker.pipe for worker, _ in busy])
            for worker, task in busy:
                if worker.pipe not in ready:
                    continue
                worker.task = None
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    lost.append(task)
                    # What was killed may have wanted too much memory: no other takes its place.
                    num_wanted = max(1, num_wanted - (self._bury(worker) == -signal.SIGKILL))
                    continue
                if isinstance(answer, BaseException):
                    raise answer
                yield answer

    def end(self) -> None:
        """End all workers at once; what they are at is begun again by the next run."""
        while self._workers:
            self._workers.pop().end()

    def _give(self, queue: deque[ShardTask], num_wanted: int) -> list[tuple[_Worker, ShardTask]]:
        """Give tasks to so many workers, and return all that are at work, with what they are at."""
        idle = [worker for worker in self._workers if not worker.task]
        while queue and len(self._workers) - len(idle) < num_wanted:
            if not idle:
                idle.append(_Worker(self._context, self._function, self._work))
                self._workers += idle
            idle.pop().give(queue.popleft())
        return [(worker, worker.task) for worker in self._workers if worker.task]

    def _bury(self, worker: _Worker) -> int | None:
        worker.process.join()
        code = worker.process.exitcode
        self.last_words = "killed, out of memory?" if code == -signal.SIGKILL else f"exit code {code}"
        self._workers.remove(worker)
        worker.pipe.close()
        return code


def _serve(pipe: Connection, function: ShardFunction, work: Path) -> None:
    """Make shards until the parent wants no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its workers
    _end_with_parent()
    spare_pandas()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(task, function, work))


def _end_with_parent() -> None:
    """End this worker when its parent is killed: it would finish its shard beside the next run."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
