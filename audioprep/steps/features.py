"""Stage features: one Parquet shard of features per audio shard, for one feature kind.

Reads    audio/shar/ (recordings), cuts/
Writes   <kind>/part-NNNNNN.parquet   id, num_frames, <kind>: a fixed-size list of num_frames x num_bins values
         <kind>/_stats.parquet        per clip and bin: count, sum, sum of squares

Every kind is a stage of its own, so that a change in one rule leaves the other kinds alone. Where several are to be made
after all, the first one makes the shards of the others in the same pass over the audio and leaves them in their work
folders, where their own stages find them finished. Embeddings keep to themselves: no other kind's stage loads a pretrained model.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from audioprep.config.data import DenoiseRule, FeatureRules
from audioprep.dsp.denoise import denoiser
from audioprep.dsp.features import EMBEDDING, feature_kernels, windowed
from audioprep.engine import (
    BESIDE,
    Earlier,
    EngineRule,
    RestoreShard,
    ShardTask,
    check_file,
    fingerprint,
    finished,
    fresh_folder,
    is_published,
    listed_sha256,
    make,
    publish,
    read_index,
    run_shards,
)
from audioprep.errors import ShardError
from audioprep.io.audio import decode_stored
from audioprep.io.feature_writer import SHARD_STATS_NAME, STATS_NAME, FeatureWriter, merge_stats
from audioprep.io.layout import Layout
from audioprep.io.shar import cuts_name, read_audio_tar, read_cuts, tar_name
from audioprep.io.tables import RowReader, write_table
from audioprep.io.window_cuts import part_in_samples, windows_of

# What an embedding's shards say besides: its hop is no part of its rule, but of its model.
_HOP = ("hop_samples",)

# Part of every shard's fingerprint: raise it with any change that changes the bytes (a golden test notices).
VERSION = 4


def features(
    layout: Layout,
    kind: str,
    rules: FeatureRules,
    engine: EngineRule | None = None,
    denoise: DenoiseRule | None = None,
) -> None:
    """Make the feature shards of one kind.

    Args:
        layout: Where the corpus lies.
        kind: `logmel`, `mfcc`, `spectrogram`, `chroma`, `descriptors` or `embedding`.
        rules: The rule of every kind, and which kinds are wanted.
        engine: What runs the shards' tasks; None is processes of this machine.
        denoise: Whether recordings are cleared of noise before; None is no.

    Raises:
        ShardError: Audio or cuts are missing or damaged.
        ModelError: An embedding's pretrained model cannot be used.
    """
    shards = list(shard_inputs(layout, denoise or DenoiseRule()))
    if not shards:
        raise ShardError(f"{layout.cuts}: expected clips to use, found none; see {layout.audio / 'status.parquet'}")
    tasks = feature_tasks(kind, rules, shards)
    header = {"stage": "features", "version": VERSION, **described(tasks[0].arguments)}
    out, work, log = layout.features(kind), layout.work / kind, layout.log / f"{kind}.jsonl"
    if is_published(out, tasks, header, log):
        return
    beside = _beside(layout, kind, rules, shards)
    tasks = [replace(task, arguments={**task.arguments, "beside": beside[task.index]}) for task in tasks]
    label = f"{kind} {layout.dataset}"
    made = run_shards(
        tasks, make_feature_shard, work, label=label, earlier=out, restore=_restore, log=log, engine=engine
    )
    fresh_folder(out)
    merge_stats((shard.folder / SHARD_STATS_NAME for shard in made), out / STATS_NAME)
    publish(made, out, lambda name: name if name.startswith("part-") else None, header, work)


def make_feature_shard(arguments: dict[str, Any], out: Path) -> int:
    """Make the features of one audio shard, and those of other kinds that are still to be made.

    Args:
        arguments: `shard`, `audio` (the folder), `audio_sha256` (of the tar), `kind`, `rule`, `rate_hz`, `window_s`, and `cuts`: as JSON, id,
            start, stop, gain_db, pad of each clip to use, and `recording` of one of several windows; perhaps `denoise`; perhaps
            `beside`: tasks of other kinds, each with its work folder.
        out: Empty folder for `part-NNNNNN.parquet` and `stats.parquet`.

    Returns:
        Number of clips in the shard.
    """
    beside = [(task, work) for task, work in arguments.get("beside", ()) if finished(task, work) is None]
    own, *others = _computed([arguments, *(task.arguments for task, _ in beside)])
    for (task, work), writer in zip(beside, others, strict=True):
        # A gift: should it fail, for example as that kind's own stage runs at this moment, that stage makes the shard.
        with suppress(ShardError):
            make(replace(task, arguments=task.index), writer.write, work, BESIDE)
    return own.write(arguments["shard"], out)


def _computed(wanted: list[dict[str, Any]]) -> list[FeatureWriter]:
    """Return the features of several kinds of the same clips, which are decoded once."""
    kernels = feature_kernels({one["kind"]: one["rule"] for one in wanted}, wanted[0]["rate_hz"])
    writers = {one["kind"]: FeatureWriter(described(one)) for one in wanted}
    for clip_id, window_T in windows(wanted[0]):
        for kind, features_NM in kernels(window_T).items():
            writers[kind].add(clip_id, features_NM)
    return list(writers.values())


def windows(arguments: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield id and window [T], float32, of each clip to use of one audio shard.

    Args:
        arguments: As in `make_feature_shard`; no kind and no rule is needed.

    Raises:
        ShardError: Audio is missing or damaged, or lacks a clip.
    """
    path = check_file(Path(arguments["audio"]), f"shar/{tar_name(arguments['shard'])}", arguments["audio_sha256"])
    rate_hz, cuts = arguments["rate_hz"], defaultdict(list)
    for cut in json.loads(arguments["cuts"]):
        cuts[cut.get("recording", cut["id"])].append(cut)
    denoise, num_found = denoiser(arguments.get("denoise"), rate_hz), 0
    for recording_id, flac in read_audio_tar(path):
        if recording_id not in cuts:
            continue
        wave_T = denoise(decode_stored(flac))
        for cut in cuts.pop(recording_id):
            yield cut["id"], windowed(wave_T, cut, round(arguments["window_s"] * rate_hz))
        num_found += 1
    if cuts:
        raise ShardError(
            f"{path}: expected {num_found + len(cuts)} recordings, got {num_found}, {min(cuts)} is missing; "
            "run the resample stage again"
        )


