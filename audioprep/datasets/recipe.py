"""What a corpus is: archives, labels, counts, and how its metadata rows become clips. Data, no I/O."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

from audioprep.errors import DatasetError, unknown_name

SUBSETS = ("train", "valid", "test")
_SUBSET_SYNONYMS = {"val": "valid", "validation": "valid", "dev": "valid", "eval": "test", "evaluation": "test"}


class Source(Protocol):
    """What a recipe may ask of the opened archives or folder; names are relative to the corpus's top folder."""

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""

    def __contains__(self, name: str) -> bool:
        """Tell whether there is a file of this name."""

    def rows(self, name: str, separator: str | None = None) -> list[dict[str, Any]]:
        """Return the rows of a CSV, TSV, JSON-lines or Parquet file; `separator` where the suffix misleads."""

    def text(self, name: str) -> str:
        """Return a text file, decoded as UTF-8."""

    def duration_s(self, name: str) -> float:
        """Return the length of an audio file."""


@dataclass(frozen=True)
class Archive:
    """A file that a corpus is published as: a zip, a tar, or a single metadata file.

    Attributes:
        name: Its file name in `data/archives/<store>/`.
        url: Where it is published, pinned to a version; None where only people get it, by asking.
        mirrors: Other places that publish the same bytes, in the order of trying.
        num_bytes: Its published size; None where none is published.
        sha256: Its published hash; None where none is published.
        md5: Its published MD5, where there is no sha256.
        pieces: What it is published in: files that follow each other, or the volumes of a split zip, the `.zip` last.
        folder: Where its files lie in the corpus, once its own single top folder is taken off.
        is_metadata: It holds no audio, so that it is needed beside a folder of audio, too.
        unpacked: Where what it holds lies once it is unpacked: a folder that has that can do without; empty: its name.
        variants: The variants that need it; empty for all.
        make: Writes it, for a corpus that is generated.
    """

    name: str
    url: str | None = None
    mirrors: tuple[str, ...] = ()
    num_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    pieces: tuple["Archive", ...] = ()
    folder: str = ""
    is_metadata: bool = False
    unpacked: str = ""
    variants: tuple[str, ...] = ()
    make: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Clip:
    """One labelled recording, or part of one, as the corpus declares it.

    Attributes:
        id: Unique name, made of letters, digits, `_` and `-`.
        member: Its file in the corpus.
        labels: One class; several or none in a multi-label corpus.
        group: What may not be divided between train and test: source recording, artist, speaker, location.
        splits: Its part in each official split: a fold from 1 as text, or train, valid, test. Not listed is unused.
        start_s: Where it starts in its file; None is the beginning.
        end_s: Where it ends in its file; None is the end.
        source_start_s: Where it starts in the recording that `group` names, where that is published.
        source_end_s: Where it ends there.
        attributes: What else is published and worth keeping: license, device, city, album, …
        sha256: The published hash of its file.
    """

    id: str
    member: str
    labels: tuple[str, ...]
    group: str | None = None
    splits: Mapping[str, str] = field(default_factory=dict)
    start_s: float | None = None
    end_s: float | None = None
    source_start_s: float | None = None
    source_end_s: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None


@dataclass(frozen=True)
class Split:
    """A split that the corpus publishes; its name and its clips never change.

    Attributes:
        name: For example `official-5fold`, `fault-filtered`.
        about: What it is and where it comes from, in one line.
        sizes: Published number of clips of each part; None where none is published.
        known: Leaks that it is known to have: a group, or the id of a clip that is a copy, and why. They are reported
            apart, never repaired. A finding is known if its group is here, or every one of its clips but one.
        shares_groups: Why its parts share groups by design; empty where they may not.
    """

    name: str
    about: str
    sizes: Mapping[str, int | None] | None = None
    known: Mapping[str, str] = field(default_factory=dict)
    shares_groups: str = ""


