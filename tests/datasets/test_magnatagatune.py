"""MagnaTagATune: folders are parts, three files are empty, tags are the 50 most frequent ones or all."""

import ast
from collections import Counter, defaultdict

import pytest
from samples import Tree, load_sample

from audioprep.datasets.magnatagatune import RECIPE

SPLITS = ("12-1-3", "12-1-3-cleaned")


def clips_of(variant):
    return {clip.id: clip for clip in RECIPE.clips(Tree(load_sample(RECIPE, RECIPE.variant(variant))), variant)}


def parts(clips, split):
    return Counter(clip.splits[split] for clip in clips if split in clip.splits)


def test_labels_of_the_variants():
    top, merged, every = clips_of("top50"), clips_of("top50-merged"), clips_of("all188")
    assert top["90003"].labels == ("female vocal", "voice", "woman")
    assert merged["90003"].labels == ("female", "vocal")
    assert (top["90004"].labels, every["90004"].labels) == (("guitar",), ("chimes", "guitar"))
    assert (top["90008"].labels, every["90008"].labels) == ((), ("chimes",))
    assert top["90009"].labels == every["90009"].labels == ()


def test_clips_without_a_top_50_tag_are_in_no_part_of_the_cleaned_split():
    for variant in ("top50", "top50-merged", "all188"):
        clips = clips_of(variant).values()
        assert parts(clips, "12-1-3") == {"train": 4, "valid": 2, "test": 4}
        assert parts(clips, "12-1-3-cleaned") == {"train": 3, "valid": 2, "test": 2}


def test_an_empty_file_is_declared_and_in_no_part():
    assert clips_of("top50")["35644"].splits == {}


def test_the_artist_is_the_published_one_or_else_that_of_the_file_name():
    clips = clips_of("top50")
    assert (clips["90001"].group, clips["90001"].attributes) == (
        "Band One",
        {"album": "First Album", "title": "Morning"},
    )
    # One is not in the table, of the other the table does not know the artist.
    assert (clips["90008"].group, clips["90008"].attributes) == ("eve_choir", {})
    assert (clips["90010"].group, clips["90010"].attributes["album"]) == ("fay_quartet", "Far")


class Published:
    """The published table without the tags of the training clips, which are not at hand."""

    def __init__(self, folder):
        index, tags = (
            folder / "gt" / "index_MAGNA.tsv",
            ast.literal_eval((folder / "gt/classes_MagnaTT.json").read_text()),
        )
        self._paths = dict(line.split("\t") for line in index.read_text().splitlines())
        self._tags = [tag for tag in tags if tag != "clip_id"]
        self._given = {}
        for part in ("val", "test"):
            for line in (folder / "gt" / f"{part}_gt_mtt.tsv").read_text().splitlines():
                number, given = line.split("\t")
                self._given[number] = [f"{value:.0f}" for value in ast.literal_eval(given)]

    def rows(self, name, separator=None):
        none = ["0"] * len(self._tags)
        return (
            []
            if name == "clip_info_final.csv"
            else [
                {
                    "clip_id": number,
                    **dict(zip(self._tags, self._given.get(number, none), strict=True)),
                    "mp3_path": path,
                }
                for number, path in self._paths.items()
            ]
        )


@pytest.mark.real
def test_the_published_counts_come_out(shared_data):
    declared = RECIPE.variant("top50")
    clips = list(RECIPE.clips(Published(shared_data / "meta" / "magnatagatune"), "top50"))
    assert len(clips) == declared.num_clips == 25_863
    assert len({label for clip in clips for label in clip.labels}) == declared.num_classes == 50
    assert parts(clips, "12-1-3") == declared.split("12-1-3").sizes == {"train": 18_706, "valid": 1_825, "test": 5_329}
    cleaned = declared.split("12-1-3-cleaned").sizes
    assert (
        parts(clips, "12-1-3-cleaned")
        == {"valid": 1_529, "test": 4_332}
        == {part: cleaned[part] for part in ("valid", "test")}
    )
    merged = RECIPE.clips(Published(shared_data / "meta" / "magnatagatune"), "top50-merged")
    assert len({label for clip in merged for label in clip.labels}) == RECIPE.variant("top50-merged").num_classes == 37


@pytest.mark.real
def test_songs_and_albums_lie_in_one_part_and_some_artists_do_not(shared_data):
    clips = list(RECIPE.clips(Published(shared_data / "meta" / "magnatagatune"), "top50"))
    found = {"artist": defaultdict(set), "album": defaultdict(set), "song": defaultdict(set)}
    for clip in clips:
        name = clip.member[2:]
        part = clip.splits.get("12-1-3")
        if part:
            found["artist"][clip.group].add(part)
            found["album"][tuple(name.split("-")[:2])].add(part)
            found["song"][name.rsplit("-", 2)[0]].add(part)
    divided = {name: sum(len(seen) > 1 for seen in groups.values()) for name, groups in found.items()}
    assert divided["album"] == divided["song"] == 0
    assert 50 <= divided["artist"] <= 60
