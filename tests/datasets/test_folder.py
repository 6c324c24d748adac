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

    def rows(self, name, separator=None):
        return parse_rows(name, self._tables[name], separator)


def clips_of(*names, **tables):
    return list(RECIPE.clips(Tree(*names, **tables), "all"))


def test_class_folders():
    clips = clips_of("dog/1.wav", "dog/2.FLAC", "cat/1.mp3", "cat/readme.txt", "notes.md")
    assert [(clip.id, clip.member, clip.labels) for clip in clips] == [
        ("cat--1", "cat/1.mp3", ("cat",)),
        ("dog--1", "dog/1.wav", ("dog",)),
        ("dog--2", "dog/2.FLAC", ("dog",)),
    ]
    assert [(clip.splits, clip.group) for clip in clips] == [({}, None)] * 3


def test_a_class_may_be_called_test():
    assert [clip.labels for clip in clips_of("test/1.wav", "dog/1.wav")] == [("dog",), ("test",)]


@pytest.mark.parametrize(
    ("folder", "subset"), [("val", "valid"), ("Validation", "valid"), ("dev", "valid"), ("valid", "valid")]
)
def test_split_folders_of_class_folders(folder, subset):
    clips = clips_of("train/dog/1.wav", f"{folder}/dog/1.wav", "eval/cat/1.wav")
    assert {clip.id: (clip.labels[0], clip.splits) for clip in clips} == {
        "train--dog--1": ("dog", {"official": "train"}),
        f"{folder}--dog--1": ("dog", {"official": subset}),
        "eval--cat--1": ("cat", {"official": "test"}),
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
        "license": "CC0-1.0",
    },
    {
        "file_name": "./a/2.wav",
        "label": "cat",
        "group": "",
        "fold": "2",
        "split": "Test",
        "start": "",
        "end": "",
        "license": "",
    },
    {
        "file_name": "a/3.wav",
        "label": "cat",
        "group": "g2",
        "fold": "3",
        "split": "",
        "start": "0",
        "end": "",
        "license": "CC-BY-4.0",
    },
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
    first, second, third = clips_of("a/1.wav", "a/2.wav", **{table: write(ROWS)})
    assert (first.id, first.member, first.labels, first.group) == ("a--1", "a/1.wav", ("dog",), "g1")
    assert (first.start_s, first.end_s, first.attributes) == (0.5, 1.5, {"license": "CC0-1.0"})
    assert first.splits == {"official-3fold": "1", "official": "train"}
    # A file without a group is its own; a row without a word in `split` is in no part of it.
    assert (second.member, second.group, second.attributes) == ("a/2.wav", None, {})
    assert second.splits == {"official-3fold": "2", "official": "test"}
    assert (second.start_s, second.end_s) == (None, None)
    assert third.splits == {"official-3fold": "3"}


@FORMATS
@pytest.mark.parametrize("labels", ["dog;bark", "bark; dog ;dog"])
def test_several_labels_in_text(table, write, labels):
    (clip,) = clips_of(**{table: write([{"file_name": "1.wav", "labels": labels}])})
    assert clip.labels == ("bark", "dog")


@pytest.mark.parametrize(("table", "write"), [("metadata_jsonl", _jsonl), ("metadata_parquet", _parquet)])
def test_several_labels_as_a_list_and_numbers_as_numbers(table, write):
    rows = [
        {"file_name": f"{fold}.wav", "labels": ["dog", "bark"], "fold": fold, "start": 1, "end": 2.5, "group": 7}
        for fold in (1, 2, 3)
    ]
    clip = clips_of(**{table: write(rows)})[1]
    assert (clip.labels, clip.splits, clip.group) == (("bark", "dog"), {"official-3fold": "2"}, "7")
    assert (clip.start_s, clip.end_s) == (1.0, 2.5)


@FORMATS
def test_columns_without_any_value_are_as_if_not_there(table, write):
    rows = [{"file_name": f"{name}.wav", "label": name, "fold": "", "split": "", "device": ""} for name in "ab"]
    assert [(clip.splits, clip.attributes) for clip in clips_of(**{table: write(rows)})] == [({}, {})] * 2


