"""TAU Urban Acoustic Scenes: locations, devices, the unused part, and the published counts of 2019."""

from collections import Counter, defaultdict

import pytest
from samples import Tree, load_sample

from audioprep.datasets import tau2019, tau2020_mobile, tau2022_mobile
from audioprep.datasets.recipe import with_unique_ids
from audioprep.io.archives import Place, open_members

EDITIONS = [tau2019.RECIPE, tau2020_mobile.RECIPE, tau2022_mobile.RECIPE]


def sample_clips(recipe):
    return {clip.id: clip for clip in recipe.clips(Tree(load_sample(recipe, recipe.variants[0])), "all")}


def test_a_segment_has_its_location_city_and_device():
    clip = sample_clips(tau2020_mobile.RECIPE)["airport-lyon-1-1-s1"]
    assert clip.member == "audio/airport-lyon-1-1-s1.wav"
    assert clip.labels == ("airport",)
    assert clip.group == "lyon-1"
    assert clip.attributes == {"city": "lyon", "device": "s1"}
    assert clip.splits == {"fold1": "train"}


def test_what_the_lists_leave_out_stays_unused():
    unused = {clip.attributes["device"] for clip in sample_clips(tau2020_mobile.RECIPE).values() if not clip.splits}
    assert unused == {"s4"}
    unused = {clip.attributes["city"] for clip in sample_clips(tau2019.RECIPE).values() if not clip.splits}
    assert unused == {"milan"}


@pytest.mark.parametrize("recipe", EDITIONS, ids=lambda recipe: recipe.name)
def test_classes_and_parts_add_up(recipe):
    variant = recipe.variants[0]
    assert len(variant.class_sizes) == variant.num_classes
    assert list(variant.class_sizes) == sorted(variant.class_sizes)
    unused = {"tau2019": 1030, "tau2020_mobile": 6105, "tau2022_mobile": 61050}[recipe.name]
    assert sum(variant.class_sizes.values()) == variant.num_clips
    assert sum(variant.splits[0].sizes.values()) + unused == variant.num_clips


def test_the_edition_of_2022_is_that_of_2020_cut_into_ten():
    of_2020, of_2022 = tau2020_mobile.RECIPE.variants[0], tau2022_mobile.RECIPE.variants[0]
    assert {name: 10 * size for name, size in of_2020.class_sizes.items()} == of_2022.class_sizes
    assert {part: 10 * size for part, size in of_2020.splits[0].sizes.items()} == of_2022.splits[0].sizes


@pytest.mark.parametrize(("recipe", "num_audio"), [*zip(EDITIONS, (21, 16, 16), strict=True)])
def test_there_are_as_many_archives_as_published(recipe, num_audio):
    names = [archive.name for archive in recipe.archives]
    assert len(names) == num_audio + 1
    assert names[0].endswith(".audio.1.zip")
    assert names[-2].endswith(f".audio.{num_audio}.zip")
    assert names[-1].endswith(".meta.zip")
    assert all(archive.url.endswith(f"/{archive.name}") for archive in recipe.archives)


@pytest.mark.real
def test_the_full_tables_of_2019(shared_data, tmp_path):
    members = open_members([Place((str(shared_data / "meta" / "tau2019"),))], tmp_path)
    clips = with_unique_ids(tau2019.RECIPE.clips(members, "all"))
    variant = tau2019.RECIPE.variants[0]
    assert len(clips) == variant.num_clips == 14_400
    assert Counter(clip.labels[0] for clip in clips) == variant.class_sizes
    assert Counter(clip.splits.get("fold1") for clip in clips) == {"train": 9185, "test": 4185, None: 1030}
    locations, cities = defaultdict(set), defaultdict(set)
    for clip in clips:
        locations[clip.splits.get("fold1")].add(clip.group)
        cities[clip.splits.get("fold1")].add(clip.attributes["city"])
    assert {part: len(found) for part, found in locations.items()} == {"train": 325, "test": 149, None: 40}
    assert not locations["train"] & locations["test"]
    assert cities["test"] - cities["train"] == cities[None] == {"milan"}
    assert not any("-" in clip.attributes["city"] for clip in clips)


@pytest.mark.real
@pytest.mark.parametrize(
    ("recipe", "folder"),
    [
        (tau2019.RECIPE, "tau2019uas/TAU-urban-acoustic-scenes-2019-development"),
        (tau2020_mobile.RECIPE, "tau2020uas_mobile/TAU-urban-acoustic-scenes-2020-mobile-development"),
        (tau2022_mobile.RECIPE, "tau2022uas_mobile/TAU-urban-acoustic-scenes-2022-mobile-development"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_layout_with_a_real_segment(recipe, folder, shared_data, tmp_path):
    members = open_members([Place((str(shared_data / "fixtures" / folder),))], tmp_path)
    clips = with_unique_ids(recipe.clips(members, "all"))
    there = [clip for clip in clips if clip.member in members]
    assert [clip.labels for clip in there] == [("airport",)]
    assert {clip.splits.get("fold1") for clip in clips} >= {"train", "test"}
