"""What charts have in common: their size, the marks on their axes, and names beside them."""

import math
from html import escape

WIDTH, HEIGHT = 520, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 34
_NUM_TICKS = 5
_MAX_NAME = 26


def svg(height: int, title: str) -> str:
    """Return how an SVG element starts, with what screen readers say of it."""
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'


def short(name: str) -> str:
    """Return a name as it fits beside a bar."""
    return escape(name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…")


def x_text(x: float, y: float, text: str) -> str:
    """Return text in the middle below a place of the x axis."""
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{text}</text>'


def y_tick(value: float, y: float, *, is_share: bool) -> str:
    """Return a line across the chart with its value, in per cent if it is a share."""
    label = f"{value:.0%}" if is_share else _compact(value)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 7}" y="{y + 3.5:.1f}" text-anchor="end">{label}</text>'
    )


def ticks(low: float, high: float, *, least: float = 0.0) -> list[float]:
    """Return about five round numbers between low and high: multiples of 1, 2 or 5 times a power of ten."""
    rough = max(high - low, 1e-9) / _NUM_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9)), least)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def _compact(value: float) -> str:
    """Return a number in few characters: 20k for 20,000."""
    power, unit = next((pair for pair in ((9, "G"), (6, "M"), (3, "k")) if value >= 10.0 ** pair[0]), (0, ""))
    return f"{value / 10.0**power:g}{unit}"
