"""Stage trim: decide the used part of each recording and how it is brought to the window, from the facts alone.

Reads    raw/clips.parquet, audio/ (facts and statuses, no audio), loudness/
Writes   cuts/cuts.NNNNNN.jsonl   lhotse cuts with start, duration, labels, and custom fields gain_db, pad, window_s, group,
                                  splits, attributes, status, used; in the order of the recordings in their tars; a part of
                                  several windows has hop_s and num_windows besides
         cuts/_used.parquet       which clips are used; where some have several windows, how many each has

Two million recordings take seconds: decisions are made column by column, and the envelopes are read a part at a time. Only
the text of the cuts is made row by row, in processes.

Shape letters: K recordings, in the order of the facts, which is that of the tars.
"""

import hashlib
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.config.data import TrimRule
from audioprep.dsp.decide import decide_parts
from audioprep.dsp.window import num_windows
from audioprep.engine import (
    EngineRule,
    Shard,
    ShardTask,
    checked_file,
    file_identity,
    fingerprint,
    fresh_folder,
    read_index,
    run_shards,
    write_index,
)
from audioprep.errors import ShardError
from audioprep.io.cuts import DECIDED, cut_lines
from audioprep.io.layout import Layout
from audioprep.io.shar import cuts_name
from audioprep.io.tables import USED, read_parts, read_table, write_table
from audioprep.io.window_cuts import WINDOW_ID

# Part of every task's fingerprint: raise it with any change of the cuts' text.
VERSION = 1
_USED_NAME = "_used.parquet"
_MEASURED = ["num_samples", "envelope_frame_s", "envelope_db"]
_CLIPS = ["labels", "group", "splits", "attributes"]
# What is held at a time, a little more at most: so many envelopes of 10 s are 2 MB, and so many cuts 20 MB of text.
_ENVELOPES, _CUTS = 4_096, 32_768

Ints = npt.NDArray[np.int64]


def trim(
    layout: Layout, rule: TrimRule, window_s: float, engine: EngineRule | None = None, hop_s: float | None = None
) -> None:
    """Decide and write the cuts of a corpus.

    Clips that are left out stay as rows, with `used: false`: a Shar reader needs one row per recording.

    Args:
        layout: Where the corpus lies.
        rule: What is trimmed, padded and left out.
        window_s: Length that every clip is cut or padded to.
        engine: What runs the tasks that write cuts; None is processes of this machine.
        hop_s: From one window to the next, where recordings are longer than one; None: all but the first is left out.

    Raises:
        ShardError: Audio or gains are missing or damaged, or a recording could be taken for another one's window.
    """
    rate_hz = read_index(layout.audio)["rule"]["rate_hz"]
    hop_samples = None if hop_s is None else round(hop_s * rate_hz)
    shard_K, decided = _decide(layout, rule, window_s, rate_hz, hop_samples)
    same = {"rate_hz": rate_hz, "pad": rule.pad, "window_s": window_s}
    if hop_samples is not None:
        _check_ids(decided["id"])
        same["hop_s"] = hop_samples / rate_hz
    tasks = _tasks(shard_K, decided, same)
    work = layout.work / "trim"
    shards = run_shards(tasks, make_cut_shards, work, label=f"trim {layout.dataset}", engine=engine)
    out = fresh_folder(layout.cuts)
    has_windows = pc.max(decided["num_windows"]).as_py() not in (None, 1)
    used = decided.select([*USED.names, *(["num_windows"] if has_windows else [])]).sort_by("id").combine_chunks()
    write_table(out / _USED_NAME, used)
    entries = [entry for task, shard in zip(tasks, shards, strict=True) for entry in _moved(task, shard, out)]
    hop = {} if hop_s is None else {"hop_s": hop_s}
    header = {"stage": "trim", "rule": {**rule.model_dump(mode="json"), "window_s": window_s, **hop}}
    write_index(out, {**header, "files": {_USED_NAME: file_identity(out / _USED_NAME)}, "shards": entries})
    shutil.rmtree(work, ignore_errors=True)


def make_cut_shards(arguments: dict[str, Any], out: Path) -> int:
    """Write the cuts of some shards.

    Args:
        arguments: `shards`: number and rows of each; `decided`: these rows, as an Arrow stream; `rate_hz`, `pad`, `window_s`,
            perhaps `hop_s`.
        out: Empty folder for `cuts.NNNNNN.jsonl` of each.

    Returns:
        Number of cuts.
    """
    decided = pa.ipc.open_stream(arguments["decided"]).read_all()
    lines = cut_lines(decided, **{key: value for key, value in arguments.items() if key not in ("shards", "decided")})
    for shard, num_rows in arguments["shards"]:
        (out / cuts_name(shard)).write_text("".join(islice(lines, num_rows)), encoding="utf-8")
    return int(decided.num_rows)


