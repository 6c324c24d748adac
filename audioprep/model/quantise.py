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
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.qdq_loss_debug import (
    collect_activations,
    compute_activation_error,
    create_activation_matching,
    modify_model_output_intermediate_tensors,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from audioprep.model.checkpoints import Shapes
from audioprep.model.nets import Classifier

INPUT_NAME, OUTPUT_NAME = "features", "probability"
_OPSET = 20
_BATCH = 16
_TRACED_CLIPS = 8  # of which all activations are kept, to compare them
# What int8 arithmetic is good for; the front (dB, standardised) and the softmax stay float32.
_QUANTISED = ("Conv", "Gemm", "MatMul", "Add", "Relu", "AveragePool")


@dataclass(frozen=True)
class Plan:
    """Which part of a network becomes int8, and how the ranges of its activations are found.

    Attributes:
        name: For people.
        calibration: What the ranges are: from the least to the largest value of the training clips (`MinMax`), without the rarest
            1 in 10^5 (`Percentile`); None: activations stay float32, weights alone are int8.
        num_float: So many activations stay float32: those that int8 harms most, see `Quantiser`.
    """

    name: str
    calibration: str | None = "MinMax"
    num_float: int = 0


# From the fastest to the most careful; the last one still makes the file four times smaller.
PLANS = (
    Plan("all"),
    Plan("all, by percentiles", "Percentile"),
    *(Plan(f"all but {count} activations", num_float=count) for count in (1, 2, 4, 8)),
    Plan("weights alone", calibration=None),
)


class _Scores(nn.Module):
    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier.scores(features)


def to_onnx(classifier: Classifier, shapes: Shapes, path: Path) -> None:
    """Write feature matrices [B, N, M] in, probabilities [B, L] out, as one float32 file.

    Args:
        classifier: In evaluation mode.
        shapes: Its sides.
        path: The ONNX file.
    """
    example_BNM = torch.zeros(2, shapes.num_frames, shapes.num_bins)
    write_onnx(_Scores(classifier), example_BNM, path, INPUT_NAME, OUTPUT_NAME)


def write_onnx(module: nn.Module, example: Tensor, path: Path, input_name: str, output_name: str) -> None:
    """Write a module with one input and one output as one float32 file without host paths.

    Args:
        module: What to write.
        example: An input; its first axis, the batch, may have any length.
        path: The ONNX file.
        input_name: What the input is called.
        output_name: What the output is called.
    """
    with _quiet():
        torch.onnx.export(
            module.eval(),
            (example,),
            path,
            input_names=[input_name],
            output_names=[output_name],
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    network = onnx.load(path)
    # The exporter notes stack traces with the paths of this machine.
    for holder in (network, network.graph, *network.graph.node, *network.graph.value_info, *network.graph.input):
        holder.ClearField("metadata_props")
        holder.ClearField("doc_string")
    for value in (*network.graph.output, *network.graph.initializer):
        value.ClearField("metadata_props")
    onnx.save(network, path)


class Quantiser:
    """Makes a network's convolutions and linear layers int8: signed, weights per channel, static activations.

    Which activations int8 harms most is found on a few training clips: those whose int8 values are furthest from what they were
    made of, by signal-to-noise ratio, when all are int8.

    Source: onnxruntime's quantization guide (S8S8 QDQ is its first choice; its qdq_loss_debug compares activations).
    """

    def __init__(self, source: Path, calibration_KNM: npt.NDArray[Any]) -> None:
        """Take the float32 network, and feature matrices [K, N, M] of training clips, which set the ranges of the activations."""
        self._source, self._calibration_KNM = source, calibration_KNM
        self._worst: list[str] | None = None

    def write(self, target: Path, plan: Plan) -> None:
        """Write the int8 network of a plan."""
        if plan.calibration is None:
            onnx.save(_with_int8_weights(onnx.load(self._source)), target)
            return
        with tempfile.TemporaryDirectory(dir=target.parent) as folder, _quiet():
            prepared = Path(folder) / "prepared.onnx"
            # Symbolic shape inference fails on graphs of torch's exporter, and fixed shapes do not need it.
            quant_pre_process(str(self._source), str(prepared), skip_symbolic_shape=True)
            nodes = list(onnx.load(prepared).graph.node)
            first = next(index for index, node in enumerate(nodes) if node.op_type == "Conv")
            kept = [node.name for node in nodes[:first]]
            if plan.num_float:
                worst = set(self._ranked(prepared, kept)[: plan.num_float])
                kept += [node.name for node in nodes[first:] if worst & {*node.input, *node.output}]
            self._quantise(prepared, target, CalibrationMethod[plan.calibration], kept)
            onnx.save(_with_int8_weights(onnx.load(target)), target)  # those of layers that stay float32

    def _quantise(self, prepared: Path, target: Path, method: CalibrationMethod, kept_float: list[str]) -> None:
        quantize_static(
            str(prepared),
            str(target),
            _Calibration(self._calibration_KNM),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=method,
            op_types_to_quantize=list(_QUANTISED),
            nodes_to_exclude=kept_float,
        )

    def _ranked(self, prepared: Path, kept_float: list[str]) -> list[str]:
        """Return the names of the activations that become int8, the most harmed first."""
        if self._worst is None:
            everything = prepared.with_name("everything.onnx")
            self._quantise(prepared, everything, CalibrationMethod.MinMax, kept_float)
            found = [self._activations(path) for path in (everything, prepared)]
            errors = compute_activation_error(create_activation_matching(*found))
            self._worst = sorted(errors, key=lambda name: (errors[name]["qdq_err"], name))
        return self._worst

    def _activations(self, network: Path) -> dict[str, Any]:
        traced = network.with_suffix(".traced.onnx")
        modify_model_output_intermediate_tensors(network, traced)
        return dict(collect_activations(str(traced), _Calibration(self._calibration_KNM[:_TRACED_CLIPS])))


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
