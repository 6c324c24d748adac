"""From a torch classifier to ONNX, and from float32 to int8.

Shape letters: B clips of a batch, K clips, N frames, M bins, L classes.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.numpy_helper
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from audioprep.model.checkpoints import Shapes
from audioprep.model.nets import Classifier

INPUT_NAME, OUTPUT_NAME = "features", "probability"
_OPSET = 20
_BATCH = 16
# What int8 arithmetic is good for; the front (dB, standardised) and the softmax stay float32.
_QUANTISED = ("Conv", "Gemm", "MatMul", "Add", "Relu", "AveragePool")


@dataclass(frozen=True)
class Plan:
    """Which part of a network becomes int8.

    Attributes:
        name: For people.
        quantises_activations: Activations are int8 too; otherwise weights are stored as int8 and computed in float32.
        float_ends: The first convolution and the last linear layer stay float32.
    """

    name: str
    quantises_activations: bool
    float_ends: bool


# From the fastest to the most careful; the last one still makes the file four times smaller.
PLANS = (
    Plan("all", quantises_activations=True, float_ends=False),
    Plan("all but both ends", quantises_activations=True, float_ends=True),
    Plan("weights alone", quantises_activations=False, float_ends=False),
)


class _Scores(nn.Module):
    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier.scores(features)


def to_onnx(classifier: Classifier, shapes: Shapes, path: Path) -> None:
    """Write feature matrices [B, N, M] in, probabilities [B, L] out, as one float32 file without host paths.

    Args:
        classifier: In evaluation mode.
        shapes: Its sides.
        path: The ONNX file.
    """
    example_BNM = torch.zeros(2, shapes.num_frames, shapes.num_bins)
    with _quiet():
        torch.onnx.export(
            _Scores(classifier).eval(),
            (example_BNM,),
            path,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            dynamic_shapes={"features": {0: torch.export.Dim("batch")}},
        )
    network = onnx.load(path)
    # The exporter notes stack traces with the paths of this machine.
    for holder in (network, network.graph, *network.graph.node, *network.graph.value_info, *network.graph.input):
        holder.ClearField("metadata_props")
        holder.ClearField("doc_string")
    for value in (*network.graph.output, *network.graph.initializer):
        value.ClearField("metadata_props")
    onnx.save(network, path)


def to_int8(source: Path, target: Path, calibration_KNM: npt.NDArray[Any], plan: Plan) -> None:
    """Quantise a network's convolutions and linear layers: signed 8 bit, weights per channel, static activations.

    Args:
        source: The float32 network.
        target: The int8 network.
        calibration_KNM: Feature matrices [K, N, M] of training clips, which set the ranges of the activations.
        plan: Which part becomes int8.

    Source: onnxruntime's quantization guide (S8S8 QDQ is its first choice).
    """
    if not plan.quantises_activations:
        onnx.save(_with_int8_weights(onnx.load(source)), target)
        return
    with tempfile.TemporaryDirectory(dir=target.parent) as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        # Symbolic shape inference fails on graphs of torch's exporter, and fixed shapes do not need it.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            _Calibration(calibration_KNM),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=list(_QUANTISED),
            nodes_to_exclude=_kept_float(onnx.load(prepared), float_ends=plan.float_ends),
        )


def run_onnx(path: Path, values_KNM: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the probabilities [K, L] of feature matrices [K, N, M], in one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    parts = [
        session.run(None, {INPUT_NAME: values_KNM[first : first + _BATCH].astype(np.float32)})[0]
        for first in range(0, len(values_KNM), _BATCH)
    ]
    return np.concatenate(parts)


def _kept_float(network: onnx.ModelProto, *, float_ends: bool) -> list[str]:
    nodes = list(network.graph.node)
    first = next(index for index, node in enumerate(nodes) if node.op_type == "Conv")
    kept = [node.name for node in nodes[: first + float_ends]]
    linear = [node.name for node in nodes if node.op_type in ("Gemm", "MatMul")]
    return kept + linear[-1:] * float_ends


def _with_int8_weights(network: onnx.ModelProto) -> onnx.ModelProto:
    """Store the weights of convolutions and linear layers as int8 with one scale an output channel."""
    graph = network.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    # Of convolutions, and of linear layers on clips (Gemm with transB), output channels are on axis 0; of linear layers
    # on frames or words (MatMul) they come last.
    axes = {
        node.input[1]: -1 if node.op_type == "MatMul" else 0
        for node in graph.node
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in stored
    }
    for name, axis in axes.items():
        weights = onnx.numpy_helper.to_array(stored[name])
        others = tuple(range(1, weights.ndim)) if axis == 0 else tuple(range(weights.ndim - 1))
        scale = np.abs(weights).max(axis=others, keepdims=True) / 127
        scale = np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32)
        steps = np.round(weights / scale).astype(np.int8)
        graph.initializer.remove(stored[name])
        graph.initializer.append(onnx.numpy_helper.from_array(steps, f"{name}.int8"))
        graph.initializer.append(onnx.numpy_helper.from_array(scale.reshape(-1), f"{name}.scale"))
        parts = [f"{name}.int8", f"{name}.scale"]
        graph.node.insert(
            0, onnx.helper.make_node("DequantizeLinear", parts, [name], f"{name}.dequantise", axis=axis % weights.ndim)
        )
    return network


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, values_KNM: npt.NDArray[Any]) -> None:
        self._clips = iter(values_KNM)

    def get_next(self) -> dict[str, Any] | None:
        clip_NM = next(self._clips, None)
        return None if clip_NM is None else {INPUT_NAME: clip_NM[None].astype(np.float32)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's and the quantiser's chatter from the terminal; errors still come through."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
