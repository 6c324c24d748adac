"""ESC-50 and ESC-10: the published table gives the published counts, folds and known defects."""

from collections import Counter, defaultdict

import pytest
from samples import Tree, load_sample

from audioprep.datasets import esc10, esc50
from audioprep.datasets.recipe import with_unique_ids
from audioprep.io.archives import Place, open_members


def full_table(recipe, shared_data, work):
    return with_unique_ids(recipe.clips(open_members([Place((str(shared_data / "esc10"),))], work), "all"))


def divided(clips):
    folds = defaultdict(set)
    for clip in clips:
        folds[clip.group].add(clip.splits["official-5fold"])
    return {group for group, found in folds.items() if len(found) > 1}


def test_esc10_takes_its_rows_from_the_table_of_esc50():
    sample = load_sample(esc10.RECIPE, esc10.RECIPE.variants[0])
    clips = list(esc10.RECIPE.clips(Tree(sample), "all"))
    assert {clip.labels[0] for clip in clips} == {"clock_tick", "dog", "rooster"}
    all_clips = list(esc50.RECIPE.clips(Tree(sample), "all"))
    assert clips == [clip for clip in all_clips if clip in clips] != all_clips
    assert esc10.RECIPE.archives == esc50.RECIPE.archives
    assert esc10.RECIPE.store_name == "esc50"


@pytest.mark.real
def test_the_full_table_of_esc50(shared_data, tmp_path):
    clips = full_table(esc50.RECIPE, shared_data, tmp_path)
    assert len(clips) == 2000
    assert Counter(clip.splits["official-5fold"] for clip in clips) == dict.fromkeys("12345", 400)
    assert Counter(Counter(clip.labels[0] for clip in clips).values()) == {40: 50}
    assert Counter(Counter(clip.group for clip in clips).values()) == {
        1: 1205,
        2: 230,
        3: 51,
        4: 23,
        5: 8,
        6: 2,
        7: 2,
        8: 3,
    }
    known = set(esc50.RECIPE.variants[0].splits[0].known) - set(esc50.UPLOADED_TWICE)
    assert divided(clips) == known
    assert sum(clip.group in known for clip in clips) == 9


@pytest.mark.real
def test_the_full_table_of_esc10(shared_data, tmp_path):
    clips = full_table(esc10.RECIPE, shared_data, tmp_path)
    variant = esc10.RECIPE.variants[0]
    assert len(clips) == 400
    assert (
        Counter(clip.splits["official-5fold"] for clip in clips)
        == variant.splits[0].sizes
        == dict.fromkeys("12345", 80)
    )
    assert Counter(clip.labels[0] for clip in clips) == variant.class_sizes
    assert divided(clips) == set()
    there = {path.stem for path in (shared_data / "esc10" / "audio").iterdir()}
    assert there == {clip.id for clip in clips}
