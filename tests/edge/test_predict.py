"""The edge hears a file as the pipeline does, and needs nothing of the training side."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import soundfile
import torch
from onnx import TensorProto, helper, numpy_helper

from audioprep.config.base import Section
from audioprep.config.data import (
    ChromaRule,
    DescriptorsRule,
    EmbeddingRule,
    LogmelRule,
    LoudnessRule,
    MfccRule,
    SpectrogramRule,
    TrimRule,
)
from audioprep.dsp.decide import decide_gain, decide_part
from audioprep.dsp.denoise import denoiser
from audioprep.dsp.features import feature_kernel, windowed
from audioprep.dsp.measure import measure, to_stored
from audioprep.edge.predict import Predictor
from audioprep.errors import AudioError, ModelError
from audioprep.io.audio import decode, decode_stored, encode_flac

RATE_HZ, WINDOW_S = 16000, 1.0
LABELS = ["low", "high"]
LOGMEL = LogmelRule(n_fft=512, n_mels=16)


def write_bundle(folder: Path, rule: Section = LOGMEL, kind: str = "logmel") -> Path:
    """Write a bundle whose network compares the lower half of the bins with the upper half."""
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
    sha256 = hashlib.sha256((folder / "model.int8.onnx").read_bytes()).hexdigest()
    about = {
        "format": 2,
        "labels": LABELS,
        "audio": {
            "rate_hz": RATE_HZ,
            "window_s": WINDOW_S,
            "loudness": LoudnessRule().model_dump(mode="json"),
            "trim": TrimRule(threshold_db=-40.0).model_dump(mode="json"),
        },
        "features": {"kind": kind, "rule": rule.model_dump(mode="json")},
        "decision": {
            "outputs": "softmax",
            "temperature": None,
            "thresholds": None,
            "num_validation_clips": 0,
            "num_shifts": 1,
        },
        "networks": {"int8": {"file": "model.int8.onnx", "sha256": sha256}},
    }
    (folder / "bundle.json").write_text(json.dumps(about))
    return folder


def tone(frequency_hz: float, duration_s: float, rate_hz: int = 44100) -> np.ndarray:
    time_T = np.arange(round(duration_s * rate_hz)) / rate_hz
    wave_T = 0.1 * np.sin(2 * np.pi * frequency_hz * time_T)
    return np.concatenate([np.zeros(rate_hz // 2), wave_T]).astype(np.float32)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_files_are_classified_likeliest_first(bundle: Path, tmp_path: Path, suffix: str) -> None:
    predictor = Predictor(bundle)
    for frequency_hz, label in ((300.0, "low"), (5000.0, "high")):
        soundfile.write(tmp_path / f"x{suffix}", np.stack([tone(frequency_hz, 0.7)] * 2, axis=1), 44100)
        best = predictor.predict(tmp_path / f"x{suffix}")
        assert best[0][0] == label
        assert sorted(name for name, _ in best) == sorted(LABELS)
        assert sum(probability for _, probability in best) == pytest.approx(1.0)
        assert best[0][1] >= best[1][1]


@pytest.mark.parametrize("duration_s", [0.2, 0.7, 3.0])
def test_features_are_those_of_the_pipeline(bundle: Path, duration_s: float) -> None:
    wave_TC = tone(800.0, duration_s)[:, None]
    expected_NM = pipeline_features(wave_TC, 44100, LOGMEL, "logmel")
    np.testing.assert_array_equal(next(Predictor(bundle).features(wave_TC, 44100)), expected_NM)


def test_a_long_file_is_judged_by_all_its_windows_where_the_pipeline_made_them(bundle: Path) -> None:
    half = np.concatenate([tone(300.0, 1.0)[22050:], tone(5000.0, 2.0)[22050:]])[:, None]
    first = Predictor(bundle).predict_wave(half, 44100)
    about = json.loads((bundle / "bundle.json").read_text())
    about["audio"]["hop_s"] = 0.5
    (bundle / "bundle.json").write_text(json.dumps(about))
    predictor = Predictor(bundle)
    windows = list(predictor.features(half, 44100))
    assert len(windows) == 5, "at 0, 0.5, 1, 1.5 and 2 s of 3"
    np.testing.assert_array_equal(windows[0], next(Predictor(bundle).features(half, 44100)))
    mean_L = np.mean([predictor.probabilities([values_NM]) for values_NM in windows], axis=0)
    best = dict(predictor.predict_wave(half, 44100))
    assert [best[label] for label in LABELS] == pytest.approx(mean_L.tolist())
    assert (first[0][0], max(best, key=lambda label: best[label])) == ("low", "high")


def test_noise_is_taken_away_where_the_features_were_made_so(bundle: Path) -> None:
    rule = {"mode": "gate", "stationary": True, "strength": 0.9}
    wave_TC = (tone(800.0, 1.0) + 0.01 * np.random.default_rng(0).standard_normal(66150).astype(np.float32))[:, None]
    expected_NM = pipeline_features(wave_TC, 44100, LOGMEL, "logmel", rule)
    about = json.loads((bundle / "bundle.json").read_text())
    about["features"]["denoise"] = rule
    (bundle / "bundle.json").write_text(json.dumps(about))
    # The pipeline stores 16 bits between.
    np.testing.assert_allclose(next(Predictor(bundle).features(wave_TC, 44100)), expected_NM, atol=0.1)
    assert np.abs(expected_NM - pipeline_features(wave_TC, 44100, LOGMEL, "logmel")).max() > 5


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("mfcc", MfccRule(n_fft=512, n_mels=16, n_mfcc=8)),
        ("logmel", LogmelRule(dtype="int8")),  # without its steps, which are a clip's own: at most half of one off
        ("spectrogram", SpectrogramRule()),
        ("chroma", ChromaRule()),
        ("descriptors", DescriptorsRule()),
    ],
)
def test_bundles_of_other_kinds_work_too(kind: str, rule: Section, tmp_path: Path) -> None:
    wave_TC = tone(800.0, 0.5)[:, None]
    values_NM = next(Predictor(write_bundle(tmp_path / kind, rule, kind)).features(wave_TC, 44100))
    np.testing.assert_array_equal(values_NM, pipeline_features(wave_TC, 44100, rule, kind))


def test_a_bundle_of_embeddings_asks_for_their_model(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", EmbeddingRule(model="pretrained/not-here", sha256="0" * 64), "embedding")
    with pytest.raises(
        ModelError, match=r"features.embedding.model: expected a folder, found none at pretrained/not-here"
    ):
        Predictor(bundle)


def pipeline_features(
    wave_TC: np.ndarray, rate_in_hz: int, rule: Section, kind: str, denoise: dict[str, Any] | None = None
) -> np.ndarray:
    """What resample, loudness, trim and features do, with the FLAC on disk between them."""
    stored_T, attenuation_db = to_stored(wave_TC, rate_in_hz, RATE_HZ)
    facts: dict[str, Any] = measure(stored_T, RATE_HZ)
    levels = {name: facts[name] for name in ("loudness_lufs", "rms_db", "peak_db", "true_peak_db")}
    gain_db, _ = decide_gain(**levels, attenuation_db=attenuation_db, **LoudnessRule().model_dump())
    start, stop = decide_part(
        np.asarray(facts["envelope_db"], np.int8),
        facts["envelope_frame_s"],
        facts["num_samples"],
        RATE_HZ,
        mode="energy",
        threshold_db=-40.0,
        margin_s=0.1,
        window_samples=RATE_HZ,
    )
    cut = {"start": start, "stop": stop, "gain_db": gain_db, "pad": "zeros"}
    clear_T = denoiser(denoise, RATE_HZ)(decode_stored(encode_flac(stored_T, RATE_HZ)))
    window_T = windowed(clear_T, cut, RATE_HZ)
    settings = rule.model_dump(mode="json")
    values_NM = feature_kernel(kind, settings, RATE_HZ)(window_T)
    return values_NM.astype(np.float16 if settings["dtype"] == "float16" else np.float32).astype(np.float32)


def test_silence_is_refused_where_the_network_was_trained_without_it(bundle: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000, np.float32), 8000)
    with pytest.raises(
        AudioError, match=r"^silent: .*silence\.wav: no sample above -80 dB; the network was trained without"
    ):
        Predictor(bundle).predict(tmp_path / "silence.wav")
    about = json.loads((bundle / "bundle.json").read_text())
    about["audio"]["trim"]["exclude"] = []
    (bundle / "bundle.json").write_text(json.dumps(about))
    assert np.isfinite([probability for _, probability in Predictor(bundle).predict(tmp_path / "silence.wav")]).all()


def test_shifts_are_averaged_as_in_the_evaluation(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = changed(bundle, num_shifts=3)
    given: list[npt.NDArray[np.float32]] = []

    class Session:
        def run(self, _names: None, inputs: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
            given.append(inputs["features"][0])
            return [np.float32([[len(given) / 10, 1 - len(given) / 10]])]

    monkeypatch.setattr(predictor, "_session", Session())
    values_NM = np.arange(20, dtype=np.float32).reshape(10, 2)
    np.testing.assert_allclose(predictor.probabilities([values_NM]), [0.2, 0.8], rtol=1e-6)
    shifts = [torch.from_numpy(values_NM).roll(index * 10 // 3, 0).numpy() for index in range(3)]
    np.testing.assert_array_equal(given, shifts)


def changed(bundle: Path, **decision: Any) -> Predictor:
    about = json.loads((bundle / "bundle.json").read_text())
    about["decision"] |= decision
    (bundle / "bundle.json").write_text(json.dumps(about))
    return Predictor(bundle)


def test_a_temperature_makes_probabilities_less_sure_and_changes_no_order(bundle: Path) -> None:
    wave_TC = tone(300.0, 0.7)[:, None]
    sure = dict(Predictor(bundle).predict_wave(wave_TC, 44100))
    unsure = dict(changed(bundle, temperature=2.0).predict_wave(wave_TC, 44100))
    assert list(sure) == list(unsure) == ["low", "high"]
    odds = [scores["low"] / scores["high"] for scores in (sure, unsure)]
    assert odds[1] == pytest.approx(odds[0] ** 0.5, rel=1e-4)


def test_labels_are_given_from_their_thresholds_on(bundle: Path) -> None:
    ranked = [("low", 0.6), ("high", 0.4)]
    assert Predictor(bundle).given(ranked) == ["low"]
    assert changed(bundle, thresholds={"low": 0.7, "high": 0.4}).given(ranked) == ["high"]
    assert changed(bundle, thresholds={"low": 0.7, "high": 0.5}).given(ranked) == []


def test_a_bundle_that_was_changed_by_hand_is_one_line(bundle: Path) -> None:
    about = json.loads((bundle / "bundle.json").read_text())
    del about["audio"]["rate_hz"]
    (bundle / "bundle.json").write_text(json.dumps(about))
    with pytest.raises(
        ModelError, match=r"bundle: expected the bundle as it was exported, got KeyError 'rate_hz'; export it"
    ):
        Predictor(bundle)


def test_unusable_files_are_named(bundle: Path, tmp_path: Path) -> None:
    predictor = Predictor(bundle)
    with pytest.raises(AudioError, match=r"missing: .*no.wav: No such file or directory"):
        predictor.predict(tmp_path / "no.wav")
    (tmp_path / "text.wav").write_text("this is no audio")
    with pytest.raises(AudioError, match=r"decode_error: .*text.wav: "):
        predictor.predict(tmp_path / "text.wav")


def test_a_precision_that_the_bundle_lacks_is_refused(bundle: Path) -> None:
    with pytest.raises(ModelError, match=r"expected int8, got 'fp32'"):
        Predictor(bundle, "fp32")


def test_decoding_is_the_pipelines_own(bundle: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", tone(500.0, 0.4), 44100)
    decoded = decode((tmp_path / "x.wav").read_bytes())
    predictor = Predictor(bundle)
    assert predictor.predict(tmp_path / "x.wav") == predictor.predict_wave(decoded.wave_TC, decoded.rate_hz)


def test_nothing_of_the_training_side_is_imported() -> None:
    code = (
        "import sys, audioprep.edge.predict; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'lhotse', 'pyarrow', 'pandas', 'rich', 'pydantic'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
