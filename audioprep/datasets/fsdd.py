"""Free Spoken Digit Dataset: 3,000 recordings of English digits by six speakers, 8 kHz mono, trimmed.

Layout   recordings/{digit}_{speaker}_{take}.wav
Splits   official: takes 0 to 4 are test; speakers-6fold: one speaker a fold, in alphabetical order
Groups   speaker
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant, clip_id

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
_NUM_TEST_TAKES = 5
_VERSION = "1.0.10"


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    for name in source.names():
        path = PurePosixPath(name)
        if path.suffix == ".wav":
            digit, speaker, take = path.stem.split("_")
            yield Clip(
                id=clip_id(path.name),
                member=name,
                labels=(_DIGITS[int(digit)],),
                group=speaker,
                splits={
                    "official": "test" if int(take) < _NUM_TEST_TAKES else "train",
                    "speakers-6fold": str(_SPEAKERS.index(speaker) + 1),
                },
            )


RECIPE = Recipe(
    name="fsdd",
    title="Free Spoken Digit Dataset",
    license="CC-BY-SA-4.0",
    homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
    cite=f"Z. Jackson et al., Free Spoken Digit Dataset, v{_VERSION}, 2020",
    get="downloads 16 MiB",
    archives=(
        Archive(
            name=f"free-spoken-digit-dataset-{_VERSION}.zip",
            url=f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v{_VERSION}.zip",
            num_bytes=16_419_872,
            sha256="c680098f5d2355ba7cc4bd8b0ca9e0a24c00ebe3b4c552208889a4d28d4fbc2b",
        ),
    ),
    clips=_clips,
    variants=(
        Variant(
            num_clips=3000,
            num_classes=10,
            class_sizes=dict.fromkeys(_DIGITS, 300),
            splits=(
                Split(
                    "official",
                    "takes 0 to 4 of every digit and speaker are test, the others train",
                    sizes={"train": 2700, "test": 300},
                    shares_groups="all six speakers are in both parts",
                ),
                Split(
                    "speakers-6fold",
                    "one speaker a fold, in alphabetical order: test one, validate on the next",
                    sizes={str(fold): 500 for fold in range(1, 7)},
                ),
            ),
        ),
    ),
    window_s=1.0,
    hours=0.36,
    notice="recordings of real people's voices",
)
