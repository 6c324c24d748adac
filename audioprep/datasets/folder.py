"""A user's own recordings: a folder of class folders, of split folders of class folders, or with a metadata file.

Layout   class/*.wav | split/class/*.wav | metadata.{csv,jsonl,parquet} with file_name and label (or labels)
Splits   official-<K>fold: the metadata's fold column, on every row; official: its split column, where a row without a
         word is unused, or the split folders; otherwise generated
Groups   the metadata's group column; a file without one is its own group
Others   start and end in seconds; any other column of short texts or numbers becomes an attribute: license, device, …
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from audioprep.console import counted
from audioprep.datasets.recipe import SUBSETS, Clip, Recipe, Source, Variant, clip_id, subset_name
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
MAX_FOLD = 1000
_MIN_FOLDS = 3  # one to test, one to validate, one to train
_MAX_ATTRIBUTE_LENGTH = 200
_COLUMNS = frozenset({"file_name", "label", "labels", "group", "fold", "split", "start", "end"})
_REMEDY = "use class/*.wav, split/class/*.wav, or a metadata.csv with file_name and label"


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    names = source.names()
    tables = [name for name in METADATA_NAMES if name in names]
    if len(tables) > 1:
        raise DatasetError(f"folder: expected one metadata file, got {' and '.join(tables)}; keep one of them")
    if tables:
        yield from _from_metadata(tables[0], source.rows(tables[0]), names)
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
        _check_subsets("folder", subsets.values())
        for path in paths:
            subset = str(subsets[path.parts[0]])
            yield Clip(id=clip_id(str(path)), member=str(path), labels=(path.parts[1],), splits={"official": subset})
    else:
        by_depth = Counter(len(path.parts) - 1 for path in paths)
        seen = ", ".join(
            f"{counted(count, 'file')} {counted(depth, 'folder')} deep" for depth, count in sorted(by_depth.items())
        )
        raise DatasetError(f"folder: expected one clear layout, got {seen} below {_some(tops)}; {_REMEDY}")


def _from_metadata(table: str, rows: list[dict[str, Any]], names: Sequence[str]) -> Iterator[Clip]:
    if not rows:
        raise DatasetError(f"{table}: expected rows, got none; list the audio files there")
    columns = set(rows[0])
    if "file_name" not in columns or not columns & {"label", "labels"}:
        raise DatasetError(
            f"{table}: expected columns file_name and label (or labels), got {', '.join(sorted(map(str, columns)))}; "
            "rename the columns"
        )
    wheres = [f"{table} row {number}" for number in range(1, len(rows) + 1)]
    _check_suffixes(wheres, rows, names)
    splits = _splits(table, wheres, rows)
    attributes = _attributes(rows)
    for where, row, parts, texts in zip(wheres, rows, splits, attributes, strict=True):
        name = _text(row.get("file_name"))
        if name is None or not PurePosixPath(name).name:
            raise DatasetError(f"{where}: expected a file_name, got {name or 'nothing'}; fill it in")
        start_s, end_s = _number(where, "start", row.get("start")), _number(where, "end", row.get("end"))
        if end_s is not None and end_s <= (start_s or 0.0):
            raise DatasetError(f"{where}: expected end after start, got {start_s or 0:g} to {end_s:g} s; mend the row")
        yield Clip(
            id=clip_id(name),
            member=PurePosixPath(name).as_posix(),
            labels=_labels(where, row),
            group=_text(row.get("group")),
            splits=parts,
            start_s=start_s,
            end_s=end_s,
            attributes=texts,
        )


def _check_suffixes(wheres: Sequence[str], rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    """Refuse names of files without their suffix; a file that is just not there becomes a status later."""
    known = set(names)
    with_suffix = {name.removesuffix(PurePosixPath(name).suffix): name for name in reversed(names)}
    for where, row in zip(wheres, rows, strict=True):
        name = PurePosixPath(_text(row.get("file_name")) or "").as_posix()
        if name not in known and name in with_suffix:
            raise DatasetError(
                f"{where}: expected the file_name of a file, got '{name}'; did you mean '{with_suffix[name]}'?"
            )


def _splits(table: str, wheres: Sequence[str], rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the part of every row in the splits of the columns fold and split; a column without a value is none."""
    folds = [_fold(where, row) for where, row in zip(wheres, rows, strict=True)]
    subsets = [_subset(where, _text(row.get("split"))) for where, row in zip(wheres, rows, strict=True)]
    columns: dict[str, list[str | None]] = {}
    if any(folds):
        columns[f"official-{_num_folds(table, folds)}fold"] = folds
    if any(subsets):
        _check_subsets(table, subsets)
        columns["official"] = subsets
    return [
        {name: part for name, parts in columns.items() if (part := parts[index]) is not None}
        for index in range(len(rows))
    ]


def _num_folds(table: str, folds: Sequence[str | None]) -> int:
    if None in folds:
        raise DatasetError(
            f"{table}: expected a fold on every row, got none on {folds.count(None)} of {len(folds)}, on row "
            f"{folds.index(None) + 1} first; fill the column in, or leave it out"
        )
    found = sorted({int(fold) for fold in folds if fold is not None})
    if len(found) < _MIN_FOLDS or found[-1] != len(found):
        shown = ", ".join(map(str, found[:10])) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
        raise DatasetError(
            f"{table}: expected folds from 1 to {_MIN_FOLDS} or more without a gap, got {shown}; number them anew, or "
            "leave the column out"
        )
    return len(found)


def _check_subsets(where: str, subsets: Iterable[str | None]) -> None:
    found = {subset for subset in subsets if subset is not None}
    if not {"train", "test"} <= found:
        seen = ", ".join(subset for subset in SUBSETS if subset in found)
        raise DatasetError(f"{where}: expected a split into train and test, got {seen} alone; name both, or none")


def _attributes(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the other columns of every row, but for those with long texts or with values that are no text or number."""
    others = {name for row in rows for name in row if name} - _COLUMNS
    kept = sorted(name for name in others if all(_is_short(row.get(name)) for row in rows))
    return [{name: text for name in kept if (text := _text(row.get(name))) is not None} for row in rows]


def _is_short(value: object) -> bool:
    return value is None or (isinstance(value, str | int | float) and len(str(value)) <= _MAX_ATTRIBUTE_LENGTH)


def _fold(where: str, row: dict[str, Any]) -> str | None:
    fold = _number(where, "fold", row.get("fold"))
    if fold is not None and (fold != int(fold) or not 1 <= fold <= MAX_FOLD):
        raise DatasetError(f"{where}: expected a fold from 1 to {MAX_FOLD}, got {fold:g}; mend the row")
    return None if fold is None else str(int(fold))


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
    get="audioprep prepare NAME --root PATH",
    archives=(),
    clips=_clips,
    variants=(Variant(),),
    window_s=5.0,
    exclude=("silent", "duplicate"),
)
