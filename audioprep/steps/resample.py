"""Stage resample: decode every recording once, keep it as 16-bit mono FLAC or WAV at one rate, and measure it on the way.

Reads    raw/download.json, raw/files.parquet, the archives or folder
Writes   audio/shar/                 lhotse Shar: recordings, and cuts that say nothing but their length
         audio/facts.parquet         everything measured, one row per usable recording
         audio/fingerprints.parquet  what near-duplicates are found by
         audio/status.parquet        one row per declared clip: ok, or why not
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.config.data import ResampleRule
from audioprep.console import say
from audioprep.dsp.bandwidth import bandwidth_hz
from audioprep.dsp.decide import MIN_DURATION_S, SILENT_PEAK_DB, is_silent
from audioprep.dsp.fingerprint import fingerprint as audio_fingerprint
from audioprep.dsp.k_recursion import k_weighted
from audioprep.dsp.levels import clipped_fraction
from audioprep.dsp.measure import as_steps, measure, to_mono, to_stored
from audioprep.dsp.resample import resample as at_rate
from audioprep.engine import (
    Earlier,
    EngineRule,
    RestoreShard,
    Shard,
    ShardTask,
    auto_num_shards,
    file_sha256,
    fingerprint,
    fresh_folder,
    is_published,
    publish,
    run_shards,
    shard_of,
    write_atomically,
)
from audioprep.engine.memory import keep_freed_memory
from audioprep.errors import AudioError, FetchError, ShardError
from audioprep.io.archives import UNREADABLE, Members, Place, open_members
from audioprep.io.archives.members import first_and_more
from audioprep.io.audio import Decoded, decode, encode_stored, time_limit_s
from audioprep.io.ffmpeg import FFMPEG_SUFFIXES, has_ffmpeg
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_ledger
from audioprep.io.shar import cuts_name, tar_name, write_audio_tar, write_cuts
from audioprep.io.tables import (
    FACTS,
    FINGERPRINTS,
    STATUS,
    RowReader,
    read_table,
    rows_to_table,
    write_table,
    write_tables,
)
from audioprep.io.time_limit import OverdueError, Watch, watched
from audioprep.steps.statuses import check_usable, mark_duplicates

# Part of every shard's fingerprint: raise it with any change that changes the bytes (a golden test notices).
VERSION = 3
# ffmpeg is a process of its own, keeps to the limit, and says more.
_GRACE_S = 2.0
_TIMEOUTS_NAME = "timeouts.json"


def resample(
    layout: Layout,
    places: Sequence[Place],
    rule: ResampleRule,
    num_shards: int | None = None,
    engine: EngineRule | None = None,
) -> None:
    """Make the audio shards of a corpus, its facts and its statuses.

    Args:
        layout: Where the corpus lies.
        places: Its archives or folder.
        rule: Rate, and how many unusable files are borne.
        num_shards: Number of shards; None chooses it from the number of clips.
        engine: What runs the shards' tasks; None is processes of this machine.

    Raises:
        FetchError: An archive is missing or damaged.
        DatasetError: More files than `rule.max_bad_fraction` are unusable, or all are.
    """
    files = read_table(layout.raw / "files.parquet")
    num_shards = num_shards or auto_num_shards(len(files))
    open_members(places, layout.work / "archives")  # one clear line here, not one from every worker
    tasks = _tasks(files, places, layout.work / "archives", rule, num_shards, _timeouts(layout))
    header = {
        "stage": "resample",
        "version": VERSION,
        "rule": {"rate_hz": rule.rate_hz, "format": rule.format},
        "num_shards": num_shards,
        "files_sha256": file_sha256(layout.raw / "files.parquet"),
    }
    log = layout.log / "resample.jsonl"
    is_partial, listing = read_ledger(layout)["is_partial"], layout.work / "unusable.csv"
    if is_published(layout.audio, tasks, header, log):
        status = read_table(layout.audio / "status.parquet")
        check_usable(layout.dataset, status, rule.max_bad_fraction, listing, is_partial=is_partial)
        shutil.rmtree(layout.work / "archives", ignore_errors=True)
        return
    work = layout.work / "resample"
    label = f"resample {layout.dataset}"
    shards = run_shards(
        tasks, make_audio_shard, work, label=label, earlier=layout.audio, restore=_restore, log=log, engine=engine
    )
    # Of the facts, no more is held at a time than what all recordings are compared by.
    known = _merged(shards, "facts.parquet", ["id", "shard", "num_samples", "pcm_sha256"])
    status = mark_duplicates(_merged(shards, "status.parquet", STATUS.names), known)
    _note_timeouts(layout, status, rule.max_decode_s)
    check_usable(layout.dataset, status, rule.max_bad_fraction, listing, is_partial=is_partial)
    out = fresh_folder(layout.audio)
    for name, schema in (("facts.parquet", FACTS), ("fingerprints.parquet", FINGERPRINTS)):
        write_tables(out / name, schema, (read_table(shard.folder / name) for shard in shards))
    write_table(out / "status.parquet", status)
    _write_cuts(layout, status, known, rule.rate_hz)
    publish(shards, out, lambda name: f"shar/{name}" if name.endswith(".tar") else None, header, work)
    shutil.rmtree(layout.work / "archives", ignore_errors=True)


def make_audio_shard(arguments: dict[str, Any], out: Path) -> int:
    """Decode, resample, measure and write one shard; a file that cannot be used becomes a status.

    Args:
        arguments: `shard`, `places`, `archive_work`, `rate_hz`, `format`, `max_decode_s`, and `files`: rows of
            files.parquet, as a table.
        out: Empty folder for `recording.NNNNNN.tar` and the shard's rows of the tables.

    Returns:
        Number of recordings in the shard.
    """
    keep_freed_memory()
    late: frozenset[str] = frozenset()
    while True:
        attempt = out / f"attempt-{len(late)}"
        attempt.mkdir()
        try:
            num_recordings = watched(partial(_attempt, arguments, attempt, late))
        except OverdueError as overdue:
            late |= {overdue.what}
            shutil.rmtree(attempt)
            continue
        for path in attempt.iterdir():
            path.rename(out / path.name)
        attempt.rmdir()
        return num_recordings


def _attempt(arguments: dict[str, Any], out: Path, late: frozenset[str], watch: Watch) -> int:
    """Make the shard without the recordings on which an earlier attempt hung."""
    members = open_members(arguments["places"], Path(arguments["archive_work"]))
    rate_hz, shard, format_ = arguments["rate_hz"], arguments["shard"], arguments["format"]
    facts: list[dict[str, Any]] = []
    fingerprints: list[dict[str, Any]] = []
    statuses: list[dict[str, Any]] = []

    def decoded_file(clip: dict[str, Any]) -> tuple[Decoded, str]:
        data, file_sha256 = _file(members, clip)
        limit_s = time_limit_s(data, arguments["max_decode_s"])
        if clip["id"] in late:
            raise AudioError("timeout", f"libsndfile has not ended in {limit_s:.0f} s")
        with watch.within(clip["id"], limit_s + _GRACE_S):
            return decode(data, clip["start_s"], clip["end_s"], limit_s=limit_s), file_sha256

    def recordings() -> Iterator[tuple[str, bytes, int]]:
        for clip in arguments["files"].to_pylist():
            status, reason = "ok", ""
            try:
                decoded, file_sha256 = decoded_file(clip)
                wave_T, steps_T, measured = _prepare(decoded, rate_hz)
            except AudioError as error:
                status, reason = error.status, error.reason
            else:
                facts.append({"id": clip["id"], "shard": shard, "file_sha256": file_sha256, **measured})
                fingerprints.append({"id": clip["id"], "fingerprint": audio_fingerprint(wave_T, rate_hz)})
                if is_silent(measured["peak_db"]):
                    status, reason = "silent", f"no sample above {SILENT_PEAK_DB:g} dB"
                yield clip["id"], encode_stored(steps_T, rate_hz, format_), len(steps_T)
            statuses.append({"id": clip["id"], "member": clip["member"], "status": status, "reason": reason})

    write_audio_tar(out / tar_name(shard), recordings(), rate_hz, f".{format_}")
    if not facts:
        (out / tar_name(shard)).unlink()  # lhotse cannot open a shard without a recording
    write_table(out / "facts.parquet", rows_to_table(facts, FACTS))
    write_table(out / "fingerprints.parquet", rows_to_table(fingerprints, FINGERPRINTS))
    write_table(out / "status.parquet", rows_to_table(statuses, STATUS))
    return len(facts)


def _file(members: Members, clip: dict[str, Any]) -> tuple[bytes, str]:
    """Return the bytes of a clip's file, which are those that the download stage saw: the fingerprint says so; and their hash."""
    digest = clip["digest"]
    if digest is None:
        raise AudioError("missing", "the corpus declares it, and it is not there")
    if digest == UNREADABLE:
        raise AudioError("unreadable", "it is there, and cannot be opened")
    is_hashed = digest.startswith("sha256:")
    published = clip["sha256"]
    try:
        data = members.read(clip["member"])
    except FetchError as error:
        if is_hashed:
            raise _changed(clip) from None
        # Without the archive's path, which is of this machine.
        raise AudioError("unreadable", str(error).removeprefix(f"{members.where}: ")) from None
    sha256 = hashlib.sha256(data).hexdigest()
    if is_hashed and digest != f"sha256:{sha256}":
        raise _changed(clip)
    if published and sha256 != published:
        raise AudioError("wrong_hash", f"sha256 {sha256}, published is {published}")
    return data, sha256


