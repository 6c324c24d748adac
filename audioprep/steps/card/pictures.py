"""The pictures of a dataset card, as SVG files with the same bytes for the same numbers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

# More bars than this cannot be read one by one: their sizes are drawn in order instead.
MAX_BARS = 60
_MAX_NAME = 40
_COLOUR, _SOFT, _EDGE = "#1d5fbf", "#5d6876", "#d5dae1"
_WIDTH_IN = 8.0
# Class sizes further apart than this need a logarithmic scale.
_MAX_LINEAR_RATIO = 50
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": _EDGE,
    "axes.labelcolor": _SOFT,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
}


def draw_classes(path: Path, classes: Sequence[dict[str, Any]]) -> None:
    """Draw how many clips each class has: a bar each, or a curve where there are many.

    Args:
        path: The SVG file.
        classes: `label` and `clips` of each, the largest first.
    """
    draw = _draw_bars if len(classes) <= MAX_BARS else _draw_ranks
    with _own_style():
        draw(path, [_short(row["label"]) for row in classes], [row["clips"] for row in classes])


def draw_histogram(path: Path, edges: Sequence[float], clips: Sequence[int], label: str) -> None:
    """Draw how many clips are in each bin.

    Args:
        path: The SVG file.
        edges: Of the bins, one more than these; drawn to a logarithmic scale where the bins widen.
        clips: In each bin.
        label: Under the axis.
    """
    with _own_style():
        figure, axes = _figure(2.6, left=0.09, bottom=0.45)
        axes.bar(edges[:-1], clips, [high - low for low, high in pairwise(edges)], align="edge")
        for bar in axes.patches:
            bar.set(facecolor=_COLOUR, edgecolor="white", linewidth=0.6)
        if edges[-1] - edges[-2] > 1.5 * (edges[1] - edges[0]):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.set(xlabel=label, ylabel="clips", xlim=(edges[0], edges[-1]))
        _thousands(axes.yaxis)
        axes.grid(axis="y", color=_EDGE, linewidth=0.6)
        _save(figure, path)


def _draw_bars(path: Path, names: list[str], clips: list[int]) -> None:
    # A character is about 0.085 inches wide at this size.
    left = min(0.42, (0.25 + 0.085 * max(map(len, names))) / _WIDTH_IN)
    figure, axes = _figure(0.55 + 0.185 * len(names), left=left, bottom=0.4, top=0.05, right=0.08)
    axes.barh(range(len(names)), clips, height=0.72, color=_COLOUR)
    axes.set_yticks(range(len(names)), names, color="#17202b")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="clips")
    for row, count in enumerate(clips):
        axes.annotate(f"{count:,}", (count, row), (4, 0), textcoords="offset points", va="center", color=_SOFT, size=8)
    _thousands(axes.xaxis)
    axes.grid(axis="x", color=_EDGE, linewidth=0.6)
    _save(figure, path)


def _draw_ranks(path: Path, names: list[str], clips: list[int]) -> None:
    figure, axes = _figure(3.6, left=0.09, bottom=0.45)
    ranks = range(1, len(clips) + 1)
    axes.fill_between(ranks, clips, color=_COLOUR, alpha=0.15, step="mid", linewidth=0)
    axes.step(ranks, clips, where="mid", color=_COLOUR, linewidth=1.4)
    if clips[0] > _MAX_LINEAR_RATIO * max(clips[-1], 1):
        axes.set_yscale("log")
        axes.set_ylim(bottom=max(clips[-1], 1) * 0.7, top=clips[0] * 2.0)
    else:
        axes.set_ylim(bottom=0, top=clips[0] * 1.15)
    middle = len(clips) // 2
    places = ((0, "left", 6), (middle, "center", 0), (len(clips) - 1, "right", 0))
    for row, side, shift in places:
        axes.plot(row + 1, clips[row], "o", color=_COLOUR, markersize=4)
        text = f"{names[row]}: {clips[row]:,}"
        axes.annotate(text, (row + 1, clips[row]), (shift, 7), textcoords="offset points", ha=side, color="#17202b")
    axes.set(xlim=(0, len(clips) + 1), xlabel="classes, the largest first", ylabel="clips")
    _thousands(axes.yaxis)
    axes.grid(axis="y", color=_EDGE, linewidth=0.6)
    _save(figure, path)


@contextmanager
def _own_style() -> Iterator[None]:
    """Draw in our style, whatever matplotlibrc the user has, and with ids that are the same each time."""
    with style.context(["default", _STYLE]), mpl.rc_context({"svg.hashsalt": "audioprep"}):
        yield


def _figure(
    height_in: float, *, left: float, bottom: float, top: float = 0.15, right: float = 0.03
) -> tuple[Figure, Axes]:
    """Return a figure with margins that do not depend on what is drawn: left and right are shares, the others inches."""
    figure = Figure(figsize=(_WIDTH_IN, height_in))
    axes = figure.add_axes((left, bottom / height_in, 1 - left - right, 1 - (bottom + top) / height_in))
    return figure, axes


def _thousands(axis: Axis) -> None:
    if axis.get_scale() == "linear":
        axis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _short(name: str) -> str:
    # A dollar sign would start a formula.
    return (name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…").replace("$", r"\$")
