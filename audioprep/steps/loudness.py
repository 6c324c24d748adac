"""Stage loudness: decide one gain per recording, from the facts alone.

Reads    audio/facts.parquet
Writes   loudness/gains.parquet   id, gain_db, and what decided it
"""

import numpy as np
import pyarrow as pa

from audioprep.config.data import LoudnessRule
from audioprep.dsp.decide import decide_gains
from audioprep.engine import checked_file, fresh_folder
from audioprep.errors import ShardError
from audioprep.io.layout import Layout
from audioprep.io.tables import GAINS, read_table, write_table

_LEVELS = ("loudness_lufs", "rms_db", "peak_db", "true_peak_db", "attenuation_db")


def loudness(layout: Layout, rule: LoudnessRule) -> None:
    """Decide and write the gains of a corpus.

    Args:
        layout: Where the corpus lies.
        rule: Mode, target and limits.

    Raises:
        ShardError: The facts are missing or damaged.
    """
    facts = read_table(checked_file(layout.audio, "facts.parquet"), ["id", *_LEVELS]).combine_chunks()
    levels = {name: facts[name].to_numpy() for name in _LEVELS}  # null is NaN
    gain_K, reason_K = decide_gains(**levels, **rule.model_dump())
    wrong = np.flatnonzero(~np.isfinite(gain_K))
    if len(wrong):
        row = int(wrong[0])
        raise ShardError(f"{facts['id'][row]}: expected a finite gain, got {gain_K[row]}; run the resample stage again")
    out = fresh_folder(layout.loudness)
    gains = [facts["id"].combine_chunks(), pa.array(gain_K), pa.array(reason_K, pa.string())]
    write_table(out / "gains.parquet", pa.table(gains, schema=GAINS))
