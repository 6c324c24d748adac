import re

import numpy as np
import pytest

from audioprep.model.report import curves
from audioprep.model.report.charts import Line, line_chart, reliability_chart

GRID_G = np.linspace(0, 1, 5)
HISTORY = [
    {"fold": "1", "epoch": "1", "lr": "0.1", "train_loss": "2", "valid_loss": "", "valid_accuracy": ""},
    {"fold": "1", "epoch": "2", "lr": "0.05", "train_loss": "1", "valid_loss": "1.5", "valid_accuracy": "0.5"},
]


def ranked(num_classes: int) -> dict[str, dict[str, object]]:
    classes_LG = np.tile(GRID_G, (num_classes, 1))
    classes_LG[0] = np.nan
    return {"roc": {"fpr": GRID_G, "macro": GRID_G, "classes": classes_LG}} | {
        "pr": {"recall": GRID_G, "macro": GRID_G, "classes": classes_LG}
    }


def test_the_hardest_classes_have_a_curve_and_one_without_clips_has_none() -> None:
    values = [None, *np.linspace(1.0, 0.1, 59)]
    per_class = {f"c{number:02d}": {"average_precision": value} for number, value in enumerate(values)}
    found = curves.ranking_charts(ranked(60), per_class)
    labels = [row["label"] for row in found["classes"]]
    assert labels[0] == "c59"
    assert len(labels) == 40
    for chart in ("roc", "pr"):
        assert re.findall(r'data-key="([^"]+)"', found[chart]) == labels


def test_names_of_classes_are_escaped() -> None:
    per_class = {"a": {"average_precision": None}, '"<b>': {"average_precision": 0.5}}
    chart = curves.ranking_charts(ranked(2), per_class)["roc"]
    assert 'data-key="&quot;&lt;b&gt;"' in chart
    assert "<b>" not in chart


def test_what_was_not_validated_has_no_chart() -> None:
    assert 'aria-label="Right over epochs"' in curves.accuracy_chart(HISTORY, "Right")
    assert curves.accuracy_chart(HISTORY[:1], "Right") == ""
    assert "validation" not in curves.loss_chart(HISTORY[:1])
    assert "polyline" in curves.rate_chart(HISTORY)


def test_noise_at_several_levels_is_a_curve() -> None:
    conditions = {f"{noise} noise, {snr} dB": {"accuracy": 0.5} for noise in ("white", "musan") for snr in (20, -5)}
    found = curves.robustness_chart(conditions | {"reverb, 0.3 s": {"accuracy": 0.1}}, {"accuracy": 0.9})
    assert found is not None
    assert found["noises"] == ["white", "musan"]
    for x, _ in points_of(found["svg"]):
        assert 46 <= x <= 506
    assert ">-5</text>" in found["svg"]
    dots = re.findall(r'<circle class="dot (\w+)', found["svg"])
    assert dots == ["main"] * 2 + ["second"] * 2


def test_noise_is_shown_of_one_fold_of_several_labels_too() -> None:
    conditions = {f"white noise, {snr} dB": {"map": 0.5} for snr in (20, -5)}
    assert curves.robustness_chart(conditions, {"map": 0.9}) is not None


@pytest.mark.parametrize("conditions", [{}, {"white noise, 20 dB": {"map": 0.5}}, {"reverb, 1 s": {"map": 0.5}}])
def test_one_level_is_no_curve(conditions: dict[str, dict[str, float]]) -> None:
    assert curves.robustness_chart(conditions, {"map": 0.9}) is None


def test_points_on_a_straight_way_are_left_out() -> None:
    line = Line("a", [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (2.0, 1.0), (3.0, 1.0)], "main")
    assert len(points_of(line_chart([line], x_label="x", title="t"))) == 3


def test_a_reliability_bar_is_as_high_as_decisions_are_right() -> None:
    bins = [{"confidence": 0.5, "accuracy": 0.25, "share": 0.1}, {"confidence": 1.0, "accuracy": 1.0, "share": 0.9}]
    chart = reliability_chart(bins, 10, title="t")
    low, high = (float(height) for height in re.findall(r'<rect[^>]* height="([^"]+)"', chart))
    assert low == pytest.approx(high / 4, abs=0.1)
    assert "given 50.0%, right 25.0%; 10.0% of the decisions" in chart


def points_of(chart: str) -> list[tuple[float, float]]:
    found = [point.split(",") for points in re.findall(r'points="([^"]+)"', chart) for point in points.split()]
    return [(float(x), float(y)) for x, y in found]
