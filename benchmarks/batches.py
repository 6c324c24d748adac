"""From shards to shuffled, normalised torch batches: the first epoch, later ones, and a set larger than the memory allowed.

Log-mel matrices of real clips, repeated under new ids, are written in every contestant's own format. All files are in the
page cache, each contestant has one thread (ours works without the one that reads ahead), and core-seconds are counted.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

import datasets
import lhotse
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import webdataset
from clips import CLIP_S, RATE_HZ, source, waves
from lhotse.dataset import SimpleCutSampler
from lhotse.dataset.input_strategies import PrecomputedFeatures
from suite import OURS, Row, compared, cpu_seconds, report, take_turns
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from audioprep.config.data import LogmelRule
from audioprep.dsp.features import feature_kernel
from audioprep.engine import write_index
from audioprep.io.feature_writer import SHARD_STATS_NAME, STATS_NAME, FeatureWriter, merge_stats
from audioprep.model.batches import open_batches

NUM_CLIPS, NUM_SHARDS, BATCH, BUFFER, ROUNDS = 4000, 8, 64, 1000, 5
KIND = "logmel"
# Shown beside: who knows shape and type can do without what makes a .npy file one.
BY_HAND = "WebDataset, .npy read by hand"

Epoch = Callable[[], None]


class Clips:
    """The clips: ids, stored values [K, N, M], float16, and the normalisation of their bins."""

    def __init__(self, num_clips: int) -> None:
        kernel = feature_kernel(KIND, LogmelRule().model_dump(), RATE_HZ)
        length = round(CLIP_S * RATE_HZ)
        some = [kernel(np.pad(wave_T, (0, length - len(wave_T)))) for wave_T in waves(400)]
        self.ids = [f"clip-{row:06d}" for row in range(num_clips)]
        self.values_KNM = np.stack(some).astype(np.float16)[np.arange(num_clips) % len(some)]
        mean_M, std_M = (f(np.stack(some), axis=(0, 1), dtype=np.float64) for f in (np.mean, np.std))
        self.scale_M, self.shift_M = (torch.from_numpy(x.astype(np.float32)) for x in (1 / std_M, -mean_M / std_M))
        self.epoch = 0

    def normalised(self, x_BNM: Tensor) -> Tensor:
        """Return float32, normalised, in two passes: the fastest way that torch has, for every peer."""
        x_BNM = x_BNM.reshape(-1, *self.values_KNM.shape[1:]).float()
        return torch.addcmul(self.shift_M, x_BNM, self.scale_M, out=x_BNM)

    def use(self, batches: Iterator[Tensor]) -> None:
        """Go through one epoch and see that it is whole."""
        seen = sum(len(x_BNM) for x_BNM in batches)
        if seen != len(self.ids):
            raise SystemExit(f"expected {len(self.ids)} clips in an epoch, got {seen}")

    def next_epoch(self) -> int:
        """Return a new number, so that no order comes twice."""
        self.epoch += 1
        return self.epoch


def write_corpus(clips: Clips, data: Path) -> None:
    """Write the clips as feature shards, with statistics and a split, as the stages do."""
    folder = data / KIND
    folder.mkdir(parents=True)
    meta = {"kind": KIND, "rule": LogmelRule().model_dump(), "rate_hz": RATE_HZ, "window_s": CLIP_S}
    stats = []
    for shard in range(NUM_SHARDS):
        writer = FeatureWriter(meta)
        for row in range(shard, len(clips.ids), NUM_SHARDS):
            writer.add(clips.ids[row], clips.values_KNM[row].astype(np.float32))
        writer.write(shard, folder)
        stats.append((folder / SHARD_STATS_NAME).rename(data / f"stats-{shard}.parquet"))
    merge_stats(stats, folder / STATS_NAME)
    write_index(folder, {**meta, "files": {}, "shards": []})
    labels = pa.array([[f"class-{row % 10}"] for row in range(len(clips.ids))], pa.list_(pa.string()))
    table = pa.table({"id": clips.ids, "labels": labels, "fold1": ["train"] * len(clips.ids)})
    about = json.dumps({"labels": [f"class-{number}" for number in range(10)]})
    (data / "splits").mkdir()
    pq.write_table(table.replace_schema_metadata({"audioprep": about}), data / "splits" / "all.parquet")


def ours(clips: Clips, data: Path, **settings: Any) -> tuple[Epoch, Epoch]:
    """Return the first epoch, from nothing, and a later one."""
    opened: list[Any] = []

    def first() -> None:
        opened[:] = [open_batches(data, KIND, batch_size=BATCH, read_ahead=0, **settings)]
        later()

    def later() -> None:
        clips.use(batch.features for batch in opened[0])

    return first, later


def memmap(clips: Clips, folder: Path) -> tuple[Epoch, Epoch]:
    """Return the limit: one array in one file."""
    np.save(folder / "all.npy", clips.values_KNM)
    opened: list[Any] = []

    def first() -> None:
        opened[:] = [np.load(folder / "all.npy", mmap_mode="r")]
        later()

    def later() -> None:
        order = np.random.default_rng(clips.next_epoch()).permutation(len(clips.ids))
        parts = (order[start : start + BATCH] for start in range(0, len(order), BATCH))
        clips.use(clips.normalised(torch.from_numpy(opened[0][part])) for part in parts)

    return first, later


def webdataset_peer(clips: Clips, folder: Path, *, by_hand: bool) -> Epoch:
    """Return an epoch of .npy files in tars; it has no memory, so that each is like the first.

    Args:
        clips: The clips.
        folder: Of the tars.
        by_hand: Whether the .npy header is passed over for a known shape and type, instead of `decode()`, which parses it.
    """
    shape = clips.values_KNM.shape[1:]
    if not folder.is_dir():
        folder.mkdir()
        for shard in range(NUM_SHARDS):
            with webdataset.TarWriter(str(folder / f"{shard:03d}.tar")) as tar:
                for row in range(shard, len(clips.ids), NUM_SHARDS):
                    file = io.BytesIO()
                    np.save(file, clips.values_KNM[row])
                    tar.write({"__key__": clips.ids[row], "npy": file.getvalue()})
    tars = sorted(map(str, folder.glob("*.tar")))
    size = 2 * int(np.prod(shape))

    def epoch() -> None:
        found = webdataset.WebDataset(tars, shardshuffle=NUM_SHARDS, seed=clips.next_epoch(), empty_check=False)
        found = found.shuffle(BUFFER)
        if by_hand:
            found = found.map(lambda sample: (np.frombuffer(sample["npy"][-size:], np.float16).reshape(shape), ""))
        else:
            found = found.decode().to_tuple("npy", "__key__")
        batches = found.batched(BATCH, collation_fn=None)
        clips.use(clips.normalised(torch.from_numpy(np.stack([x for x, _ in batch]))) for batch in batches)

    return epoch


class LhotseBatches(Dataset):  # type: ignore[type-arg]
    """lhotse's way to take precomputed features of the cuts that a sampler has chosen."""

    def __init__(self, clips: Clips) -> None:
        self.clips, self.read = clips, PrecomputedFeatures()

    def __getitem__(self, cuts: Any) -> tuple[Tensor, list[str]]:
        x_BNM, _ = self.read(cuts)
        return self.clips.normalised(x_BNM), [cut.id for cut in cuts]


