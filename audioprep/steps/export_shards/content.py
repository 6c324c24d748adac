"""What is exported: the clips of one split with labels, roles, and their features, their sound, or both.

Sound is what the features are made of: the decided part of the recording, at its decided gain, fitted to the window; where
noise is taken away for features (`denoise`), it is the sound before that.

Shape letters: K clips, N frames, M bins, L classes.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from audioprep.console import track
from audioprep.dsp.features import windowed
from audioprep.engine import check_file, listed_sha256, read_index
from audioprep.errors import DatasetError, ShardError, SplitError, unknown_name
from audioprep.io.audio import decode_stored, encode_flac
from audioprep.io.feature_reader import read_meta
from audioprep.io.feature_writer import decoded, part_name
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_about
from audioprep.io.parquet import Split, read_split, read_stats
from audioprep.io.shar import cuts_name, read_audio_tar, read_cuts, tar_name
from audioprep.io.tables import read_table
from audioprep.io.window_cuts import part_in_samples, windows_of

ROLES = ("train", "valid", "test")
# Files of this size load at a good speed over a network, and are few.
MAX_SHARD_BYTES = 500_000_000
# A bin that never moves would be divided by nothing.
_MIN_STD = 1e-3


@dataclass(frozen=True)
class Sample:
    """One clip.

    Attributes:
        id: Its id.
        labels: Its classes.
        cut: What was decided and declared: the lhotse cut as plain values, in the time of the recording.
        features_NM: Its features, where they are wanted.
        flac: Its sound as FLAC, where it is wanted.
        num_samples: Length of the sound.
    """

    id: str
    labels: tuple[str, ...]
    cut: dict[str, Any]
    features_NM: np.ndarray | None
    flac: bytes | None
    num_samples: int

    def about(self) -> dict[str, Any]:
        """Return what is known of the clip, for JSON."""
        custom = self.cut["custom"]
        part = {"start_s": self.cut["start"], "duration_s": self.cut["duration"]}
        known = {"group": custom["group"], "attributes": custom["attributes"], "gain_db": custom["gain_db"]}
        recording = self.cut["supervisions"][0]["recording_id"]
        of_window = {} if recording == self.id else {"recording": recording}
        return {"id": self.id, "labels": list(self.labels), **known, **of_window, "part_of_recording": part}


@dataclass(frozen=True)
class Content:
    """What is exported of one corpus.

    Attributes:
        layout: Where it lies.
        about: What it is: title, licence, citation.
        kind: Feature kind; None where no features are wanted.
        meta: `rate_hz` and `window_s`, and of features also kind, num_frames, num_bins and rule.
        with_audio: Whether the sound is wanted.
        split: Ids, labels, classes, and the roles in every fold.
        split_name: Its name.
        fold: The fold whose roles count.
    """

    layout: Layout
    about: dict[str, Any]
    kind: str | None
    meta: dict[str, Any]
    with_audio: bool
    split: Split
    split_name: str
    fold: int

    @cached_property
    def is_multi_label(self) -> bool:
        """Whether some clip has several labels, or none."""
        return any(len(labels) != 1 for labels in self.split.labels)

    @cached_property
    def role_of(self) -> dict[str, str]:
        """Role of each clip that has one."""
        roles = zip(self.split.ids, self.split.roles[self.fold], strict=True)
        return {clip_id: role for clip_id, role in roles if role in ROLES}

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of clips of each role that has some."""
        counts = Counter(self.role_of.values())
        return {role: counts[role] for role in ROLES if counts[role]}

    @property
    def window_samples(self) -> int:
        """Length of every clip's sound."""
        num_samples: int = round(self.meta["window_s"] * self.meta["rate_hz"])
        return num_samples

    def num_shards(self, role: str) -> int:
        """Return into how many files the clips of a role go, by how large they are at most."""
        num_bytes = 2 * self.window_samples if self.with_audio else 0
        if self.kind is not None:
            num_bytes += 4 * int(self.meta["num_frames"] * self.meta["num_bins"])
        return max(1, -(-self.counts[role] * num_bytes // MAX_SHARD_BYTES))

    def targets(self, labels: Sequence[str]) -> list[int]:
        """Return labels as indices of the classes."""
        return [self._class_number[label] for label in labels]

    @cached_property
    def _class_number(self) -> dict[str, int]:
        return {label: number for number, label in enumerate(self.split.classes)}

    def normalisation(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean [M] and standard deviation [M] of each bin over the training clips of a fold, float32."""
        stats = read_stats(self.layout.features(str(self.kind)))
        is_train = {i: role == "train" for i, role in zip(self.split.ids, self.split.roles[fold], strict=True)}
        rows = np.flatnonzero([is_train.get(clip_id, False) for clip_id in stats.ids])
        count = stats.count_K[rows].sum()
        mean_M = stats.sum_KM[rows].sum(axis=0) / count
        variance_M = stats.sum_sq_KM[rows].sum(axis=0) / count - mean_M**2
        return mean_M.astype(np.float32), np.sqrt(np.maximum(variance_M, _MIN_STD**2)).astype(np.float32)

    def samples(self, ids: Collection[str]) -> Iterator[Sample]:
        """Yield clips, in an order without pattern that is always the same, so that readers need shuffle little.

        Args:
            ids: Which ones.

        Raises:
            ShardError: A shard is damaged, or some of the clips are not there.
        """
        cuts_index = read_index(self.layout.cuts)
        shards = [entry["shard"] for entry in cuts_index["shards"]]
        cuts_sha256 = listed_sha256(self.layout.cuts)
        audio_sha256 = listed_sha256(self.layout.audio) if self.with_audio else {}
        features_sha256 = listed_sha256(self.layout.features(self.kind)) if self.kind is not None else {}
        num_found = 0
        for shard in track(shards, f"export {self.layout.dataset}", len(shards), "shard"):
            name = cuts_name(shard)
            whole = read_cuts(check_file(self.layout.cuts, name, cuts_sha256.get(name)))
            cuts = [own for recording in whole for own in windows_of(recording) if own[1]["id"] in ids]
            if not cuts:
                continue
            if self.kind is not None:
                name = part_name(shard)
                check_file(self.layout.features(self.kind), name, features_sha256.get(name))
            features_of = self._features(shard)
            if self.with_audio:
                name = f"shar/{tar_name(shard)}"
                check_file(self.layout.audio, name, audio_sha256.get(name))
            flac_of = dict(read_audio_tar(self.layout.shar / tar_name(shard))) if self.with_audio else {}
            for recording_id, cut in sorted(cuts, key=lambda own: hashlib.sha256(own[1]["id"].encode()).digest()):
                yield self._sample(cut, features_of, flac_of.get(recording_id))
            num_found += len(cuts)
        if num_found != len(ids):
            raise ShardError(
                f"{self.layout.data}: expected {len(ids)} clips of split {self.split_name}, got {num_found}; "
                "run the stages trim, features and split"
            )

    def _features(self, shard: int) -> dict[str, np.ndarray]:
        if self.kind is None:
            return {}
        table = read_table(self.layout.features(self.kind) / part_name(shard))
        return dict(zip(table["id"].to_pylist(), decoded(table, self.meta), strict=True))

    def _sample(self, cut: dict[str, Any], features_of: dict[str, np.ndarray], sound: bytes | None) -> Sample:
        clip_id, flac = cut["id"], None
        features_NM = features_of.get(clip_id)
        if (self.kind is not None and features_NM is None) or (self.with_audio and sound is None):
            raise ShardError(
                f"{self.layout.data}: expected clip {clip_id} of the cuts in every shard, found none in one; "
                f"`audioprep verify {self.layout.data}` says which is damaged"
            )
        if sound is not None:
            part = part_in_samples(cut, self.meta["rate_hz"])
            wave_T = windowed(decode_stored(sound), part, self.window_samples)
            flac = encode_flac(np.clip(wave_T, -1.0, 1.0), self.meta["rate_hz"])
        labels = tuple(cut["supervisions"][0]["custom"]["labels"])
        return Sample(clip_id, labels, cut, features_NM, flac, self.window_samples)


def open_content(
    layout: Layout, *, kind: str | None, with_audio: bool, split_name: str | None, fold: int | None
) -> Content:
    """Look up what is to be exported.

    Args:
        layout: Where the corpus lies.
        kind: Feature kind; None where no features are wanted.
        with_audio: Whether the sound is wanted.
        split_name: One of the prepared splits; None is the only one.
        fold: One of its folds; None is the first.

    Raises:
        DatasetError: There are no features of this kind.
        SplitError: There is no such split or fold.
        ShardError: Something is not prepared, or damaged.
    """
    splits = {path.stem: path for path in layout.splits.glob("[!_]*.parquet")}
    if not splits:
        raise ShardError(f"{layout.splits}: expected a split, found none; run the split stage")
    name = split_name or min(splits)
    if name not in splits:
        raise SplitError(unknown_name(f"{layout.dataset}: prepared split", name, splits))
    split = read_split(splits[name])
    if fold is not None and fold not in split.roles:
        raise SplitError(unknown_name(f"{name}: fold", str(fold), map(str, split.roles)))
    meta = {"rate_hz": 0, "window_s": read_index(layout.cuts)["rule"]["window_s"]}
    if kind is not None:
        meta = _features_meta(layout, kind)
    if with_audio:
        meta["rate_hz"] = read_index(layout.audio)["rule"]["rate_hz"]
    return Content(layout, read_about(layout), kind, meta, with_audio, split, name, fold or min(split.roles))


def _features_meta(layout: Layout, kind: str) -> dict[str, Any]:
    kinds = sorted(path.parent.name for path in layout.data.glob("*/part-000*.parquet"))
    if kind not in kinds:
        if not kinds:
            raise ShardError(f"{layout.features(kind)}: expected features, found none; run the features stage")
        raise DatasetError(unknown_name(f"{layout.dataset}: feature kind", kind, set(kinds)))
    index = read_index(layout.features(kind))
    return read_meta(layout.features(kind) / part_name(index["shards"][0]["shard"]))
