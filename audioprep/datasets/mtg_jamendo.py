"""MTG-Jamendo: 55,525 songs with 183 tags of genre, instrument and mood/theme, as their uploaders gave them.

Layout   {last two digits of the track}/{track}.low.mp3; data/splits/split-{0-4}/autotagging*-{train,validation,test}.tsv:
         track, artist, album, path, duration and, a column each, the tags; audio_licenses.txt
Splits   split-0 to split-4: the same tracks, parted by artist; labels are those of the split files, without the category
Groups   artist
Defects  some songs are there twice, as different tracks, of different artists too
"""

from collections import defaultdict
from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant
from audioprep.errors import DatasetError

_COMMIT = "1b4fa8c32e076c73b5175c1703ae805b4109309d"
_METADATA_URL = "https://github.com/MTG/mtg-jamendo-dataset"
_CDN = "https://cdn.freesound.org/mtg-jamendo"
_MIRROR = "https://essentia.upf.edu/documentation/datasets/mtg-jamendo"
_TABLES = {
    "top50": "autotagging_top50tags",
    "moodtheme": "autotagging_moodtheme",
    "genre": "autotagging_genre",
    "instrument": "autotagging_instrument",
    "all": "autotagging",
}
_SPLITS = tuple(f"split-{number}" for number in range(5))
_PARTS = {"train": "train", "validation": "valid", "test": "test"}
# Mono at 96 kbit/s: a third of the bytes of the full files, and more than 16 kHz can hold.
_TYPE = "audio-low"
_HASHES = tuple(
    f"data/download/{name}_{kind}_sha256_tracks.txt"
    for name in ("raw_30s", "autotagging_moodtheme")
    for kind in ("audio", "audio-low")
)


def _clips(source: Source, variant: str) -> Iterator[Clip]:
    rows: dict[str, list[str]] = {}
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for split, part, table in _tables(source, variant):
        for line in source.text(table).splitlines()[1:]:
            track, *row = line.split("\t")
            rows[track] = row
            splits[track][split] = part
    # Tracks of the whole list that no split has, as none of their tags is left there: audited, and unused.
    classes = {tag for row in rows.values() for tag in row[4:]}
    whole = f"data/{_TABLES[variant]}.tsv"
    for line in source.text(whole).splitlines()[1:] if whole in source else ():
        track, *row = line.split("\t")
        rows.setdefault(track, [*row[:4], *(tag for tag in row[4:] if tag in classes)])
    audio = _audio_by_number(source)
    hashes = _hash_by_path(source)
    rights = _rights_by_path(source)
    for track, (artist, album, path, _duration, *tags) in rows.items():
        low_path = f"{path.removesuffix('.mp3')}.low.mp3"
        member = audio.get(path.rpartition("/")[2].removesuffix(".mp3"), low_path)
        yield Clip(
            id=track,
            member=member,
            labels=tuple(sorted({tag.partition("---")[2] for tag in tags})),
            group=artist,
            splits=splits.get(track, {}),
            attributes={"album": album, **rights.get(path, {})},
            sha256=hashes.get(low_path if member.endswith(".low.mp3") else path),
        )


def _tables(source: Source, variant: str) -> list[tuple[str, str, str]]:
    """Return the split files that are there, with the split and the part that each one lists."""
    names = [
        (split, part, f"data/splits/{split}/{_TABLES[variant]}-{word}.tsv")
        for split in _SPLITS
        for word, part in _PARTS.items()
    ]
    found = [entry for entry in names if entry[2] in source]
    if not found:
        raise DatasetError(f"mtg_jamendo: expected {names[0][2]}, found none; get the metadata from {_METADATA_URL}")
    return found


def _audio_by_number(source: Source) -> dict[str, str]:
    """Return the audio files by track number, the low and the full ones alike, whatever folder they lie in."""
    names = [name for name in sorted(source.names(), reverse=True) if name.endswith(".mp3")]
    return {name.rpartition("/")[2].partition(".")[0]: name for name in names}


def _hash_by_path(source: Source) -> dict[str, str]:
    lines = [line.split() for name in _HASHES if name in source for line in source.text(name).splitlines()]
    return {path: sha256 for sha256, path in lines}


