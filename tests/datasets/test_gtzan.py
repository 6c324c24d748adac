"""GTZAN: artists, copies and splits agree with each other and with the published lists."""

from collections import Counter, defaultdict

import pytest
from samples import Tree, load_sample

from audioprep.datasets import gtzan_index
from audioprep.datasets.gtzan import RECIPE
from audioprep.io.archives import Place, open_members

VARIANT = RECIPE.variants[0]
GENRES = sorted(VARIANT.class_sizes)


class Names:
    """The names of all files, as the archive has them."""

    def names(self):
        return [f"{genre}/{genre}.{number:05d}.wav" for genre in GENRES for number in range(100)]


@pytest.fixture(scope="module")
def clips():
    """Return the clips of the whole corpus, by id."""
    return {clip.id: clip for clip in RECIPE.clips(Names(), "all")}


def divided(clips, split):
    parts = defaultdict(set)
    for clip in clips.values():
        if split in clip.splits:
            parts[clip.group].add(clip.splits[split])
    return {group for group, found in parts.items() if len(found) > 1}


def copies():
    """Return the sets of clips with the same samples; the words are a genre and its numbers, or two of both."""
    for text in gtzan_index.COPIES:
        clips, genre = [], ""
        for word in text.split():
            if word.isdigit():
                clips.append(f"{genre}_{int(word):05d}")
            else:
                genre = word
        yield clips


def test_the_splits_have_the_published_sizes(clips):
    assert len(clips) == 1000
    for split in VARIANT.splits:
        assert Counter(clip.splits[split.name] for clip in clips.values() if split.name in clip.splits) == split.sizes
    assert VARIANT.split("fault-filtered").sizes == {"train": 443, "valid": 197, "test": 290}


def test_wav_and_au_are_read_at_any_depth():
    clips = {clip.id: clip for clip in RECIPE.clips(Tree(load_sample(RECIPE, VARIANT)), "all")}
    assert clips["metal_00003"].member == "metal/metal.00003.au"
    assert clips["blues_00000"].labels == ("blues",)
    nested = type("Nested", (), {"names": lambda self: ["genres/rock/rock.00016.wav", "genres/bextract.mf"]})()
    assert [(clip.id, clip.group, clip.member) for clip in RECIPE.clips(nested, "all")] == [
        ("rock_00016", "Queen", "genres/rock/rock.00016.wav")
    ]


def test_an_artist_is_one_across_genres_and_an_unknown_one_is_alone(clips):
    assert clips["metal_00058"].group == clips["rock_00026"].group == "Queen"
    assert clips["jazz_00054"].group == "jazz_00054"
    assert len({clip.group for clip in clips.values()}) == len(gtzan_index.ARTISTS) + 163


def test_the_divided_artists_are_known(clips):
    for name in ("fault-filtered", "artist-3fold"):
        assert divided(clips, name) == set(VARIANT.split(name).known)
    assert VARIANT.split("stratified").shares_groups
    assert len(divided(clips, "stratified")) > 100


def test_copies_are_of_one_artist_and_only_one_of_a_set_is_in_the_filtered_split(clips):
    sets = list(copies())
    assert sum(len(members) - 1 for members in sets) == 50
    assert set(VARIANT.split("stratified").known) == {copy for _, *members in sets for copy in members}
    for members in sets:
        assert len({clips[name].group for name in members}) == 1
        assert sum("fault-filtered" in clips[name].splits for name in members) <= 1
    twice = [members for members in sets if sum("artist-3fold" in clips[name].splits for name in members) > 1]
    assert twice == [["reggae_00003", "reggae_00054"]]


@pytest.mark.real
@pytest.mark.parametrize(("split", "stem"), [("fault-filtered", "filtered"), ("stratified", "stratified")])
def test_the_splits_are_the_published_lists(clips, shared_data, split, stem):
    for part in ("train", "valid", "test"):
        lines = (shared_data / "meta" / "gtzan" / f"{part}_{stem}.txt").read_text().split()
        listed = {line.split("/")[1].removesuffix(".wav").replace(".", "_") for line in lines}
        assert {clip.id for clip in clips.values() if clip.splits.get(split) == part} == listed


@pytest.mark.real
def test_the_layout_with_a_real_clip(shared_data, tmp_path):
    members = open_members([Place((str(shared_data / "fixtures" / "gtzan_genre"),))], tmp_path)
    (clip,) = RECIPE.clips(members, "all")
    assert clip.id == "country_00000"
    assert clip.member in members
