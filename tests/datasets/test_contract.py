"""What must hold for every corpus: its metadata, and what its miniature becomes in each variant."""

import itertools
import math
import re
from collections import defaultdict
from pathlib import PurePosixPath

import pytest
from samples import FOLDER, Tree, load_sample, sample_folder

from audioprep.datasets import all_recipes, load_recipe, recipe_names
from audioprep.datasets.recipe import SUBSETS, with_unique_ids

RECIPES = all_recipes()
VARIANTS = [(recipe, variant) for recipe in RECIPES for variant in recipe.variants]
SPLITS = [(recipe, variant, split) for recipe, variant in VARIANTS for split in variant.splits]

every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
every_variant = pytest.mark.parametrize(
    ("recipe", "variant"), VARIANTS, ids=[f"{recipe.name}-{variant.name}" for recipe, variant in VARIANTS]
)
every_split = pytest.mark.parametrize(
    ("recipe", "variant", "split"),
    SPLITS,
    ids=[f"{recipe.name}-{variant.name}-{split.name}" for recipe, variant, split in SPLITS],
)
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
MOVING = re.compile(r"/(master|main|latest|HEAD)(/|\.|$)")


def clips_of(recipe, variant, **seeds):
    return with_unique_ids(recipe.clips(Tree(load_sample(recipe, variant), **seeds), variant.name))


def files_of(archive):
    return archive.pieces or (archive,)


# The declaration.


@every_recipe
def test_a_recipe_is_found_by_its_name(recipe):
    assert load_recipe(recipe.name) is recipe
    assert recipe.name in recipe_names()
    assert re.fullmatch(r"[a-z0-9_]+", recipe.name)


@every_recipe
def test_what_users_must_know_is_there(recipe):
    assert all((recipe.title, recipe.license, recipe.homepage, recipe.get))
    assert recipe.cite or not recipe.archives
    assert recipe.window_s > 0
    assert recipe.hours is None or recipe.hours > 0
    lines = (recipe.title, recipe.license, recipe.cite, recipe.get, recipe.ask, recipe.notice, *recipe.defects)
    assert not any("\n" in line or line != line.strip() for line in lines)
    assert recipe.variants
    assert recipe.store_name in recipe_names()


@every_recipe
def test_archives_can_be_had_and_verified(recipe):
    variants = {variant.name for variant in recipe.variants}
    for archive in recipe.archives:
        assert set(archive.variants) <= variants
        for file in files_of(archive):
            assert file.url or file.make or recipe.ask
            assert not any(MOVING.search(url) for url in filter(None, (file.url, *file.mirrors))), "pinned to a version"
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            assert file.md5 is None or re.fullmatch(r"[0-9a-f]{32}", file.md5)
            assert file.num_bytes is None or file.num_bytes > 0
        assert PurePosixPath(archive.folder).as_posix() == (archive.folder or ".")


@every_recipe
def test_no_two_files_share_a_name_in_the_store(recipe):
    files = [file for archive in recipe.archives for file in files_of(archive)]
    assert len({file.name for file in files}) == len(files)
    assert all("/" not in file.name for file in files)
    for kind in ("sha256", "md5"):
        hashes = [getattr(file, kind) for file in files if getattr(file, kind)]
        assert len(set(hashes)) == len(hashes)


@every_recipe
def test_a_variant_is_told_from_the_others(recipe):
    names = [variant.name for variant in recipe.variants]
    assert len(set(names)) == len(names)
    assert all(NAME.fullmatch(name) for name in names)
    assert len(names) == 1 or all(variant.about for variant in recipe.variants)


@every_variant
def test_published_counts_agree_with_each_other(recipe, variant):
    sizes = variant.class_sizes or {}
    assert variant.num_classes in (None, len(sizes) or variant.num_classes)
    if sizes and variant.num_clips and not variant.is_multi_label:
        assert sum(sizes.values()) == variant.num_clips
    for split in variant.splits:
        assert sum(filter(None, (split.sizes or {}).values())) <= (variant.num_clips or math.inf)


@every_variant
def test_splits_have_names_and_say_what_they_are(recipe, variant):
    names = [split.name for split in variant.splits]
    assert len(set(names)) == len(names)
    assert all(NAME.fullmatch(name) and not name.startswith("grouped") for name in names)
    assert all(split.about for split in variant.splits)
    assert all(split.known[name] for split in variant.splits for name in split.known)


# The miniature.


def test_there_is_a_miniature_of_every_corpus_and_of_nothing_else():
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir()}
    variants = {f"{recipe.name}.{variant.name}" for recipe, variant in VARIANTS}
    assert {name for name in folders if "." not in name} <= set(recipe_names())
    assert {name for name in folders if "." in name} <= variants
    missing = {recipe.name for recipe, variant in VARIANTS if not sample_folder(recipe, variant).is_dir()}
    assert not missing


