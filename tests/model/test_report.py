import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from audioprep.config.training import EvaluateRule
from audioprep.model.evaluate import evaluate
from audioprep.model.report.charts import Line, line_chart, mean_line

VOID = {"meta", "br"}


class Balanced(HTMLParser):
    """Fails on a tag that is closed but not open, or the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<line/>` opens and closes itself."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "report.html").read_text()


def test_the_page_needs_nothing_else(page: str) -> None:
    assert not re.findall(r"(?:src|href)=|url\(|@import|<script|https?://", page)
    parser = Balanced()
    parser.feed(page)
    assert not parser.open


def test_the_page_says_what_was_measured(page: str, report: Path) -> None:
    metrics = json.loads((report / "metrics.json").read_text())
    assert f"{100 * metrics['accuracy']:.1f} %" in page
    assert f"{metrics['macro_f1']:.3f}" in page
    for label in ("bell", "drum", "siren"):
        assert page.count(label) >= 3
    assert page.count("<svg") == 2
    assert "There is no audit" in page


def test_the_audit_is_shown_and_names_are_escaped(toy: Path, checkpoints: Path, tmp_path: Path) -> None:
    shutil.copytree(toy, tmp_path / "toy")
    finding = {"kind": "shared_group", "what": "group <b>7</b>", "ids": ["a", "b"], "scope": "across", "known": ""}
    audit = {"num_clips": 60, "num_groups": 12, "folds": {"fold1": {"train": 36, "test": 12}}, "findings": [finding]}
    (tmp_path / "toy/splits/audit.json").write_text(json.dumps(audit))
    evaluate(tmp_path / "toy", checkpoints, tmp_path / "out", EvaluateRule())
    page = (tmp_path / "out/report.html").read_text()
    assert "60 clips in 12 groups" in page
    assert "shared group, group &lt;b&gt;7&lt;/b&gt;: a, b" in page


def test_a_chart_keeps_its_points_inside() -> None:
    chart = line_chart([Line("a & b", [(1.0, 0.0), (30.0, 2.5)], "main")], x_label="epoch", title="t")
    points = re.search(r'points="([^"]+)"', chart)
    assert points is not None
    for point in points[1].split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 520
        assert 0 <= y <= 250
    assert "a &amp; b" in chart


def test_a_chart_of_nothing_is_nothing() -> None:
    assert line_chart([Line("a", [], "main")], x_label="epoch", title="t") == ""


def test_a_chart_of_zeros_is_drawn() -> None:
    assert "polyline" in line_chart([Line("a", [(1.0, 0.0), (2.0, 0.0)], "main")], x_label="epoch", title="t")


def test_the_mean_line_has_the_points_that_all_lines_have() -> None:
    assert mean_line([[(1.0, 2.0), (2.0, 4.0)], [(2.0, 6.0)]]) == [(2.0, 5.0)]
    assert mean_line([]) == []
