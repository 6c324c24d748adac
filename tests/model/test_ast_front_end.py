"""Our log-mel, standardised for a published AST, against what its own feature extractor makes."""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import ASTFeatureExtractor

from audioprep.config.data import LogmelRule
from audioprep.dsp.features import feature_kernel
from audioprep.model.ast_front_end import ast_differences, ast_front

RULE = LogmelRule(n_fft=512, n_mels=128, fmin_hz=20.0, mel_scale="htk", mel_norm=None)
FEATURES = {"kind": "logmel", "rate_hz": 16000, "rule": RULE.model_dump(mode="json")}


def test_features_as_asked_for_are_near_the_published_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seconds_T = np.arange(16000) / 16000
    wave_T = 0.05 * rng.standard_normal(16000) + 0.1 * np.sin(2 * np.pi * 700 * seconds_T)
    wave_T = wave_T.astype(np.float32)
    assert ast_differences(tmp_path, FEATURES) == []
    mean_M, std_M = ast_front(tmp_path, FEATURES)
    own_NM = feature_kernel("logmel", FEATURES["rule"], 16000)(wave_T)
    own_NM = (own_NM - mean_M.numpy()) / std_M.numpy()
    extractor = ASTFeatureExtractor(max_length=98)
    expected_NM = extractor(wave_T, sampling_rate=16000)["input_values"][0]
    # Frames are cut at other places: bands are compared by their means over the clip, the narrowest are the noisiest.
    difference_M = own_NM[2:97].mean(axis=0) - np.asarray(expected_NM)[1:96].mean(axis=0)
    is_empty_M = mean_M.numpy() == -100.0
    assert is_empty_M.sum() == 1
    assert np.abs(own_NM[:, is_empty_M]).max() < 1e-3
    assert np.abs(difference_M[2:][~is_empty_M[2:]]).max() < 0.05
    assert np.abs(difference_M[2:][~is_empty_M[2:]]).mean() < 0.01


def test_a_folder_that_says_otherwise_is_believed(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"mean": 0.0, "std": 1.0, "num_mel_bins": 64}))
    assert ast_differences(tmp_path, FEATURES) == ["features.logmel.n_mels: 64, got 128"]
    first, second = ast_front(tmp_path, FEATURES), ast_front(tmp_path.parent, FEATURES)
    shift_M = first[0] - second[0]
    torch.testing.assert_close(shift_M[5:], torch.full((123,), 4.2677393 * 10 / float(np.log(10))))
    torch.testing.assert_close(second[1] / first[1], torch.full((128,), 4.5689974))
