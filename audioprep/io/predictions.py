"""The table of out-of-fold predictions: what every later number is made of.

Shape letters: K clips, L classes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from audioprep.errors import ShardError
from audioprep.io.feature_reader import read_meta
from audioprep.io.feature_writer import METADATA_KEY
from audioprep.io.tables import read_table

NAME = "predictions.parquet"

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """Clips, each scored by a network that has not seen it.

    Attributes:
        ids: Clip ids [K].
        folds_K: The fold that each clip was tested in, int64.
        groups: What each clip shares a recording, a speaker or the like with [K].
        truth_KL: Which labels the clips have.
        decided_KL: Which labels they were given.
        scores_KL: Probabilities, float32.
        classes: Names of the classes [L].
        is_multi_label: Whether clips may have several labels, or none.
    """

    ids: list[str]
    folds_K: Ints
    groups: list[str]
    truth_KL: Bools
    decided_KL: Bools
    scores_KL: npt.NDArray[np.float32]
    classes: list[str]
    is_multi_label: bool

    @property
    def folds(self) -> list[int]:
        """The tested folds, ascending."""
        return [int(fold) for fold in np.unique(self.folds_K)]

    @cached_property
    def is_right_K(self) -> Bools:
        """Whether all labels of a clip are right."""
        return np.asarray((self.truth_KL == self.decided_KL).all(axis=1))

    def take(self, rows: Ints) -> "Predictions":
        """Return some clips, as indices."""
        return Predictions(
            [self.ids[row] for row in rows],
            self.folds_K[rows],
            [self.groups[row] for row in rows],
            self.truth_KL[rows],
            self.decided_KL[rows],
            self.scores_KL[rows],
            self.classes,
            self.is_multi_label,
        )


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions: id, fold, group, label, predicted, probabilities; the schema metadata names the classes.

    Clips of one label have `label` and `predicted` as strings, others `labels` and `predicted` as lists.
    """
    classes = predictions.classes
    truth, decided = (_names(given_KL, classes) for given_KL in (predictions.truth_KL, predictions.decided_KL))
    if predictions.is_multi_label:
        strings = pa.list_(pa.string())
        labels = {"labels": pa.array(truth, strings), "predicted": pa.array(decided, strings)}
    else:
        labels = {"label": pa.array([n[0] for n in truth]), "predicted": pa.array([n[0] for n in decided])}
    table = pa.table(
        {
            "id": predictions.ids,
            "fold": pa.array(predictions.folds_K, pa.int32()),
            "group": predictions.groups,
            **labels,
            "probabilities": pa.FixedSizeListArray.from_arrays(
                pa.array(predictions.scores_KL.reshape(-1)), len(classes)
            ),
        }
    )
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps({"labels": classes})}), path)


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Args:
        path: The Parquet file, or the report folder in which it lies.

    Raises:
        ShardError: There is none, or it is damaged, or of an earlier version.
    """
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise ShardError(
            f"{path}: expected the predictions of a report, found no file; give a folder such as reports/demo"
        )
    table = read_table(path)
    truth = "labels" if "labels" in table.column_names else "label"
    wanted = ["id", "fold", "group", truth, "predicted", "probabilities"]
    if missing := [name for name in wanted if name not in table.column_names]:
        raise ShardError(
            f"{path}: expected predictions with the columns {', '.join(wanted)}, got none of {', '.join(missing)}; "
            "run the evaluate stage again"
        )
    classes = [str(label) for label in read_meta(path)["labels"]]
    given = [table[name].to_pylist() for name in (truth, "predicted")]
    if truth == "label":
        given = [[[label] for label in labels] for labels in given]
    scores = table["probabilities"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return Predictions(
        table["id"].to_pylist(),
        table["fold"].to_numpy().astype(np.int64),
        table["group"].to_pylist(),
        _given(given[0], classes),
        _given(given[1], classes),
        scores.reshape(-1, len(classes)),
        classes,
        truth == "labels",
    )


def _names(given_KL: Bools, classes: Sequence[str]) -> list[list[str]]:
    return [[classes[label] for label in np.flatnonzero(given_L).tolist()] for given_L in given_KL]


def _given(labels: Sequence[Sequence[str]], classes: Sequence[str]) -> Bools:
    place = {label: index for index, label in enumerate(classes)}
    given_KL = np.zeros((len(labels), len(classes)), bool)
    for row, names in enumerate(labels):
        given_KL[row, [place[name] for name in names]] = True
    return given_KL
