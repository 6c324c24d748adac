"""What a corpus is: archives, labels, counts, and how its metadata rows become clips. Data, no I/O."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from audioprep.errors import DatasetError

SUBSETS = ("train", "valid", "test")
_SUBSET_SYNONYMS = {"val": "valid", "validation": "valid", "dev": "valid", "eval": "test", "evaluation": "test"}


class Source(Protocol):
    """What a recipe may ask of an opened archive or folder."""

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a CSV, TSV, JSON-lines or Parquet file."""


@dataclass(frozen=True)
class Archive:
    """A file that a corpus is published as.

    Attributes:
        name: Its file name in `data/archives/<ds>/`.
        url: Where it is published, pinned to a version; None where it cannot be fetched.
        num_bytes: Its published size; None where none is published.
        sha256: Its published hash; None where none is published.
        make: Writes it, for a corpus that is generated.
    """

    name: str
    url: str | None = None
    num_bytes: int | None = None
    sha256: str | None = None
    make: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Clip:
    """One labelled recording, or part of one, as the corpus declares it.

    Attributes:
        id: Unique name, made of letters, digits, `_` and `-`.
        member: Its file in the archive.
        labels: One class, or several in a multi-label corpus.
        group: What may not be split between train and test: source recording, artist, speaker.
        fold: Official fold, from 1.
        subset: Official subset: train, valid or test.
        start_s: Where it starts in its file; None is the beginning.
        end_s: Where it ends in its file; None is the end.
    """

    id: str
    member: str
    labels: tuple[str, ...]
    group: str | None = None
    fold: int | None = None
    subset: str | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class Recipe:
    """One corpus.

    Attributes:
        name: The name that users type.
        title: Its full name.
        license: Licence of the audio, as an SPDX id where there is one.
        homepage: Where it is described.
        cite: How to cite it, in one line.
        archives: What it is published as; empty for a folder of the user's.
        clips: Turns an opened archive into clips.
        num_clips: Published number of clips; None where it is not fixed.
        num_classes: Published number of classes; None where it is not fixed.
        hours: Published length of all audio; None where it is not fixed.
        window_s: Default window.
        split: Default split.
        known_leaks: Groups that the published folds split, with why; reported, never repaired.
        get: How to come by the audio, in a few words.
        fit_on: Roles that published results were trained on, where it is not the train role alone.
    """

    name: str
    title: str
    license: str
    homepage: str
    cite: str
    archives: tuple[Archive, ...]
    clips: Callable[[Source], Iterable[Clip]]
    num_clips: int | None
    num_classes: int | None
    hours: float | None
    window_s: float
    split: str
    get: str
    fit_on: tuple[str, ...] | None = None
    known_leaks: dict[str, str] | None = None


def clip_id(path: str) -> str:
    """Return a name for a file that is safe as a member name: lhotse, WebDataset and file systems can hold it.

    Args:
        path: Its path in the corpus; folders are joined by `--`, the suffix is dropped.
    """
    stem = PurePosixPath(path).with_suffix("").as_posix()
    return re.sub(r"[^\w-]", "_", stem.replace("/", "--"))


def with_unique_ids(clips: Iterable[Clip]) -> list[Clip]:
    """Return the clips sorted by id, with a number appended where several would share one.

    The number follows the order of member and start, so that the same corpus gives the same ids.
    """
    ordered = sorted(clips, key=lambda clip: (clip.id, clip.member, clip.start_s or 0.0, clip.end_s or 0.0, repr(clip)))
    counts = Counter(clip.id for clip in ordered)
    seen: Counter[str] = Counter()
    unique = []
    for clip in ordered:
        seen[clip.id] += 1
        unique.append(clip if counts[clip.id] == 1 else replace(clip, id=f"{clip.id}-{seen[clip.id]}"))
    repeated = [name for name, count in Counter(clip.id for clip in unique).items() if count > 1]
    if repeated:
        raise DatasetError(f"clip ids: expected each once, got '{repeated[0]}' twice; rename one of its files")
    return sorted(unique, key=lambda clip: clip.id)


def subset_name(word: str) -> str | None:
    """Return train, valid or test for a word that means it, else None."""
    lower = word.strip().lower()
    lower = _SUBSET_SYNONYMS.get(lower, lower)
    return lower if lower in SUBSETS else None
