"""Stage evaluate: every clip is scored by the fold that has not seen it; the pooled predictions are judged.

Reads    models/<ds>/checkpoints/, data/<ds>/<kind>/, data/<ds>/splits/, raw/clips.parquet, audio/facts.parquet; for the
         clips to be heard, and for robustness, audio/shar/ and cuts/, which the features, a dependency in DVC, are made of
Writes   reports/<ds>/metrics.json, details.json, calibration.json, predictions.parquet, history.csv, plots/, report.html

Where clips are windows of longer recordings, a recording has the mean of its windows' probabilities, and all numbers are of
recordings; `windows` in details.json has those of single windows.

Shape letters: K clips, L classes.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from audioprep.config.base import parse_section
from audioprep.config.training import EvaluateRule, TrainRule
from audioprep.console import counted, say, track
from audioprep.dsp.temperature import scale
from audioprep.engine import fresh_folder
from audioprep.errors import ModelError
from audioprep.io.groups import read_groups, read_parts
from audioprep.io.predictions import NAME, Predictions, write_predictions
from audioprep.model.checkpoints import Checkpoint, load_checkpoint
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.judge import judge, summarise
from audioprep.model.loop import predict
from audioprep.model.metrics.calibration import fit_temperature, log_loss
from audioprep.model.metrics.decisions import (
    best_thresholds,
    decide_one,
    decide_several,
    fitted_thresholds,
)
from audioprep.model.metrics.ranking import pr_curves, roc_curves
from audioprep.model.plots import write_plots
from audioprep.model.report.augmented import augmented, copied
from audioprep.model.report.listen import listen
from audioprep.model.report.page import Results, write_report
from audioprep.model.robustness import ScoredFold, degraded_scores
from audioprep.model.trained import check_fits, read_training
from audioprep.model.windows import over_recordings, recording_ids

Ints = npt.NDArray[np.int64]


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
        ConfigError: The corpus has no group of a name that the rule wants, or a noise is no prepared corpus.
        ShardError: Features or split are missing or damaged.
    """
    torch.set_num_threads(1)  # more threads would sum in another order
    training = read_training(checkpoints)
    loaded = [load_checkpoint(checkpoints / f"fold{fold}.pt") for fold in training["folds"]]
    first = loaded[0]
    corpus = load_corpus(data, first.rule.features, first.meta["split"])
    folds = [_score_fold(corpus, checkpoint, rule) for checkpoint in track(loaded, "evaluate", len(loaded), "fold")]
    groups = read_groups(data / "splits" / f"{first.meta['split']}.parquet", corpus.ids)
    predictions = _pooled(corpus, folds, groups)
    if not predictions.truth_KL.any():
        raise ModelError(
            f"{corpus.name}: expected tested clips with labels, got none with any; choose another split or other folds"
        )
    parts = read_parts(data, predictions.ids, rule.groups)
    head, details = judge(predictions, _calibrated(folds), parts)
    details["robustness"] = _degraded(data, corpus, loaded, folds, predictions, rule)
    if corpus.recordings is not None:
        details["windows"] = _of_windows(corpus, folds, groups)
    curves = {
        "roc": roc_curves(predictions.truth_KL, predictions.scores_KL),
        "pr": pr_curves(predictions.truth_KL, predictions.scores_KL),
    }
    fitted = {f"fold{fold.fold}": fold.calibration for fold in folds}
    history = checkpoints / "history.csv"
    fresh_folder(out)
    write_predictions(out / NAME, predictions)
    write_plots(out / "plots", predictions, curves, details["calibration"], history)
    shutil.copyfile(history, out / "history.csv")
    _write_json(out / "metrics.json", head)
    _write_json(out / "details.json", details)
    _write_json(out / "calibration.json", fitted)
    trained_on = augmented(corpus, first, parse_section(TrainRule, "train", training["rule"]))
    results = Results(
        head=head,
        details=details,
        calibration=fitted,
        predictions=predictions,
        curves=curves,
        training=training,
        about=_about(corpus, first, rule),
        heard=listen(data, corpus, predictions),
        augmented=trained_on,
        copied=copied(data, first, [clip["id"] for clip in trained_on]),
        history=history,
    )
    write_report(out / "report.html", data, results)
    _tell(data.name, out, head, folds, rule)
    return head


