"""Charts as inline SVG: sharp at any size, small, and the same bytes for the same numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from audioprep.model.report.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, short, svg, ticks, x_text, y_tick

# Bars: their pitch and thickness, and where they begin, right of their names.
_BAR_PITCH, _BAR_HEIGHT, _BAR_LEFT, _BAR_RIGHT = 17, 11, 170, 60
_MAX_MARKS = 12
# A point so near to the line between its neighbours, in pixels, is not drawn.
_STRAIGHT = 0.05
# More bars than this cannot be read one by one: their sizes are drawn in order instead.
MAX_BARS = 60
# Sizes further apart than this need a logarithmic scale.
_MAX_LINEAR_RATIO = 50

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: What it shows, for people.
        points: Of x and y, ascending in x.
        style: CSS classes: `main`, `second`, `third` or `faint`; `dots` marks every point.
        key: By which the page's script finds it; empty: it does not.
    """

    name: str
    points: Sequence[Point]
    style: str
    key: str = ""


def line_chart(lines: Sequence[Line], *, x_label: str, title: str, is_share: bool = False) -> str:
    """Return a chart as an SVG element.

    Args:
        lines: What is drawn, the first at the back.
        x_label: Under the x axis.
        title: What the chart shows, read by screen readers.
        is_share: The y axis runs from 0 to 1 and is labelled in per cent.
    """
    points = [point for line in lines for point in line.points if math.isfinite(point[1])]
    if not points:
        return ""
    x_low = min(0.0, *(x for x, _ in points))
    x_ticks = ticks(x_low, max(x for x, _ in points))
    # All zeros make an axis too.
    y_ticks = ticks(0.0, 1.0 if is_share else max(y for _, y in points) or 1.0)
    x_scale = (WIDTH - LEFT - RIGHT) / (max(x_ticks[-1], *(x for x, _ in points)) - x_low)
    y_scale = (HEIGHT - TOP - BOTTOM) / max(y_ticks[-1], *(y for _, y in points))

    def place(x: float, y: float) -> Point:
        return LEFT + (x - x_low) * x_scale, HEIGHT - BOTTOM - y * y_scale

    parts = [
        svg(HEIGHT, title),
        *(y_tick(y, place(0.0, y)[1], is_share=is_share) for y in y_ticks),
        *(x_text(place(x, 0.0)[0], HEIGHT - 18, f"{x:g}") for x in x_ticks),
        x_text((WIDTH + LEFT) / 2, HEIGHT - 3, escape(x_label)),
    ]
    for line in lines:
        places = [place(*point) for point in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _without_middles(places))
        key = f' data-key="{escape(line.key)}"' if line.key else ""
        title_of = f"<title>{escape(line.name)}</title>"
        parts.append(f'<polyline class="line {line.style}"{key} points="{path}">{title_of}</polyline>')
        # A line of one point would not be seen.
        if "dots" in line.style.split() or len(places) == 1:
            parts += [f'<circle class="dot {line.style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
    return "".join([*parts, "</svg>"])


def size_chart(names: Sequence[str], sizes: Sequence[int], *, title: str, what: str) -> str:
    """Return how large things are: a bar each, or a curve where there are many.

    Args:
        names: Of the things.
        sizes: The largest first.
        title: What the chart shows, read by screen readers.
        what: What the things are, under a curve.
    """
    if not sizes:
        return ""
    return _bars(names, sizes, title) if len(sizes) <= MAX_BARS else _ranks(names, sizes, title, what)


def histogram(edges: Sequence[float], counts: Sequence[int], *, x_label: str, title: str) -> str:
    """Return a histogram.

    Args:
        edges: Of the bins, one more than these; bins that differ in width are drawn alike, each edge with its number.
        counts: In each bin.
        x_label: Under the x axis.
        title: What the chart shows, read by screen readers.
    """
    if not counts:
        return ""
    is_even = math.isclose(edges[1] - edges[0], edges[-1] - edges[-2])
    places = edges if is_even else range(len(edges))
    x_scale = (WIDTH - LEFT - RIGHT) / (places[-1] - places[0])
    y_ticks, bottom = ticks(0.0, max(*counts, 1), least=1.0), HEIGHT - BOTTOM
    y_scale = (bottom - TOP) / max(y_ticks[-1], *counts)
    lefts = [LEFT + (place - places[0]) * x_scale for place in places]
    marks = [(tick, tick) for tick in ticks(edges[0], edges[-1])] if is_even else list(zip(places, edges, strict=True))
    marks = marks[:: math.ceil(len(marks) / _MAX_MARKS)]
    parts = [
        svg(HEIGHT, title),
        *(y_tick(y, bottom - y * y_scale, is_share=False) for y in y_ticks),
        *(x_text(LEFT + (place - places[0]) * x_scale, HEIGHT - 18, f"{value:g}") for place, value in marks),
        x_text((WIDTH + LEFT) / 2, HEIGHT - 3, escape(x_label)),
    ]
    for index, count in enumerate(counts):
        left, width, height = lefts[index], lefts[index + 1] - lefts[index] - 1, count * y_scale
        text = f"{edges[index]:g} to {edges[index + 1]:g}: {count:,}"
        box = f'x="{left + 0.5:.1f}" y="{bottom - height:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}"'
        parts.append(f'<rect class="box" {box}><title>{text}</title></rect>' if count else "")
    return "".join([*parts, "</svg>"])


def reliability_chart(bins: Sequence[Mapping[str, float]], num_bins: int, *, title: str) -> str:
    """Return how often decisions are right by how sure they are: a bar each bin, and the line where both would be one.

    Args:
        bins: `confidence`, `accuracy` and `share` (of all decisions), empty bins left out.
        num_bins: Of equal width between 0 and 1.
        title: What the chart shows, read by screen readers.
    """
    bottom, x_scale, y_scale = HEIGHT - BOTTOM, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    shares = ticks(0.0, 1.0)
    parts = [
        svg(HEIGHT, title),
        *(y_tick(y, bottom - y * y_scale, is_share=True) for y in shares),
        *(x_text(LEFT + x * x_scale, HEIGHT - 18, f"{x:.0%}") for x in shares),
        x_text((WIDTH + LEFT) / 2, HEIGHT - 3, "probability given"),
    ]
    for row in bins:
        number, height = min(int(row["confidence"] * num_bins), num_bins - 1), row["accuracy"] * y_scale
        left, width = LEFT + number / num_bins * x_scale + 1, x_scale / num_bins - 2
        text = f"given {row['confidence']:.1%}, right {row['accuracy']:.1%}; {row['share']:.1%} of the decisions"
        box = f'x="{left:.1f}" y="{bottom - height:.1f}" width="{width:.1f}" height="{height:.1f}"'
        x, y = LEFT + row["confidence"] * x_scale, bottom - row["accuracy"] * y_scale
        # Bins that hold much stand out: the error is weighed by them.
        shade = 0.25 + 0.75 * min(1.0, row["share"] * num_bins / 3)
        parts.append(f'<rect class="box" {box} opacity="{shade:.2f}"><title>{text}</title></rect>')
        parts.append(f'<circle class="dot second" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{text}</title></circle>')
    ends = f'x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{TOP}"'
    return "".join([*parts, f'<line class="ideal" {ends}/>', "</svg>"])


def mean_line(lines: Sequence[Sequence[Point]]) -> list[Point]:
    """Return the mean over lines at every x that all of them have."""
    by_x = [dict(line) for line in lines]
    shared = sorted(set.intersection(*(set(line) for line in by_x))) if by_x else []
    return [(x, sum(line[x] for line in by_x) / len(by_x)) for x in shared]


def _bars(names: Sequence[str], sizes: Sequence[int], title: str) -> str:
    scale = (WIDTH - _BAR_LEFT - _BAR_RIGHT) / max(*sizes, 1)
    parts = [svg(_BAR_PITCH * len(sizes), title)]
    for row, (name, size) in enumerate(zip(names, sizes, strict=True)):
        top, width = row * _BAR_PITCH + (_BAR_PITCH - _BAR_HEIGHT) / 2, size * scale
        text = f"{top + 9:.1f}"
        parts += [
            f'<text class="tick name" x="{_BAR_LEFT - 8}" y="{text}" text-anchor="end">{short(name)}</text>',
            f'<rect class="box" x="{_BAR_LEFT}" y="{top:.1f}" width="{width:.1f}" height="{_BAR_HEIGHT}" rx="2">',
            f"<title>{escape(name)}: {size:,}</title></rect>",
            f'<text class="tick" x="{_BAR_LEFT + width + 6:.1f}" y="{text}">{size:,}</text>',
        ]
    return "".join([*parts, "</svg>"])


def _ranks(names: Sequence[str], sizes: Sequence[int], title: str, what: str) -> str:
    is_log = sizes[0] > _MAX_LINEAR_RATIO * max(sizes[-1], 1)
    y_ticks = _powers(max(sizes[-1], 1), sizes[0]) if is_log else ticks(0.0, max(sizes[0], 1), least=1.0)

    def scaled(size: float) -> float:
        return math.log10(max(size, 1)) if is_log else size

    bottom, x_scale = HEIGHT - BOTTOM, (WIDTH - LEFT - RIGHT) / len(sizes)
    low, high = scaled(y_ticks[0]), scaled(max(y_ticks[-1], sizes[0]))

    def place(rank: float, size: float) -> Point:
        return LEFT + rank * x_scale, bottom - (scaled(size) - low) / (high - low) * (bottom - TOP)

    points = [place(rank, size) for rank, size in enumerate(sizes, start=1)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [
        svg(HEIGHT, title),
        *(y_tick(y, place(0, y)[1], is_share=False) for y in y_ticks),
        *(x_text(place(x, 1)[0], HEIGHT - 18, f"{x:g}") for x in ticks(0.0, len(sizes))),
        x_text((WIDTH + LEFT) / 2, HEIGHT - 3, f"{escape(what)}, the largest first"),
        f'<polygon class="area" points="{points[0][0]:.1f},{bottom} {path} {points[-1][0]:.1f},{bottom}"/>',
        f'<polyline class="line" points="{path}"/>',
    ]
    for row, anchor, shift in ((0, "start", 8), (len(sizes) // 2, "middle", 0), (len(sizes) - 1, "end", 0)):
        x, y = points[row]
        place_of_text = f'x="{x + shift:.1f}" y="{max(y - 7, 10):.1f}" text-anchor="{anchor}"'
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        parts.append(f'<text class="tick name" {place_of_text}>{short(names[row])}: {sizes[row]:,}</text>')
    return "".join([*parts, "</svg>"])


def _without_middles(places: Sequence[Point]) -> list[Point]:
    """Return a line's points without those on a straight way from the one before to the one after."""
    kept: list[Point] = []
    for number, (x, y) in enumerate(places):
        if 0 < number < len(places) - 1:
            (x0, y0), (x1, y1) = kept[-1], places[number + 1]
            if abs((y - y0) * (x1 - x0) - (y1 - y0) * (x - x0)) < _STRAIGHT * (x1 - x0):
                continue
        kept.append((x, y))
    return kept


def _powers(low: float, high: float) -> list[float]:
    """Return the powers of ten from the last one up to low to the first one from high."""
    return [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
