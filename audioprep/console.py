"""What is printed: plain lines, tables, and progress that becomes plain lines where there is no terminal."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

# Faster work than this shows nothing: a bar that flashes by is noise.
QUIET_S = 2.0
PLAIN_LINE_EVERY_S = 10.0

Item = TypeVar("Item")


def say(message: str) -> None:
    """Print one line for people, as it stands."""
    print(message, flush=True)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, as wide as the terminal; at full width where the output is no terminal."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table)


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Pass items through and show how far they have come, once they have taken over two seconds.

    Args:
        items: What is being worked through.
        label: What it is, for people.
        total: How many items there are.
    """
    console = Console(stderr=True)
    yield from (_bar if console.is_terminal else _plain_lines)(items, label, total, console)


def _bar(items: Iterable[Item], label: str, total: int, console: Console) -> Iterator[Item]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started_s = time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=total, visible=False)
        for item in items:
            progress.update(task, advance=1, visible=time.monotonic() - started_s > QUIET_S)
            yield item


def _plain_lines(items: Iterable[Item], label: str, total: int, console: Console) -> Iterator[Item]:
    next_line_s = time.monotonic() + QUIET_S
    for num_done, item in enumerate(items, start=1):
        if time.monotonic() > next_line_s:
            console.print(f"{label}: {num_done} of {total}", soft_wrap=True, highlight=False, markup=False)
            next_line_s = time.monotonic() + PLAIN_LINE_EVERY_S
        yield item
