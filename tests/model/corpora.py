"""Small feature folders and splits in the formats that the data stages write, for the tests of the training side."""

import functools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers

from audioprep.config.data import LogmelRule
from audioprep.config.training import ModelRule, TrainRule
from audioprep.engine.index import write_index
from audioprep.io.audio import encode_flac
from audioprep.io.shar import cuts_name, tar_name, write_audio_tar, write_cuts
from audioprep.model.archs.registry import ARCHS

SPLIT = "official-5fold"
SMALL_MODEL = ModelRule(width=4, frame_pool=2, dropout=0.0)
QUICK = TrainRule(epochs=12, batch_size=8, lr=1e-2, fit_on=("train",), time_crop=1.0, precision="float32", device="cpu")
NUM_FRAMES, NUM_BINS, NUM_CLASSES, NUM_FOLDS = 41, 16, 3, 5
LABELS = ("bell", "drum", "siren")


def rule_of(arch: str, **settings: Any) -> ModelRule:
    """Return the rule of a network, narrow where it has a width; one that starts from a folder starts from a small one."""
    if "init_checkpoint" in ARCHS[arch].settings:
        settings = {"init_checkpoint": _small_ast().name, **settings}
    return ModelRule.model_validate({"arch": arch, "width": 4, **settings})


@functools.cache
def _small_ast() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    write_ast(Path(folder.name))
    return folder


def write_ast(folder: Path, *, num_classes: int = 7, **config: Any) -> transformers.ASTForAudioClassification:
    """Write a small AST with random weights as transformers does, and return it."""
    torch.manual_seed(5)
    sides = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 48}
    sides |= {"max_length": 96, "num_mel_bins": 40, "num_labels": num_classes}
    net = transformers.ASTForAudioClassification(transformers.ASTConfig(**sides | config)).eval()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if "token" in name or "position" in name:
                weight.normal_(std=0.5)
    transformers.logging.disable_progress_bar()
    net.save_pretrained(folder)
    return net


def write_features(
    folder: Path,
    ids: Sequence[str],
    values_KNM: npt.NDArray[np.floating[Any]],
    *,
    kind: str = "logmel",
    meta: dict[str, Any] | None = None,
    num_shards: int = 2,
) -> None:
    """Write clips [K, N, M] as feature shards with their statistics and index."""
    folder.mkdir(parents=True, exist_ok=True)
    num_clips, num_frames, num_bins = values_KNM.shape
    header = {"kind": kind, "num_frames": num_frames, "num_bins": num_bins, "rate_hz": 16000, "window_s": 0.4}
    header |= {"rule": LogmelRule(n_fft=512, n_mels=num_bins).model_dump(mode="json"), **(meta or {})}
    metadata = {"audioprep": json.dumps(header, sort_keys=True)}
    for shard in range(num_shards):
        rows = range(shard, num_clips, num_shards)
        flat = values_KNM[list(rows)].astype(np.float16).reshape(-1)
        table = pa.table(
            {
                "id": [ids[row] for row in rows],
                "num_frames": pa.array([num_frames] * len(rows), pa.int32()),
                kind: pa.FixedSizeListArray.from_arrays(pa.array(flat), num_frames * num_bins),
            }
        )
        pq.write_table(table.replace_schema_metadata(metadata), folder / f"part-{shard:06d}.parquet")
    values_KNM = values_KNM.astype(np.float16).astype(np.float64)
    sums = {"sum": values_KNM.sum(axis=1), "sum_sq": (values_KNM**2).sum(axis=1)}
    stats = {"id": list(ids), "count": pa.array([num_frames] * num_clips, pa.int64())}
    stats |= {name: pa.FixedSizeListArray.from_arrays(pa.array(v.reshape(-1)), num_bins) for name, v in sums.items()}
    pq.write_table(pa.table(stats), folder / "_stats.parquet")
    (folder / "_index.json").write_text(json.dumps({"rule": header["rule"], "files": {}, "shards": []}))


def write_split(
    path: Path,
    ids: Sequence[str],
    labels: Sequence[str | Sequence[str]],
    folds: Sequence[int],
    *,
    dataset: str = "toy",
    num_folds: int,
) -> None:
    """Write a k-fold split: fold k is tested, the next one (cyclic) validates, the others train."""
    path.parent.mkdir(parents=True, exist_ok=True)
    several = [[label] if isinstance(label, str) else list(label) for label in labels]
    columns: dict[str, Any] = {
        "id": list(ids),
        "labels": pa.array(several, pa.list_(pa.string())),
        "group": [clip_id.split("-")[0] for clip_id in ids],
        "fold": pa.array(folds, pa.int32()),
    }
    for tested in range(1, num_folds + 1):
        valid = tested % num_folds + 1
        columns[f"fold{tested}"] = ["test" if f == tested else "valid" if f == valid else "train" for f in folds]
    header = {
        "dataset": dataset,
        "split": path.stem,
        "labels": sorted({name for one in several for name in one}),
        "num_folds": num_folds,
    }
    header["sha256"] = "0" * 64
    metadata = {"audioprep": json.dumps(header, sort_keys=True)}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)


