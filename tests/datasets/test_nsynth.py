"""NSynth: three tasks on the same notes, and instruments that valid and test share."""

import json

import pytest
from samples import Tree, load_sample

from audioprep.datasets.nsynth import RECIPE


class Notes:
    """Three files of metadata that hold the same notes."""

    def __init__(self, notes):
        self._notes = json.dumps(notes)

    def text(self, name):
        return self._notes


def sample_clips(variant):
    return {clip.id: clip for clip in RECIPE.clips(Tree(load_sample(RECIPE, RECIPE.variant(variant))), variant)}


@pytest.mark.parametrize(("variant", "label"), [("family", "reed"), ("source", "acoustic"), ("pitch", "060")])
def test_a_note_has_a_label_of_each_task(variant, label):
    clip = sample_clips(variant)["reed_acoustic_902-060-100"]
    assert clip.member == "nsynth-train/audio/reed_acoustic_902-060-100.wav"
    assert (clip.labels, clip.group, clip.splits) == ((label,), "reed_acoustic_902", {"official": "train"})
    assert clip.attributes == {"qualities": "bright, reverb"}


def test_pitches_are_those_of_a_piano():
    left_out = set(sample_clips("family")) - set(sample_clips("pitch"))
    assert left_out == {"synth_lead_synthetic_903-009-050", "organ_electronic_001-112-050"}
    assert "organ_electronic_905-108-025" in sample_clips("pitch")
    assert RECIPE.variant("pitch").num_classes == 88


def test_all_53_instruments_of_test_are_known_to_be_in_valid():
    for variant in RECIPE.variants:
        (split,) = variant.splits
        assert len(split.known) == 53
        assert not any(name.startswith("synth_lead") for name in split.known)


@pytest.mark.real
def test_published_notes_are_read(shared_data):
    notes = json.loads((shared_data / "meta" / "nsynth" / "examples.sample6.json").read_text())
    clips = [clip for clip in RECIPE.clips(Notes(notes), "family") if clip.splits["official"] == "test"]
    assert len(clips) == 6
    (split,) = RECIPE.variants[0].splits
    for clip in clips:
        assert clip.group in split.known
        assert clip.id.startswith(f"{clip.group}-")
        assert clip.group.startswith(f"{clip.labels[0]}_")
