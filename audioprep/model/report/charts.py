"""Line charts as inline SVG: sharp at any size, small, and the same bytes for the same numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 520, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 34
_NUM_TICKS = 5

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: What it shows, for people.
        points: Of x and y, ascending in x.
        style: CSS classes: `main`, `second` or `faint`; `dots` marks every point.
    """

    name: str
    points: Sequence[Point]
    style: str


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
    x_ticks = _ticks(0.0, max(x for x, _ in points))
    # All zeros make an axis too.
    y_ticks = _ticks(0.0, 1.0 if is_share else max(y for _, y in points) or 1.0)
    x_scale = (_WIDTH - _LEFT - _RIGHT) / max(x_ticks[-1], *(x for x, _ in points))
    y_scale = (_HEIGHT - _TOP - _BOTTOM) / max(y_ticks[-1], *(y for _, y in points))

    def place(x: float, y: float) -> Point:
        return _LEFT + x * x_scale, _HEIGHT - _BOTTOM - y * y_scale

    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
        *(_y_tick(y, place(0.0, y)[1], is_share=is_share) for y in y_ticks),
        *(_x_text(place(x, 0.0)[0], _HEIGHT - 18, f"{x:g}") for x in x_ticks),
        _x_text((_WIDTH + _LEFT) / 2, _HEIGHT - 3, escape(x_label)),
    ]
    for line in lines:
        places = [place(*point) for point in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        name = escape(line.name)
        parts.append(f'<polyline class="line {line.style}" points="{path}"><title>{name}</title></polyline>')
        if "dots" in line.style.split():
            parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
    return "".join([*parts, "</svg>"])


def mean_line(lines: Sequence[Sequence[Point]]) -> list[Point]:
    """Return the mean over lines at every x that all of them have."""
    by_x = [dict(line) for line in lines]
    shared = sorted(set.intersection(*(set(line) for line in by_x))) if by_x else []
    return [(x, sum(line[x] for line in by_x) / len(by_x)) for x in shared]


def _x_text(x: float, y: float, text: str) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{text}</text>'


def _y_tick(value: float, y: float, *, is_share: bool) -> str:
    label = f"{value:.0%}" if is_share else f"{value:g}"
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 7}" y="{y + 3.5:.1f}" text-anchor="end">{label}</text>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round numbers from low to high: steps of 1, 2 or 5 times a power of ten."""
    rough = max(high - low, 1e-9) / _NUM_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [round(low + index * step, 10) for index in range(int((high - low) / step + 1e-9) + 1)]
