"""MTG-Jamendo: ragged tables, five splits a variant, hashes and licences of single tracks, copies that lie across parts."""

from collections import Counter, defaultdict

import pytest
from samples import Tree, load_sample

from audioprep.datasets.mtg_jamendo import RECIPE
from audioprep.errors import DatasetError

SPLIT_0 = {
    "top50": {"train": 32_136, "valid": 10_888, "test": 11_356},
    "moodtheme": {"train": 9_949, "valid": 3_802, "test": 4_231},
    "genre": {"train": 32_572, "valid": 11_043, "test": 11_479},
    "instrument": {"train": 14_395, "valid": 5_466, "test": 5_115},
}


def sample_clips(variant):
    return {clip.id: clip for clip in RECIPE.clips(Tree(load_sample(RECIPE, RECIPE.variant(variant))), variant)}


def test_tags_are_the_columns_that_are_left_without_their_category():
    labels = {variant.name: sample_clips(variant.name)["track_9000003"].labels for variant in RECIPE.variants}
    assert labels == {
        "all": ("calm", "happy", "piano", "pop", "rock"),
        "top50": ("happy", "piano", "rock"),
        "genre": ("pop", "rock"),
        "instrument": ("piano",),
        "moodtheme": ("calm", "happy"),
    }


def test_a_variant_has_the_tracks_with_one_of_its_tags():
    assert "track_9000106" in sample_clips("genre")
    assert "track_9000106" not in sample_clips("instrument")


def test_every_split_parts_the_same_tracks_by_artist():
    clips = sample_clips("all")
    for split in RECIPE.variant("all").splits:
        assert Counter(clip.splits[split.name] for clip in clips.values()).total() == len(clips) == 6
    assert clips["track_9000001"].splits == clips["track_9000002"].splits
    assert clips["track_9000001"].group == "artist_900001"


def test_low_and_full_files_are_found_and_a_missing_one_is_declared_low():
    clips = sample_clips("all")
    assert clips["track_9000001"].member == "01/9000001.low.mp3"
    assert clips["track_9000003"].member == "03/9000003.mp3"
    assert clips["track_9000106"].member == "06/9000106.low.mp3"


def test_hash_licence_and_attribution_are_of_the_track():
    clips = sample_clips("all")
    assert {name: clip.sha256 for name, clip in clips.items() if clip.sha256} == {"track_9000106": "ab" * 32}
    assert clips["track_9000003"].attributes == {
        "album": "album_910003",
        "attribution": "Noon.mp3 by Artist Two from Jamendo: http://www.jamendo.com/track/9000003",
        "license": "http://creativecommons.org/licenses/by/3.0/",
    }
    assert clips["track_9000106"].attributes == {"album": "album_910006"}


class Metadata:
    """A folder of metadata, and the names of audio files that are said to be there."""

    def __init__(self, root, names=()):
        self._root = root
        self._names = names

    def names(self):
        return list(self._names)

    def __contains__(self, name):
        return (self._root / name).is_file()

    def text(self, name):
        return (self._root / name).read_text()


def test_metadata_that_is_not_there_is_one_line(tmp_path):
    message = r"^mtg_jamendo: expected data/splits/split-0/autotagging_top50tags-train.tsv, found none; get the metadata from https:"
    with pytest.raises(DatasetError, match=message):
        list(RECIPE.clips(Metadata(tmp_path), "top50"))


def test_every_tar_has_its_folder():
    tars = [archive for archive in RECIPE.archives if not archive.is_metadata]
    assert len(tars) == 200
    assert tars[107].name == "raw_30s_audio-low-07.tar"
    assert (tars[107].folder, tars[107].variants) == ("07", ("top50", "genre", "instrument", "all"))
    assert tars[107].url == "https://cdn.freesound.org/mtg-jamendo/raw_30s/audio-low/raw_30s_audio-low-07.tar"


@pytest.fixture
def published(shared_data):
    """Return the published metadata, with the full audio files of all mood/theme tracks said to be there."""
    root = shared_data / "meta" / "mtg-jamendo"
    lines = (root / "data" / "download" / "autotagging_moodtheme_audio_sha256_tracks.txt").read_text().splitlines()
    return Metadata(root, [line.split()[1] for line in lines])


@pytest.mark.real
@pytest.mark.parametrize("variant", SPLIT_0)
def test_split_0_has_the_published_sizes(published, variant):
    declared = RECIPE.variant(variant)
    clips = list(RECIPE.clips(published, variant))
    assert declared.num_clips in (None, len(clips))
    assert len({label for clip in clips for label in clip.labels}) == declared.num_classes
    clips = [clip for clip in clips if clip.splits]
    assert Counter(clip.splits["split-0"] for clip in clips) == declared.split("split-0").sizes == SPLIT_0[variant]
    artists = defaultdict(set)
    for clip in clips:
        artists[clip.group].add(clip.splits["split-0"])
    assert {len(parts) for parts in artists.values()} == {1}


@pytest.mark.real
def test_split_0_of_all_tags_has_the_published_size_in_what_is_at_hand(published):
    declared = RECIPE.variant("all")
    clips = list(RECIPE.clips(published, "all"))
    sizes = declared.split("split-0").sizes
    assert Counter(clip.splits["split-0"] for clip in clips) == {part: sizes[part] for part in ("valid", "test")}
    assert len({label for clip in clips for label in clip.labels}) == declared.num_classes == 183
    assert sum(sizes.values()) == 55_525


@pytest.mark.real
def test_copies_are_found_by_their_hashes_and_those_across_parts_are_known(published):
    clips = {variant.name: list(RECIPE.clips(published, variant.name)) for variant in RECIPE.variants}
    copies = _copies(clips["moodtheme"])
    assert (len(copies), sum(map(len, copies))) == (117, 243)
    clips = {name: [clip for clip in found if clip.splits] for name, found in clips.items()}
    for variant in ("top50", "moodtheme", "genre"):
        known = RECIPE.variant(variant).split("split-0").known
        across = [same for same in _copies(clips[variant]) if len({clip.splits["split-0"] for clip in same}) > 1]
        assert len(across) == len(known) == 4
        assert all(len({clip.id for clip in same} - set(known)) == 1 for same in across)
    assert not [same for same in _copies(clips["instrument"]) if len({clip.splits["split-0"] for clip in same}) > 1]


@pytest.mark.real
def test_known_copies_are_those_that_were_counted_for_every_split(published):
    same_hash = {clip.id: clip.sha256 for clip in RECIPE.clips(published, "top50")}
    for split, count in zip(RECIPE.variant("top50").splits, (4, 1, 10, 10, 6), strict=True):
        assert len(split.known) == count
        for copy, why in split.known.items():
            assert same_hash[copy] == same_hash[why.rpartition(" ")[2]] is not None


def _copies(clips):
    by_hash = defaultdict(list)
    for clip in clips:
        if clip.sha256:
            by_hash[clip.sha256].append(clip)
    return [same for same in by_hash.values() if len(same) > 1]
