"""What every benchmark shares: the contestants take turns in one run, and medians of ratios are reported.

Absolute times are comparable neither between machines nor between runs on a shared one; ratios within a round are.
"""

import contextlib
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from audioprep.console import show_table

RESULTS = Path(__file__).resolve().parent / "results.json"
ROUNDS = 7
OURS = "audioprep"

Contestant = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        row: What was measured, on what.
        unit: Of `ours`, `peer` and `limit`.
        ours: Our median.
        best_peer: Name of the best peer.
        peer: Its median.
        limit: What a bare kernel or a plain copy takes on this machine; None where there is no such thing.
        ratio: Median over rounds of peer / ours: how many times better ours is.
        target: The ratio to reach.
        met: Whether it is reached.
        others: Everything else that was measured beside, by name, in the same unit.
    """

    row: str
    unit: str
    ours: float
    best_peer: str
    peer: float
    limit: float | None
    ratio: float
    target: float
    met: bool
    others: dict[str, float]


def seconds(contestant: Contestant) -> float:
    """Return the wall time of one call."""
    started_s = time.perf_counter()
    contestant()
    return time.perf_counter() - started_s


def cpu_seconds(contestant: Contestant) -> float:
    """Return how long a call keeps cores busy, with the processes that it starts: what others do shows less."""
    started_s = _busy_s()
    contestant()
    return _busy_s() - started_s


def _busy_s() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


class Apart:
    """A contestant in a process of its own: what it does to its memory, and with its libraries, is its own business."""

    def __init__(self, contestant: Contestant, measure: Callable[[Contestant], float] = cpu_seconds) -> None:
        """Start the process, as a copy of this one.

        Args:
            contestant: What is measured.
            measure: What measures it there.
        """
        context = multiprocessing.get_context("fork")
        self._here, there = context.Pipe()
        context.Process(target=self._serve, args=(there, contestant, measure), daemon=True).start()
        there.close()

    def seconds(self) -> float:
        """Return the seconds of one call."""
        self._here.send(None)
        return float(self._here.recv())

    def _serve(self, there: Connection, contestant: Contestant, measure: Callable[[Contestant], float]) -> None:
        self._here.close()
        with contextlib.suppress(EOFError):  # the benchmark has ended
            while True:
                there.recv()
                there.send(measure(contestant))


def take_turns(
    contestants: Mapping[str, Contestant | Apart],
    rounds: int = ROUNDS,
    measure: Callable[[Contestant], float] = seconds,
) -> dict[str, list[float]]:
    """Return the seconds of every contestant in every round; a first round, which warms up, is not counted.

    Args:
        contestants: Who takes turns, by name.
        rounds: How often.
        measure: What measures those that are in this process: `seconds` on the wall, or `cpu_seconds`.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, contestant in contestants.items():
            times[name].append(contestant.seconds() if isinstance(contestant, Apart) else measure(contestant))
    return {name: taken[1:] for name, taken in times.items()}


def median_ratio(over: list[float], under: list[float]) -> float:
    """Return the median over rounds of one time divided by the other."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def compared(
    row: str,
    times: Mapping[str, list[float]],
    *,
    target: float,
    per: int,
    limit: str | None = None,
    beside: tuple[str, ...] = (),
) -> Row:
    """Return the line that compares ours with the best peer.

    Args:
        row: What was measured.
        times: Seconds per round by contestant, `audioprep` among them.
        target: How many times better than the best peer ours must be.
        per: Number of clips in a call: the line gives milliseconds for one.
        limit: Name of the contestant that is the limit and no peer.
        beside: Names of those that are shown and are no peers.
    """
    medians = {name: 1e3 * statistics.median(taken) / per for name, taken in times.items()}
    best = min((name for name in medians if name not in (OURS, limit, *beside)), key=medians.__getitem__)
    ratio = median_ratio(times[best], times[OURS])
    return Row(
        row=row,
        unit="ms",
        ours=round(medians[OURS], 4),
        best_peer=best,
        peer=round(medians[best], 4),
        limit=None if limit is None else round(medians[limit], 4),
        ratio=round(ratio, 2),
        target=target,
        met=ratio >= target,
        others={name: round(value, 4) for name, value in medians.items() if name not in (OURS, best, limit)},
    )


def report(rows: list[Row]) -> None:
    """Print the lines with what was measured beside, and put them into results.json in place of earlier ones of the same name."""
    show(rows)
    for row in rows:
        if row.others:
            print(
                f"{row.row}, beside:", ", ".join(f"{name} {value:g} {row.unit}" for name, value in row.others.items())
            )
    new = {row.row: row for row in rows}
    kept = [row for row in known_rows() if row.row not in new]
    text = json.dumps([asdict(row) for row in [*kept, *rows]], indent=1)
    RESULTS.write_text(text + "\n", encoding="utf-8")


def known_rows() -> list[Row]:
    """Return the lines of results.json."""
    return [Row(**row) for row in json.loads(RESULTS.read_text(encoding="utf-8"))] if RESULTS.is_file() else []


def show(rows: list[Row]) -> None:
    """Print lines as a table."""
    columns = ("what", "ours", "best peer", "peer", "limit", "ratio", "target", "met")
    show_table("Benchmarks", columns, [_cells(row) for row in rows])


def _cells(row: Row) -> tuple[str, ...]:
    limit = "-" if row.limit is None else f"{row.limit:g} {row.unit}"
    return (
        row.row,
        f"{row.ours:g} {row.unit}",
        row.best_peer,
        f"{row.peer:g} {row.unit}",
        limit,
        f"{row.ratio:g}",
        f"{row.target:g}",
        "yes" if row.met else "no",
    )
