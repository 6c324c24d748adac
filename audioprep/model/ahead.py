"""Making what is needed next while what is there is used."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()
# How long a thread that is no longer wanted may go on.
_POLL_S = 0.1


class _Failure:
    """An error on its way to the thread that shall raise it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def made_ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """Yield the same items in the same order, made by a thread that is up to `depth` of them ahead.

    A thread is enough where the work is reading, unpacking and array arithmetic, which hold no Python lock; a process
    would have to send every item over.

    Args:
        items: Only ever used by that thread.
        depth: Finished items that may wait.

    Raises:
        BaseException: What making an item raised, in its turn.
    """
    ready: queue.Queue[Any] = queue.Queue(depth)
    is_wanted = threading.Event()
    is_wanted.set()

    def hand_over(item: object) -> None:
        while is_wanted.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=_POLL_S)
                return

    def make() -> None:
        try:
            for item in items:
                hand_over(item)
                if not is_wanted.is_set():
                    return
            hand_over(_END)
        except BaseException as error:  # noqa: BLE001 - raised where the items are used
            hand_over(_Failure(error))

    thread = threading.Thread(target=make, name="made_ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        is_wanted.clear()
        thread.join()
