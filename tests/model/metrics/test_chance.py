import numpy as np
import pytest
from scipy.stats import binom, binomtest

from audioprep.model.metrics.chance import NUM_DRAWS, group_draws, interval, mcnemar, wilson_interval


@pytest.mark.parametrize(("num_right", "num_clips"), [(0, 7), (5, 7), (7, 7), (372, 400)])
def test_interval_is_that_of_scipy(num_right: int, num_clips: int) -> None:
    expected = binomtest(num_right, num_clips).proportion_ci(method="wilson")
    assert wilson_interval(num_right, num_clips) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_clips_of_a_group_are_drawn_together() -> None:
    groups = ["a", "b", "a", "c"]
    draws_BK = np.concatenate(list(group_draws(groups)))
    assert draws_BK.shape == (NUM_DRAWS, 4)
    np.testing.assert_array_equal(draws_BK[:, 0], draws_BK[:, 2])
    np.testing.assert_array_equal(draws_BK[:, [0, 1, 3]].sum(axis=1), 3)
    again_BK = np.concatenate(list(group_draws(["c", "a", "b", "a"])))
    np.testing.assert_array_equal(again_BK, draws_BK[:, [3, 0, 1, 2]])


def test_the_bootstrap_of_single_clips_has_the_width_of_wilsons_interval() -> None:
    is_right_K = np.arange(300) < 240
    draws = group_draws([str(row) for row in range(300)], num_draws=4000)
    low, high = interval(np.concatenate([weights_BK @ is_right_K / 300 for weights_BK in draws]))
    assert (low, high) == pytest.approx(wilson_interval(240, 300), abs=0.01)


def test_draws_that_give_nothing_are_left_out_of_the_interval() -> None:
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert np.isnan(interval(np.array([np.nan]))).all()


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (3, 9), (10, 2), (5, 5), (0, 6)])
def test_mcnemar_is_the_exact_binomial_test(only_a: int, only_b: int) -> None:
    right_a = np.array([True] * 50 + [True] * only_a + [False] * only_b)
    right_b = np.array([True] * 50 + [False] * only_a + [True] * only_b)
    found = mcnemar(right_a, right_b)
    assert (found["only_a"], found["only_b"]) == (only_a, only_b)
    num = only_a + only_b
    # Both tails, which are alike, and no more than certainty.
    expected = min(1.0, 2 * binom.cdf(min(only_a, only_b), num, 0.5))
    assert found["p_value"] == pytest.approx(expected)
