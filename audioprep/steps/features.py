"""Stage features: one Parquet shard of features per audio shard, for one feature kind.

Reads    audio/shar/ (recordings), cuts/
Writes   <kind>/part-NNNNNN.parquet   id, num_frames, <kind>: a fixed-size list of num_frames x num_bins values
         <kind>/_stats.parquet        per clip and bin: count, sum, sum of squares
"""

from pathlib import Path
from typing import Any

import numpy as np

from audioprep.config.data import LogmelRule, MfccRule
from audioprep.dsp.features import feature_kernel, windowed
from audioprep.engine import (
    Earlier,
    EngineRule,
    RestoreShard,
    ShardTask,
    fingerprint,
    fresh_folder,
    is_published,
    publish,
    read_index,
    run_shards,
)
from audioprep.errors import ShardError
from audioprep.io.audio import decode_flac
from audioprep.io.feature_writer import STATS_NAME, merge_stats, part_name, write_features
from audioprep.io.layout import Layout
from audioprep.io.shar import check_sha256, cuts_name, read_audio_tar, read_cuts, tar_name
from audioprep.io.tables import open_table, write_table

# Part of every shard's fingerprint: raise it with any change that changes the bytes (a golden test notices).
VERSION = 1

FeatureRule = LogmelRule | MfccRule

_OWN_STATS_NAME = "stats.parquet"


def features(layout: Layout, kind: str, rule: FeatureRule, engine: EngineRule | None = None) -> None:
    """Make the feature shards of one kind.

    Args:
        layout: Where the corpus lies.
        kind: `logmel` or `mfcc`.
        rule: Its numbers.
        engine: What runs the shards' tasks; None is processes of this machine.

    Raises:
        ShardError: Audio or cuts are missing or damaged.
    """
    audio, cuts_index = read_index(layout.audio), read_index(layout.cuts)
    rate_hz, window_s = audio["rule"]["rate_hz"], cuts_index["rule"]["window_s"]
    settings = rule.model_dump(mode="json")
    tasks = []
    for entry in (entry for entry in audio["shards"] if entry["rows"]):
        shard = entry["shard"]
        cuts = [_needed(cut, rate_hz) for cut in read_cuts(layout.cuts / cuts_name(shard)) if cut["custom"]["used"]]
        if not cuts:
            continue
        recordings = entry["files"][f"shar/{tar_name(shard)}"]["sha256"]
        arguments = {
            "shard": shard,
            "audio": str(layout.shar / tar_name(shard)),
            "audio_sha256": recordings,
            "kind": kind,
            "rule": settings,
            "rate_hz": rate_hz,
            "window_s": window_s,
            "cuts": cuts,
        }
        key = fingerprint(kind, VERSION, shard, settings, rate_hz, window_s, recordings, cuts)
        tasks.append(ShardTask(shard, key, arguments))
    if not tasks:
        raise ShardError(f"{layout.cuts}: expected clips to use, found none; see {layout.audio / 'status.parquet'}")
    header = {
        "stage": "features",
        "version": VERSION,
        "kind": kind,
        "rule": settings,
        "rate_hz": rate_hz,
        "window_s": window_s,
    }
    out, work, log = layout.features(kind), layout.work / kind, layout.log / f"{kind}.jsonl"
    if is_published(out, tasks, header, log):
        return
    label = f"{kind} {layout.dataset}"
    shards = run_shards(
        tasks, make_feature_shard, work, label=label, earlier=out, restore=_restore, log=log, engine=engine
    )
    fresh_folder(out)
    merge_stats((shard.folder / _OWN_STATS_NAME for shard in shards), out / STATS_NAME)
    publish(shards, out, lambda name: name if name.startswith("part-") else None, header, work)


def make_feature_shard(arguments: dict[str, Any], out: Path) -> int:
    """Make the features of one audio shard.

    Args:
        arguments: `shard`, `audio` (the tar), `audio_sha256`, `kind`, `rule`, `rate_hz`, `window_s`, and `cuts`: id, start, stop,
            gain_db, pad of each clip to use.
        out: Empty folder for `part-NNNNNN.parquet` and `stats.parquet`.

    Returns:
        Number of clips in the shard.
    """
    check_sha256(Path(arguments["audio"]), arguments["audio_sha256"])
    rate_hz = arguments["rate_hz"]
    window_samples = round(arguments["window_s"] * rate_hz)
    kernel = feature_kernel(arguments["kind"], arguments["rule"], rate_hz)
    cuts = {cut["id"]: cut for cut in arguments["cuts"]}
    ids, blocks = [], []
    for recording_id, flac in read_audio_tar(Path(arguments["audio"])):
        if (cut := cuts.get(recording_id)) is not None:
            ids.append(recording_id)
            blocks.append(kernel(windowed(decode_flac(flac), cut, window_samples)))
    if len(ids) != len(cuts):
        lost = sorted(set(cuts) - set(ids))
        raise ShardError(
            f"{arguments['audio']}: expected {len(cuts)} recordings, got {len(ids)}, {lost[0]} is missing; "
            "run the resample stage again"
        )
    meta = {key: arguments[key] for key in ("kind", "rule", "rate_hz", "window_s")}
    write_features(
        out / part_name(arguments["shard"]),
        out / _OWN_STATS_NAME,
        ids,
        np.stack(blocks),
        arguments["rule"]["dtype"],
        meta,
    )
    return len(ids)


def _restore(earlier: Earlier) -> RestoreShard:
    """Bring the statistics of single shards back from those of all."""
    stats = open_table(earlier.beside(STATS_NAME))

    def restore_shard(task: ShardTask, out: Path) -> None:
        write_table(out / _OWN_STATS_NAME, stats.read_row_group(earlier.row_group[task.index]))

    return restore_shard


def _needed(cut: dict[str, Any], rate_hz: int) -> dict[str, Any]:
    start = round(cut["start"] * rate_hz)
    return {
        "id": cut["id"],
        "start": start,
        "stop": start + round(cut["duration"] * rate_hz),
        "gain_db": cut["custom"]["gain_db"],
        "pad": cut["custom"]["pad"],
    }
