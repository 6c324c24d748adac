"""SUPERB keyword spotting: the 12-class task on Speech Commands 0.01.

Layout   the archives of speech_commands
Splits   official: the 12-class split of version 0.01, whose test is the separate test set; the tenth of the speakers that
         the SHA-1 rule calls test is not used
Groups   speaker, noise recording; all `_silence_` of the test set
Defects  SUPERB's own code draws `_silence_` at random from all six noises in train and in valid alike; here each noise is in
         one part. Its training samples classes evenly, and lowers audio by 3 dB: neither changes what is compared, the test set
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Clip, Recipe, Source, Split, Variant
from audioprep.datasets.speech_commands import MAIN_1, SILENCE_LEAKS, TEST_1, speech_clips


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    return speech_clips(source, version=1, num_classes=12, split="official")


RECIPE = Recipe(
    name="superb_ks",
    title="SUPERB: keyword spotting (KS)",
    license="CC-BY-4.0",
    homepage="https://github.com/s3prl/s3prl",
    cite="S. Yang et al., SUPERB: Speech processing Universal PERformance Benchmark, Interspeech 2021; data: P. Warden, 2018",
    get="downloads 1.5 GiB, shared with speech_commands",
    archives=(MAIN_1, TEST_1),
    clips=_clips,
    variants=(
        Variant(
            num_classes=12,
            splits=(
                Split(
                    "official",
                    "by speaker, train, valid and the separate test set of version 0.01; where SUPERB draws _silence_ at random, "
                    "here it is a window every half second",
                    sizes={"train": None, "valid": None, "test": 3_081},
                    known=SILENCE_LEAKS,
                ),
            ),
        ),
    ),
    window_s=1.0,
    store="speech_commands",
)
