import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics

from audioprep.model.metrics import calibration, calibration_error, confusion, macro_f1, per_class, wilson_interval

RNG = np.random.default_rng(0)
TRUE_K, PREDICTED_K = RNG.integers(5, size=200), RNG.integers(6, size=200)


def test_scores_are_those_of_scikit_learn() -> None:
    counts_LL = confusion(TRUE_K, PREDICTED_K, 6)
    np.testing.assert_array_equal(counts_LL, sklearn_metrics.confusion_matrix(TRUE_K, PREDICTED_K))
    expected = sklearn_metrics.precision_recall_fscore_support(TRUE_K, PREDICTED_K, zero_division=0)
    rows = per_class(counts_LL, list("abcdef"))
    for column, values in zip(("precision", "recall", "f1", "num_clips"), expected, strict=True):
        np.testing.assert_allclose([row[column] for row in rows], values)
    assert macro_f1(counts_LL) == pytest.approx(sklearn_metrics.f1_score(TRUE_K, PREDICTED_K, average="macro"))


def test_a_class_that_does_not_occur_is_no_part_of_the_mean() -> None:
    assert macro_f1(confusion(np.array([0, 1]), np.array([0, 1]), 5)) == 1.0


@pytest.mark.parametrize(("num_right", "num_clips"), [(0, 7), (5, 7), (7, 7), (372, 400)])
def test_interval_is_that_of_scipy(num_right: int, num_clips: int) -> None:
    expected = binomtest(num_right, num_clips).proportion_ci(method="wilson")
    assert wilson_interval(num_right, num_clips) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_calibration_bins_hold_confidence_accuracy_and_share() -> None:
    bins = calibration(np.array([0.31, 0.39, 1.0, 0.95], np.float32), np.array([True, False, True, True]))
    assert [(row["accuracy"], row["share"]) for row in bins] == [(0.5, 0.5), (1.0, 0.5)]
    assert [row["confidence"] for row in bins] == pytest.approx([0.35, 0.975])
    assert calibration_error(bins) == pytest.approx(0.5 * 0.15 + 0.5 * 0.025)


def test_a_network_as_right_as_it_is_sure_has_no_calibration_error() -> None:
    confidence_K = np.full(100, 0.75, np.float32)
    assert calibration_error(calibration(confidence_K, np.arange(100) < 75)) == pytest.approx(0.0)
