"""The audit: what would make a test score untrue, or a corpus harder to use than it looks.

It finds groups, files, samples, sounds and stretches of recordings that train, valid and test share; copies whose labels
differ; imbalance, missing classes, and clips that stand out or are broken. What a split is known to have is told apart.

Its result, also `splits/audit.json`, is a dictionary:

    schema            version of what follows
    dataset, split    what was audited
    about, valid      what the split is, where its valid part comes from
    basis             audio, or metadata: then nothing was known of the audio
    num_clips …       used clips, their groups and classes
    folds             for each fold the number of clips of each role
    notes             what users should hear
    counts            of all findings, by severity (leak, warning, info), kind, scope and whether they are known
    findings          the gravest first, at most 1000 of one sort, with at most 100 of their clips; `num_ids` is how many there are
    suspects          pairs of clips worth listening to, at most 20
    dropped           what was taken out of train for a leak, by fold: num_ids, and at most 100 ids

Scope `across` is a leak between train, valid and test; `inside` is not; `left_out` concerns clips of which all but one
are left out anyway.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from audioprep.config.data import SplitRule
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_about
from audioprep.steps.audit.alike import read_alike
from audioprep.steps.audit.findings import MAX_IDS, Findings
from audioprep.steps.audit.leaks import Leaks, add_leaks, find_leaks, find_suspects
from audioprep.steps.audit.quality import add_quality
from audioprep.steps.audit.slices import overlapping_stretches
from audioprep.steps.splits.clips import NO_GROUPS, Clips, Ints, read_clips
from audioprep.steps.splits.roles import ROLES, Roles, make_roles
from audioprep.steps.splits.sets import find_copies

SCHEMA = 1
AUDIT_NAME = "audit.json"
_KEYS = frozenset(
    [
        "dataset",
        "split",
        "about",
        "valid",
        "basis",
        "num_clips",
        "num_groups",
        "num_classes",
        "folds",
        "notes",
        "counts",
        "findings",
        "suspects",
        "dropped",
    ]
)


def audit(layout: Layout, split_name: str | None = None, rule: SplitRule | None = None) -> dict[str, Any]:
    """Audit a split of a corpus; nothing is written.

    The split that was prepared has its audit already. Any other is made here, from what was measured; where only the
    download stage has run, from the metadata.

    Args:
        layout: Where the corpus lies.
        split_name: Any split of the corpus; None is the one that was prepared, or the corpus's default.
        rule: Seed of generated splits.

    Raises:
        ShardError: The corpus is not there.
        SplitError: It has no such split, or the split cannot be made.
    """
    stored = _stored(layout.splits / AUDIT_NAME)
    if stored and split_name in (None, stored["split"]):
        return stored
    about = read_about(layout)
    official = about["splits"]
    is_measured = (layout.cuts / "_used.parquet").is_file()
    clips = read_clips(layout, measured=is_measured)
    copies = find_copies(clips, read_alike(layout, clips) if is_measured else ())
    name = split_name or next(iter([*official, *clips.split_names()]), "grouped-5fold")
    together = [*copies, *overlapping_stretches(clips)]
    roles = make_roles(clips, name, (rule or SplitRule()).seed, official, together)
    leaks = find_leaks(clips, roles, copies)
    return audit_split(layout.dataset, clips, roles, leaks, is_own=about["recipe"] == "folder")


def audit_split(
    dataset: str,
    clips: Clips,
    roles: Roles,
    leaks: Leaks,
    dropped: Mapping[str, Ints] | None = None,
    *,
    is_own: bool = False,
) -> dict[str, Any]:
    """Return everything that is suspicious about a split, as plain values.

    Args:
        dataset: The corpus.
        clips: Its clips.
        roles: The split.
        leaks: What its clips have in common, from `find_leaks`.
        dropped: Clips that were taken out of train for a leak, as rows, by fold.
        is_own: It is a folder of the user's, who can name groups.
    """
    findings = Findings(clips, roles)
    add_leaks(leaks, clips, roles, findings)
    add_quality(clips, roles, findings)
    return {
        "schema": SCHEMA,
        "dataset": dataset,
        "split": roles.name,
        "about": roles.about,
        "valid": roles.valid,
        "basis": "audio" if clips.is_measured else "metadata",
        "num_clips": int(clips.is_used_K.sum()),
        "num_groups": len(np.unique(clips.group_K[clips.is_used_K])),
        "num_classes": len(clips.classes),
        "folds": {column: _role_counts(code_K[clips.is_used_K]) for column, code_K in roles.codes.items()},
        "notes": [*roles.notes, *_groups_note(clips, is_own=is_own), *_windows_note(clips)],
        **findings.to_dict(),
        "suspects": find_suspects(leaks, clips, roles),
        "dropped": {
            column: {"num_ids": len(rows), "ids": clips.ids(rows[:MAX_IDS])} for column, rows in (dropped or {}).items()
        },
    }


def _groups_note(clips: Clips, *, is_own: bool) -> list[str]:
    """Return what has to be said where no split can keep takes of one recording together: nobody has told which they are."""
    if clips.has_groups:
        return []
    return [NO_GROUPS + " (name them in metadata.csv, column group)" * is_own]


def _windows_note(clips: Clips) -> list[str]:
    """Return what has to be said where clips are recordings, and what is trained on are windows of them."""
    if not clips.has_windows:
        return []
    counts_K = clips.num_windows_K[clips.is_used_K]
    each = f"{counts_K.min():,} to {counts_K.max():,}"
    return [f"windows: {counts_K.sum():,}, {each} of each clip and in its role; what is counted here are clips"]


def _role_counts(codes: np.ndarray[Any, Any]) -> dict[str, int]:
    counts = np.bincount(codes, minlength=len(ROLES)).tolist()
    return {role: count for role, count in sorted(zip(ROLES, counts, strict=True)) if count}


def _stored(path: Path) -> dict[str, Any] | None:
    """Return the audit of the prepared split, if it is there and of this version."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("schema") == SCHEMA and found.keys() >= _KEYS else None
