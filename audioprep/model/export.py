"""Stage export: one fold's classifier as an edge bundle, if int8 is as good as float32.

Reads    models/<ds>/checkpoints/, reports/<ds>/metrics.json, reports/<ds>/calibration.json, data/<ds>/<kind>/, data/<ds>/splits/
Writes   models/<ds>/bundle/ model.fp32.onnx, model.int8.onnx, bundle.json
"""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from audioprep.config.training import ExportRule
from audioprep.console import say
from audioprep.dsp.temperature import scale
from audioprep.engine import file_sha256, fresh_folder
from audioprep.errors import ModelError
from audioprep.io.bundle import BUNDLE_NAME, FORMAT
from audioprep.model.checkpoints import Checkpoint, load_checkpoint
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.loop import predict
from audioprep.model.metrics.decisions import DEFAULT_THRESHOLD, accuracy, decide_one, fitted_thresholds
from audioprep.model.metrics.ranking import average_precision
from audioprep.model.quantise import PLANS, run_onnx, to_int8, to_onnx
from audioprep.model.trained import check_fits, read_training

_FILES = {"fp32": "model.fp32.onnx", "int8": "model.int8.onnx"}
# Largest difference of a probability between torch and the exported float32 network.
_MAX_DIFFERENCE = 1e-4


def export(
    data: Path, checkpoints: Path, results: Path, out: Path, rule: ExportRule, audio: dict[str, Any]
) -> dict[str, Any]:
    """Write the edge bundle of one corpus; nothing is written when int8 fails the gate.

    Args:
        data: The corpus's folder, `data/<ds>`.
        checkpoints: What the train stage wrote.
        results: What the evaluate stage wrote, with `metrics.json` and `calibration.json`.
        out: The bundle's folder.
        rule: Which fold, and how much int8 may cost.
        audio: What the device does before the features: `rate_hz`, `window_s`, `loudness`, `trim`, and `hop_s` where it judges all windows
            of what is longer.

    Returns:
        What `bundle.json` holds.

    Raises:
        ModelError: The fold was not trained, the export is not exact, or int8 loses too much.
        ShardError: Features or split are missing or damaged.
    """
    torch.set_num_threads(1)
    folds = read_training(checkpoints)["folds"]
    fold = folds[0] if rule.fold is None else rule.fold
    if fold not in folds:
        raise ModelError(f"export.fold: expected a trained fold of {folds}, got {fold}; mend it or train.folds")
    checkpoint = load_checkpoint(checkpoints / f"fold{fold}.pt")
    corpus = load_corpus(data, checkpoint.rule.features, checkpoint.meta["split"])
    check_fits(corpus, checkpoint)
    metrics = _read_json(results / "metrics.json")
    calibration = _of_fold(_read_json(results / "calibration.json"), checkpoint)
    decision = _decision(calibration, checkpoint, corpus)
    temporary = fresh_folder(out.with_name(f".{out.name}.tmp"))
    try:
        gate = _write_networks(temporary, checkpoint, corpus, rule, fitted_thresholds(calibration, corpus.classes))
        about = _about(temporary, checkpoint, corpus, metrics, gate, audio) | {"decision": decision}
        (temporary / BUNDLE_NAME).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    int8, fp32 = (about["networks"][name]["bytes"] / 1e3 for name in ("int8", "fp32"))
    temperature = decision["temperature"]
    say(
        f"{data.name}: int8 ({gate['int8']}) in {int8:.0f} kB, float32 in {fp32:.0f} kB; they agree on "
        f"{gate['agreement']:.1%} of {gate['num_clips']} unseen clips; "
        f"{'no temperature' if temperature is None else f'temperature {temperature:.2f}'}; bundle in {out}"
    )
    return about


