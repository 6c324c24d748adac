"""SUPERB speaker identification: who of 1,251 speakers of VoxCeleb1 it is.

Layout   the archives of voxceleb1
Splits   identification: the published list, videos of every speaker in train, valid and test
Groups   video of a speaker
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Clip, Recipe, Source, Variant
from audioprep.datasets.voxceleb1 import ARCHIVES, ASK, IDENTIFICATION, NOTICE, voxceleb1_clips


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    return voxceleb1_clips(source, with_verification=False)


RECIPE = Recipe(
    name="superb_sid",
    title="SUPERB: speaker identification (SID)",
    license="CC-BY-4.0 for the lists; the recordings belong to their owners",
    homepage="https://github.com/s3prl/s3prl",
    cite="S. Yang et al., SUPERB: Speech processing Universal PERformance Benchmark, Interspeech 2021; data: A. Nagrani et al., 2017",
    get="ask for the archives, and place them; shared with voxceleb1",
    archives=ARCHIVES,
    clips=_clips,
    variants=(Variant(num_clips=153_516, num_classes=1_251, splits=(IDENTIFICATION,)),),
    window_s=4.0,
    store="voxceleb1",
    ask=ASK,
    notice=NOTICE,
)
