"""Stage download: get and verify the archives, and list the clips that the corpus declares.

Writes   raw/download.json  what each archive is, and against what it was verified; for a folder, its files
         raw/files.parquet  one row per declared clip: its file, what identifies the bytes, which part of it
         raw/clips.parquet  one row per declared clip: labels, group, its part in the official splits, attributes
         raw/about.json     what the corpus is: title, licence, variant, official splits and their known leaks
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import PurePosixPath
from typing import Any

from audioprep.config.data import RecipeRule
from audioprep.console import counted, say
from audioprep.datasets import load_recipe
from audioprep.datasets.folder import AUDIO_SUFFIXES
from audioprep.datasets.recipe import SUBSETS, Clip, Recipe, Variant, clip_id, with_unique_ids
from audioprep.engine import fresh_folder
from audioprep.errors import DatasetError
from audioprep.io.archives import Members, open_members
from audioprep.io.layout import Layout
from audioprep.io.ledger import is_verified, write_ledger
from audioprep.io.places import to_place
from audioprep.io.tables import CLIPS, FILES, rows_to_table, write_table
from audioprep.steps.sources import find_sources


def download(layout: Layout, rule: RecipeRule) -> None:
    """Make the archives of a corpus available and write its ledger and its tables of clips.

    Args:
        layout: Where the corpus lies.
        rule: Its rules: the recipe and variant, the folder or the user-placed archive.

    Raises:
        FetchError: An archive cannot be had, is damaged, or has the wrong hash.
        DatasetError: Metadata and recipe disagree.
    """
    recipe = load_recipe(rule.recipe)
    variant = recipe.variant(rule.variant)
    if recipe.notice:
        say(f"{recipe.name}: {recipe.notice}")
    store = layout.archives / recipe.store_name
    sources = find_sources(recipe, variant, rule, store)
    members = open_members([to_place(source, store, rule.root) for source in sources], layout.work / "archives")
    clips = list_clips(layout.dataset, recipe, variant, members)
    _check_counts(layout.dataset, recipe, variant, clips, verified=is_verified(sources))
    # Clips without a group are grouped by their file, so that grouped splits and the audit need no special case.
    declared = rows_to_table((vars(clip) | {"group": clip.group or clip.member} for clip in clips), CLIPS)
    digests = {name: members.digest(name) for name in {clip.member for clip in clips} if name in members}
    files = rows_to_table((vars(clip) | {"digest": digests.get(clip.member)} for clip in clips), FILES)
    raw = fresh_folder(layout.raw)
    write_table(raw / "clips.parquet", declared)
    write_table(raw / "files.parquet", files)
    if not recipe.archives:
        _say_left_out(members, clips)
        _say_one_name(layout.dataset, clips)
    ledger = {
        "dataset": layout.dataset,
        "store": recipe.store_name,
        "is_partial": recipe.is_partial,
        "sources": sources,
    }
    write_ledger(layout, ledger, _about(layout.dataset, recipe, variant))


def list_clips(dataset: str, recipe: Recipe, variant: Variant, members: Members) -> list[Clip]:
    """Return the clips that a corpus declares, sorted by id.

    Args:
        dataset: The corpus, for messages.
        recipe: How its metadata is read.
        variant: The task on it.
        members: Its opened archives or folder.

    Raises:
        FetchError: The metadata is not there.
        DatasetError: The metadata cannot be understood, or there is only one class.
    """
    try:
        clips = with_unique_ids(_sharing(recipe.clips(members, variant.name)))
    except (KeyError, ValueError, IndexError) as error:  # a column that is not there, a fold that is no number
        raise DatasetError(
            f"{dataset}: expected metadata as published, got {type(error).__name__} {error}; recipe and archive disagree, "
            f"see audioprep/datasets/{recipe.name}.py"
        ) from None
    for clip in clips:
        for split, part in clip.splits.items():
            if part not in SUBSETS and not (part.isdecimal() and int(part) >= 1):
                raise DatasetError(
                    f"{dataset}: expected a fold from 1, or {', '.join(SUBSETS)}, got '{part}' for clip {clip.id} in split "
                    f"{split}; recipe and archive disagree, see audioprep/datasets/{recipe.name}.py"
                )
    classes = {label for clip in clips for label in clip.labels}
    if len(classes) < 2:
        raise DatasetError(
            f"{dataset}: expected at least two classes, got {len(clips)} clips of {', '.join(sorted(classes)) or 'none'}; "
            "a classifier needs two"
        )
    return clips


def _sharing(clips: Iterable[Clip]) -> Iterator[Clip]:
    """Yield clips of which those with equal splits have one object for them: few differ, and each takes 200 bytes and more."""
    known: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
    for clip in clips:
        yield replace(clip, splits=known.setdefault(tuple(clip.splits.items()), clip.splits))


def _check_counts(dataset: str, recipe: Recipe, variant: Variant, clips: list[Clip], *, verified: bool) -> None:
    """Compare with the published counts: verified archives must have them, others are said to be different."""
    differences = list(_differences(variant, clips))
    if not differences:
        return
    first = "; ".join(differences[:5]) + (f"; and {len(differences) - 5} more" if len(differences) > 5 else "")
    if verified:
        raise DatasetError(
            f"{dataset}: expected the published counts, got {first}; recipe and archive disagree, "
            f"see audioprep/datasets/{recipe.name}.py"
        )
    say(f"{dataset}: not the published counts: {first}")


def _differences(variant: Variant, clips: list[Clip]) -> Iterator[str]:
    classes = Counter(label for clip in clips for label in clip.labels)
    counts: list[tuple[str, int | None, int]] = [
        ("clips", variant.num_clips, len(clips)),
        ("classes", variant.num_classes, len(classes)),
    ]
    counts += [(f"clips of {name}", size, classes[name]) for name, size in (variant.class_sizes or {}).items()]
    for split in variant.splits:
        parts = Counter(clip.splits[split.name] for clip in clips if split.name in clip.splits)
        counts += [(f"clips in {split.name}/{part}", size, parts[part]) for part, size in (split.sizes or {}).items()]
    for what, published, found in counts:
        if published not in (None, found):
            yield f"{found} of {published} {what}"


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


def _say_one_name(dataset: str, clips: Iterable[Clip]) -> None:
    """Say which files differ in their suffix alone: the number in the id of one depends on the others."""
    members: dict[str, set[str]] = {}
    for clip in clips:
        members.setdefault(clip_id(clip.member), set()).add(clip.member)
    shared = {name: sorted(alike) for name, alike in sorted(members.items()) if len(alike) > 1}
    if shared:
        name, alike = next(iter(shared.items()))
        say(
            f"{dataset}: {counted(len(shared), 'name')} of several files, as {' and '.join(alike[:2])}: their clips are "
            f"numbered, {name}-1 and on, and anew where such a file comes or goes; a name of its own keeps a clip's id"
        )


def _about(dataset: str, recipe: Recipe, variant: Variant) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "recipe": recipe.name,
        "title": recipe.title,
        "license": recipe.license,
        "homepage": recipe.homepage,
        "cite": recipe.cite,
        "notice": recipe.notice,
        "defects": list(recipe.defects),
        "variant": variant.name,
        "about": variant.about,
        "num_clips": variant.num_clips,
        "is_multi_label": variant.is_multi_label,
        "splits": {split.name: asdict(split) for split in variant.splits},
    }
