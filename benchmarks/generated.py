"""A corpus of AudioSet's size as tables, as download and resample would have written them; there is no audio.

Recordings of 10 s at 16 kHz with an envelope of 500 frames, 527 classes by Zipf's law, one to four labels each, groups of
about one clip, one official split. Five in a hundred declared clips are missing, five in a thousand are silent, and a
thousand are copies of others. Fingerprints are left out: at this length they are 4 kB a recording.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from audioprep.engine import auto_num_shards, file_identity, write_index
from audioprep.io.layout import Layout
from audioprep.io.ledger import write_ledger
from audioprep.io.shar import cuts_name
from audioprep.io.tables import CLIPS, FACTS, FINGERPRINTS, STATUS, write_table, write_tables

RATE_HZ, DURATION_S, FRAME_S = 16_000, 10.0, 0.02
NUM_CLASSES, TEST_PERCENT, MISSING_PERCENT, SILENT_PER_MILLE, COPIES_PER_MILLION = 527, 1, 5, 5, 500
_NUM_FRAMES = round(DURATION_S / FRAME_S)
_NUM_SAMPLES = round(DURATION_S * RATE_HZ)


def write_corpus(layout: Layout, num_recordings: int) -> None:
    """Write raw/ and audio/ of a corpus with so many recordings that can be used, and some more that are missing."""
    rng = np.random.default_rng(0)
    num_clips = num_recordings * 100 // (100 - MISSING_PERCENT)
    ids = np.sort(np.array([f"Y{row * 2_654_435_761 % 2**40:011x}" for row in range(num_clips)], "S12"))
    is_there_K = np.zeros(num_clips, bool)
    is_there_K[rng.permutation(num_clips)[:num_recordings]] = True
    first_K = _first_of_copies(rng, is_there_K)
    is_silent_K = is_there_K & (first_K == np.arange(num_clips)) & (rng.random(num_clips) < SILENT_PER_MILLE / 1000)
    layout.shar.mkdir(parents=True)
    layout.raw.mkdir(parents=True)
    write_table(layout.raw / "clips.parquet", _clips(rng, ids))
    write_ledger(layout, {"dataset": layout.dataset, "is_partial": True, "sources": []}, _about(num_clips))
    status_K = np.array(["missing", "ok", "silent", "duplicate"])[
        np.where(~is_there_K, 0, np.where(is_silent_K, 2, np.where(first_K < np.arange(num_clips), 3, 1)))
    ]
    write_table(layout.audio / "status.parquet", _status(ids, status_K, first_K))
    num_shards = auto_num_shards(num_clips)
    shard_K = np.array([_shard(clip_id, num_shards) for clip_id in ids])
    rows_of = np.split(np.argsort(shard_K, kind="stable"), np.cumsum(np.bincount(shard_K, minlength=num_shards))[:-1])
    rows_of = [rows[is_there_K[rows]] for rows in rows_of]
    facts = (_facts(rng, shard, ids[rows], first_K[rows], is_silent_K[rows]) for shard, rows in enumerate(rows_of))
    write_tables(layout.audio / "facts.parquet", FACTS, facts)
    write_table(layout.audio / "fingerprints.parquet", FINGERPRINTS.empty_table())
    _write_cuts(layout, ids, status_K, rows_of)
    _write_index(layout, rows_of)


def _about(num_clips: int) -> dict[str, Any]:
    texts = dict.fromkeys(("recipe", "title", "license", "homepage", "cite", "notice", "variant", "about"), "generated")
    official = {"about": "generated", "sizes": None, "known": {}, "shares_groups": ""}
    return {
        **texts,
        "defects": [],
        "num_clips": num_clips,
        "is_multi_label": True,
        "splits": {"official": official},
    }


def _first_of_copies(rng: np.random.Generator, is_there_K: np.ndarray) -> np.ndarray:
    """Return for each clip the first one with the same samples: itself, unless it is a copy."""
    there = np.flatnonzero(is_there_K)
    drawn = rng.permutation(there)[: 2 * max(1, len(there) * COPIES_PER_MILLION // 1_000_000)].reshape(-1, 2)
    first_K = np.arange(len(is_there_K))
    first_K[drawn.max(axis=1)] = drawn.min(axis=1)
    return first_K


def _shard(clip_id: bytes, num_shards: int) -> int:
    """Return what `engine.shard_of` returns, and in a third of the time."""
    return int.from_bytes(hashlib.sha256(clip_id).digest()[:8], "big") % num_shards


def _strings(values: np.ndarray) -> pa.Array:
    strings = pa.array(values).cast(pa.string())
    return strings.combine_chunks() if isinstance(strings, pa.ChunkedArray) else strings  # many come in chunks


def _clips(rng: np.random.Generator, ids: np.ndarray) -> pa.Table:
    num_clips = len(ids)
    popularity = 1 / np.arange(1, NUM_CLASSES + 1)
    counts = rng.integers(1, 5, num_clips)
    labels = rng.choice(NUM_CLASSES, counts.sum(), p=popularity / popularity.sum())
    names = pa.array([f"class {number}" for number in range(NUM_CLASSES)]).take(pa.array(labels))
    bounds = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    each = pa.array(np.arange(num_clips + 1), pa.int32())
    part = pa.array(["test", "train"]).take(pa.array((rng.random(num_clips) >= TEST_PERCENT / 100).astype(int)))
    columns = {
        "id": _strings(ids),
        "member": _strings(np.char.add(ids, b".wav")),
        "labels": pa.ListArray.from_arrays(bounds, names),
        "group": pa.array([f"g{number}" for number in rng.integers(0, num_clips, num_clips).tolist()]),
        "splits": pa.MapArray.from_arrays(each, pa.array(["official"] * num_clips), part),
        "attributes": pa.MapArray.from_arrays(
            each, pa.array(["source"] * num_clips), _strings(np.char.add(b"recordist ", ids))
        ),
    }
    return _table(CLIPS, columns)


def _status(ids: np.ndarray, status_K: np.ndarray, first_K: np.ndarray) -> pa.Table:
    first = _strings(ids[first_K])
    said = {"missing": "the corpus declares it, and it is not there", "silent": "no sample above -80 dB"}
    reasons = [
        f"same samples as {first[row]}" if status == "duplicate" else said.get(status, "")
        for row, status in enumerate(status_K.tolist())
    ]
    columns = {
        "id": _strings(ids),
        "member": _strings(np.char.add(ids, b".wav")),
        "status": pa.array(status_K),
        "reason": pa.array(reasons, pa.string()),
    }
    return _table(STATUS, columns)


def _facts(
    rng: np.random.Generator, shard: int, ids: np.ndarray, first_K: np.ndarray, is_silent_K: np.ndarray
) -> pa.Table:
    num_rows = len(ids)
    hashes = pa.array([hashlib.sha256(b"%d" % number).hexdigest() for number in first_K.tolist()], pa.string())
    lufs_K = rng.normal(-25, 6, num_rows)
    peak_K = np.minimum(lufs_K + rng.uniform(6, 20, num_rows), 0.0)
    levels = {
        "loudness_lufs": lufs_K,
        "rms_db": lufs_K + 1,
        "peak_db": peak_K,
        "true_peak_db": peak_K + 0.2,
    }
    columns = {name: pa.array(values, mask=is_silent_K) for name, values in levels.items()}
    same = {
        "shard": shard,
        "container": "wav",
        "source_rate_hz": 44_100,
        "source_channels": 2,
        "source_frames": round(DURATION_S * 44_100),
        "num_samples": _NUM_SAMPLES,
        "duration_s": DURATION_S,
        "attenuation_db": 0.0,
        "dc_offset": 0.0,
        "clipped_fraction": 0.0,
        "envelope_frame_s": FRAME_S,
    }
    columns |= {name: pa.repeat(pa.scalar(value, FACTS.field(name).type), num_rows) for name, value in same.items()}
    columns |= {"id": _strings(ids), "file_sha256": hashes, "pcm_sha256": hashes}
    columns["bandwidth_hz"] = pa.array(rng.uniform(2_000, 8_000, num_rows))
    columns["envelope_db"] = _envelopes(rng, is_silent_K)
    return _table(FACTS, columns)


def _envelopes(rng: np.random.Generator, is_silent_K: np.ndarray) -> pa.Array:
    """Return levels that wander as sound does, with quiet ends of up to a second."""
    shape = (len(is_silent_K), _NUM_FRAMES)
    wander = -30 + np.cumsum(rng.integers(-2, 3, shape), axis=1)
    lead, tail = rng.integers(0, 50, (2, shape[0], 1))
    frame = np.arange(_NUM_FRAMES)
    wander[(frame < lead) | (frame >= _NUM_FRAMES - tail)] = -110
    wander[is_silent_K] = -120
    bounds = pa.array(np.arange(shape[0] + 1) * _NUM_FRAMES, pa.int32())
    return pa.ListArray.from_arrays(bounds, pa.array(np.clip(wander, -120, 0).astype(np.int8).ravel()))


def _write_cuts(layout: Layout, ids: np.ndarray, status_K: np.ndarray, rows_of: list[np.ndarray]) -> None:
    for shard, rows in enumerate(rows_of):
        with (layout.shar / cuts_name(shard)).open("w", encoding="utf-8") as file:
            file.writelines(_cuts(ids[rows].astype(str).tolist(), status_K[rows].tolist()))


def _cuts(ids: list[str], statuses: list[str]) -> Iterator[str]:
    for clip_id, status in zip(ids, statuses, strict=True):
        cut = {"id": clip_id, "start": 0.0, "duration": DURATION_S, "channel": 0, "supervisions": []}
        yield json.dumps({**cut, "custom": {"status": status}, "type": "MonoCut"}) + "\n"


def _write_index(layout: Layout, rows_of: list[np.ndarray]) -> None:
    names = ("facts.parquet", "fingerprints.parquet", "status.parquet")
    header = {"stage": "resample", "rule": {"rate_hz": RATE_HZ}, "num_shards": len(rows_of)}
    entries = [{"shard": shard, "rows": len(rows), "files": {}} for shard, rows in enumerate(rows_of)]
    files = {name: file_identity(Path(layout.audio, name)) for name in names}
    write_index(layout.audio, {**header, "files": files, "shards": entries})


def _table(schema: pa.Schema, columns: dict[str, pa.Array]) -> pa.Table:
    num_rows = len(columns["id"])
    arrays = [columns.get(field.name, pa.nulls(num_rows, field.type)) for field in schema]
    return pa.table(arrays, schema=schema)
