"""The split stage on tables of AudioSet's size: 2.06 million clips, 527 classes, several labels each. Seconds and memory.

Usage: python benchmarks/audit.py [NUM_CLIPS]     the tables are generated; every split is made in a process of its own

No audio is read and no fingerprints are compared: this is the table part (groups, hashes, splits, balance, conflicts).
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from audioprep.config.data import SplitRule
from audioprep.console import say, show_table
from audioprep.io.layout import Layout
from audioprep.io.ledger import write_ledger
from audioprep.io.tables import CLIPS, FACTS, FINGERPRINTS, STATUS, USED, write_table
from audioprep.steps import split as stage

NUM_CLIPS, NUM_CLASSES, NUM_TEST = 2_084_320, 527, 20_371
PLANTED, NUM_MISSING_PERCENT = 1_000, 5
SPLITS = ("official", "grouped", "grouped-5fold")


def write_tables(layout: Layout, num_clips: int) -> None:
    """Write what the split stage reads: Zipf's classes, one to four labels, groups of a few clips, planted copies."""
    rng = np.random.default_rng(0)
    rows = np.arange(num_clips)
    ids = pa.array([f"Y{row * 2_654_435_761 % 2**40:011x}" for row in rows.tolist()])
    popularity = 1 / np.arange(1, NUM_CLASSES + 1)
    counts = rng.integers(1, 5, num_clips)
    labels = rng.choice(NUM_CLASSES, counts.sum(), p=popularity / popularity.sum())
    names = pa.array([f"class {number}" for number in range(NUM_CLASSES)]).take(pa.array(labels))
    bounds = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    group = pa.array([f"g{number}" for number in rng.integers(0, num_clips, num_clips).tolist()])
    part = pa.array(["test", "train"]).take(pa.array((rows >= min(NUM_TEST, num_clips // 10)).astype(int)))
    splits = pa.MapArray.from_arrays(
        pa.array(np.arange(num_clips + 1), pa.int32()), pa.array(["official"] * num_clips), part
    )
    columns = {
        "id": ids,
        "member": ids,
        "labels": pa.ListArray.from_arrays(bounds, names),
        "group": group,
        "splits": splits,
    }
    _write(layout.raw / "clips.parquet", CLIPS, columns)
    about = {"splits": {"official": {"about": "generated", "sizes": None, "known": {}, "shares_groups": ""}}}
    write_ledger(layout, {"sources": []}, about)
    is_there = rng.integers(0, 100, num_clips) >= NUM_MISSING_PERCENT
    status = pa.array(["missing", "ok"]).take(pa.array(is_there.astype(int)))
    _write(layout.audio / "status.parquet", STATUS, {"id": ids, "member": ids, "status": status})
    _write(layout.cuts / "_used.parquet", USED, {"id": ids, "used": pa.array(is_there)})
    content = rows.copy()
    content[rng.integers(0, num_clips, PLANTED)] = rng.integers(0, num_clips, PLANTED)
    hashes = pa.array([f"{number:064x}" for number in content.tolist()])
    facts = {
        "id": ids,
        "file_sha256": hashes,
        "pcm_sha256": hashes,
        "source_rate_hz": pa.array(np.full(num_clips, 44_100), pa.int32()),
        "duration_s": pa.array(np.full(num_clips, 10.0)),
        "loudness_lufs": pa.array(rng.normal(-25, 6, num_clips)),
        "clipped_fraction": pa.array(np.zeros(num_clips)),
        "bandwidth_hz": pa.array(rng.uniform(2_000, 8_000, num_clips)),
    }
    _write(layout.audio / "facts.parquet", FACTS, facts)
    write_table(layout.audio / "fingerprints.parquet", FINGERPRINTS.empty_table())


def _write(path: Path, schema: pa.Schema, columns: dict[str, pa.Array]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    num_rows = len(columns["id"])
    arrays = [columns.get(field.name, pa.nulls(num_rows, field.type)) for field in schema]
    write_table(path, pa.table(arrays, schema=schema))


def measure(layout: Layout, name: str) -> None:
    """Make one split and print what it took, as JSON."""
    stage.write_suspects = lambda *_: None  # there is no audio to write
    started_s = time.perf_counter()
    stage.split(layout, name, SplitRule(on_leak="warn"))
    seconds = time.perf_counter() - started_s
    audit = json.loads((layout.splits / "audit.json").read_text(encoding="utf-8"))
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"split": name, "seconds": seconds, "gib": gib, "counts": audit["counts"]}))


def main() -> None:
    """Generate the tables and print a row for each split."""
    arguments = sys.argv[1:]
    if len(arguments) == 2:
        measure(Layout.in_folder("generated", Path(arguments[0])), arguments[1])
        return
    num_clips = int(arguments[0]) if arguments else NUM_CLIPS
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Layout.in_folder("generated", Path(folder)), num_clips)
        rows = []
        for name in SPLITS:
            command = [sys.executable, __file__, folder, name]
            *said, last = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
            for line in said:
                say(line)
            found = json.loads(last)
            kinds = ", ".join(
                f"{count['num_findings']:,} {count['kind']} {count['scope']}" for count in found["counts"]
            )
            rows.append((name, f"{found['seconds']:.1f}", f"{found['gib']:.2f}", kinds))
    show_table(f"{num_clips:,} clips, {NUM_CLASSES} classes", ("split", "seconds", "peak GiB", "findings"), rows)


if __name__ == "__main__":
    main()
