import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from audioprep.model.monitor.charts import course_chart, share_chart, spread_chart, time_ticks
from audioprep.model.monitor.tally import SCALES, Counts, Scale

DECILES = [-60.0, -40.0, -35.0, -30.0, -28.0, -26.0, -24.0, -22.0, -20.0, -15.0, -5.0]
SCALE = SCALES["rms_db"]


def stretch(middle_s: float, *values: float) -> tuple[float, Counts]:
    counts = [0] * SCALE.num_bins
    for value in values:
        counts[SCALE.bin(value)] += 1
    return middle_s, {"rms_db": counts}


def course(*stretches: tuple[float, Counts], deciles: list[float] | None = DECILES) -> str:
    return course_chart(stretches, 10.0, "rms_db", SCALE, deciles, title="a & b")


def check_inside(chart: str) -> None:
    """See to it that all that is drawn lies in the picture."""
    width, height = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', chart)[0])
    for points in re.findall(r'points="([^"]+)"', chart):
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
    for x, y, wide, high in re.findall(r'<rect class="\w+" x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', chart):
        assert 0 <= float(x) <= float(x) + float(wide) <= width
        assert 0 <= float(y) <= float(y) + float(high) <= height + 0.1
    assert "nan" not in chart


def test_a_course_stands_before_what_is_usual() -> None:
    chart = course(*(stretch(10.0 * number, -90.0, -50.0 + number, 0.0) for number in range(20)))
    check_inside(chart)
    assert 'aria-label="a &amp; b"' in chart
    assert chart.index('class="usual"') < chart.index('class="band"') < chart.index('class="line"')
    (line,) = re.findall(r'<polyline class="line" points="([^"]+)"', chart)
    heights = [float(point.split(",")[1]) for point in line.split()]
    assert len(heights) == 20
    assert heights == sorted(heights, reverse=True), "it rises"
    assert 'class="usual"' not in course(stretch(0.0, -50.0), deciles=None)


def test_a_pause_parts_the_line_and_a_lone_stretch_is_a_dot() -> None:
    chart = course(stretch(5.0, -30.0), stretch(15.0, -31.0), stretch(1005.0, -32.0), stretch(2005.0, -33.0))
    check_inside(chart)
    assert chart.count("<polyline") == 1
    assert chart.count('class="dot"') == 2


def test_what_was_not_measured_is_left_out() -> None:
    assert course() == course(stretch(5.0)) == ""
    assert course(stretch(5.0), stretch(15.0, -30.0), stretch(25.0)).count('class="dot"') == 1


def columns(chart: str) -> list[tuple[float, float, float]]:
    """Return from where to where each column goes, and its share in per cent."""
    found = re.findall(r"<title>(\S+) to (\S+): (\S+)%</title>", chart)
    return [(float(start), float(stop), float(share)) for start, stop, share in found]


def test_a_distribution_has_few_even_columns_that_hold_everything() -> None:
    _, counts = stretch(0.0, *[-45.2] * 30, *[-20.4] * 10, -99.0)
    chart = spread_chart(counts["rms_db"], SCALE, DECILES, x_label="x & y", title="t")
    check_inside(chart)
    assert "x &amp; y" in chart
    found = columns(chart)
    assert [share for *_, share in found] == [2.4, 73.2, 24.4]
    assert {stop - start for start, stop, _ in found} == {5.0}
    assert found[1][0] <= -45.2 < found[1][1]
    (usual,) = re.findall(r'<polygon class="usual" points="([^"]+)"', chart)
    assert len(usual.split()) == 2 * 20 + 2
    assert "usual" not in spread_chart(counts["rms_db"], SCALE, None, x_label="x", title="t")


def test_training_is_spread_over_the_columns_as_its_deciles_say() -> None:
    scale = Scale(0.0, 0.05, 20)
    chart = spread_chart([1] * 20, scale, [0.0, *[0.05 * n for n in range(11, 20)], 1.0], x_label="x", title="t")
    (usual,) = re.findall(r'<polygon class="usual" points="([^"]+)"', chart)
    heights = [240 - float(point.split(",")[1]) for point in usual.split()][1:-1]
    low, high = heights[0], heights[-1]
    assert high - heights[-18] == pytest.approx(0.0, abs=0.2)
    # One tenth over eleven columns, one tenth in each of the others; below is the axis.
    bottom = 240 - float(usual.split()[0].split(",")[1])
    assert (high - bottom) / (low - bottom) == pytest.approx(11.0, rel=0.05)


def test_a_distribution_of_nothing_is_nothing() -> None:
    assert spread_chart([0] * 10, Scale(0.0, 0.1, 10), None, x_label="x", title="t") == ""


def test_classes_have_two_bars_each() -> None:
    chart = share_chart([("a & b", 0.5, 0.1), ("c" * 40, 0.0, 0.2)], title="t")
    check_inside(chart)
    widths = {
        kind: [float(w) for w in re.findall(rf'class="{kind}" x="\d+" y="\S+" width="(\S+)"', chart)]
        for kind in ("box", "usual")
    }
    assert widths["box"][0] == pytest.approx(5 * widths["usual"][0], rel=0.01)
    assert "a &amp; b: 50.0%, in training 10.0%" in chart
    assert f"{'c' * 25}…</text>" in chart
    assert share_chart([], title="t") == ""
    assert "nan" not in share_chart([("a", 0.0, 0.0)], title="t")


@pytest.mark.parametrize(
    ("start", "length_s", "first"),
    [
        ("2026-03-01T12:00:03", 4, "12:00:03"),
        ("2026-03-01T12:00:03", 50, "12:00:10"),
        ("2026-03-01T23:50:00", 1200, "23:50"),
        ("2026-03-01T13:00:00", 80_000, "18:00"),
        ("2026-03-01T13:00:00", 200_000, "2 Mar"),
        ("2026-03-01T13:00:00", 7 * 86_400, "2 Mar"),
        ("2026-03-01T13:00:00", 300 * 86_400, "Mar 2026"),
        ("2000-03-01T13:00:00", 20_000 * 86_400, "Dec 2009"),
    ],
)
def test_times_are_round_and_few(start: str, length_s: float, first: str) -> None:
    start_s = datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()
    found = time_ticks(start_s, start_s + length_s)
    assert 2 <= len(found) <= 7
    assert all(start_s <= time_s <= start_s + length_s for time_s, _ in found)
    assert len({round(b - a) for (a, _), (b, _) in pairwise(found)}) == 1
    assert found[0][1] == first
