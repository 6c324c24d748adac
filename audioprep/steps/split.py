"""Stage split: give every used clip its role in every fold, and audit the result.

Reads    cuts/, audio/facts.parquet, raw/download.json
Writes   splits/<split>.parquet   id, labels, group, fold, and fold1 … foldK: train, valid, test or unused
         splits/audit.json, splits/audit.md

Column `foldk` holds the roles when fold k is tested; a fixed split has `fold1` alone.
"""

import hashlib
import json
import re
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from audioprep.config.data import SplitRule
from audioprep.console import say
from audioprep.engine import fresh_folder, read_index, write_atomically
from audioprep.errors import SplitError, unknown_name
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_ledger
from audioprep.io.shar import cuts_name, read_cuts
from audioprep.io.tables import read_table, write_table
from audioprep.steps.audit import audit_split, leaks_message, to_markdown

_GROUPED = re.compile(r"grouped-(\d+)fold")


def split(layout: Layout, name: str, rule: SplitRule) -> None:
    """Write one split of a corpus and its audit.

    Args:
        layout: Where the corpus lies.
        name: `official-<K>fold` or `official`, as the corpus declares it, or `grouped-<K>fold`, which is generated.
        rule: Seed of generated splits, and what a leak leads to.

    Raises:
        SplitError: The corpus has no such split, or it leaks and `rule.on_leak` is `fail`.
    """
    clips = _used_clips(layout)
    ledger = read_ledger(layout)
    roles = split_roles(clips, name, rule.seed, official=ledger["split"])
    facts = read_table(layout.audio / "facts.parquet", ["id", "file_sha256", "pcm_sha256"]).to_pylist()
    audit = audit_split(layout.dataset, name, clips, roles, facts, ledger["known_leaks"])
    leaks = leaks_message(audit)
    if leaks and rule.on_leak == "fail":
        raise SplitError(leaks)
    if leaks:
        say(f"warning: {leaks}")
    out = fresh_folder(layout.splits)
    write_table(out / f"{name}.parquet", _table(layout.dataset, name, clips, roles))
    write_atomically(out / "audit.json", json.dumps(audit, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    write_atomically(out / "audit.md", to_markdown(audit))


def split_roles(clips: list[dict[str, Any]], name: str, seed: int, official: str) -> dict[str, list[str]]:
    """Return the role of every clip in every fold.

    Args:
        clips: `id`, `labels`, `group`, `fold` and `subset` of each clip, sorted by id.
        name: The split.
        seed: Of a generated split.
        official: Name of the split that the recipe declares.

    Returns:
        For each fold column, one of train, valid, test and unused per clip.

    Raises:
        SplitError: There is no such split.
    """
    if match := _GROUPED.fullmatch(name):
        return _rotate(_grouped_folds(clips, int(match[1]), seed))
    available = [*_official_names(clips, official), "grouped-5fold"]
    if name not in available:
        raise SplitError(unknown_name("split", name, available))
    if name == "official":
        roles = [clip["subset"] or "unused" for clip in clips]
        if not {"train", "test"} <= set(roles):
            found = ", ".join(sorted(set(roles)))
            raise SplitError(f"official: expected clips in train and in test, got only {found}; use grouped-5fold")
        return {"fold1": roles}
    return _rotate([clip["fold"] for clip in clips])


def _official_names(clips: list[dict[str, Any]], official: str) -> list[str]:
    folds = [clip["fold"] for clip in clips if clip["fold"] is not None]
    names = []
    if folds and len(folds) == len(clips):
        names.append(official if official.startswith("official-") else f"official-{max(folds)}fold")
    if any(clip["subset"] for clip in clips):
        names.append("official")
    return names


def _rotate(folds: list[int]) -> dict[str, list[str]]:
    """Test each fold in turn, validate on the next one, train on the rest."""
    present = sorted(set(folds))
    if len(present) < 3:
        raise SplitError(
            f"split: expected at least 3 folds, one each to test, validate and train, got {len(present)}; "
            "use grouped-5fold, or give the missing folds"
        )
    roles = {}
    for position, tested in enumerate(present):
        validated = present[(position + 1) % len(present)]
        role_of = dict.fromkeys(present, "train") | {tested: "test", validated: "valid"}
        roles[f"fold{tested}"] = [role_of[fold] for fold in folds]
    return roles


def _grouped_folds(clips: list[dict[str, Any]], num_folds: int, seed: int) -> list[int]:
    """Return a fold from 1 for every clip: classes balanced, groups whole."""
    # Imported here: it takes a second, and only generated splits need it.
    from sklearn.model_selection import StratifiedGroupKFold

    groups = [clip["group"] for clip in clips]
    if not 3 <= num_folds <= len(set(groups)):
        raise SplitError(
            f"grouped-{num_folds}fold: expected 3 to {len(set(groups))} folds (the number of groups), got {num_folds}; "
            "choose another number"
        )
    classes = [";".join(clip["labels"]) for clip in clips]
    sizes = Counter(classes)
    if max(sizes.values()) < num_folds:
        raise SplitError(
            f"grouped-{num_folds}fold: expected a class with at least {num_folds} clips, got at most "
            f"{max(sizes.values())} clips a class; use fewer folds, or add recordings"
        )
    rarest = min(sorted(sizes), key=lambda name: sizes[name])
    if sizes[rarest] < num_folds:
        say(f"warning: class '{rarest}' has {sizes[rarest]} clips for {num_folds} folds; some folds lack it")
    folds = np.zeros(len(clips), int)
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the rare class, which is said above
        for number, (_, tested) in enumerate(splitter.split(clips, classes, groups), start=1):
            folds[tested] = number
    return folds.tolist()


def _used_clips(layout: Layout) -> list[dict[str, Any]]:
    clips = []
    for entry in read_index(layout.cuts)["shards"]:
        for cut in read_cuts(layout.cuts / cuts_name(entry["shard"])):
            custom = cut["custom"]
            if custom["used"]:
                labels = cut["supervisions"][0]["custom"]["labels"]
                clips.append({"id": cut["id"], "labels": labels, **{k: custom[k] for k in ("group", "fold", "subset")}})
    return sorted(clips, key=lambda clip: clip["id"])


def _table(dataset: str, name: str, clips: list[dict[str, Any]], roles: dict[str, list[str]]) -> pa.Table:
    columns = {
        "id": pa.array([clip["id"] for clip in clips]),
        "labels": pa.array([clip["labels"] for clip in clips], pa.list_(pa.string())),
        "group": pa.array([clip["group"] for clip in clips]),
        "fold": pa.array([clip["fold"] for clip in clips], pa.int32()),
        **{column: pa.array(values) for column, values in roles.items()},
    }
    rows = [[clip["id"], *(roles[column][number] for column in roles)] for number, clip in enumerate(clips)]
    meta = {
        "dataset": dataset,
        "split": name,
        "labels": sorted({label for clip in clips for label in clip["labels"]}),
        "folds": [int(column.removeprefix("fold")) for column in roles],
        "sha256": hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
    }
    return pa.table(columns).replace_schema_metadata({"audioprep": json.dumps(meta, sort_keys=True)})
