"""Which clips sound alike: found once by the split stage, kept beside its splits, and read again for the audit of others."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.engine import check_file, checked_file, listed_sha256, read_index, shard_of
from audioprep.io.audio import decode_stored
from audioprep.io.layout import Layout
from audioprep.io.shar import read_recording, tar_name
from audioprep.io.tables import read_table, write_table
from audioprep.steps.splits.clips import Clips

Alike = list[tuple[int, int, float]]

ALIKE = pa.schema([("id", pa.string()), ("other_id", pa.string()), ("similarity", pa.float64())])
# The underscore keeps it out of what reads the folder as splits.
_NAME = "_near_duplicates.parquet"


def find_alike(layout: Layout, clips: Clips) -> Alike:
    """Return pairs of clips that sound alike, as rows of `clips`, and how much: from their fingerprints, and few waves."""
    from audioprep.steps.splits.duplicates import near_duplicates  # scipy takes a second, and not every audit needs it

    table = read_table(checked_file(layout.audio, "fingerprints.parquet"))
    row_of = pc.index_in(table["id"].combine_chunks(), value_set=clips.table["id"].combine_chunks())
    rows = pc.fill_null(row_of, -1).to_numpy(zero_copy_only=False)
    is_heard = (rows >= 0) & clips.is_heard_K[rows]
    table, rows = table.filter(pa.array(is_heard)), rows[is_heard]
    pairs = near_duplicates(table["id"].to_pylist(), table["fingerprint"], *wave_loader(layout))
    return [(int(rows[pair.a]), int(rows[pair.b]), pair.similarity) for pair in pairs]


def wave_loader(layout: Layout) -> tuple[Callable[[str], npt.NDArray[np.float32]], int]:
    """Return what loads a stored recording by its id, and the rate of all, Hz."""
    index, sha256_of = read_index(layout.audio), listed_sha256(layout.audio)

    @cache
    def tar_of(shard: int) -> Path:
        name = f"shar/{tar_name(shard)}"
        return check_file(layout.audio, name, sha256_of.get(name))

    def load_wave(clip_id: str) -> npt.NDArray[np.float32]:
        return decode_stored(read_recording(tar_of(shard_of(clip_id, index["num_shards"])), clip_id))

    return load_wave, index["rule"]["rate_hz"]


def write_alike(folder: Path, clips: Clips, alike: Alike) -> None:
    """Write the pairs beside the splits."""
    ids = clips.table["id"]
    ordered = sorted(alike)
    rows = np.array([pair[:2] for pair in ordered], np.int64).reshape(-1, 2)
    columns = [ids.take(pa.array(column)) for column in rows.T]
    similarity = pa.array([round(similarity, 6) for *_, similarity in ordered], pa.float64())
    write_table(folder / _NAME, pa.table([*columns, similarity], schema=ALIKE))


def read_alike(layout: Layout, clips: Clips) -> Alike:
    """Return the pairs that the split stage found, or find them where it has not run."""
    path = layout.splits / _NAME
    if not path.is_file():
        return find_alike(layout, clips)
    table = read_table(path)
    ids = clips.table["id"].combine_chunks()
    rows = [pc.index_in(table[name].combine_chunks(), value_set=ids) for name in ("id", "other_id")]
    found = zip(*(column.to_pylist() for column in rows), table["similarity"].to_pylist(), strict=True)
    return [(a, b, similarity) for a, b, similarity in found if a is not None and b is not None]
