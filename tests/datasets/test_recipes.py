"""Recipes, their variants and splits by name, and the names that clips get."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprep.datasets import load_recipe
from audioprep.datasets.recipe import Clip, Split, Variant, clip_id, subset_name, with_unique_ids
from audioprep.errors import DatasetError


def test_an_unknown_corpus_is_said_with_the_nearest_name():
    with pytest.raises(DatasetError, match=r"^corpus: expected one of .*, got 'ecs50'; did you mean 'esc50'\?$"):
        load_recipe("ecs50")


def test_a_variant_is_found_by_its_name():
    small, large = Variant("small"), Variant("large", splits=(Split("fold1", "train and test"),))
    recipe = replace(load_recipe("demo"), variants=(small, large))
    assert recipe.variant() is small
    assert recipe.variant("large") is large
    assert large.default_split == "fold1"
    assert large.split("fold1") is large.splits[0]
    assert large.split("fold2") is None
    assert small.default_split == "grouped-5fold"
    with pytest.raises(
        DatasetError, match=r"^demo: variant: expected one of large, small, got 'lrge'; did you mean 'large'\?$"
    ):
        recipe.variant("lrge")


def test_corpora_can_share_archives():
    recipe = load_recipe("demo")
    assert recipe.store_name == "demo"
    assert replace(recipe, store="esc50").store_name == "esc50"


@given(st.text(min_size=1).filter(lambda text: text.strip("./")))
def test_clip_ids_are_safe_and_stable(path):
    name = clip_id(path)
    assert re.fullmatch(r"[\w-]+", name)
    assert name == clip_id(path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("dog/1.wav", "dog--1"),
        ("1-100032-A-0.wav", "1-100032-A-0"),
        ("a b/c.d.wav", "a_b--c_d"),
        ("vögel/é.flac", "vögel--é"),
        ("dog/.wav", "dog--_wav"),
    ],
)
def test_clip_id_examples(path, name):
    assert clip_id(path) == name


CLIPS = st.lists(
    st.builds(
        Clip,
        id=st.sampled_from(["a", "b", "c-d"]),
        member=st.sampled_from(["a.wav", "b.wav", "c.wav"]),
        labels=st.just(("x",)),
        start_s=st.none() | st.integers(0, 3).map(float),
    )
)


@given(CLIPS, st.randoms(use_true_random=False))
def test_ids_become_unique_whatever_the_order(clips, random):
    unique = with_unique_ids(clips)
    ids = [clip.id for clip in unique]
    assert len(set(ids)) == len(clips)
    assert ids == sorted(ids)
    random.shuffle(clips)
    assert with_unique_ids(clips) == unique


def test_an_id_that_cannot_be_made_unique_is_said():
    clips = [Clip("a", "a.wav", ("x",)), Clip("a", "a.flac", ("x",)), Clip("a-1", "a-1.wav", ("x",))]
    with pytest.raises(DatasetError, match=r"^clip ids: expected each once, got 'a-1' twice; rename one of its files$"):
        with_unique_ids(clips)


@pytest.mark.parametrize(
    ("word", "subset"),
    [
        ("train", "train"),
        (" Val ", "valid"),
        ("validation", "valid"),
        ("dev", "valid"),
        ("EVAL", "test"),
        ("dog", None),
    ],
)
def test_subset_names(word, subset):
    assert subset_name(word) == subset
