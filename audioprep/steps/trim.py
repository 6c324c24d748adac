"""Stage trim: decide the used part of each recording and how it is brought to the window, from the facts alone.

Reads    raw/clips.parquet, audio/ (facts and cuts, no audio), loudness/
Writes   cuts/cuts.NNNNNN.jsonl   lhotse cuts with start, duration, labels, and custom fields gain_db, pad, window_s, group,
                                  splits, attributes, status, used
         cuts/_used.parquet       which clips are used
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.config.data import TrimRule
from audioprep.dsp.decide import decide_part
from audioprep.engine import file_identity, fresh_folder, read_index, write_index
from audioprep.io.layout import Layout
from audioprep.io.shar import cuts_name, read_cuts, write_cuts
from audioprep.io.tables import USED, read_table, rows_to_table, write_table

_FACTS = ["id", "pcm_sha256", "num_samples", "envelope_frame_s", "envelope_db"]
_USED_NAME = "_used.parquet"
_CLIPS = ["id", "labels", "group", "splits", "attributes"]


def trim(layout: Layout, rule: TrimRule, window_s: float) -> None:
    """Decide and write the cuts of a corpus.

    Clips that are left out stay as rows, with `used: false`: a Shar reader needs one row per recording.

    Args:
        layout: Where the corpus lies.
        rule: What is trimmed, padded and left out.
        window_s: Length that every clip is cut or padded to.

    Raises:
        ShardError: Audio or gains are missing or damaged.
    """
    index = read_index(layout.audio)
    rate_hz = index["rule"]["rate_hz"]
    gains = read_table(layout.loudness / "gains.parquet", ["id", "gain_db"])
    gain_of = dict(zip(gains["id"].to_pylist(), gains["gain_db"].to_pylist(), strict=True))
    facts, facts_row = _indexed(read_table(layout.audio / "facts.parquet", _FACTS))
    clips, clips_row = _indexed(read_table(layout.raw / "clips.parquet", _CLIPS))
    redundant = _redundant(read_table(layout.audio / "status.parquet", ["id", "status"]), facts, clips, clips_row)
    out = fresh_folder(layout.cuts)
    entries, used = [], []
    for shard in (shard for shard in index["shards"] if shard["rows"]):
        name = cuts_name(shard["shard"])
        cuts = read_cuts(layout.shar / name)
        measured = facts.take([facts_row[cut["id"]] for cut in cuts]).to_pylist()
        declared = clips.take([clips_row[cut["id"]] for cut in cuts]).to_pylist(maps_as_pydicts="strict")
        decided = []
        for cut, row, clip in zip(cuts, measured, declared, strict=True):
            status = cut["custom"]["status"]
            is_used = status not in rule.exclude or (status == "duplicate" and cut["id"] not in redundant)
            part = _part(row, rule, window_s, rate_hz)
            custom = {"gain_db": gain_of[cut["id"]], "pad": rule.pad, "window_s": window_s, "used": is_used}
            decided.append(_decided(cut, clip, part, rate_hz, custom))
            used.append({"id": cut["id"], "used": is_used})
        write_cuts(out / name, decided)
        entries.append({"shard": shard["shard"], "rows": len(decided), "files": {name: file_identity(out / name)}})
    write_table(out / _USED_NAME, rows_to_table(sorted(used, key=lambda row: row["id"]), USED))
    header = {"stage": "trim", "rule": {**rule.model_dump(mode="json"), "window_s": window_s}}
    write_index(out, {**header, "files": {_USED_NAME: file_identity(out / _USED_NAME)}, "shards": entries})


def _indexed(table: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    return table, {clip_id: row for row, clip_id in enumerate(table["id"].to_pylist())}


def _redundant(status: pa.Table, facts: pa.Table, clips: pa.Table, clips_row: dict[str, int]) -> set[str]:
    """Return the copies that say nothing new: another clip with the same samples has the same labels and splits.

    A copy under other labels, or in another part of an official split, stays: which of the two is right is not known
    here, and a published test set keeps its size. The audit reports it.
    """
    copies = status.filter(pc.field("status") == "duplicate")["id"]
    samples = facts.filter(pc.is_in(facts["id"], copies))["pcm_sha256"]
    alike = facts.filter(pc.is_in(facts["pcm_sha256"], samples)).select(["id", "pcm_sha256"]).sort_by("id").to_pylist()
    seen: set[tuple[object, ...]] = set()
    redundant = set()
    for row in alike:
        clip = clips.slice(clips_row[row["id"]], 1).to_pylist()[0]
        key = (row["pcm_sha256"], *clip["labels"], *sorted(clip["splits"]))
        if key in seen:
            redundant.add(row["id"])
        seen.add(key)
    return redundant


def _part(facts: dict[str, Any], rule: TrimRule, window_s: float, rate_hz: int) -> tuple[int, int]:
    return decide_part(
        np.asarray(facts["envelope_db"], np.int8),
        facts["envelope_frame_s"],
        facts["num_samples"],
        rate_hz,
        mode=rule.mode,
        threshold_db=rule.threshold_db,
        margin_s=rule.margin_s,
        window_samples=round(window_s * rate_hz),
    )


def _decided(
    cut: dict[str, Any], clip: dict[str, Any], part: tuple[int, int], rate_hz: int, custom: dict[str, Any]
) -> dict[str, Any]:
    """Return a recording's cut as a lhotse MonoCut with the decided part, one supervision, and what was decided."""
    start, stop = part
    duration_s = (stop - start) / rate_hz
    supervision = {
        "id": cut["id"],
        "recording_id": cut["id"],
        "start": 0.0,
        "duration": duration_s,
        "channel": 0,
        "custom": {"labels": clip["labels"]},
    }
    declared = {key: clip[key] for key in ("group", "splits", "attributes")}
    return {
        **cut,
        "start": start / rate_hz,
        "duration": duration_s,
        "supervisions": [supervision],
        "custom": {**declared, **cut["custom"], **custom},
    }
