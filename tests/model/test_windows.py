"""Evaluation where clips are windows of longer recordings."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from model.corpora import SPLIT

from audioprep.config.training import EvaluateRule
from audioprep.io.feature_writer import METADATA_KEY
from audioprep.io.tables import CLIPS, rows_to_table, write_table
from audioprep.model.compare import compare
from audioprep.model.evaluate import evaluate


@pytest.fixture(scope="module")
def windows(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy corpus, of which two clips of a class in a fold are said to be windows of one recording."""
    data = shutil.copytree(toy, tmp_path_factory.mktemp("windows") / "toy")
    path = data / "splits" / f"{SPLIT}.parquet"
    table = pq.read_table(path)
    seen: dict[str, int] = {}
    recordings = []
    for row in table.to_pylist():
        key = f"{row['labels'][0]}{row['fold']}"
        seen[key] = seen.get(key, -1) + 1
        recordings.append(f"{key}-{seen[key] // 2}")
    pq.write_table(table.append_column("recording", [recordings]), path)
    rows = [{"id": name, "group": name[-1], "attributes": [("city", name[-3])]} for name in sorted(set(recordings))]
    (data / "raw").mkdir(exist_ok=True)
    write_table(data / "raw" / "clips.parquet", rows_to_table(rows, CLIPS))
    return data


@pytest.fixture(scope="module")
def of_windows(windows: Path, checkpoints: Path) -> Path:
    """Results of evaluating it."""
    out = windows.parent / "report"
    evaluate(windows, checkpoints, out, EvaluateRule())
    return out


def test_a_recording_has_the_mean_of_its_windows(windows: Path, of_windows: Path, report: Path) -> None:
    split = pq.read_table(windows / "splits" / f"{SPLIT}.parquet").to_pandas().set_index("id")["recording"]
    alone = pq.read_table(report / "predictions.parquet").to_pandas()
    expected = alone["probabilities"].groupby(alone["id"].map(split)).agg(lambda rows: np.stack(list(rows)).mean(0))
    found = pq.read_table(of_windows / "predictions.parquet").to_pandas().set_index("id")
    assert set(found.index) == set(expected.index)
    assert len(alone) == 2 * len(found)
    labels = json.loads(pq.read_schema(of_windows / "predictions.parquet").metadata[METADATA_KEY])["labels"]
    for name, row in found.iterrows():
        np.testing.assert_allclose(row["probabilities"], expected[name], atol=1e-6)
        assert row["predicted"] == labels[int(np.argmax(expected[name]))]
        assert name.startswith(row["label"] + str(row["fold"]))


def test_recordings_are_the_headline_and_windows_are_beside_it(of_windows: Path, report: Path) -> None:
    head, alone = (json.loads((folder / "metrics.json").read_text()) for folder in (of_windows, report))
    details = json.loads((of_windows / "details.json").read_text())
    assert (alone["num_clips"], head["num_clips"], details["windows"]["num_windows"]) == (24, 12, 24)
    for name in ("accuracy", "accuracy_low95", "accuracy_high95", "macro_f1"):
        assert details["windows"][name] == alone[name]
    assert "windows" not in json.loads((report / "details.json").read_text())
    page = (of_windows / "report.html").read_text()
    assert "folds 1, 2 of 5: 12 of the 30 prepared recordings, each" in page
    assert f"the 24 windows on their own: {100 * alone['accuracy']:.1f} %" in page
    assert '>recordings</th><th scope="col" class="right">windows fitted on</th>' in page


def test_temperature_is_fitted_on_recordings_and_parts_are_known_by_them(of_windows: Path, report: Path) -> None:
    calibration, alone = (json.loads((folder / "calibration.json").read_text()) for folder in (of_windows, report))
    assert calibration["fold1"]["num_clips"] == alone["fold1"]["num_clips"] / 2
    details = json.loads((of_windows / "details.json").read_text())
    assert set(details["per_group"]["city"]) == {"1", "2"}


def test_reports_of_recordings_compare(of_windows: Path) -> None:
    assert compare(of_windows, of_windows).mcnemar["only_a"] == 0
