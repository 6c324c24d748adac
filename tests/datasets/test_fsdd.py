"""Free Spoken Digit Dataset: digits, takes and speakers from file names, and the published counts."""

from collections import Counter

import pytest
from samples import Tree, load_sample

from audioprep.datasets.fsdd import RECIPE
from audioprep.datasets.recipe import with_unique_ids
from audioprep.io.archives import Place, open_members

VARIANT = RECIPE.variants[0]


def test_a_name_says_digit_speaker_and_take():
    clips = {clip.id: clip for clip in RECIPE.clips(Tree(load_sample(RECIPE, VARIANT)), "all")}
    clip = clips["7_theo_4"]
    assert (clip.labels, clip.group) == (("seven",), "theo")
    assert clip.splits == {"official": "test", "speakers-6fold": "5"}
    assert clips["7_theo_5"].splits["official"] == "train"


@pytest.mark.real
def test_all_recordings(shared_data, tmp_path):
    members = open_members([Place((str(shared_data / "fsdd"),))], tmp_path)
    clips = with_unique_ids(RECIPE.clips(members, "all"))
    assert len(clips) == VARIANT.num_clips
    assert Counter(clip.labels[0] for clip in clips) == VARIANT.class_sizes
    for split in VARIANT.splits:
        assert Counter(clip.splits[split.name] for clip in clips) == split.sizes
    hours = sum(members.duration_s(clip.member) for clip in clips[::10]) * 10 / 3600
    assert hours == pytest.approx(RECIPE.hours, rel=0.05)
