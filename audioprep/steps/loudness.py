"""Stage loudness: decide one gain per recording, from the facts alone.

Reads    audio/facts.parquet
Writes   loudness/gains.parquet   id, gain_db, and what decided it
"""

import math

from audioprep.config.data import LoudnessRule
from audioprep.dsp.decide import decide_gain
from audioprep.engine import fresh_folder
from audioprep.errors import ShardError
from audioprep.io.layout import Layout
from audioprep.io.tables import GAINS, read_table, rows_to_table, write_table

_LEVELS = ("loudness_lufs", "rms_db", "peak_db", "true_peak_db", "attenuation_db")


def loudness(layout: Layout, rule: LoudnessRule) -> None:
    """Decide and write the gains of a corpus.

    Args:
        layout: Where the corpus lies.
        rule: Mode, target and limits.

    Raises:
        ShardError: The facts are missing or damaged.
    """
    settings = rule.model_dump()
    rows = []
    for row in read_table(layout.audio / "facts.parquet", ["id", *_LEVELS]).to_pylist():
        recording_id = row.pop("id")
        gain_db, reason = decide_gain(**row, **settings)
        if not math.isfinite(gain_db):
            raise ShardError(f"{recording_id}: expected a finite gain, got {gain_db}; run the resample stage again")
        rows.append({"id": recording_id, "gain_db": gain_db, "reason": reason})
    out = fresh_folder(layout.loudness)
    write_table(out / "gains.parquet", rows_to_table(rows, GAINS))
