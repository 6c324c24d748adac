"""What the audit has found, as plain values: a list of which every entry is short, and counts that are complete.

Shape letters: K clips, S sets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from audioprep.steps.splits.clips import Bools, Clips, Ints
from audioprep.steps.splits.roles import Roles
from audioprep.steps.splits.sets import Sets

Severity = Literal["leak", "warning", "info"]
Scope = Literal["across", "inside", "left_out"]

# A corpus of millions may have as many findings: so many of a kind are listed, with so many clips each. All are counted.
MAX_LISTED = 1000
MAX_IDS = 100
_SEVERITIES = ("leak", "warning", "info")
# What comes first of one severity.
_KINDS = ("shared_group", "identical_file", "identical_audio", "near_duplicate", "label_conflict", "overlapping_slices")
# Of a role, the bit that says that a set has clips in it; unused has none.
_ROLE_BITS = np.array([0, 1, 2, 4], np.uint8)


@dataclass(frozen=True, eq=False)
class Judged:
    """Sets of clips, and what their being together means for a split.

    Attributes:
        sets: What was judged.
        is_across_S: In some fold, the clips are in more than one of train, valid and test.
        is_left_out_S: All clips but one are left out of the corpus anyway.
        is_known_S: The split is known to have this.
    """

    sets: Sets
    is_across_S: Bools
    is_left_out_S: Bools
    is_known_S: Bools

    def where(self, is_wanted_S: Bools) -> "Judged":
        """Return some of the sets."""
        return Judged(
            self.sets.where(is_wanted_S),
            self.is_across_S[is_wanted_S],
            self.is_left_out_S[is_wanted_S],
            self.is_known_S[is_wanted_S],
        )


def judge(sets: Sets, clips: Clips, roles: Roles) -> Judged:
    """Return what sets of clips mean for a split."""
    is_across_S = np.zeros(len(sets), bool)
    for code_K in roles.codes.values():
        found_S = sets.reduce(np.bitwise_or, _ROLE_BITS[code_K])
        is_across_S |= (found_S & (found_S - np.uint8(1))) != 0  # more than one bit
    is_left_out_S = sets.reduce(np.add, clips.is_used_K.astype(np.int64)) < 2
    return Judged(sets, is_across_S, is_left_out_S, _is_known(sets, clips, roles))


def _is_known(sets: Sets, clips: Clips, roles: Roles) -> Bools:
    """Tell which sets are known: the groups of all clips are, or every one of the clips but one."""
    if sets.kind == "shared_group" and roles.shares_groups:
        return np.ones(len(sets), bool)
    is_known_K, is_known_group_K = clips.are_named(roles.known)
    by_group_S = sets.reduce(np.logical_and, is_known_group_K)
    return np.asarray(by_group_S | (sets.reduce(np.add, is_known_K.astype(np.int64)) >= sets.sizes_S - 1))


class _Sort(NamedTuple):
    """What findings are counted and ordered by."""

    severity: Severity
    is_known: bool
    kind: str
    scope: Scope


class Findings:
    """Collects findings about a split of a corpus."""

    def __init__(self, clips: Clips, roles: Roles) -> None:
        self._clips, self._roles = clips, roles
        self._listed: list[tuple[_Sort, dict[str, Any]]] = []
        self._counts: dict[_Sort, tuple[int, int]] = {}

    def add(
        self,
        kind: str,
        severity: Severity,
        what: str,
        rows: Sequence[int] | Ints = (),
        *,
        scope: Scope = "inside",
        known: str = "",
        num_findings: int = 1,
    ) -> None:
        """Add one finding that is about some clips, or about none in particular; it may stand for several."""
        sort = _Sort(severity, bool(known), kind, scope)
        self._list(sort, what, rows, known)
        self._count(sort, num_findings, len(rows))

    def add_sets(self, judged: Judged, inside: Severity, across: Severity, describe: Callable[[int], str]) -> None:
        """Add a finding for each set; those beyond `MAX_LISTED` of one sort are put into one.

        Args:
            judged: The sets.
            inside: Severity of those whose clips are on the same side.
            across: Severity of those whose clips are on both sides.
            describe: Returns what a set is, by its number.
        """
        is_inside_S = ~judged.is_across_S & ~judged.is_left_out_S
        scopes: list[tuple[Scope, Severity, Bools]] = [
            ("across", across, judged.is_across_S),
            ("inside", inside, is_inside_S),
            ("left_out", "info", ~judged.is_across_S & ~is_inside_S),
        ]
        for scope, severity, is_scope_S in scopes:
            for is_known in (False, True):
                is_sort_S = is_scope_S & (judged.is_known_S == is_known)
                if is_sort_S.any():
                    self._add_sort(_Sort(severity, is_known, judged.sets.kind, scope), judged.sets, is_sort_S, describe)

    def to_dict(self) -> dict[str, Any]:
        """Return `findings`, the gravest first, and `counts`, which are of all findings, listed or not."""
        counts = [
            {
                "severity": sort.severity,
                "kind": sort.kind,
                "scope": sort.scope,
                "known": sort.is_known,
                "num_findings": num_findings,
                "num_ids": num_ids,
            }
            for sort, (num_findings, num_ids) in sorted(self._counts.items(), key=lambda item: _gravity(item[0]))
        ]
        listed = sorted(self._listed, key=lambda item: _gravity(item[0]))
        return {"counts": counts, "findings": [finding for _, finding in listed]}

    def _add_sort(self, sort: _Sort, sets: Sets, is_sort_S: Bools, describe: Callable[[int], str]) -> None:
        numbers = np.flatnonzero(is_sort_S)
        for number in numbers[:MAX_LISTED].tolist():
            rows = sets.rows(number)
            finding = self._list(sort, describe(number), rows, self._why(rows) if sort.is_known else "")
            if sets.similarity_S is not None:
                finding["similarity"] = round(float(sets.similarity_S[number]), 4)
            if sort.kind == "label_conflict":
                finding["labels"] = self._clips.values("labels", rows[:MAX_IDS])
        if len(numbers) > MAX_LISTED:
            is_rest_S = is_sort_S & (np.arange(len(sets)) >= numbers[MAX_LISTED])
            rest = np.unique(sets.where(is_rest_S).rows_M)
            known = "as those before" if sort.is_known else ""
            self._list(sort, f"{len(numbers) - MAX_LISTED:,} more like these", rest, known)
        self._count(sort, len(numbers), len(np.unique(sets.where(is_sort_S).rows_M)))

    def _list(self, sort: _Sort, what: str, rows: Sequence[int] | Ints, known: str) -> dict[str, Any]:
        finding = {
            "kind": sort.kind,
            "severity": sort.severity,
            "scope": sort.scope,
            "known": known,
            "what": what,
            "ids": self._clips.ids(rows[:MAX_IDS]),
            "num_ids": len(rows),
        }
        self._listed.append((sort, finding))
        return finding

    def _why(self, rows: Ints) -> str:
        """Return why a set is known."""
        names = [*self._clips.group_names(self._clips.group_K[rows[:1]]), *self._clips.ids(rows)]
        return next((self._roles.known[name] for name in names if name in self._roles.known), self._roles.shares_groups)

    def _count(self, sort: _Sort, num_findings: int, num_ids: int) -> None:
        before = self._counts.get(sort, (0, 0))
        self._counts[sort] = (before[0] + num_findings, before[1] + num_ids)


def _gravity(sort: _Sort) -> tuple[object, ...]:
    place = _KINDS.index(sort.kind) if sort.kind in _KINDS else len(_KINDS)
    return (_SEVERITIES.index(sort.severity), sort.is_known, place, sort.kind, sort.scope)
