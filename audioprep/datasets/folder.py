"""A user's own recordings: a folder of class folders, of split folders of class folders, or with a metadata file.

Layout   class/*.wav | split/class/*.wav | metadata.{csv,jsonl,parquet} with file_name and label (or labels)
Splits   the metadata's fold or split column, or the split folders; otherwise generated
Groups   the metadata's group column; otherwise every file is its own group
"""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from audioprep.datasets.recipe import Clip, Recipe, Source, clip_id, subset_name
from audioprep.errors import DatasetError

# What is taken for audio, decodable here or not: a file that cannot be used gets a status, it is never passed over.
AUDIO_SUFFIXES = frozenset(
    [
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".caf",
        ".w64",
        ".rf64",
        ".m4a",
        ".mp4",
        ".aac",
        ".3gp",
        ".wma",
        ".webm",
        ".mka",
        ".mkv",
        ".amr",
        ".ape",
        ".wv",
        ".mp2",
        ".ac3",
    ]
)
METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_REMEDY = "use class/*.wav, split/class/*.wav, or a metadata.csv with file_name and label"


def _clips(source: Source) -> Iterator[Clip]:
    names = source.names()
    tables = [name for name in METADATA_NAMES if name in names]
    if len(tables) > 1:
        raise DatasetError(f"folder: expected one metadata file, got {' and '.join(tables)}; keep one of them")
    if tables:
        yield from _from_metadata(tables[0], source.rows(tables[0]))
    else:
        yield from _from_folders(names)


def _from_folders(names: list[str]) -> Iterator[Clip]:
    paths = [PurePosixPath(name) for name in names if PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES]
    if not paths:
        suffixes = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in names)
        seen = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(5)) or "an empty folder"
        raise DatasetError(f"folder: expected audio files, got {seen}; {_REMEDY}")
    depths = {len(path.parts) for path in paths}
    tops = sorted({path.parts[0] for path in paths if len(path.parts) > 1})
    subsets = {top: subset_name(top) for top in tops}
    if depths == {2} and not all(subsets.values()):
        for path in paths:
            yield Clip(id=clip_id(str(path)), member=str(path), labels=(path.parts[0],))
    elif depths == {3} and all(subsets.values()):
        for path in paths:
            yield Clip(id=clip_id(str(path)), member=str(path), labels=(path.parts[1],), subset=subsets[path.parts[0]])
    else:
        by_depth = Counter(len(path.parts) - 1 for path in paths)
        seen = ", ".join(f"{count} files {depth} folders deep" for depth, count in sorted(by_depth.items()))
        raise DatasetError(f"folder: expected one clear layout, got {seen} below {_some(tops)}; {_REMEDY}")


def _from_metadata(table: str, rows: list[dict[str, Any]]) -> Iterator[Clip]:
    if not rows:
        raise DatasetError(f"{table}: expected rows, got none; list the audio files there")
    columns = set(rows[0])
    if "file_name" not in columns or not columns & {"label", "labels"}:
        raise DatasetError(
            f"{table}: expected columns file_name and label (or labels), got {', '.join(sorted(map(str, columns)))}; "
            "rename the columns"
        )
    for number, row in enumerate(rows, start=1):
        where = f"{table} row {number}"
        name = _text(row.get("file_name"))
        if name is None or not PurePosixPath(name).name:
            raise DatasetError(f"{where}: expected a file_name, got {name or 'nothing'}; fill it in")
        start_s, end_s = _number(where, "start", row.get("start")), _number(where, "end", row.get("end"))
        if end_s is not None and end_s <= (start_s or 0.0):
            raise DatasetError(f"{where}: expected end after start, got {start_s or 0:g} to {end_s:g} s; mend the row")
        fold = _number(where, "fold", row.get("fold"))
        if fold is not None and (fold != int(fold) or fold < 1):
            raise DatasetError(f"{where}: expected a fold of 1, 2, 3, …, got {fold:g}; mend the row")
        yield Clip(
            id=clip_id(name),
            member=PurePosixPath(name).as_posix(),
            labels=_labels(where, row),
            group=_text(row.get("group")),
            fold=None if fold is None else int(fold),
            subset=_subset(where, _text(row.get("split"))),
            start_s=start_s,
            end_s=end_s,
        )


def _labels(where: str, row: dict[str, Any]) -> tuple[str, ...]:
    values = row.get("labels", row.get("label"))
    if isinstance(values, str):
        values = values.split(";") if "labels" in row else [values]
    elif not isinstance(values, list | tuple):
        values = [values]
    labels = tuple(sorted({text for value in values if (text := _text(value)) is not None}))
    if not labels:
        raise DatasetError(f"{where}: expected a label, got nothing; fill it in, or take the row out")
    return labels


def _text(value: object) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value).strip() or None


def _number(where: str, column: str, value: object) -> float | None:
    text = _text(value)
    try:
        number = None if text is None else float(text)
    except ValueError:
        number = math.nan
    if number is not None and not (math.isfinite(number) and number >= 0):
        raise DatasetError(f"{where}: expected a number from 0 in column {column}, got '{text}'; mend the row")
    return number


def _subset(where: str, word: str | None) -> str | None:
    if word is None:
        return None
    subset = subset_name(word)
    if subset is None:
        raise DatasetError(f"{where}: expected split train, valid or test, got '{word}'; mend the row")
    return subset


def _some(names: list[str]) -> str:
    shown = ", ".join(f"{name}/" for name in names[:5]) or "the top folder"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


RECIPE = Recipe(
    name="folder",
    title="A folder of your own recordings",
    license="yours",
    homepage="README.md",
    cite="",
    archives=(),
    clips=_clips,
    num_clips=None,
    num_classes=None,
    hours=None,
    window_s=5.0,
    split="grouped-5fold",
    get="audioprep prepare NAME --root PATH",
)
