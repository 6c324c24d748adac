"""Sets of clips that have something in common: a group, a file, samples, a sound.

Shape letters: K clips, S sets, M members of all sets, one set after the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.steps.splits.clips import Bools, Clips, Ints

# Of so many recordings that hold one sound every pair is found, see `duplicates`.
MAX_PAIRED = 32


@dataclass(frozen=True, eq=False)
class Sets:
    """Sets of at least two clips, in the order of their first clips.

    Attributes:
        kind: What the clips of a set have in common.
        rows_M: The clips of each set, as rows of `Clips`, ascending.
        bounds: Set s is `rows_M[bounds[s]:bounds[s + 1]]`.
        similarity_S: How alike the clips are, up to 1, where that is measured.
    """

    kind: str
    rows_M: Ints
    bounds: Ints
    similarity_S: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def sizes_S(self) -> Ints:
        """How many clips each set has."""
        return np.diff(self.bounds)

    def rows(self, number: int) -> Ints:
        """Return the clips of one set."""
        return self.rows_M[self.bounds[number] : self.bounds[number + 1]]

    def reduce(self, function: np.ufunc, values_K: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what a function such as `np.add` makes of the clips' values, for each set [S]."""
        if not len(self):
            return values_K[:0]
        return np.asarray(function.reduceat(values_K[self.rows_M], self.bounds[:-1]))

    def where(self, is_wanted_S: Bools) -> "Sets":
        """Return some of the sets."""
        sizes_S = self.sizes_S
        similarity_S = None if self.similarity_S is None else self.similarity_S[is_wanted_S]
        rows_M = self.rows_M[np.repeat(is_wanted_S, sizes_S)]
        return replace(self, rows_M=rows_M, bounds=_bounds(sizes_S[is_wanted_S]), similarity_S=similarity_S)


def sets_by_code(kind: str, code_K: Ints) -> Sets:
    """Return the sets of clips with the same code; -1 is none, and a clip alone is no set."""
    rows_M = np.flatnonzero(code_K >= 0)
    counts = np.bincount(code_K[rows_M]) if len(rows_M) else np.zeros(0, np.int64)
    rows_M = rows_M[counts[code_K[rows_M]] > 1]
    _, first, number_M = np.unique(code_K[rows_M], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    order = np.argsort(rank[number_M], kind="stable")
    return Sets(kind, rows_M[order], _bounds(np.bincount(rank[number_M], minlength=len(first))))


def sets_of_pairs(kind: str, pairs: Iterable[tuple[int, int, float]]) -> Sets:
    """Return pairs of rows, with their similarity, as sets of two.

    Of more than `MAX_PAIRED` clips that hang together not every pair may be listed: they are one set, as similar as the
    least similar of their pairs.
    """
    ordered = [(min(a, b), max(a, b), similarity) for a, b, similarity in pairs]
    forest = _Forest()
    for a, b, _ in ordered:
        forest.join((a, b))
    clips: dict[int, set[int]] = {}
    for a, b, _ in ordered:
        clips.setdefault(forest.root(a), set()).update((a, b))
    found: dict[tuple[int, ...], float] = {}
    for a, b, similarity in ordered:
        crowd = clips[forest.root(a)]
        members = tuple(sorted(crowd)) if len(crowd) > MAX_PAIRED else (a, b)
        found[members] = min(similarity, found.get(members, similarity))
    rows = sorted(found)
    return Sets(
        kind,
        np.array([row for members in rows for row in members], np.int64),
        _bounds(np.array([len(members) for members in rows], np.int64)),
        np.array([found[members] for members in rows], np.float64),
    )


def find_copies(clips: Clips, alike: Sequence[tuple[int, int, float]] = ()) -> list[Sets]:
    """Return the clips that are copies of one another, each pair under the strictest of the three kinds.

    Args:
        clips: The corpus.
        alike: Pairs of rows that sound alike, and how much.

    Returns:
        Sets of kind identical_file, identical_audio and near_duplicate.
    """
    files, samples = sets_by_code("identical_file", clips.file_K), sets_by_code("identical_audio", clips.pcm_K)
    near = sets_of_pairs("near_duplicate", alike)
    is_one_file_S = (clips.file_K[samples.rows_M[samples.bounds[:-1]]] >= 0) & _is_one(samples, clips.file_K)
    is_copy_S = np.zeros(len(near), bool)
    for code_K in (clips.file_K, clips.pcm_K):
        is_copy_S |= _is_one(near, code_K) & (code_K[near.rows_M[near.bounds[:-1]]] >= 0)
    return [files, samples.where(~is_one_file_S), near.where(~is_copy_S)]


def united(unit_K: Ints, copies: Sequence[Sets]) -> Ints:
    """Return units (groups, say) with those united that share a copy, so that no split can divide them [K].

    Args:
        unit_K: The unit of each clip.
        copies: Which clips are copies of one another.

    Returns:
        For each clip the smallest of the units that its own is united with.
    """
    forest = _Forest()
    for sets in copies:
        mixed_sets = sets.where(~_is_one(sets, unit_K))
        for number in range(len(mixed_sets)):
            forest.join(unit_K[mixed_sets.rows(number)].tolist())
    if not forest.parent:
        return unit_K
    whole = np.arange(int(unit_K.max()) + 1)
    whole[list(forest.parent)] = [forest.root(unit) for unit in forest.parent]
    return np.asarray(whole[unit_K])


class _Forest:
    """Numbers that hang together; the root of each is the smallest of them."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}

    def root(self, number: int) -> int:
        top = number
        while top in self.parent:
            top = self.parent[top]
        while number != top:  # the next way is short
            self.parent[number], number = top, self.parent[number]
        return top

    def join(self, numbers: Iterable[int]) -> None:
        roots = {self.root(number) for number in numbers}
        smallest = min(roots)
        self.parent.update(dict.fromkeys(roots - {smallest}, smallest))


def _is_one(sets: Sets, code_K: npt.NDArray[Any]) -> Bools:
    """Tell for each set whether all its clips have one code [S]."""
    return np.asarray(sets.reduce(np.minimum, code_K) == sets.reduce(np.maximum, code_K))


def _bounds(sizes: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
