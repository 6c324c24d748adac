"""A user's own folder: three layouts, metadata in four columns and more, and one line for what is not clear."""

import io
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audioprep.datasets.folder import RECIPE
from audioprep.errors import DatasetError
from audioprep.io.rows import parse_rows


class Tree:
    """Files in memory, as a recipe sees a folder."""

    def __init__(self, *names, **tables):
        self._tables = {name.replace("_", "."): data for name, data in tables.items()}
        self._names = names

    def names(self):
        return sorted([*self._names, *self._tables])

    def rows(self, name):
        return parse_rows(name, self._tables[name])


def clips_of(*names, **tables):
    return list(RECIPE.clips(Tree(*names, **tables)))


def test_class_folders():
    clips = clips_of("dog/1.wav", "dog/2.FLAC", "cat/1.mp3", "cat/readme.txt", "notes.md")
    assert [(clip.id, clip.member, clip.labels) for clip in clips] == [
        ("cat--1", "cat/1.mp3", ("cat",)),
        ("dog--1", "dog/1.wav", ("dog",)),
        ("dog--2", "dog/2.FLAC", ("dog",)),
    ]
    assert {(clip.subset, clip.fold, clip.group) for clip in clips} == {(None, None, None)}


def test_a_class_may_be_called_test():
    assert [clip.labels for clip in clips_of("test/1.wav", "dog/1.wav")] == [("dog",), ("test",)]


@pytest.mark.parametrize(
    ("folder", "subset"), [("val", "valid"), ("Validation", "valid"), ("dev", "valid"), ("valid", "valid")]
)
def test_split_folders_of_class_folders(folder, subset):
    clips = clips_of("train/dog/1.wav", f"{folder}/dog/1.wav", "eval/cat/1.wav")
    assert {clip.id: (clip.labels[0], clip.subset) for clip in clips} == {
        "train--dog--1": ("dog", "train"),
        f"{folder}--dog--1": ("dog", subset),
        "eval--cat--1": ("cat", "test"),
    }


ROWS = [
    {
        "file_name": "a/1.wav",
        "label": "dog",
        "group": "g1",
        "fold": "1",
        "split": "train",
        "start": "0.5",
        "end": "1.5",
    },
    {"file_name": "./a/2.wav", "label": "cat", "group": "", "fold": "2", "split": "val", "start": "", "end": ""},
]


def _csv(rows):
    return "\n".join([",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]).encode()


def _jsonl(rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def _parquet(rows):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


FORMATS = pytest.mark.parametrize(
    ("table", "write"), [("metadata_csv", _csv), ("metadata_jsonl", _jsonl), ("metadata_parquet", _parquet)]
)


@FORMATS
def test_metadata_with_every_column(table, write):
    first, second = clips_of("a/1.wav", "a/2.wav", **{table: write(ROWS)})
    assert (first.id, first.member, first.labels, first.group) == ("a--1", "a/1.wav", ("dog",), "g1")
    assert (first.fold, first.subset, first.start_s, first.end_s) == (1, "train", 0.5, 1.5)
    assert (second.member, second.group, second.fold, second.subset) == ("a/2.wav", None, 2, "valid")
    assert (second.start_s, second.end_s) == (None, None)


@FORMATS
@pytest.mark.parametrize("labels", ["dog;bark", "bark; dog ;dog"])
def test_several_labels_in_text(table, write, labels):
    (clip,) = clips_of(**{table: write([{"file_name": "1.wav", "labels": labels}])})
    assert clip.labels == ("bark", "dog")


@pytest.mark.parametrize(("table", "write"), [("metadata_jsonl", _jsonl), ("metadata_parquet", _parquet)])
def test_several_labels_as_a_list_and_numbers_as_numbers(table, write):
    row = {"file_name": "1.wav", "labels": ["dog", "bark"], "fold": 3, "start": 1, "end": 2.5, "group": 7}
    (clip,) = clips_of(**{table: write([row])})
    assert (clip.labels, clip.fold, clip.start_s, clip.end_s, clip.group) == (("bark", "dog"), 3, 1.0, 2.5, "7")


def test_a_semicolon_in_the_column_label_is_part_of_the_label():
    assert clips_of(metadata_csv=b"file_name,label\n1.wav,a;b\n")[0].labels == ("a;b",)


REMEDY = "use class/*.wav, split/class/*.wav, or a metadata.csv with file_name and label"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), f"folder: expected audio files, got an empty folder; {REMEDY}"),
        (("a.txt", "b.txt", "c"), f"folder: expected audio files, got 2 .txt, 1 no suffix; {REMEDY}"),
        (
            ("1.wav", "2.wav"),
            f"folder: expected one clear layout, got 2 files 0 folders deep below the top folder; {REMEDY}",
        ),
        (
            ("dog/1.wav", "dog/big/2.wav"),
            f"folder: expected one clear layout, got 1 files 1 folders deep, 1 files 2 folders deep below dog/; {REMEDY}",
        ),
        (
            ("train/dog/1.wav", "birds/dog/1.wav"),
            f"folder: expected one clear layout, got 2 files 2 folders deep below birds/, train/; {REMEDY}",
        ),
        (
            ("train/1.wav", "test/1.wav"),
            f"folder: expected one clear layout, got 2 files 1 folders deep below test/, train/; {REMEDY}",
        ),
        (
            tuple(f"{letter}/x/y/1.wav" for letter in "abcdefg"),
            f"folder: expected one clear layout, got 7 files 3 folders deep below a/, b/, c/, d/, e/ and 2 more; {REMEDY}",
        ),
    ],
)
def test_unclear_folders_say_what_was_seen(names, message):
    with pytest.raises(DatasetError, match=f"^{re.escape(message)}$"):
        clips_of(*names)


