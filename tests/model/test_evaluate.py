import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from model.corpora import SPLIT
from sklearn.metrics import f1_score

from audioprep.config.training import EvaluateRule
from audioprep.errors import ModelError
from audioprep.io.parquet import read_split
from audioprep.model.evaluate import evaluate


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
    assert (report / "history.csv").read_text().startswith("fold,epoch,lr,train_loss,valid_loss,valid_accuracy\n")


def test_running_again_gives_the_same_bytes(report: Path, toy: Path, checkpoints: Path, tmp_path: Path) -> None:
    evaluate(toy, checkpoints, tmp_path / "again", EvaluateRule())
    for name in ("metrics.json", "predictions.parquet", "report.html", "plots/confusion.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (report / name).read_bytes(), name


def test_one_fold_has_no_deviation(work: Path) -> None:
    summary = json.loads((work / "checkpoints/train.json").read_text())
    summary |= {"folds": [2], "per_fold": summary["per_fold"][1:]}
    (work / "checkpoints/train.json").write_text(json.dumps(summary))
    metrics = evaluate(work / "toy", work / "checkpoints", work / "out", EvaluateRule(num_shifts=2))
    assert (metrics["folds"], metrics["accuracy_std"]) == (1, 0.0)
    assert np.isfinite(metrics["accuracy"])


def test_without_training_there_is_nothing_to_evaluate(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"train.json: expected the summary of a training, found none; run the train"):
        evaluate(toy, tmp_path, tmp_path / "out", EvaluateRule())


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
