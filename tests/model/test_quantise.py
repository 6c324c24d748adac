from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from audioprep.config.training import ModelRule
from audioprep.model.checkpoints import Shapes, build, standardise
from audioprep.model.loop import predict
from audioprep.model.nets import Classifier
from audioprep.model.quantise import PLANS, Plan, Quantiser, run_onnx, to_onnx

SHAPES = Shapes(33, 32, 4)
VALUES_KNM = np.random.default_rng(0).normal(-40, 10, (24, 33, 32)).astype(np.float16)


def classifier_of(rule: ModelRule) -> Classifier:
    torch.manual_seed(0)
    classifier = build(rule, SHAPES).eval()
    standardise(classifier, np.full(32, -40.0, np.float32), np.full(32, 10.0, np.float32))
    return classifier


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return classifier_of(ModelRule(width=8, frame_pool=4))


@pytest.fixture(scope="module")
def fp32(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    to_onnx(classifier, SHAPES, path)
    return path


def test_onnx_gives_what_torch_gives(classifier: Classifier, fp32: Path) -> None:
    np.testing.assert_allclose(run_onnx(fp32, VALUES_KNM), predict(classifier, VALUES_KNM), atol=1e-5)


def test_any_number_of_clips_fits(fp32: Path) -> None:
    np.testing.assert_allclose(run_onnx(fp32, VALUES_KNM[:1]), run_onnx(fp32, VALUES_KNM)[:1], atol=1e-5)


def test_the_file_names_no_path_of_this_machine(fp32: Path) -> None:
    assert b"/audioprep/" not in fp32.read_bytes()
    assert b".py" not in fp32.read_bytes()


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_int8_is_close_to_float_and_smaller(fp32: Path, tmp_path: Path, plan: Plan) -> None:
    Quantiser(fp32, VALUES_KNM[:16]).write(tmp_path / "int8.onnx", plan)
    difference_KL = np.abs(run_onnx(tmp_path / "int8.onnx", VALUES_KNM) - run_onnx(fp32, VALUES_KNM))
    assert difference_KL.mean() < 0.02
    assert (tmp_path / "int8.onnx").stat().st_size < 0.6 * fp32.stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8.onnx"]


def test_weights_of_every_convolution_become_int8(fp32: Path, tmp_path: Path) -> None:
    Quantiser(fp32, VALUES_KNM[:4]).write(tmp_path / "int8.onnx", PLANS[-1])
    network = onnx.load(tmp_path / "int8.onnx")
    onnx.checker.check_model(network)
    stored = {tensor.name: tensor.data_type for tensor in network.graph.initializer}
    outputs = {node.output[0]: node for node in network.graph.node}
    layers = [node for node in network.graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(layers) == 1 + 8 + 3 + 1
    for layer in layers:
        assert stored[outputs[layer.input[1]].input[0]] == onnx.TensorProto.INT8


def test_weights_of_linear_layers_on_words_become_int8(tmp_path: Path) -> None:
    classifier = classifier_of(ModelRule(arch="ast", width=8))
    to_onnx(classifier, SHAPES, tmp_path / "fp32.onnx")
    Quantiser(tmp_path / "fp32.onnx", VALUES_KNM[:4]).write(tmp_path / "int8.onnx", PLANS[-1])
    network = onnx.load(tmp_path / "int8.onnx")
    onnx.checker.check_model(network)
    left = [tensor for tensor in network.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]
    # Positions, biases, norms and scales: vectors, whatever their shape.
    assert all(max(tensor.dims, default=1) * 8 >= np.prod(tensor.dims) for tensor in left)
    assert (tmp_path / "int8.onnx").stat().st_size < 0.4 * (tmp_path / "fp32.onnx").stat().st_size
    difference_KL = np.abs(run_onnx(tmp_path / "int8.onnx", VALUES_KNM[:4]) - predict(classifier, VALUES_KNM[:4]))
    assert difference_KL.max() < 0.02


def test_the_front_and_the_softmax_stay_float(fp32: Path, tmp_path: Path) -> None:
    Quantiser(fp32, VALUES_KNM[:4]).write(tmp_path / "int8.onnx", PLANS[0])
    nodes = onnx.load(tmp_path / "int8.onnx").graph.node
    kinds = [node.op_type for node in nodes if node.op_type != "DequantizeLinear"]
    assert kinds.index("QuantizeLinear") > kinds.index("AveragePool")
    assert kinds[-1] == "Softmax"
