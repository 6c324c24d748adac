import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from audioprep.config.training import TrainRule
from audioprep.errors import ModelError
from audioprep.model.losses import class_weights, clip_chances, loss_name, make_loss, outputs_of

LOGITS_BL = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]])
ONE_BL = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
SEVERAL_BL = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])


def test_the_loss_follows_the_corpus_unless_one_is_named() -> None:
    assert loss_name(TrainRule(), is_multi_label=False) == "ce"
    assert loss_name(TrainRule(), is_multi_label=True) == "bce"
    assert loss_name(TrainRule(loss="focal"), is_multi_label=False) == "focal"
    assert [outputs_of(name) for name in ("ce", "bce", "focal")] == ["softmax", "sigmoid", "sigmoid"]


def test_cross_entropy_is_that_of_the_true_class() -> None:
    expected = -math.log(math.exp(2) / (math.exp(2) + math.exp(-1) + math.exp(0.5)))
    assert make_loss("ce", TrainRule())(LOGITS_BL[:1], ONE_BL[:1]).item() == pytest.approx(expected, abs=1e-6)


def test_smoothing_gives_every_class_a_share() -> None:
    smooth = make_loss("ce", TrainRule(label_smoothing=0.3))(LOGITS_BL, ONE_BL)
    shares_BL = ONE_BL * 0.7 + 0.1
    expected = -(shares_BL * LOGITS_BL.log_softmax(1)).sum(1).mean()
    assert smooth.item() == pytest.approx(expected.item(), abs=1e-6)
    smooth = make_loss("bce", TrainRule(label_smoothing=0.2))(LOGITS_BL, SEVERAL_BL)
    expected = functional.binary_cross_entropy(LOGITS_BL.sigmoid(), SEVERAL_BL * 0.8 + 0.1, reduction="none").sum(1)
    assert smooth.item() == pytest.approx(expected.mean().item(), abs=1e-6)


def test_focal_loss_without_focus_is_bce_and_with_it_forgets_what_is_easy() -> None:
    bce = make_loss("bce", TrainRule())(LOGITS_BL, SEVERAL_BL)
    focal = make_loss("focal", TrainRule(focal_gamma=0.0))(LOGITS_BL, SEVERAL_BL)
    assert focal.item() == pytest.approx(bce.item(), abs=1e-6)
    easy_BL = torch.tensor([[6.0, -6.0, -6.0]])
    focal = make_loss("focal", TrainRule(focal_gamma=2.0))(easy_BL, ONE_BL[:1])
    assert focal.item() < 1e-4 * make_loss("bce", TrainRule())(easy_BL, ONE_BL[:1]).item()
    # Lin et al., equation 4, by hand: one class, p = 0.5, gamma = 2.
    focal = make_loss("focal", TrainRule(focal_gamma=2.0))(torch.zeros(1, 1), torch.ones(1, 1))
    assert focal.item() == pytest.approx(0.25 * math.log(2), abs=1e-6)


def test_focal_loss_has_a_slope_where_a_decision_is_certain() -> None:
    logits_BL = torch.tensor([[30.0, -200.0]], requires_grad=True)
    make_loss("focal", TrainRule(focal_gamma=0.5))(logits_BL, torch.tensor([[1.0, 0.0]])).backward()
    assert logits_BL.grad is not None
    assert logits_BL.grad.isfinite().all()


def test_cross_entropy_is_refused_where_clips_have_several_labels() -> None:
    with pytest.raises(ModelError, match=r"train.loss: expected auto, bce or focal, .* got ce; choose one of them$"):
        loss_name(TrainRule(loss="ce"), is_multi_label=True)


@pytest.mark.parametrize("name", ["ce", "bce", "focal"])
def test_an_error_in_a_class_of_weight_zero_costs_nothing(name: str) -> None:
    weighted = make_loss(name, TrainRule(), torch.tensor([1.0, 0.0, 1.0]))
    logits_BL = LOGITS_BL[:1].clone().requires_grad_()
    weighted(logits_BL, torch.tensor([[0.0, 1.0, 0.0]]) if name == "ce" else ONE_BL[:1]).backward()
    assert logits_BL.grad is not None
    assert logits_BL.grad[0, 1 if name != "ce" else 0].item() == 0.0


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_class_weights_are_those_of_scikit_learn(codes: list[int]) -> None:
    counts_L = np.bincount(codes, minlength=6)
    present = np.unique(codes)
    expected = compute_class_weight("balanced", classes=present, y=codes)
    np.testing.assert_allclose(class_weights(counts_L)[present], expected, rtol=1e-6)
    assert (class_weights(counts_L)[counts_L == 0] == 0).all()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_clips_are_drawn_so_that_all_classes_are_seen_alike(codes: list[int]) -> None:
    truth_KL = np.eye(4, dtype=bool)[codes]
    chances_K = clip_chances(truth_KL, class_weights(truth_KL.sum(axis=0)))
    seen_L = chances_K @ truth_KL
    np.testing.assert_allclose(seen_L[seen_L > 0], len(codes) / len(set(codes)), rtol=1e-5)


def test_a_clip_of_several_classes_is_drawn_for_its_rarest_and_one_of_none_as_an_average_one() -> None:
    truth_KL = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 0]], bool)
    weights_L = class_weights(truth_KL.sum(axis=0))
    raw_K = np.array([weights_L[0]] * 3 + [weights_L[1], 1.0])
    np.testing.assert_allclose(clip_chances(truth_KL, weights_L), raw_K / raw_K.mean(), rtol=1e-6)
