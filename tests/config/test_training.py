from pathlib import Path

import pytest

from audioprep.config.training import TrainingParams, load_training_params
from audioprep.errors import ConfigError

ROOT = Path(__file__).parents[2]


def load(tmp_path: Path, text: str) -> TrainingParams:
    (tmp_path / "params.yaml").write_text(text)
    return load_training_params(tmp_path / "params.yaml")


def test_defaults_are_what_params_yaml_says() -> None:
    assert load_training_params(ROOT / "params.yaml") == TrainingParams()


def test_sections_of_the_data_half_are_left_alone(tmp_path: Path) -> None:
    params = load(tmp_path, "resample: {rate_hz: 8}\ntrain: {epochs: 3, folds: [2, 1]}\n")
    assert (params.train.epochs, params.train.folds, params.model.arch) == (3, (2, 1), "resnet8")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("train: {epoch: 3}", r"params.yaml .*train: expected one of .*, got 'epoch'; did you mean 'epochs'\?"),
        ("train: {epochs: many}", r"train.epochs: expected a valid integer.*, got 'many'"),
        ("model: {arch: cnn9}", r"model.arch: expected 'resnet8', 'cnn6', 'cnn10' or 'cnn14', got 'cnn9'"),
        ("train: {folds: [1, 1]}", r"train.folds: expected different folds from 1, got \[1, 1\]; leave it empty"),
        ("train: {folds: [0]}", r"train.folds: expected different folds from 1, got \[0\]"),
        ("train: {folds: []}", r"train.folds: expected different folds from 1, got \[\]"),
        ("train: {fit_on: [valid]}", r"train.fit_on: expected \[train\] or \[train, valid\], got \['valid'\]"),
        ("train: {fit_on: [train, test]}", r"train.fit_on.1: expected 'train' or 'valid', got 'test'"),
        ("evaluate: {num_shifts: 0}", r"evaluate.num_shifts: expected greater than or equal to 1, got 0"),
        (
            "evaluate: {robustness: {reverb_s: [0]}}",
            r"evaluate.robustness.reverb_s.0: expected greater than or equal to 0.05, got 0",
        ),
        ("evaluate: {robustness: {noises: []}}", r"evaluate.robustness.noises: "),
        ("export: {min_agreement: 2}", r"export.min_agreement: expected less than or equal to 1, got 2"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        load(tmp_path, text)
