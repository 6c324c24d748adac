"""What training and evaluation know of a corpus: features, targets, roles and train-only normalisation.

Shape letters: K clips, N frames, M bins.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.errors import ModelError, SplitError
from audioprep.io.parquet import Split, Stats, read_features, read_split, read_stats

# A bin that never moves would be divided by nothing.
_MIN_STD = 1e-3


@dataclass(frozen=True)
class Corpus:
    """The clips of one split, each with one label.

    Attributes:
        ids: Clip ids [K].
        values_KNM: Feature matrices [K, N, M], float16 or float32.
        targets_K: Class of each clip [K], int64, an index into `classes`.
        classes: Names of the classes, sorted.
        roles: For each fold the role of every clip when it is tested.
        stats: Sums of each clip, in the order of `ids`.
        meta: What the feature shards say of themselves.
        split_meta: What the split says of itself.
    """

    ids: list[str]
    values_KNM: npt.NDArray[Any]
    targets_K: npt.NDArray[np.int64]
    classes: list[str]
    roles: dict[int, list[str]]
    stats: Stats
    meta: dict[str, Any]
    split_meta: dict[str, Any]

    def rows(self, fold: int, wanted: Collection[str]) -> npt.NDArray[np.int64]:
        """Return the clips that have one of the roles when a fold is tested, as indices.

        Args:
            fold: The tested fold.
            wanted: Roles.

        Raises:
            SplitError: There is no such fold.
        """
        if fold not in self.roles:
            raise SplitError(f"train.folds: expected folds of {sorted(self.roles)}, got {fold}; mend train.folds")
        return np.flatnonzero([role in wanted for role in self.roles[fold]])

    def normalisation(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the mean [M] and the standard deviation [M] of each bin over all frames of some clips."""
        count = self.stats.count_K[rows].sum()
        mean_M = self.stats.sum_KM[rows].sum(axis=0) / count
        variance_M = self.stats.sum_sq_KM[rows].sum(axis=0) / count - mean_M**2
        std_M = np.sqrt(np.maximum(variance_M, _MIN_STD**2))
        return mean_M.astype(np.float32), std_M.astype(np.float32)


def load_corpus(data: Path, features: str, split_name: str) -> Corpus:
    """Read the features and the split of one corpus into memory.

    Args:
        data: The corpus's folder, `data/<ds>`.
        features: Feature kind.
        split_name: Split.

    Raises:
        ModelError: A clip has no label or several.
        ShardError: A file is missing or damaged.
    """
    split = read_split(data / "splits" / f"{split_name}.parquet")
    targets_K = _targets(data.name, split)
    read = read_features(data / features, split.ids)
    stats = _in_order(read_stats(data / features), split.ids)
    return Corpus(split.ids, read.values_KNM, targets_K, split.classes, split.roles, stats, read.meta, split.meta)


def _targets(dataset: str, split: Split) -> npt.NDArray[np.int64]:
    index = {label: number for number, label in enumerate(split.classes)}
    for clip, labels in zip(split.ids, split.labels, strict=True):
        if len(labels) != 1:
            raise ModelError(f"{dataset}/{clip}: expected one label, got {labels}; only one-label corpora are trained")
    return np.array([index[labels[0]] for labels in split.labels], np.int64)


def _in_order(stats: Stats, ids: list[str]) -> Stats:
    row_of = {clip: row for row, clip in enumerate(stats.ids)}
    rows = [row_of[clip] for clip in ids]
    return Stats(ids, stats.count_K[rows], stats.sum_KM[rows], stats.sum_sq_KM[rows])
