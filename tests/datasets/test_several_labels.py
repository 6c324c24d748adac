"""Corpora of several labels, from their files to a bundle that gives labels to a file."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from samples import load_sample

from audioprep.config.data import DataParams
from audioprep.config.training import EvaluateRule, ExportRule, ModelRule, TrainRule
from audioprep.datasets import load_recipe
from audioprep.edge.predict import Predictor
from audioprep.io.bundle import read_bundle
from audioprep.model.evaluate import evaluate
from audioprep.model.export import export
from audioprep.model.folds import train_folds
from audioprep.steps.prepare import Asked, prepare_in_folder

pytestmark = pytest.mark.slow

PARAMS = "resample: {rate_hz: 16000}\nfeatures:\n  kinds: [logmel]\n"
TONES_HZ = {"low": 300.0, "middle": 1500.0, "high": 5000.0}


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)
    return tmp_path


def run(name: str, root: Path, split: str, epochs: int, **model: float) -> tuple[dict, dict]:
    """Return metrics and bundle of the first fold; everything is made in the current folder."""
    data = Path("data", name)
    prepare_in_folder(name, data, Asked(root=root))
    schedule = TrainRule(
        epochs=epochs, folds=(1,), batch_size=8, lr=0.01, precision="float32", device="cpu", time_crop=1.0
    )
    train_folds(data, split, ModelRule(**model), schedule, Path("work"), Path("checkpoints"))
    metrics = evaluate(data, Path("checkpoints"), Path("report"), EvaluateRule())
    params = DataParams()
    audio = {"rate_hz": 16000, "window_s": 5.0 if name == "tones" else 10.0}
    audio |= {"loudness": params.loudness.model_dump(mode="json"), "trim": params.trim.model_dump(mode="json")}
    rule = ExportRule(max_accuracy_drop=1.0, min_agreement=0.0)
    return metrics, export(data, Path("checkpoints"), Path("report"), Path("bundle"), rule, audio)


def test_the_miniature_of_fsd50k_is_trained_and_reports_map(work):
    recipe = load_recipe("fsd50k")
    root = load_sample(recipe, recipe.variants[0]).write(work / "root")
    metrics, bundle = run("fsd50k", root, "official", epochs=2, width=4)
    assert 0.0 < metrics["map"] <= 1.0
    assert metrics["num_clips"] == 3
    assert bundle["labels"] == ["Animal", "Bark", "Dog", "Domestic_animals_and_pets", "Rain", "Water"]
    assert set(bundle["decision"]["thresholds"]) == set(bundle["labels"])
    ranked = Predictor(read_bundle(Path("bundle"))).predict(root / "FSD50K.eval_audio" / "800011.wav")
    assert len(ranked) == 6


def test_tones_that_sound_together_are_told_apart(work):
    rng = np.random.default_rng(0)
    seconds_T = np.arange(16000) / 16000
    Path("tones").mkdir()
    with Path("tones/metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file_name", "labels"))
        for number in range(70):
            labels = [name for bit, name in enumerate(TONES_HZ) if (number % 7 + 1) >> bit & 1]
            wave_T = 0.01 * rng.standard_normal(16000)
            for name in labels:
                # A note that no other file has, eight times a second.
                notes_T = rng.uniform(0.85, 1.2, 8)[np.arange(16000) * 8 // 16000]
                wave_T += 0.1 * np.sin(2 * np.pi * np.cumsum(TONES_HZ[name] * notes_T) * seconds_T[1])
            soundfile.write(f"tones/{number:02d}.wav", wave_T, 16000)
            rows.writerow((f"{number:02d}.wav", ";".join(labels)))
    metrics, _ = run("tones", work / "tones", "grouped-5fold", epochs=60, width=8)
    assert metrics["map"] > 0.9
    assert json.loads(Path("report/calibration.json").read_text())["fold1"]["thresholds"]
    predictor = Predictor(read_bundle(Path("bundle")))
    given = [set(predictor.given(predictor.predict(Path(f"tones/{number:02d}.wav")))) for number in range(7)]
    expected = [{name for bit, name in enumerate(TONES_HZ) if (number + 1) >> bit & 1} for number in range(7)]
    assert sum(one == other for one, other in zip(given, expected, strict=True)) >= 5