def test_other_columns_are_attributes_unless_long_or_no_plain_values():
    rows = [
        {"file_name": "1.wav", "label": "a", "device": "A", "age": 7, "text": "x" * 201, "tags": ["x"], "": "y"},
        {"file_name": "2.wav", "label": "b", "device": " ", "text": "short", "place": "home"},
    ]
    first, second = clips_of(metadata_jsonl=_jsonl(rows))
    assert first.attributes == {"device": "A", "age": "7"}
    assert second.attributes == {"place": "home"}


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
            f"folder: expected one clear layout, got 1 file 1 folder deep, 1 file 2 folders deep below dog/; {REMEDY}",
        ),
        (
            ("train/dog/1.wav", "birds/dog/1.wav"),
            f"folder: expected one clear layout, got 2 files 2 folders deep below birds/, train/; {REMEDY}",
        ),
        (
            ("train/1.wav", "test/1.wav"),
            f"folder: expected one clear layout, got 2 files 1 folder deep below test/, train/; {REMEDY}",
        ),
        (
            tuple(f"{letter}/x/y/1.wav" for letter in "abcdefg"),
            f"folder: expected one clear layout, got 7 files 3 folders deep below a/, b/, c/, d/, e/ and 2 more; {REMEDY}",
        ),
        (
            ("train/dog/1.wav", "val/cat/1.wav"),
            "folder: expected a split into train and test, got train, valid alone; name both, or none",
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
        (_row(fold=1.5), "metadata.jsonl row 2: expected a fold from 1 to 1000, got 1.5; mend the row"),
        (_row(fold=0), "metadata.jsonl row 2: expected a fold from 1 to 1000, got 0; mend the row"),
        (_row(fold=1001), "metadata.jsonl row 2: expected a fold from 1 to 1000, got 1001; mend the row"),
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


def _column(name, *values):
    rows = [{"file_name": f"{number}.wav", "label": "a", name: value} for number, value in enumerate(values)]
    return {"metadata_csv": _csv(rows)}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            _column("fold", 1, 2, "", 3, ""),
            (
                "metadata.csv: expected a fold on every row, got none on 2 of 5, on row 3 first; fill the column in, or leave "
                "it out"
            ),
        ),
        (
            _column("fold", 1, 2, 1),
            (
                "metadata.csv: expected folds from 1 to 3 or more without a gap, got 1, 2; number them anew, or leave the "
                "column out"
            ),
        ),
        (
            _column("fold", 1, 3, 4),
            (
                "metadata.csv: expected folds from 1 to 3 or more without a gap, got 1, 3, 4; number them anew, or leave the "
                "column out"
            ),
        ),
        (
            _column("fold", *range(2, 20)),
            (
                "metadata.csv: expected folds from 1 to 3 or more without a gap, got 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more; "
                "number them anew, or leave the column out"
            ),
        ),
        (
            _column("split", "train", "val"),
            "metadata.csv: expected a split into train and test, got train, valid alone; name both, or none",
        ),
        (
            _column("split", "test", ""),
            "metadata.csv: expected a split into train and test, got test alone; name both, or none",
        ),
    ],
)
def test_a_split_that_could_not_be_used_is_one_line(tables, message):
    with pytest.raises(DatasetError, match=f"^{re.escape(message)}$"):
        clips_of(**tables)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_columns_without_commas_are_named(separator):
    text = f"file_name{separator}label\na.wav{separator}dog\n"
    message = r"^metadata\.csv: expected columns with commas between them, got '.+'; separate the columns with commas$"
    with pytest.raises(DatasetError, match=message):
        clips_of("a.wav", metadata_csv=text.encode())


def test_a_name_without_its_suffix_is_told_with_it():
    message = r"^metadata\.csv row 2: expected the file_name of a file, got 'x/b\.1'; did you mean 'x/b\.1\.ogg'\?$"
    with pytest.raises(DatasetError, match=message):
        clips_of("a.wav", "x/b.1.ogg", metadata_csv=b"file_name,label\na.wav,dog\n./x/b.1,cat\n")
    assert len(clips_of("a.wav", metadata_csv=b"file_name,label\na.wav,dog\ngone.wav,cat\n")) == 2