def write_card(data: Path) -> None:
    """Write of the card of a corpus what a model card says of it."""
    (data / "card").mkdir()
    summary = {"dataset": "toy", "title": "Toy bands", "variant": "all", "counts": {"used": 60}, "license": "CC0-1.0"}
    summary |= {"homepage": "https://host/toy", "cite": ""}
    (data / "card/summary.json").write_text(json.dumps(summary))


def write_sounds(data: Path, ids: Sequence[str], *, window_s: float = 0.4, rate_hz: int = 16000) -> None:
    """Write audio shards and cuts of clips: each is a tone of its own."""
    shar = data / "audio/shar"
    shar.mkdir(parents=True)
    (data / "cuts").mkdir()
    time_T = np.arange(round(window_s * rate_hz)) / rate_hz
    tones = [
        encode_flac(0.1 * np.sin(2 * np.pi * (300 + 40 * n) * time_T, dtype=np.float32), rate_hz)
        for n in range(len(ids))
    ]
    write_audio_tar(shar / tar_name(0), zip(ids, tones, [len(time_T)] * len(ids), strict=True), rate_hz)
    custom = {"gain_db": 6.0, "pad": "zeros", "used": True}
    cuts = [{"id": clip, "start": 0.0, "duration": window_s, "custom": custom} for clip in ids]
    write_cuts(data / "cuts" / cuts_name(0), cuts)
    write_index(data / "audio", {"rule": {"rate_hz": rate_hz}, "shards": [{"shard": 0, "rows": len(ids)}]})


def write_toy_corpus(root: Path, *, num_clips: int = 60, noise: float = 3.0, several: bool = False) -> None:
    """Write `data/toy`: each class is a band of its own in noise, easy for a small network in a few epochs.

    Args:
        root: Where `data` goes.
        num_clips: How many there are.
        noise: Its standard deviation, dB.
        several: Whether clips have none, one or several labels in turn, and not one each.
    """
    rng = np.random.default_rng(0)
    labels = [[LABELS[row % NUM_CLASSES]] for row in range(num_clips)]
    if several:
        labels = [[label for bit, label in enumerate(LABELS) if (row * 5 + 3) >> bit & 1] for row in range(num_clips)]
    folds = [row // NUM_CLASSES % NUM_FOLDS + 1 for row in range(num_clips)]
    ids = [f"{row:03d}-clip" for row in range(num_clips)]
    values_KNM = rng.normal(-60.0, noise, (num_clips, NUM_FRAMES, NUM_BINS))
    for row, label in ((row, label) for row, own in enumerate(labels) for label in own):
        first = 5 * LABELS.index(label)
        values_KNM[row, :, first : first + 5] += 25.0
    write_features(root / "data/toy/logmel", ids, values_KNM)
    write_split(root / f"data/toy/splits/{SPLIT}.parquet", ids, labels, folds, num_folds=NUM_FOLDS)


def write_multi_label_corpus(root: Path, *, num_clips: int = 60) -> None:
    """Write `data/several`: the bands of the toy corpus, of which a clip has one, two or none; two clips are a group."""
    rng = np.random.default_rng(0)
    labels = [
        [name for name, bit in zip(LABELS, (1, 2, 4), strict=True) if row // 2 % 7 & bit] for row in range(num_clips)
    ]
    folds = [row // 2 % NUM_FOLDS + 1 for row in range(num_clips)]
    ids = [f"{row // 2:03d}-{row % 2}" for row in range(num_clips)]
    values_KNM = rng.normal(-60.0, 3.0, (num_clips, NUM_FRAMES, NUM_BINS))
    for row, names in enumerate(labels):
        for name in names:
            first = 5 * LABELS.index(name)
            values_KNM[row, :, first : first + 5] += 25.0
    write_features(root / "data/several/logmel", ids, values_KNM)
    write_split(
        root / f"data/several/splits/{SPLIT}.parquet", ids, labels, folds, num_folds=NUM_FOLDS, dataset="several"
    )