def described(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what shards and index say of the features."""
    said = ("kind", "rule", "rate_hz", "window_s", "denoise", *_HOP)
    return {key: arguments[key] for key in said if key in arguments}


def shard_inputs(layout: Layout, denoise: DenoiseRule) -> Iterator[dict[str, Any]]:
    """Yield, for each audio shard with clips to use, what its tasks share."""
    # Where it is off nothing is said of it: shards are those of before there was such a thing.
    rules = {} if denoise.mode == "off" else {"denoise": denoise.model_dump(mode="json")}
    audio, decided = read_index(layout.audio), read_index(layout.cuts)
    window_s = decided["rule"]["window_s"]
    audio_sha256, cuts_sha256 = listed_sha256(layout.audio), listed_sha256(layout.cuts)
    rate_hz = audio["rule"]["rate_hz"]
    for entry in audio["shards"]:
        shard = entry["shard"]
        if not entry["rows"]:
            continue
        name = cuts_name(shard)
        path = check_file(layout.cuts, name, cuts_sha256.get(name))
        used = [cut for cut in read_cuts(path) if cut["custom"]["used"]]
        cuts = [_needed(cut, rate_hz, recording_id) for whole in used for recording_id, cut in windows_of(whole)]
        if cuts:
            yield {
                "shard": shard,
                "audio": str(layout.audio),
                "audio_sha256": audio_sha256[f"shar/{tar_name(shard)}"],
                "rate_hz": rate_hz,
                "window_s": window_s,
                **rules,
                "cuts": json.dumps(cuts).encode(),  # a quarter of what the values take
            }


def feature_tasks(kind: str, rules: FeatureRules, shards: list[dict[str, Any]]) -> list[ShardTask]:
    """Return the tasks of one kind, whose arguments are what `shard_inputs` found, the kind and its rule."""
    settings = getattr(rules, kind).model_dump(mode="json")
    own = {"kind": kind, "rule": settings}
    if kind == EMBEDDING:
        own |= _of_model(settings, shards[0]["rate_hz"])
    tasks = []
    for shared in shards:
        shard, *inputs = (shared[key] for key in ("shard", "rate_hz", "window_s", "audio_sha256"))
        inputs += [shared["denoise"], version("noisereduce")] if "denoise" in shared else []
        key = fingerprint(kind, VERSION, shard, own["rule"], *inputs, json.loads(shared["cuts"]))
        tasks.append(ShardTask(shard, key, {**shared, **own}))
    return tasks


def _of_model(settings: dict[str, Any], rate_hz: int) -> dict[str, Any]:
    """Return an embedding's rule with the hash of its model, so that another model makes all shards anew, and its hop."""
    from audioprep.dsp.embedding import pretrained

    model = pretrained(settings, rate_hz)
    return {"rule": {**settings, "sha256": settings["sha256"] or model.sha256()}, "hop_samples": model.hop_samples}


def _beside(
    layout: Layout, kind: str, rules: FeatureRules, shards: list[dict[str, Any]]
) -> dict[int, list[tuple[ShardTask, Path]]]:
    """Return, by shard, the tasks of the other kinds whose shards are not published, with their work folders.

    What earlier such tasks left there, and is not wanted any more, goes.
    """
    found = defaultdict(list)
    for other in rules.kinds:
        if other == kind or EMBEDDING in (other, kind):
            continue
        try:
            published = {entry["fingerprint"] for entry in read_index(layout.features(other))["shards"]}
        except (ShardError, LookupError, TypeError):
            published = set()
        work, tasks = layout.work / other, feature_tasks(other, rules, shards)
        for stale in {path.name for path in work.glob("[!.]*")} - {task.fingerprint for task in tasks}:
            shutil.rmtree(work / stale, ignore_errors=True)
        for task in tasks:
            if task.fingerprint not in published:
                found[task.index].append((task, work))
    return found


def _restore(earlier: Earlier) -> RestoreShard:
    """Bring the statistics of single shards back from those of all."""
    stats = RowReader(earlier.beside(STATS_NAME))

    def restore_shard(task: ShardTask, out: Path) -> None:
        found = stats.read(earlier.rows[task.index])
        if sorted(found["id"].to_pylist()) != sorted(cut["id"] for cut in json.loads(task.arguments["cuts"])):
            raise ShardError(f"{STATS_NAME}: expected the rows of shard {task.index}, got others; run the stage again")
        write_table(out / SHARD_STATS_NAME, found)

    return restore_shard


def _needed(cut: dict[str, Any], rate_hz: int, recording_id: str) -> dict[str, Any]:
    recording = {} if recording_id == cut["id"] else {"recording": recording_id}
    return {"id": cut["id"], **recording, **part_in_samples(cut, rate_hz)}
