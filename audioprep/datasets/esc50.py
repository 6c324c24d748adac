"""ESC-50: environmental sounds, 50 classes of 40 clips, 5 s, 44.1 kHz mono, from Freesound.

Layout   audio/{fold}-{source}-{take}-{target}.wav, meta/esc50.csv
Splits   5 official folds; test one, validate on the next; published results test one and train on the other four
Groups   src_file, the Freesound recording a clip was cut from
Defects  four recordings were cut into clips of two folds, with different labels; one was uploaded twice, in two folds
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant, clip_id

_COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"

# Found by our audit: from 0.6 s on, the two are one recording (correlation 0.996).
UPLOADED_TWICE = {"5-151085-A-20": "crying_baby in fold 5, the recording of 3-151080-A-20 in fold 3"}


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    for row in source.rows("meta/esc50.csv"):
        yield Clip(
            id=clip_id(row["filename"]),
            member=f"audio/{row['filename']}",
            labels=(row["category"],),
            group=row["src_file"],
            splits={"official-5fold": row["fold"]},
        )


RECIPE = Recipe(
    name="esc50",
    title="ESC-50: Dataset for Environmental Sound Classification",
    license="CC-BY-NC-3.0",
    homepage="https://github.com/karolpiczak/ESC-50",
    cite="K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015",
    get="downloads 616 MiB",
    archives=(
        Archive(
            name="ESC-50.zip",
            url=f"https://github.com/karoldvl/ESC-50/archive/{_COMMIT}.zip",
            num_bytes=645_832_161,
            sha256="661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f",
        ),
    ),
    clips=_clips,
    variants=(
        Variant(
            num_clips=2000,
            num_classes=50,
            splits=(
                Split(
                    "official-5fold",
                    "the author's folds: test one, validate on the next",
                    sizes={str(fold): 400 for fold in range(1, 6)},
                    known={
                        "131943": "clock_tick in fold 2, clock_alarm in fold 3",
                        "134049": "hen in fold 2, rooster in fold 3",
                        "209698": "clock_alarm in fold 4, clock_tick in fold 5",
                        "234879": "hen in fold 4, rooster in fold 5",
                        **UPLOADED_TWICE,
                    },
                ),
            ),
        ),
    ),
    window_s=5.0,
    hours=2.78,
    fit_on=("train", "valid"),
)
