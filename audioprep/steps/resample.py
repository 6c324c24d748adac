"""Stage resample: decode every recording once, keep it as 16-bit mono FLAC at one rate, and measure it on the way.

Reads    raw/, the archive or folder
Writes   audio/shar/         lhotse Shar: recordings and cuts
         audio/facts.parquet everything measured, one row per usable recording
         audio/status.parquet one row per declared clip: ok, or why not
"""

import csv
import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.config.data import SOFT_STATUSES, ResampleRule
from audioprep.console import say
from audioprep.dsp.levels import clipped_fraction
from audioprep.dsp.measure import measure, to_stored
from audioprep.engine import (
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
)
from audioprep.errors import AudioError, DatasetError, FetchError, summarise
from audioprep.io.archives import UNREADABLE, Members, open_members
from audioprep.io.audio import decode, encode_flac
from audioprep.io.layout import Layout
from audioprep.io.shar import cuts_name, tar_name, write_audio_tar, write_cuts
from audioprep.io.tables import FACTS, STATUS, read_table, rows_to_table, write_table, write_tables

# Part of every shard's fingerprint: raise it with any change that changes the bytes (a golden test notices).
VERSION = 1
# Below this a recording has no sound in 16 bits: its loudest sample rounds to at most 3 steps.
SILENT_PEAK_DB = -80.0
# Shorter than one analysis frame's hop: nothing can be learnt from it.
MIN_DURATION_S = 0.01


def resample(layout: Layout, source: Path, rule: ResampleRule, num_shards: int | None = None) -> None:
    """Make the audio shards of a corpus, its facts and its statuses.

    Args:
        layout: Where the corpus lies.
        source: Its archive or folder.
        rule: Rate, and how many unusable files are borne.
        num_shards: Number of shards; None chooses it from the number of clips.

    Raises:
        FetchError: The archive is missing or damaged.
        DatasetError: More files than `rule.max_bad_fraction` are unusable, or all are.
    """
    clips = read_table(layout.raw / "clips.parquet").to_pylist()
    num_shards = num_shards or auto_num_shards(len(clips))
    open_members(source, layout.work / "archives")  # one clear line here, not one from every worker
    tasks = _tasks(clips, source, layout.work / "archives", rule.rate_hz, num_shards)
    header = {
        "stage": "resample",
        "version": VERSION,
        "rule": {"rate_hz": rule.rate_hz},
        "num_shards": num_shards,
        "clips_sha256": file_sha256(layout.raw / "clips.parquet"),
    }
    if is_published(layout.audio, tasks, header):
        shutil.rmtree(layout.work / "archives", ignore_errors=True)
        return
    work = layout.work / "resample"
    shards = run_shards(tasks, make_audio_shard, work, label=f"resample {layout.dataset}")
    facts = _merged(shards, "facts.parquet", FACTS)
    status = _mark_duplicates(_merged(shards, "status.parquet", STATUS), facts)
    _check_bad(layout, status, rule.max_bad_fraction)
    out = fresh_folder(layout.audio)
    write_tables(out / "facts.parquet", FACTS, (facts.filter(pc.field("shard") == shard.index) for shard in shards))
    write_table(out / "status.parquet", status)
    _write_cuts(layout, clips, status, facts, rule.rate_hz)
    publish(shards, out, lambda name: f"shar/{name}" if name.endswith(".tar") else None, header, work)
    shutil.rmtree(layout.work / "archives", ignore_errors=True)


