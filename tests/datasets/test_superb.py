"""SUPERB: its tasks are those of the corpora that they are built on, with their archives."""

from dataclasses import replace

from samples import Tree, load_sample

from audioprep.datasets import speech_commands, superb_ks, superb_sid, voxceleb1
from audioprep.datasets.recipe import with_unique_ids


def clips_of(recipe, variant, sample_of):
    return with_unique_ids(recipe.clips(Tree(load_sample(sample_of, sample_of.variants[0])), variant))


def test_keyword_spotting_is_the_12_class_task_of_version_1():
    superb = clips_of(superb_ks.RECIPE, "all", superb_ks.RECIPE)
    own = clips_of(speech_commands.RECIPE, "v1-12", superb_ks.RECIPE)
    assert superb == [replace(clip, splits={"official": clip.splits["v1-12"]}) for clip in own]
    (split,), (own_split,) = superb_ks.RECIPE.variants[0].splits, speech_commands.RECIPE.variant("v1-12").splits
    assert (split.sizes, split.known) == (own_split.sizes, own_split.known)


def test_speaker_identification_is_the_identification_split():
    superb = clips_of(superb_sid.RECIPE, "all", superb_sid.RECIPE)
    own = clips_of(voxceleb1.RECIPE, "all", superb_sid.RECIPE)
    assert superb == [replace(clip, splits={"identification": clip.splits["identification"]}) for clip in own]


def test_archives_are_shared():
    for superb, corpus in ((superb_ks.RECIPE, speech_commands.RECIPE), (superb_sid.RECIPE, voxceleb1.RECIPE)):
        assert superb.store == corpus.name
        assert set(superb.archives) <= {replace(archive, variants=()) for archive in corpus.archives}
    assert superb_sid.RECIPE.notice == voxceleb1.RECIPE.notice
