import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from model.corpora import LABELS, QUICK, SPLIT
from sklearn.metrics import average_precision_score, f1_score

from audioprep.config.training import EvaluateRule, RobustnessRule
from audioprep.errors import ConfigError, ModelError
from audioprep.io.parquet import read_split
from audioprep.io.tables import CLIPS, rows_to_table, write_table
from audioprep.model import evaluate as module
from audioprep.model.corpus import Corpus
from audioprep.model.evaluate import evaluate
from audioprep.model.robustness import ScoredFold


@pytest.fixture
def work(checkpoints: Path, toy: Path, tmp_path: Path) -> Path:
    """A folder with copies that a test may spoil: `checkpoints` and `toy`."""
    shutil.copytree(checkpoints, tmp_path / "checkpoints")
    shutil.copytree(toy, tmp_path / "toy")
    return tmp_path


def test_metrics_are_those_of_the_pooled_predictions(report: Path) -> None:
    metrics = json.loads((report / "metrics.json").read_text())
    rows = pq.read_table(report / "predictions.parquet").to_pandas()
    per_fold = (rows["label"] == rows["predicted"]).groupby(rows["fold"]).mean()
    assert metrics["accuracy"] == pytest.approx(per_fold.mean())
    assert metrics["accuracy_std"] == pytest.approx(per_fold.std())
    assert metrics["macro_f1"] == pytest.approx(f1_score(rows["label"], rows["predicted"], average="macro"))
    assert (metrics["num_clips"], metrics["folds"]) == (24, 2)
    assert metrics["accuracy"] > 0.8


def test_every_clip_is_scored_by_the_fold_that_has_not_seen_it(report: Path, toy: Path) -> None:
    split = read_split(toy / "splits" / f"{SPLIT}.parquet")
    tested = {
        fold: {c for c, role in zip(split.ids, split.roles[fold], strict=True) if role == "test"} for fold in (1, 2)
    }
    table = pq.read_table(report / "predictions.parquet")
    for fold in (1, 2):
        ids = [row["id"] for row in table.to_pylist() if row["fold"] == fold]
        assert sorted(ids) == sorted(tested[fold])


