"""NumPy: one array of all clips that can be mapped into memory, and for each fold the rows of each role.

Files    features.npy [K, N, M], audio.npy [K, T] int16
         targets.npy  [K] int64; [K, L] uint8 where a clip may have several labels or none
         ids.txt      the clip of each row
         fold<k>/     train.npy, valid.npy, test.npy: rows; mean.npy, std.npy [M]: of the features of train
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from audioprep.io.audio import decode_stored
from audioprep.steps.export_shards.content import ROLES, Content
from audioprep.steps.export_shards.readme import Snippet, readme_text, write_description

_PCM_FULL_SCALE = 32768


def write_numpy(content: Content, out: Path) -> None:
    """Write the clips of a split as arrays, in the order of their ids; roles for every fold.

    Args:
        content: What is exported.
        out: An empty folder.
    """
    ids = content.split.ids
    row_of = {clip_id: row for row, clip_id in enumerate(ids)}
    arrays: dict[str, Any] = {}
    for sample in content.samples(row_of.keys()):
        row = row_of[sample.id]
        values = {}
        if sample.features_NM is not None:
            values["features"] = sample.features_NM
        if sample.flac is not None:
            values["audio"] = np.round(decode_stored(sample.flac) * _PCM_FULL_SCALE).astype(np.int16)
        for name, value in values.items():
            if name not in arrays:
                shape = (len(ids), *value.shape)
                arrays[name] = open_memmap(out / f"{name}.npy", "w+", dtype=value.dtype, shape=shape)
            arrays[name][row] = value
    for array in arrays.values():
        array.flush()
    np.save(out / "targets.npy", _targets(content))
    (out / "ids.txt").write_text("".join(f"{clip_id}\n" for clip_id in ids), encoding="utf-8")
    for fold in content.split.roles:
        _write_fold(content, fold, out / f"fold{fold}")
    write_description(content, out)
    (out / "README.md").write_text(
        readme_text(content, list(_files(content, arrays)), _code(content)), encoding="utf-8"
    )


def _targets(content: Content) -> np.ndarray:
    targets = [content.targets(labels) for labels in content.split.labels]
    if not content.is_multi_label:
        return np.array(targets, np.int64).reshape(-1)
    many_KL = np.zeros((len(targets), len(content.split.classes)), np.uint8)
    for row, classes in enumerate(targets):
        many_KL[row, classes] = 1
    return many_KL


def _write_fold(content: Content, fold: int, out: Path) -> None:
    out.mkdir()
    roles = np.array(content.split.roles[fold])
    for role in ROLES:
        np.save(out / f"{role}.npy", np.flatnonzero(roles == role))
    if content.kind is not None:
        mean_M, std_M = content.normalisation(fold)
        np.save(out / "mean.npy", mean_M)
        np.save(out / "std.npy", std_M)


def _files(content: Content, arrays: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, array in arrays.items():
        yield f"`{name}.npy`", f"{list(array.shape)}, {array.dtype}: a row a clip"
    yield (
        "`targets.npy`",
        "a column a class, 1 where the clip has it" if content.is_multi_label else "number of the class",
    )
    yield "`ids.txt`", "the clip of each row"
    yield (
        "`fold<k>/`",
        "rows of `train`, `valid` and `test` where fold k is tested"
        + ("; `mean`, `std` of the features of train, a value a bin" if content.kind is not None else ""),
    )


def _code(content: Content) -> Snippet:
    fold = f"{{folder}}/fold{content.fold}"
    lines = [
        f'train, targets = np.load(f"{fold}/train.npy"), np.load(f"{{folder}}/targets.npy")',
    ]
    if content.kind is not None:
        lines += ['features = np.load(f"{folder}/features.npy", mmap_mode="r")']
        lines += [f'x = (features[train] - np.load(f"{fold}/mean.npy")) / np.load(f"{fold}/std.npy")']
    if content.with_audio:
        lines += ['audio = np.load(f"{folder}/audio.npy", mmap_mode="r")[train] / np.float32(32768)']
    return Snippet(["import numpy as np"], [*lines, "y = targets[train]"])
