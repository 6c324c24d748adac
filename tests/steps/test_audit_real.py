"""The audit on the full published metadata: exactly the defects that are known, and none that is not there."""

from dataclasses import asdict
from pathlib import PurePosixPath

import pytest
from steps.clip_rows import audit_of

from audioprep.datasets import load_recipe
from audioprep.datasets.recipe import with_unique_ids
from audioprep.io.rows import parse_rows

pytestmark = pytest.mark.real


class Metadata:
    """Published metadata as a recipe sees it: a folder, with some names that lie elsewhere in it, or are only names."""

    def __init__(self, root, elsewhere=None, names=()):
        self._root, self._elsewhere, self._names = root, elsewhere or {}, names

    def _path(self, name):
        return self._root / self._elsewhere.get(name, name)

    def names(self):
        return list(self._names)

    def __contains__(self, name):
        return self._path(name).is_file()

    def rows(self, name, separator=None):
        return parse_rows(name, self._path(name).read_bytes(), *filter(None, [separator]))

    def text(self, name):
        return self._path(name).read_text()


def audited(name, source, split, variant=None):
    """Return the audit of a corpus from its metadata, by sort: number of findings, number of clips."""
    variant = load_recipe(name).variant(variant)
    clips = with_unique_ids(load_recipe(name).clips(source, variant.name))
    rows = [vars(clip) | {"group": clip.group or clip.member} for clip in clips]
    published = variant.split(split)
    return audit_of(rows, split=split, official=published and asdict(published))


def sorts(audit, *severities):
    return {
        (count["kind"], count["scope"], count["known"]): (count["num_findings"], count["num_ids"])
        for count in audit["counts"]
        if count["severity"] in (severities or ("leak", "warning", "info"))
    }


def test_esc50_has_four_groups_in_two_folds(shared_data):
    source = Metadata(shared_data / "esc10")
    found = audited("esc50", source, "official-5fold")
    assert sorts(found) == {("shared_group", "across", True): (4, 9)}
    assert {finding["what"] for finding in found["findings"]} == {
        "group 131943",
        "group 134049",
        "group 209698",
        "group 234879",
    }
    for split in ("grouped", "grouped-5fold"):
        assert sorts(audited("esc50", source, split)) == {}


def test_esc10_has_nothing(shared_data):
    assert sorts(audited("esc10", Metadata(shared_data / "esc10"), "official-5fold")) == {}


def test_urbansound8k_has_five_recordings_in_two_folds(shared_data):
    folder = shared_data / "meta" / "urbansound8k"
    source = Metadata(folder, {"metadata/UrbanSound8K.csv": "UrbanSound8K.csv"})
    found = audited("urbansound8k", source, "official-10fold")
    assert sorts(found) == {
        ("shared_group", "across", True): (5, 152),
        # Three of the five have slices that overlap in time, too.
        ("overlapping_slices", "across", True): (3, 66),
        ("overlapping_slices", "inside", False): (1, 5433),
    }
    (inside,) = (finding for finding in found["findings"] if finding["scope"] == "inside")
    assert inside["what"] == (
        "5,433 of 8,732 clips, in 774 recordings, begin before an earlier clip of their recording ends"
    )
    assert sorts(audited("urbansound8k", source, "grouped-10fold"), "leak", "warning") == {}


@pytest.fixture
def jamendo(shared_data):
    root = shared_data / "meta" / "mtg-jamendo"
    listed = (root / "data" / "download" / "autotagging_moodtheme_audio_sha256_tracks.txt").read_text().splitlines()
    return Metadata(root, names=[line.split()[1] for line in listed])


def test_jamendo_has_117_songs_more_than_once(jamendo):
    found = audited("mtg_jamendo", jamendo, "split-0", "moodtheme")
    same = {key: count for key, count in sorts(found).items() if key[0] == "identical_file"}
    assert tuple(map(sum, zip(*same.values(), strict=True))) == (117, 243)
    assert sorts(found, "leak") == {("identical_file", "across", True): (4, 8)}
    conflicts = {key: count for key, count in sorts(found).items() if key[0] == "label_conflict"}
    assert sum(count for count, _ in conflicts.values()) == 97


def test_generated_splits_of_jamendo_divide_no_copy(jamendo):
    found = audited("mtg_jamendo", jamendo, "grouped", "moodtheme")
    assert sorts(found, "leak") == {}
    assert sorts(found)["identical_file", "inside", False] == (117, 243)


@pytest.mark.parametrize(
    ("split", "leaks"),
    [("official", {("shared_group", "across", True): (6, 3000)}), ("speakers-6fold", {}), ("grouped-6fold", {})],
)
def test_fsdd(shared_data, split, leaks):
    root = shared_data / "fsdd"
    names = sorted(PurePosixPath(path.relative_to(root)).as_posix() for path in root.rglob("*.wav"))
    found = audited("fsdd", Metadata(root, names=names), split)
    assert sorts(found) == leaks
    if split == "grouped-6fold":
        assert all(counts == {"test": 500, "valid": 500, "train": 2000} for counts in found["folds"].values())
