import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model.corpora import SPLIT

from audioprep.config.data import LogmelRule
from audioprep.config.training import ExportRule
from audioprep.dsp.temperature import scale
from audioprep.edge.predict import Predictor
from audioprep.errors import ModelError
from audioprep.io.predictions import read_predictions
from audioprep.model import export as module
from audioprep.model.checkpoints import load_checkpoint
from audioprep.model.corpus import load_corpus
from audioprep.model.export import export, judge, passes

AUDIO = {"rate_hz": 16000, "window_s": 0.4, "loudness": {"mode": "off"}, "trim": {"mode": "off"}}


@pytest.fixture(scope="module")
def bundle(toy: Path, checkpoints: Path, report: Path) -> Path:
    folder = checkpoints.parent / "bundle"
    export(toy, checkpoints, report, folder, ExportRule(), AUDIO)
    return folder


def run(toy: Path, checkpoints: Path, report: Path, out: Path, **rule: Any) -> dict[str, Any]:
    return export(toy, checkpoints, report, out, ExportRule(**rule), AUDIO)


def test_the_bundle_says_everything(bundle: Path, report: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == ["bundle.json", "model.fp32.onnx", "model.int8.onnx"]
    about = json.loads((bundle / "bundle.json").read_text())
    assert about["labels"] == ["bell", "drum", "siren"]
    assert about["audio"] == AUDIO
    assert about["features"]["rule"] == {"n_fft": 512, "hop_ms": 10.0}
    assert len(about["normalisation"]["mean"]) == 16
    assert (
        about["metrics"]["cross_validated"]["accuracy"] == json.loads((report / "metrics.json").read_text())["accuracy"]
    )
    assert about["metrics"]["gate"]["agreement"] >= 0.97
    assert about["metrics"]["gate"]["num_clips"] == 24
    assert (about["provenance"]["fold"], about["provenance"]["split"]) == (1, SPLIT)
    for network in about["networks"].values():
        data = (bundle / network["file"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (network["bytes"], network["sha256"])


def test_exporting_again_gives_the_same_bytes(
    bundle: Path, toy: Path, checkpoints: Path, report: Path, tmp_path: Path
) -> None:
    run(toy, checkpoints, report, tmp_path / "bundle")
    for path in bundle.iterdir():
        assert (tmp_path / "bundle" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_careful_plan_gets_its_chance_before_int8_is_refused(
    toy: Path, checkpoints: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def only_the_last_passes(gate: dict[str, Any], rule: ExportRule) -> bool:
        asked.append(gate["int8"])
        return gate["int8"] == "weights alone"

    monkeypatch.setattr(module, "passes", only_the_last_passes)
    about = run(toy, checkpoints, report, tmp_path / "bundle", fold=2)
    assert asked == ["all", "all but both ends", "weights alone"]
    assert (about["metrics"]["gate"]["int8"], about["provenance"]["fold"]) == ("weights alone", 2)


def test_int8_that_loses_too_much_is_refused_and_leaves_the_old_bundle(
    toy: Path, checkpoints: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/bundle.json").write_text("old")
    run_onnx = module.run_onnx

    def spoilt(path: Path, values_KNM: Any) -> Any:
        scores_KL = run_onnx(path, values_KNM)
        return np.roll(scores_KL, 1, axis=1) if "int8" in path.name else scores_KL

    monkeypatch.setattr(module, "run_onnx", spoilt)
    with pytest.raises(ModelError, match=r"expected int8 to lose at most 1.0% and to agree on 97.0% of 24 clips, got "):
        run(toy, checkpoints, report, tmp_path / "bundle")
    assert [path.name for path in tmp_path.rglob("*")] == ["bundle", "bundle.json"]
    assert (tmp_path / "bundle/bundle.json").read_text() == "old"


def test_an_export_that_is_not_exact_is_refused(
    toy: Path, checkpoints: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_onnx", lambda path, values_KNM: np.ones((len(values_KNM), 3), np.float32))
    with pytest.raises(ModelError, match=r"expected torch and onnxruntime to agree within 0.0001, got "):
        run(toy, checkpoints, report, tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_a_fold_that_was_not_trained_is_refused(toy: Path, checkpoints: Path, report: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"export.fold: expected a trained fold of \[1, 2\], got 5"):
        run(toy, checkpoints, report, tmp_path / "bundle", fold=5)


def test_without_evaluation_there_is_no_bundle(toy: Path, checkpoints: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"metrics.json: expected the metrics of an evaluation, found none"):
        run(toy, checkpoints, tmp_path, tmp_path / "bundle")


def test_the_gate_counts_what_it_says() -> None:
    fp32_KL = np.eye(4, dtype=np.float32)
    int8_KL = fp32_KL[[0, 1, 2, 2]]
    gate = judge(fp32_KL, int8_KL, np.eye(4, dtype=bool))
    assert (gate["accuracy_fp32"], gate["accuracy_int8"], gate["agreement"]) == (1.0, 0.75, 0.75)
    assert passes(gate, ExportRule(max_accuracy_drop=0.0, min_agreement=0.5)), "one clip of four"
    assert not passes({**gate, "num_clips": 8}, ExportRule(max_accuracy_drop=0.24, min_agreement=0.5))
    assert not passes(gate, ExportRule(max_accuracy_drop=0.5, min_agreement=0.76))
    assert passes(gate, ExportRule(max_accuracy_drop=0.25, min_agreement=0.75))


def test_a_corpus_of_several_labels_is_exported(
    several: Path, several_checkpoints: Path, several_report: Path, tmp_path: Path
) -> None:
    about = run(several, several_checkpoints, several_report, tmp_path / "bundle")
    gate = about["metrics"]["gate"]
    assert (gate["metric"], gate["num_clips"]) == ("map", 24)
    assert gate["map_fp32"] - gate["map_int8"] <= 0.01
    assert about["metrics"]["cross_validated"] == json.loads((several_report / "metrics.json").read_text())
    corpus, checkpoint = load_corpus(several, "logmel", SPLIT), load_checkpoint(several_checkpoints / "fold1.pt")
    rows = module._calibration_rows(corpus, checkpoint, 4)
    assert sum(not corpus.labels[row] for row in rows) == 1
    assert corpus.truth(rows).any(axis=0).all()


def test_the_bundle_decides_as_the_report_does(
    several: Path, several_checkpoints: Path, several_report: Path, tmp_path: Path
) -> None:
    about = run(several, several_checkpoints, several_report, tmp_path / "bundle", fold=2)
    decision = about["decision"]
    own = json.loads((several_report / "calibration.json").read_text())["fold2"]
    assert (decision["outputs"], decision["num_validation_clips"]) == ("sigmoid", own["num_clips"])
    predictions = read_predictions(several_report)
    rows = np.flatnonzero(predictions.folds_K == 2)
    corpus = load_corpus(several, "logmel", SPLIT)
    about["features"]["rule"] = LogmelRule().model_dump(mode="json")  # that of the made-up features is none
    (tmp_path / "bundle/bundle.json").write_text(json.dumps(about))
    predictor = Predictor(tmp_path / "bundle", "fp32")
    for row in rows:
        values_NM = corpus.values(np.array([corpus.ids.index(predictions.ids[row])]))[0].astype(np.float32)
        probability_L = predictor.probabilities([values_NM])
        expected_1L = scale(predictions.scores_KL[row][None], "sigmoid", own["temperature"])
        np.testing.assert_allclose(probability_L, expected_1L[0], atol=1e-4)
        ranked = list(zip(about["labels"], probability_L, strict=True))
        assert predictor.given(ranked) == [
            label for label, is_given in zip(corpus.classes, predictions.decided_KL[row], strict=True) if is_given
        ]


def test_a_fold_without_validation_has_no_temperature(
    toy: Path, checkpoints: Path, report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = {"temperature": None, "num_clips": 0, "log_loss": None, "log_loss_calibrated": None, "thresholds": None}
    none |= {"num_shifts": 5}
    results = tmp_path / "report"
    results.mkdir()
    (results / "metrics.json").write_bytes((report / "metrics.json").read_bytes())
    (results / "calibration.json").write_text(json.dumps({"fold1": none}))
    about = run(toy, checkpoints, results, tmp_path / "bundle")
    assert about["decision"] == {
        "outputs": "softmax",
        "num_shifts": 5,
        "temperature": None,
        "thresholds": None,
        "num_validation_clips": 0,
    }
    assert "unseen clips; no temperature; bundle in" in capsys.readouterr().out.replace("\n", " ")
    with pytest.raises(ModelError, match=r"expected the calibration of fold 2, got that of fold1; run the evaluate st"):
        run(toy, checkpoints, results, tmp_path / "bundle", fold=2)
    (results / "calibration.json").unlink()
    with pytest.raises(ModelError, match=r"calibration.json: expected the calibration of an evaluation, found none"):
        run(toy, checkpoints, results, tmp_path / "bundle")


def test_the_gate_of_several_labels_counts_label_by_label() -> None:
    truth_KL = np.array([[True, True], [False, True], [True, False]])
    fp32_KL = np.array([[0.9, 0.8], [0.2, 0.7], [0.8, 0.1]], np.float32)
    int8_KL = np.array([[0.9, 0.8], [0.2, 0.4], [0.8, 0.1]], np.float32)
    gate = judge(fp32_KL, int8_KL, truth_KL, is_multi_label=True)
    assert (gate["metric"], gate["map_fp32"], gate["map_int8"], gate["agreement"]) == ("map", 1.0, 1.0, 5 / 6)
    assert not passes(gate, ExportRule())
    assert passes(gate, ExportRule(min_agreement=0.8))


def test_calibration_takes_fitted_clips_of_every_class_in_turn(toy: Path, checkpoints: Path) -> None:
    corpus, checkpoint = load_corpus(toy, "logmel", SPLIT), load_checkpoint(checkpoints / "fold1.pt")
    rows = module._calibration_rows(corpus, checkpoint, 7)
    assert sorted(corpus.targets_K[rows]) == [0, 0, 0, 1, 1, 2, 2]
    assert {corpus.roles[1][row] for row in rows} == {"train"}
