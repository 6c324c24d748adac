"""The front end of published PANNs checkpoints, compared with the features at hand.

The published networks make their features by themselves, and the checkpoints hold what they make them with. Here the
features stage makes them: a network that starts from such weights should hear what it was trained on.

Shape letters: T samples of a window, F = n_fft // 2 + 1 bins, M mel bands.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

# By name: it decides no weight, so that a change in a kernel, which DVC would see, need not train anew.
_mel = importlib.import_module("audioprep.dsp.mel")

FRONT_END_PREFIXES = ("spectrogram_extractor.", "logmel_extractor.")
_WINDOW, _FILTERS = "spectrogram_extractor.stft.conv_real.weight", "logmel_extractor.melW"
# Own and published filters and windows differ in the last bits.
_TOLERANCE = 1e-5


def _published(rate_hz: int, n_fft: int, fmax_hz: float) -> dict[str, Any]:
    """Return one published front end by the names of params.yaml; its window is as long as its transform."""
    logmel: dict[str, Any] = {
        "n_fft": n_fft,
        "win_ms": 32.0,
        "hop_ms": 10.0,
        "n_mels": 64,
        "fmin_hz": 50.0,
        "fmax_hz": fmax_hz,
    }
    logmel |= {"mel_scale": "slaney", "mel_norm": "slaney", "top_db": None}
    return {"resample.rate_hz": rate_hz, **{f"features.logmel.{name}": value for name, value in logmel.items()}}


# Source: github.com/qiuqiangkong/audioset_tagging_cnn, pytorch/models.py and the assertions in Cnn14_16k and Cnn14_8k.
PUBLISHED_FRONT_ENDS = (_published(32000, 1024, 14000.0), _published(16000, 512, 8000.0), _published(8000, 256, 4000.0))


def front_end_differences(weights: Mapping[str, Tensor], features: Mapping[str, Any]) -> list[str]:
    """Return in what the features at hand differ from those that a checkpoint was trained on, one text a parameter.

    Args:
        weights: The checkpoint, with its front end; one without has nothing to compare, and so no differences.
        features: What the feature shards say of themselves: `kind`, `rate_hz` and `rule`.
    """
    if _FILTERS not in weights:
        return []
    if features["kind"] != "logmel":
        return [f"model.features: logmel, got {features['kind']}"]
    own = settings_of(features)
    known = next((known for known in PUBLISHED_FRONT_ENDS if _has_filters(weights, known)), None)
    if known is not None:
        return differences_from(known, features)
    # A front end of somebody else: the weights tell the window and the filters, and nothing of the hop.
    differences = []
    if not _has_filters(weights, own):
        num_bins, num_bands = weights[_FILTERS].shape
        differences.append(
            f"features.logmel: the {num_bands} filters of {num_bins} bins in {_FILTERS}, got others (n_fft, n_mels, "
            "fmin_hz, fmax_hz, mel_scale, mel_norm or resample.rate_hz)"
        )
    if not _has_window(weights, own):
        differences.append(f"features.logmel.win_ms: the window in {_WINDOW}, got another")
    return differences


def differences_from(expected: Mapping[str, Any], features: Mapping[str, Any]) -> list[str]:
    """Return in what features differ from what is expected, by the names of params.yaml, one text a parameter."""
    own = settings_of(features)
    return [
        f"{name}: {_text(value)}, got {_text(own.get(name))}"
        for name, value in expected.items()
        if own.get(name) != value
    ]


def settings_of(features: Mapping[str, Any]) -> dict[str, Any]:
    """Return rate and rule of the features by the names that they have in params.yaml."""
    rule = dict(features["rule"])
    if rule.get("fmax_hz", 0) is None:
        rule["fmax_hz"] = features["rate_hz"] / 2
    return {"resample.rate_hz": features["rate_hz"]} | {
        f"features.{features['kind']}.{name}": value for name, value in rule.items()
    }


def _has_filters(weights: Mapping[str, Tensor], settings: Mapping[str, Any]) -> bool:
    names = ("n_fft", "n_mels", "fmin_hz", "fmax_hz", "mel_scale", "mel_norm")
    expected_MF = _mel.mel_filterbank(
        settings["resample.rate_hz"], *(settings[f"features.logmel.{name}"] for name in names)
    )
    return _are_close(weights[_FILTERS].T, expected_MF)


def _has_window(weights: Mapping[str, Tensor], settings: Mapping[str, Any]) -> bool:
    """Return whether the window is ours, by the transform's bin 0, of which the cosine is 1 throughout."""
    window_T = _mel.hann(round(settings["features.logmel.win_ms"] * settings["resample.rate_hz"] / 1000))
    missing = settings["features.logmel.n_fft"] - len(window_T)
    padded_T = np.pad(window_T, (missing // 2, missing - missing // 2))
    return _WINDOW not in weights or _are_close(weights[_WINDOW][0, 0], padded_T)


def _are_close(found: Tensor, expected: Any) -> bool:
    return found.shape == expected.shape and torch.allclose(found.float(), torch.from_numpy(expected), atol=_TOLERANCE)


def _text(value: Any) -> str:
    return "empty" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
