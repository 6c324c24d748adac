"""From one worker to two, and what that means for a corpus of AudioSet's size, on paper (scaling.md beside this file).

Ours is the audio pass and the features of real clips by two workers, the peer is the same by one. What it takes to start
the workers is measured by itself and shown apart: it is paid once a stage, not once a clip.
"""

import itertools
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clips
import numpy as np
from suite import Row, median_ratio, report, seconds

from audioprep.config.data import DataParams, RecipeRule
from audioprep.config.engine import WORKERS_VARIABLE, EngineRule
from audioprep.engine import ShardTask, auto_num_shards, fingerprint, read_index, run_shards
from audioprep.io.layout import Layout
from audioprep.io.places import source_places
from audioprep.steps.download import download
from audioprep.steps.features import features
from audioprep.steps.loudness import loudness
from audioprep.steps.resample import resample
from audioprep.steps.trim import trim

PLAN = Path(__file__).resolve().parent / "scaling.md"
# As many clips as ESC-50 has, in as many shards as it would get.
NUM_CLIPS, ROUNDS, TARGET = 2000, 3, 1.8
KINDS = ("logmel", "mfcc")
SERIAL = EngineRule(engine="serial")
# AudioSet: its three sets have 2,041,789 + 22,160 + 20,371 segments of 10 s.
PLANNED_CLIPS, PLANNED_CLIP_S = 2_084_320, 10.0


def as_another(wav: bytes, number: int) -> bytes:
    """Return a 16-bit WAV with other last samples: copies of a clip would be left out."""
    return wav[:-64] + np.random.default_rng(number).integers(-9000, 9000, 32, np.int16).astype("<i2").tobytes()


class Corpus:
    """Real clips as WAV files in a folder, prepared as far as the cuts."""

    def __init__(self, folder: Path) -> None:
        self.root, self.params = folder / "corpus", DataParams()
        for label in "ab":
            (self.root / label).mkdir(parents=True)
        self.num_clips = NUM_CLIPS
        for number, file in enumerate(itertools.islice(itertools.cycle(clips.wavs(NUM_CLIPS)), NUM_CLIPS)):
            (self.root / "ab"[number % 2] / f"{number:04d}.wav").write_bytes(as_another(file, number))
        self.layout = Layout.in_folder("scaling", folder / "out")
        rule = {"recipe": "folder", "root": str(self.root), "window_s": clips.CLIP_S, "split": "grouped-2fold"}
        download(self.layout, RecipeRule.model_validate(rule))
        self.places = source_places(self.layout, str(self.root))
        self.audio(SERIAL)
        loudness(self.layout, self.params.loudness)
        trim(self.layout, self.params.trim, clips.CLIP_S)

    def audio(self, engine: EngineRule) -> None:
        """Make the audio shards from nothing."""
        shutil.rmtree(self.layout.audio, ignore_errors=True)
        resample(self.layout, self.places, self.params.resample, engine=engine)

    def features(self, kind: str, engine: EngineRule) -> None:
        """Make the feature shards of one kind from nothing."""
        shutil.rmtree(self.layout.features(kind), ignore_errors=True)
        features(self.layout, kind, self.params.features, engine)

    def bytes_of(self, folder: Path) -> int:
        """Return the size of a folder's shards."""
        return sum(file["bytes"] for shard in read_index(folder)["shards"] for file in shard["files"].values())


def nothing(_arguments: Any, _out: Path) -> int:
    """Make an empty shard: what is left is the start of the workers and their imports."""
    from audioprep.steps import features, resample  # noqa: F401

    return 0


@contextmanager
def workers(count: int) -> Iterator[EngineRule]:
    """Use so many processes; one is this process."""
    before = os.environ.get(WORKERS_VARIABLE)
    os.environ[WORKERS_VARIABLE] = str(count)
    try:
        yield EngineRule()
    finally:
        os.environ.pop(WORKERS_VARIABLE) if before is None else os.environ.update({WORKERS_VARIABLE: before})


def start_up(folder: Path) -> None:
    """Start two workers, which import what a stage imports, and end them."""
    with workers(2) as engine:
        tasks = [ShardTask(number, fingerprint(number), None) for number in range(2)]
        run_shards(tasks, nothing, folder / "nothing", label="nothing", engine=engine)
    shutil.rmtree(folder / "nothing")


def measured(corpus: Corpus, folder: Path) -> tuple[dict[str, dict[int, list[float]]], list[float]]:
    """Return the seconds of each part by number of workers, a value a round, and of starting the workers."""
    parts = {"audio": corpus.audio, **{kind: lambda engine, k=kind: corpus.features(k, engine) for kind in KINDS}}
    times: dict[str, dict[int, list[float]]] = {part: {1: [], 2: []} for part in parts}
    starts = []
    for _ in range(ROUNDS):
        starts.append(seconds(lambda: start_up(folder)))
        for part, make in parts.items():
            for count in (1, 2):
                with workers(count) as engine:
                    times[part][count].append(seconds(lambda make=make, engine=engine: make(engine)))
    return times, starts


