"""Work in which a call may never return: a decoder that hangs, on one file of a shard.

Nothing can end such a call: no signal reaches C code, and ending the process would end all that it does besides. So the work
runs in a thread of its own, which says what it is about to do and how long that may take, and its caller only looks at the
clock. Work that is overdue is left to itself and ends with its process; its caller goes on without what made it hang. As no
call is handed from thread to thread, this costs nothing where nothing hangs.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_T = TypeVar("_T")
_LOOK_S = 0.1


class OverdueError(Exception):
    """Work did not get past something in time.

    Attributes:
        what: What it was doing.
        limit_s: How long that might take, s.
    """

    def __init__(self, what: str, limit_s: float) -> None:
        super().__init__(f"{what}: not done in {limit_s:g} s")
        self.what = what
        self.limit_s = limit_s


class Watch:
    """What work is doing, and until when it must have done it."""

    def __init__(self) -> None:
        """Start with nothing to be done."""
        self._doing: tuple[str, float, float] | None = None
        self._is_given_up = False

    @contextmanager
    def within(self, what: str, limit_s: float) -> Iterator[None]:
        """Say that something is done, and how long it may take.

        Args:
            what: What is done, for whoever must do without it.
            limit_s: How long it may take, s.

        Raises:
            OverdueError: It took longer, and nobody waits for the work any more: this ends it.
        """
        self._doing = (what, limit_s, time.monotonic() + limit_s)
        try:
            yield
        finally:
            self._doing = None
            if self._is_given_up:
                raise OverdueError(what, limit_s)

    def check(self) -> None:
        """Give the work up if it is overdue.

        Raises:
            OverdueError: It is.
        """
        doing = self._doing
        if doing is not None and time.monotonic() > doing[2]:
            self._is_given_up = True
            raise OverdueError(*doing[:2])


def watched(work: Callable[[Watch], _T]) -> _T:
    """Return what work returns, or raise what it raises, as long as it does all in time.

    Args:
        work: Gets the watch that it tells what it does. What it writes must be its own: when this has raised `OverdueError`, it may
            still come back, and go on up to the end of what it was doing.

    Raises:
        OverdueError: It is hanging.
    """
    watch = Watch()
    answers: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((work(watch), None))
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
            answers.put((None, error))

    threading.Thread(target=run, daemon=True, name="audioprep-work").start()
    while True:
        try:
            result, error = answers.get(timeout=_LOOK_S)
        except queue.Empty:
            watch.check()
            continue
        if error is not None:
            raise error
        return result  # type: ignore[return-value] # there is one where there is no error
