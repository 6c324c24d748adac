"""Clips, facts and statuses as rows, made into what splits and the audit work on, in memory or on disk."""

import numpy as np

from audioprep.engine import file_identity, write_index
from audioprep.io.audio import encode_flac
from audioprep.io.ledger import write_ledger
from audioprep.io.shar import tar_name, write_audio_tar
from audioprep.io.tables import CLIPS, FACTS, FINGERPRINTS, STATUS, USED, rows_to_table, write_table
from audioprep.steps.audit import audit_split
from audioprep.steps.audit.leaks import find_leaks
from audioprep.steps.audit.slices import overlapping_stretches
from audioprep.steps.splits.clips import join_clips
from audioprep.steps.splits.roles import make_roles
from audioprep.steps.splits.sets import find_copies

# Of every stored recording.
NUM_SAMPLES = 800


def clip(name, labels="a", group=None, *, part=None, fold=None, **others):
    """Return a row of clips.parquet: `labels` is one letter a label, `part` is of `official`, `fold` of `folds`."""
    splits = [("official", part)] * (part is not None) + [("folds", str(fold))] * (fold is not None)
    others = {"member": f"{name}.wav", **others}
    return {"id": name, "labels": list(labels), "group": group or name, "splits": splits, **others}


def fact(name, file=None, pcm=None, **others):
    """Return a row of facts.parquet: of a file and samples of its own, if none are named."""
    return {"id": name, "file_sha256": file or f"file {name}", "pcm_sha256": pcm or f"pcm {name}", **others}


def tables(rows, facts=None, used=None, status=None):
    """Return the four tables of a corpus; without facts, the metadata alone."""
    declared = rows_to_table(rows, CLIPS)
    if facts is None:
        return declared, None, None, None
    names = [row["id"] for row in rows]
    used = rows_to_table([{"id": name, "used": used is None or name in used} for name in names], USED)
    status = dict.fromkeys(names, "ok") | (status or {})
    statuses = rows_to_table([{"id": name, "status": value} for name, value in sorted(status.items())], STATUS)
    return declared, used, statuses, rows_to_table(facts, FACTS)


def clips_of(rows, facts=None, used=None, status=None):
    """Return the clips of the corpus `birds`."""
    return join_clips("birds", *tables(rows, facts, used, status))


def audit_of(rows, facts=None, *, split="official", official=None, alike=(), **others):
    """Return the audit of a split of `birds`; `alike` names pairs of ids and how alike they are."""
    clips = clips_of(rows, facts, **others)
    row_of = {name: row for row, name in enumerate(clips.table["id"].to_pylist())}
    copies = find_copies(clips, [(row_of[a], row_of[b], similarity) for a, b, similarity in alike])
    together = [*copies, *overlapping_stretches(clips)]
    roles = make_roles(clips, split, 0, {split: official or {}}, together)
    return audit_split("birds", clips, roles, find_leaks(clips, roles, copies))


def write_sounds(layout, ids):
    """Write one shard of short recordings, without fingerprints."""
    layout.shar.mkdir(parents=True)
    sound = encode_flac(np.zeros(NUM_SAMPLES, np.float32), 16000)
    write_audio_tar(layout.shar / tar_name(0), ((name, sound, NUM_SAMPLES) for name in ids), 16000)
    write_table(layout.audio / "fingerprints.parquet", FINGERPRINTS.empty_table())
    shard = {"files": {f"shar/{tar_name(0)}": file_identity(layout.shar / tar_name(0))}}
    write_index(layout.audio, {"num_shards": 1, "rule": {"rate_hz": 16000}, "files": {}, "shards": [shard]})


def write_corpus(layout, rows, facts=None, official=None, **others):
    """Write what the stages before leave: the download stage alone, where there are no facts."""
    declared, used, status, measured = tables(rows, facts, **others)
    layout.raw.mkdir(parents=True)
    write_table(layout.raw / "clips.parquet", declared)
    write_ledger(layout, {"sources": []}, {"recipe": "birds", "splits": official or {}})
    if facts is None:
        return
    layout.cuts.mkdir()
    write_sounds(layout, [row["id"] for row in facts])
    write_table(layout.cuts / "_used.parquet", used)
    write_table(layout.audio / "status.parquet", status)
    write_table(layout.audio / "facts.parquet", measured)


# Both classes are in every part, so that no finding is about them.
BASE = [
    *(clip(f"t{n}", "ab"[n % 2], part="train") for n in range(4)),
    *(clip(f"v{n}", "ab"[n % 2], part="valid") for n in range(2)),
    *(clip(f"e{n}", "ab"[n % 2], part="test") for n in range(2)),
]


def facts_of(rows, **of):
    """Return a fact for every row, with what `of` says for its id."""
    return [fact(row["id"], **of.get(row["id"], {})) for row in rows]


def summary(found):
    return {key: found[key] for key in ("kind", "severity", "scope", "what", "ids")}


def pair(first, second, **both):
    """Return two more clips with parts, and what both have in common."""
    return [clip("x", "a", part=first, **both), clip("y", "a", part=second, **both)]


SAME_FILE = {"x": {"file": "f" * 64, "pcm": "p" * 64}, "y": {"file": "f" * 64, "pcm": "p" * 64}}
SAME_PCM = {"x": {"pcm": "p" * 64}, "y": {"pcm": "p" * 64}}