def judge(
    fp32_KL: npt.NDArray[np.float32],
    int8_KL: npt.NDArray[np.float32],
    truth_KL: npt.NDArray[np.bool_],
    *,
    is_multi_label: bool = False,
    thresholds_L: npt.NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Return how good both networks are, and how often they agree.

    Args:
        fp32_KL: Probabilities of the float32 network [K, L].
        int8_KL: Probabilities of the int8 network [K, L].
        truth_KL: Which labels the clips have.
        is_multi_label: Clips may have several labels, or none: networks are then compared by their mean average precision
            (`map`), and agreement is the share of equal decisions over all labels; otherwise by accuracy, and agreement
            is the share of clips.
        thresholds_L: From which probability each label is given [L]; None is a half.
    """
    metric = "map" if is_multi_label else "accuracy"
    if is_multi_label:
        least = DEFAULT_THRESHOLD if thresholds_L is None else thresholds_L
        equal = (fp32_KL >= least) == (int8_KL >= least)
        fp32, int8 = (float(np.nanmean(average_precision(truth_KL, scores_KL))) for scores_KL in (fp32_KL, int8_KL))
    else:
        equal = fp32_KL.argmax(axis=1) == int8_KL.argmax(axis=1)
        fp32, int8 = (accuracy(truth_KL, decide_one(scores_KL)) for scores_KL in (fp32_KL, int8_KL))
    return {
        "num_clips": len(truth_KL),
        "metric": metric,
        f"{metric}_fp32": fp32,
        f"{metric}_int8": int8,
        "agreement": float(equal.mean()),
        "mean_difference": float(np.abs(fp32_KL - int8_KL).mean()),
    }


def passes(gate: dict[str, Any], rule: ExportRule) -> bool:
    """Return whether int8 is good enough: one clip may be lost, however few there are; the slack is for rounding."""
    drop = gate[f"{gate['metric']}_fp32"] - gate[f"{gate['metric']}_int8"]
    max_drop = max(rule.max_accuracy_drop, 1 / gate["num_clips"])
    return bool(drop <= max_drop + 1e-9 and gate["agreement"] >= rule.min_agreement - 1e-9)


def _write_networks(
    folder: Path, checkpoint: Checkpoint, corpus: Corpus, rule: ExportRule, thresholds_L: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """Write both networks and return the gate's verdict; int8 that fails is made again, more carefully.

    The gate's clips are all that the weights were not fitted on: the tested fold, and the validation fold if it was
    held out. In a small fold alone, one clip would be more than one point.
    """
    fold = int(checkpoint.meta["fold"])
    fp32, int8 = folder / _FILES["fp32"], folder / _FILES["int8"]
    unseen_K = corpus.rows(fold, {"test", "valid"} - set(checkpoint.meta["fit_on"]))
    values_KNM, truth_KL = corpus.values(unseen_K), corpus.truth(unseen_K)
    to_onnx(checkpoint.classifier, checkpoint.shapes, fp32)
    fp32_KL = run_onnx(fp32, values_KNM)
    difference = float(np.abs(fp32_KL - predict(checkpoint.classifier, values_KNM)).max())
    if not difference <= _MAX_DIFFERENCE:
        raise ModelError(
            f"export: expected torch and onnxruntime to agree within {_MAX_DIFFERENCE:g}, got {difference:.2g}; "
            "check the versions of torch and onnxruntime"
        )
    calibration_KNM = corpus.values(_calibration_rows(corpus, checkpoint, rule.calibration_clips))
    gate: dict[str, Any] = {}
    for plan in PLANS:
        to_int8(fp32, int8, calibration_KNM, plan)
        int8_KL = run_onnx(int8, values_KNM)
        judged = judge(fp32_KL, int8_KL, truth_KL, is_multi_label=corpus.is_multi_label, thresholds_L=thresholds_L)
        gate = {**judged, "int8": plan.name}
        if passes(gate, rule):
            return {**gate, "max_accuracy_drop": rule.max_accuracy_drop, "min_agreement": rule.min_agreement}
    fp32_value, int8_value = (gate[f"{gate['metric']}_{name}"] for name in ("fp32", "int8"))
    raise ModelError(
        f"export: expected int8 to lose at most {rule.max_accuracy_drop:.1%} and to agree on {rule.min_agreement:.1%} "
        f"of {gate['num_clips']} clips, got {gate['metric']} {fp32_value:.1%} to {int8_value:.1%} and "
        f"{gate['agreement']:.1%}; train longer, or raise export.max_accuracy_drop or lower export.min_agreement"
    )


def _calibration_rows(corpus: Corpus, checkpoint: Checkpoint, num_clips: int) -> npt.NDArray[np.int64]:
    """Return clips that the weights were fitted on, the classes in turn."""
    rows_K = corpus.rows(int(checkpoint.meta["fold"]), checkpoint.meta["fit_on"])
    truth_KL = corpus.truth(rows_K)
    truth_KL = np.column_stack([truth_KL, ~truth_KL.any(axis=1)])  # no label is a class too
    turn_K = np.where(truth_KL, truth_KL.cumsum(axis=0), len(rows_K) + 1).min(axis=1)
    return rows_K[np.argsort(turn_K, kind="stable")][:num_clips]


def _about(
    folder: Path,
    checkpoint: Checkpoint,
    corpus: Corpus,
    metrics: dict[str, Any],
    gate: dict[str, Any],
    audio: dict[str, Any],
) -> dict[str, Any]:
    meta, front = checkpoint.meta, checkpoint.classifier.front
    networks = {
        name: {"file": file, "bytes": (folder / file).stat().st_size, "sha256": file_sha256(folder / file)}
        for name, file in _FILES.items()
    }
    return {
        "format": FORMAT,
        "dataset": meta["dataset"],
        "labels": meta["labels"],
        "audio": audio,
        "features": {**corpus.meta, "num_frames": checkpoint.shapes.num_frames, "num_bins": checkpoint.shapes.num_bins},
        "normalisation": {"in_network": True, "mean": front.mean_M.tolist(), "std": front.std_M.tolist()},
        "networks": networks,
        "metrics": {"cross_validated": metrics, "gate": gate},
        "provenance": {
            "arch": checkpoint.rule.arch,
            "split": meta["split"],
            "split_sha256": corpus.split_meta["sha256"],
            "fold": meta["fold"],
            "fit_on": meta["fit_on"],
            "versions": {name: version(name) for name in ("torch", "onnx", "onnxruntime")},
        },
    }


def _of_fold(calibration: dict[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what the evaluation found on the validation clips of the checkpoint's fold.

    Raises:
        ModelError: The evaluation was one of other folds.
    """
    fold = checkpoint.meta["fold"]
    if f"fold{fold}" not in calibration:
        raise ModelError(
            f"export: expected the calibration of fold {fold}, got that of {', '.join(calibration) or 'none'}; run the "
            "evaluate stage again"
        )
    return dict(calibration[f"fold{fold}"])


def _decision(calibration: dict[str, Any], checkpoint: Checkpoint, corpus: Corpus) -> dict[str, Any]:
    """Return what the device makes of the network's output: probabilities as sure as they are right, and labels.

    Thresholds are of these probabilities; they are those of the report, which have another value before the temperature.
    """
    outputs = checkpoint.classifier.outputs
    temperature, thresholds = calibration["temperature"], None
    if corpus.is_multi_label:
        values_1L = fitted_thresholds(calibration, corpus.classes)[None]
        scaled_1L = values_1L if temperature is None else scale(values_1L, outputs, temperature)
        thresholds = dict(zip(corpus.classes, scaled_1L[0].tolist(), strict=True))
    return {
        "outputs": outputs,
        "num_shifts": calibration["num_shifts"],
        "temperature": temperature,
        "thresholds": thresholds,
        "num_validation_clips": calibration["num_clips"],
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise ModelError(
            f"{path}: expected the {path.stem} of an evaluation, found none; run the evaluate stage"
        ) from None
