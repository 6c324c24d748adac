"""A call that may never return: it is waited for so long and no longer.

The call runs in a thread beside, as nothing else can leave a library that does not come back: no signal reaches C code, and
ending the process would end the shard with it. A thread that hangs is left to itself and ends with its process; a thread
that does not is used again, so that a call costs two hand-overs, some 20 microseconds.
"""

import os
import queue
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

_Calls = queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[tuple[Any, BaseException | None]]]]

# Each thread that calls has a helper of its own; a fork inherits the helper's queue, and no thread that serves it.
_own = threading.local()


def within(limit_s: float, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Return what a function returns, or raise what it raises, if it does so in time.

    Args:
        limit_s: How long it is waited for, s.
        function: What is called; it may still be running when this has raised `TimeoutError`, and its result is lost then.
        *args: Its arguments.
        **kwargs: Its arguments.

    Raises:
        TimeoutError: It has not returned in time.
    """
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    _calls().put((lambda: function(*args, **kwargs), answers))
    try:
        result, error = answers.get(timeout=limit_s)
    except queue.Empty:
        del _own.calls  # its helper hangs: the next call gets another
        raise TimeoutError(f"no answer in {limit_s:g} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _calls() -> _Calls:
    """Return the queue that this thread's helper serves."""
    if getattr(_own, "pid", None) != os.getpid() or not hasattr(_own, "calls"):
        _own.pid, _own.calls = os.getpid(), queue.SimpleQueue()
        threading.Thread(target=_serve, args=(_own.calls,), daemon=True, name="audioprep-within").start()
    calls: _Calls = _own.calls
    return calls


def _serve(calls: _Calls) -> None:
    while True:
        function, answers = calls.get()
        try:
            answers.put((function(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
            answers.put((None, error))
        del function, answers  # a decoded recording is large