def _decide(
    layout: Layout, rule: TrimRule, window_s: float, rate_hz: int, hop_samples: int | None
) -> tuple[npt.NDArray[np.int32], pa.Table]:
    """Return the shard of each recording [K], and everything about it that its cut says."""
    path = checked_file(layout.audio, "facts.parquet")
    facts = read_table(path, ["id", "shard", "pcm_sha256"]).combine_chunks()
    ids = facts["id"].combine_chunks()
    status = _aligned(ids, checked_file(layout.audio, "status.parquet"), ["status"])["status"]
    gains = _aligned(ids, layout.loudness / "gains.parquet", ["gain_db"])
    clips = _aligned(ids, layout.raw / "clips.parquet", _CLIPS)
    is_excluded = pc.is_in(status, value_set=pa.array(rule.exclude, pa.string()))
    says_more = pc.and_(pc.equal(status, "duplicate"), pc.invert(_redundant(status, facts, clips)))
    window_samples = round(window_s * rate_hz)
    start_K, stop_K = _parts(path, rule, window_samples, rate_hz, hop_samples)
    columns = {
        "id": ids,
        "start": start_K,
        "stop": stop_K,
        **{name: clips[name] for name in _CLIPS},
        "status": status,
        "gain_db": gains["gain_db"],
        "used": pc.or_(pc.invert(is_excluded), says_more),
        "num_windows": num_windows(stop_K - start_K, window_samples, hop_samples),
    }
    return facts["shard"].to_numpy(), pa.table(columns, DECIDED)


def _aligned(ids: pa.Array, path: Path, columns: list[str]) -> pa.Table:
    """Return the rows of a table that have some ids, in their order."""
    table = read_table(path, ["id", *columns])
    rows = pc.index_in(ids, value_set=table["id"].combine_chunks())
    if rows.null_count:
        lost = ids.filter(pc.is_null(rows))[0]
        raise ShardError(
            f"{path}: expected a row for every recording, got none for {lost}; run the stage that makes it"
        )
    return table.select(columns).take(rows)


def _redundant(status: pa.ChunkedArray, facts: pa.Table, clips: pa.Table) -> pa.Array:
    """Return which recordings are copies that say nothing new: another clip with the same samples has the same labels and splits.

    A copy under other labels, or in another part of an official split, stays: which of the two is right is not known
    here, and a published test set keeps its size. The audit reports it.
    """
    samples = facts["pcm_sha256"].filter(pc.equal(status, "duplicate"))
    rows = pa.array(np.flatnonzero(pc.is_in(facts["pcm_sha256"], value_set=samples.combine_chunks())))
    alike = zip(
        facts["id"].take(rows).to_pylist(),
        rows.to_pylist(),
        facts["pcm_sha256"].take(rows).to_pylist(),
        clips.select(["labels", "splits"]).take(rows).to_pylist(),
        strict=True,
    )
    seen: set[tuple[object, ...]] = set()
    is_redundant_K = np.zeros(len(facts), bool)
    for _, row, pcm_sha256, clip in sorted(alike, key=lambda copy: copy[0]):
        key = (pcm_sha256, *clip["labels"], *sorted(clip["splits"]))
        is_redundant_K[row] = key in seen
        seen.add(key)
    return pa.array(is_redundant_K)


def _check_ids(ids: pa.ChunkedArray) -> None:
    """Refuse recordings whose ids could be those of windows."""
    alike = ids.filter(pc.match_substring_regex(ids, WINDOW_ID))
    if len(alike):
        raise ShardError(
            f"window.hop_s: expected recordings whose names do not end as those of windows do, got {alike[0]} ({len(alike)} "
            "such); rename the files, or leave window.hop_s empty"
        )


def _parts(path: Path, rule: TrimRule, window_samples: int, rate_hz: int, hop_samples: int | None) -> tuple[Ints, Ints]:
    """Return the used part of each recording, starts [K] and stops [K] in samples."""
    starts, stops = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for facts in read_parts(path, _MEASURED, _ENVELOPES):
        envelopes = facts["envelope_db"].combine_chunks()
        start_K, stop_K = decide_parts(
            envelopes.flatten().to_numpy(),
            pc.list_value_length(envelopes).to_numpy().astype(np.int64),
            facts["envelope_frame_s"].to_numpy(),
            facts["num_samples"].to_numpy(),
            rate_hz,
            mode=rule.mode,
            threshold_db=rule.threshold_db,
            margin_s=rule.margin_s,
            window_samples=window_samples,
            hop_samples=hop_samples,
        )
        starts.append(start_K)
        stops.append(stop_K)
    return np.concatenate(starts), np.concatenate(stops)


def _tasks(shard_K: npt.NDArray[np.int32], decided: pa.Table, same: dict[str, Any]) -> list[ShardTask]:
    """Return tasks of several whole shards each: to hand out one shard takes longer than to write its cuts."""
    first_S = np.flatnonzero(np.diff(shard_K, prepend=-1))
    bounds = [*first_S.tolist(), len(shard_K)]
    tasks = []
    for places in np.split(np.arange(len(first_S)), np.flatnonzero(np.diff(first_S // _CUTS)) + 1):
        shards = [(int(shard_K[bounds[place]]), bounds[place + 1] - bounds[place]) for place in places]
        rows = _stream(decided.slice(bounds[places[0]], bounds[places[-1] + 1] - bounds[places[0]]))
        key = fingerprint("cuts", VERSION, shards, hashlib.sha256(rows).hexdigest(), same)
        tasks.append(ShardTask(shards[0][0], key, {"shards": shards, "decided": rows, **same}))
    return tasks


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _moved(task: ShardTask, done: Shard, out: Path) -> Iterator[dict[str, Any]]:
    """Move a finished task's files into their folder, and yield what its index says of each shard."""
    for shard, num_rows in task.arguments["shards"]:
        name = cuts_name(shard)
        shutil.move(done.folder / name, out / name)
        yield {"shard": shard, "rows": num_rows, "files": {name: done.files[name]}}