def rows() -> list[Row]:
    """Measure, and write the plan."""
    with tempfile.TemporaryDirectory() as name:
        corpus = Corpus(Path(name))
        times, starts = measured(corpus, Path(name))
        sizes = {"audio": corpus.bytes_of(corpus.layout.audio)}
        sizes |= {kind: corpus.bytes_of(corpus.layout.features(kind)) for kind in KINDS}
    one, two = ([sum(values) for values in zip(*(times[p][n] for p in times), strict=True)] for n in (1, 2))
    at_work = [seconds - len(times) * start for seconds, start in zip(two, starts, strict=True)]
    ratio = median_ratio(one, at_work)
    per_clip = 1e3 / corpus.num_clips
    taken_s = {part: statistics.median(counts[1]) for part, counts in times.items()}
    write_plan(corpus.num_clips, taken_s, sizes, ratio, starts)
    return [
        Row(
            row=f"scaling 1 -> 2 workers, {clips.source()}, audio pass + log-mel + MFCC",
            unit="ms",
            ours=round(per_clip * statistics.median(at_work), 3),
            best_peer="1 worker",
            peer=round(per_clip * statistics.median(one), 3),
            limit=round(per_clip * statistics.median(one) / 2, 3),
            ratio=round(ratio, 2),
            target=TARGET,
            met=ratio >= TARGET,
            others={
                "start of two workers, once a stage": round(1e3 * statistics.median(starts), 1),
                "start included": round(per_clip * statistics.median(two), 3),
            },
        )
    ]


def write_plan(
    num_clips: int, taken_s: dict[str, float], sizes: dict[str, int], ratio: float, starts: list[float]
) -> None:
    """Write the plan for AudioSet's size, with the rates measured just now."""
    hours = num_clips * clips.CLIP_S / 3600
    planned_hours = PLANNED_CLIPS * PLANNED_CLIP_S / 3600
    num_shards = auto_num_shards(PLANNED_CLIPS)
    lines = [
        f"| {part} | {taken_s[part] / hours:.1f} | {taken_s[part] / hours * planned_hours / 3600:,.1f} | "
        f"{sizes[part] / hours / 1e6:.1f} | {sizes[part] / hours * planned_hours / 1e9:,.0f} | "
        f"{sizes[part] / hours * planned_hours / num_shards / 1e6:.0f} |"
        for part in taken_s
    ]
    core_hours = sum(taken_s.values()) / hours * planned_hours / 3600
    seconds_a_shard = core_hours * 3600 / num_shards
    walls = [
        f"| {cores} | {core_hours / cores * 60:,.0f} min | {num_shards / cores:,.0f} |" for cores in (2, 16, 64, 256)
    ]
    text = f"""# A corpus of AudioSet's size, on paper

Written by `python benchmarks/scaling.py` from rates measured on {num_clips} clips of {clips.CLIP_S:g} s ({clips.source()},
44.1 kHz WAV in, one worker, one thread). Nothing of this size was run.

    hours       = {PLANNED_CLIPS:,} clips x {PLANNED_CLIP_S:g} s / 3600 = {planned_hours:,.0f}
    shards      = auto_num_shards({PLANNED_CLIPS:,}) = {num_shards:,}, {PLANNED_CLIPS / num_shards:.0f} clips in each
    core-hours  = hours x seconds per hour of audio / 3600
    bytes       = hours x bytes per hour of audio
    wall time   = core-hours / cores, as long as there are many more shards than cores

| part | s per hour of audio | core-hours | MB per hour of audio | GB | MB a shard |
| --- | --- | --- | --- | --- | --- |
{chr(10).join(lines)}

Together {core_hours:,.1f} core-hours; a shard is {seconds_a_shard:.0f} s of work in all parts, so what a dead worker loses is
seconds. Two workers did {ratio:.2f} times the work of one here, and starting them took {statistics.median(starts):.1f} s a stage.

| cores | wall time at full use | shards a core |
| --- | --- | --- |
{chr(10).join(walls)}

What is not in these figures: reading the archives (compressed video sound needs ffmpeg, which takes longer than WAV),
a file system that serves all cores at once (at 256 cores about {sizes["audio"] / hours * planned_hours / (core_hours / 256 * 3600) / 1e6:,.0f} MB/s are written),
and the parts that one process does: decisions, splits, the audit, and hashing shards that are taken over.
"""
    PLAN.write_text(text, encoding="utf-8")


def main() -> None:
    """Print the table, put the line into results.json and write the plan."""
    report(rows())


if __name__ == "__main__":
    main()
