"""What every network must do: odd shapes, slopes, bf16, one epoch of training, ONNX, int8."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from model.corpora import QUICK, SPLIT, rule_of, write_features

from audioprep.config.data import LogmelRule
from audioprep.config.training import ModelRule
from audioprep.errors import ModelError
from audioprep.io.feature_reader import FeatureShards
from audioprep.model.archs.registry import ARCHS
from audioprep.model.checkpoints import Shapes, build, load_checkpoint, save_checkpoint
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.loop import predict, train_fold
from audioprep.model.nets import Classifier, Outputs
from audioprep.model.quantise import PLANS, Quantiser, run_onnx, to_onnx
from audioprep.steps.prepare import Asked, prepare_in_folder

# cnn14 is cnn10 with two more blocks, and too large for many small tests.
LIGHT = sorted(set(ARCHS) - {"cnn14"})
POOLS = get_args(ModelRule.model_fields["pool"].annotation)


def classifier(
    arch: str, num_frames: int, num_bins: int, pool: str = "max_mean", outputs: Outputs = "softmax"
) -> Classifier:
    torch.manual_seed(0)
    return build(rule_of(arch, pool=pool, frame_pool=2), Shapes(num_frames, num_bins, 3), outputs)


def test_the_parameter_names_every_network() -> None:
    assert set(get_args(ModelRule.model_fields["arch"].annotation)) == set(ARCHS)


def test_what_a_network_reads_are_settings() -> None:
    assert {name for arch in ARCHS.values() for name in arch.settings} <= set(ModelRule.model_fields)


@pytest.mark.parametrize(("num_frames", "num_bins"), [(101, 40), (33, 64), (64, 33)])
@pytest.mark.parametrize("arch", LIGHT)
def test_odd_shapes_give_logits_and_every_weight_a_slope(arch: str, num_frames: int, num_bins: int) -> None:
    one = classifier(arch, num_frames, num_bins)
    x_BNM = torch.randn(2, num_frames, num_bins)
    with torch.autocast("cpu", torch.bfloat16):
        logits_BL = one.trunk(one.front(x_BNM))
    assert logits_BL.shape == (2, 3)
    logits_BL.float().square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in one.parameters())
    assert sum(weight.grad.abs().sum() > 0 for weight in one.parameters()) > 0.9 * len(list(one.parameters()))


@pytest.mark.parametrize("arch", LIGHT)
def test_batch_equals_single_and_other_lengths_fit(arch: str) -> None:
    one = classifier(arch, 65, 40).eval()
    x_BNM = torch.randn(3, 65, 40)
    with torch.no_grad():
        torch.testing.assert_close(one(x_BNM)[1:2], one(x_BNM[1:2]), atol=1e-4, rtol=1e-4)
        assert one(x_BNM[:, :48]).shape == (3, 3)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("arch", ["resnet8", "bcresnet", "crnn", "cnn6", "mn04", "ast", "ast_pretrained"])
def test_every_pool_makes_logits_of_clips_and_of_frames(arch: str, pool: str) -> None:
    one = classifier(arch, 65, 40, pool).eval()
    x_BCNM = one.front(torch.randn(2, 65, 40))
    with torch.no_grad():
        z_BCN, logits_BNL = one.trunk.frames(x_BCNM), one.trunk.frame_logits(x_BCNM)
        assert one.trunk(x_BCNM).shape == (2, 3)
        assert logits_BNL.shape == (2, z_BCN.shape[2], 3)
        # A clip that is the same throughout is judged as each of its frames.
        still_BCN = z_BCN[:, :, :1].expand(-1, -1, 4)
        alone_BL = one.trunk.head_of(z_BCN[:, :, :1])
        torch.testing.assert_close(one.trunk.head_of(still_BCN), alone_BL, atol=1e-4, rtol=1e-4)
        if pool != "linear_softmax":
            torch.testing.assert_close(logits_BNL[:, 0], alone_BL, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def corpus(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The toy corpus with its 16 bins repeated: some networks halve them five times."""
    narrow = load_corpus(toy, "logmel", SPLIT)
    root = tmp_path_factory.mktemp("wide")
    meta = {"rule": LogmelRule(n_fft=512, n_mels=32).model_dump(mode="json")}
    write_features(root / "logmel", narrow.ids, np.tile(narrow.values(np.arange(60)), (1, 1, 2)), meta=meta)
    shards = FeatureShards(root / "logmel")
    return dataclasses.replace(narrow, shards=shards, clips_K=shards.find(narrow.ids))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The demo corpus, of whose first fold two clips a class are trained on and two validate."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AUDIOPREP_WORKERS", "1")
        Path("params.yaml").write_text("features: {kinds: [logmel]}\n")
        prepare_in_folder("demo", folder / "data", Asked())
    corpus = load_corpus(folder / "data", "logmel", "official-5fold")
    seen: Counter[tuple[str, str]] = Counter()
    roles = []
    for role, (label,) in zip(corpus.roles[1], corpus.labels, strict=True):
        seen[role, label] += 1
        roles.append(role if seen[role, label] <= 2 else "unused")
    return dataclasses.replace(corpus, roles={1: roles})


