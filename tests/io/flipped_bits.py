"""Flip bits of one small feature shard and read it; print those after which other values come than were written.

Usage: python flipped_bits.py DTYPE FOLDER     writes a JSON list of (byte, bit) on stdout
"""

import json
import random
import sys
from pathlib import Path

import numpy as np

from audioprep.errors import ShardError
from audioprep.io.feature_reader import FeatureShards
from audioprep.io.feature_writer import FeatureWriter, part_name

# Each bit is flipped now and then; all of them take ten seconds.
NUM_FLIPS = 2000
CLIPS_KNM = np.random.default_rng(0).normal(0, 10, (6, 5, 3)).astype(np.float32)


def read(folder: Path) -> tuple[list[str], np.dtype, bytes]:
    shards = FeatureShards(folder)
    values_KNM = shards.values(np.arange(len(shards)))
    return shards.ids, values_KNM.dtype, values_KNM.tobytes()


def wrong_flips(folder: Path) -> list[tuple[int, int]]:
    path = folder / part_name(0)
    data, written, wrong = bytearray(path.read_bytes()), read(folder), []
    every = [(place, bit) for place in range(len(data)) for bit in range(8)]
    for place, bit in random.Random(0).sample(every, NUM_FLIPS):
        data[place] ^= 1 << bit
        path.write_bytes(data)
        data[place] ^= 1 << bit
        try:
            if read(folder) != written:
                wrong.append((place, bit))
        except ShardError:
            pass
    return wrong


def main() -> None:
    dtype, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir()
    writer = FeatureWriter({"kind": "logmel", "rate_hz": 16000, "window_s": 1.0, "rule": {"dtype": dtype}})
    for number, clip_NM in enumerate(CLIPS_KNM):
        writer.add(f"clip{number}", clip_NM)
    writer.write(0, folder)
    (folder / "_index.json").write_text("{}")
    print(json.dumps(wrong_flips(folder)))


if __name__ == "__main__":
    main()
