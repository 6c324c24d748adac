"""The front end of PANNs checkpoints, made here by librosa's rules as torchlibrosa makes it."""

from typing import Any

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor

from audioprep.config.data import LogmelRule
from audioprep.model.panns_front_end import front_end_differences

WINDOW, FILTERS = "spectrogram_extractor.stft.conv_real.weight", "logmel_extractor.melW"


def front_end(rate_hz: int, n_fft: int, fmax_hz: float, n_mels: int = 64) -> dict[str, Tensor]:
    window_T = librosa.filters.get_window("hann", n_fft, fftbins=True)
    turns_FT = np.outer(np.arange(n_fft // 2 + 1), np.arange(n_fft)) / n_fft
    filters_MF = librosa.filters.mel(sr=rate_hz, n_fft=n_fft, n_mels=n_mels, fmin=50, fmax=fmax_hz)
    real = np.cos(2 * np.pi * turns_FT) * window_T
    return {WINDOW: torch.tensor(real[:, None], dtype=torch.float32), FILTERS: torch.tensor(filters_MF.T)}


def features(rate_hz: int, **changes: Any) -> dict[str, Any]:
    rule = {"n_fft": 1024, "win_ms": 32.0, "hop_ms": 10.0, "fmax_hz": 14000.0, **changes}
    return {"kind": "logmel", "rate_hz": rate_hz, "rule": LogmelRule(**rule).model_dump(mode="json")}


CNN14, CNN14_16K = front_end(32000, 1024, 14000), front_end(16000, 512, 8000)


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        (CNN14, features(32000)),
        (CNN14_16K, features(16000, n_fft=512, fmax_hz=8000.0)),
        (CNN14_16K, features(16000, n_fft=512, fmax_hz=None)),
        (front_end(8000, 256, 4000), features(8000, n_fft=256, fmax_hz=None)),
        ({}, features(16000)),
    ],
)
def test_the_published_features_do_not_differ(weights: dict[str, Tensor], found: dict[str, Any]) -> None:
    assert front_end_differences(weights, found) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"win_ms": 25.0}, "features.logmel.win_ms: 32, got 25"),
        ({"hop_ms": 20.0}, "features.logmel.hop_ms: 10, got 20"),
        ({"n_mels": 128}, "features.logmel.n_mels: 64, got 128"),
        ({"fmin_hz": 0.0}, "features.logmel.fmin_hz: 50, got 0"),
        ({"fmax_hz": None}, "features.logmel.fmax_hz: 14000, got 16000"),
        ({"mel_scale": "htk"}, "features.logmel.mel_scale: slaney, got htk"),
        ({"mel_norm": None}, "features.logmel.mel_norm: slaney, got empty"),
        ({"top_db": 80.0}, "features.logmel.top_db: empty, got 80"),
    ],
)
def test_what_differs_is_named(changes: dict[str, Any], expected: str) -> None:
    assert front_end_differences(CNN14, features(32000, **changes)) == [expected]


def test_another_rate_is_named() -> None:
    found = front_end_differences(CNN14_16K, features(32000))
    assert found == [
        "resample.rate_hz: 16000, got 32000",
        "features.logmel.n_fft: 512, got 1024",
        "features.logmel.fmax_hz: 8000, got 14000",
    ]


def test_other_features_than_logmel_are_named() -> None:
    assert front_end_differences(CNN14, {"kind": "mfcc", "rate_hz": 32000, "rule": {}}) == [
        "model.features: logmel, got mfcc"
    ]


def test_a_front_end_of_somebody_else_is_compared_as_far_as_it_tells() -> None:
    weights = front_end(22050, 512, 11025, n_mels=40)
    rule = {"n_fft": 512, "n_mels": 40, "fmax_hz": None, "win_ms": 512 / 22.05}
    assert front_end_differences(weights, features(22050, **rule)) == []
    (window,) = front_end_differences(weights, features(22050, **rule | {"win_ms": 20.0}))
    assert window.startswith("features.logmel.win_ms: the window in spectrogram_extractor")
    (filters,) = front_end_differences(weights, features(22050, **rule | {"n_mels": 64}))
    assert filters.startswith("features.logmel: the 40 filters of 257 bins in logmel_extractor.melW, got others")
