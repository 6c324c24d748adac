"""TAU Urban Acoustic Scenes 2022 Mobile: 230,350 segments of 1 s, 44.1 kHz mono, 10 scenes, 10 cities, 9 devices.

Layout   as of the 2020 edition, whose segments are cut into ten: {scene}-{city}-{location}-{segment}-{part}-{device}.wav
Splits   fold1: train and test by location; what it leaves out stays unused
Groups   identifier, the city and location of a recording
Defects  segments of b, c and s1 to s6 are copies of segments of a, recorded at once or simulated; s4 to s6 are only in test

Only the development set is taken: the evaluation set is published without labels.
"""

from dataclasses import replace

from audioprep.datasets.recipe import Split, Variant
from audioprep.datasets.tau2019 import SCENES, development_set
from audioprep.datasets.tau2020_mobile import RECIPE as TAU2020

# MD5 of audio.1.zip, audio.2.zip, …
_AUDIO_MD5 = """
    8be14bdbd844481dce059ab31fbd2239 e821abda49b069248bb75eab39df7575 9c7897f78bb42ca0008936daddf3f8f3
    53ec3e37c0fc0be75f53c5abbc5300b8 528422c33c5d10263203d2c61cb1f3be 4759a9465c903e13e57d5e82e791fc28
    6d545fc83a55a17856a9ccc1ac9aff6b 3a2916a9b5d3f43cc7a22a62b180b0d9 071f664c86639ad730f7be4e3c39d886
    e0839d019e9b77ecbcbb0eff85965530 fc60f1c83726be3963ae14fbcb95eeb4 02246547f86c0a814dc63ec65d7033bb
    88ae9ef884665140d1572d8061725e00 c3f400d74ae90e5190dc518cde43de47 85594c6fe4f91c10aa2a410f748103b8
    6e2df8438c69f6789414aeba8cbad9d8
"""
_META_MD5 = "419b6ff6570f1030730352dc80cd8d15"

RECIPE = replace(
    TAU2020,
    name="tau2022_mobile",
    title="TAU Urban Acoustic Scenes 2022 Mobile, development set",
    homepage="https://zenodo.org/records/6337421",
    archives=development_set("6337421", "2022-mobile", _AUDIO_MD5, _META_MD5),
    variants=(
        Variant(
            num_clips=230_350,
            num_classes=10,
            class_sizes=dict.fromkeys(SCENES, 23_040)
            | {"airport": 23_020, "public_square": 23_030, "shopping_mall": 23_030, "tram": 23_030},
            splits=(
                Split(
                    "fold1",
                    "the published train and test lists; 61,050 segments stay unused, valid is drawn from train by location",
                    sizes={"train": 139_620, "test": 29_680},
                ),
            ),
        ),
    ),
    window_s=1.0,
)
