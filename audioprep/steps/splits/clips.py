"""The clips of a corpus as columns, joined with what was decided and measured: what splits and the audit work on.

Two million rows fit: nothing here makes a Python object for each clip.

Shape letters: K clips, sorted by id; L labels of all clips, one clip after the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.engine import checked_file
from audioprep.errors import SplitError
from audioprep.io.layout import Layout
from audioprep.io.tables import read_table
from audioprep.steps.splits.assign import mixed

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NO_GROUPS = "groups: none given; every file counts as its own"
USABLE = ("ok", "silent", "duplicate")
_DECLARED = [
    "id",
    "member",
    "labels",
    "group",
    "splits",
    "start_s",
    "end_s",
    "source_start_s",
    "source_end_s",
    "sha256",
]
_MEASURED = ["id", "file_sha256", "pcm_sha256", "source_rate_hz", "duration_s", "loudness_lufs"]
_MEASURED += ["clipped_fraction", "bandwidth_hz"]


@dataclass(frozen=True, eq=False)
class Clips:
    """Every declared clip of a corpus, sorted by id; what is not known of a clip is null, NaN or -1.

    Attributes:
        table: Columns id, labels, group, splits, member, status, file, and those of the facts that are there.
        classes: Labels of the used clips, sorted.
        label_L: Labels as indices of `classes`, -1 for one that no used clip has.
        clip_L: Which clip each label is of.
        label_set_K: A number that is the same for the same labels.
        group_K: Group as an index of `groups`.
        groups: Names of the groups.
        file_K: What has the same bytes, and is the same part of them, has the same number.
        pcm_K: What has the same samples has the same number.
        is_used_K: Not left out.
        is_heard_K: Can be used, and is not silent: all silence is alike, and says nothing of copies.
        is_measured: The audio was there; otherwise metadata is all there is.
    """

    table: pa.Table
    classes: list[str]
    label_L: Ints
    clip_L: Ints
    label_set_K: npt.NDArray[np.uint64]
    group_K: Ints
    groups: pa.Array
    file_K: Ints
    pcm_K: Ints
    is_used_K: Bools
    is_heard_K: Bools
    is_measured: bool

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def has_groups(self) -> bool:
        """Whether any clip has a group that is more than its file."""
        return not pc.all(pc.equal(self.table["group"], self.table["member"])).as_py()

    @property
    def has_windows(self) -> bool:
        """Whether some recording gives several windows, each of which is then a clip."""
        return "num_windows" in self.table.column_names

    @property
    def num_windows_K(self) -> Ints:
        """How many windows each recording gives [K], where it is used."""
        return np.where(self.is_used_K, np.nan_to_num(self.numbers("num_windows"), nan=1.0), 0).astype(np.int64)

    def values(self, name: str, rows: Sequence[int] | Ints) -> list[Any]:
        """Return a column's values for some clips."""
        return list(self.table[name].take(pa.array(rows, pa.int64())).to_pylist())

    def numbers(self, name: str) -> Floats:
        """Return a column of numbers [K], NaN where it is null or there is no such column."""
        return _numbers(self.table, name)

    def codes(self, name: str) -> Ints:
        """Return a column of strings as numbers that are the same for the same string [K], -1 for null."""
        return _encoded(self.table[name])[0]

    def ids(self, rows: Sequence[int] | Ints) -> list[str]:
        """Return the ids of some clips."""
        return self.values("id", rows)

    def group_names(self, groups: Sequence[int] | Ints) -> list[str]:
        """Return the names of some groups."""
        return list(self.groups.take(pa.array(groups, pa.int64())).to_pylist())

    def are_named(self, names: Iterable[str]) -> tuple[Bools, Bools]:
        """Tell which clips' ids are among some names [K], and which clips' groups are [K]."""
        wanted = pa.array(sorted(names), pa.string())
        is_id_K = pc.is_in(self.table["id"].combine_chunks(), value_set=wanted).to_numpy(zero_copy_only=False)
        is_group = pc.is_in(self.groups, value_set=wanted).to_numpy(zero_copy_only=False)
        return np.asarray(is_id_K), np.asarray(is_group[self.group_K])

    def split_names(self) -> list[str]:
        """Return the names of the official splits, sorted."""
        return sorted(self.table["splits"].combine_chunks().keys.unique().to_pylist())

    def parts(self, split: str) -> tuple[Ints, list[str]]:
        """Return the part of each clip in an official split as an index of the parts [K], -1 for none, and the parts."""
        looked_up = pc.map_lookup(self.table["splits"].combine_chunks(), pa.scalar(split), "first")
        return _codes(looked_up)


