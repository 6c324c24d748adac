"""Stage evaluate: every clip is scored by the fold that has not seen it; the pooled predictions are judged.

Reads    models/<ds>/checkpoints/, data/<ds>/<kind>/, data/<ds>/splits/
Writes   reports/<ds>/metrics.json, predictions.parquet, history.csv, plots/confusion.csv, report.html
"""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from audioprep.config.training import EvaluateRule
from audioprep.console import say, track
from audioprep.engine import fresh_folder
from audioprep.errors import ModelError
from audioprep.io.parquet import write_predictions
from audioprep.model.checkpoints import Checkpoint, load_checkpoint
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.loop import predict
from audioprep.model.metrics import calibration, calibration_error, confusion, macro_f1, per_class, wilson_interval
from audioprep.model.report.page import write_report
from audioprep.model.trained import check_fits, read_training

# Wrong clips that the report lists.
_NUM_ERRORS = 12


def evaluate(data: Path, checkpoints: Path, out: Path, rule: EvaluateRule) -> dict[str, Any]:
    """Score every trained fold on the clips it has not seen and write metrics, predictions, plots and the report.

    Args:
        data: The corpus's folder, `data/<ds>`.
        checkpoints: What the train stage wrote.
        out: Folder of the results.
        rule: How clips are scored.

    Returns:
        What `metrics.json` holds.

    Raises:
        ModelError: A checkpoint is missing, or belongs to other features or another split.
        ShardError: Features or split are missing or damaged.
    """
    torch.set_num_threads(1)  # more threads would sum in another order
    training = read_training(checkpoints)
    loaded = [load_checkpoint(checkpoints / f"fold{fold}.pt") for fold in training["folds"]]
    corpus = load_corpus(data, loaded[0].rule.features, loaded[0].meta["split"])
    predictions = [
        _predict_fold(corpus, checkpoint, rule.num_shifts)
        for checkpoint in track(loaded, "evaluate", len(loaded), "fold")
    ]
    metrics = _judge(corpus, predictions)
    fresh_folder(out)
    _write_predictions(out / "predictions.parquet", corpus, predictions)
    _write_confusion(out / "plots" / "confusion.csv", corpus, predictions)
    shutil.copyfile(checkpoints / "history.csv", out / "history.csv")
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    first = loaded[0]
    write_report(
        out / "report.html",
        data,
        metrics=metrics,
        training=training,
        about={"rule": first.rule.model_dump(), "meta": first.meta, "shapes": vars(first.shapes)},
        counts_LL=_pooled_confusion(corpus, predictions),
        bins=_calibration(corpus, predictions),
        errors=_errors(corpus, predictions),
        history=checkpoints / "history.csv",
    )
    say(
        f"{data.name}: accuracy {metrics['accuracy']:.2%} over {len(training['folds'])} folds, "
        f"macro F1 {metrics['macro_f1']:.3f}; see {out / 'report.html'}"
    )
    return metrics


class _Predictions:
    """Scores of one tested fold: rows of the corpus [K], and their probabilities [K, L]."""

    def __init__(self, fold: int, rows_K: npt.NDArray[np.int64], scores_KL: npt.NDArray[np.float32]) -> None:
        self.fold, self.rows_K, self.scores_KL = fold, rows_K, scores_KL
        self.predicted_K = scores_KL.argmax(axis=1).astype(np.int64)


def _predict_fold(corpus: Corpus, checkpoint: Checkpoint, num_shifts: int) -> _Predictions:
    check_fits(corpus, checkpoint)
    fold = int(checkpoint.meta["fold"])
    rows_K = corpus.rows(fold, {"test"})
    if not len(rows_K):
        raise ModelError(f"fold {fold}: expected clips to test, found none; choose another split")
    scores_KL = predict(checkpoint.classifier, corpus.values(rows_K), num_shifts=num_shifts)
    return _Predictions(fold, rows_K, scores_KL)


def _judge(corpus: Corpus, predictions: list[_Predictions]) -> dict[str, Any]:
    per_fold: dict[str, dict[str, Any]] = {}
    for fold in predictions:
        is_right_K = fold.predicted_K == corpus.targets_K[fold.rows_K]
        per_fold[f"fold{fold.fold}"] = {"accuracy": float(is_right_K.mean()), "num_clips": len(fold.rows_K)}
    accuracies = [row["accuracy"] for row in per_fold.values()]
    num_clips = sum(row["num_clips"] for row in per_fold.values())
    counts_LL = _pooled_confusion(corpus, predictions)
    num_right = int(np.trace(counts_LL))
    low, high = wilson_interval(num_right, num_clips)
    return {
        "accuracy": float(np.mean(accuracies)),
        "accuracy_std": float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0,
        "macro_f1": macro_f1(counts_LL),
        "num_clips": num_clips,
        "folds": len(per_fold),
        "pooled_accuracy": num_right / num_clips,
        "pooled_accuracy_low95": low,
        "pooled_accuracy_high95": high,
        "calibration_error": calibration_error(_calibration(corpus, predictions)),
        "per_fold": per_fold,
        "per_class": {row.pop("label"): row for row in per_class(counts_LL, corpus.classes)},
    }


def _calibration(corpus: Corpus, predictions: list[_Predictions]) -> list[dict[str, float]]:
    confidence_K = np.concatenate([fold.scores_KL.max(axis=1) for fold in predictions])
    is_right_K = np.concatenate([fold.predicted_K == corpus.targets_K[fold.rows_K] for fold in predictions])
    return calibration(confidence_K, is_right_K)


def _errors(corpus: Corpus, predictions: list[_Predictions]) -> list[dict[str, Any]]:
    """Return the wrong clips that were most confidently wrong."""
    errors = [
        {
            "id": corpus.ids[row],
            "fold": fold.fold,
            "label": corpus.classes[corpus.targets_K[row]],
            "predicted": corpus.classes[best],
            "probability": float(scores_L[best]),
        }
        for fold in predictions
        for row, best, scores_L in zip(fold.rows_K, fold.predicted_K, fold.scores_KL, strict=True)
        if best != corpus.targets_K[row]
    ]
    return sorted(errors, key=lambda error: (-error["probability"], error["id"]))[:_NUM_ERRORS]


def _pooled_confusion(corpus: Corpus, predictions: list[_Predictions]) -> npt.NDArray[np.int64]:
    true_K = np.concatenate([corpus.targets_K[fold.rows_K] for fold in predictions])
    predicted_K = np.concatenate([fold.predicted_K for fold in predictions])
    return confusion(true_K, predicted_K, len(corpus.classes))


def _write_predictions(path: Path, corpus: Corpus, predictions: list[_Predictions]) -> None:
    rows_K = np.concatenate([fold.rows_K for fold in predictions])
    write_predictions(
        path,
        ids=[corpus.ids[row] for row in rows_K],
        folds=np.concatenate([np.full(len(fold.rows_K), fold.fold) for fold in predictions]),
        labels=[corpus.classes[target] for target in corpus.targets_K[rows_K]],
        scores_KL=np.concatenate([fold.scores_KL for fold in predictions]),
        classes=corpus.classes,
    )


def _write_confusion(path: Path, corpus: Corpus, predictions: list[_Predictions]) -> None:
    """Write one row a clip: DVC's confusion template counts them."""
    path.parent.mkdir()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("actual", "predicted"))
        for fold in predictions:
            for row, best in zip(fold.rows_K, fold.predicted_K, strict=True):
                writer.writerow((corpus.classes[corpus.targets_K[row]], corpus.classes[best]))
