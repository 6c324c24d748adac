"""The gate of the export: int8 that is as good as float32 on clips that the network has not seen, or none.

Shape letters: K clips, N frames, M bins, L classes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.config.training import ExportRule
from audioprep.errors import ModelError
from audioprep.io.bundle import NETWORK_NAMES
from audioprep.model.checkpoints import Checkpoint
from audioprep.model.corpus import Corpus
from audioprep.model.loop import predict
from audioprep.model.metrics.decisions import DEFAULT_THRESHOLD, accuracy, decide_one
from audioprep.model.metrics.ranking import average_precision
from audioprep.model.quantise import PLANS, Quantiser, run_onnx, to_onnx

# Largest difference of a probability between torch and the exported float32 network.
_MAX_DIFFERENCE = 1e-4


def write_networks(
    folder: Path, checkpoint: Checkpoint, corpus: Corpus, rule: ExportRule, thresholds_L: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """Write both networks and return the gate's verdict; int8 that fails is made again, more carefully.

    The gate's clips are those of the validation fold, or where the weights were fitted on them too, or there are none, of the
    tested fold: nothing but the manner of int8 depends on them.

    Raises:
        ModelError: The float32 network is not what was trained, or no plan of `PLANS` makes int8 good enough.
    """
    fold = int(checkpoint.meta["fold"])
    seen = set(checkpoint.meta["fit_on"])
    role = next(role for role in ("valid", "test") if role not in seen and len(corpus.rows(fold, {role})))
    fp32, int8 = folder / NETWORK_NAMES["fp32"], folder / NETWORK_NAMES["int8"]
    unseen_K = corpus.rows(fold, {role})
    values_KNM, truth_KL = corpus.values(unseen_K), corpus.truth(unseen_K)
    to_onnx(checkpoint.classifier, checkpoint.shapes, fp32)
    fp32_KL = run_onnx(fp32, values_KNM)
    difference = float(np.abs(fp32_KL - predict(checkpoint.classifier, values_KNM)).max())
    if not difference <= _MAX_DIFFERENCE:
        raise ModelError(
            f"export: expected torch and onnxruntime to agree within {_MAX_DIFFERENCE:g}, got {difference:.2g}; "
            "check the versions of torch and onnxruntime"
        )
    quantiser = Quantiser(fp32, corpus.values(_calibration_rows(corpus, checkpoint, rule.calibration_clips)))
    gate: dict[str, Any] = {}
    for plan in PLANS:
        quantiser.write(int8, plan)
        int8_KL = run_onnx(int8, values_KNM)
        judged = judge(fp32_KL, int8_KL, truth_KL, is_multi_label=corpus.is_multi_label, thresholds_L=thresholds_L)
        gate = {**judged, "role": role, "int8": plan.name}
        if passes(gate, rule):
            return {**gate, "max_accuracy_drop": rule.max_accuracy_drop, "min_agreement": rule.min_agreement}
    fp32_value, int8_value = (gate[f"{gate['metric']}_{name}"] for name in ("fp32", "int8"))
    raise ModelError(
        f"export: expected int8 to lose at most {rule.max_accuracy_drop:.1%} and to agree on {rule.min_agreement:.1%} "
        f"of {gate['num_clips']} clips, got {gate['metric']} {fp32_value:.1%} to {int8_value:.1%} and "
        f"{gate['agreement']:.1%}; train longer, or raise export.max_accuracy_drop or lower export.min_agreement"
    )


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


def _calibration_rows(corpus: Corpus, checkpoint: Checkpoint, num_clips: int) -> npt.NDArray[np.int64]:
    """Return clips that the weights were fitted on, the classes in turn."""
    rows_K = corpus.rows(int(checkpoint.meta["fold"]), checkpoint.meta["fit_on"])
    truth_KL = corpus.truth(rows_K)
    truth_KL = np.column_stack([truth_KL, ~truth_KL.any(axis=1)])  # no label is a class too
    turn_K = np.where(truth_KL, truth_KL.cumsum(axis=0), len(rows_K) + 1).min(axis=1)
    return rows_K[np.argsort(turn_K, kind="stable")][:num_clips]
