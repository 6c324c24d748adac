import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audioprep.errors import ShardError
from audioprep.io.predictions import Predictions, read_predictions, write_predictions

ONE = np.array([[True, False], [True, False]])


def make(truth_KL: np.ndarray, decided_KL: np.ndarray, *, is_multi_label: bool) -> Predictions:
    scores_KL = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    return Predictions(
        ["x", "y"], np.array([1, 2]), ["g", "h"], truth_KL, decided_KL, scores_KL, ["a", "b"], is_multi_label
    )


def check_equal(found: Predictions, expected: Predictions) -> None:
    for name in ("ids", "groups", "classes", "is_multi_label", "folds"):
        assert getattr(found, name) == getattr(expected, name)
    for name in ("folds_K", "truth_KL", "decided_KL", "scores_KL"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_predictions_say_who_was_taken_for_what(tmp_path: Path) -> None:
    predictions = make(ONE, np.eye(2, dtype=bool), is_multi_label=False)
    write_predictions(tmp_path / "predictions.parquet", predictions)
    rows = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert [(row["label"], row["predicted"], row["group"]) for row in rows] == [("a", "a", "g"), ("a", "b", "h")]
    np.testing.assert_allclose([row["probabilities"] for row in rows], predictions.scores_KL)
    np.testing.assert_array_equal(predictions.is_right_K, [True, False])
    check_equal(read_predictions(tmp_path), predictions)


def test_several_labels_are_lists(tmp_path: Path) -> None:
    truth_KL, decided_KL = np.array([[True, True], [False, False]]), np.array([[False, True], [False, False]])
    predictions = make(truth_KL, decided_KL, is_multi_label=True)
    write_predictions(tmp_path / "p.parquet", predictions)
    rows = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert [(row["labels"], row["predicted"]) for row in rows] == [(["a", "b"], ["b"]), ([], [])]
    check_equal(read_predictions(tmp_path / "p.parquet"), predictions)
    check_equal(
        predictions.take(np.array([1])),
        Predictions(
            ["y"],
            np.array([2]),
            ["h"],
            truth_KL[1:],
            decided_KL[1:],
            predictions.scores_KL[1:],
            ["a", "b"],
            is_multi_label=True,
        ),
    )


def test_predictions_of_an_earlier_version_are_refused(tmp_path: Path) -> None:
    table = pa.table({"id": ["x"], "fold": [1], "label": ["a"], "predicted": ["a"], "probabilities": [[1.0]]})
    pq.write_table(table.replace_schema_metadata({"audioprep": json.dumps({"labels": ["a"]})}), tmp_path / "p.parquet")
    with pytest.raises(
        ShardError,
        match=r"p.parquet: expected predictions with the columns id, .*, got none of group; run the evaluate",
    ):
        read_predictions(tmp_path / "p.parquet")


def test_a_place_without_predictions_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "nope", tmp_path):
        with pytest.raises(
            ShardError, match=r": expected the predictions of a report, found no file; give a folder such"
        ):
            read_predictions(path)