def _row(**changes):
    return {
        "metadata_jsonl": _jsonl(
            [{"file_name": "ok.wav", "label": "ok"}, {"file_name": "1.wav", "label": "a", **changes}]
        )
    }


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"metadata_csv": b"", "metadata_jsonl": b""},
            "folder: expected one metadata file, got metadata.csv and metadata.jsonl; keep one of them",
        ),
        ({"metadata_csv": b"file_name,label\n"}, "metadata.csv: expected rows, got none; list the audio files there"),
        (
            {"metadata_csv": b"filename,class\na.wav,dog\n"},
            "metadata.csv: expected columns file_name and label (or labels), got class, filename; rename the columns",
        ),
        (_row(file_name=None), "metadata.jsonl row 2: expected a file_name, got nothing; fill it in"),
        (_row(file_name="."), "metadata.jsonl row 2: expected a file_name, got .; fill it in"),
        (_row(label=" "), "metadata.jsonl row 2: expected a label, got nothing; fill it in, or take the row out"),
        (
            _row(label=float("nan")),
            "metadata.jsonl row 2: expected a label, got nothing; fill it in, or take the row out",
        ),
        (_row(start=2, end=1), "metadata.jsonl row 2: expected end after start, got 2 to 1 s; mend the row"),
        (_row(end=0), "metadata.jsonl row 2: expected end after start, got 0 to 0 s; mend the row"),
        (
            _row(start="soon"),
            "metadata.jsonl row 2: expected a number from 0 in column start, got 'soon'; mend the row",
        ),
        (_row(start=-1), "metadata.jsonl row 2: expected a number from 0 in column start, got '-1'; mend the row"),
        (
            _row(end=float("inf")),
            "metadata.jsonl row 2: expected a number from 0 in column end, got 'inf'; mend the row",
        ),
        (_row(fold=1.5), "metadata.jsonl row 2: expected a fold of 1, 2, 3, …, got 1.5; mend the row"),
        (_row(fold=0), "metadata.jsonl row 2: expected a fold of 1, 2, 3, …, got 0; mend the row"),
        (_row(split="trian"), "metadata.jsonl row 2: expected split train, valid or test, got 'trian'; mend the row"),
        (
            {"metadata_csv": b"file_name,label\n1.wav,dog,big\n"},
            "metadata.csv: expected csv rows, got more fields than columns in row 1; mend the file",
        ),
    ],
)
def test_bad_metadata_is_one_line(tables, message):
    with pytest.raises(DatasetError, match=f"^{re.escape(message)}$"):
        clips_of(**tables)