def make_audio_shard(arguments: dict[str, Any], out: Path) -> int:
    """Decode, resample, measure and write one shard; a file that cannot be used becomes a status.

    Args:
        arguments: `shard`, `source`, `archive_work`, `rate_hz`, and `clips`: rows of clips.parquet.
        out: Empty folder for `recording.NNNNNN.tar`, `facts.parquet` and `status.parquet`.

    Returns:
        Number of recordings in the shard.
    """
    members = open_members(Path(arguments["source"]), Path(arguments["archive_work"]))
    rate_hz, shard = arguments["rate_hz"], arguments["shard"]
    facts: list[dict[str, Any]] = []
    statuses: list[dict[str, Any]] = []

    def recordings() -> Iterator[tuple[str, bytes, int]]:
        for clip in arguments["clips"]:
            status, reason = "ok", ""
            try:
                wave_T, measured = _prepare(_file(members, clip), clip["start_s"], clip["end_s"], rate_hz)
            except AudioError as error:
                status, reason = error.status, error.reason
            else:
                facts.append({"id": clip["id"], "shard": shard, **measured})
                if measured["peak_db"] is None or measured["peak_db"] < SILENT_PEAK_DB:
                    status, reason = "silent", f"no sample above {SILENT_PEAK_DB:g} dB"
                yield clip["id"], encode_flac(wave_T, rate_hz), len(wave_T)
            statuses.append({"id": clip["id"], "member": clip["member"], "status": status, "reason": reason})

    write_audio_tar(out / tar_name(shard), recordings(), rate_hz)
    if not facts:
        (out / tar_name(shard)).unlink()  # lhotse cannot open a shard without a recording
    write_table(out / "facts.parquet", rows_to_table(facts, FACTS))
    write_table(out / "status.parquet", rows_to_table(statuses, STATUS))
    return len(facts)


def _file(members: Members, clip: dict[str, Any]) -> bytes:
    """Return the bytes of a clip's file, which are those that the download stage saw: the fingerprint says so."""
    digest = clip["digest"]
    if digest is None:
        raise AudioError("missing", "the corpus declares it, the archive does not hold it")
    if digest == UNREADABLE:
        raise AudioError("unreadable", "it is there, and cannot be opened")
    is_hashed = digest.startswith("sha256:")
    try:
        data = members.read(clip["member"])
    except FetchError as error:
        if is_hashed:
            raise _changed(clip) from None
        # Without the archive's path, which is of this machine.
        raise AudioError("unreadable", str(error).removeprefix(f"{members.where}: ")) from None
    if is_hashed and digest != f"sha256:{hashlib.sha256(data).hexdigest()}":
        raise _changed(clip)
    return data


def _changed(clip: dict[str, Any]) -> FetchError:
    return FetchError(
        f"{clip['member']}: expected the file that was listed, got another or none; prepare the corpus again"
    )


def _prepare(
    data: bytes, start_s: float | None, end_s: float | None, rate_hz: int
) -> tuple[np.ndarray, dict[str, Any]]:
    decoded = decode(data, start_s, end_s)
    num_frames, num_channels = decoded.wave_TC.shape
    if num_frames < MIN_DURATION_S * decoded.rate_hz:
        raise AudioError("too_short", f"{num_frames} samples at {decoded.rate_hz} Hz")
    wave_T, attenuation_db = to_stored(decoded.wave_TC, decoded.rate_hz, rate_hz)
    pcm = hashlib.sha256(f"{decoded.rate_hz} {num_channels}\n".encode())
    pcm.update(np.ascontiguousarray(decoded.wave_TC).data)
    facts = {
        "file_sha256": hashlib.sha256(data).hexdigest(),
        "pcm_sha256": pcm.hexdigest(),
        "container": decoded.container,
        "source_rate_hz": decoded.rate_hz,
        "source_channels": num_channels,
        "source_frames": num_frames,
        # Of the file as it was: resampling rounds flat tops off.
        "clipped_fraction": round(max(map(clipped_fraction, decoded.wave_TC.T)), 6),
        "attenuation_db": attenuation_db,
    }
    return wave_T, {**facts, **measure(wave_T, rate_hz)}


