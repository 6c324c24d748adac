from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audioprep.config.data import LogmelRule
from audioprep.config.training import ModelRule
from audioprep.dsp.mel import mel_filterbank
from audioprep.errors import ModelError
from audioprep.model.archs.panns import Panns
from audioprep.model.archs.trunk import Sides
from audioprep.model.checkpoints import (
    Shapes,
    build,
    cost_of,
    load_checkpoint,
    save_checkpoint,
    standardise,
    start_from,
)

CNN6 = ModelRule(arch="cnn6")


def published(path: Path, *, num_classes: int = 527, **changes: Any) -> dict[str, torch.Tensor]:
    """A file as audioset_tagging_cnn writes it: with a front end, and numpy arrays in the sampler's state."""
    torch.manual_seed(3)
    weights = Panns("cnn6", Sides(1, 64, 64, num_classes)).state_dict()
    weights["bn0.running_mean"].normal_()
    front_end = {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(513, 1, 1024),
        "spectrogram_extractor.stft.conv_imag.weight": torch.zeros(513, 1, 1024),
        "logmel_extractor.melW": torch.zeros(513, 64),
    }
    sampler = {"indexes": np.arange(5), "pointer": 3, "weights": np.ones(2, np.float32)}
    torch.save({"iteration": 600_000, "model": {**front_end, **weights, **changes}, "sampler": sampler}, path)
    return weights


def test_a_saved_classifier_comes_back(tmp_path: Path) -> None:
    shapes, rule = Shapes(20, 8, 3), ModelRule(width=4)
    classifier = build(rule, shapes).eval()
    standardise(classifier, np.full(8, -40.0, np.float32), np.full(8, 7.0, np.float32))
    save_checkpoint(tmp_path / "fold1.pt", classifier, rule, shapes, {"labels": ["a", "b", "c"]})
    loaded = load_checkpoint(tmp_path / "fold1.pt")
    x_BNM = torch.randn(2, 20, 8)
    assert torch.equal(loaded.classifier(x_BNM), classifier(x_BNM))
    assert (loaded.rule, loaded.shapes, loaded.meta) == (rule, shapes, {"labels": ["a", "b", "c"]})
    assert [path.name for path in tmp_path.iterdir()] == ["fold1.pt"]


def test_published_weights_load_and_a_head_for_other_classes_is_new(tmp_path: Path) -> None:
    weights = published(tmp_path / "Cnn6_mAP=0.343.pth")
    classifier = build(CNN6, Shapes(64, 64, 10))
    standardise(classifier, np.full(64, -40.0, np.float32), np.full(64, 7.0, np.float32))
    head = classifier.trunk.fc_audioset.weight.clone()
    start_from(classifier, tmp_path / "Cnn6_mAP=0.343.pth")
    assert torch.equal(classifier.trunk.bn0.running_mean, weights["bn0.running_mean"])
    assert torch.equal(classifier.trunk.fc1.weight, weights["fc1.weight"])
    assert torch.equal(classifier.trunk.fc_audioset.weight, head)
    # The published bn0 standardises dB by itself.
    assert classifier.front.mean_M.eq(0).all()
    assert classifier.front.std_M.eq(1).all()


def test_a_published_head_of_the_same_classes_is_kept(tmp_path: Path) -> None:
    weights = published(tmp_path / "a.pth", num_classes=10)
    classifier = build(CNN6, Shapes(64, 64, 10))
    start_from(classifier, tmp_path / "a.pth")
    assert torch.equal(classifier.trunk.fc_audioset.weight, weights["fc_audioset.weight"])


FEATURES = {"kind": "logmel", "rate_hz": 32000, "rule": LogmelRule(win_ms=32, fmax_hz=14000).model_dump(mode="json")}
FILTERS = torch.from_numpy(mel_filterbank(32000, 1024, 64, 50.0, 14000.0, "slaney", "slaney").T)


def test_published_weights_and_the_features_they_were_trained_on_go_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published(tmp_path / "a.pth", **{"logmel_extractor.melW": FILTERS})
    start_from(build(CNN6, Shapes(64, 64, 10)), tmp_path / "a.pth", FEATURES)
    start_from(build(CNN6, Shapes(64, 64, 10)), tmp_path / "a.pth", FEATURES, freeze=True)
    assert capsys.readouterr().out == ""


