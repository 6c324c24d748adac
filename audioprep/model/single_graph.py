"""The front end inside the network: sound in, probabilities out, as one ONNX file.

Shape letters: B clips of a batch, T samples, N frames, M bins, F bins of the spectrum, W samples of a frame.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.compose
import torch
from torch import Tensor, nn

from audioprep.dsp.features import filterbank
from audioprep.dsp.frames import hann
from audioprep.dsp.temperature import NEAREST, Outputs
from audioprep.errors import ModelError
from audioprep.model.quantise import INPUT_NAME, OUTPUT_NAME, write_onnx

WAVE_INPUT_NAME = "wave"
_FLOOR_POWER = 1e-10
_MADE, _SURE = "made", "sure"  # what the parts hand on


def write_single_graph(
    network: Path,
    target: Path,
    kind: str,
    rule: dict[str, Any],
    *,
    rate_hz: int,
    num_samples: int,
    denoises: bool,
    outputs: Outputs,
    temperature: float | None,
) -> None:
    """Put the front end before a network and the temperature behind it: samples [B, T] at the features' rate in, probabilities out.

    The spectrum is a convolution with sines and cosines, and stays float32: in int8 the front end would hear nothing soft beside
    something loud.

    Args:
        network: The network, features in.
        target: The ONNX file.
        kind: The kind of its features.
        rule: The kind's section of params.yaml.
        rate_hz: Rate of the sound.
        num_samples: T.
        denoises: Whether noise is reduced before the features.
        outputs: What makes the network's probabilities of logits.
        temperature: What the logits are divided by; None leaves them.

    Raises:
        ModelError: The features are no log-mel, or noise reduction comes before them.
    """
    if kind != "logmel" or denoises:
        raise ModelError(
            f"export.single_graph: expected logmel features, got {kind}{' and noise reduction' if denoises else ''}; set it to "
            "false, or train on logmel features alone"
        )
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        part = Path(folder) / "part.onnx"
        write_onnx(_LogMel(rule, rate_hz), torch.zeros(2, num_samples), part, WAVE_INPUT_NAME, _MADE)
        joined = _joined(_prefixed(part, "front/"), onnx.load(network), _MADE, INPUT_NAME)
        if temperature is not None:
            num_labels = joined.graph.output[0].type.tensor_type.shape.dim[1].dim_value
            write_onnx(_Tempered(outputs, temperature), torch.full((2, num_labels), 0.5), part, _SURE, OUTPUT_NAME)
            onnx.compose.add_prefix(joined, "network/", rename_inputs=False, inplace=True)
            joined = _joined(joined, _prefixed(part, "temperature/"), f"network/{OUTPUT_NAME}", _SURE)
    onnx.save(joined, target)


def _prefixed(path: Path, prefix: str) -> onnx.ModelProto:
    return onnx.compose.add_prefix(onnx.load(path), prefix, rename_inputs=False, rename_outputs=False)


def _joined(first: onnx.ModelProto, second: onnx.ModelProto, output: str, input_: str) -> onnx.ModelProto:
    return onnx.compose.merge_models(first, second, io_map=[(output, input_)])


class _Tempered(nn.Module):
    """As `dsp/temperature.py`."""

    def __init__(self, outputs: Outputs, temperature: float) -> None:
        super().__init__()
        self.outputs, self.temperature = outputs, temperature

    def forward(self, probability_BL: Tensor) -> Tensor:
        """Return the probabilities [B, L] of logits that are divided by the temperature."""
        if self.outputs == "softmax":
            least = torch.finfo(torch.float32).tiny
            return torch.softmax(torch.log(probability_BL.clamp(min=least)) / self.temperature, dim=1)
        sure_BL = probability_BL.clamp(NEAREST, 1 - NEAREST)
        return torch.sigmoid(torch.log(sure_BL / (1 - sure_BL)) / self.temperature)


class _LogMel(nn.Module):
    """Log-mel as the pipeline stores it, of operations that every runtime has."""

    waves_F1W: Tensor
    filters_FM: Tensor

    def __init__(self, rule: dict[str, Any], rate_hz: int) -> None:
        super().__init__()
        filters_MF = filterbank("logmel", rule, rate_hz)
        win_samples, n_fft = round(rule["win_ms"] * rate_hz / 1000), rule["n_fft"]
        self.hop_samples, self.top_db = round(rule["hop_ms"] * rate_hz / 1000), rule["top_db"]
        before = n_fft // 2 - (n_fft - win_samples) // 2
        self.mirrored = (before, win_samples - before)
        self.is_coarse = rule["dtype"] == "float16"
        # Bins that no band takes are not computed.
        heard = np.flatnonzero(filters_MF.any(axis=0))
        angle_FW = 2 * np.pi * np.outer(heard, np.arange(win_samples)) / n_fft
        waves_FW = np.concatenate([np.cos(angle_FW), np.sin(angle_FW)]) * hann(win_samples)
        self.register_buffer("waves_F1W", torch.from_numpy(waves_FW.astype(np.float32))[:, None])
        self.register_buffer("filters_FM", torch.from_numpy(filters_MF[:, heard].T.copy()))

    def forward(self, wave_BT: Tensor) -> Tensor:
        """Return features [B, N, M] of samples [B, T]."""
        padded = nn.functional.pad(wave_BT[:, None], self.mirrored, mode="reflect")
        parts_BFN = nn.functional.conv1d(padded, self.waves_F1W, stride=self.hop_samples).square()
        num_bins = len(self.filters_FM)
        power_BNF = (parts_BFN[:, :num_bins] + parts_BFN[:, num_bins:]).transpose(1, 2)
        decibel_BNM = 10.0 * torch.log10(torch.clamp(power_BNF @ self.filters_FM, min=_FLOOR_POWER))
        if self.top_db is not None:
            decibel_BNM = torch.maximum(decibel_BNM, decibel_BNM.amax(dim=(1, 2), keepdim=True) - self.top_db)
        return decibel_BNM.half().float() if self.is_coarse else decibel_BNM
