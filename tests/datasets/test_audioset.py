"""AudioSet: the published counts, audio by whatever name a downloader gave it, and labels with those above them."""

from collections import Counter

import pytest
from samples import Tree, load_sample

from audioprep.datasets.audioset import RECIPE
from audioprep.datasets.recipe import with_unique_ids
from audioprep.io.archives import Place, open_members

CSV_HEAD = "# Segments csv\n# num_ytids=1\n# YTID, start_seconds, end_seconds, positive_labels\n"


class Files:
    """One clip, the files of a user, and two classes, one above the other."""

    def __init__(self, *names, video="abcdefghijk", mids="/m/0dog"):
        self._names = names
        self._tables = {
            "balanced_train_segments.csv": f'{CSV_HEAD}{video}, 30.000, 40.000, "{mids}"\n',
            "eval_segments.csv": "YTID,start_seconds,end_seconds,positive_labels\n\n",
            "class_labels_indices.csv": None,
        }

    def names(self):
        return [*self._tables, *self._names]

    def rows(self, name, separator=None):
        return [{"mid": "/m/0dog", "display_name": "Dog"}, {"mid": "/m/0bow", "display_name": "Bow-wow"}]

    def text(self, name):
        return self._tables[name]


def member(*names, video="abcdefghijk"):
    (clip,) = RECIPE.clips(Files(*names, video=video), "balanced")
    return clip.member


def sample_clips(variant):
    recipe_variant = RECIPE.variant(variant)
    return {clip.id: clip for clip in RECIPE.clips(Tree(load_sample(RECIPE, recipe_variant)), variant)}


@pytest.mark.parametrize(
    "name",
    [
        "abcdefghijk.wav",
        "Yabcdefghijk.FLAC",
        "eval/part 3/Yabcdefghijk.mp3",
        "abcdefghijk_30.000_40.000.wav",
        "audio/abcdefghijk_30000_40000.m4a",
        "abcdefghijk-cut.wav",
    ],
)
def test_audio_is_found_by_its_video(name):
    assert member(name) == name


@pytest.mark.parametrize("video", ["-bcdefghijk", "_bcdefghijk", "Ybcdefghijk", "YYcdefghijk", "abcdefghij_"])
@pytest.mark.parametrize("pattern", ["{}.wav", "Y{}.wav", "{}_30.wav", "Y{}_30_40.wav"])
def test_every_kind_of_id_is_found(video, pattern):
    assert member("other-vids1.wav", pattern.format(video), video=video) == pattern.format(video)


@pytest.mark.parametrize(
    "name", ["abcdefghijk.info.json", "abcdefghijk", "xabcdefghijk.wav", "abcdefghij.wav", "Y.wav"]
)
def test_other_files_are_not_taken_for_it(name):
    assert member(name) == "abcdefghijk.wav"


def test_of_two_files_the_first_by_name_is_taken_whatever_their_order():
    assert member("b/abcdefghijk.wav", "a/abcdefghijk.wav") == "a/abcdefghijk.wav"


def test_a_clip_is_a_part_of_its_video():
    (clip,) = RECIPE.clips(Files(), "balanced")
    assert (clip.group, clip.source_start_s, clip.source_end_s) == ("abcdefghijk", 30.0, 40.0)
    assert (clip.start_s, clip.end_s) == (None, None)


def test_a_label_that_is_no_class_is_not_passed_over():
    with pytest.raises(KeyError, match="/m/0cat"):
        list(RECIPE.clips(Files(mids="/m/0dog,/m/0cat"), "balanced"))


def test_variants_differ_in_clips_and_labels():
    balanced, full = sample_clips("balanced"), sample_clips("full")
    assert set(balanced) < set(full)
    assert Counter(clip.splits["official"] for clip in balanced.values()) == {"train": 6, "test": 3}
    assert Counter(clip.splits["official"] for clip in full.values()) == {"train": 8, "test": 3}
    assert balanced["--aBcDeFg01"].labels == ("Bark", "Music")
    # Above bark are dog and, beyond an abstract node that is no class, animal.
    above = sample_clips("balanced-ancestors")
    assert above["--aBcDeFg01"].labels == ("Animal", "Bark", "Dog, hound", "Music")
    assert above["abc_EFG-103"].labels == ("Music",)
    assert set(sample_clips("full-ancestors")) == set(full)


@pytest.mark.real
@pytest.mark.parametrize("variant", ["balanced", "balanced-ancestors"])
def test_the_full_tables_are_what_the_recipe_declares(shared_data, tmp_path, variant):
    members = open_members([Place((str(shared_data / "meta" / "audioset"),))], tmp_path)
    declared = RECIPE.variant(variant)
    clips = with_unique_ids(RECIPE.clips(members, variant))
    assert len(clips) == len({clip.group for clip in clips}) == declared.num_clips == 42_531
    assert Counter(clip.splits["official"] for clip in clips) == declared.splits[0].sizes
    assert declared.splits[0].sizes == {"train": 22_160, "test": 20_371}
    assert len({label for clip in clips for label in clip.labels}) == declared.num_classes == 527
    num_labels = sum(len(clip.labels) for clip in clips if clip.splits["official"] == "train")
    assert num_labels == 52_882 if variant == "balanced" else num_labels > 52_882
    lengths_s = [clip.source_end_s - clip.source_start_s for clip in clips]
    assert min(lengths_s) > 0
    assert max(lengths_s) == pytest.approx(10.0)