@dataclass(frozen=True)
class _Fold:
    """One tested fold.

    Attributes:
        fold: Its number.
        windows_W: Its clips, as rows of the corpus.
        scores_WL: Their probabilities.
        rows_K: Its recordings, as rows of the corpus: where clips are no windows, these are the clips.
        scores_KL: Their probabilities.
        decided_KL: The labels that they are given.
        calibrated_KL: Probabilities with the fold's temperature; None if it has none.
        calibration: What `calibration.json` holds of it.
    """

    fold: int
    windows_W: Ints
    scores_WL: npt.NDArray[np.float32]
    rows_K: Ints
    scores_KL: npt.NDArray[np.float32]
    decided_KL: npt.NDArray[np.bool_]
    calibrated_KL: npt.NDArray[np.float64] | None
    calibration: dict[str, Any]


def _score_fold(corpus: Corpus, checkpoint: Checkpoint, rule: EvaluateRule) -> _Fold:
    check_fits(corpus, checkpoint)
    fold, classifier = int(checkpoint.meta["fold"]), checkpoint.classifier
    windows_W = corpus.rows(fold, {"test"})
    if not len(windows_W):
        raise ModelError(f"fold {fold}: expected clips to test, found none; choose another split")
    calibration = _calibrate(corpus, checkpoint, rule)
    scores_WL = predict(classifier, corpus.values(windows_W), num_shifts=rule.num_shifts)
    rows_K, scores_KL = over_recordings(corpus, windows_W, scores_WL)
    decided_KL = _decide(corpus, scores_KL, calibration)
    temperature = calibration["temperature"]
    calibrated_KL = None if temperature is None else scale(scores_KL, classifier.outputs, temperature)
    return _Fold(fold, windows_W, scores_WL, rows_K, scores_KL, decided_KL, calibrated_KL, calibration)


def _degraded(
    data: Path,
    corpus: Corpus,
    loaded: list[Checkpoint],
    folds: list[_Fold],
    predictions: Predictions,
    rule: EvaluateRule,
) -> dict[str, dict[str, float]]:
    """Return, for each condition, the headline and its interval, and macro F1."""
    if not rule.robustness.snr_db and not rule.robustness.reverb_s:
        return {}
    tests = [ScoredFold(checkpoint.classifier, fold.windows_W) for checkpoint, fold in zip(loaded, folds, strict=True)]
    rows = {}
    for name, of_clips in degraded_scores(data, corpus, tests, rule.robustness, rule.num_shifts).items():
        pairs = zip(folds, of_clips, strict=True)
        scores = [over_recordings(corpus, fold.windows_W, scores_WL)[1] for fold, scores_WL in pairs]
        decided = [_decide(corpus, own_KL, fold.calibration) for own_KL, fold in zip(scores, folds, strict=True)]
        rows[name] = summarise(
            replace(predictions, scores_KL=np.concatenate(scores), decided_KL=np.concatenate(decided))
        )
    return rows


def _decide(corpus: Corpus, scores_KL: npt.NDArray[np.float32], calibration: dict[str, Any]) -> npt.NDArray[np.bool_]:
    if not corpus.is_multi_label:
        return decide_one(scores_KL)
    return decide_several(scores_KL, fitted_thresholds(calibration, corpus.classes))