def _tasks(
    clips: list[dict[str, Any]], source: Path, archive_work: Path, rate_hz: int, num_shards: int
) -> list[ShardTask]:
    by_shard: dict[int, list[dict[str, Any]]] = {}
    for clip in clips:
        by_shard.setdefault(shard_of(clip["id"], num_shards), []).append(clip)
    tasks = []
    for shard, rows in sorted(by_shard.items()):
        # Labels, groups and folds are not in here: relabelling a clip makes no audio anew.
        needed = [{key: row[key] for key in ("id", "member", "digest", "start_s", "end_s")} for row in rows]
        arguments = {
            "shard": shard,
            "source": str(source),
            "archive_work": str(archive_work),
            "rate_hz": rate_hz,
            "clips": needed,
        }
        tasks.append(ShardTask(shard, fingerprint("audio", VERSION, shard, rate_hz, needed), arguments))
    return tasks


def _write_cuts(layout: Layout, clips: list[dict[str, Any]], status: pa.Table, facts: pa.Table, rate_hz: int) -> None:
    """Write one cut per recording, in the order of the recordings in their tars."""
    layout.shar.mkdir()
    clip_of = {clip["id"]: clip for clip in clips}
    status_of = dict(zip(status["id"].to_pylist(), status["status"].to_pylist(), strict=True))
    cuts: dict[int, list[dict[str, Any]]] = {}
    for row in facts.select(["id", "shard", "num_samples"]).to_pylist():
        cut = _cut(clip_of[row["id"]], status_of[row["id"]], row["num_samples"], rate_hz)
        cuts.setdefault(row["shard"], []).append(cut)
    for shard, rows in cuts.items():
        write_cuts(layout.shar / cuts_name(shard), rows)


def _merged(shards: list[Shard], name: str, schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *(read_table(shard.folder / name) for shard in shards)])


def _mark_duplicates(status: pa.Table, facts: pa.Table) -> pa.Table:
    """Mark every clip whose decoded samples equal those of a clip with a smaller id; silence equals nothing."""
    first: dict[str, str] = {}
    same_as: dict[str, str] = {}
    for clip_id, pcm_sha256 in sorted(zip(facts["id"].to_pylist(), facts["pcm_sha256"].to_pylist(), strict=True)):
        if first.setdefault(pcm_sha256, clip_id) != clip_id:
            same_as[clip_id] = first[pcm_sha256]
    rows = status.to_pylist()
    for row in rows:
        if row["status"] == "ok" and row["id"] in same_as:
            row.update(status="duplicate", reason=f"same samples as {same_as[row['id']]}")
    return rows_to_table(sorted(rows, key=lambda row: row["id"]), STATUS)


def _check_bad(layout: Layout, status: pa.Table, max_bad_fraction: float) -> None:
    rows = status.to_pylist()
    counts = Counter(row["status"] for row in rows)
    bad = [row for row in rows if row["status"] not in ("ok", *SOFT_STATUSES)]
    say(f"{layout.dataset}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    if len(bad) <= max_bad_fraction * len(rows) and len(bad) < len(rows):
        return
    listing = layout.work / "unusable.csv"
    layout.work.mkdir(parents=True, exist_ok=True)
    with listing.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "member", "status", "reason"))
        writer.writerows((row["id"], row["member"], row["status"], row["reason"]) for row in bad)
    failures = [f"{row['member']} ({row['status']}: {row['reason']})" for row in bad]
    raise DatasetError(
        summarise(
            f"{layout.dataset}: expected at most {max_bad_fraction:g} of {len(rows)} files unusable",
            failures,
            f"the full list is in {listing}; mend the files, or raise resample.max_bad_fraction",
        )
    )


def _cut(clip: dict[str, Any], status: str, num_samples: int, rate_hz: int) -> dict[str, Any]:
    """Return the whole recording as a lhotse MonoCut with one supervision."""
    duration_s = num_samples / rate_hz
    supervision = {
        "id": clip["id"],
        "recording_id": clip["id"],
        "start": 0.0,
        "duration": duration_s,
        "channel": 0,
        "custom": {"labels": clip["labels"]},
    }
    custom = {"group": clip["group"], "fold": clip["fold"], "subset": clip["subset"], "status": status}
    return {
        "id": clip["id"],
        "start": 0.0,
        "duration": duration_s,
        "channel": 0,
        "supervisions": [supervision],
        "custom": custom,
        "type": "MonoCut",
    }
