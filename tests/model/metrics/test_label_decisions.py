import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from audioprep.model.metrics.decisions import (
    accuracy,
    averages,
    balanced_accuracy,
    best_thresholds,
    confusion,
    decide_one,
    decide_several,
    per_class,
    top_accuracy,
)

RNG = np.random.default_rng(0)
SCORES_KL = RNG.random((200, 6)).astype(np.float32)
TRUE_K = RNG.integers(5, size=200)  # class 5 is never true
ONE_KL = TRUE_K[:, None] == np.arange(6)
SEVERAL_KL = RNG.random((200, 6)) < 0.3


def test_one_label_is_judged_as_scikit_learn_does() -> None:
    decided_KL = decide_one(SCORES_KL)
    predicted_K = SCORES_KL.argmax(axis=1)
    np.testing.assert_array_equal(
        confusion(TRUE_K, predicted_K, 6), sklearn_metrics.confusion_matrix(TRUE_K, predicted_K)
    )
    assert accuracy(ONE_KL, decided_KL) == sklearn_metrics.accuracy_score(TRUE_K, predicted_K)
    # scikit-learn divides by 0 for class 5, which is never true, and warns.
    recalls = sklearn_metrics.recall_score(TRUE_K, predicted_K, average=None, zero_division=0)[:5]
    assert balanced_accuracy(ONE_KL, decided_KL) == pytest.approx(recalls.mean())
    values = averages(ONE_KL, decided_KL)
    for average in ("macro", "micro", "weighted"):
        expected = sklearn_metrics.precision_recall_fscore_support(
            TRUE_K, predicted_K, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), expected[:3], strict=True):
            assert values[f"{average}_{name}"] == pytest.approx(value), (average, name)


def test_several_labels_are_judged_as_scikit_learn_does() -> None:
    decided_KL = decide_several(SCORES_KL, np.full(6, 0.5))
    assert accuracy(SEVERAL_KL, decided_KL) == sklearn_metrics.accuracy_score(SEVERAL_KL, decided_KL)
    expected = sklearn_metrics.precision_recall_fscore_support(SEVERAL_KL, decided_KL, zero_division=0)
    rows = per_class(SEVERAL_KL, decided_KL)
    for name, value_L in zip(("precision", "recall", "f1", "num_clips"), expected, strict=True):
        np.testing.assert_allclose(rows[name], value_L)
    values = averages(SEVERAL_KL, decided_KL)
    for average in ("macro", "micro", "weighted"):
        expected = sklearn_metrics.f1_score(SEVERAL_KL, decided_KL, average=average)
        assert values[f"{average}_f1"] == pytest.approx(expected)


@pytest.mark.parametrize("num_best", [1, 3, 5])
def test_top_accuracy_is_that_of_scikit_learn(num_best: int) -> None:
    expected = sklearn_metrics.top_k_accuracy_score(TRUE_K, SCORES_KL, k=num_best, labels=range(6))
    assert top_accuracy(ONE_KL, SCORES_KL, num_best) == pytest.approx(expected)


def test_a_class_that_does_not_occur_is_no_part_of_the_mean() -> None:
    one_KL = np.eye(5, dtype=bool)[:2]
    assert averages(one_KL, one_KL)["macro_f1"] == 1.0
    assert balanced_accuracy(one_KL, one_KL) == 1.0


def test_nothing_true_and_nothing_decided_are_zeros() -> None:
    nothing_KL = np.zeros((3, 2), bool)
    assert set(averages(nothing_KL, nothing_KL).values()) == {0.0}
    assert balanced_accuracy(nothing_KL, nothing_KL) == 0.0


def test_thresholds_have_the_highest_f1_of_all() -> None:
    truth_KL = SEVERAL_KL.copy()
    truth_KL[:, 5] = False
    scores_KL = (0.5 * SCORES_KL + 0.4 * truth_KL).astype(np.float32)
    thresholds_L = best_thresholds(truth_KL, scores_KL)
    assert thresholds_L[5] == 0.5
    decided_KL = decide_several(scores_KL, thresholds_L)
    for label in range(5):
        every = [
            sklearn_metrics.f1_score(truth_KL[:, label], scores_KL[:, label] >= score) for score in scores_KL[:, label]
        ]
        assert sklearn_metrics.f1_score(truth_KL[:, label], decided_KL[:, label]) == max(every)