def _calibrate(corpus: Corpus, checkpoint: Checkpoint, rule: EvaluateRule) -> dict[str, Any]:
    """Fit temperature and thresholds on the clips that the weights were not fitted on, the tested ones apart."""
    fold, classifier = int(checkpoint.meta["fold"]), checkpoint.classifier
    rows_K = corpus.rows(fold, {"valid"} - set(checkpoint.meta["fit_on"]))
    if not rule.calibrate or not len(rows_K):
        bare = {"temperature": None, "log_loss": None, "log_loss_calibrated": None, "thresholds": None}
        return {"num_shifts": rule.num_shifts, "num_clips": 0, **bare}
    scores_KL = predict(classifier, corpus.values(rows_K), num_shifts=rule.num_shifts)
    rows_K, scores_KL = over_recordings(corpus, rows_K, scores_KL)
    truth_KL, outputs = corpus.truth(rows_K), classifier.outputs
    temperature = fit_temperature(truth_KL, scores_KL, outputs)
    thresholds = None
    if corpus.is_multi_label:
        thresholds = dict(zip(corpus.classes, best_thresholds(truth_KL, scores_KL).tolist(), strict=True))
    return {
        "num_shifts": rule.num_shifts,
        "temperature": temperature,
        "num_clips": len(rows_K),
        "log_loss": log_loss(truth_KL, scores_KL, outputs),
        "log_loss_calibrated": log_loss(truth_KL, scores_KL, outputs, temperature),
        "thresholds": thresholds,
    }


def _pooled(corpus: Corpus, folds: list[_Fold], groups: list[str]) -> Predictions:
    rows_K = np.concatenate([fold.rows_K for fold in folds])
    return Predictions(
        ids=recording_ids(corpus, rows_K),
        folds_K=np.concatenate([np.full(len(fold.rows_K), fold.fold) for fold in folds]),
        groups=[groups[row] for row in rows_K],
        truth_KL=corpus.truth(rows_K),
        decided_KL=np.concatenate([fold.decided_KL for fold in folds]),
        scores_KL=np.concatenate([fold.scores_KL for fold in folds]),
        classes=corpus.classes,
        is_multi_label=corpus.is_multi_label,
    )


def _of_windows(corpus: Corpus, folds: list[_Fold], groups: list[str]) -> dict[str, float]:
    """Return the headline and its interval, and macro F1, of windows that are each judged on their own."""
    alone = [
        replace(
            fold,
            rows_K=fold.windows_W,
            scores_KL=fold.scores_WL,
            decided_KL=_decide(corpus, fold.scores_WL, fold.calibration),
        )
        for fold in folds
    ]
    predictions = _pooled(corpus, alone, groups)
    return {"num_windows": len(predictions.ids), **summarise(predictions)}


def _calibrated(folds: list[_Fold]) -> npt.NDArray[np.float64] | None:
    parts = [fold.calibrated_KL for fold in folds if fold.calibrated_KL is not None]
    return np.concatenate(parts) if len(parts) == len(folds) else None


def _about(corpus: Corpus, checkpoint: Checkpoint, rule: EvaluateRule) -> dict[str, Any]:
    """Return what the page says of network, split and evaluation beside their numbers."""
    return {
        "rule": checkpoint.rule.model_dump(),
        "meta": checkpoint.meta,
        "shapes": vars(checkpoint.shapes),
        "evaluation": rule.model_dump(include={"num_shifts", "calibrate"}),
        "num_folds": len(corpus.roles),
        "num_prepared": len(set(corpus.recordings or corpus.ids)),
    }


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _tell(name: str, out: Path, head: dict[str, Any], folds: list[_Fold], rule: EvaluateRule) -> None:
    bare = [str(fold.fold) for fold in folds if fold.calibrated_KL is None]
    if rule.calibrate and bare:
        say(
            f"{name}: no temperature for fold {', '.join(bare)}: no clips to validate that the weights were not fitted on"
        )
    main = f"mAP {head['map']:.3f}" if "accuracy" not in head else f"accuracy {head['accuracy']:.2%}"
    num_windows = sum(len(fold.windows_W) for fold in folds)
    main += f" of {head['num_clips']} recordings in {num_windows} windows" if num_windows > head["num_clips"] else ""
    say(
        f"{name}: {main} over {counted(len(folds), 'fold')}, macro F1 {head['macro_f1']:.3f}; see {out / 'report.html'}"
    )
