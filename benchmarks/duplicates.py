"""How the search for near-duplicates grows: seconds and peak memory on made-up fingerprints, one process for each size.

`python benchmarks/duplicates.py [CLIPS ...]` prints a table. Words change from one to the next as those of field
recordings do; one clip in a hundred is a copy of another: a part of it, with wrong bits as an MP3 makes them.
"""

import resource
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa

from audioprep.console import show_table
from audioprep.steps.splits.duplicates import near_duplicates

SIZES = (10_000, 100_000, 1_000_000)
CLIP_WORDS = 200  # 2 s
BLOCK_CLIPS = 10_000
COPIES_PERCENT, KEPT_WORDS = 1, 140
# Of the lowest and of the highest band; measured on field recordings at 128 kbit/s, cut between two words.
WRONG_BITS = (0.08, 0.22)
# Share of bits that change in 10 ms; neighbouring words describe overlapping sound.
CHANGING_BITS = 0.2


def random_bits(rng: np.random.Generator, num_words: int, probability: np.ndarray) -> np.ndarray:
    """Return words whose bits are set with a probability for each of 32 bits, lowest band first."""
    words = np.zeros(num_words, np.uint32)
    for bit, chance in enumerate(probability):
        words |= (rng.random(num_words, np.float32) < chance).astype(np.uint32) << np.uint32(31 - bit)
    return words


def fingerprints(num_clips: int) -> tuple[pa.LargeListArray, int]:
    """Return made-up fingerprints, of which the last ones are copies of the first, and how many are."""
    rng = np.random.default_rng(num_clips)
    num_copies = num_clips * COPIES_PERCENT // 100
    num_whole = num_clips - num_copies
    lengths = np.where(np.arange(num_clips) < num_whole, CLIP_WORDS, KEPT_WORDS)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.empty(offsets[-1], np.uint32)
    for first in range(0, num_whole, BLOCK_CLIPS):
        block = values[offsets[first] : offsets[min(first + BLOCK_CLIPS, num_whole)]].reshape(-1, CLIP_WORDS)
        changes = random_bits(rng, block.size, np.full(32, CHANGING_BITS)).reshape(block.shape)
        np.bitwise_xor.accumulate(changes, axis=1, out=block)
    start = int(rng.integers(0, CLIP_WORDS - KEPT_WORDS))
    kept = values[: num_copies * CLIP_WORDS].reshape(-1, CLIP_WORDS)[:, start : start + KEPT_WORDS].ravel()
    values[offsets[num_whole] :] = kept ^ random_bits(rng, kept.size, np.linspace(*WRONG_BITS, 32))
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(values)), num_copies


def measure(num_clips: int) -> None:
    """Search once and print clips, seconds, peak memory in MB, and the share of copies found."""
    made, num_copies = fingerprints(num_clips)
    ids = [f"{row:09d}" for row in range(num_clips)]
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started_s = time.perf_counter()
    pairs = near_duplicates(ids, made)
    taken_s = time.perf_counter() - started_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    true = {(row, num_clips - num_copies + row) for row in range(num_copies)}
    found = {(pair.a, pair.b) for pair in pairs}
    print(
        num_clips,
        f"{taken_s:.1f}",
        f"{before_mb:.0f}",
        f"{peak_mb:.0f}",
        len(found & true) / num_copies,
        len(found - true),
    )


def main() -> None:
    """Measure every size in a process of its own, so that its peak memory is its own."""
    sizes = [int(argument) for argument in sys.argv[1:]] or list(SIZES)
    if len(sizes) == 1:
        measure(sizes[0])
        return
    rows = []
    for size in sizes:
        done = subprocess.run([sys.executable, __file__, str(size)], check=True, capture_output=True, text=True)
        rows.append(done.stdout.split())
    show_table(
        f"Search for near-duplicates among clips of {CLIP_WORDS / 100:g} s",
        ("clips", "s", "MB before", "MB at most", "copies found", "false pairs"),
        rows,
    )


if __name__ == "__main__":
    main()