def test_plots_are_what_dvc_reads(report: Path) -> None:
    with (report / "plots/confusion.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert {row["actual"] for row in rows} == {"bell", "drum", "siren"}
    for name, column in (("loss", "train_loss"), ("valid", "valid_accuracy")):
        with (report / f"plots/{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["epoch"] for row in rows] == [str(epoch + 1) for epoch in range(QUICK.epochs)]
        assert all(0 < float(row[column]) < 3 for row in rows)
    with (report / "plots/roc.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [rows[place][name] for place in (0, -1) for name in ("fpr", "macro", "class bell")] == [*"000111"]
    assert (report / "history.csv").read_text().startswith("fold,epoch,lr,train_loss,valid_loss,valid_accuracy\n")


def test_metrics_are_one_flat_row_and_the_rest_is_beside_it(report: Path) -> None:
    metrics = json.loads((report / "metrics.json").read_text())
    assert all(isinstance(value, float | int) for value in metrics.values())
    assert metrics["accuracy_low95"] <= metrics["accuracy"] <= metrics["accuracy_high95"]
    details = json.loads((report / "details.json").read_text())
    assert [*details["per_fold"]] == ["fold1", "fold2"]
    assert [*details["per_class"]] == list(LABELS)
    assert details["per_group"] == {}
    assert {"average_precision", "auc", "d_prime", "f1", "num_clips"} <= details["per_class"]["bell"].keys()
    assert metrics["map"] == pytest.approx(np.mean([fold["map"] for fold in details["per_fold"].values()]))


def test_temperatures_come_from_clips_that_are_neither_fitted_nor_tested(report: Path) -> None:
    calibration = json.loads((report / "calibration.json").read_text())
    for fold in ("fold1", "fold2"):
        assert calibration[fold]["num_clips"] == 12
        assert calibration[fold]["log_loss_calibrated"] <= calibration[fold]["log_loss"]
        assert calibration[fold]["thresholds"] is None
    assert "ece_calibrated" in json.loads((report / "metrics.json").read_text())


def test_without_validation_clips_there_is_no_temperature_and_it_is_said(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = work / f"toy/splits/{SPLIT}.parquet"
    table = pq.read_table(path)
    index = table.column_names.index("fold1")
    roles = ["unused" if role == "valid" else role for role in table["fold1"].to_pylist()]
    pq.write_table(table.set_column(index, "fold1", [roles]), path)
    metrics = evaluate(work / "toy", work / "checkpoints", work / "out", EvaluateRule())
    assert "no temperature for fold 1: no clips to validate" in " ".join(capsys.readouterr().out.split())
    calibration = json.loads((work / "out/calibration.json").read_text())
    assert calibration["fold1"]["temperature"] is None
    assert calibration["fold2"]["temperature"] > 0
    assert "ece_calibrated" not in metrics
    evaluate(work / "toy", work / "checkpoints", work / "out", EvaluateRule(calibrate=False))
    assert "no temperature" not in capsys.readouterr().out


def test_results_are_split_up_by_what_the_corpus_says_of_its_clips(work: Path) -> None:
    ids = [row["id"] for row in pq.read_table(work / f"toy/splits/{SPLIT}.parquet").to_pylist()]
    clips = [
        {"id": i, "group": i, "attributes": [("device", "ab"[n % 2]), *([("city", "unknown")] * (n % 3 == 0))]}
        for n, i in enumerate(ids)
    ]
    (work / "toy/raw").mkdir()
    write_table(work / "toy/raw/clips.parquet", rows_to_table(clips, CLIPS))
    evaluate(work / "toy", work / "checkpoints", work / "out", EvaluateRule())
    rows = json.loads((work / "out/details.json").read_text())["per_group"]["device"]
    table = pq.read_table(work / "out/predictions.parquet").to_pandas()
    for device, wanted in (("a", 0), ("b", 1)):
        own = table[[ids.index(clip) % 2 == wanted for clip in table["id"]]]
        assert rows[device]["num_clips"] == len(own)
        assert rows[device]["accuracy"] == pytest.approx((own["label"] == own["predicted"]).mean())
    cities = json.loads((work / "out/details.json").read_text())["per_group"]["city"]
    num_unknown = sum(ids.index(clip) % 3 == 0 for clip in table["id"])
    assert {name: row["num_clips"] for name, row in cities.items()} == {
        "(none)": len(table) - num_unknown,
        "unknown": num_unknown,
    }
    with pytest.raises(ConfigError, match=r"evaluate.groups of toy: expected one of .*, got 'speaker'"):
        evaluate(work / "toy", work / "checkpoints", work / "out", EvaluateRule(groups=("speaker",)))


def test_other_conditions_are_beside_the_numbers_of_clean_clips(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = EvaluateRule(robustness=RobustnessRule(snr_db=(0.0,)))
    with pytest.raises(ModelError, match=r"evaluate.robustness: expected the audio and cuts of .*toy, found none"):
        evaluate(work / "toy", work / "checkpoints", work / "out", rule)
    assert not (work / "out").exists()

    def always_drum(data: Path, corpus: Corpus, tests: list[ScoredFold], *_: object) -> dict[str, list[np.ndarray]]:
        drum_L = np.array([0.0, 1.0, 0.0], np.float32)
        return {"loud": [np.tile(drum_L, (len(test.rows_K), 1)) for test in tests]}

    monkeypatch.setattr(module, "degraded_scores", always_drum)
    evaluate(work / "toy", work / "checkpoints", work / "out", rule)
    details = json.loads((work / "out/details.json").read_text())
    assert details["robustness"]["loud"]["accuracy"] == pytest.approx(1 / 3)
    assert details["pooled_accuracy"] > 0.8


def test_running_again_gives_the_same_bytes(report: Path, toy: Path, checkpoints: Path, tmp_path: Path) -> None:
    evaluate(toy, checkpoints, tmp_path / "again", EvaluateRule())
    names = sorted(path.relative_to(report).as_posix() for path in report.rglob("*") if path.is_file())
    assert names == [
        "calibration.json",
        "details.json",
        "history.csv",
        "metrics.json",
        "plots/confusion.csv",
        "plots/loss.csv",
        "plots/pr.csv",
        "plots/reliability.csv",
        "plots/roc.csv",
        "plots/valid.csv",
        "predictions.parquet",
        "report.html",
    ]
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (report / name).read_bytes(), name


def test_one_fold_has_no_deviation(work: Path) -> None:
    summary = json.loads((work / "checkpoints/train.json").read_text())
    summary |= {"folds": [2], "per_fold": summary["per_fold"][1:]}
    (work / "checkpoints/train.json").write_text(json.dumps(summary))
    metrics = evaluate(work / "toy", work / "checkpoints", work / "out", EvaluateRule(num_shifts=2))
    assert metrics["folds"] == 1
    assert "accuracy_std" not in metrics
    assert np.isfinite(metrics["accuracy"])


def test_without_training_there_is_nothing_to_evaluate(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"train.json: expected the summary of a training, found none; run the train"):
        evaluate(toy, tmp_path, tmp_path / "out", EvaluateRule())


def test_a_training_that_does_not_say_its_rule_is_refused(work: Path) -> None:
    summary = json.loads((work / "checkpoints/train.json").read_text())
    assert summary["rule"]["epochs"] == QUICK.epochs
    del summary["rule"]
    (work / "checkpoints/train.json").write_text(json.dumps(summary))
    with pytest.raises(ModelError, match=r"train.json: expected the rule of the training, got none; run the train"):
        evaluate(work / "toy", work / "checkpoints", work / "out", EvaluateRule())


def test_other_features_than_the_trained_ones_are_refused(work: Path) -> None:
    for path in (work / "toy/logmel").glob("part-*.parquet"):
        table = pq.read_table(path)
        meta = json.loads(table.schema.metadata[b"audioprep"])
        meta["rule"]["hop_ms"] = 5.0
        pq.write_table(table.replace_schema_metadata({"audioprep": json.dumps(meta)}), path)
    index = work / "toy/logmel/_index.json"
    index.write_text(json.dumps(json.loads(index.read_text(encoding="utf-8")) | {"rule": meta["rule"]}))
    with pytest.raises(
        ModelError, match=r"fold 1: expected the features it was trained with, got others; run the train"
    ):
        evaluate(work / "toy", work / "checkpoints", work / "out", EvaluateRule())
    assert not (work / "out").exists()


def test_a_fold_without_test_clips_is_refused(work: Path) -> None:
    path = work / f"toy/splits/{SPLIT}.parquet"
    table = pq.read_table(path)
    index = table.column_names.index("fold1")
    roles = ["unused" if role == "test" else role for role in table["fold1"].to_pylist()]
    pq.write_table(table.set_column(index, "fold1", [roles]), path)
    with pytest.raises(ModelError, match=r"fold 1: expected clips to test, found none; choose another split"):
        evaluate(work / "toy", work / "checkpoints", work / "out", EvaluateRule())


def test_clips_of_several_labels_are_judged_by_average_precision(several_report: Path) -> None:
    head = json.loads((several_report / "metrics.json").read_text())
    rows = pq.read_table(several_report / "predictions.parquet").to_pandas()
    truth_KL = np.array([[label in labels for label in LABELS] for labels in rows["labels"]])
    scores_KL = np.array(rows["probabilities"].tolist())
    means = [
        average_precision_score(truth_KL[rows["fold"] == fold], scores_KL[rows["fold"] == fold]) for fold in (1, 2)
    ]
    assert head["map"] == pytest.approx(np.mean(means))
    assert head["map_std"] == pytest.approx(np.std(means, ddof=1))
    assert head["map_low95"] <= head["map"] <= head["map_high95"]
    assert head["map"] > 0.9
    assert any(not len(labels) for labels in rows["labels"])
    assert [*json.loads((several_report / "calibration.json").read_text())["fold1"]["thresholds"]] == list(LABELS)


def test_confusions_of_several_labels_count_what_is_missed_and_what_is_added(several_report: Path) -> None:
    with (several_report / "plots/confusion.csv").open() as file:
        found = [(row["actual"], row["predicted"]) for row in csv.DictReader(file)]
    expected = []
    for row in pq.read_table(several_report / "predictions.parquet").to_pylist():
        for label in LABELS:
            if label in row["labels"] or label in row["predicted"]:
                pair = [label if label in row[side] else "(none)" for side in ("labels", "predicted")]
                expected.append(tuple(pair))
    assert found == expected


def test_the_page_of_several_labels_says_map(several_report: Path) -> None:
    page = (several_report / "report.html").read_text()
    assert '<span class="name">mAP</span>' in page
    assert "<h2>Confusion</h2>" not in page


def test_tested_clips_without_any_label_are_refused(several: Path, several_checkpoints: Path, tmp_path: Path) -> None:
    shutil.copytree(several, tmp_path / "several")
    path = tmp_path / f"several/splits/{SPLIT}.parquet"
    table = pq.read_table(path)
    for name in ("fold1", "fold2"):
        roles = [
            "unused" if role == "test" and labels else role
            for role, labels in zip(table[name].to_pylist(), table["labels"].to_pylist(), strict=True)
        ]
        table = table.set_column(table.column_names.index(name), name, [roles])
    pq.write_table(table, path)
    with pytest.raises(
        ModelError, match=r"several/official-5fold: expected tested clips with labels, got none with any"
    ):
        evaluate(tmp_path / "several", several_checkpoints, tmp_path / "out", EvaluateRule())


def test_the_page_of_a_training_without_validation_shows_the_learning_rate(work: Path) -> None:
    history = work / "checkpoints/history.csv"
    rows = [[*line.split(",")[:4], "", ""] for line in history.read_text(encoding="utf-8").splitlines()[1:]]
    lines = ["fold,epoch,lr,train_loss,valid_loss,valid_accuracy", *(",".join(row) for row in rows)]
    history.write_text("\n".join(lines) + "\n", encoding="utf-8")
    metrics = evaluate(work / "toy", work / "checkpoints", work / "out", EvaluateRule())
    page = (work / "out/report.html").read_text(encoding="utf-8")
    assert "Learning rate" in page
    assert "Validation accuracy" not in page
    assert f"Calibration error</span><b>{100 * metrics['ece']:.1f} %" in page
