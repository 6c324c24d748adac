"""TAU Urban Acoustic Scenes 2019: 14,400 segments of 10 s, 48 kHz binaural, 10 scenes, 10 cities.

Layout   audio/{scene}-{city}-{location}-{segment}-{device}.wav, meta.csv, evaluation_setup/fold1_{train,evaluate}.csv;
         tables are separated by tabs
Splits   fold1: train and test by location; what it leaves out stays unused
Groups   identifier, the city and location of a recording
Defects  Milan is only in test

Only the development set is taken: the leaderboard and evaluation sets are published without labels.
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant, clip_id

SCENES = (
    "airport",
    "bus",
    "metro",
    "metro_station",
    "park",
    "public_square",
    "shopping_mall",
    "street_pedestrian",
    "street_traffic",
    "tram",
)
# MD5 of audio.1.zip, audio.2.zip, …
_AUDIO_MD5 = """
    aca4ebfd9ed03d5f747d6ba8c24bc728 c4f170408ce77c8c70c532bf268d7be0 c7214a07211f10f3250290d05e72c37e
    a6a62110f6699cf4432072acb1dffda6 091a0b6d3c84b8e60e46940aa7d4a8a0 114f4ca13e074391b98a1cfd8140de65
    5951dd2968f7a514e2afbe279c4f060d b0b63dc95b327e1509857c8d8a663cc3 3c32a693a6b111ffb957be3c1dd22e9b
    0ffbf60006da520cc761fb74c878b98b 599055d93b4c11057c29be2df54538d4 98b8d162ff3665695c4c910e6c372cc8
    a356c08b1a5a21d433eba37ef87587f4 f8969771e7faf7dd471d1cf78b0cf011 4758c4b0fb7484faa632266e78850820
    a18acad9ede8ea76574216feb887f0bc 1af7703484632f340da5c33662dc9632 b67402bf3e08f4da394a7c18756c0fd2
    035db315f19106eb848b6f9b32bcc47c 9cb28c74911bf8a3eadcf53f50a5b5d6 0e44ed85c88ec036a9725b4dd1dfaea0
"""
_META_MD5 = "09782f2097e4735687af73c44919329c"


def scene_clips(source: Source, _variant: str) -> Iterator[Clip]:
    """Yield the clips of a development set in the layout that all editions share."""
    parts = {
        row["filename"]: part
        for part, table in (("train", "fold1_train.csv"), ("test", "fold1_evaluate.csv"))
        for row in source.rows(f"evaluation_setup/{table}", "\t")
    }
    for row in source.rows("meta.csv", "\t"):
        name, location = row["filename"], row["identifier"]
        yield Clip(
            id=clip_id(name.removeprefix("audio/")),
            member=name,
            labels=(row["scene_label"],),
            group=location,
            splits={"fold1": parts[name]} if name in parts else {},
            attributes={"city": location.rsplit("-", 1)[0], "device": row["source_label"]},
        )


def development_set(record: str, edition: str, audio_md5: str, meta_md5: str) -> tuple[Archive, ...]:
    """Return the archives of an edition: a few of audio, and one of tables."""
    stem = f"TAU-urban-acoustic-scenes-{edition}-development"
    hashes = {f"{stem}.audio.{number}.zip": md5 for number, md5 in enumerate(audio_md5.split(), start=1)}
    hashes[f"{stem}.meta.zip"] = meta_md5
    url = f"https://zenodo.org/record/{record}/files"
    return tuple(Archive(name=name, url=f"{url}/{name}", md5=md5) for name, md5 in hashes.items())


RECIPE = Recipe(
    name="tau2019",
    title="TAU Urban Acoustic Scenes 2019, development set",
    license="free for non-commercial academic use",
    homepage="https://zenodo.org/records/2589280",
    cite="A. Mesaros, T. Heittola, T. Virtanen, A multi-device dataset for urban acoustic scene classification, DCASE 2018",
    get="downloads 22 archives",
    archives=development_set("2589280", "2019", _AUDIO_MD5, _META_MD5),
    clips=scene_clips,
    variants=(
        Variant(
            num_clips=14_400,
            num_classes=10,
            class_sizes=dict.fromkeys(SCENES, 1440),
            splits=(
                Split(
                    "fold1",
                    "the published train and test lists; 1,030 segments stay unused, valid is drawn from train by location",
                    sizes={"train": 9185, "test": 4185},
                ),
            ),
        ),
    ),
    window_s=10.0,
    hours=40.0,
    defects=("Milan is in test only; its segments outside of test are the unused ones",),
)
