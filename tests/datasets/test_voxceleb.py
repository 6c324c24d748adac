"""VoxCeleb: the identification list, speakers kept apart for verification, and files wherever users put them."""

from collections import Counter

import pytest
from samples import Tree, load_sample

from audioprep.datasets import voxceleb1, voxceleb2

LIST = "1 id10001/1zcIwhmdeo4/00001.wav\n2 id10001/7gWzIy6yIIk/00001.wav\n3 id10270/5r0dWxy17C8/00011.wav\n"


class Files:
    """Names, and the identification list."""

    def __init__(self, *names):
        self._names = names

    def names(self):
        return ["iden_split.txt", *self._names]

    def text(self, name):
        return LIST


def vox1(*names):
    return list(voxceleb1.RECIPE.clips(Files(*names), "all"))


def vox2(*names):
    return list(voxceleb2.RECIPE.clips(Files(*names), "all"))


def test_an_utterance_is_of_a_speaker_in_a_video():
    train, valid, test = vox1()
    assert train.id == "id10001--1zcIwhmdeo4--00001"
    assert (train.labels, train.group) == (("id10001",), "id10001/1zcIwhmdeo4")
    assert [clip.splits["identification"] for clip in (train, valid, test)] == ["train", "valid", "test"]
    assert [clip.splits["verification"] for clip in (train, valid, test)] == ["train", "train", "test"]


@pytest.mark.parametrize("top", ["", "wav/", "dev/wav/", "voxceleb1/dev/wav/"])
def test_files_are_found_below_any_folder(top):
    name = f"{top}id10001/1zcIwhmdeo4/00001.wav"
    assert [clip.member for clip in vox1(name)] == [
        name,
        "id10001/7gWzIy6yIIk/00001.wav",
        "id10270/5r0dWxy17C8/00011.wav",
    ]


@pytest.mark.real
def test_the_test_speakers_are_those_of_the_published_trials(shared_data):
    lines = (shared_data / "meta" / "voxceleb1" / "veri_test2.txt").read_text().splitlines()
    paths = sorted({path for line in lines for path in line.split()[1:]})

    class Trials(Files):
        def text(self, name):
            return "".join(f"1 {path}\n" for path in paths)

    clips = list(voxceleb1.RECIPE.clips(Trials(), "all"))
    assert Counter(clip.splits["verification"] for clip in clips) == {"test": len(paths)}
    assert len({clip.labels for clip in clips}) == 40
    assert len({clip.id for clip in clips}) == len(paths)


def test_each_zip_of_voxceleb2_is_a_part():
    dev, test = vox2("dev/aac/id00012/21Uxsk56VDQ/00001.m4a", "test/id00017/01dfn2spqyE/00001.m4a")
    assert (dev.id, dev.labels, dev.group) == ("id00012--21Uxsk56VDQ--00001", ("id00012",), "id00012/21Uxsk56VDQ")
    assert (dev.splits, test.splits) == ({"official": "train"}, {"official": "test"})


def test_voxceleb2_without_its_two_folders_has_no_official_part():
    (clip,) = vox2("aac/id00012/21Uxsk56VDQ/00001.wav")
    assert clip.member == "aac/id00012/21Uxsk56VDQ/00001.wav"
    assert clip.splits == {}


def test_other_files_are_no_utterances():
    assert not vox2("dev/mp4/id00012/21Uxsk56VDQ/00001.mp4", "vox2_meta.csv", "dev/aac/notes/a/b.m4a")


def test_parts_of_archives_are_as_published():
    dev = {recipe.name: recipe.archives[0] for recipe in (voxceleb1.RECIPE, voxceleb2.RECIPE)}
    assert [piece.name[-2:] for piece in dev["voxceleb1"].pieces] == ["aa", "ab", "ac", "ad"]
    assert [piece.name[-2:] for piece in dev["voxceleb2"].pieces] == ["aa", "ab", "ac", "ad", "ae", "af", "ag", "ah"]
    for archive in dev.values():
        assert all(piece.url is None for piece in archive.pieces)


def test_users_are_told_that_it_is_personal_data():
    for recipe in (voxceleb1.RECIPE, voxceleb2.RECIPE):
        assert "personal data" in recipe.notice
        sample = load_sample(recipe, recipe.variants[0])
        assert list(recipe.clips(Tree(sample), "all"))