def lhotse_peer(clips: Clips, folder: Path, writer: Any) -> tuple[Epoch, Epoch]:
    """Return the first epoch, from the manifest, and a later one."""
    num_frames, num_bins = clips.values_KNM.shape[1:]
    cuts = []
    with writer(str(folder)) as storage:
        # lilcom packs float32 alone.
        dtype = np.float16 if storage.name == "numpy_files" else np.float32
        for clip, values_NM in zip(clips.ids, clips.values_KNM, strict=True):
            key = storage.write(clip, values_NM.astype(dtype))
            features = lhotse.Features(
                type=KIND,
                num_frames=num_frames,
                num_features=num_bins,
                frame_shift=0.01,
                sampling_rate=RATE_HZ,
                start=0,
                duration=num_frames / 100,
                storage_type=storage.name,
                storage_path=str(storage.storage_path),
                storage_key=key,
                channels=0,
            )
            cuts.append(lhotse.MonoCut(id=clip, start=0, duration=features.duration, channel=0, features=features))
    manifest = str(folder) + ".jsonl"
    lhotse.CutSet.from_cuts(cuts).to_file(manifest)
    opened: list[Any] = []

    def first() -> None:
        opened[:] = [lhotse.CutSet.from_file(manifest).to_eager()]
        later()

    def later() -> None:
        sampler = SimpleCutSampler(opened[0], max_cuts=BATCH, shuffle=True)
        sampler.set_epoch(clips.next_epoch())
        clips.use(x_BNM for x_BNM, _ in DataLoader(LhotseBatches(clips), sampler=sampler, batch_size=None))

    return first, later


