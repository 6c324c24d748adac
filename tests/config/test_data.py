"""The data half of params.yaml: defaults, limits, and values that do not go together."""

import re
from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from audioprep.config.data import DataParams, FeatureKind, load_data_params
from audioprep.config.training import ModelRule
from audioprep.errors import ConfigError

PROJECT_PARAMS = Path(__file__).parents[2] / "params.yaml"
BIRDS = {"recipe": "folder", "window_s": 1.0, "split": "grouped-5fold"}


def _load(tmp_path, values):
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML().dump(values, file)
    return load_data_params(path)


def test_the_defaults_are_the_projects_own_values():
    written, default = load_data_params(PROJECT_PARAMS), DataParams()
    for section in ("resample", "loudness", "trim", "features", "split"):
        assert getattr(written, section) == getattr(default, section)


def test_a_corpus_may_have_its_own_loudness_mode(tmp_path):
    params = _load(tmp_path, {"recipes": {"birds": BIRDS, "bats": {**BIRDS, "loudness_mode": "peak"}}})
    assert params.loudness_rule("birds").mode == "lufs"
    assert params.loudness_rule("bats").mode == "peak"
    with pytest.raises(
        ConfigError, match=r"^params.yaml recipes: expected one of bats, birds, got 'bird'; did you mean"
    ):
        params.recipe_rule("bird")


def test_some_kind_must_be_made(tmp_path):
    assert _load(tmp_path, {"features": {"kinds": ["mfcc"]}}).features.kinds == ("mfcc",)
    with pytest.raises(ConfigError, match=r"features.kinds: expected .* at least 1 item.*, got \[\]; mend that value"):
        _load(tmp_path, {"features": {"kinds": []}})


def test_a_kind_that_is_not_made_asks_for_nothing(tmp_path):
    _load(tmp_path, {"features": {"chroma": {"n_fft": 512}, "embedding": {"layer": 99}}})


def test_models_train_on_every_kind():
    assert get_args(ModelRule.model_fields["features"].annotation) == get_args(FeatureKind)


