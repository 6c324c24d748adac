"""Hugging Face: a folder that `load_dataset(folder)` opens, and that can be pushed to the Hub as it is.

Files    data/train-00000-of-0000N.parquet, validation, test
         README.md   its head says which files are which split, and what the columns are
Columns  id, label (or labels), group, attributes (JSON), gain_db, and <kind> [N, M] or audio (FLAC)
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audioprep.steps.export_shards.content import Content, Sample
from audioprep.steps.export_shards.readme import readme_text, write_description

_SPLIT_NAMES = {"train": "train", "valid": "validation", "test": "test"}
_ROW_GROUP_CLIPS = 100  # what the Hub's viewer reads at a time


def write_huggingface(content: Content, out: Path) -> None:
    """Write the clips of every role as Parquet files with the columns' types as `datasets` knows them.

    Args:
        content: What is exported.
        out: An empty folder.
    """
    (out / "data").mkdir()
    columns = _columns(content)
    writers = {role: _Writer(content, columns, role, out / "data") for role in content.counts}
    for sample in content.samples(content.role_of.keys()):
        writers[content.role_of[sample.id]].add(sample)
    for writer in writers.values():
        writer.flush()
    write_description(content, out)
    splits = [
        {"name": _SPLIT_NAMES[role], "num_bytes": writer.num_bytes, "num_examples": content.counts[role]}
        for role, writer in writers.items()
    ]
    (out / "README.md").write_text(_head(content, columns, splits) + readme_text(content, _CODE), encoding="utf-8")


class _Writer:
    """Writes the clips of one role, as many to each file."""

    def __init__(
        self, content: Content, columns: dict[str, tuple[pa.DataType, Any, Any]], role: str, out: Path
    ) -> None:
        self.num_bytes = 0
        self._content, self._columns, self._out = content, columns, out
        self._name = _SPLIT_NAMES[role]
        self._num_clips, self._num_files = content.counts[role], content.num_shards(role)
        self._num_added, self._rows = 0, list[Sample]()
        info = {"info": {"features": {name: schema for name, (_, schema, _) in columns.items()}}}
        fields = [(name, arrow) for name, (arrow, _, _) in columns.items()]
        self._schema = pa.schema(fields, metadata={"huggingface": json.dumps(info, ensure_ascii=False)})
        self._file: pq.ParquetWriter | None = None

    def add(self, sample: Sample) -> None:
        number = self._num_added * self._num_files // self._num_clips
        is_first = self._num_added == 0 or (self._num_added - 1) * self._num_files // self._num_clips != number
        if is_first:
            self.flush()
            path = self._out / f"{self._name}-{number:05d}-of-{self._num_files:05d}.parquet"
            # Sound is packed already, and a dictionary of float16 values is slow to read and no smaller.
            self._file = pq.ParquetWriter(
                path, self._schema, compression="zstd", compression_level=1, use_dictionary=False
            )
        self._num_added += 1
        self._rows.append(sample)
        if len(self._rows) == _ROW_GROUP_CLIPS:
            self._write_group()

    def flush(self) -> None:
        """Write what is left, and close the file."""
        if self._file is not None:
            self._write_group()
            self._file.close()

    def _write_group(self) -> None:
        if self._rows and self._file is not None:
            arrays = [_array(self._content, name, self._rows, arrow) for name, (arrow, _, _) in self._columns.items()]
            table = pa.Table.from_arrays(arrays, schema=self._schema)
            self.num_bytes += table.nbytes
            self._file.write_table(table)
            self._rows = []


def _columns(content: Content) -> dict[str, tuple[pa.DataType, Any, Any]]:
    """Return for each column its Arrow type, its type as the files' metadata tell it, and as the README's head does."""
    names = content.split.classes
    one = (pa.int64(), {"names": names, "_type": "ClassLabel"}, {"class_label": {"names": dict(enumerate(names))}})
    text = (pa.string(), {"dtype": "string", "_type": "Value"}, {"dtype": "string"})
    columns: dict[str, tuple[pa.DataType, Any, Any]] = {"id": text}
    if content.is_multi_label:
        columns["labels"] = (pa.list_(one[0]), {"feature": one[1], "_type": "List"}, {"list": one[2]})
    else:
        columns["label"] = (one[0], one[1], {"dtype": one[2]})
    columns |= {"group": text, "attributes": text}
    columns["gain_db"] = (pa.float64(), {"dtype": "float64", "_type": "Value"}, {"dtype": "float64"})
    if content.kind is not None:
        num_frames, num_bins = content.meta["num_frames"], content.meta["num_bins"]
        dtype = "float16" if content.meta["rule"]["dtype"] == "float16" else "float32"
        value = pa.float16() if dtype == "float16" else pa.float32()
        matrix = {"shape": [num_frames, num_bins], "dtype": dtype}
        arrow = pa.list_(pa.list_(value, num_bins), num_frames)
        columns[content.kind] = (arrow, {**matrix, "_type": "Array2D"}, {"dtype": {"array2_d": matrix}})
    if content.with_audio:
        rate = {"sampling_rate": content.meta["rate_hz"]}
        arrow = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns["audio"] = (arrow, {**rate, "_type": "Audio"}, {"dtype": {"audio": rate}})
    return columns


def _array(content: Content, name: str, samples: list[Sample], arrow: pa.DataType) -> pa.Array:
    if name == content.kind:
        values_KNM = np.stack([sample.features_NM for sample in samples if sample.features_NM is not None])
        num_frames, num_bins = values_KNM.shape[1:]
        flat = pa.array(values_KNM.reshape(-1), arrow.value_type.value_type)
        return pa.FixedSizeListArray.from_arrays(pa.FixedSizeListArray.from_arrays(flat, num_bins), num_frames)
    return pa.array([_value(content, name, sample) for sample in samples], arrow)


def _value(content: Content, name: str, sample: Sample) -> object:
    custom = sample.cut["custom"]
    if name in ("label", "labels"):
        targets = content.targets(sample.labels)
        return targets if name == "labels" else targets[0]
    if name == "attributes":
        return json.dumps(custom["attributes"], sort_keys=True, ensure_ascii=False)
    if name == "audio":
        return {"bytes": sample.flac, "path": f"{sample.id}.flac"}
    return sample.id if name == "id" else custom[name]


_CODE = """
from datasets import load_dataset

dataset = load_dataset(".").with_format("torch")
"""


def _head(content: Content, columns: dict[str, tuple[pa.DataType, Any, Any]], splits: list[dict[str, Any]]) -> str:
    """Return the README's head, YAML whose values are JSON, which is YAML too."""
    files = [{"split": split["name"], "path": f"data/{split['name']}-*"} for split in splits]
    values = {
        "pretty_name": content.about["title"],
        **_license(content.about["license"]),
        "task_categories": ["audio-classification"],
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {
            "features": [{"name": name, **head} for name, (_, _, head) in columns.items()],
            "splits": splits,
        },
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(["---", *lines, "---", "", ""])


def _license(name: str) -> dict[str, str]:
    """Return a licence as the Hub lists it: Creative Commons by its small name, all others as `other` with theirs."""
    is_listed = name.lower().startswith("cc") and " " not in name
    return {"license": name.lower()} if is_listed else {"license": "other", "license_name": name}
