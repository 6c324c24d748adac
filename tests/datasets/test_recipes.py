"""What must hold for every corpus, and for the names that clips get."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprep.datasets import all_recipes, load_recipe, recipe_names
from audioprep.datasets.recipe import Clip, clip_id, subset_name, with_unique_ids
from audioprep.errors import DatasetError
from audioprep.io.rows import parse_rows

ALL = pytest.mark.parametrize("recipe", all_recipes(), ids=lambda recipe: recipe.name)


class Tree:
    """Files in memory, as a recipe sees an archive."""

    def __init__(self, files):
        self._files = files

    def names(self):
        return sorted(self._files)

    def rows(self, name):
        return parse_rows(name, self._files[name])


# A few files of each corpus, as it is published.
SAMPLES = {
    "demo": {
        "meta/demo.csv": b"filename,fold,label,source\nbell-001.wav,1,bell,s1\nrain-002.flac,2,rain,s2\n",
        "audio/bell-001.wav": b"",
        "audio/rain-002.flac": b"",
    },
    "esc50": {
        "meta/esc50.csv": b"filename,fold,target,category,esc10,src_file,take\n"
        b"1-100032-A-0.wav,1,0,dog,True,100032,A\n2-100038-A-14.wav,2,14,chirping_birds,False,100038,A\n",
        "audio/1-100032-A-0.wav": b"",
        "audio/2-100038-A-14.wav": b"",
    },
    "folder": {"dog/1.wav": b"", "cat/1.wav": b"", "notes.txt": b""},
}


@ALL
def test_metadata_is_complete(recipe):
    assert re.fullmatch(r"[a-z0-9_]+", recipe.name)
    assert all((recipe.title, recipe.license, recipe.homepage, recipe.split, recipe.get))
    assert recipe.window_s > 0
    for archive in recipe.archives:
        assert archive.url or archive.make
        assert archive.url is None or not re.search(r"master|main|latest", archive.url), "pinned to a version"
        assert archive.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", archive.sha256)
        assert (archive.url is None) == (archive.sha256 is None)


@ALL
def test_a_sample_tree_becomes_clips(recipe):
    tree = Tree(SAMPLES[recipe.name])
    clips = with_unique_ids(recipe.clips(tree))
    assert len(clips) == 2
    assert {clip.member for clip in clips} <= set(tree.names())
    assert all(re.fullmatch(r"[\w-]+", clip.id) for clip in clips)
    assert len({clip.labels for clip in clips}) == 2
    if recipe.split.startswith("official"):
        assert all(clip.group and (clip.fold or clip.subset) for clip in clips)


@ALL
def test_a_recipe_is_found_by_its_name(recipe):
    assert load_recipe(recipe.name) is recipe
    assert recipe.name in recipe_names()


def test_an_unknown_corpus_is_said_with_the_nearest_name():
    with pytest.raises(
        DatasetError, match=r"^corpus: expected one of demo, esc50, folder, got 'ecs50'; did you mean 'esc50'\?$"
    ):
        load_recipe("ecs50")


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


def test_the_sample_trees_are_for_every_corpus():
    assert sorted(SAMPLES) == recipe_names()
