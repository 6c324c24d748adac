"""ESC-10: the ten classes of ESC-50 that are freely licensed, 40 clips each, 5 s, 44.1 kHz mono.

Layout   the archive of ESC-50; rows of meta/esc50.csv whose column esc10 is True
Splits   the 5 official folds of ESC-50; test one, validate on the next
Groups   src_file, the Freesound recording a clip was cut from
Defects  none of the four sources that ESC-50 has in two folds is in two folds here; one recording was uploaded twice
"""

from collections.abc import Iterator
from dataclasses import replace

from audioprep.datasets.esc50 import RECIPE as ESC50
from audioprep.datasets.esc50 import UPLOADED_TWICE
from audioprep.datasets.recipe import Clip, Source, Split, Variant

_CLASSES = (
    "chainsaw",
    "clock_tick",
    "crackling_fire",
    "crying_baby",
    "dog",
    "helicopter",
    "rain",
    "rooster",
    "sea_waves",
    "sneezing",
)


def _clips(source: Source, variant: str) -> Iterator[Clip]:
    members = {f"audio/{row['filename']}" for row in source.rows("meta/esc50.csv") if row["esc10"] == "True"}
    return (clip for clip in ESC50.clips(source, variant) if clip.member in members)


RECIPE = replace(
    ESC50,
    name="esc10",
    title="ESC-10: the freely licensed classes of ESC-50",
    license="CC-BY-3.0",
    get="downloads 616 MiB, the archive of ESC-50",
    store="esc50",
    clips=_clips,
    variants=(
        Variant(
            num_clips=400,
            num_classes=10,
            class_sizes=dict.fromkeys(_CLASSES, 40),
            splits=(
                Split(
                    "official-5fold",
                    "the author's folds: test one, validate on the next",
                    sizes={str(fold): 80 for fold in range(1, 6)},
                    known=UPLOADED_TWICE,
                ),
            ),
        ),
    ),
    hours=0.56,
)
