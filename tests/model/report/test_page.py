import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from model.corpora import SPLIT
from model.pages import check_alone
from steps.card_corpus import write_corpus

from audioprep.config.training import EvaluateRule
from audioprep.io.audio import encode_flac
from audioprep.model import evaluate as evaluation
from audioprep.model.evaluate import evaluate
from audioprep.model.report import page as module
from audioprep.model.report.charts import MAX_BARS, Line, histogram, line_chart, mean_line, size_chart
from audioprep.steps.card.page import card

NOTHING = "\N{EN DASH}"


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "report.html").read_text()


def test_the_page_needs_nothing_else(page: str, noisy_report: Path) -> None:
    check_alone(page)
    check_alone((noisy_report / "report.html").read_text())


def test_the_page_with_sounds_is_the_same_each_time(
    noisy_report: Path, noisy_run: tuple[Path, Path], tmp_path: Path
) -> None:
    evaluate(*noisy_run, tmp_path / "again", EvaluateRule())
    again, first = (folder / "report.html" for folder in (tmp_path / "again", noisy_report))
    assert again.read_bytes() == first.read_bytes()


def test_without_audio_the_page_says_so(toy: Path, page: str, noisy_report: Path) -> None:
    assert not (toy / "audio").exists()
    assert ("Their sound is not on this machine" in page) == ("Clips that were taken for another class" in page)
    assert "<audio" not in page
    assert "Picture and sound are the window" in (noisy_report / "report.html").read_text()


def test_clips_of_several_labels_have_their_own_page(several_report: Path) -> None:
    page = (several_report / "report.html").read_text()
    check_alone(page)
    details = json.loads((several_report / "details.json").read_text())
    assert "Confusion" not in page
    assert "threshold" in page
    for row in details["per_class"].values():
        assert f"{row['average_precision']:.3f}" in page
    assert "<h3>Likeliest label is right, validation</h3>" in page
    assert "Validation accuracy" not in page


def test_a_label_has_the_threshold_that_it_passed(
    several: Path, several_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "best_thresholds", lambda truth_KL, _: np.full(truth_KL.shape[1], 0.01))
    page = reported(several, several_checkpoints, tmp_path / "out")
    assert re.search(r'<span class="pill bad">[\d.]+ %, threshold 1.0 %</span>', page)
    assert re.search(r'<span class="pill">[\d.]+ %, threshold 1.0 %</span>', page)


def test_the_page_says_what_was_measured(page: str, report: Path) -> None:
    metrics = json.loads((report / "metrics.json").read_text())
    assert f"{100 * metrics['accuracy']:.1f} %" in page
    assert f"{metrics['macro_f1']:.3f}" in page
    for label in ("bell", "drum", "siren"):
        assert page.count(label) >= 3
    assert page.count("<svg") == 5
    assert "There is no audit" in page


def reported(data: Path, checkpoints: Path, out: Path) -> str:
    """Return the page of an evaluation, and see to it that it needs nothing else."""
    evaluate(data, checkpoints, out, EvaluateRule())
    page = (out / "report.html").read_text()
    check_alone(page)
    return page


def test_one_fold_of_several_is_named(toy: Path, checkpoints: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoints, tmp_path / "checkpoints")
    path = tmp_path / "checkpoints/train.json"
    training = json.loads(path.read_text())
    path.write_text(json.dumps(training | {"folds": [2], "per_fold": training["per_fold"][1:]}))
    page = reported(toy, tmp_path / "checkpoints", tmp_path / "out")
    assert "split official-5fold, fold 2 of 5: 12 of the 60 prepared clips, each scored" in page
    assert "</b><span>fold 2 of 5</span>" in page
    assert "mean of 1 fold" not in page
    assert "pooled over the folds" not in page


@pytest.mark.parametrize(
    ("folds", "num_folds", "said"),
    [((1,), 1, "fold 1 of 1"), ((3,), 5, "fold 3 of 5"), ((1, 3), 5, "folds 1, 3 of 5"), ((2, 1), 2, "all 2 folds")],
)
def test_tested_folds_are_named_unless_they_are_all(folds: tuple[int, ...], num_folds: int, said: str) -> None:
    assert module._folds(folds, num_folds) == said


def test_the_page_says_how_it_was_evaluated(page: str) -> None:
    assert '<th scope="row">tested</th><td>folds 1, 2 of 5</td>' in page
    assert '<th scope="row">evaluation</th><td class="clip">num_shifts 1 · calibrate True</td>' in page


