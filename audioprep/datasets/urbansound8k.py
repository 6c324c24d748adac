"""UrbanSound8K: 8,732 slices of up to 4 s of urban sound in 10 classes, from Freesound.

Layout   audio/fold{1..10}/{recording}-{class}-{occurrence}-{slice}.wav, metadata/UrbanSound8K.csv
Splits   10 official folds; test one, validate on the next; published results test one and train on the other nine;
         never shuffled, or results cannot be compared
Groups   fsID, the Freesound recording a slice was cut from; start and end say where
Defects  five recordings lie in two folds, under two classes; rate, depth and channels differ from file to file
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant, clip_id

_SALIENCE = {"1": "foreground", "2": "background"}
_FOLD_SIZES = (873, 888, 925, 990, 936, 823, 838, 806, 816, 837)


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    for row in source.rows("metadata/UrbanSound8K.csv"):
        yield Clip(
            id=clip_id(row["slice_file_name"]),
            member=f"audio/fold{row['fold']}/{row['slice_file_name']}",
            labels=(row["class"],),
            group=row["fsID"],
            splits={"official-10fold": row["fold"]},
            source_start_s=float(row["start"]),
            source_end_s=float(row["end"]),
            attributes={"salience": _SALIENCE[row["salience"]]},
        )


RECIPE = Recipe(
    name="urbansound8k",
    title="UrbanSound8K",
    license="CC-BY-NC-3.0",
    homepage="https://urbansounddataset.weebly.com/urbansound8k.html",
    cite="J. Salamon, C. Jacoby, J. P. Bello, A Dataset and Taxonomy for Urban Sound Research, ACM Multimedia 2014",
    get="downloads 5.6 GiB",
    archives=(
        Archive(
            name="UrbanSound8K.tar.gz",
            url="https://zenodo.org/record/1203745/files/UrbanSound8K.tar.gz",
            num_bytes=6_023_741_708,
            md5="9aa69802bbf37fb986f71ec1483a196e",
        ),
    ),
    clips=_clips,
    variants=(
        Variant(
            num_clips=8732,
            num_classes=10,
            class_sizes={
                "air_conditioner": 1000,
                "car_horn": 429,
                "children_playing": 1000,
                "dog_bark": 1000,
                "drilling": 1000,
                "engine_idling": 1000,
                "gun_shot": 374,
                "jackhammer": 1000,
                "siren": 929,
                "street_music": 1000,
            },
            splits=(
                Split(
                    "official-10fold",
                    "the authors' folds: test one, validate on the next, report the mean of all ten",
                    sizes={str(fold): size for fold, size in enumerate(_FOLD_SIZES, start=1)},
                    known={
                        "106905": "siren in fold 1, engine_idling in fold 8",
                        "132016": "street_music in fold 1, jackhammer in fold 4",
                        "176638": "car_horn in fold 1, engine_idling in fold 4",
                        "180937": "jackhammer in fold 1, drilling in fold 9",
                        "77751": "drilling in fold 2, jackhammer in fold 7",
                    },
                ),
            ),
        ),
    ),
    window_s=4.0,
    hours=8.75,
    fit_on=("train", "valid"),
    defects=(
        "109 slices are shorter than 0.4 s, too short for a loudness by BS.1770",
        "slices of one recording overlap in time, always inside one fold",
    ),
)
