"""The features that published audio spectrogram transformers were trained on, and how ours are brought near them.

They are Kaldi's: the natural logarithm of 128 mel bands, after a filter that lifts high frequencies, standardised by one
mean and deviation for all bands. Ours are dB without that filter, which is therefore taken into the mean of each band.

Shape letters: F = n_fft // 2 + 1 bins of the transform, M mel bands.

Source: transformers' ASTFeatureExtractor; Kaldi's feature-window.h (pre-emphasis 0.97) and mel-computations.h.
"""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audioprep.errors import ModelError, reason_of
from audioprep.model.panns_front_end import differences_from, settings_of

# By name: what it decides here changes only when the features do, of which training knows.
_mel = importlib.import_module("audioprep.dsp.mel")

PREPROCESSOR = "preprocessor_config.json"
_DB = 10.0 / np.log(10.0)
_PRE_EMPHASIS = 0.97
_FLOOR_DB = -100.0
_FILTERS = ("n_fft", "n_mels", "fmin_hz", "fmax_hz", "mel_scale", "mel_norm")


def ast_differences(folder: Path, features: Mapping[str, Any]) -> list[str]:
    """Return in what the features at hand differ from those that a network was trained on, one text a parameter.

    Args:
        folder: The network's, as transformers saves it.
        features: What the feature shards say of themselves: `kind`, `rate_hz` and `rule`.
    """
    if features["kind"] != "logmel":
        return [f"model.features: logmel, got {features['kind']}"]
    own = _preprocessor(folder)
    rate_hz = int(own["sampling_rate"])
    logmel = {"n_fft": 2 ** int(np.ceil(np.log2(0.025 * rate_hz))), "win_ms": 25.0, "hop_ms": 10.0}
    logmel |= {"n_mels": int(own["num_mel_bins"]), "fmin_hz": 20.0, "fmax_hz": rate_hz / 2}
    logmel |= {"mel_scale": "htk", "mel_norm": None, "top_db": None}
    expected = {"resample.rate_hz": rate_hz, **{f"features.logmel.{name}": value for name, value in logmel.items()}}
    return differences_from(expected, features)


def ast_front(folder: Path, features: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Return the mean [M] and the deviation [M] by which our log-mel becomes what a network was trained on.

    Args:
        folder: The network's, as transformers saves it.
        features: What the feature shards say of themselves; log-mel.
    """
    own, settings = _preprocessor(folder), settings_of(features)
    filters_MF = _mel.mel_filterbank(
        settings["resample.rate_hz"], *(settings[f"features.logmel.{name}"] for name in _FILTERS)
    )
    lift_F = 1 + _PRE_EMPHASIS**2 - 2 * _PRE_EMPHASIS * np.cos(np.linspace(0.0, np.pi, filters_MF.shape[1]))
    weight_M = filters_MF.sum(axis=1)
    is_empty_M = weight_M == 0
    lift_db_M = 10 * np.log10(np.where(is_empty_M, 1.0, filters_MF @ lift_F / np.where(is_empty_M, 1.0, weight_M)))
    # A band so narrow that no bin of the transform is in it holds the floor throughout: it is given as the mean.
    mean_M = torch.from_numpy(np.where(is_empty_M, _FLOOR_DB, float(own["mean"]) * _DB - lift_db_M)).float()
    return mean_M, torch.full_like(mean_M, 2 * float(own["std"]) * _DB)


def _preprocessor(folder: Path) -> dict[str, Any]:
    """Return what the network's folder says of its features; of what it does not say, what was published."""
    known = {"mean": -4.2677393, "std": 4.5689974, "sampling_rate": 16000, "num_mel_bins": 128}
    path = folder / PREPROCESSOR
    if not path.exists():
        return known
    try:
        return known | dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: expected JSON, got {reason_of(error)}; check the folder") from None
