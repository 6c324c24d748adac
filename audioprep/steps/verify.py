"""Whether what was prepared is still what it was.

Checked   every file of a folder with `_index.json` (audio, cuts, features): it is there, and has the size and the sha256 of
          the index; and nothing else is there
Read      the tables of the folders without one (raw, loudness, splits, card): nothing vouches for their bytes, but Parquet
          and JSON that cannot be read, or is not there, is found
Neither   archives, which the download stage checks; pictures, sounds and texts beside the tables
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from audioprep.config.data import FeatureRules
from audioprep.console import size_text, track
from audioprep.engine import INDEX_NAME, file_sha256, num_workers, read_index
from audioprep.errors import ShardError
from audioprep.io.tables import read_table

# Folders that have an index once they are finished.
_INDEXED = frozenset({"audio", "cuts", *FeatureRules.model_fields})
# The tables of the others.
_TABLES: dict[str, tuple[str, ...]] = {
    "raw": ("about.json", "clips.parquet", "download.json", "files.parquet"),
    "loudness": ("gains.parquet",),
    "splits": ("audit.json",),
    "card": ("summary.json",),
}
_READERS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".parquet": read_table,
}
_NOT_OUTS = frozenset({"archives"})


@dataclass(frozen=True)
class Checked:
    """One folder, and what is wrong with it.

    Attributes:
        folder: The folder.
        index: What its index says; None where it has none, or a damaged one.
        listing: Size and sha256 of every file that the index vouches for, by its name in the folder.
        num_read: Tables that were read, where there is no index.
        damaged: What is wrong with each file that is not what it was, by its name.
        extra: Files that no index vouches for.
    """

    folder: Path
    index: dict[str, Any] | None = None
    listing: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    num_read: int = 0
    damaged: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()

    @property
    def num_wrong(self) -> int:
        """Number of files that are damaged, missing, or should not be there."""
        return len(self.damaged) + len(self.extra)

    def lines(self) -> Iterator[str]:
        """Yield what was found, for people: one line for the folder, one for each file that is wrong."""
        if self.num_wrong:
            yield f"{self.folder}: {self.num_wrong} wrong"
        elif self.index is not None:
            num_bytes = sum(identity["bytes"] for identity in self.listing.values())
            yield f"{self.folder}: {len(self.listing)} files, {size_text(num_bytes)}, as their index says"
        yield from (f"  {self.folder / name}: {what}" for name, what in sorted(self.damaged.items()))
        yield from (f"  {self.folder / name}: expected no such file, its index does not list it" for name in self.extra)


def report(folders: Sequence[Checked]) -> Iterator[str]:
    """Yield what was found, for people: the lines of every folder, and one a corpus for those that have no index."""
    for corpus, group in groupby(folders, key=lambda checked: checked.folder.parent):
        alike = list(group)
        for checked in alike:
            yield from checked.lines()
        read = [checked for checked in alike if checked.index is None and not checked.num_wrong]
        if read:
            names, num_read = ", ".join(checked.folder.name for checked in read), sum(c.num_read for c in read)
            yield f"{corpus}: {num_read} tables of {names} can be read; these have no index, which would tell of other bytes"


def verify(path: Path) -> list[Checked]:
    """Check what was prepared against its indexes.

    Args:
        path: A folder of a corpus, `data/esc50/logmel`; a corpus, `data/esc50`; or all of them, `data`.

    Raises:
        ShardError: Nothing there was prepared.
    """
    folders = [_looked_at(folder) for folder in _folders_in(path)]
    if not folders:
        raise _nothing_in(path)
    files = [(number, name) for number, folder in enumerate(folders) for name in folder.listing]
    with ThreadPoolExecutor(num_workers()) as pool:
        found = pool.map(lambda file: _wrong_with(folders[file[0]], file[1]), files)
        for (number, name), wrong in zip(files, track(found, f"verify {path}", len(files), "file"), strict=True):
            if wrong:
                folder = folders[number]
                folders[number] = replace(folder, damaged={**folder.damaged, name: wrong})
    return folders


def _nothing_in(path: Path) -> ShardError:
    around = next((folder for folder in path.absolute().parents if (folder / INDEX_NAME).is_file()), None)
    got = "nothing that was prepared" if path.is_dir() else "a file" if path.exists() else "no such folder"
    remedy = f"give the folder that it is part of, {around}" if around else "run `audioprep prepare` first"
    return ShardError(f"{path}: expected data, data/<corpus> or a folder of a corpus, found {got}; {remedy}")


def _folders_in(path: Path) -> list[Path]:
    if _is_marked(path) or (_is_ours(path) and _is_corpus(path.parent)):
        return [path]
    is_corpus = _is_corpus(path)
    own = [folder for folder in _subfolders(path) if _is_marked(folder) or (is_corpus and _is_ours(folder))]
    others = [folder for folder in _subfolders(path) if folder not in own and _is_corpus(folder)]
    return [*own, *(folder for corpus in others for folder in _folders_in(corpus))]


def _subfolders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name not in _NOT_OUTS)


def _is_corpus(path: Path) -> bool:
    """Tell a corpus from another folder that happens to have a folder called raw or audio."""
    return (path / "raw" / "download.json").is_file() or any(_is_marked(folder) for folder in _subfolders(path))


def _is_marked(folder: Path) -> bool:
    """Tell whether a folder holds what nobody else writes: an index, or feature shards that lack theirs."""
    return (folder / INDEX_NAME).is_file() or any(folder.glob("part-??????.parquet"))


def _is_ours(folder: Path) -> bool:
    """Tell whether a folder of a corpus is an output of a stage, by its name."""
    return folder.name in _TABLES or (folder.name in _INDEXED and folder.is_dir() and any(folder.iterdir()))


def _looked_at(folder: Path) -> Checked:
    """Return a folder before its files are hashed: its index, and what can be said without reading them."""
    if folder.name in _TABLES:
        return _read_tables(folder)
    try:
        index = read_index(folder)
        listing = _listing(index)
    except ShardError as error:
        _, what = str(error).split(": ", 1)
        return Checked(folder, damaged={INDEX_NAME: what})
    except (LookupError, TypeError, AttributeError, ValueError):
        what = "expected an index, got JSON that is none; delete the folder and run its stage again"
        return Checked(folder, damaged={INDEX_NAME: what})
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()}
    return Checked(folder, index, listing, extra=tuple(sorted(there - listing.keys() - {INDEX_NAME})))


def _listing(index: dict[str, Any]) -> dict[str, dict[str, Any]]:
    files = {**index["files"], **{name: file for entry in index["shards"] for name, file in entry["files"].items()}}
    if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in files):
        raise ValueError("a file outside the folder")
    return {name: {"bytes": int(file["bytes"]), "sha256": str(file["sha256"])} for name, file in sorted(files.items())}


def _wrong_with(folder: Checked, name: str) -> str:
    path, expected = folder.folder / name, folder.listing[name]
    try:
        if (num_bytes := path.stat().st_size) != expected["bytes"]:
            return f"expected {expected['bytes']:,} bytes, got {num_bytes:,}"
        if (sha256 := file_sha256(path)) != expected["sha256"]:
            return f"expected sha256 {expected['sha256'][:16]}…, got {sha256[:16]}…"
    except FileNotFoundError:
        return f"expected {expected['bytes']:,} bytes, found no file"
    except OSError as error:
        return f"expected to read it, got {error.strerror}"
    return ""


def _read_tables(folder: Path) -> Checked:
    damaged = dict.fromkeys(_TABLES[folder.name], "expected a table of its stage, found none")
    num_read = 0
    for path in sorted(folder.rglob("*")):
        if (reader := _READERS.get(path.suffix)) is None:
            continue
        name = path.relative_to(folder).as_posix()
        damaged.pop(name, None)
        try:
            reader(path)
            num_read += 1
        except (ShardError, ValueError, OSError):
            damaged[name] = f"expected {path.suffix.removeprefix('.')}, got a file that cannot be read"
    return Checked(folder, num_read=num_read, damaged=damaged)
