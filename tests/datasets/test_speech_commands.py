"""Speech Commands: the rule of the published lists, the 12-class task, and the published counts."""

from collections import Counter, defaultdict

import pytest
from samples import Tree, load_sample

from audioprep.datasets.recipe import with_unique_ids
from audioprep.datasets.speech_commands import COMMANDS, NOISE, RECIPE, SILENCE, UNKNOWN, which_set

LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}
VERSIONS = ("0.01", "0.02")


class Names:
    """A corpus of which only the names of files are known."""

    def __init__(self, names, durations_s=()):
        self._names = list(names)
        self._durations_s = dict(durations_s)

    def names(self):
        return self._names

    def duration_s(self, name):
        return self._durations_s[name]


def sample_clips(variant):
    return with_unique_ids(RECIPE.clips(Tree(load_sample(RECIPE, RECIPE.variant(variant))), variant))


def listed(folder, part):
    return (folder / LISTS[part]).read_text().split()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_rule_gives_the_lists_of_the_miniature(version):
    texts = load_sample(RECIPE, RECIPE.variants[0]).texts
    for part, name in LISTS.items():
        lines = texts[f"speech_commands_v{version}/{name}"].decode().split()
        assert lines
        assert {which_set(line.split("/")[1].split("_")[0]) for line in lines} == {part}


@pytest.mark.real
@pytest.mark.parametrize("version", VERSIONS)
def test_the_rule_gives_the_published_lists(shared_data, version):
    for part in LISTS:
        lines = listed(shared_data / "meta" / f"speech_commands_v{version}", part)
        assert {which_set(line.split("/")[1].split("_nohash_")[0]) for line in lines} == {part}


@pytest.mark.real
@pytest.mark.parametrize("variant", ["v1-30", "v2-35", "v2-10"])
def test_the_published_lists_give_the_published_counts(shared_data, variant):
    version = f"0.0{variant[1]}"
    meta = shared_data / "meta" / f"speech_commands_v{version}"
    source = Names(f"speech_commands_v{version}/{line}" for part in LISTS for line in listed(meta, part))
    clips = with_unique_ids(RECIPE.clips(source, variant))
    (split,) = RECIPE.variant(variant).splits
    assert Counter(clip.splits[variant] for clip in clips) == {part: split.sizes[part] for part in LISTS}
    parts = defaultdict(set)
    for clip in clips:
        parts[clip.group].add(clip.splits[variant])
    assert all(len(found) == 1 for found in parts.values())


def test_a_clip_is_a_word_of_a_speaker():
    clips = {clip.id: clip for clip in sample_clips("v2-35")}
    clip = clips["visual--2e469033_nohash_0"]
    assert clip.member == "speech_commands_v0.02/visual/2e469033_nohash_0.wav"
    assert (clip.labels, clip.group, clip.splits) == (("visual",), "2e469033", {"v2-35": "valid"})
    assert not any(clip.member.startswith(f"speech_commands_v0.02/{NOISE}/") for clip in clips.values())


def test_ten_classes_are_the_commands():
    assert {clip.labels[0] for clip in sample_clips("v2-10")} == {"yes", "no"}


@pytest.mark.parametrize("variant", ["v1-12", "v2-12"])
def test_the_test_part_of_twelve_classes_is_the_separate_test_set(variant):
    clips = sample_clips(variant)
    folders = {clip.splits[variant]: set() for clip in clips}
    for clip in clips:
        folders[clip.splits[variant]].add(clip.member.split("/")[0])
    version = f"v0.0{variant[1]}"
    main = {f"speech_commands_{version}"}
    assert folders == {"train": main, "valid": main, "test": {f"speech_commands_test_set_{version}"}}
    assert {clip.labels[0] for clip in clips} == {"yes", "no", UNKNOWN, SILENCE}


def test_words_of_the_test_set_have_their_speaker():
    clips = {clip.id: clip for clip in sample_clips("v1-12")}
    assert clips["test--_unknown_--bed_7fe86ea8_nohash_0"].group == "7fe86ea8"
    assert clips["test--yes--7fe86ea8_nohash_0"].group == "7fe86ea8"
    assert clips["test--_silence_--104"].group == SILENCE


def test_every_noise_is_in_one_part():
    noises = [clip for clip in sample_clips("v2-12") if f"/{NOISE}/" in clip.member]
    assert {(clip.group, clip.splits["v2-12"]) for clip in noises} == {
        ("running_tap", "valid"),
        ("doing_the_dishes", "train"),
        ("pink_noise", "train"),
    }
    assert {clip.labels for clip in noises} == {(SILENCE,)}


@pytest.mark.parametrize(("duration_s", "num_windows"), [(1.0, 0), (1.2, 1), (2.0, 2), (2.2, 3), (60.0, 118)])
def test_silence_is_cut_every_half_second(duration_s, num_windows):
    name = f"{NOISE}/running_tap.wav"
    clips = list(RECIPE.clips(Names([name], {name: duration_s}), "v2-12"))
    assert [(clip.start_s, clip.end_s) for clip in clips] == [(k / 2, k / 2 + 1) for k in range(num_windows)]
    assert len({clip.id for clip in clips}) == num_windows


def test_an_archive_unpacked_by_itself_is_understood():
    source = Names(
        ["yes/0a1b2c3d_nohash_0.wav", "README.md", "speech_commands_test_set_v0.02/no/0a1b2c3d_nohash_0.wav"]
    )
    assert [clip.member for clip in RECIPE.clips(source, "v2-35")] == ["yes/0a1b2c3d_nohash_0.wav"]


def test_commands_are_ten():
    assert len(COMMANDS) == 10
