"""ESC-50: environmental sounds, 50 classes of 40 clips, 5 s, 44.1 kHz mono, from Freesound.

Layout   audio/{fold}-{source}-{take}-{target}.wav, meta/esc50.csv
Splits   5 official folds; test one, validate on the next; published results test one and train on the other four
Groups   src_file, the Freesound recording a clip was cut from
Defects  four recordings were cut into clips of two folds, with different labels
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, clip_id

_COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"


def _clips(source: Source) -> Iterator[Clip]:
    for row in source.rows("meta/esc50.csv"):
        yield Clip(
            id=clip_id(row["filename"]),
            member=f"audio/{row['filename']}",
            labels=(row["category"],),
            group=row["src_file"],
            fold=int(row["fold"]),
        )


RECIPE = Recipe(
    name="esc50",
    title="ESC-50: Dataset for Environmental Sound Classification",
    license="CC-BY-NC-3.0",
    homepage="https://github.com/karolpiczak/ESC-50",
    cite="K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015",
    archives=(
        Archive(
            name="ESC-50.zip",
            url=f"https://github.com/karoldvl/ESC-50/archive/{_COMMIT}.zip",
            num_bytes=645_832_161,
            sha256="661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f",
        ),
    ),
    clips=_clips,
    num_clips=2000,
    num_classes=50,
    hours=2.78,
    window_s=5.0,
    split="official-5fold",
    get="downloads 616 MiB",
    fit_on=("train", "valid"),
    known_leaks={
        "131943": "clock_tick in fold 2, clock_alarm in fold 3",
        "134049": "hen in fold 2, rooster in fold 3",
        "209698": "clock_alarm in fold 4, clock_tick in fold 5",
        "234879": "hen in fold 4, rooster in fold 5",
    },
)
