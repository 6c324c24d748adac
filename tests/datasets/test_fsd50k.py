"""FSD50K: label sets, uploaders, licences, and the parts of its split zips."""

import pytest
from samples import Tree, load_sample

from audioprep.datasets.fsd50k import RECIPE
from audioprep.io.archives import Place, open_members

VARIANT = RECIPE.variants[0]


def test_a_clip_has_its_labels_uploader_licence_and_part():
    clips = {clip.id: clip for clip in RECIPE.clips(Tree(load_sample(RECIPE, VARIANT)), "all")}
    clip = clips["800004"]
    assert clip.labels == ("Animal", "Bark", "Dog", "Domestic_animals_and_pets", "Rain", "Water")
    assert clip.member == "FSD50K.dev_audio/800004.wav"
    assert clip.group == "cy d"
    assert {name: clips[name].splits["official"] for name in ("800004", "800006", "800011")} == {
        "800004": "train",
        "800006": "valid",
        "800011": "test",
    }
    assert [clips[name].attributes["license"] for name in ("800001", "800002", "800003", "800004")] == [
        "CC0-1.0",
        "CC-BY-3.0",
        "CC-BY-NC-3.0",
        "CC-Sampling-Plus-1.0",
    ]


def test_the_volumes_of_a_split_zip_end_with_the_zip():
    for archive in RECIPE.archives[:2]:
        suffixes = [piece.name.removeprefix(f"{archive.folder}.") for piece in archive.pieces]
        assert suffixes == [*sorted(suffixes[:-1]), "zip"]
        assert archive.name == archive.pieces[-1].name
    sizes = [file.num_bytes for archive in RECIPE.archives for file in archive.pieces or (archive,)]
    assert sum(sizes) / 2**30 == pytest.approx(23, abs=0.1)


def test_the_parts_are_all_clips():
    assert sum(VARIANT.splits[0].sizes.values()) == VARIANT.num_clips


@pytest.mark.real
def test_the_layout_with_real_clips(shared_data, tmp_path):
    members = open_members([Place((str(shared_data / "fixtures" / "fsd50k"),))], tmp_path)
    clips = {clip.id: clip for clip in RECIPE.clips(members, "all")}
    assert set(clips) == {"21914", "64760", "99"}
    assert all(clip.member in members for clip in clips.values())
    assert [clips[name].splits["official"] for name in ("64760", "21914", "99")] == ["train", "valid", "test"]
    assert clips["99"].attributes == {"license": "CC-BY-3.0"}
    assert "Motor_vehicle_(road)" in clips["99"].labels
