"""Two evaluations of the same clips, compared clip by clip: is the difference more than chance?

Shape letters: B draws, K clips.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioprep.errors import ModelError
from audioprep.io.predictions import Predictions, read_predictions
from audioprep.model.judge import drawn_headlines, headline, headline_name
from audioprep.model.metrics.chance import interval, mcnemar
from audioprep.model.metrics.decisions import averages, balanced_accuracy
from audioprep.model.metrics.ranking import lwlrap

# What chance gives less often is no chance.
_SIGNIFICANT = 0.05
# Fewer groups than this draw too small a part of what could be.
_FEW_GROUPS = 10


@dataclass(frozen=True)
class Comparison:
    """What two evaluations differ by.

    Attributes:
        metric: What the verdict is about: `accuracy` or `map`.
        rows: Name and both values of each number.
        difference: Of the metric, the second less the first.
        low95: The interval of the difference, by a bootstrap over groups.
        high95: Its upper end.
        num_groups: Groups that were drawn.
        mcnemar: `only_a`, `only_b` and `p_value`, of clips of which all labels are right.
        verdict: One line.
    """

    metric: str
    rows: list[tuple[str, float, float]]
    difference: float
    low95: float
    high95: float
    num_groups: int
    mcnemar: dict[str, Any]
    verdict: str


def compare(first: Path, second: Path) -> Comparison:
    """Compare two evaluations.

    Args:
        first: A report folder, or its predictions.parquet.
        second: Another one, of the same clips.

    Raises:
        ShardError: Predictions are missing or damaged.
        ModelError: They are of other clips, labels, groups or folds.
    """
    a, b = (_sorted(read_predictions(path)) for path in (first, second))
    _check_alike(first, second, a, b)
    metric = headline_name(a)
    values_a, values_b = headline(a), headline(b)
    low, high = interval(drawn_headlines(b) - drawn_headlines(a))
    counts = mcnemar(a.is_right_K, b.is_right_K)
    num_groups = len(set(a.groups))
    rows = [(metric, values_a, values_b), *zip(_others(a), _others(a).values(), _others(b).values(), strict=True)]
    is_sure = (low > 0 or high < 0) and (a.is_multi_label or counts["p_value"] < _SIGNIFICANT)
    verdict = _verdict(metric, values_b - values_a, low, high, num_groups, is_sure=is_sure)
    if np.array_equal(a.scores_KL, b.scores_KL):
        verdict = "the predictions are the same"
    return Comparison(metric, rows, values_b - values_a, low, high, num_groups, counts, verdict)


def _others(predictions: Predictions) -> dict[str, float]:
    truth_KL, decided_KL = predictions.truth_KL, predictions.decided_KL
    rows = averages(truth_KL, decided_KL)
    if predictions.is_multi_label:
        ranked = lwlrap(truth_KL, predictions.scores_KL)
        return {"lwlrap": ranked, "macro_f1": rows["macro_f1"], "micro_f1": rows["micro_f1"]}
    return {"balanced_accuracy": balanced_accuracy(truth_KL, decided_KL), "macro_f1": rows["macro_f1"]}


def _sorted(predictions: Predictions) -> Predictions:
    """Return the predictions by id; a clip may be tested in several folds."""
    return predictions.take(np.lexsort((predictions.folds_K, np.array(predictions.ids, dtype=str))))


def _check_alike(first: Path, second: Path, a: Predictions, b: Predictions) -> None:
    where = f"compare {first} {second}"
    if a.classes != b.classes or a.is_multi_label != b.is_multi_label:
        raise ModelError(
            f"{where}: expected the same classes, got {len(a.classes)} and {len(b.classes)} with "
            f"{len(set(a.classes) & set(b.classes))} in common; compare runs on one corpus"
        )
    if a.ids != b.ids:
        only_a, only_b = sorted(set(a.ids) - set(b.ids)), sorted(set(b.ids) - set(a.ids))
        example = (only_a + only_b + a.ids)[0]
        raise ModelError(
            f"{where}: expected the same clips, got {len(only_a)} in the first alone and {len(only_b)} in the second alone, "
            f"such as {example}; evaluate both on the same split and folds"
        )
    others = np.flatnonzero((a.truth_KL != b.truth_KL).any(axis=1))
    if len(others):
        raise ModelError(
            f"{where}: expected the same labels, got others for {len(others)} clips, such as {a.ids[others[0]]}; "
            "prepare the corpus and evaluate both again"
        )
    if a.groups != b.groups or not np.array_equal(a.folds_K, b.folds_K):
        raise ModelError(f"{where}: expected the same folds and groups, got others; evaluate both on the same split")


def _verdict(metric: str, difference: float, low: float, high: float, num_groups: int, *, is_sure: bool) -> str:
    found = f"{100 * difference:+.2f} points of {metric}, 95 % interval {100 * low:+.2f} to {100 * high:+.2f}"
    if num_groups < _FEW_GROUPS:
        return f"{num_groups} groups are too few to tell: {found}"
    if not is_sure:
        return f"the difference may be chance: {found}"
    return f"{'B' if difference > 0 else 'A'} is better: {found}"
