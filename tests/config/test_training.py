from pathlib import Path

import pytest

from audioprep.config.training import TrainingParams, load_training_params, preset_text
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
        ("model: {arch: cnn9}", r"model.arch: expected 'resnet8', .*'cnn6', .* or 'ast_pretrained', got 'cnn9'"),
        ("model: {pool: max}", r"model.pool: expected 'mean', 'max_mean', .* or 'linear_softmax', got 'max'"),
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
        (
            "model: {arch: ast_pretrained}",
            r"model: arch ast_pretrained: expected its folder as init_checkpoint, got none",
        ),
        ("evaluate: {robustness: {noises: []}}", r"evaluate.robustness.noises: "),
        ("export: {min_agreement: 2}", r"export.min_agreement: expected less than or equal to 1, got 2"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        load(tmp_path, text)


def test_a_preset_takes_the_place_of_single_values(tmp_path: Path) -> None:
    text = "model: {width: 8}\ntrain: {preset: big, epochs: 7, lr: 0.1}\n"
    text += "presets: {big: {model: {width: 32}, train: {epochs: 300}, evaluate: {num_shifts: 4}}}\n"
    params = load(tmp_path, text)
    assert (params.model.width, params.train.epochs, params.train.lr, params.evaluate.num_shifts) == (32, 300, 0.1, 4)


def test_it_is_said_what_a_preset_stands_in_for(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    presets = "presets: {default: {}, big: {model: {width: 32}, evaluate: {num_shifts: 4}}}\n"
    path.write_text("train: {preset: big, epochs: 7}\n" + presets)
    assert preset_text(path) == "train.preset big: model.width=32, evaluate.num_shifts=4"
    path.write_text("train: {epochs: 7}\n" + presets)
    assert preset_text(path) == ""


def test_presets_are_checked_as_what_they_stand_for(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"params.yaml train.preset: expected one of .*, got 'bigg'; did you mean 'big'"
    ):
        load(tmp_path, "train: {preset: bigg}\npresets: {big: {}, default: {}}")
    with pytest.raises(ConfigError, match=r"presets.big: expected one of evaluate, model, train, got 'features'"):
        load(tmp_path, "train: {preset: big}\npresets: {big: {features: {}}}")
    for section, key, value in (("model", "features", "mfcc"), ("train", "preset", "big")):
        with pytest.raises(
            ConfigError,
            match=rf"presets.big.{section}: expected no {key}, for dvc.yaml reads {section}.{key} itself; set",
        ):
            load(tmp_path, f"train: {{preset: big}}\npresets: {{big: {{{section}: {{{key}: {value}}}}}}}")
    with pytest.raises(ConfigError, match=r"params.yaml presets.big.train.epochs: expected .*, got 0"):
        load(tmp_path, "train: {preset: big}\npresets: {big: {train: {epochs: 0}}}")


def test_nothing_is_frozen_without_weights_to_keep(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"freeze: expected an init_checkpoint to keep the weights of, got none"):
        load(tmp_path, "model: {freeze: true}")
