"""Facts, decisions and splits for two million recordings of 10 s: seconds and memory of each step, in a process of its own.

Usage: python benchmarks/scale.py [--recordings N] [--keep FOLDER]

The corpus is generated, see generated.py: there is no audio, so that no suspicious pair is written to be heard, and there
are no fingerprints, so that near-duplicates are not searched for; benchmarks/duplicates.py measures that search. Of what
resample does with the facts of all recordings together, finding copies is measured.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from generated import write_corpus
from suite import Row, report
from watch import Taken, watch

from audioprep.config.data import LoudnessRule, SplitRule, TrimRule
from audioprep.console import say, show_table
from audioprep.io.layout import Layout
from audioprep.io.tables import read_table
from audioprep.steps import split as split_step
from audioprep.steps.card.page import card
from audioprep.steps.loudness import loudness
from audioprep.steps.statuses import mark_duplicates
from audioprep.steps.trim import trim

NUM_RECORDINGS, WINDOW_S = 2_000_000, 10.0
MAX_SECONDS, MAX_GB = 120.0, 4.0
# Those that the limits are for come first; the others are shown beside.
STEPS = ("duplicates", "loudness", "trim", "split grouped-5fold")
BESIDE = ("split official", "split grouped", "card")


def run_step(folder: Path, step: str) -> None:
    """Run one step on the generated corpus."""
    layout = Layout.in_folder("generated", folder)
    name, _, argument = step.partition(" ")
    if name == "duplicates":
        status = read_table(layout.audio / "status.parquet")
        mark_duplicates(status, read_table(layout.audio / "facts.parquet", ["id", "pcm_sha256"]))
    elif name == "loudness":
        loudness(layout, LoudnessRule())
    elif name == "trim":
        trim(layout, TrimRule(), WINDOW_S)
    elif name == "split":
        split_step.write_suspects = lambda *_: None  # there is no audio to write
        split_step.split(layout, argument, SplitRule(on_leak="warn"))
    else:
        card(layout)


def measure(folder: Path, num_recordings: int) -> dict[str, Taken]:
    """Return what each step takes; the corpus is generated where it is not there."""
    layout = Layout.in_folder("generated", folder)
    if not layout.audio.is_dir():
        write_corpus(layout, num_recordings)
    return {
        step: watch([sys.executable, __file__, "--step", step, "--keep", str(folder)]) for step in (*STEPS, *BESIDE)
    }


def rows(num_recordings: int = NUM_RECORDINGS, folder: Path | None = None) -> list[Row]:
    """Measure, print a table of the steps, and return the two lines: seconds of all, memory of the largest."""
    with tempfile.TemporaryDirectory() as temporary:
        taken = measure(folder or Path(temporary), num_recordings)
    columns = ("step", "wall s", "CPU s", "GB, all processes", "GB, parent", "GB, a worker")
    show_table(f"{num_recordings:,} recordings", columns, [_cells(step, found) for step, found in taken.items()])
    wall_s = sum(taken[step].wall_s for step in STEPS)
    peak_gb = max(taken[step].peak_bytes for step in STEPS) / 1e9
    what = f"copies, loudness, trim and split of {num_recordings:,} recordings, from their facts"
    others_s = {step: round(found.wall_s, 1) for step, found in taken.items()}
    others_gb = {step: round(found.peak_bytes / 1e9, 2) for step, found in taken.items()}
    return [
        _row(f"seconds: {what}", "s", wall_s, MAX_SECONDS, others_s),
        _row(f"memory: {what}", "GB", peak_gb, MAX_GB, others_gb),
    ]


def _row(name: str, unit: str, ours: float, allowed: float, others: dict[str, float]) -> Row:
    ratio = allowed / ours
    return Row(name, unit, round(ours, 2), "allowed", allowed, None, round(ratio, 2), 1.0, ratio >= 1.0, others)


def _cells(step: str, taken: Taken) -> tuple[str, ...]:
    sizes = (taken.peak_bytes, taken.parent_bytes, taken.worker_bytes)
    return (step, f"{taken.wall_s:.1f}", f"{taken.cpu_s:.1f}", *(f"{size / 1e9:.2f}" for size in sizes))


def main() -> None:
    """Measure all steps and put the lines into results.json, or run the one step that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=NUM_RECORDINGS)
    parser.add_argument("--keep", type=Path, help="folder of the generated corpus, used again if it is there")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        run_step(asked.keep, asked.step)
        return
    found = rows(asked.recordings, asked.keep)
    if asked.recordings == NUM_RECORDINGS:
        report(found)
    else:
        say(json.dumps([vars(row) for row in found], indent=1))


if __name__ == "__main__":
    main()
