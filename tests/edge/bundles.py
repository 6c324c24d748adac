"""A bundle whose network is simple enough to know what it must say, and sounds for it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from audioprep.config.base import Section
from audioprep.config.data import LogmelRule, LoudnessRule, TrimRule
from audioprep.io.bundle import FORMAT, hash_of
from audioprep.model.bundle import write_about, write_code, write_front

RATE_HZ, WINDOW_S = 16000, 1.0
LABELS = ["low", "high"]
LOGMEL = LogmelRule(n_fft=512, n_mels=16)


def write_bundle(
    folder: Path, rule: Section = LOGMEL, kind: str = "logmel", *, with_code: bool = False, **decision: Any
) -> Path:
    """Write a bundle whose network compares the lower half of the bins with the upper half; only with its code it runs alone."""
    num_bins = getattr(rule, {"logmel": "n_mels", "mfcc": "n_mfcc"}.get(kind, ""), 12)
    halves_ML = np.zeros((num_bins, 2), np.float32)
    halves_ML[: num_bins // 2, 0] = halves_ML[num_bins // 2 :, 1] = 0.05
    nodes = [
        helper.make_node("ReduceMean", ["features", "axis"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "halves"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probability"]),
    ]
    constants = [numpy_helper.from_array(np.array([1]), "axis"), numpy_helper.from_array(halves_ML, "halves")]
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", None, num_bins])]
    outputs = [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", 2])]
    graph = helper.make_graph(nodes, "halves", inputs, outputs, constants)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network, folder / "model.int8.onnx")
    settings = rule.model_dump(mode="json")
    write_front(folder, kind, settings, RATE_HZ)
    about = {
        "format": FORMAT,
        "labels": LABELS,
        "audio": {
            "rate_hz": RATE_HZ,
            "window_s": WINDOW_S,
            "loudness": LoudnessRule().model_dump(mode="json"),
            "trim": TrimRule(threshold_db=-40.0).model_dump(mode="json"),
        },
        "features": {"kind": kind, "rule": settings},
        "decision": {
            "outputs": "softmax",
            "temperature": None,
            "thresholds": None,
            "num_validation_clips": 0,
            "num_shifts": 1,
            **decision,
        },
    }
    if with_code:
        write_code(folder)
    write_about(folder, about)
    return folder


def change(folder: Path, section: str, **values: Any) -> Path:
    """Change a section of `bundle.json`."""
    about = json.loads((folder / "bundle.json").read_text())
    about[section] |= values
    about["sha256"] = hash_of(about)
    (folder / "bundle.json").write_text(json.dumps(about))
    return folder


def tone(frequency_hz: float, duration_s: float, rate_hz: int = 44100) -> np.ndarray:
    time_T = np.arange(round(duration_s * rate_hz)) / rate_hz
    wave_T = 0.1 * np.sin(2 * np.pi * frequency_hz * time_T)
    return np.concatenate([np.zeros(rate_hz // 2), wave_T]).astype(np.float32)
