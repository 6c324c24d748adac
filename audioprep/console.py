"""What is printed: plain lines, tables, and progress that becomes plain lines where there is no terminal."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

# Faster work than this shows nothing: a bar that flashes by is noise.
QUIET_S = 2.0
PLAIN_LINE_EVERY_S = 10.0

Item = TypeVar("Item")


def say(message: str) -> None:
    """Print one line for people, as it stands."""
    print(message, flush=True)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, as wide as the terminal; at full width where the output is no terminal."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    # A title of the table would be wrapped at the table's width.
    console.print(Text(title, style="italic"), soft_wrap=True)
    console.print(table)


def size_text(num_bytes: int) -> str:
    """Return a size for people: `512 bytes`, `1.5 GB`."""
    return decimal(num_bytes)


def counted(number: int, noun: str) -> str:
    """Return a number with what it counts: `1 fold`, `5 folds`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def track(
    items: Iterable[Item], label: str, total: int, unit: str = "", note: Callable[[Item], str] | None = None
) -> Iterator[Item]:
    """Pass items through and show how far they have come, once they have taken over two seconds.

    Args:
        items: What is being worked through.
        label: What it is, for people.
        total: How many items there are.
        unit: What one item is: `shard`, `epoch`.
        note: What to say of the last item, such as a loss; then the time left is said without a terminal, too.
    """
    console = Console(stderr=True)
    yield from (_bar if console.is_terminal else _plain_lines)(items, label, total, unit, note, console)


class ByteProgress:
    """How far the bytes of several files have come, shown as a plain line now and then. Threads may share it."""

    def __init__(self, label: str, missing: Mapping[Path, int | None], console: Console) -> None:
        self._label = label
        self._console = console
        self._missing = dict(missing)
        self._received = dict.fromkeys(missing, 0)
        self._lock = threading.Lock()
        self._line_s, self._line_bytes = time.monotonic(), 0
        self._next_line_s = self._line_s + QUIET_S

    def begin(self, path: Path, num_done: int, num_bytes: int | None) -> None:
        """Note that a file stands at `num_done` of `num_bytes`, and goes on from there; it may be set back."""
        with self._lock:
            # What had to come anew counts as missing again, so that the total never passes its end.
            self._missing[path] = None if num_bytes is None else self._received[path] + num_bytes - num_done

    def describe(self, path: Path, what: str) -> None:
        """Note that something else than receiving bytes is going on with a file."""

    def advance(self, path: Path, num_bytes: int) -> None:
        """Note that so many more bytes of a file have come."""
        with self._lock:
            self._received[path] += num_bytes
            self._show()

    def end(self, path: Path) -> None:
        """Note that no more bytes of a file will come."""
        with self._lock:
            self._missing[path] = self._received[path]

    def _totals(self) -> tuple[int, int | None]:
        known = [num_bytes for num_bytes in self._missing.values() if num_bytes is not None]
        return sum(self._received.values()), sum(known) if len(known) == len(self._missing) else None

    def _show(self) -> None:
        now_s = time.monotonic()
        if now_s <= self._next_line_s:
            return
        received, missing = self._totals()
        bytes_per_s = (received - self._line_bytes) / (now_s - self._line_s)
        line = f"{self._label}: {size_text(received)}"
        if missing is None:
            line += f", {size_text(round(bytes_per_s))}/s"
        else:
            left_s = timedelta(seconds=round((missing - received) / bytes_per_s))
            line += f" of {size_text(missing)}, {size_text(round(bytes_per_s))}/s, {left_s} left"
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)
        self._line_s, self._line_bytes = now_s, received
        self._next_line_s = now_s + PLAIN_LINE_EVERY_S


class _ByteBars(ByteProgress):
    """The same as bars: one a file that is on its way, and one for all where there are several."""

    def __init__(self, label: str, missing: Mapping[Path, int | None], console: Console, progress: Progress) -> None:
        super().__init__(label, missing, console)
        self._progress = progress
        self._rows: dict[Path, TaskID] = {}
        self._all = progress.add_task(escape(label), total=self._totals()[1], visible=False)

    def begin(self, path: Path, num_done: int, num_bytes: int | None) -> None:
        super().begin(path, num_done, num_bytes)
        with self._lock:
            if path not in self._rows:
                self._rows[path] = self._progress.add_task(escape(path.name), visible=False)
            # A reset, not an update: bytes of an earlier run would count as speed.
            self._progress.reset(
                self._rows[path],
                completed=num_done,
                total=num_bytes,
                visible=self._is_slow,
                description=escape(path.name),
            )

    def describe(self, path: Path, what: str) -> None:
        if path in self._rows:
            self._progress.update(self._rows[path], description=escape(what), visible=self._is_slow)

    def advance(self, path: Path, num_bytes: int) -> None:
        super().advance(path, num_bytes)
        if path in self._rows:
            self._progress.update(self._rows[path], advance=num_bytes, visible=self._is_slow)

    def end(self, path: Path) -> None:
        super().end(path)
        row = self._rows.pop(path, None)
        if row is not None:
            self._progress.remove_task(row)

    @property
    def _is_slow(self) -> bool:
        return time.monotonic() > self._next_line_s

    def _show(self) -> None:
        received, missing = self._totals()
        several = self._is_slow and len(self._missing) > 1
        self._progress.update(self._all, completed=received, total=missing, visible=several)


@contextmanager
def track_bytes(label: str, missing: Mapping[Path, int | None]) -> Iterator[ByteProgress]:
    """Show how far files have come, with rate and time left, once they have taken over two seconds.

    Args:
        label: What is being done to them, for people.
        missing: How many bytes each of them lacks; None where nobody knows.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield ByteProgress(label, missing, console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _ByteBars(label, missing, console, progress)


def _bar(
    items: Iterable[Item], label: str, total: int, unit: str, note: Callable[[Item], str] | None, console: Console
) -> Iterator[Item]:
    texts = [TextColumn(unit)] if unit else []
    notes = [TextColumn("{task.fields[note]}")] if note else []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        *texts,
        MofNCompleteColumn(),
        *notes,
        TimeRemainingColumn(),
    )
    started_s = time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=total, visible=False, note="")
        for item in items:
            said = escape(note(item)) if note else ""
            progress.update(task, advance=1, visible=time.monotonic() - started_s > QUIET_S, note=said)
            yield item


def _plain_lines(
    items: Iterable[Item], label: str, total: int, unit: str, note: Callable[[Item], str] | None, console: Console
) -> Iterator[Item]:
    next_line_s = time.monotonic() + QUIET_S
    first_s: float | None = None
    for num_done, item in enumerate(items, start=1):
        now_s = time.monotonic()
        # The first item waits for what starts up, which says nothing of the others.
        first_s = now_s if first_s is None else first_s
        said = note(item) if note else ""
        if now_s > next_line_s:
            line = f"{label}: {f'{unit} {num_done} of {total}'.strip()}"
            if said and num_done > 1:
                left_s = round((now_s - first_s) * (total - num_done) / (num_done - 1))
                said += f", {timedelta(seconds=left_s)} left"
            console.print(f"{line}, {said}" if said else line, soft_wrap=True, highlight=False, markup=False)
            next_line_s = now_s + PLAIN_LINE_EVERY_S
        yield item
