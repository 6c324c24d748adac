"""Work that hangs: its caller gets away, and is told where it hung."""

import ctypes
import re
import threading

import pytest

from audioprep.io.time_limit import OverdueError, watched


def test_work_in_time_returns_what_it_returns():
    def work(watch):
        with watch.within("a", 60.0):
            return 3

    assert watched(work) == 3


def test_what_work_raises_is_raised():
    def work(watch):
        with watch.within("a", 60.0):
            raise ValueError("no sound")

    with pytest.raises(ValueError, match=r"^no sound$"):
        watched(work)


def test_a_library_that_never_returns_is_left():
    """`pause` of the C library waits for a signal, and Python cannot interrupt it."""

    def work(watch):
        with watch.within("a", 60.0):
            pass
        with watch.within("b.wav", 0.05):
            ctypes.CDLL(None).pause()

    with pytest.raises(OverdueError, match=re.escape("b.wav: not done in 0.05 s")) as caught:
        watched(work)
    assert (caught.value.what, caught.value.limit_s) == ("b.wav", 0.05)


def test_work_that_comes_back_too_late_ends_there():
    come_back, ended, went_on = threading.Event(), threading.Event(), []

    def work(watch):
        try:
            with watch.within("a", 0.05):
                come_back.wait(10.0)
            went_on.append(True)
        finally:
            ended.set()

    with pytest.raises(OverdueError, match="a: not done"):
        watched(work)
    come_back.set()
    assert ended.wait(10.0)
    assert not went_on
