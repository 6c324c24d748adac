import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from model.corpora import LABELS, SPLIT

from audioprep.dsp.temperature import scale
from audioprep.errors import ModelError, ShardError
from audioprep.io.predictions import read_predictions, write_predictions
from audioprep.io.tables import write_table
from audioprep.model.checkpoints import load_checkpoint
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.training_facts import training_facts

FOLD = 1


@pytest.fixture
def data(toy: Path, tmp_path: Path) -> Path:
    """The toy corpus, whose audio was not measured."""
    return shutil.copytree(toy, tmp_path / "toy")


def facts_of(data: Path, checkpoints: Path, report: Path, temperature: float | None = None) -> dict[str, Any]:
    corpus = load_corpus(data, "logmel", SPLIT)
    return training_facts(data, report, corpus, load_checkpoint(checkpoints / f"fold{FOLD}.pt"), temperature)


def write_facts(data: Path, corpus: Corpus, **columns: Any) -> None:
    """Write facts of all clips: the level of each is its number, so that those of its clips show what was taken."""
    numbers = np.arange(len(corpus.ids), dtype=np.float64)
    table = {
        "id": corpus.ids,
        "attenuation_db": numbers * 0,
        "peak_db": numbers - 60,
        "true_peak_db": numbers - 59.5,
        "rms_db": numbers - 80,
        "loudness_lufs": numbers - 70,
    } | columns
    (data / "audio").mkdir(exist_ok=True)
    write_table(data / "audio" / "facts.parquet", pa.table(table))


def test_levels_are_those_of_the_clips_that_were_trained_on(data: Path, checkpoints: Path, report: Path) -> None:
    corpus = load_corpus(data, "logmel", SPLIT)
    write_facts(data, corpus)
    rows = corpus.rows(FOLD, {"train"})
    found = facts_of(data, checkpoints, report)
    assert found["num_clips"] == len(rows) == 36
    assert found["rms_db"]["num_clips"] == 36
    assert found["rms_db"]["deciles"] == pytest.approx(np.quantile(rows - 80.0, np.linspace(0, 1, 11)), abs=0.01)
    assert found["loudness_lufs"]["deciles"][0] == rows.min() - 70.0
    assert found["over_full_scale"] == pytest.approx(np.mean(rows - 59.5 > 0), abs=1e-4)
    assert found["silent"] == 0.0
    json.dumps(found, allow_nan=False)


def test_levels_are_those_before_any_gain(data: Path, checkpoints: Path, report: Path) -> None:
    corpus = load_corpus(data, "logmel", SPLIT)
    write_facts(data, corpus, attenuation_db=np.full(60, 6.0))
    found = facts_of(data, checkpoints, report)
    assert found["rms_db"]["deciles"][0] == corpus.rows(FOLD, {"train"}).min() - 74.0


def test_silence_and_what_is_too_short_for_a_loudness_do_not_count_as_levels(
    data: Path, checkpoints: Path, report: Path
) -> None:
    corpus = load_corpus(data, "logmel", SPLIT)
    rows = corpus.rows(FOLD, {"train"})
    loudness = [None if row in rows[:9] else -20.0 - row for row in range(60)]
    write_facts(data, corpus, loudness_lufs=loudness, peak_db=[None if row in rows[:18] else -9.0 for row in range(60)])
    found = facts_of(data, checkpoints, report)
    assert found["loudness_lufs"]["num_clips"] == 27
    assert found["silent"] == 0.5
    write_facts(data, corpus, loudness_lufs=pa.nulls(60, pa.float64()))
    assert "loudness_lufs" not in facts_of(data, checkpoints, report)


def test_without_measured_audio_the_rest_is_known(data: Path, checkpoints: Path, report: Path) -> None:
    found = facts_of(data, checkpoints, report)
    assert sorted(found) == ["class_shares", "confidence", "num_clips", "without_label"]
    assert found["class_shares"] == dict.fromkeys(LABELS, pytest.approx(1 / 3, abs=1e-4))
    assert found["without_label"] == 0.0


def test_confidence_is_that_of_the_tested_fold_at_the_devices_temperature(
    data: Path, checkpoints: Path, report: Path
) -> None:
    predictions = read_predictions(report)
    scores_KL = predictions.scores_KL[predictions.folds_K == FOLD]
    assert len(scores_KL) < len(predictions.scores_KL)
    for temperature in (None, 3.0):
        best_K = (scores_KL if temperature is None else scale(scores_KL, "softmax", temperature)).max(axis=1)
        found = facts_of(data, checkpoints, report, temperature)["confidence"]
        assert found["num_clips"] == len(scores_KL)
        assert found["deciles"] == pytest.approx(np.quantile(best_K, np.linspace(0, 1, 11)), abs=1e-4)


def test_clips_of_several_labels_share_them(several: Path, several_checkpoints: Path, several_report: Path) -> None:
    corpus = load_corpus(several, "logmel", SPLIT)
    found = facts_of(several, several_checkpoints, several_report)
    labels = [corpus.labels[row] for row in corpus.rows(FOLD, {"train"})]
    flat = [label for own in labels for label in own]
    num_all = len(flat) + labels.count([])
    assert found["class_shares"] == {label: pytest.approx(flat.count(label) / num_all, abs=1e-4) for label in LABELS}
    assert found["without_label"] == pytest.approx(labels.count([]) / num_all, abs=1e-4)
    assert found["without_label"] > 0


def test_a_recording_counts_once_however_many_windows_it_has(data: Path, checkpoints: Path, report: Path) -> None:
    corpus = load_corpus(data, "logmel", SPLIT)
    recordings = [f"{row // 30}-{'abc'[row % 3]}-{corpus.roles[FOLD][row]}" for row in range(60)]
    windows = SimpleNamespace(**{name: getattr(corpus, name) for name in ("classes", "rows", "truth", "ids", "labels")})
    windows.recordings = recordings
    trained = sorted({recordings[row] for row in corpus.rows(FOLD, {"train"})})
    levels = np.arange(len(trained), dtype=np.float64)
    table = {
        "id": trained,
        **dict.fromkeys(("attenuation_db", "peak_db", "true_peak_db", "rms_db", "loudness_lufs"), levels),
    }
    (data / "audio").mkdir()
    write_table(data / "audio" / "facts.parquet", pa.table(table))
    found = training_facts(data, report, windows, load_checkpoint(checkpoints / f"fold{FOLD}.pt"), None)  # type: ignore[arg-type]
    assert found["num_clips"] == found["rms_db"]["num_clips"] == 6


def test_an_evaluation_of_other_folds_is_said(data: Path, checkpoints: Path, report: Path, tmp_path: Path) -> None:
    predictions = read_predictions(report)
    (tmp_path / "other").mkdir()
    write_predictions(
        tmp_path / "other/predictions.parquet", predictions.take(np.flatnonzero(predictions.folds_K != FOLD))
    )
    with pytest.raises(
        ModelError, match=r"other: expected predictions of fold 1, got none; run the evaluate stage again"
    ):
        facts_of(data, checkpoints, tmp_path / "other")
    with pytest.raises(ShardError, match=r"expected the predictions of a report, found no file"):
        facts_of(data, checkpoints, tmp_path / "nothing")