def _rights_by_path(source: Source) -> dict[str, dict[str, str]]:
    """Return licence and attribution of the tracks: blocks of a path, who made it, and under which licence it is."""
    rights: dict[str, dict[str, str]] = {}
    path = ""
    for line in source.text("audio_licenses.txt").splitlines() if "audio_licenses.txt" in source else ():
        text = line.strip()
        if text.endswith(".mp3") and text[2:3] == "/":
            path = text
        elif text.startswith("Available under"):
            rights.setdefault(path, {})["license"] = text.rpartition(" ")[2]
        elif text:
            rights.setdefault(path, {})["attribution"] = text
    return rights


# A track, the one of another artist that has the same bytes, and the splits in which the two lie in different parts:
# found in the published hashes of the mood/theme tracks.
_COPIES = (
    ("track_0024835", "track_0017148", "023"),
    ("track_0024836", "track_0017146", "023"),
    ("track_0024837", "track_0017155", "023"),
    ("track_0897135", "track_0897105", "0123"),
    ("track_1061369", "track_0482263", "234"),
    ("track_1061372", "track_0481862", "234"),
    ("track_1061375", "track_0482274", "234"),
    ("track_1061376", "track_0482275", "234"),
    ("track_1061377", "track_0482266", "234"),
    ("track_1294749", "track_0482267", "234"),
)


def _variant(name: str, about: str, num_clips: int | None, num_classes: int, *sizes_of_split_0: int) -> Variant:
    sizes = dict(zip(_PARTS.values(), sizes_of_split_0, strict=True))
    splits = tuple(
        Split(
            split,
            f"published split {split[-1]} of five: the same tracks, parted by artist",
            sizes=sizes if split == "split-0" else None,
            known={copy: f"has the bytes of {other}" for copy, other, across in _COPIES if split[-1] in across},
        )
        for split in _SPLITS
    )
    return Variant(name, about, num_clips, num_classes, splits=splits, is_multi_label=True)


def _tars(dataset: str, *variants: str) -> tuple[Archive, ...]:
    # No hash: the metadata has that of every single track, and each is compared when it is read.
    names = [f"{dataset}_{_TYPE}-{number:02d}.tar" for number in range(100)]
    return tuple(
        Archive(
            name,
            url=f"{_CDN}/{dataset}/{_TYPE}/{name}",
            mirrors=(f"{_MIRROR}/{dataset}/{_TYPE}/{name}",),
            folder=f"{number:02d}",
            variants=variants,
        )
        for number, name in enumerate(names)
    )


RECIPE = Recipe(
    name="mtg_jamendo",
    title="MTG-Jamendo",
    license="Creative Commons, each track its own; metadata CC-BY-NC-SA-4.0",
    homepage=_METADATA_URL,
    cite="D. Bogdanov et al., The MTG-Jamendo Dataset for Automatic Music Tagging, ML4MD at ICML 2019",
    get="downloads 156 GB (moodtheme: 46 GB)",
    archives=(
        Archive(
            f"mtg-jamendo-dataset-{_COMMIT}.zip",
            url=f"{_METADATA_URL}/archive/{_COMMIT}.zip",
            is_metadata=True,
            unpacked="data/splits",
        ),
        *_tars("autotagging_moodtheme", "moodtheme"),
        *_tars("raw_30s", "top50", "genre", "instrument", "all"),
    ),
    clips=_clips,
    variants=(
        _variant("top50", "the 50 most frequent tags", None, 50, 32_136, 10_888, 11_356),
        _variant("moodtheme", "56 tags of mood and theme", 18_486, 56, 9_949, 3_802, 4_231),
        _variant("genre", "87 tags of genre", None, 87, 32_572, 11_043, 11_479),
        _variant("instrument", "40 tags of instruments", 25_135, 40, 14_395, 5_466, 5_115),
        _variant("all", "all 183 tags that every split has", None, 183, 32_859, 11_101, 11_565),
    ),
    window_s=30.0,
    defects=(
        "465 songs are in it two to four times, 990 tracks in all; of the mood/theme tracks 243, most with different tags",
        "known are only the copies across parts that both have mood/theme tags: the audit may find more of them",
        "songs are whole, minutes long, and a window is cut from each",
    ),
)