def hf_peer(clips: Clips, data: Path, folder: Path) -> tuple[Epoch, Epoch]:
    """Return the first epoch, in which `load_dataset` copies our Parquet into its cache, and a later one.

    Straight from Parquet (`streaming=True`) a clip takes four times as long as the two together.
    """
    datasets.disable_progress_bars()
    files = sorted(map(str, (data / KIND).glob("part-*.parquet")))
    opened: list[Any] = []

    def first() -> None:
        cache = tempfile.mkdtemp(dir=folder)
        opened[:] = [datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)]
        later()

    def later() -> None:
        shuffled = opened[0].shuffle(seed=clips.next_epoch()).with_format("torch")
        clips.use(clips.normalised(batch[KIND]) for batch in shuffled.iter(BATCH))

    return first, later


def peak_mb(data: Path, memory_bytes: int) -> float:
    """Return the peak memory of a process that streams one epoch, in MB."""
    command = [sys.executable, __file__, str(data), str(memory_bytes)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def stream_once(data: Path, memory_bytes: int) -> None:
    """Stream one epoch and print the process's peak memory in MB, counted from its start and not from its parent's."""
    torch.set_num_threads(1)
    for _ in open_batches(data, KIND, batch_size=BATCH, memory_bytes=memory_bytes):
        pass
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def memory_row(folder: Path, num_clips: int, memory_bytes: int) -> Row:
    """Return the line that compares the peak memory of a set with that of one four times as large."""
    peaks = []
    for factor in (1, 4):
        write_corpus(Clips(factor * num_clips), folder / f"times{factor}")
        peaks.append(round(peak_mb(folder / f"times{factor}", memory_bytes), 1))
    ratio = round(peaks[0] / peaks[1], 3)
    return Row(
        row=f"peak memory of streaming {4 * num_clips:,} clips through {memory_bytes >> 20} MiB",
        unit="MB",
        ours=peaks[1],
        best_peer=f"audioprep, {num_clips:,} clips",
        peer=peaks[0],
        limit=None,
        ratio=ratio,
        target=0.95,
        met=ratio >= 0.95,
        others={},
    )


def rows() -> list[Row]:
    """Return the lines of this topic."""
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory(prefix="audioprep-bench-") as name, threadpool_limits(1):
        folder = Path(name)
        clips = Clips(NUM_CLIPS)
        write_corpus(clips, folder / "corpus")
        pairs = {
            OURS: ours(clips, folder / "corpus"),
            "memmap": memmap(clips, folder),
            "lhotse numpy_files": lhotse_peer(clips, folder / "numpy", lhotse.NumpyFilesWriter),
            "lhotse lilcom": lhotse_peer(clips, folder / "lilcom", lhotse.LilcomFilesWriter),
            "HF datasets": hf_peer(clips, folder / "corpus", folder),
        }
        webs = {
            "WebDataset": webdataset_peer(clips, folder / "tars", by_hand=False),
            BY_HAND: webdataset_peer(clips, folder / "tars", by_hand=True),
        }
        turns = partial(take_turns, rounds=ROUNDS, measure=cpu_seconds)
        first = turns({name: pair[0] for name, pair in pairs.items()} | webs)
        later = turns({name: pair[1] for name, pair in pairs.items()} | webs)
        clip_bytes = clips.values_KNM[0].nbytes
        streamed = turns({OURS: ours(clips, folder / "corpus", memory_bytes=BUFFER * clip_bytes)[0], **webs})
        what = f"({NUM_CLIPS:,} log-mels of {source()}, {clip_bytes // 1000} kB each)"
        line = partial(compared, per=NUM_CLIPS, beside=(BY_HAND,))
        against_memmap = {name: later[name] for name in (OURS, "memmap")}
        return [
            line(f"shards to batches, first epoch {what}", first, target=2.0, limit="memmap"),
            line(f"shards to batches, later epochs {what}", later, target=2.0, limit="memmap"),
            line(f"shards to batches, later epochs, against np.memmap {what}", against_memmap, target=0.5),
            line(f"shards to batches, {BUFFER:,} clips in memory {what}", streamed, target=1.5),
            memory_row(folder, NUM_CLIPS // 2, BUFFER * clip_bytes),
        ]


def main() -> None:
    """Measure and report."""
    report(rows())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        stream_once(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main()