@pytest.mark.parametrize("arch", ARCHS)
def test_every_network_trains_an_epoch_comes_back_and_is_exported(arch: str, demo: Corpus, tmp_path: Path) -> None:
    rule = rule_of(arch)
    schedule = QUICK.model_copy(update={"epochs": 1, "precision": "bf16", "time_crop": 0.6})
    result = train_fold(demo, rule, schedule, 1, tmp_path / "state.pt", lambda row: None)
    save_checkpoint(tmp_path / "fold1.pt", result.classifier, rule, result.shapes, {})
    values_KNM = demo.values(demo.rows(1, {"valid"}))[:4]
    expected_KL = predict(result.classifier.eval(), values_KNM)
    again = load_checkpoint(tmp_path / "fold1.pt").classifier
    np.testing.assert_array_equal(predict(again, values_KNM), expected_KL)
    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    to_onnx(again, result.shapes, fp32)
    np.testing.assert_allclose(run_onnx(fp32, values_KNM), expected_KL, atol=1e-4)
    np.testing.assert_allclose(run_onnx(fp32, values_KNM[:1]), expected_KL[:1], atol=1e-4)
    Quantiser(fp32, values_KNM).write(int8, PLANS[0])
    np.testing.assert_allclose(run_onnx(int8, values_KNM), expected_KL, atol=0.05)


def test_a_frozen_body_is_what_it_was_after_training(corpus: Corpus, tmp_path: Path) -> None:
    schedule = QUICK.model_copy(update={"epochs": 2})
    first_rule = ModelRule.model_validate({"width": 4, "init_checkpoint": None})
    first = train_fold(corpus, first_rule, schedule, 2, tmp_path / "first.state.pt", lambda row: None)
    save_checkpoint(tmp_path / "first.pt", first.classifier, first_rule, first.shapes, {})
    rule = ModelRule.model_validate({"width": 4, "init_checkpoint": str(tmp_path / "first.pt"), "freeze": True})
    second = train_fold(corpus, rule, schedule, 1, tmp_path / "second.state.pt", lambda row: None)
    before, after = first.classifier.state_dict(), second.classifier.state_dict()
    assert {name for name in after if not torch.equal(before[name], after[name])} == {
        "trunk.head.weight",
        "trunk.head.bias",
    }


@pytest.mark.parametrize("pool", ["statistics", "attention", "linear_softmax"])
def test_a_classifier_with_another_pool_is_exported(pool: str, tmp_path: Path) -> None:
    one = classifier("resnet8", 33, 40, pool, "sigmoid").eval()
    values_KNM = np.random.default_rng(0).normal(0.0, 1.0, (3, 33, 40)).astype(np.float32)
    to_onnx(one, Shapes(33, 40, 3), tmp_path / "fp32.onnx")
    np.testing.assert_allclose(run_onnx(tmp_path / "fp32.onnx", values_KNM), predict(one, values_KNM), atol=1e-5)


def test_crops_too_short_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    schedule = QUICK.model_copy(update={"time_crop": 0.3})
    with pytest.raises(
        ModelError, match=r"train.time_crop: expected crops of at least 16 frames .*, got 12 of 41; rai"
    ):
        train_fold(corpus, ModelRule(arch="cnn6"), schedule, 1, tmp_path / "state.pt", lambda row: None)


@pytest.mark.parametrize(("arch", "side"), [("cnn10", 16), ("cnn14", 32), ("mobilenetv2", 32), ("ast", 16)])
def test_inputs_too_small_are_refused(arch: str, side: int) -> None:
    with pytest.raises(ModelError, match=rf"model.arch {arch}: expected at least {side} frames and bins, got 201 fra"):
        build(ModelRule.model_validate({"arch": arch}), Shapes(201, 13, 8))
