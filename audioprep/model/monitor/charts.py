"""The page's charts: what was heard in colour, training in grey behind it."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import pairwise

import numpy as np

from audioprep.model.monitor.drift import steps
from audioprep.model.monitor.tally import Counts, Scale
from audioprep.model.report.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, short, svg, ticks, x_text, y_tick

# From the tenth to the ninetieth of a hundred: what is usual.
LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9
_MINUTE_S, _HOUR_S, _DAY_S, _QUARTER_S = 60, 3600, 86_400, 90 * 86_400
_STEPS_S = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE_S * number for number in (1, 2, 5, 10, 15, 30)),
    *(_HOUR_S * number for number in (1, 2, 3, 6, 12)),
    *(_DAY_S * number for number in (1, 2, 7, 14, 30, 90, 180, 365, 730, 3650)),
)
_MAX_TIME_TICKS = 6
_HALF_TIME = 26  # pixels of half of a time's text
# Neighbours further apart than so many stretches are not joined.
_MAX_GAP = 3
_MAX_COLUMNS = 40
_WIDTHS = (1, 2, 4, 10, 20)
_ROW_PITCH, _BAR_HEIGHT, _NAME_WIDTH, _NUMBER_WIDTH = 28, 9, 150, 66

Place = Callable[[float], float]


def course_chart(
    stretches: Sequence[tuple[float, Counts]],
    width_s: float,
    name: str,
    scale: Scale,
    deciles: Sequence[float] | None,
    *,
    title: str,
    is_share: bool = False,
) -> str:
    """Return how something went over time: the median of each stretch, what is usual around it, and training's.

    Args:
        stretches: The middle of each, s since 1970, and its counts.
        width_s: How long each is.
        name: What of the counts is drawn.
        scale: Its bins.
        deciles: Of the training clips; None if they are not known.
        title: What the chart shows, read by screen readers.
        is_share: The y axis runs from 0 to 1 and is labelled in per cent.
    """
    known = [(middle_s, counts[name]) for middle_s, counts in stretches if any(counts[name])]
    if not known:
        return ""
    points = [(middle_s, *(scale.quantile(row, share) for share in (LOW, MIDDLE, HIGH))) for middle_s, row in known]
    usual = [] if deciles is None else [deciles[1], deciles[5], deciles[9]]
    marks = _marks([value for _, *values in points for value in values] + usual, is_share=is_share)
    start_s, stop_s = points[0][0] - width_s / 2, points[-1][0] + width_s / 2
    x_of = _linear(start_s, stop_s, LEFT, WIDTH - RIGHT)
    y_of = _linear(marks[0], marks[-1], HEIGHT - BOTTOM, TOP)
    parts = [svg(HEIGHT, title), *(y_tick(mark, y_of(mark), is_share=is_share) for mark in marks)]
    times = [(x_of(time_s), text) for time_s, text in time_ticks(start_s, stop_s)]
    parts += [x_text(x, HEIGHT - 14, text) for x, text in times if x < WIDTH - _HALF_TIME]
    if usual:
        low, middle, high = (y_of(value) for value in usual)
        left, right = LEFT, WIDTH - RIGHT
        parts.append(
            f'<rect class="usual" x="{left}" y="{high:.1f}" width="{right - left}" height="{low - high:.1f}"/>'
        )
        parts.append(f'<line class="ideal" x1="{left}" x2="{right}" y1="{middle:.1f}" y2="{middle:.1f}"/>')
    for run in _runs(points, _MAX_GAP * width_s):
        places = [(x_of(time_s), *map(y_of, values)) for time_s, *values in run]
        parts += _band(places)
    return "".join([*parts, "</svg>"])


def spread_chart(
    counts: Sequence[int], scale: Scale, deciles: Sequence[float] | None, *, x_label: str, title: str
) -> str:
    """Return which share of what was heard lies where, and which share of the training clips.

    Args:
        counts: In the bins of the scale.
        scale: Its bins.
        deciles: Of the training clips; None if they are not known.
        x_label: Under the x axis.
        title: What the chart shows, read by screen readers.
    """
    if not any(counts):
        return ""
    edges, now = _columns(counts, scale, deciles)
    usual = [] if deciles is None else np.diff(np.interp(edges, *steps(deciles), left=0.0, right=1.0)).tolist()
    marks = _marks([0.0, max(now + usual)], least=0.01)
    x_of = _linear(edges[0], edges[-1], LEFT, WIDTH - RIGHT)
    y_of = _linear(0.0, marks[-1], HEIGHT - BOTTOM, TOP)
    parts = [svg(HEIGHT, title), *(y_tick(mark, y_of(mark), is_share=True) for mark in marks)]
    parts += [x_text(x_of(value), HEIGHT - 18, f"{value:g}") for value in ticks(edges[0], edges[-1])]
    parts.append(x_text((WIDTH + LEFT) / 2, HEIGHT - 3, escape(x_label)))
    if usual:
        tops = zip(pairwise(edges), usual, strict=True)
        corners = [(edges[0], 0.0), *((edge, share) for pair, share in tops for edge in pair), (edges[-1], 0.0)]
        outline = " ".join(f"{x_of(edge):.1f},{y_of(share):.1f}" for edge, share in corners)
        parts.append(f'<polygon class="usual" points="{outline}"/>')
    for (start, stop), share in zip(pairwise(edges), now, strict=True):
        left, width, top = x_of(start) + 0.5, x_of(stop) - x_of(start) - 1, y_of(share)
        box = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{y_of(0.0) - top:.1f}"'
        parts.append(
            f'<rect class="now" {box}><title>{start:g} to {stop:g}: {share:.1%}</title></rect>' if share else ""
        )
    return "".join([*parts, "</svg>"])


def _columns(counts: Sequence[int], scale: Scale, deciles: Sequence[float] | None) -> tuple[list[float], list[float]]:
    """Return the edges of the columns of a distribution, wide enough to be few, and the share of the counts in each."""
    filled = [number for number, count in enumerate(counts) if count]
    if deciles is not None:
        filled += [scale.bin(deciles[0]), scale.bin(deciles[-1])]
    first, last = min(filled), max(filled)
    together = next((each for each in _WIDTHS if (last - first) / each < _MAX_COLUMNS), _WIDTHS[-1])
    first, stop = first // together * together, min(-(-(last + 1) // together) * together, scale.num_bins)
    starts = np.arange(first, stop, together)
    shares = np.add.reduceat(np.array(counts[:stop]), starts) / sum(counts)
    edges = np.round(scale.low + scale.width * np.append(starts, stop), 6)
    return edges.tolist(), shares.tolist()


def share_chart(rows: Sequence[tuple[str, float, float]], *, title: str) -> str:
    """Return two bars for each row: what was heard, and below it what was trained on.

    Args:
        rows: Name, share now, share in training.
        title: What the chart shows, read by screen readers.
    """
    if not rows:
        return ""
    x_of = _linear(0.0, max(max(now, usual) for _, now, usual in rows) or 1.0, 0, WIDTH - _NAME_WIDTH - _NUMBER_WIDTH)
    parts = [svg(_ROW_PITCH * len(rows), title)]
    for number, (name, now, usual) in enumerate(rows):
        top = _ROW_PITCH * number + (_ROW_PITCH - 2 * _BAR_HEIGHT) / 2
        text = f"{escape(name)}: {now:.1%}, in training {usual:.1%}"
        parts.append(
            f'<g><title>{text}</title><text class="tick name" x="{_NAME_WIDTH - 8}" y="{top + _BAR_HEIGHT + 4:.1f}" '
            f'text-anchor="end">{short(name)}</text>'
        )
        for kind, share, y in (("box", now, top), ("usual", usual, top + _BAR_HEIGHT)):
            box = f'x="{_NAME_WIDTH}" y="{y:.1f}" width="{max(x_of(share), 0.5):.1f}" height="{_BAR_HEIGHT}"'
            parts.append(f'<rect class="{kind}" {box}/>')
        end = _NAME_WIDTH + x_of(max(now, usual)) + 6
        parts.append(f'<text class="tick" x="{end:.1f}" y="{top + _BAR_HEIGHT + 4:.1f}">{now:.1%}</text></g>')
    return "".join([*parts, "</svg>"])


def time_ticks(start_s: float, stop_s: float) -> list[tuple[float, str]]:
    """Return round moments between two, s since 1970, each with its text in UTC: the day where it begins, otherwise the time."""
    step_s = next((step for step in _STEPS_S if (stop_s - start_s) / step <= _MAX_TIME_TICKS), _STEPS_S[-1])
    numbers = range(math.ceil(start_s / step_s), math.floor(stop_s / step_s) + 1)
    return [(float(number * step_s), _time_text(number * step_s, step_s, stop_s - start_s)) for number in numbers]


def _time_text(time_s: int, step_s: int, length_s: float) -> str:
    moment = datetime.fromtimestamp(time_s, UTC)
    if step_s >= _QUARTER_S:
        return f"{moment:%b %Y}"
    if step_s >= _DAY_S or (length_s > _DAY_S and moment.hour == moment.minute == 0):
        return f"{moment.day} {moment:%b}"
    return f"{moment:%H:%M}" if step_s >= _MINUTE_S else f"{moment:%H:%M:%S}"


def _marks(values: Sequence[float], *, is_share: bool = False, least: float = 0.0) -> list[float]:
    """Return round numbers that reach around values."""
    if is_share:
        return ticks(0.0, 1.0)
    low, high = min(values), max(values)
    inner = ticks(low, max(high, low + 1e-3), least=least)
    step = inner[1] - inner[0] if len(inner) > 1 else max(high - low, least, 1.0 if least == 0.0 else least)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 6) for number in range(first, max(last, first + 1) + 1)]


def _linear(low: float, high: float, start: float, stop: float) -> Place:
    return lambda value: start + (value - low) / (high - low) * (stop - start)


def _runs(points: Sequence[tuple[float, ...]], max_gap_s: float) -> list[list[tuple[float, ...]]]:
    """Return points in runs without a long pause."""
    runs: list[list[tuple[float, ...]]] = []
    for point in points:
        if runs and point[0] - runs[-1][-1][0] <= max_gap_s:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _band(places: Sequence[tuple[float, ...]]) -> list[str]:
    """Return a run's area and line; of one point, a stroke and a dot."""
    if len(places) == 1:
        ((x, low, middle, high),) = places
        stroke = f'<line class="line faint" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
        return [stroke, f'<circle class="dot" cx="{x:.1f}" cy="{middle:.1f}" r="3"/>']
    there = [f"{x:.1f},{high:.1f}" for x, _, _, high in places]
    back = [f"{x:.1f},{low:.1f}" for x, low, _, _ in reversed(places)]
    line = " ".join(f"{x:.1f},{middle:.1f}" for x, _, middle, _ in places)
    return [f'<polygon class="band" points="{" ".join(there + back)}"/>', f'<polyline class="line" points="{line}"/>']
