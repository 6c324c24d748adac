import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn import metrics as sklearn_metrics

from audioprep.model.metrics.ranking import (
    GRID_G,
    average_precision,
    d_prime,
    lwlrap,
    pr_curves,
    roc_auc,
    roc_curves,
    weighted_average_precision,
)

RNG = np.random.default_rng(0)
TRUTH_KL = RNG.random((150, 4)) < [0.5, 0.2, 0.05, 0.0]
# Ties among the scores, as int8 networks have.
SCORES_KL = np.round(0.6 * RNG.random((150, 4)) + 0.3 * TRUTH_KL, 2).astype(np.float32)


def test_average_precision_passes_over_a_class_without_clips() -> None:
    value_L = average_precision(TRUTH_KL, SCORES_KL)
    assert np.isnan(value_L[3])
    assert value_L[:3].mean() == pytest.approx(
        sklearn_metrics.average_precision_score(TRUTH_KL[:, :3], SCORES_KL[:, :3])
    )


def test_weighted_average_precision_is_that_of_repeated_clips() -> None:
    weights_BK = RNG.multinomial(150, np.full(150, 1 / 150), size=5).astype(float)
    value_BL = weighted_average_precision(TRUTH_KL, SCORES_KL, weights_BK)
    for weights_K, value_L in zip(weights_BK, value_BL, strict=True):
        rows = np.repeat(np.arange(150), weights_K.astype(int))
        np.testing.assert_allclose(value_L, average_precision(TRUTH_KL[rows], SCORES_KL[rows]))
    weights_K = np.where(TRUTH_KL[:, 2], 0.0, 1.0)
    assert np.isnan(weighted_average_precision(TRUTH_KL, SCORES_KL, weights_K[None])[0, 2])


def test_auc_is_the_share_of_ordered_pairs() -> None:
    value_L = roc_auc(TRUTH_KL, SCORES_KL)
    for label in range(3):
        is_true_K, rank_K = TRUTH_KL[:, label], rankdata(SCORES_KL[:, label])
        num_true, num_false = is_true_K.sum(), (~is_true_K).sum()
        u = rank_K[is_true_K].sum() - num_true * (num_true + 1) / 2  # Mann and Whitney
        assert value_L[label] == pytest.approx(u / (num_true * num_false))
    assert np.isnan(value_L[3])


def test_d_prime_is_the_distance_of_two_normal_distributions() -> None:
    false, true = RNG.normal(0.0, 1.0, 40_000), RNG.normal(1.5, 1.0, 40_000)
    auc = sklearn_metrics.roc_auc_score(np.repeat([0, 1], 40_000), np.concatenate([false, true]))
    assert d_prime(np.array([0.5, auc])) == pytest.approx([0.0, 1.5], abs=0.03)


def test_lwlrap_is_the_mean_over_labels_of_the_precision_at_their_rank() -> None:
    """By the definition of DCASE 2019 task 2, label by label."""
    precisions = []
    for truth_L, score_L in zip(TRUTH_KL, SCORES_KL, strict=True):
        for label in np.flatnonzero(truth_L):
            above_L = score_L >= score_L[label]
            precisions.append((truth_L & above_L).sum() / above_L.sum())
    assert lwlrap(TRUTH_KL, SCORES_KL) == pytest.approx(np.mean(precisions))
    assert np.isnan(lwlrap(np.zeros((2, 3), bool), np.ones((2, 3))))


def test_roc_curves_pass_through_the_points_of_every_threshold() -> None:
    curves = roc_curves(TRUTH_KL, SCORES_KL)
    np.testing.assert_array_equal(curves["fpr"], GRID_G)
    assert np.isnan(curves["classes"][3]).all()
    np.testing.assert_allclose(curves["macro"], curves["classes"][:3].mean(axis=0))
    assert np.trapezoid(curves["classes"][0], GRID_G) == pytest.approx(roc_auc(TRUTH_KL, SCORES_KL)[0], abs=5e-3)
    micro = sklearn_metrics.roc_auc_score(TRUTH_KL.ravel(), SCORES_KL.ravel())
    assert np.trapezoid(curves["micro"], GRID_G) == pytest.approx(micro, abs=5e-3)
    for curve_G in (*curves["classes"][:3], curves["micro"]):
        assert curve_G[-1] == 1.0
        assert (np.diff(curve_G) >= 0).all()


def test_pr_curves_hold_the_precision_of_the_threshold_that_reaches_a_recall() -> None:
    curves = pr_curves(TRUTH_KL, SCORES_KL)
    truth_K, score_K = TRUTH_KL[:, 1], SCORES_KL[:, 1]
    for wanted in (0, 17, 50, 100):
        for threshold in np.unique(score_K)[::-1]:
            taken_K = score_K >= threshold
            if (taken_K & truth_K).sum() / truth_K.sum() >= GRID_G[wanted] - 1e-9:
                break
        assert curves["classes"][1][wanted] == pytest.approx((taken_K & truth_K).sum() / taken_K.sum()), wanted
    assert np.isnan(curves["classes"][3]).all()
    assert curves["micro"][-1] >= TRUTH_KL.mean()


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.filterwarnings("error")
def test_where_there_is_nothing_to_rank_there_are_no_curves(value: bool) -> None:  # noqa: FBT001
    truth_KL = np.full((5, 2), value)
    for name in ("macro", "micro"):
        assert np.isnan(roc_curves(truth_KL, SCORES_KL[:5, :2])[name]).all()
        assert np.isnan(pr_curves(truth_KL, SCORES_KL[:5, :2])[name]).all() == (not value)