@every_variant
def test_members_are_there_but_for_those_that_are_known_to_be_missing(recipe, variant):
    sample = load_sample(recipe, variant)
    members = {clip.member for clip in clips_of(recipe, variant)}
    assert members <= set(sample.sounds) | sample.missing
    assert not sample.missing & set(sample.sounds)
    assert members & set(sample.sounds)


@every_variant
def test_archives_lie_where_the_miniature_has_files(recipe, variant):
    sample = load_sample(recipe, variant)
    names = {*sample.texts, *sample.sounds, *sample.missing}
    needed = [archive for archive in recipe.archives if not archive.variants or variant.name in archive.variants]
    folders = {archive.folder for archive in needed if archive.folder}
    assert not folders or any(name.startswith(f"{folder}/") for name in names for folder in folders)


@every_variant
def test_ids_are_safe_and_unique(recipe, variant):
    ids = [clip.id for clip in clips_of(recipe, variant)]
    assert all(re.fullmatch(r"[\w-]+", name) for name in ids)
    assert len(set(ids)) == len(ids)


@every_variant
def test_labels_are_sorted_and_one_where_there_can_be_only_one(recipe, variant):
    clips = clips_of(recipe, variant)
    classes = {label for clip in clips for label in clip.labels}
    for clip in clips:
        assert isinstance(clip.labels, tuple)
        assert list(clip.labels) == sorted(set(clip.labels))
        assert variant.is_multi_label or len(clip.labels) == 1
    assert all(label and label == label.strip() for label in classes)
    assert 2 <= len(classes) <= (variant.num_classes or math.inf)
    assert variant.class_sizes is None or classes <= set(variant.class_sizes)


@every_variant
def test_every_clip_of_a_published_corpus_has_a_group(recipe, variant):
    if recipe.archives:
        assert all(clip.group and clip.group == clip.group.strip() for clip in clips_of(recipe, variant))


@every_variant
def test_times_and_attributes_are_plain_values(recipe, variant):
    for clip in clips_of(recipe, variant):
        for start_s, end_s in ((clip.start_s, clip.end_s), (clip.source_start_s, clip.source_end_s)):
            assert all(math.isfinite(time_s) and time_s >= 0 for time_s in (start_s, end_s) if time_s is not None)
            assert end_s is None or end_s > (start_s or 0.0)
        assert all(isinstance(text, str) and text for pair in clip.attributes.items() for text in pair)
        assert clip.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", clip.sha256)


@every_variant
def test_parts_are_folds_or_subsets_of_declared_splits(recipe, variant):
    declared = {split.name for split in variant.splits}
    for clip in clips_of(recipe, variant):
        assert not recipe.archives or set(clip.splits) <= declared
        assert all(part in SUBSETS or re.fullmatch(r"[1-9]\d*", part) for part in clip.splits.values())


@every_split
def test_every_split_can_train_and_test(recipe, variant, split):
    parts = {clip.splits[split.name] for clip in clips_of(recipe, variant) if split.name in clip.splits}
    if parts & set(SUBSETS):
        assert {"train", "test"} <= parts <= set(SUBSETS)
    else:
        assert len(parts) >= 3
    assert split.sizes is None or parts <= set(split.sizes)


@every_split
def test_groups_stay_together_but_for_known_ones(recipe, variant, split):
    clips = [clip for clip in clips_of(recipe, variant) if split.name in clip.splits]
    parts = defaultdict(set)
    for clip in clips:
        parts[clip.group].add(clip.splits[split.name])
    divided = {group for group, found in parts.items() if len(found) > 1}
    if split.shares_groups:
        assert divided, "the miniature shows what the split says of itself"
    else:
        assert divided <= set(split.known)


@every_variant
def test_the_order_of_names_and_rows_does_not_matter(recipe, variant):
    clips = clips_of(recipe, variant)
    for names_seed, rows_seed in itertools.product((None, 1, 2), repeat=2):
        assert clips_of(recipe, variant, names_seed=names_seed, rows_seed=rows_seed) == clips


@every_recipe
def test_every_file_of_a_miniature_sounds_different(recipe):
    sounds = [sound for variant in recipe.variants for sound in load_sample(recipe, variant).sounds.values()]
    contents = {sound.member: sound.encoded() for sound in sounds}
    filled = [content for content in contents.values() if content]
    assert len(set(filled)) == len(filled)
    assert contents == {sound.member: sound.encoded() for sound in sounds}
