"""What a microphone hears, in the terminal: a line for each window, until Ctrl-C."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from audioprep.edge.microphone import Source
from audioprep.edge.stream import Heard


def listen(source: Source, heard: Iterable[Heard], text: Callable[[Heard], str]) -> None:
    """Print what each window sounds like, on a terminal in the place of the one before; Ctrl-C and SIGTERM end it.

    Args:
        source: Where the sound comes from.
        heard: Its windows.
        text: What to say of one, besides time and level.
    """
    in_place = sys.stdout.isatty()
    clear, said_s = "\r\x1b[K" if in_place else "", 0.0
    with ended_by_signals(source.stop):
        for window in heard:
            if source.lost_s > 2 * said_s:  # not with every line where it never ends
                said_s = source.lost_s
                print(f"{clear}lost about {said_s:.1f} s of sound so far: this machine was busy", file=sys.stderr)
            line = f"{window.stop_s:7.1f} s {window.level_db:6.1f} dB  {text(window)}"
            if in_place:
                # What is wider than the terminal would begin a new line every time.
                print(f"{clear}{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
            else:
                print(line, flush=True)
    if in_place:
        print()


@contextmanager
def ended_by_signals(end: Callable[[], object]) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end what goes on, as it would end by itself; a second one has its usual meaning."""

    def end_once(*_: object) -> None:
        restore()
        end()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, end_once) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        restore()
