"""The sound of suspicious pairs, beside the audit: whether two clips are one recording is best heard."""

from pathlib import Path
from typing import Any

from audioprep.io.audio import encode_flac
from audioprep.io.layout import Layout, sound_name
from audioprep.io.tables import read_table
from audioprep.steps.audit.alike import wave_loader

_FOLDER = "suspects"
# Enough to hear it; the report holds all of them.
_MAX_S = 10.0


def write_suspects(layout: Layout, audit: dict[str, Any], folder: Path) -> None:
    """Write the beginning of every clip of a suspicious pair as `suspects/<id>.flac`.

    Args:
        layout: Where the corpus lies.
        audit: What was found; its `suspects` are at most 20 pairs.
        folder: Where the audit lies.
    """
    wanted = {clip_id for pair in audit["suspects"] for clip_id in pair["ids"]}
    if not wanted:
        return
    # A pair may be known from published hashes alone, and its files be missing.
    ids = sorted(wanted & set(read_table(layout.audio / "facts.parquet", ["id"])["id"].to_pylist()))
    load_wave, rate_hz = wave_loader(layout)
    (folder / _FOLDER).mkdir()
    for clip_id in ids:
        flac = encode_flac(load_wave(clip_id)[: int(_MAX_S * rate_hz)], rate_hz)
        (folder / _FOLDER / sound_name(clip_id)).write_bytes(flac)
