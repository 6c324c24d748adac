"""ESC-50: the published table gives the published counts, folds and known defects."""

from collections import Counter, defaultdict

import pytest

from audioprep.datasets.esc50 import RECIPE
from audioprep.datasets.recipe import with_unique_ids
from audioprep.io.archives import open_members


@pytest.mark.real
def test_the_full_table_is_what_the_recipe_declares(shared_data, tmp_path):
    clips = with_unique_ids(RECIPE.clips(open_members(shared_data / "esc10", tmp_path)))
    assert len(clips) == RECIPE.num_clips == 2000
    assert Counter(clip.fold for clip in clips) == dict.fromkeys(range(1, 6), 400)
    assert set(Counter(clip.labels[0] for clip in clips).values()) == {40}
    assert len({clip.labels for clip in clips}) == RECIPE.num_classes == 50
    folds = defaultdict(set)
    for clip in clips:
        folds[clip.group].add(clip.fold)
    assert {group for group, found in folds.items() if len(found) > 1} == set(RECIPE.known_leaks)