@dataclass(frozen=True)
class Variant:
    """A task on the corpus: which clips and labels.

    Attributes:
        name: What users type; `all` where there is only one.
        about: What it is, in one line.
        num_clips: Published number of clips; None where it is not fixed.
        num_classes: Published number of classes; None where it is not fixed.
        class_sizes: Published number of clips of each class.
        splits: Official splits, the default one first; without any a grouped one is generated.
        is_multi_label: A clip may have several labels, or none.
    """

    name: str = "all"
    about: str = ""
    num_clips: int | None = None
    num_classes: int | None = None
    class_sizes: Mapping[str, int] | None = None
    splits: tuple[Split, ...] = ()
    is_multi_label: bool = False

    def split(self, name: str) -> Split | None:
        """Return an official split, if there is one of this name."""
        return next((split for split in self.splits if split.name == name), None)

    @property
    def default_split(self) -> str:
        """Name of the split to use where none is named."""
        return self.splits[0].name if self.splits else "grouped-5fold"


@dataclass(frozen=True)
class Recipe:
    """One corpus.

    Attributes:
        name: The name that users type.
        title: Its full name.
        license: Licence of the audio, as an SPDX id where there is one.
        homepage: Where it is described.
        cite: How to cite it, in one line.
        get: How to come by the audio, in a few words.
        archives: What it is published as; empty for a folder of the user's.
        clips: Turns the opened archives into the clips of a variant.
        variants: Its tasks, the default one first.
        window_s: Default window.
        hours: Published length of all audio; None where it is not fixed.
        store: Folder of its archives where it shares them with another corpus; empty: its own name.
        ask: Where to ask for archives that cannot be downloaded.
        is_partial: Some clips can no longer be had by anyone: missing ones are reported, and are no failure.
        loudness_mode: Default loudness mode, where the common one does harm: a room response is no programme.
        exclude: Statuses whose clips are left out. None from a published corpus: its test set stays as published.
        fit_on: Roles that published results were trained on, where it is not the train role alone.
        defects: What is known to be wrong with it and is not a leak, one line each.
        notice: What its users must know first, for example that it is personal data.
    """

    name: str
    title: str
    license: str
    homepage: str
    cite: str
    get: str
    archives: tuple[Archive, ...]
    clips: Callable[[Source, str], Iterable[Clip]]
    variants: tuple[Variant, ...]
    window_s: float
    hours: float | None = None
    store: str = ""
    ask: str = ""
    is_partial: bool = False
    loudness_mode: Literal["off"] | None = None
    exclude: tuple[Literal["silent", "duplicate"], ...] = ()
    fit_on: tuple[Literal["train", "valid"], ...] | None = None
    defects: tuple[str, ...] = ()
    notice: str = ""

    def variant(self, name: str | None = None) -> Variant:
        """Return a variant, or the default one.

        Raises:
            DatasetError: There is none of this name; the nearest one is suggested.
        """
        if name is None:
            return self.variants[0]
        found = next((variant for variant in self.variants if variant.name == name), None)
        if found is None:
            raise DatasetError(unknown_name(f"{self.name}: variant", name, [variant.name for variant in self.variants]))
        return found

    @property
    def store_name(self) -> str:
        """Folder of its archives below `data/archives/`."""
        return self.store or self.name


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
    unique: list[Clip] = []
    for name, same in groupby(sorted(clips, key=lambda clip: clip.id), key=lambda clip: clip.id):
        alike = list(same)
        if len(alike) == 1:
            unique += alike
        else:
            alike.sort(key=lambda clip: (clip.member, clip.start_s or 0.0, clip.end_s or 0.0, repr(clip)))
            unique += [replace(clip, id=f"{name}-{number}") for number, clip in enumerate(alike, start=1)]
    unique.sort(key=lambda clip: clip.id)
    repeated = next((first.id for first, second in pairwise(unique) if first.id == second.id), None)
    if repeated:
        raise DatasetError(f"clip ids: expected each once, got '{repeated}' twice; rename one of its files")
    return unique


def subset_name(word: str) -> str | None:
    """Return train, valid or test for a word that means it, else None."""
    lower = word.strip().lower()
    lower = _SUBSET_SYNONYMS.get(lower, lower)
    return lower if lower in SUBSETS else None
