"""Stage download: get and verify the archives, and list the clips that the corpus declares.

Writes   raw/download.json   what each archive is, and against what it was verified; for a folder, its files
         raw/clips.parquet   one row per declared clip: id, member, labels, group, fold or subset, part
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from audioprep.config.data import RecipeRule
from audioprep.console import say
from audioprep.datasets import load_recipe
from audioprep.datasets.folder import AUDIO_SUFFIXES
from audioprep.datasets.recipe import Archive, Clip, Recipe, with_unique_ids
from audioprep.engine import file_sha256, fresh_folder
from audioprep.errors import DatasetError, FetchError
from audioprep.io.archives import Members, open_members
from audioprep.io.fetch import fetch
from audioprep.io.layout import Layout
from audioprep.io.ledger import write_ledger
from audioprep.io.tables import CLIPS, rows_to_table, write_table


def download(layout: Layout, rule: RecipeRule) -> None:
    """Make the archives of a corpus available and write its ledger and its table of clips.

    Args:
        layout: Where the corpus lies.
        rule: Its rules: the recipe, the folder or the user-placed archive.

    Raises:
        FetchError: An archive cannot be had, is damaged, or has the wrong hash.
        DatasetError: Metadata and recipe disagree.
    """
    recipe = load_recipe(rule.recipe)
    source, entry = _from_folder(recipe, rule) if not recipe.archives else _from_archive(recipe, rule, layout)
    members = open_members(source, layout.work / "archives")
    clips = list_clips(layout.dataset, recipe, members)
    for note in _count_notes(layout.dataset, recipe, clips, complete=entry["verified"] == "sha256"):
        say(note)
    digests = _digests(members, clips, entry)
    raw = fresh_folder(layout.raw)
    rows = [_row(clip, digests.get(clip.member), entry["name"]) for clip in clips]
    write_table(raw / "clips.parquet", rows_to_table(rows, CLIPS))
    if not recipe.archives:
        _say_left_out(members, clips)
        entry["files"] = {name: digest.removeprefix("sha256:") for name, digest in sorted(digests.items())}
    write_ledger(layout, _ledger(layout.dataset, recipe, entry))


def list_clips(dataset: str, recipe: Recipe, members: Members) -> list[Clip]:
    """Return the clips that a corpus declares, sorted by id.

    Args:
        dataset: The corpus, for messages.
        recipe: How its metadata is read.
        members: Its opened archive or folder.

    Raises:
        FetchError: The metadata is not there.
        DatasetError: The metadata cannot be understood, or there is only one class.
    """
    try:
        clips = with_unique_ids(recipe.clips(members))
    except (KeyError, ValueError) as error:  # a column that is not there, a fold that is no number
        raise DatasetError(
            f"{dataset}: expected metadata as published, got {type(error).__name__} {error}; recipe and archive disagree, "
            f"see audioprep/datasets/{recipe.name}.py"
        ) from None
    classes = {label for clip in clips for label in clip.labels}
    if len(classes) < 2:
        raise DatasetError(
            f"{dataset}: expected at least two classes, got {len(clips)} clips of {', '.join(sorted(classes)) or 'none'}; "
            "a classifier needs two"
        )
    return clips


def _from_folder(recipe: Recipe, rule: RecipeRule) -> tuple[Path, dict[str, Any]]:
    if not rule.root:
        raise FetchError(f"{recipe.name}: expected a folder, got none; give it with --root PATH")
    root = Path(rule.root).expanduser()
    if not root.is_dir():
        raise FetchError(f"{root}: expected a folder, found none; give the folder with the recordings with --root PATH")
    return root, {"name": "", "origin": "folder", "verified": "none"}


def _from_archive(recipe: Recipe, rule: RecipeRule, layout: Layout) -> tuple[Path, dict[str, Any]]:
    archive = recipe.archives[0]
    path = layout.archives / (rule.archive or archive.name)
    layout.archives.mkdir(parents=True, exist_ok=True)
    if rule.archive:
        return path, _user_placed(recipe, archive, path)
    if archive.make is not None:
        archive.make(path)  # anew: one that is there may be of an earlier version of the synthesis
        return path, _entry(path, "generated", "none", file_sha256(path))
    if not path.exists():
        if archive.url is None:
            raise FetchError(f"{path}: expected the archive, found none; {recipe.get}")
        say(f"{recipe.name}: downloading {archive.url}")
        fetch(archive.url, path, archive.sha256)
    sha256 = file_sha256(path)
    if archive.sha256 is not None and sha256 != archive.sha256:
        raise FetchError(
            f"{path}: expected sha256 {archive.sha256}, got {sha256} ({path.stat().st_size} bytes); the file is kept: "
            f"delete it to download it again, or use it as it is with --archive {path}"
        )
    return path, _entry(path, archive.url or "published", "sha256" if archive.sha256 else "none", sha256)


def _user_placed(recipe: Recipe, archive: Archive, path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FetchError(f"{path}: expected the user-placed archive, found none; give it again with --archive PATH")
    sha256 = file_sha256(path)
    published = archive.sha256 is not None and sha256 == archive.sha256
    if not published:
        say(
            f"{recipe.name}: {path.name} is not the published archive (sha256 {sha256[:12]}…, published "
            f"{(archive.sha256 or 'without a hash')[:12]}…); it is used as it is"
        )
    return _entry(path, "user-placed", "sha256" if published else "none", sha256)


def _entry(path: Path, origin: str, verified: str, sha256: str) -> dict[str, Any]:
    return {
        "name": path.name,
        "origin": origin,
        "verified": verified,
        "bytes": path.stat().st_size,
        "sha256": sha256,
    }


def _digests(members: Members, clips: Iterable[Clip], entry: dict[str, Any]) -> dict[str, str]:
    """Return what identifies the content of every member that a clip needs and that is there."""
    names = {clip.member for clip in clips if clip.member in members}
    return {name: members.digest(name) or f"archive:{entry['sha256']}" for name in names}


def _row(clip: Clip, digest: str | None, archive: str) -> dict[str, object]:
    # Clips without a group are grouped by their file, so that grouped splits and the audit need no special case.
    return {
        **asdict(clip),
        "labels": list(clip.labels),
        "group": clip.group or clip.member,
        "digest": digest,
        "archive": archive,
    }


def _count_notes(dataset: str, recipe: Recipe, clips: list[Clip], *, complete: bool) -> Iterator[str]:
    """Yield what a partial corpus lacks; a complete one must have what is published."""
    num_classes = len({label for clip in clips for label in clip.labels})
    for what, published, found in (
        ("clips", recipe.num_clips, len(clips)),
        ("classes", recipe.num_classes, num_classes),
    ):
        if published in (None, found):
            continue
        if complete:
            raise DatasetError(
                f"{dataset}: expected {published} {what}, got {found}; recipe and archive disagree, "
                f"see audioprep/datasets/{recipe.name}.py"
            )
        yield f"{dataset}: {found} of {published} declared {what} are there"


def _say_left_out(members: Members, clips: Iterable[Clip]) -> None:
    used = {clip.member for clip in clips}
    left = [
        name for name in members.names() if name not in used and not PurePosixPath(name).name.startswith("metadata.")
    ]
    audio = [name for name in left if PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES]
    if audio:
        say(
            f"{members.where}: {len(audio)} audio files are not in the metadata and are left out, {audio[0]} among them"
        )
    others = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in set(left) - set(audio))
    if others:
        say(
            f"{members.where}: left out as no audio: "
            + ", ".join(f"{n} {suffix}" for suffix, n in sorted(others.items()))
        )


def _ledger(dataset: str, recipe: Recipe, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "recipe": recipe.name,
        "title": recipe.title,
        "license": recipe.license,
        "homepage": recipe.homepage,
        "cite": recipe.cite,
        "split": recipe.split,
        "known_leaks": recipe.known_leaks or {},
        "source": source,
    }
