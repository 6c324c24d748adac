"""Stage split: give every used clip its role in every fold, and audit the result.

Reads    raw/clips.parquet, raw/about.json, audio/facts.parquet, status.parquet and fingerprints.parquet, cuts/_used.parquet
Writes   splits/<split>.parquet   id, labels, group, fold, and fold1 … foldK: train, valid, test or unused
                                 of windows besides the recording: they have its group and its roles
         splits/audit.json, splits/audit.md
         splits/_near_duplicates.parquet   pairs of clips that sound alike
         splits/suspects/*.flac            the sound of clips that the audit wants to be heard

Column `foldk` holds the roles when fold k is tested; a split without folds has `fold1` alone. Column `fold` is the fold that
a clip is tested in.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from audioprep.config.data import SplitRule
from audioprep.console import say
from audioprep.engine import fresh_folder, write_atomically
from audioprep.errors import SplitError
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_about
from audioprep.io.tables import write_table
from audioprep.io.window_cuts import window_id
from audioprep.steps.audit import AUDIT_NAME, audit_split
from audioprep.steps.audit.alike import find_alike, write_alike
from audioprep.steps.audit.findings import Judged
from audioprep.steps.audit.leaks import find_leaks
from audioprep.steps.audit.report import leaks_message, to_markdown
from audioprep.steps.audit.slices import overlapping_stretches
from audioprep.steps.audit.suspects import write_suspects
from audioprep.steps.splits.clips import Clips, Ints, read_clips
from audioprep.steps.splits.roles import ROLES, TEST, TRAIN, UNUSED, VALID, Roles, check_parts, make_roles
from audioprep.steps.splits.sets import find_copies


def split(layout: Layout, name: str, rule: SplitRule) -> None:
    """Write one split of a corpus and its audit.

    Args:
        layout: Where the corpus lies.
        name: An official split, as the corpus declares it; `grouped` (80 % train, 10 % valid, 10 % test) or
            `grouped-<K>fold`, which are generated.
        rule: Seed of generated splits, and what a leak leads to.

    Raises:
        ShardError: A stage before this one has not run.
        SplitError: The corpus has no such split, or it leaks: in any way with `rule.on_leak: fail`, between valid and test
            with `drop`.
    """
    about = read_about(layout)
    official = about["splits"]
    clips = read_clips(layout, measured=True)
    alike = find_alike(layout, clips)
    copies = find_copies(clips, alike)
    roles = make_roles(clips, name, rule.seed, official, [*copies, *overlapping_stretches(clips)])
    for note in roles.notes:
        say(f"{layout.dataset}: {note}")
    leaks = find_leaks(clips, roles, copies)
    dropped: dict[str, Ints] = {}
    if rule.on_leak == "drop":
        roles, dropped = drop_leaks(clips, roles, leaks.dividing)
        leaks = find_leaks(clips, roles, copies) if dropped else leaks
    for column, rows in dropped.items():
        num_left = int((roles.codes[column] == TRAIN).sum())
        say(
            f"{layout.dataset}/{name} {column}: {len(rows):,} of {num_left + len(rows):,} clips are dropped from train: "
            f"{_some(clips, rows)}"
        )
    audit = audit_split(layout.dataset, clips, roles, leaks, dropped, is_own=about["recipe"] == "folder")
    # The audit is there also where the split is refused: it says why. An earlier one would say what is no longer true.
    out = fresh_folder(layout.splits)
    write_alike(out, clips, alike)
    write_suspects(layout, audit, out)
    write_atomically(out / AUDIT_NAME, json.dumps(audit, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    write_atomically(out / "audit.md", to_markdown(audit))
    if message := leaks_message(audit, rule.on_leak):
        if rule.on_leak != "warn":
            raise SplitError(message)
        say(f"warning: {message}")
    write_table(out / f"{name}.parquet", split_table(layout.dataset, clips, roles))


def drop_leaks(clips: Clips, roles: Roles, leaks: Sequence[Judged]) -> tuple[Roles, dict[str, Ints]]:
    """Take out of train what it shares with valid or test, fold by fold; what the split is known to have stays.

    Args:
        clips: The corpus.
        roles: The split.
        leaks: What the split divides.

    Returns:
        The split without those clips, and the clips, as rows, by fold; a fold without any is not in there.

    Raises:
        SplitError: Nothing is left to train on.
    """
    codes, dropped = {}, {}
    for column, code_K in roles.codes.items():
        is_dropped_K = np.zeros(len(clips), bool)
        for judged in leaks:
            sets = judged.sets
            is_tested_S = sets.reduce(np.logical_or, (code_K == VALID) | (code_K == TEST))
            is_dropped_K[sets.where(is_tested_S & judged.is_across_S & ~judged.is_known_S).rows_M] = True
        is_dropped_K &= code_K == TRAIN
        codes[column] = np.where(is_dropped_K, np.int8(UNUSED), code_K)
        if is_dropped_K.any():
            dropped[column] = np.flatnonzero(is_dropped_K)
    roles = replace(roles, codes=codes)
    check_parts(roles)
    return roles, dropped


def split_table(dataset: str, clips: Clips, roles: Roles) -> pa.Table:
    """Return the split as a table of the used clips; its metadata says what it is, and holds its hash.

    Of a recording of several windows each window has a row, which differs from the others in its id alone.
    """
    rows = np.flatnonzero(clips.is_used_K)
    windows: dict[str, pa.Array] = {}
    if clips.has_windows:
        rows, windows = _windows(clips, rows)
    names = pa.array(ROLES)
    columns = {key: clips.table[key].take(pa.array(rows)).combine_chunks() for key in ("id", "labels", "group")}
    columns |= windows
    fold_K = roles.fold_K[rows]
    columns["fold"] = pa.array(fold_K, pa.int32(), mask=fold_K == 0)
    codes = {column: code_K[rows] for column, code_K in roles.codes.items()}
    columns |= {column: names.take(pa.array(code)) for column, code in codes.items()}
    sha256 = hashlib.sha256("\n".join(columns["id"].to_pylist()).encode())
    for column, code in codes.items():
        sha256.update(f"\n{column}\n".encode() + code.tobytes())
    meta = {
        "dataset": dataset,
        "split": roles.name,
        "about": roles.about,
        "valid": roles.valid,
        "labels": clips.classes,
        "folds": [int(column.removeprefix("fold")) for column in roles.codes],
        "sha256": sha256.hexdigest(),
    }
    return pa.table(columns).replace_schema_metadata({"audioprep": json.dumps(meta, sort_keys=True)})


def _windows(clips: Clips, rows: Ints) -> tuple[Ints, dict[str, pa.Array]]:
    """Return the row of each window's recording, by the windows' ids, and the columns id and recording."""
    pairs = zip(rows.tolist(), clips.ids(rows), clips.num_windows_K[rows].tolist(), strict=True)
    windows = sorted(
        (window_id(recording, number) if count > 1 else recording, recording, row)
        for row, recording, count in pairs
        for number in range(count)
    )
    ids, recordings, of_windows = zip(*windows, strict=True)
    return np.array(of_windows), {"id": pa.array(ids), "recording": pa.array(recordings)}


def _some(clips: Clips, rows: Ints) -> str:
    return ", ".join(clips.ids(rows[:5])) + (f" and {len(rows) - 5:,} more" if len(rows) > 5 else "")
