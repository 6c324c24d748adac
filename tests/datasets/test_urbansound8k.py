"""UrbanSound8K: where slices lie in their recordings, and the published counts, folds and known defects."""

from collections import Counter, defaultdict

import pytest
from samples import Tree, load_sample

from audioprep.datasets.recipe import with_unique_ids
from audioprep.datasets.urbansound8k import RECIPE
from audioprep.io.archives import Place, open_members
from audioprep.io.rows import parse_rows

VARIANT = RECIPE.variants[0]
SPLIT = VARIANT.splits[0]


def test_a_slice_says_where_it_was_cut_from():
    clips = {clip.id: clip for clip in RECIPE.clips(Tree(load_sample(RECIPE, VARIANT)), "all")}
    clip = clips["910001-3-0-1"]
    assert clip.member == "audio/fold1/910001-3-0-1.wav"
    assert (clip.group, clip.source_start_s, clip.source_end_s) == ("910001", 0.75, 2.25)
    assert (clip.start_s, clip.end_s) == (None, None)
    assert clip.attributes == {"salience": "background"}
    assert clip.splits == {"official-10fold": "1"}


@pytest.mark.real
def test_the_full_table(shared_data):
    clips = with_unique_ids(RECIPE.clips(FullTable(shared_data), "all"))
    assert len(clips) == 8732
    assert Counter(clip.labels[0] for clip in clips) == VARIANT.class_sizes
    sizes = Counter(clip.splits[SPLIT.name] for clip in clips)
    assert sizes == SPLIT.sizes
    assert [sizes[str(fold)] for fold in range(1, 11)] == [873, 888, 925, 990, 936, 823, 838, 806, 816, 837]
    assert Counter(clip.attributes["salience"] for clip in clips) == {"foreground": 5702, "background": 3030}
    assert len({clip.group for clip in clips}) == 1297
    folds = defaultdict(set)
    for clip in clips:
        folds[clip.group].add(clip.splits[SPLIT.name])
    assert {group for group, found in folds.items() if len(found) > 1} == set(SPLIT.known)
    assert sum(clip.group in SPLIT.known for clip in clips) == 152
    seconds = sum(clip.source_end_s - clip.source_start_s for clip in clips)
    assert seconds / 3600 == pytest.approx(RECIPE.hours, abs=0.005)


@pytest.mark.real
def test_the_layout_with_a_real_slice(shared_data, tmp_path):
    members = open_members([Place((str(shared_data / "fixtures" / "urbansound8k"),))], tmp_path)
    there = [clip for clip in RECIPE.clips(members, "all") if clip.member in members]
    assert [clip.id for clip in there] == ["135776-2-0-49"]


class FullTable:
    """The published table, which lies apart from its folder."""

    def __init__(self, shared_data):
        self._path = shared_data / "meta" / "urbansound8k" / "UrbanSound8K.csv"

    def rows(self, name):
        assert name == "metadata/UrbanSound8K.csv"
        return parse_rows(name, self._path.read_bytes())