def test_other_features_are_told_of_and_refused_by_a_frozen_body(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published(tmp_path / "a.pth", **{"logmel_extractor.melW": FILTERS})
    other = FEATURES | {"rule": LogmelRule(win_ms=32, fmax_hz=14000, hop_ms=20).model_dump(mode="json")}
    classifier = build(CNN6.model_copy(update={"normalise": "clip"}), Shapes(64, 64, 10))
    start_from(classifier, tmp_path / "a.pth", other)
    line = capsys.readouterr().out
    assert "expected the features that it was trained on, features.logmel.hop_ms: 10, got 20; model.normalise: " in line
    assert line.endswith("corpus, got clip; training goes on, the closer the better\n")
    with pytest.raises(ModelError, match=r"hop_ms: 10, got 20; .*set them so, or model.freeze=false"):
        start_from(classifier, tmp_path / "a.pth", other, freeze=True)


def test_a_pool_with_weights_of_its_own_is_new(tmp_path: Path) -> None:
    weights = published(tmp_path / "a.pth")
    classifier = build(CNN6.model_copy(update={"pool": "attention"}), Shapes(64, 64, 10))
    own = classifier.trunk.pool.hidden.weight.clone()
    start_from(classifier, tmp_path / "a.pth", freeze=True)
    assert torch.equal(classifier.trunk.pool.hidden.weight, own)
    assert torch.equal(classifier.trunk.fc1.weight, weights["fc1.weight"])
    learnt = {name.split(".")[0] for name, weight in classifier.trunk.named_parameters() if weight.requires_grad}
    assert learnt == {"pool", "fc_audioset"}


def test_a_checkpoint_of_other_lengths_fits_a_transformer(tmp_path: Path) -> None:
    rule = ModelRule(arch="ast", width=4)
    first, second = build(rule, Shapes(66, 36, 3)), build(rule, Shapes(126, 36, 3))
    save_checkpoint(tmp_path / "own.pt", first, rule, Shapes(66, 36, 3), {})
    start_from(second, tmp_path / "own.pt")
    assert torch.equal(second.trunk.head.weight, first.trunk.head.weight)
    assert second.trunk.frame_positions.shape == (48, 12)


def test_own_checkpoints_bring_their_front(tmp_path: Path) -> None:
    rule = ModelRule(width=4)
    first = build(rule, Shapes(20, 8, 3))
    standardise(first, np.full(8, -40.0, np.float32), np.full(8, 7.0, np.float32))
    save_checkpoint(tmp_path / "own.pt", first, rule, Shapes(20, 8, 3), {})
    second = build(rule, Shapes(20, 8, 5))
    start_from(second, tmp_path / "own.pt")
    assert torch.equal(second.front.mean_M, first.front.mean_M)
    assert torch.equal(second.trunk.stem.weight, first.trunk.stem.weight)
    assert second.trunk.head.weight.shape == (5, 32)


def test_a_head_for_as_many_other_classes_is_new(tmp_path: Path) -> None:
    rule, shapes = ModelRule(width=4), Shapes(20, 8, 2)
    first = build(rule, shapes)
    save_checkpoint(tmp_path / "own.pt", first, rule, shapes, {"labels": ["cat", "dog"]})
    for classes, is_kept in ((["cat", "dog"], True), (["bee", "cow"], False), (None, True)):
        second = build(rule, shapes)
        start_from(second, tmp_path / "own.pt", classes=classes)
        assert torch.equal(second.trunk.head.weight, first.trunk.head.weight) == is_kept
        assert torch.equal(second.trunk.stem.weight, first.trunk.stem.weight)


@pytest.mark.parametrize(
    ("arch", "num_bins", "match"),
    [
        (
            "cnn10",
            64,
            r"expected the layout of model.arch, got one without conv_block1.bn2.bias, conv_block1.conv1.weight of",
        ),
        ("cnn6", 40, r"bn0.bias of shape \[64\] for \[40\] \(4 differences\)"),
        ("resnet8", 64, r"got one without blocks.0.bn1.bias, one with bn0.bias"),
    ],
)
def test_another_layout_is_refused(tmp_path: Path, arch: str, num_bins: int, match: str) -> None:
    published(tmp_path / "a.pth")
    with pytest.raises(ModelError, match=match):
        start_from(build(ModelRule(arch=arch), Shapes(64, num_bins, 10)), tmp_path / "a.pth")


def test_another_network_of_ours_is_named(tmp_path: Path) -> None:
    rule, shapes = ModelRule(width=4), Shapes(64, 64, 10)
    save_checkpoint(tmp_path / "own.pt", build(rule, shapes), rule, shapes, {})
    with pytest.raises(
        ModelError, match=r"got that of resnet8 with width 4 and pool max_mean, .*; set model.arch=resnet8, and width"
    ):
        start_from(build(CNN6, shapes), tmp_path / "own.pt")


LOGMEL = {"kind": "logmel", "rate_hz": 16000, "rule": LogmelRule(n_mels=64).model_dump(mode="json")}


@pytest.mark.parametrize(
    ("features", "difference"),
    [
        ({**LOGMEL, "kind": "mfcc"}, "model.features: logmel, got mfcc"),
        ({**LOGMEL, "rate_hz": 32000}, "resample.rate_hz: 16000, got 32000; features.logmel.fmax_hz: 8000, got 16000"),
        ({**LOGMEL, "rule": {**LOGMEL["rule"], "fmin_hz": 20.0}}, "features.logmel.fmin_hz: 50, got 20"),
        ({**LOGMEL, "rule": {**LOGMEL["rule"], "dtype": "int8"}}, None),
        (LOGMEL, None),
    ],
)
def test_features_of_own_checkpoints_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], features: dict[str, Any], difference: str | None
) -> None:
    rule, shapes = ModelRule(width=4), Shapes(64, 64, 10)
    save_checkpoint(tmp_path / "own.pt", build(rule, shapes), rule, shapes, {"features": LOGMEL})
    classifier = build(rule, shapes)
    start_from(classifier, tmp_path / "own.pt", features)
    said = capsys.readouterr().out.replace("\n", " ")
    if difference is None:
        assert said == ""
    else:
        assert difference in said
        with pytest.raises(ModelError, match=rf"{difference}; set them so, or model.freeze=false"):
            start_from(classifier, tmp_path / "own.pt", features, freeze=True)


