"""Bytes per hour of log-mel against its largest and mean error: our three types beside lilcom, HDF5 and npy.

Usage: python benchmarks/sizes.py

Sizes are those of whole files: names, statistics of the format and all. The errors are against the float32 log-mel, in dB.
lilcom stores what lhotse stores, natural logarithms, at lhotse's default tick.
"""

import json
import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import h5py
import lhotse
import numpy as np
import pyarrow.parquet as pq
from clips import CLIP_S, RATE_HZ, source, waves
from suite import OURS, Row, report

from audioprep.config.data import LogmelRule
from audioprep.console import show_table
from audioprep.dsp.features import feature_kernel
from audioprep.dsp.window import fit
from audioprep.io.feature_writer import METADATA_KEY, FeatureWriter, decoded, part_name

DTYPES = ("float32", "float16", "int8")
LILCOM, FLOAT32 = "lilcom, lhotse's tick", "npy float32"
DB_PER_NEPER = 10 / math.log(10)


class Stored(NamedTuple):
    """A way to store: what it takes and what it loses."""

    name: str
    megabytes_per_hour: float
    max_error_db: float
    mean_error_db: float


def log_mels() -> np.ndarray:
    """Return the log-mel [K, N, M], float32, of real clips."""
    kernel = feature_kernel("logmel", LogmelRule().model_dump(), RATE_HZ)
    return np.stack([kernel(fit(wave_T, round(CLIP_S * RATE_HZ))) for wave_T in waves()])


def ours(features_KNM: np.ndarray, folder: Path, dtype: str) -> np.ndarray:
    """Write a shard and return what is read back."""
    rule = LogmelRule(dtype=dtype).model_dump(mode="json")
    writer = FeatureWriter({"kind": "logmel", "rule": rule, "rate_hz": RATE_HZ, "window_s": CLIP_S})
    for number, features_NM in enumerate(features_KNM):
        writer.add(f"clip-{number}", features_NM)
    writer.write(0, folder)
    (folder / "stats.parquet").unlink()  # what training needs besides; the others have nothing like it
    table = pq.read_table(folder / part_name(0))
    return decoded(table, json.loads(table.schema.metadata[METADATA_KEY]))


def lilcom(features_KNM: np.ndarray, folder: Path) -> np.ndarray:
    """Write lhotse's lilcom archive and return what is read back."""
    with lhotse.LilcomChunkyWriter(folder / "feats") as writer:
        keys = [writer.write(str(number), one / DB_PER_NEPER) for number, one in enumerate(features_KNM)]
        reader = lhotse.features.io.get_reader(writer.name)(writer.storage_path)
    return np.stack([reader.read(key) for key in keys]) * DB_PER_NEPER


def hdf5(features_KNM: np.ndarray, folder: Path, compression: str | None) -> np.ndarray:
    """Write one HDF5 data set a clip, float32, plain or gzipped."""
    with h5py.File(folder / "feats.h5", "w") as file:
        for number, features_NM in enumerate(features_KNM):
            file.create_dataset(str(number), data=features_NM, compression=compression)
    return features_KNM


def npy(features_KNM: np.ndarray, folder: Path, dtype: str) -> np.ndarray:
    """Write one npy file a clip."""
    for number, features_NM in enumerate(features_KNM):
        np.save(folder / f"{number}.npy", features_NM.astype(dtype))
    return features_KNM.astype(dtype)


def stored(features_KNM: np.ndarray) -> list[Stored]:
    """Store the same log-mels in every way."""
    ways = {f"{OURS} {dtype}": (ours, dtype) for dtype in DTYPES}
    ways |= {LILCOM: (lilcom,), "HDF5 float32": (hdf5, None), "HDF5 float32, gzip": (hdf5, "gzip")}
    ways |= {FLOAT32: (npy, "float32"), "npy float16": (npy, "float16")}
    hours = len(features_KNM) * CLIP_S / 3600
    found = []
    for name, (write, *options) in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            error_KNM = np.abs(write(features_KNM, Path(folder), *options).astype(np.float64) - features_KNM)
            num_bytes = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        found.append(Stored(name, num_bytes / 1e6 / hours, float(error_KNM.max()), float(error_KNM.mean())))
    return found


def line(what: str, mine: str, peer: str, sizes: dict[str, float], target: float) -> Row:
    """Return the line that compares two sizes."""
    ratio = sizes[peer] / sizes[mine]
    others = {name: round(size, 2) for name, size in sizes.items() if name not in (mine, peer)}
    return Row(
        row=what,
        unit="MB/h",
        ours=round(sizes[mine], 2),
        best_peer=peer,
        peer=round(sizes[peer], 2),
        limit=None,
        ratio=round(ratio, 2),
        target=target,
        met=ratio >= target,
        others=others,
    )


def rows() -> list[Row]:
    """Measure, and print sizes and errors."""
    features_KNM = log_mels()
    found = stored(features_KNM)
    cells = [
        (one.name, f"{one.megabytes_per_hour:.1f}", f"{one.max_error_db:.4f}", f"{one.mean_error_db:.4f}")
        for one in found
    ]
    on = f"({len(features_KNM)} clips of {source()})"
    show_table(f"Log-mel {on}", ("stored as", "MB an hour", "largest error, dB", "mean error, dB"), cells)
    sizes = {one.name: one.megabytes_per_hour for one in found}
    return [
        line(f"log-mel as int8, size against lilcom {on}", f"{OURS} int8", LILCOM, sizes, 1.0),
        line(f"log-mel as float16, size against float32 {on}", f"{OURS} float16", FLOAT32, sizes, 2.0),
    ]


def main() -> None:
    """Measure and print."""
    report(rows())


if __name__ == "__main__":
    main()