def test_32_khz_is_fine_as_it_is(tmp_path):
    assert _load(tmp_path, {"resample": {"rate_hz": 32000}}).resample.rate_hz == 32000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"datasets": "demo"}, "params.yaml datasets: expected a list such as [demo], got 'demo'; put it in brackets"),
        (
            {"features": {"kinds": "logmel"}},
            "params.yaml features.kinds: expected a list such as [logmel], got 'logmel'; put it in brackets",
        ),
        (
            {"features": {"kinds": ["mfcc", "mfcc"]}},
            "params.yaml features.kinds: expected each kind once, got [mfcc, mfcc]; take out the second",
        ),
        (
            {"features": {"kinds": ["mel"]}},
            (
                "params.yaml features.kinds.0: expected 'logmel', 'mfcc', 'spectrogram', 'chroma', 'descriptors' or 'embedding', "
                "got 'mel'; mend that value"
            ),
        ),
        (
            {"features": {"logmel": {"dtype": "int16"}}},
            "params.yaml features.logmel.dtype: expected 'float16', 'float32' or 'int8', got 'int16'; mend that value",
        ),
        (
            {"features": {"mfcc": {"dtype": "int8"}}},
            "params.yaml features.mfcc.dtype: expected 'float16' or 'float32', got 'int8'; mend that value",
        ),
        (
            {"features": {"descriptors": {"dtype": "float16"}}},
            "params.yaml features.descriptors.dtype: expected 'float32', got 'float16'; mend that value",
        ),
        (
            {"features": {"chroma": {"tuning": 0.6}}},
            "params.yaml features.chroma.tuning: expected less than or equal to 0.5, got 0.6; mend that value",
        ),
        (
            {"features": {"kinds": ["embedding"]}},
            "params.yaml features: expected embedding.model, the folder of a pretrained model, got none; name one",
        ),
        (
            {"features": {"embedding": {"model": ""}}},
            "params.yaml features.embedding.model: expected String should have at least 1 character, got ''; mend that value",
        ),
        (
            {"features": {"embedding": {"sha256": "abc"}}},
            "params.yaml features.embedding.sha256: expected String should match pattern '^[0-9a-f]{64}$', got 'abc'; mend that value",
        ),
        (
            {"features": {"kinds": ["chroma"], "chroma": {"n_fft": 1024}}},
            (
                "params.yaml: features.chroma.win_ms: expected 1 to n_fft = 1024 samples, got 100 ms = 1600 samples at 16000 Hz; "
                "raise n_fft or shorten the window"
            ),
        ),
        (
            {"features": {"logmel": {"fmax_hz": 9000.0}}},
            (
                "params.yaml: features.logmel.fmax_hz: expected at most 8000 Hz (half of resample.rate_hz), got 9000; lower it, "
                "or raise resample.rate_hz"
            ),
        ),
        (
            {"features": {"mfcc": {"fmin_hz": 500.0, "fmax_hz": 500.0}}},
            "params.yaml: features.mfcc.fmin_hz: expected less than fmax_hz = 500 Hz, got 500; lower it",
        ),
        (
            {"features": {"logmel": {"win_ms": 80.0}}},
            (
                "params.yaml: features.logmel.win_ms: expected 1 to n_fft = 1024 samples, got 80 ms = 1280 samples at 16000 Hz; "
                "raise n_fft or shorten the window"
            ),
        ),
        (
            {"features": {"logmel": {"hop_ms": 0.01}}},
            "params.yaml: features.logmel.hop_ms: expected at least one sample, got 0.01 ms at 16000 Hz; raise it",
        ),
        (
            {"recipes": {"birds": {**BIRDS, "window_s": 0.05}}},
            (
                "params.yaml: recipes.birds.window_s: expected at least one frame of 1024 samples, got 0.05 s = 800 samples at "
                "16000 Hz; raise it, or lower features.logmel.n_fft"
            ),
        ),
        (
            {"features": {"mfcc": {"n_mfcc": 65}}},
            "params.yaml features.mfcc: expected n_mfcc of at most n_mels = 64, got 65; lower it",
        ),
        (
            {"features": {"logmel": {"n_fft": 1023}}},
            "params.yaml features.logmel.n_fft: expected a multiple of 2, got 1023",
        ),
        ({"resample": {"rate_hz": 10}}, "params.yaml resample.rate_hz: expected greater than or equal to 4000, got 10"),
        (
            {"loudness": {"mode": "loud"}},
            "params.yaml loudness.mode: expected 'lufs', 'rms', 'peak' or 'off', got 'loud'",
        ),
        ({"trim": {"margin_s": float("inf")}}, "params.yaml trim.margin_s: expected a finite number, got inf"),
        ({"window": {"hop_s": 0}}, "params.yaml window.hop_s: expected greater than or equal to 0.01, got 0"),
        ({"denoise": {"mode": "gates"}}, "params.yaml denoise.mode: expected 'off' or 'gate', got 'gates'"),
        ({"denoise": {"strength": 1.5}}, "params.yaml denoise.strength: expected less than or equal to 1, got 1.5"),
        ({"trim": {"exclude": ["bad"]}}, "params.yaml trim.exclude.0: expected 'silent' or 'duplicate', got 'bad'"),
        (
            {"recipes": {"birds": {**BIRDS, "windows_s": 1}}},
            (
                "params.yaml recipes.birds: expected one of archive, exclude, fit_on, loudness_mode, num_shards, recipe, root, split, variant, window_s, got "
                "'windows_s'; did you mean 'window_s'?"
            ),
        ),
        ({"recipes": {"birds": {"recipe": "folder"}}}, "params.yaml recipes.birds.window_s: expected "),
    ],
)
def test_impossible_values_are_one_line(tmp_path, values, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        _load(tmp_path, values)
    assert "\n" not in str(error.value)