def read_clips(layout: Layout, *, measured: bool) -> Clips:
    """Read the clips of a corpus.

    Args:
        layout: Where the corpus lies.
        measured: Read what was decided and measured, too; otherwise the metadata alone, and every clip counts as used.

    Raises:
        ShardError: A table is missing or damaged.
        SplitError: Two clips have one id, or fewer than two classes are used.
    """
    declared = read_table(layout.raw / "clips.parquet", _DECLARED)
    if not measured:
        return join_clips(layout.dataset, declared)
    used = read_table(checked_file(layout.cuts, "_used.parquet"))
    status = read_table(checked_file(layout.audio, "status.parquet"), ["id", "status"])
    facts = read_table(checked_file(layout.audio, "facts.parquet"), _MEASURED)
    return join_clips(layout.dataset, declared, used, status, facts)


def join_clips(
    dataset: str,
    declared: pa.Table,
    used: pa.Table | None = None,
    status: pa.Table | None = None,
    facts: pa.Table | None = None,
) -> Clips:
    """Return the clips of a corpus from its tables, in whatever order their rows are.

    Args:
        dataset: The corpus, for messages.
        declared: `io.tables.CLIPS`.
        used: `io.tables.USED`; a clip that is not in it is not used. None: all are.
        status: `io.tables.STATUS`, at least id and status; None where no audio was looked at.
        facts: `io.tables.FACTS`, or some of its columns; None where no audio was looked at.

    Raises:
        SplitError: Two clips have one id, or fewer than two classes are used.
    """
    table = _sorted_by_id(dataset, declared)
    ids = table["id"].combine_chunks()
    is_used_K = np.ones(len(ids), bool)
    if used is not None:
        is_used_K = pc.fill_null(_aligned(ids, used)["used"], False).combine_chunks().to_numpy(zero_copy_only=False)
    is_heard_K = np.ones(len(ids), bool)
    if status is not None:
        heard = pa.array([name for name in USABLE if name != "silent"])
        is_heard_K = (
            pc.is_in(_aligned(ids, status)["status"], value_set=heard).combine_chunks().to_numpy(zero_copy_only=False)
        )
    for others in (others for others in (used, status, facts) if others is not None):
        found = _aligned(ids, others)
        for name in (name for name in found.column_names if name not in (*table.column_names, "used")):
            table = table.append_column(name, found[name])
    table = table.append_column("file", _file_names(table, is_heard_K, is_measured=facts is not None))
    group_K, groups = _encoded(table["group"])
    label_L, clip_L, classes = _labels(table["labels"], is_used_K)
    if len(classes) < 2:
        raise SplitError(
            f"{dataset}: expected at least two classes among the used clips, got {', '.join(classes) or 'none'} in "
            f"{int(is_used_K.sum())} of {len(ids)} clips; see audio/status.parquet, or exclude less"
        )
    return Clips(
        table=table,
        classes=classes,
        label_L=label_L,
        clip_L=clip_L,
        label_set_K=_label_sets(table["labels"]),
        group_K=group_K,
        groups=groups,
        file_K=_with_part(_encoded(table["file"])[0], table),
        pcm_K=_samples(table, is_heard_K),
        is_used_K=is_used_K,
        is_heard_K=is_heard_K,
        is_measured=facts is not None,
    )


