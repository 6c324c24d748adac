import threading
from collections.abc import Iterator

import pytest

from audioprep.model.ahead import made_ahead


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "made_ahead"]


def test_items_come_in_their_order() -> None:
    assert list(made_ahead(iter(range(50)), 3)) == list(range(50))
    assert not threads()


def test_no_more_is_made_than_may_wait() -> None:
    made = []
    used = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for number in range(9):
            made.append(number)
            used.release()
            yield number

    ahead = made_ahead(items(), 2)
    assert next(ahead) == 0
    for _ in range(4):  # one used, two waiting, one in the hand
        assert used.acquire(timeout=5)
    assert not used.acquire(timeout=0.05)
    assert list(ahead) == list(range(1, 9))
    assert made == list(range(9))


def test_an_error_comes_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no second one")

    ahead = made_ahead(items(), 2)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="no second one"):
        next(ahead)
    assert not threads()


def test_who_stops_early_leaves_no_thread() -> None:
    for number in made_ahead(iter(range(1000)), 2):
        if number == 3:
            break
    assert not threads()
