"""What training and evaluation know of a corpus: clips, labels, roles, train-only normalisation, and where features lie.

Shape letters: K clips, V versions of a clip, N frames, M bins, L classes, P pairs of a clip and one of its labels.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.errors import ShardError, SplitError, unknown_name
from audioprep.io.copies import NO_COPIES, Copies, copy_id, read_copies
from audioprep.io.feature_reader import FeatureShards
from audioprep.io.parquet import read_split, read_sums

ROLES = ("train", "valid", "test", "unused")
# A bin that never moves would be divided by nothing.
_MIN_STD = 1e-3

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Corpus:
    """The clips of one split. Features stay on disk until they are asked for.

    Copies, where they are wanted, stand behind all the clips: first the first copy of each, and so on. They have ids, labels and
    features, and no role: from the clips that have one, `versions` leads to their copies, and nothing else does.

    Attributes:
        name: The corpus and the split, for messages.
        ids: Clip ids [K].
        labels: Labels of each clip.
        classes: Names of the classes, sorted.
        roles: For each fold the role of every clip when it is tested.
        shards: The features.
        clips_K: The number of each clip in the shards [K].
        split_meta: What the split says of itself.
        copies: Which copies there are of each clip.
        recordings: Where clips are windows, the recording of each [K].
    """

    name: str
    ids: list[str]
    labels: list[list[str]]
    classes: list[str]
    roles: dict[int, list[str]]
    shards: FeatureShards
    clips_K: Ints
    split_meta: dict[str, Any]
    copies: Copies = NO_COPIES
    recordings: list[str] | None = None

    @property
    def meta(self) -> dict[str, Any]:
        """What the feature shards say of themselves."""
        return self.shards.meta

    @cached_property
    def label_pairs(self) -> tuple[Ints, Ints]:
        """The labels of all clips, clip by clip, as indices into `classes` [P], and where each clip's begin [K + 1]."""
        index = {label: number for number, label in enumerate(self.classes)}
        codes_P = np.array([index[label] for labels in self.labels for label in labels], np.int64)
        return codes_P, np.cumsum([0, *map(len, self.labels)])

    @cached_property
    def is_multi_label(self) -> bool:
        """Whether any clip has several labels, or none."""
        return any(len(labels) != 1 for labels in self.labels)

    @cached_property
    def targets_K(self) -> Ints:
        """Class of each clip [K], int64, an index into `classes`; of one-label corpora alone."""
        return self.label_pairs[0]

    def truth(self, rows: Ints) -> npt.NDArray[np.bool_]:
        """Return which labels some clips have, as [K, L]."""
        codes_P, starts_K = self.label_pairs
        truth_KL = np.zeros((len(rows), len(self.classes)), bool)
        for place, row in enumerate(rows):
            truth_KL[place, codes_P[starts_K[row] : starts_K[row + 1]]] = True
        return truth_KL

    def rows(self, fold: int, wanted: Collection[str]) -> Ints:
        """Return the clips that have one of the roles when a fold is tested, as indices.

        Args:
            fold: The tested fold.
            wanted: Roles.

        Raises:
            SplitError: There is no such fold or role.
        """
        if fold not in self.roles:
            raise SplitError(f"{self.name}: expected a fold of {sorted(self.roles)}, got {fold}; choose one of them")
        for role in wanted:
            if role not in ROLES:
                raise SplitError(unknown_name(f"{self.name} roles", role, ROLES))
        return np.flatnonzero([role in wanted for role in self.roles[fold]])

    def versions(self, rows: Ints) -> Ints:
        """Return some clips, given as indices [K], and after them their copies, as [V, K]."""
        num_clips = len(self.ids) // (self.copies.num + 1)
        return np.stack([rows + number * num_clips for number in range(self.copies.num + 1)])

    def values(self, rows: Ints) -> npt.NDArray[Any]:
        """Return the features of some clips [K, N, M]: float16 or float32 as stored, int8 as float32.

        Raises:
            ShardError: A shard is damaged.
        """
        return self.shards.values(self.clips_K[rows])

    def normalisation(self, rows: Ints) -> tuple[Floats, Floats]:
        """Return the mean [M] and the standard deviation [M] of each bin over all frames of some clips.

        Raises:
            ShardError: The statistics are missing or damaged.
        """
        sums = read_sums(self.shards.folder, [self.ids[row] for row in rows])
        mean_M = sums.sum_M / sums.num_frames
        variance_M = sums.sum_sq_M / sums.num_frames - mean_M**2
        return mean_M.astype(np.float32), np.sqrt(np.maximum(variance_M, _MIN_STD**2)).astype(np.float32)


def load_corpus(data: Path, features: str, split_name: str, *, with_copies: bool = False) -> Corpus:
    """Read the split of one corpus and look into its feature shards.

    Args:
        data: The corpus's folder, `data/<ds>`.
        features: Feature kind.
        split_name: Split.
        with_copies: Whether augmented copies, if there are any, are wanted besides.

    Raises:
        ShardError: A file is missing or damaged.
        SplitError: There is no such split.
    """
    path = data / "splits" / f"{split_name}.parquet"
    if not path.is_file() and (known := split_names(data)):
        raise SplitError(unknown_name(f"{data} split", split_name, known))
    if not (data / features).is_dir() and (kinds := feature_kinds(data)):
        raise ShardError(unknown_name(f"{data} features", features, kinds))
    split = read_split(path)
    copied = data / "augmented" / features
    copies = read_copies(copied) if with_copies else NO_COPIES
    shards = FeatureShards(data / features, *([copied] if copies.num else []))
    clips_K, ids = shards.find(split.ids), [copy_id(clip, n + 1) for n in range(copies.num) for clip in split.ids]
    if copies.num:
        clips_K = np.concatenate([clips_K, shards.find(ids, folder=1)])
    return Corpus(
        f"{data.name}/{split_name}",
        [*split.ids, *ids],
        split.labels * (copies.num + 1),
        split.classes,
        split.roles,
        shards,
        clips_K,
        split.meta,
        copies,
        split.recordings,
    )


def only_split(data: Path) -> str:
    """Return the name of the only split of a corpus.

    Raises:
        SplitError: There is no corpus, no split, or more than one.
    """
    if not data.is_dir():
        raise SplitError(f"{data}: expected the folder of a prepared corpus, found none in {Path.cwd()}; give its path")
    names = split_names(data)
    if len(names) == 1:
        return names[0]
    found, remedy = (", ".join(names), "name one of them") if names else ("none", "run the split stage")
    raise SplitError(f"{data}: expected one split, got {found}; {remedy}")


def split_names(data: Path) -> list[str]:
    """Return the names of a corpus's splits."""
    return sorted(path.stem for path in (data / "splits").glob("[!_]*.parquet"))


def feature_kinds(data: Path) -> list[str]:
    """Return the feature kinds of a corpus."""
    return sorted({path.parent.name for path in data.glob("*/part-*.parquet")})
