import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import soundfile
from model.corpora import SPLIT, write_card

from audioprep.closure import ROOT
from audioprep.config.data import LogmelRule, LoudnessRule, TrimRule
from audioprep.config.training import ExportRule
from audioprep.dsp.features import feature_kernel
from audioprep.dsp.temperature import scale
from audioprep.edge.predict import Predictor
from audioprep.errors import ModelError
from audioprep.io.bundle import read_bundle
from audioprep.io.predictions import read_predictions
from audioprep.model import gate as gate_module
from audioprep.model.checkpoints import load_checkpoint
from audioprep.model.corpus import load_corpus
from audioprep.model.export import export
from audioprep.model.gate import judge, passes
from audioprep.model.quantise import PLANS, run_onnx

AUDIO = {
    "rate_hz": 16000,
    "window_s": 0.4,
    "loudness": LoudnessRule(mode="off").model_dump(mode="json"),
    "trim": TrimRule(mode="off").model_dump(mode="json"),
}


@pytest.fixture(scope="module")
def carded(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy corpora that have a card."""
    return with_card(toy, tmp_path_factory.mktemp("carded"))


def with_card(data: Path, folder: Path) -> Path:
    shutil.copytree(data, folder / data.name)
    write_card(folder / data.name)
    return folder / data.name


@pytest.fixture(scope="module")
def bundle(carded: Path, checkpoints: Path, report: Path) -> Path:
    folder = checkpoints.parent / "bundle"
    export(carded, checkpoints, report, folder, ExportRule(), AUDIO)
    return folder


def run(data: Path, checkpoints: Path, report: Path, out: Path, **rule: Any) -> dict[str, Any]:
    return export(data, checkpoints, report, out, ExportRule(**rule), AUDIO)


def test_the_bundle_says_everything(bundle: Path, report: Path) -> None:
    about = json.loads((bundle / "bundle.json").read_text())
    assert about["labels"] == ["bell", "drum", "siren"]
    assert about["audio"] == AUDIO
    assert about["features"]["rule"] == LogmelRule(n_fft=512, n_mels=16).model_dump(mode="json")
    assert len(about["normalisation"]["mean"]) == 16
    assert (
        about["metrics"]["cross_validated"]["accuracy"] == json.loads((report / "metrics.json").read_text())["accuracy"]
    )
    gate = about["metrics"]["gate"]
    assert gate["agreement"] >= 0.98
    assert (gate["num_clips"], gate["role"]) == (12, "valid")
    assert (about["provenance"]["fold"], about["provenance"]["split"]) == (1, SPLIT)
    assert about["training_facts"]["num_clips"] == 36
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert files == {*about["files"], "bundle.json"}
    assert {"model.int8.onnx", "model.fp32.onnx", "front.npz", "classify.py", "README.md", "MODEL_CARD.md"} < files
    read_bundle(bundle).check()


def test_people_are_told_what_it_is(bundle: Path) -> None:
    readme, card = ((bundle / name).read_text() for name in ("README.md", "MODEL_CARD.md"))
    assert "It hears 0.4 s of sound and tells 3 classes apart: bell, drum, siren." in readme
    assert "Its level stays as it is." in readme
    assert "Nothing is cut off. The first 0.4 s are heard" in readme
    assert "model.wave.onnx" not in readme
    assert "| trained on | Toy bands (toy), 36 of its 60 clips |" in card
    assert "| licence of the data | CC0-1.0 |" in card
    assert "on the 12 clips of the validation fold" in card
    assert card.count("\n| bell | ") == 1
    assert "{{" not in readme + card


def test_the_program_in_the_bundle_needs_no_audioprep(bundle: Path, tmp_path: Path) -> None:
    """Python is told to look nowhere but in the bundle and in the folders of the libraries that the device has, too."""
    soundfile.write(tmp_path / "siren.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 16000)
    guard = f"""
import sys
sys.path[:] = [path for path in sys.path if path != {str(ROOT)!r}]
class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in {{"torch", "scipy", "soxr", "lhotse", "dvc", "pydantic", "pyarrow", "pandas", "rich", "typer"}}:
            raise ImportError(top)
sys.meta_path.insert(0, Guard())
sys.path.insert(0, {str(bundle)!r})
import runpy
sys.argv = ["classify.py", {str(tmp_path / "siren.wav")!r}]
runpy.run_path({str(bundle / "classify.py")!r}, run_name="__main__")
import audioprep
print(audioprep.__file__)
"""
    done = subprocess.run(
        [sys.executable, "-c", guard],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{tmp_path}/siren.wav: ")
    assert second == str(bundle / "audioprep/__init__.py")


def test_a_changed_file_is_named_before_anything_is_heard(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    with (copy / "audioprep/edge/front.py").open("a") as file:
        file.write("# changed\n")
    done = subprocess.run(
        [sys.executable, copy / "classify.py", "x.wav"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "front.py: expected sha256" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_front_end_can_be_a_part_of_the_network(
    carded: Path, checkpoints: Path, report: Path, tmp_path: Path
) -> None:
    about = run(carded, checkpoints, report, tmp_path / "bundle", single_graph=True)
    assert "model.wave.onnx" in about["files"]
    assert (
        "`model.wave.onnx` takes step 4 alone: `wave`, [batch, 6400] samples"
        in (tmp_path / "bundle/README.md").read_text()
    )
    kernel = feature_kernel("logmel", about["features"]["rule"], 16000)
    rng = np.random.default_rng(0)
    wave_BT = (rng.normal(0, 0.1, (3, 6400)) * np.geomspace(0.01, 1, 6400)).astype(np.float32)
    values_BNM = np.stack([kernel(wave_T) for wave_T in wave_BT]).astype(np.float16)
    session = onnxruntime.InferenceSession(tmp_path / "bundle/model.wave.onnx")
    decision = about["decision"]
    assert decision["temperature"] not in (None, 1.0)
    scores_BL = run_onnx(tmp_path / "bundle/model.int8.onnx", values_BNM)
    expected_BL = scale(scores_BL, decision["outputs"], decision["temperature"])
    (output,) = session.get_outputs()
    assert output.name == "probability"
    np.testing.assert_allclose(session.run(None, {"wave": wave_BT})[0], expected_BL, atol=1e-3)


def test_exporting_again_gives_the_same_bytes(
    bundle: Path, carded: Path, checkpoints: Path, report: Path, tmp_path: Path
) -> None:
    run(carded, checkpoints, report, tmp_path / "bundle")
    for path in bundle.rglob("*.*"):
        assert (tmp_path / "bundle" / path.relative_to(bundle)).read_bytes() == path.read_bytes(), path.name


def test_a_careful_plan_gets_its_chance_before_int8_is_refused(
    carded: Path, checkpoints: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def only_the_last_passes(gate: dict[str, Any], rule: ExportRule) -> bool:
        asked.append(gate["int8"])
        return gate["int8"] == "weights alone"

    monkeypatch.setattr(gate_module, "passes", only_the_last_passes)
    about = run(carded, checkpoints, report, tmp_path / "bundle", fold=2)
    assert asked == [plan.name for plan in PLANS]
    assert (about["metrics"]["gate"]["int8"], about["provenance"]["fold"]) == ("weights alone", 2)


def test_int8_that_loses_too_much_is_refused_and_leaves_the_old_bundle(
    carded: Path, checkpoints: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/bundle.json").write_text("old")
    run_onnx = gate_module.run_onnx

    def spoilt(path: Path, values_KNM: Any) -> Any:
        scores_KL = run_onnx(path, values_KNM)
        return np.roll(scores_KL, 1, axis=1) if "int8" in path.name else scores_KL

    monkeypatch.setattr(gate_module, "run_onnx", spoilt)
    with pytest.raises(ModelError, match=r"expected int8 to lose at most 0.5% and to agree on 98.0% of 12 clips, got "):
        run(carded, checkpoints, report, tmp_path / "bundle")
    assert [path.name for path in tmp_path.rglob("*")] == ["bundle", "bundle.json"]
    assert (tmp_path / "bundle/bundle.json").read_text() == "old"


def test_an_export_that_is_not_exact_is_refused(
    carded: Path, checkpoints: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "run_onnx", lambda path, values_KNM: np.ones((len(values_KNM), 3), np.float32))
    with pytest.raises(ModelError, match=r"expected torch and onnxruntime to agree within 0.0001, got "):
        run(carded, checkpoints, report, tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_a_fold_that_was_not_trained_is_refused(carded: Path, checkpoints: Path, report: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"export.fold: expected a trained fold of \[1, 2\], got 5"):
        run(carded, checkpoints, report, tmp_path / "bundle", fold=5)


def test_without_evaluation_there_is_no_bundle(carded: Path, checkpoints: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"metrics.json: expected what an earlier stage wrote, found none; run `dvc repro`"
    ):
        run(carded, checkpoints, tmp_path, tmp_path / "bundle")


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
    about = run(with_card(several, tmp_path), several_checkpoints, several_report, tmp_path / "bundle")
    gate = about["metrics"]["gate"]
    assert (gate["metric"], gate["num_clips"]) == ("map", 12)
    assert gate["map_fp32"] - gate["map_int8"] <= 1 / 12
    assert about["metrics"]["cross_validated"] == json.loads((several_report / "metrics.json").read_text())
    corpus, checkpoint = load_corpus(several, "logmel", SPLIT), load_checkpoint(several_checkpoints / "fold1.pt")
    rows = gate_module._calibration_rows(corpus, checkpoint, 4)
    assert sum(not corpus.labels[row] for row in rows) == 1
    assert corpus.truth(rows).any(axis=0).all()


def test_the_bundle_decides_as_the_report_does(
    several: Path, several_checkpoints: Path, several_report: Path, tmp_path: Path
) -> None:
    about = run(with_card(several, tmp_path), several_checkpoints, several_report, tmp_path / "bundle", fold=2)
    decision = about["decision"]
    own = json.loads((several_report / "calibration.json").read_text())["fold2"]
    assert (decision["outputs"], decision["num_validation_clips"]) == ("sigmoid", own["num_clips"])
    predictions = read_predictions(several_report)
    rows = np.flatnonzero(predictions.folds_K == 2)
    corpus = load_corpus(several, "logmel", SPLIT)
    predictor = Predictor(read_bundle(tmp_path / "bundle"), precision="fp32")
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
    carded: Path, checkpoints: Path, report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = {"temperature": None, "num_clips": 0, "log_loss": None, "log_loss_calibrated": None, "thresholds": None}
    none |= {"num_shifts": 5}
    results = tmp_path / "report"
    results.mkdir()
    for name in ("metrics.json", "details.json", "predictions.parquet"):
        (results / name).write_bytes((report / name).read_bytes())
    (results / "calibration.json").write_text(json.dumps({"fold1": none}))
    about = run(carded, checkpoints, results, tmp_path / "bundle")
    assert about["decision"] == {
        "outputs": "softmax",
        "num_shifts": 5,
        "temperature": None,
        "thresholds": None,
        "num_validation_clips": 0,
    }
    assert "valid clips; no temperature; bundle in" in capsys.readouterr().out.replace("\n", " ")
    with pytest.raises(ModelError, match=r"expected the calibration of fold 2, got that of fold1; run the evaluate st"):
        run(carded, checkpoints, results, tmp_path / "bundle", fold=2)
    (results / "calibration.json").unlink()
    with pytest.raises(ModelError, match=r"calibration.json: expected what an earlier stage wrote, found none"):
        run(carded, checkpoints, results, tmp_path / "bundle")


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
    rows = gate_module._calibration_rows(corpus, checkpoint, 7)
    assert sorted(corpus.targets_K[rows]) == [0, 0, 0, 1, 1, 2, 2]
    assert {corpus.roles[1][row] for row in rows} == {"train"}