def test_a_class_without_tested_clips_has_no_numbers(data: Path, checkpoints: Path, tmp_path: Path) -> None:
    path = data / f"splits/{SPLIT}.parquet"
    table = pq.read_table(path)
    for name in ("fold1", "fold2"):
        pairs = zip(table[name].to_pylist(), table["labels"].to_pylist(), strict=True)
        roles = ["unused" if (role, labels) == ("test", ["siren"]) else role for role, labels in pairs]
        table = table.set_column(table.column_names.index(name), name, [roles])
    pq.write_table(table, path)
    page = reported(data, checkpoints, tmp_path / "out")
    row = next(
        line for line in page.splitlines() if '<th scope="row">siren</th><td class="right" data-value="0">' in line
    )
    assert re.findall(r">([^<>]+)</td>", row) == ["0", *[NOTHING] * 5]
    assert (
        f"{NOTHING}: no tested clips; macro F1 counts such a class as 0 where it was given to any, balanced accuracy"
        in page
    )
    assert "hardest are drawn" not in page


def test_confusions_that_are_not_listed_are_counted(
    noisy_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_NUM_CONFUSIONS", 1)
    page = reported(*noisy_run, tmp_path / "out")
    counts = map(int, re.findall(r'title="\w+ taken for \w+: (\d+)', page))
    num_kinds = sum(int(count) > 0 for place, count in enumerate(counts) if place % 4)
    assert f"and {num_kinds - 1} more</p>" in page


def test_legends_name_what_is_drawn(page: str) -> None:
    assert '<i class="dot second"></i>at their mean probability' in page
    assert "dark:" not in page


def finding(kind: str, severity: str, known: str = "", **others: object) -> dict[str, object]:
    default = {"what": "group <b>7</b>", "scope": "across", "ids": ["a", "b"], "num_ids": 2}
    return {"kind": kind, "severity": severity, "known": known, **default, **others}


@pytest.fixture
def data(toy: Path, tmp_path: Path) -> Path:
    """The toy corpus, to which a test may add."""
    return Path(shutil.copytree(toy, tmp_path / "toy"))


def write_audit(data: Path, **values: object) -> None:
    audit = {"num_clips": 60, "num_groups": 12, "folds": {"fold1": {"train": 36, "test": 12}}, "findings": []}
    (data / "splits/audit.json").write_text(json.dumps(audit | values))


def test_the_audit_is_shown_and_names_are_escaped(data: Path, checkpoints: Path, tmp_path: Path) -> None:
    write_audit(data, findings=[finding("shared_group", "leak")])
    page = reported(data, checkpoints, tmp_path / "out")
    assert "60 clips in 12 groups" in page
    assert "Leaks between train, valid and test" in page
    assert '<td class="kind">shared group</td><td class="clip">group &lt;b&gt;7&lt;/b&gt;: a, b</td>' in page


def test_known_leaks_are_apart_from_new_ones(data: Path, checkpoints: Path, tmp_path: Path) -> None:
    write_audit(data, findings=[finding("shared_group", "leak", known="cut twice")])
    page = reported(data, checkpoints, tmp_path / "out")
    assert "No leak between train, valid and test is new." in page
    assert "Leaks between train, valid and test <span" not in page
    assert "Known leaks, as the split is published" in page
    assert "(cut twice)" in page


def test_no_kind_of_finding_hides_another(data: Path, checkpoints: Path, tmp_path: Path) -> None:
    findings = [finding("identical_file", "warning", what=f"file {number}") for number in range(20)]
    counts = [
        {"severity": "warning", "kind": "identical_file", "known": False, "scope": "across", "num_findings": 907},
        {"severity": "warning", "kind": "missing_class", "known": False, "scope": "across", "num_findings": 1},
    ]
    write_audit(data, findings=[*findings, finding("missing_class", "warning", ids=[])], counts=counts)
    page = reported(data, checkpoints, tmp_path / "out")
    assert '<span class="pill">908</span>' in page
    assert "file 4:" in page
    assert "file 5:" not in page
    assert "and 902 more" in page
    assert "missing class" in page


def test_suspicious_clips_can_be_heard(data: Path, checkpoints: Path, tmp_path: Path) -> None:
    pair = {"kind": "near_duplicate", "scope": "across", "known": False, "similarity": 0.912}
    heard = pair | {"ids": ["a", "b"], "labels": [["bell"], ["a & b"]]}
    lost = pair | {"ids": ["a", "gone"], "labels": [["bell"], ["bell"]]}
    write_audit(data, findings=[finding("near_duplicate", "leak")], suspects=[heard, lost])
    (data / "splits/suspects").mkdir()
    for name in "ab":
        wave_T = np.full(1600, 0.1 if name == "a" else -0.1, np.float32)
        (data / f"splits/suspects/{name}.flac").write_bytes(encode_flac(wave_T, 16000))
    page = reported(data, checkpoints, tmp_path / "out")
    assert page.count("<audio controls") == 2
    assert len(set(re.findall(r'src="(data:audio/mpeg;base64,[^"]+)', page))) == 2
    assert "similarity 0.91" in page
    assert "a &amp; b" in page
    assert "gone" not in page


def test_the_data_is_shown_where_there_is_a_card(data: Path, checkpoints: Path, tmp_path: Path) -> None:
    layout = write_corpus(tmp_path / "cards")
    card(layout)
    shutil.copytree(layout.data / "card", data / "card")
    page = reported(data, checkpoints, tmp_path / "out")
    for said in (
        "Toy: sounds *of* toys",
        "used of 40",
        "1.27 labels a clip",
        "it is missing",
        "&lt;b&gt;rain&lt;/b&gt;",
    ):
        assert said in page
    for title in ("Clips of each class", "Clips by duration", "Clips by loudness"):
        assert f"<h3>{title}</h3><svg" in page
    assert '<th scope="row">valid</th>' in page


@pytest.mark.parametrize(("sizes", "said"), [((40, 40), "<span>40 clips"), ((40, 1200), "<span>40 to 1,200 clips")])
def test_classes_of_one_size_have_no_range(
    data: Path, checkpoints: Path, tmp_path: Path, sizes: tuple[int, int], said: str
) -> None:
    layout = write_corpus(tmp_path / "cards")
    card(layout)
    shutil.copytree(layout.data / "card", data / "card")
    path = data / "card/summary.json"
    classes = [{"label": f"c{size}", "clips": size, "hours": 0.1} for size in reversed(sizes)]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"is_multi_label": False, "classes": classes}))
    assert said + " each" in reported(data, checkpoints, tmp_path / "out")


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


