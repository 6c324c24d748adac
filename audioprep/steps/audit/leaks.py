"""What clips have in common that they should not: groups, files, samples, sounds, stretches of one recording.

Shape letters: S sets.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from audioprep.steps.audit.findings import Findings, Judged, Severity, judge
from audioprep.steps.audit.slices import overlapping_slices
from audioprep.steps.splits.clips import Clips, Ints
from audioprep.steps.splits.roles import Roles
from audioprep.steps.splits.sets import Sets, sets_by_code

MAX_SUSPECTS = 20
_SUSPECT_ORDER = ("label_conflict", "near_duplicate", "identical_audio", "identical_file")


class Leaks(NamedTuple):
    """Everything that clips have in common, judged.

    Attributes:
        groups: Groups, those that are divided alone.
        copies: Copies of each kind.
        slices: Recordings of which clips on different sides overlap.
        overlapping: Clips that begin before an earlier clip of their recording ends, as rows, and how many recordings have
            such clips.
    """

    groups: Judged
    copies: list[Judged]
    slices: Judged
    overlapping: tuple[Ints, int]

    @property
    def dividing(self) -> list[Judged]:
        """All that may be divided between train, valid and test, and should not."""
        return [self.groups, *self.copies, self.slices]


def find_leaks(clips: Clips, roles: Roles, copies: Sequence[Sets]) -> Leaks:
    """Return what clips have in common, and whether the split divides it.

    Args:
        clips: The corpus.
        roles: The split.
        copies: Clips that are copies of one another, from `find_copies`.
    """
    groups = judge(sets_by_code("shared_group", clips.group_K), clips, roles)
    slices, overlapping = overlapping_slices(clips, roles)
    return Leaks(
        groups.where(groups.is_across_S),
        [judge(sets, clips, roles) for sets in copies],
        judge(slices, clips, roles),
        overlapping,
    )


def add_leaks(leaks: Leaks, clips: Clips, roles: Roles, findings: Findings) -> None:
    """Add what was found, and the copies whose labels differ."""
    if roles.shares_groups:
        rows = leaks.groups.sets.rows_M
        if len(rows):
            what = f"{len(leaks.groups.sets):,} of {len(clips.groups):,} groups are on more than one side"
            findings.add(
                "shared_group",
                "leak",
                what,
                rows,
                scope="across",
                known=roles.shares_groups,
                num_findings=len(leaks.groups.sets),
            )
    else:
        findings.add_sets(leaks.groups, "info", "leak", _Describe(leaks.groups.sets, clips))
    for judged in leaks.copies:
        inside: Severity = "info" if judged.sets.kind == "near_duplicate" else "warning"
        findings.add_sets(judged, inside, "leak", _Describe(judged.sets, clips))
        conflicts = _conflicts(judged, clips)
        findings.add_sets(conflicts, "warning", "warning", _Describe(conflicts.sets, clips, judged.sets.kind))
    findings.add_sets(leaks.slices, "info", "leak", _Describe(leaks.slices.sets, clips))
    rows, num_recordings = leaks.overlapping
    if len(rows):
        what = (
            f"{len(rows):,} of {len(clips):,} clips, in {num_recordings:,} recordings, begin before an earlier clip of "
            "their recording ends"
        )
        findings.add("overlapping_slices", "info", what, rows)


def find_suspects(leaks: Leaks, clips: Clips, roles: Roles) -> list[dict[str, Any]]:
    """Return pairs worth listening to, at most `MAX_SUSPECTS`: copies of any kind, new leaks first, one pair once."""
    ranked: dict[tuple[int, int], tuple[tuple[object, ...], dict[str, Any]]] = {}
    for judged in leaks.copies:
        for sets in (judged, _conflicts(judged, clips)):
            for rank, pair, suspect in _ranked(sets, clips, roles):
                if pair not in ranked or rank < ranked[pair][0]:
                    ranked[pair] = (rank, suspect)
    best = sorted(ranked.items(), key=lambda item: (item[1][0], item[0]))[:MAX_SUSPECTS]
    return [suspect | {"ids": clips.ids(pair), "labels": clips.values("labels", pair)} for pair, (_, suspect) in best]


def _ranked(
    judged: Judged, clips: Clips, roles: Roles
) -> list[tuple[tuple[object, ...], tuple[int, int], dict[str, Any]]]:
    """Return enough of the gravest sets of one kind, each as one pair with its rank."""
    sets = judged.sets
    likeness_S = np.ones(len(sets)) if sets.similarity_S is None else sets.similarity_S
    is_new_leak_S = judged.is_across_S & ~judged.is_known_S
    order = np.lexsort((-likeness_S, ~judged.is_across_S, ~is_new_leak_S))
    found: list[tuple[tuple[object, ...], tuple[int, int], dict[str, Any]]] = []
    for number in order[~judged.is_left_out_S[order]][:MAX_SUSPECTS].tolist():
        rank = (
            not is_new_leak_S[number],
            not judged.is_across_S[number],
            _SUSPECT_ORDER.index(sets.kind),
            -likeness_S[number],
        )
        suspect = {
            "kind": sets.kind,
            "scope": "across" if judged.is_across_S[number] else "inside",
            "known": bool(judged.is_known_S[number]),
            "similarity": round(float(likeness_S[number]), 4),
        }
        found.append((rank, _pair(sets.rows(number), clips, roles), suspect))
    return found


def _pair(rows: Ints, clips: Clips, roles: Roles) -> tuple[int, int]:
    """Return two used clips of a set: on different sides if there are such, with different labels if there are such."""
    used = rows[clips.is_used_K[rows]].tolist()
    sides = [tuple(code_K[row] for code_K in roles.codes.values()) for row in used]
    first = used[0]

    def difference(number: int) -> tuple[bool, bool]:
        return sides[number] != sides[0], clips.label_set_K[used[number]] != clips.label_set_K[first]

    return first, used[max(range(1, len(used)), key=lambda number: (*difference(number), -number))]


def _conflicts(judged: Judged, clips: Clips) -> Judged:
    """Return the copies whose label sets differ."""
    sets = judged.sets
    is_conflict_S = sets.reduce(np.minimum, clips.label_set_K) != sets.reduce(np.maximum, clips.label_set_K)
    found = judged.where(is_conflict_S)
    return replace(found, sets=replace(found.sets, kind="label_conflict"))


class _Describe:
    """Says what a set of clips has in common."""

    def __init__(self, sets: Sets, clips: Clips, kind: str | None = None) -> None:
        self._sets, self._clips, self._kind = sets, clips, kind or sets.kind

    def __call__(self, number: int) -> str:
        row = int(self._sets.rows(number)[0])
        if self._kind == "identical_file":
            (name,) = self._clips.values("file", [row])
            return str(name)[: len("sha256 ") + 16] if str(name).startswith("sha256 ") else str(name)
        if self._kind == "identical_audio":
            return f"samples {self._clips.values('pcm_sha256', [row])[0][:16]}"
        if self._kind == "near_duplicate" and self._sets.similarity_S is not None:
            return f"similarity {self._sets.similarity_S[number]:.2f}"
        return f"group {self._clips.group_names(self._clips.group_K[[row]])[0]}"
