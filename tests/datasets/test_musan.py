"""MUSAN and RIRS_NOISES: what may not be divided of recordings that augment others."""

import pytest
from samples import Tree, load_sample

from audioprep.datasets import musan, rirs_noises


def clips_of(recipe):
    sample = load_sample(recipe, recipe.variants[0])
    return {clip.member: clip for clip in recipe.clips(Tree(sample), "all")}


def test_music_is_grouped_by_artist():
    clips = clips_of(musan.RECIPE)
    first, second = clips["music/fma/music-fma-0000.wav"], clips["music/fma/music-fma-0001.wav"]
    assert first.group == second.group == "The_Made_Ups"
    assert first.attributes == {"genre": "rock,blues", "vocals": "Y"}
    assert first.id == "music-fma-0000"


def test_what_has_no_artist_is_a_group_by_itself():
    clips = clips_of(musan.RECIPE)
    for name in (
        "music/rfm/music-rfm-0000",
        "speech/librivox/speech-librivox-0000",
        "noise/free-sound/noise-free-sound-0001",
    ):
        assert clips[f"{name}.wav"].group == name.split("/")[-1]
    assert clips["speech/librivox/speech-librivox-0000.wav"].attributes == {"gender": "f", "language": "german"}
    assert {clip.labels[0] for clip in clips.values()} == {"music", "speech", "noise"}


@pytest.mark.parametrize(
    ("member", "label", "group"),
    [
        ("simulated_rirs/smallroom/Room001/Room001-00002.wav", "rir", "smallroom/Room001"),
        ("simulated_rirs/largeroom/Room001/Room001-00002.wav", "rir", "largeroom/Room001"),
        ("pointsource_noises/noise-free-sound-0003.wav", "noise", "noise-free-sound-0003"),
    ],
)
def test_a_room_is_a_group(member, label, group):
    clip = clips_of(rirs_noises.RECIPE)[member]
    assert (clip.labels, clip.group) == ((label,), group)


@pytest.mark.parametrize(
    ("stem", "label", "room"),
    [
        ("RVB2014_type1_noise_largeroom1_1", "noise", "RVB2014-largeroom1"),
        ("RVB2014_type1_rir_largeroom1_far_angla", "rir", "RVB2014-largeroom1"),
        ("RWCP_type2_rir_cirline_ofc_imp090", "rir", "RWCP-ofc"),
        ("RWCP_type5_noise_cirline_ofc_ambient1", "noise", "RWCP-ofc"),
        ("RWCP_type4_rir_p30l", "rir", "RWCP-type4"),
        ("air_type1_air_binaural_aula_carolina_1_3_135_3", "rir", "air-aula"),
        ("air_type1_air_binaural_stairway_1_2_60", "rir", "air-stairway"),
        ("air_type1_air_phone_stairway1_hfrp", "rir", "air-stairway"),
    ],
)
def test_measured_responses_and_noises_of_a_room_stay_together(stem, label, room):
    clip = clips_of(rirs_noises.RECIPE)[f"real_rirs_isotropic_noises/{stem}.wav"]
    assert (clip.labels, clip.group) == ((label,), room)
