import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss as sklearn_log_loss

from audioprep.dsp.temperature import scale
from audioprep.model.metrics.calibration import (
    calibration_error,
    fit_temperature,
    log_loss,
    reliability,
)

RNG = np.random.default_rng(0)
LOGITS_KL = RNG.normal(0.0, 2.0, (400, 5))
# Labels drawn from softmax(logits): a network that gives softmax(3 * logits) is three times too sure.
TRUE_K = np.array([RNG.choice(5, p=p_L) for p_L in softmax(LOGITS_KL, axis=1)])
ONE_KL = TRUE_K[:, None] == np.arange(5)
SEVERAL_KL = RNG.random((400, 5)) < expit(LOGITS_KL)


def test_bins_hold_confidence_accuracy_and_share() -> None:
    bins = reliability(np.array([0.31, 0.39, 1.0, 0.95], np.float32), np.array([True, False, True, True]), num_bins=10)
    assert [(row["accuracy"], row["share"]) for row in bins] == [(0.5, 0.5), (1.0, 0.5)]
    assert [row["confidence"] for row in bins] == pytest.approx([0.35, 0.975])
    assert calibration_error(bins) == pytest.approx(0.5 * 0.15 + 0.5 * 0.025)


def test_bins_are_those_of_scikit_learn() -> None:
    confidence_D = expit(LOGITS_KL).ravel()
    bins = reliability(confidence_D, SEVERAL_KL.ravel())
    accuracy, confidence = calibration_curve(SEVERAL_KL.ravel(), confidence_D, n_bins=15)
    np.testing.assert_allclose([row["accuracy"] for row in bins], accuracy)
    np.testing.assert_allclose([row["confidence"] for row in bins], confidence)


def test_a_network_as_right_as_it_is_sure_has_no_calibration_error() -> None:
    confidence_K = np.full(100, 0.75, np.float32)
    assert calibration_error(reliability(confidence_K, np.arange(100) < 75)) == pytest.approx(0.0)


def test_log_loss_is_that_of_scikit_learn() -> None:
    scores_KL = softmax(LOGITS_KL, axis=1)
    assert log_loss(ONE_KL, scores_KL, "softmax") == pytest.approx(sklearn_log_loss(TRUE_K, scores_KL))
    expected = sklearn_log_loss(SEVERAL_KL.ravel(), expit(LOGITS_KL).ravel())
    assert log_loss(SEVERAL_KL, expit(LOGITS_KL), "sigmoid") == pytest.approx(expected)


def test_the_temperature_is_the_one_that_lbfgs_finds_on_the_logits() -> None:
    logits, log_t = torch.tensor(3 * LOGITS_KL), torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_t], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits / log_t.exp(), torch.tensor(TRUE_K))
        loss.backward()
        return loss

    optimizer.step(closure)
    temperature = fit_temperature(ONE_KL, softmax(3 * LOGITS_KL, axis=1), "softmax")
    assert temperature == pytest.approx(float(log_t.detach().exp()), rel=1e-3)
    assert temperature == pytest.approx(3.0, rel=0.15)


def test_a_temperature_of_labels_by_themselves() -> None:
    scores_KL = expit(2 * LOGITS_KL)
    temperature = fit_temperature(SEVERAL_KL, scores_KL, "sigmoid")
    assert temperature == pytest.approx(2.0, rel=0.15)
    scaled_KL = scale(scores_KL, "sigmoid", temperature)
    assert log_loss(SEVERAL_KL, scaled_KL, "sigmoid") < log_loss(SEVERAL_KL, scores_KL, "sigmoid")


def test_scaling_divides_logits_and_keeps_the_order() -> None:
    scaled_KL = scale(softmax(LOGITS_KL, axis=1).astype(np.float32), "softmax", 2.5)
    np.testing.assert_allclose(scaled_KL, softmax(LOGITS_KL / 2.5, axis=1), rtol=1e-4)
    np.testing.assert_allclose(scale(expit(LOGITS_KL), "sigmoid", 2.5), expit(LOGITS_KL / 2.5), rtol=1e-6)


def test_probabilities_of_0_and_1_stay_finite() -> None:
    sure_KL = np.eye(2, dtype=np.float32)
    wrong_KL = np.array([[False, True], [True, False]])
    for outputs in ("softmax", "sigmoid"):
        assert np.isfinite(scale(sure_KL, outputs, 2.0)).all()
        assert np.isfinite(log_loss(wrong_KL, sure_KL, outputs))
        assert fit_temperature(wrong_KL, sure_KL, outputs) == pytest.approx(10.0, rel=1e-3)
