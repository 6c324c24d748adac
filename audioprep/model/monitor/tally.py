"""What a record says, added up line by line, so that memory holds as little of a long one as of a short one."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from audioprep.edge.record import FULL_SCALE_DB, QUIET, SILENT

# Times are taken together until so few stretches are left.
_MAX_STRETCHES = 120
# A stretch of fewer lines says little; but fewer than eight stretches are no course of time.
_MIN_LINES, _MIN_STRETCHES = 5, 8


@dataclass(frozen=True)
class Scale:
    """Bins of equal width; what is beyond the ends counts to the outermost.

    Attributes:
        low: Where the first begins.
        width: Of each.
        num_bins: How many there are.
    """

    low: float
    width: float
    num_bins: int

    def bin(self, value: float) -> int:
        """Return the number of the bin that a value is in."""
        return min(max(int((value - self.low) / self.width), 0), self.num_bins - 1)

    def quantile(self, counts: Sequence[int], share: float) -> float:
        """Return below which value a share of what was counted lies, evenly spread within each bin."""
        wanted, before = share * sum(counts), 0
        for number, count in enumerate(counts):
            if count and before + count >= wanted:
                return self.low + self.width * (number + (wanted - before) / count)
            before += count
        raise ValueError("nothing was counted")


_DECIBEL = Scale(-100.0, 0.5, 220)
SCALES = {"rms_db": _DECIBEL, "loudness_lufs": _DECIBEL, "confidence": Scale(0.0, 0.005, 200)}
# What a line calls them.
_KEYS = {"rms_db": "rms_db", "loudness_lufs": "loudness_lufs", "confidence": "probability"}

Counts = dict[str, list[int]]


def _no_counts() -> Counts:
    return {name: [0] * scale.num_bins for name, scale in SCALES.items()}


class Timeline:
    """Counts over time, in stretches that become longer as time goes on."""

    def __init__(self) -> None:
        """Begin with stretches of a second."""
        self.width_s = 1.0
        self._stretches: dict[int, Counts] = {}
        self._num_lines = 0

    def at(self, time_s: float) -> Counts:
        """Return the counts of the stretch that a moment is in, to be added to."""
        self._num_lines += 1
        number = int(time_s // self.width_s)
        if number not in self._stretches:
            self._stretches[number] = _no_counts()
            while len(self._stretches) > _MAX_STRETCHES:
                self._lengthen()
        return self._stretches[int(time_s // self.width_s)]

    def stretches(self) -> list[tuple[float, Counts]]:
        """Return the middle of each stretch, s, and its counts, in order; short ones are taken together before."""
        while len(self._stretches) > max(_MIN_STRETCHES, self._num_lines / _MIN_LINES):
            self._lengthen()
        return [((number + 0.5) * self.width_s, counts) for number, counts in sorted(self._stretches.items())]

    def _lengthen(self) -> None:
        self.width_s *= 2
        stretches: dict[int, Counts] = {}
        for number, counts in self._stretches.items():
            if (known := stretches.setdefault(number // 2, counts)) is not counts:
                for name, added in counts.items():
                    known[name] = [a + b for a, b in zip(known[name], added, strict=True)]
        self._stretches = stretches


@dataclass
class Tally:
    """What the lines of one bundle say.

    Attributes:
        edges: For each of `SCALES` that training knows, where its bins end, but for the last.
        window_s: How long a window is.
        binned: How many values are in each of those bins.
        counts: How many values are in each bin of `SCALES`.
        timeline: The same over time.
        labels: How often each label was given.
        problems: Lines without an answer, by their status.
        num_lines: All lines of the bundle.
        num_judged: Those with an answer.
        num_unlabelled: Those with an answer that gives no label.
        num_peaks: Answers whose true peak is known.
        num_over: Those that go over full scale.
        num_new: Lines, of which a window counts as much as it has that is new: a whole one that was not heard before is 1.
        num_other: Lines of other bundles.
        num_broken: Lines that are none.
        first_s: Time of the earliest line, s since 1970.
        last_s: Time of the latest.
    """

    edges: Mapping[str, Sequence[float]]
    window_s: float = math.inf
    binned: Counts = field(init=False)
    counts: Counts = field(default_factory=_no_counts)
    timeline: Timeline = field(default_factory=Timeline)
    labels: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    num_lines: int = 0
    num_judged: int = 0
    num_unlabelled: int = 0
    num_peaks: int = 0
    num_over: int = 0
    num_new: float = 0.0
    num_other: int = 0
    num_broken: int = 0
    first_s: float = math.inf
    last_s: float = -math.inf
    _heard_until_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.binned = {name: [0] * (len(edges) + 1) for name, edges in self.edges.items()}

    @property
    def num_labels(self) -> int:
        """Labels that were given; to have none counts as one too."""
        return self.labels.total() + self.num_unlabelled

    @property
    def num_silent(self) -> int:
        """Lines of silence, which was not judged."""
        return self.problems[SILENT]

    @property
    def num_failed(self) -> int:
        """Lines of what could not be read."""
        return sum(self.problems.values()) - self.num_silent - self.problems[QUIET]

    def add(self, line: Mapping[str, Any]) -> None:
        """Add a line of the bundle."""
        time_s = datetime.fromisoformat(line["time"]).timestamp()
        self.num_lines += 1
        self.num_new += self._new(str(line.get("source")), line.get("start_s"), line.get("stop_s"))
        self.first_s, self.last_s = min(self.first_s, time_s), max(self.last_s, time_s)
        probability = line.get("probability")
        if probability is None:
            self.problems[str(line.get("status", SILENT))] += 1
            return
        self.num_judged += 1
        labels = line.get("labels", [])
        self.labels.update(labels)
        self.num_unlabelled += not labels
        peak_db = line.get("true_peak_db")
        if peak_db is not None:
            self.num_peaks += 1
            self.num_over += peak_db > FULL_SCALE_DB
        self._add_values(line, self.timeline.at(time_s))

    def _new(self, source: str, start_s: float | None, stop_s: float | None) -> float:
        """Return how much of a window was not heard before, in windows; of what is no window, one."""
        if start_s is None or stop_s is None:
            return 1.0
        before_s = self._heard_until_s.get(source, -math.inf)
        self._heard_until_s[source] = stop_s
        # What ends before the last one did was started again.
        new_s = stop_s - (max(start_s, before_s) if stop_s > before_s else start_s)
        return min(1.0, new_s / self.window_s)

    def _add_values(self, line: Mapping[str, Any], stretch: Counts) -> None:
        for name, scale in SCALES.items():
            value = line.get(_KEYS[name])
            if value is None:
                continue
            number = scale.bin(value)
            self.counts[name][number] += 1
            stretch[name][number] += 1
            if name in self.edges:
                self.binned[name][bisect_left(self.edges[name], value)] += 1


def add_up(
    lines: Iterable[Mapping[str, Any] | None], bundle_id: str, edges: Mapping[str, Sequence[float]], window_s: float
) -> tuple[Tally, Counter[str]]:
    """Return what the lines of one bundle say, and how many lines there are of each bundle.

    Args:
        lines: Of a record, None where one is broken.
        bundle_id: Whose lines count.
        edges: For each of `SCALES` that training knows, where its bins end, but for the last.
        window_s: How long a window is.
    """
    heard, bundles = Tally(edges, window_s), Counter[str]()
    for line in _whole(lines, heard):
        bundles[line["bundle"]] += 1
        if line["bundle"] == bundle_id:
            heard.add(line)
        else:
            heard.num_other += 1
    return heard, bundles


def _whole(lines: Iterable[Mapping[str, Any] | None], heard: Tally) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        if line is None:
            heard.num_broken += 1
        else:
            yield line