def _sorted_by_id(dataset: str, table: pa.Table) -> pa.Table:
    # In one piece, so that taking a few rows, which is done thousands of times, does not put the pieces together first.
    table = table.combine_chunks()
    ids = table["id"].combine_chunks()
    if not pc.all(pc.less(ids[:-1], ids[1:])).as_py():
        table = table.sort_by("id")
        ids = table["id"].combine_chunks()
        again = ids[1:].filter(pc.equal(ids[:-1], ids[1:]))
        if len(again):
            raise SplitError(
                f"{dataset}: expected every clip id once, got '{again[0]}' twice; prepare the corpus again"
            )
    return table


def _aligned(ids: pa.Array, table: pa.Table) -> pa.Table:
    """Return the rows of a table in the order of the ids, null where it has none."""
    return table.take(pc.index_in(ids, value_set=table["id"].combine_chunks()))


def _file_names(table: pa.Table, is_heard_K: Bools, *, is_measured: bool) -> pa.Array:
    """Return what identifies the bytes of each clip's file: measured, published, or that it is one file; null for silence."""
    if is_measured:
        return pc.if_else(pa.array(is_heard_K), pc.binary_join_element_wise("sha256", table["file_sha256"], " "), None)
    published = pc.binary_join_element_wise("sha256", table["sha256"], " ")
    return pc.coalesce(published, pc.binary_join_element_wise("file", table["member"], " "))


def _samples(table: pa.Table, is_heard_K: Bools) -> Ints:
    if "pcm_sha256" not in table.column_names:
        return np.full(table.num_rows, -1)
    return _encoded(pc.if_else(pa.array(is_heard_K), table["pcm_sha256"], None))[0]


def _with_part(code_K: Ints, table: pa.Table) -> Ints:
    """Return codes that differ where clips are different parts of one file."""
    start_K, end_K = _numbers(table, "start_s"), _numbers(table, "end_s")
    if np.isnan(start_K).all() and np.isnan(end_K).all():
        return code_K
    combined_K = code_K
    for bound_K, default in ((start_K, 0.0), (end_K, np.inf)):
        values, number_K = np.unique(np.where(np.isnan(bound_K), default, bound_K), return_inverse=True)
        _, combined_K = np.unique(combined_K * len(values) + number_K, return_inverse=True)
    return np.where(code_K < 0, -1, combined_K)


def _labels(column: pa.ChunkedArray, is_used_K: Bools) -> tuple[Ints, Ints, list[str]]:
    labels = column.combine_chunks()
    counts_K = pc.fill_null(pc.list_value_length(labels), 0).to_numpy(zero_copy_only=False)
    clip_L = np.repeat(np.arange(len(labels)), counts_K)
    values = pc.list_flatten(labels)
    classes = sorted(values.filter(pa.array(is_used_K[clip_L])).unique().to_pylist())
    codes = pc.fill_null(pc.index_in(values, value_set=pa.array(classes, pa.string())), -1)
    return codes.to_numpy(zero_copy_only=False).astype(np.int64), clip_L, classes


def _label_sets(column: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """Return the sum of one 64-bit number for each label of a clip: the same for the same labels in any order."""
    labels = column.combine_chunks()
    bounds = np.concatenate(
        [[0], np.cumsum(pc.fill_null(pc.list_value_length(labels), 0).to_numpy(zero_copy_only=False))]
    )
    codes = pc.list_flatten(labels).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed(codes.astype(np.uint64), 1), dtype=np.uint64)])
    return np.asarray(sums[bounds[1:]] - sums[bounds[:-1]], np.uint64)


def _codes(column: pa.Array) -> tuple[Ints, list[str]]:
    codes, names = _encoded(column)
    return codes, names.to_pylist()


def _encoded(column: pa.Array | pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """Return strings as indices of the different ones, -1 for null, and the different ones."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), encoded.dictionary


def _numbers(table: pa.Table, name: str) -> Floats:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    column = pc.cast(table[name].combine_chunks(), pa.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
