"""Memory as clips grow: archives of 1,000, 10,000 and 100,000 short clips through `audioprep prepare`, from zip to splits.

Usage: python benchmarks/growth.py [--largest N]

The clips are generated: half a second at 8 kHz each, a tone and noise under an envelope of its own, named as the recipe
`fsdd` wants them. The last size takes some ten minutes on two cores and 4 GB of disk.
"""

import argparse
import io
import sys
import tempfile
import wave
import zipfile
from pathlib import Path

import numpy as np
from suite import Row, report
from watch import Taken, watch

from audioprep.console import show_table

SIZES = (1_000, 10_000, 100_000)
RATE_HZ, DURATION_S, NUM_STEPS = 8_000, 0.5, 10
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
# Memory counts as flat where a hundred times as many clips need at most twice as much.
MAX_GROWTH = 2.0
_PREPARE = ("-c", "from audioprep.cli import main; main()", "prepare", "fsdd")


def clip(number: int) -> bytes:
    """Return one clip as a WAV file: the same for the same number."""
    rng = np.random.default_rng(number)
    num_samples = round(DURATION_S * RATE_HZ)
    tone_T = np.sin(2 * np.pi * rng.uniform(100, 3000) / RATE_HZ * np.arange(num_samples))
    envelope_T = np.repeat(rng.uniform(0.05, 0.5, NUM_STEPS), num_samples // NUM_STEPS)
    wave_T = envelope_T * (tone_T + rng.uniform(-1, 1, num_samples))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, RATE_HZ, num_samples, "NONE", ""))
        file.writeframes((wave_T * 32_767).astype("<i2").tobytes())
    return buffer.getvalue()


def write_archive(path: Path, num_clips: int) -> None:
    """Write a zip of so many clips."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(num_clips):
            name = f"recordings/{number % 10}_{SPEAKERS[number // 10 % 6]}_{number // 60}.wav"
            archive.writestr(zipfile.ZipInfo(name), clip(number))


def measure(num_clips: int) -> Taken:
    """Return what `audioprep prepare` takes for so many clips."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "clips.zip")
        write_archive(archive, num_clips)
        command = [sys.executable, *_PREPARE, "--archive", str(archive), "--out", str(Path(folder, "out"))]
        return watch(command, cwd=folder)


def rows(largest: int = SIZES[-1]) -> list[Row]:
    """Measure every size up to the largest, print a table, and return the line: memory of the largest and the smallest."""
    sizes = [size for size in SIZES if size <= largest]
    taken = {size: measure(size) for size in sizes}
    columns = ("clips", "s", "wall ms a clip", "CPU ms a clip", "MB, parent", "MB, a worker", "MB, all processes")
    show_table("audioprep prepare, from zip to splits", columns, [_cells(size, taken[size]) for size in sizes])
    first_mb, last_mb = (round(taken[size].peak_bytes / 1e6, 1) for size in (sizes[0], sizes[-1]))
    others = {f"{size:,} clips": round(found.peak_bytes / 1e6, 1) for size, found in taken.items()}
    ratio, target = first_mb / last_mb, 1 / MAX_GROWTH
    what = f"memory of `prepare`, all processes: {sizes[-1]:,} clips beside {sizes[0]:,}"
    return [
        Row(
            what, "MB", last_mb, f"{sizes[0]:,} clips", first_mb, None, round(ratio, 2), target, ratio >= target, others
        )
    ]


def _cells(size: int, taken: Taken) -> tuple[str, ...]:
    times = (f"{taken.wall_s:.1f}", f"{1e3 * taken.wall_s / size:.2f}", f"{1e3 * taken.cpu_s / size:.2f}")
    megabytes = (taken.parent_bytes, taken.worker_bytes, taken.peak_bytes)
    return (f"{size:,}", *times, *(f"{num_bytes / 1e6:.0f}" for num_bytes in megabytes))


def main() -> None:
    """Measure and put the line into results.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="stop at this size")
    report(rows(parser.parse_args().largest))


if __name__ == "__main__":
    main()