def test_another_normalisation_of_own_checkpoints_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule, shapes = ModelRule(width=4), Shapes(64, 64, 10)
    save_checkpoint(tmp_path / "own.pt", build(rule, shapes), rule, shapes, {"features": LOGMEL})
    start_from(build(rule.model_copy(update={"normalise": "clip"}), shapes), tmp_path / "own.pt", LOGMEL)
    assert "model.normalise: corpus, got clip" in capsys.readouterr().out


def test_a_pool_that_changes_the_first_linear_layer_is_another_layout(tmp_path: Path) -> None:
    published(tmp_path / "a.pth")
    classifier = build(CNN6.model_copy(update={"pool": "statistics"}), Shapes(64, 64, 10))
    with pytest.raises(ModelError, match=r"fc1.weight of shape \[512, 512\] for \[512, 1024\] .*width and pool"):
        start_from(classifier, tmp_path / "a.pth")


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    classifier = build(CNN6, Shapes(64, 64, 10))
    with pytest.raises(ModelError, match=r"no.pth: expected a checkpoint, got FileNotFoundError"):
        start_from(classifier, tmp_path / "no.pth")
    (tmp_path / "text.pth").write_text("not a checkpoint")
    with pytest.raises(
        ModelError, match=r"text.pth: expected a checkpoint, got another kind of file, or a damaged one; check the path"
    ):
        start_from(classifier, tmp_path / "text.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelError, match=r"list.pth: expected a checkpoint of named tensors, got list"):
        start_from(classifier, tmp_path / "list.pth")


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"model": Path("/")}, tmp_path / "evil.pth")
    with pytest.raises(
        ModelError, match=r"evil.pth: expected a checkpoint, got another kind of file, or a damaged one; check the path"
    ):
        start_from(build(CNN6, Shapes(64, 64, 10)), tmp_path / "evil.pth")


def test_a_published_checkpoint_is_no_checkpoint_of_ours(tmp_path: Path) -> None:
    published(tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"a.pth: expected a checkpoint of this project, got KeyError: 'about'; train"):
        load_checkpoint(tmp_path / "a.pth")


def test_cost_counts_multiplications_of_convolutions_and_products() -> None:
    """By hand: cnn6 on 64 frames of 64 bins has 5x5 convolutions on 64, 32, 16 and 8 cells squared, and two layers."""
    cost = cost_of(CNN6, Shapes(64, 64, 527))
    convolutions = 25 * (1 * 64 * 64**2 + 64 * 128 * 32**2 + 128 * 256 * 16**2 + 256 * 512 * 8**2)
    assert cost.num_multiply_adds == convolutions + 512 * 512 + 512 * 527
    assert cost.num_parameters == 4_837_455
