"""The demo corpus: synthesised sounds with every defect that the pipeline must handle; needs no network.

Layout   audio/*.{wav,flac,ogg}, meta/demo.csv
Splits   5 folds; test one, validate on the next
Groups   source, the synthesised event that clips were cut from
Defects  a silent clip, a truncated file, a duplicate, a missing file; mixed rates, channels and formats
"""

from collections.abc import Iterator
from pathlib import Path

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant, clip_id


def _make(path: Path) -> None:
    # Imported here: only the run that makes the archive needs the synthesis and its libraries.
    from audioprep.datasets.synthesis.archive import write_demo_archive

    write_demo_archive(path)


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    for row in source.rows("meta/demo.csv"):
        yield Clip(
            id=clip_id(row["filename"]),
            member=f"audio/{row['filename']}",
            labels=(row["label"],),
            group=row["source"],
            splits={"official-5fold": row["fold"]},
        )


RECIPE = Recipe(
    name="demo",
    title="audioprep demo corpus",
    license="CC0-1.0",
    homepage="audioprep/datasets/synthesis/archive.py",
    cite="synthesised by audioprep",
    get="synthesised in seconds",
    archives=(Archive(name="demo.zip", make=_make),),
    clips=_clips,
    variants=(
        Variant(
            num_clips=240,
            num_classes=8,
            splits=(Split("official-5fold", "the folds it is synthesised in: test one, validate on the next"),),
        ),
    ),
    window_s=2.0,
    hours=0.13,
    exclude=("silent", "duplicate"),
)
