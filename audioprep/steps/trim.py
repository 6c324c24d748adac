"""Stage trim: decide the used part of each recording and how it is brought to the window, from the facts alone.

Reads    audio/ (facts and cuts, no audio), loudness/
Writes   cuts/cuts.NNNNNN.jsonl   lhotse cuts with start, duration, and custom fields gain_db, pad, window_s, used
"""

from typing import Any

import numpy as np

from audioprep.config.data import TrimRule
from audioprep.dsp.decide import decide_part
from audioprep.engine import file_sha256, fresh_folder, read_index, write_index
from audioprep.io.layout import Layout
from audioprep.io.shar import cuts_name, read_cuts, write_cuts
from audioprep.io.tables import read_table

_FACTS = ["id", "num_samples", "envelope_frame_s", "envelope_db"]


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
    facts = read_table(layout.audio / "facts.parquet", _FACTS)
    row_of = {recording_id: number for number, recording_id in enumerate(facts["id"].to_pylist())}
    out = fresh_folder(layout.cuts)
    entries = []
    for shard in (shard for shard in index["shards"] if shard["rows"]):
        name = cuts_name(shard["shard"])
        cuts = read_cuts(layout.shar / name)
        rows = facts.take([row_of[cut["id"]] for cut in cuts]).to_pylist()
        decided = [
            _decide(cut, row, gain_of[cut["id"]], rule, window_s, rate_hz) for cut, row in zip(cuts, rows, strict=True)
        ]
        write_cuts(out / name, decided)
        files = {name: {"bytes": (out / name).stat().st_size, "sha256": file_sha256(out / name)}}
        entries.append({"shard": shard["shard"], "rows": len(decided), "files": files})
    write_index(
        out, {"stage": "trim", "rule": {**rule.model_dump(mode="json"), "window_s": window_s}, "shards": entries}
    )


def _decide(
    cut: dict[str, Any], facts: dict[str, Any], gain_db: float, rule: TrimRule, window_s: float, rate_hz: int
) -> dict[str, Any]:
    start, stop = decide_part(
        np.asarray(facts["envelope_db"], np.int8),
        facts["envelope_frame_s"],
        facts["num_samples"],
        rate_hz,
        mode=rule.mode,
        threshold_db=rule.threshold_db,
        margin_s=rule.margin_s,
        window_samples=round(window_s * rate_hz),
    )
    duration_s = (stop - start) / rate_hz
    supervision = {**cut["supervisions"][0], "duration": duration_s}
    used = cut["custom"]["status"] not in rule.exclude
    return {
        **cut,
        "start": start / rate_hz,
        "duration": duration_s,
        "supervisions": [supervision],
        "custom": {**cut["custom"], "gain_db": gain_db, "pad": rule.pad, "window_s": window_s, "used": used},
    }