def _changed(clip: dict[str, Any]) -> FetchError:
    return FetchError(
        f"{clip['member']}: expected the file that was listed, got another or none; prepare the corpus again"
    )


def _prepare(decoded: Decoded, rate_hz: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Return what is stored of a recording, as samples and in 16-bit steps, and its facts."""
    num_frames, num_channels = decoded.wave_TC.shape
    if num_frames < MIN_DURATION_S * decoded.rate_hz:
        raise AudioError("too_short", f"{num_frames} samples at {decoded.rate_hz} Hz")
    wave_T, attenuation_db = to_stored(at_rate(to_mono(decoded.wave_TC), decoded.rate_hz, rate_hz))
    steps_T = as_steps(wave_T)
    facts = {
        # Of what is stored: that is all that later stages know, and takes a tenth of the time that the file's samples do.
        "pcm_sha256": hashlib.sha256(steps_T.astype("<i2", copy=False).data).hexdigest(),
        "container": decoded.container,
        "source_rate_hz": decoded.rate_hz,
        "source_channels": num_channels,
        "source_frames": num_frames,
        # Of the file as it was: resampling rounds flat tops off.
        "clipped_fraction": round(max(map(clipped_fraction, decoded.wave_TC.T)), 6),
        "attenuation_db": attenuation_db,
        "bandwidth_hz": bandwidth_hz(wave_T, rate_hz),
    }
    return wave_T, steps_T, {**facts, **measure(wave_T, rate_hz, k_weighted)}


def _tasks(
    files: pa.Table,
    places: Sequence[Place],
    archive_work: Path,
    rule: ResampleRule,
    num_shards: int,
    timeouts: dict[str, float],
) -> list[ShardTask]:
    shard_K = np.fromiter((shard_of(clip_id, num_shards) for clip_id in files["id"].to_pylist()), np.int64, len(files))
    order = np.argsort(shard_K, kind="stable")
    tasks = []
    for places_K in np.split(order, np.flatnonzero(np.diff(shard_K[order], prepend=-1)))[1:]:
        # A task holds its rows as a table: as values of Python those of all clips would take four times as much.
        shard, part = int(shard_K[places_K[0]]), files.take(places_K)
        rows = part.to_pylist()
        arguments = {
            "shard": shard,
            "places": list(places),
            "archive_work": str(archive_work),
            "rate_hz": rule.rate_hz,
            "format": rule.format,
            "max_decode_s": rule.max_decode_s,
            "files": part,
        }
        # What only ffmpeg reads is read anew once it is there.
        needs_ffmpeg = any(PurePosixPath(row["member"]).suffix.lower() in FFMPEG_SUFFIXES for row in rows)
        decoders = has_ffmpeg() if needs_ffmpeg else None
        # What was not decoded in time is tried anew with another limit; other shards do not depend on it.
        is_retry = any(timeouts.get(row["id"], rule.max_decode_s) != rule.max_decode_s for row in rows)
        limit_s = rule.max_decode_s if is_retry else None
        key = fingerprint("audio", VERSION, shard, rule.rate_hz, rule.format, rows, decoders, limit_s)
        tasks.append(ShardTask(shard, key, arguments))
    return tasks


def _restore(earlier: Earlier) -> RestoreShard:
    """Bring the rows of single shards back from the tables of all."""
    tables = {name: RowReader(earlier.beside(name)) for name in ("facts.parquet", "fingerprints.parquet")}
    status = read_table(earlier.beside("status.parquet"))
    row_of = {clip_id: row for row, clip_id in enumerate(status["id"].to_pylist())}

    def restore_shard(task: ShardTask, out: Path) -> None:
        rows = status.take([row_of[clip_id] for clip_id in task.arguments["files"]["id"].to_pylist()]).to_pylist()
        for row in rows:
            if row["status"] == "duplicate":  # what it is a copy of is said anew, of the corpus as it is now
                row.update(status="ok", reason="")
        write_table(out / "status.parquet", rows_to_table(rows, STATUS))
        usable = [row["id"] for row in rows if row["status"] in ("ok", "silent")]
        for name, table in tables.items():
            found = table.read(earlier.rows[task.index])
            if found["id"].to_pylist() != usable:
                raise ShardError(f"{name}: expected the rows of shard {task.index}, got others; run the stage again")
            write_table(out / name, found)

    return restore_shard


def _timeouts(layout: Layout) -> dict[str, float]:
    """Return the recordings that were not decoded in time in an earlier run, with the limit that they first missed."""
    with suppress(
        OSError, ValueError, TypeError, AttributeError
    ):  # it only saves time: a damaged one is as good as none
        known = json.loads((layout.work / _TIMEOUTS_NAME).read_text(encoding="utf-8"))
        return {str(clip_id): float(limit_s) for clip_id, limit_s in known.items()}
    return {}


def _note_timeouts(layout: Layout, status: pa.Table, limit_s: float) -> None:
    """Say and keep which recordings were not decoded in time."""
    late = status.filter(pc.equal(status["status"], "timeout")).to_pylist()
    if not late:
        return
    known = {row["id"]: limit_s for row in late} | _timeouts(layout)
    layout.work.mkdir(parents=True, exist_ok=True)
    write_atomically(layout.work / _TIMEOUTS_NAME, json.dumps(known, sort_keys=True))
    say(
        f"{layout.dataset}: {first_and_more([row['member'] for row in late])} not decoded in time, and left out; "
        "raise resample.max_decode_s to try again"
    )


def _write_cuts(layout: Layout, status: pa.Table, known: pa.Table, rate_hz: int) -> None:
    """Write one cut per recording, in the order of the recordings in their tars."""
    layout.shar.mkdir()
    rows = pc.index_in(known["id"], value_set=status["id"].combine_chunks())
    known = known.append_column("status", status["status"].take(rows)).combine_chunks()
    bounds = [*np.flatnonzero(np.diff(known["shard"].to_numpy(), prepend=-1)).tolist(), len(known)]
    for first, end in pairwise(bounds):
        cuts = [_cut(row, rate_hz) for row in known.slice(first, end - first).to_pylist()]
        write_cuts(layout.shar / cuts_name(known["shard"][first].as_py()), cuts)


def _cut(row: dict[str, Any], rate_hz: int) -> dict[str, Any]:
    return {
        "id": row["id"],
        "start": 0.0,
        "duration": row["num_samples"] / rate_hz,
        "channel": 0,
        "supervisions": [],
        "custom": {"status": row["status"]},
        "type": "MonoCut",
    }


def _merged(shards: list[Shard], name: str, columns: list[str]) -> pa.Table:
    return pa.concat_tables([read_table(shard.folder / name, columns) for shard in shards])