def boxes(chart: str) -> list[tuple[float, float, float, float]]:
    """Return left, top, width and height of every box."""
    found = re.findall(r'<rect class="box" x="([^"]+)" y="([^"]+)" width="([^"]+)" height="([^"]+)"', chart)
    return [(float(left), float(top), float(width), float(height)) for left, top, width, height in found]


def test_a_histogram_has_a_box_for_every_bin_that_holds_something() -> None:
    chart = histogram([-4.0, -2.0, 0.0, 2.0], [5, 0, 10], x_label="x & y", title="t")
    (left, right) = boxes(chart)
    assert right[3] == pytest.approx(2 * left[3], abs=0.2)
    assert left[0] >= 0
    assert right[0] + right[2] <= 520
    assert "x &amp; y" in chart
    assert ">-2</text>" in chart


def test_bins_of_different_widths_are_drawn_alike() -> None:
    first, second, third = boxes(histogram([1, 2, 5, 1000], [1, 1, 1], x_label="s", title="t"))
    assert first[2] == pytest.approx(second[2], abs=0.2)
    assert second[2] == pytest.approx(third[2], abs=0.2)


def test_a_histogram_of_nothing_is_nothing() -> None:
    assert histogram([], [], x_label="s", title="t") == ""


def test_few_sizes_are_bars_and_many_are_a_curve() -> None:
    bars = size_chart(["a & b", "c" * 40], [10, 5], title="t", what="classes")
    assert [round(box[2]) for box in boxes(bars)] == [290, 145]
    assert "a &amp; b" in bars
    assert f"{'c' * 25}…" in bars
    many = size_chart(
        [f"n{row}" for row in range(MAX_BARS + 1)], [10**6 // (row + 1) for row in range(61)], title="t", what="classes"
    )
    assert "polyline" in many
    assert "n60: 16,393" in many
    assert "1M" in many
    for point in re.findall(r'points="([^"]+)"', many)[1].split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 520
        assert 0 <= y <= 250
    assert size_chart([], [], title="t", what="classes") == ""


@pytest.mark.parametrize("sizes", [[0] * 70, [3] * 70, [1] * 70])
def test_a_curve_of_equal_sizes_is_drawn(sizes: list[int]) -> None:
    assert "nan" not in size_chart([str(row) for row in range(70)], sizes, title="t", what="classes")
