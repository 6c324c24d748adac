"""RIRS_NOISES: impulse responses of rooms, and noises, to augment other corpora with; 16 kHz.

Layout   simulated_rirs/{smallroom,mediumroom,largeroom}/Room{number}/*.wav, 600 rooms of 100 responses;
         real_rirs_isotropic_noises/*.wav, measured, responses and noises of the same rooms; pointsource_noises/*.wav
Splits   none published; a generated one has each room, and each file, in one part
Groups   room, real or simulated; the file for noises of one source
Defects  measured files have 1, 2, 8, 16 or 30 channels; the noises of one source are some of those of MUSAN
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Variant, clip_id

_FOLDERS = ("simulated_rirs", "real_rirs_isotropic_noises", "pointsource_noises")
# In names of measured files: what recorded, which stands before the room.
_MICROPHONES = ("binaural", "phone", "circle", "cirline")


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    for name in source.names():
        folder, _, path = name.partition("/")
        stem = path.rpartition("/")[2].removesuffix(".wav")
        if folder in _FOLDERS and path.endswith(".wav"):
            group = path.rpartition("/")[0] or (_room(stem) if folder.startswith("real") else stem)
            is_noise = folder == "pointsource_noises" or "_noise_" in stem
            yield Clip(clip_id(path), name, ("noise" if is_noise else "rir",), group)


def _room(stem: str) -> str:
    """Return the room of a measured file: `RVB2014_type1_rir_largeroom1_far_angla`, `RWCP_type1_rir_circle_e1c_imp010`."""
    corpus, kind, _, *words = stem.split("_")
    if len(words) == 1:  # `RWCP_type4_rir_p30r` has an angle and a side, and no room
        return f"{corpus}-{kind}"
    place = next(word for word in words if word not in _MICROPHONES)
    # `air_type1_air_phone_stairway1_hfrp` is a place in the stairway; RVB2014 and RWCP number rooms.
    return f"{corpus}-{place.rstrip('0123456789') if corpus == 'air' else place}"


RECIPE = Recipe(
    name="rirs_noises",
    title="RIRS_NOISES: room impulse responses and noises, for augmentation",
    license="Apache-2.0",
    homepage="https://www.openslr.org/28/",
    cite="T. Ko et al., A study on data augmentation of reverberant speech for robust speech recognition, ICASSP 2017",
    get="downloads 1.2 GiB",
    archives=(
        Archive(
            name="rirs_noises.zip",
            url="https://www.openslr.org/resources/28/rirs_noises.zip",
            mirrors=("https://us.openslr.org/resources/28/rirs_noises.zip",),
            num_bytes=1_311_166_223,
            sha256="3b50cfde915b3984738169b4beb341e9f6b8062ae4c2076146c5db71c2c05dc7",
        ),
    ),
    clips=_clips,
    variants=(Variant(num_clips=61_260, num_classes=2, class_sizes={"rir": 60_325, "noise": 935}),),
    window_s=1.0,
    loudness_mode="off",
    defects=(
        "measured files have 1, 2, 8, 16 or 30 channels; mixed to one they are no longer the response of a room",
        "the noises of one source are recordings that MUSAN has, too: do not train on the one and test on the other",
    ),
)
