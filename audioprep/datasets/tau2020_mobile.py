"""TAU Urban Acoustic Scenes 2020 Mobile: 23,035 segments of 10 s, 44.1 kHz mono, 10 scenes, 10 cities, 9 devices.

Layout   as of TAU Urban Acoustic Scenes 2019; device a is the main one, b and c are real, s1 to s6 simulated
Splits   fold1: train and test by location; what it leaves out stays unused
Groups   identifier, the city and location of a recording
Defects  segments of b, c and s1 to s6 are copies of segments of a, recorded at once or simulated; s4 to s6 are only in test

Only the development set is taken: the evaluation set is published without labels.
"""

from audioprep.datasets.recipe import Recipe, Split, Variant
from audioprep.datasets.tau2019 import SCENES, development_set, scene_clips

# MD5 of audio.1.zip, audio.2.zip, …
_AUDIO_MD5 = """
    b1e85b8a908d3d6a6ab73268f385d5c8 4310a13cc2943d6ce3f70eba7ba4c784 ed38956c4246abb56190c1e9b602b7b8
    97ab8560056b6816808dedc044dcc023 b50f5e0bfed33cd8e52cb3e7f815c6cb fbf856a3a86fff7520549c899dc94372
    0dbffe7b6e45564da649378723284062 bb6f77832bf0bd9f786f965beb251b2e a65596a5372eab10c78e08a0de797c9e
    2ad595819ffa1d56d2de4c7ed43205a6 0ad29f7040a4e6a22cfd639b3a6738e5 e5f4400c6b9697295fab4cf507155a2f
    8855ab9f9896422746ab4c5d89d8da2f 092ad744452cd3e7de78f988a3d13020 4b5eb85f6592aebf846088d9df76b420
    2e0a89723e58a3836be019e6996ae460
"""
_META_MD5 = "6eae9db553ce48e4ea246e34e50a3cf5"

RECIPE = Recipe(
    name="tau2020_mobile",
    title="TAU Urban Acoustic Scenes 2020 Mobile, development set",
    license="free for non-commercial academic use",
    homepage="https://zenodo.org/records/3819968",
    cite="T. Heittola, A. Mesaros, T. Virtanen, Acoustic scene classification in DCASE 2020 Challenge: generalization across "
    "devices and low complexity solutions, DCASE 2020",
    get="downloads 17 archives",
    archives=development_set("3819968", "2020-mobile", _AUDIO_MD5, _META_MD5),
    clips=scene_clips,
    variants=(
        Variant(
            num_clips=23_035,
            num_classes=10,
            class_sizes=dict.fromkeys(SCENES, 2304)
            | {"airport": 2302, "public_square": 2303, "shopping_mall": 2303, "tram": 2303},
            splits=(
                Split(
                    "fold1",
                    "the published train and test lists; 6,105 segments stay unused, valid is drawn from train by location",
                    sizes={"train": 13_962, "test": 2968},
                ),
            ),
        ),
    ),
    window_s=10.0,
    hours=64.0,
    defects=(
        "segments of devices b, c and s1 to s6 are copies of segments of device a, at the same location, so never in the other part",
        "devices s4, s5 and s6 are in test only",
    ),
)
