"""Pools against their definitions, written out."""

import pytest
import torch

from audioprep.model.pools import Attention, Statistics, make_pool

NAMES = ("mean", "max_mean", "statistics", "attention", "linear_softmax")
Z_BCN = torch.tensor([[[1.0, 3.0, 8.0], [2.0, 2.0, 2.0]]])


def pool(name: str, *, is_exclusive: bool = True) -> torch.nn.Module:
    torch.manual_seed(0)
    return make_pool(name, 2, is_exclusive=is_exclusive)


def test_mean_and_maximum() -> None:
    assert torch.equal(pool("mean")(Z_BCN), torch.tensor([[4.0, 2.0]]))
    assert torch.equal(pool("max_mean")(Z_BCN), torch.tensor([[12.0, 4.0]]))


def test_statistics_are_mean_and_deviation_and_have_a_slope_where_nothing_moves() -> None:
    z_BCN = Z_BCN.clone().requires_grad_()
    e_BE = Statistics(2)(z_BCN)
    torch.testing.assert_close(e_BE, torch.tensor([[4.0, 2.0, (26 / 3) ** 0.5, 0.0]]), atol=4e-3, rtol=1e-4)
    e_BE.sum().backward()
    assert z_BCN.grad is not None
    assert z_BCN.grad.isfinite().all()


def test_attention_is_a_mean_with_learnt_weights() -> None:
    learnt = Attention(2)
    torch.nn.init.zeros_(learnt.weight.weight)
    torch.testing.assert_close(learnt(Z_BCN), Z_BCN.mean(2))
    with torch.no_grad():
        learnt.hidden.weight.copy_(torch.tensor([1.0, 0.0]).expand(64, 2))
        learnt.hidden.bias.fill_(-5.0)
        learnt.weight.weight.fill_(100.0)
    torch.testing.assert_close(learnt(Z_BCN), Z_BCN[:, :, 2])


def test_linear_softmax_of_independent_classes_is_the_published_one() -> None:
    logits_BLN = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    p_BLN = logits_BLN.sigmoid()
    expected_BL = p_BLN.square().sum(2) / p_BLN.sum(2)
    torch.testing.assert_close(pool("linear_softmax", is_exclusive=False)(logits_BLN).sigmoid(), expected_BL)


def test_linear_softmax_of_exclusive_classes_is_that_of_their_probabilities() -> None:
    logits_BLN = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    p_BLN = logits_BLN.softmax(1)
    expected_BL = p_BLN.square().sum(2) / p_BLN.sum(2)
    found_BL = pool("linear_softmax")(logits_BLN)
    torch.testing.assert_close(found_BL.exp(), expected_BL)
    torch.testing.assert_close(found_BL.softmax(1), expected_BL / expected_BL.sum(1, keepdim=True))


@pytest.mark.parametrize("is_exclusive", [True, False])
def test_linear_softmax_of_sure_frames_stays_finite(*, is_exclusive: bool) -> None:
    logits_BLN = torch.tensor([[[200.0, 180.0], [-200.0, -90.0]]], requires_grad=True)
    found_BL = pool("linear_softmax", is_exclusive=is_exclusive)(logits_BLN)
    found_BL.sum().backward()
    assert found_BL.isfinite().all()
    assert logits_BLN.grad is not None
    assert logits_BLN.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_is_pooled_as_a_clip_of_that_frame_alone(name: str) -> None:
    one = pool(name)
    if one.pools_decisions:
        torch.testing.assert_close(one(Z_BCN[:, :, :1]), Z_BCN[:, :, 0].log_softmax(1))
        return
    found_BNE = one.of_frames(Z_BCN)
    assert found_BNE.shape == (1, 3, one.num_outputs)
    for frame in range(3):
        torch.testing.assert_close(found_BNE[:, frame], one(Z_BCN[:, :, frame : frame + 1]))
