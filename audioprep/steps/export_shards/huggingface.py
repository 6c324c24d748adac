"""Hugging Face: a folder that `load_dataset(folder)` opens, and that can be pushed to the Hub as it is.

Files    data/train-00000-of-0000N.parquet, validation, test
         README.md   its head says which files are which split, and what the columns are
Columns  id, label (or labels), group, attributes (JSON), gain_db, and <kind> [N, M] or audio (FLAC)
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audioprep.steps.export_shards.content import Content, Sample
from audioprep.steps.export_shards.readme import Snippet, readme_text, write_description

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
    (out / "README.md").write_text(
        _head(content, columns, splits) + readme_text(content, _files(content, columns), _code(content)),
        encoding="utf-8",
    )


class _Column(NamedTuple):
    """The type of a column: for Arrow, in the metadata of the files, and in the README's head."""

    arrow: pa.DataType
    in_files: Any
    in_head: Any


class _Writer:
    """Writes the clips of one role, as many to each file."""

    def __init__(self, content: Content, columns: dict[str, _Column], role: str, out: Path) -> None:
        self.num_bytes = 0
        self._content, self._columns, self._out = content, columns, out
        self._name = _SPLIT_NAMES[role]
        self._num_clips, self._num_files = content.counts[role], content.num_shards(role)
        self._num_added, self._number, self._rows = 0, -1, list[Sample]()
        info = {"info": {"features": {name: column.in_files for name, column in columns.items()}}}
        fields = [(name, column.arrow) for name, column in columns.items()]
        self._schema = pa.schema(fields, metadata={"huggingface": json.dumps(info, ensure_ascii=False)})
        self._file: pq.ParquetWriter | None = None

    def add(self, sample: Sample) -> None:
        number = self._num_added * self._num_files // self._num_clips
        if number != self._number:
            self.flush()
            self._number = number
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
            arrays = [_array(self._content, name, self._rows, column.arrow) for name, column in self._columns.items()]
            table = pa.Table.from_arrays(arrays, schema=self._schema)
            self.num_bytes += table.nbytes
            self._file.write_table(table)
            self._rows = []


def _columns(content: Content) -> dict[str, _Column]:
    names = content.split.classes
    number_of = {"class_label": {"names": dict(enumerate(names))}}
    one = _Column(pa.int64(), {"names": names, "_type": "ClassLabel"}, {"dtype": number_of})
    columns = {"id": _value_column("string", pa.string())}
    if content.is_multi_label:
        columns["labels"] = _Column(
            pa.list_(one.arrow), {"feature": one.in_files, "_type": "List"}, {"list": number_of}
        )
    else:
        columns["label"] = one
    columns |= {name: _value_column("string", pa.string()) for name in ("group", "attributes")}
    columns["gain_db"] = _value_column("float64", pa.float64())
    if content.kind is not None:
        num_frames, num_bins = content.meta["num_frames"], content.meta["num_bins"]
        dtype = "float16" if content.meta["rule"]["dtype"] == "float16" else "float32"
        matrix = {"shape": [num_frames, num_bins], "dtype": dtype}
        arrow = pa.list_(pa.list_(pa.from_numpy_dtype(dtype), num_bins), num_frames)
        columns[content.kind] = _Column(arrow, {**matrix, "_type": "Array2D"}, {"dtype": {"array2_d": matrix}})
    if content.with_audio:
        rate = {"sampling_rate": content.meta["rate_hz"]}
        arrow = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns["audio"] = _Column(arrow, {**rate, "_type": "Audio"}, {"dtype": {"audio": rate}})
    return columns


def _value_column(dtype: str, arrow: pa.DataType) -> _Column:
    return _Column(arrow, {"dtype": dtype, "_type": "Value"}, {"dtype": dtype})


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


def _files(content: Content, columns: dict[str, _Column]) -> list[tuple[str, str]]:
    names = ", ".join(f"`{_SPLIT_NAMES[role]}-*`" for role in content.counts)
    return [(f"`data/` {names}", f"Parquet with the columns {', '.join(columns)}")]


def _code(content: Content) -> Snippet:
    names = "Audio, load_dataset" if content.with_audio else "load_dataset"
    imports = ["import os", "", f"from datasets import {names}"]
    lines = ["dataset = load_dataset(os.path.abspath(folder))"]
    if content.with_audio:
        lines += ["# FLAC as bytes; without this line torchcodec decodes it"]
        lines += ['dataset = dataset.cast_column("audio", Audio(decode=False))']
    return Snippet(imports, [*lines, 'dataset = dataset.with_format("torch")'])


def _head(content: Content, columns: dict[str, _Column], splits: list[dict[str, Any]]) -> str:
    """Return the README's head, YAML whose values are JSON, which is YAML too."""
    files = [{"split": split["name"], "path": f"data/{split['name']}-*"} for split in splits]
    values = {
        "pretty_name": content.about["title"],
        **_license(content.about["license"]),
        "task_categories": ["audio-classification"],
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {
            "features": [{"name": name, **column.in_head} for name, column in columns.items()],
            "splits": splits,
        },
    }
    lines = [f"{key}: {_yaml(value)}" for key, value in values.items()]
    return "\n".join(["---", *lines, "---", "", ""])


def _yaml(value: object) -> str:
    """Return a value as JSON that is YAML too, which has fewer characters that stand for themselves."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _license(name: str) -> dict[str, str]:
    """Return a licence as the Hub lists it: Creative Commons by its small name, all others as `other` with theirs."""
    is_listed = name.lower().startswith("cc") and " " not in name
    return {"license": name.lower()} if is_listed else {"license": "other", "license_name": name}
