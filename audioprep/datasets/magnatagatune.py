"""MagnaTagATune: 29 s clips of 5,405 songs, tagged by players of a game; several of 188 tags a clip.

Layout   {0-9,a-f}/{artist}-{album}-{track}-{title}-{start}-{end}.mp3; annotations_final.csv and clip_info_final.csv,
         both with tabs
Splits   12-1-3: folders 0-b train, c valid, d-f test; 12-1-3-cleaned: the same without clips that have no top-50 tag
Groups   artist; songs and albums lie in one folder each, some artists do not
Defects  three of the MP3 files are empty; tags mean the same under several names
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant

_URL = "https://mirg.city.ac.uk/datasets/magnatagatune"
_MIRROR = "http://mi.soi.city.ac.uk/datasets/magnatagatune"
_PARTS = dict.fromkeys("0123456789ab", "train") | {"c": "valid"} | dict.fromkeys("def", "test")
_EMPTY = frozenset({"35644", "55753", "57881"})
# fmt: off
_TOP_50 = frozenset([
    "ambient", "beat", "beats", "cello", "choir", "choral", "classic", "classical", "country", "dance", "drums",
    "electronic", "fast", "female", "female vocal", "female voice", "flute", "guitar", "harp", "harpsichord",
    "indian", "loud", "male", "male vocal", "male voice", "man", "metal", "new age", "no vocal", "no vocals",
    "no voice", "opera", "piano", "pop", "quiet", "rock", "singing", "sitar", "slow", "soft", "solo", "strings",
    "synth", "techno", "violin", "vocal", "vocals", "voice", "weird", "woman",
])
# fmt: on
_MERGED = {
    "beats": "beat",
    "choral": "choir",
    "classic": "classical",
    "female vocal": "female",
    "female voice": "female",
    "woman": "female",
    "male vocal": "male",
    "male voice": "male",
    "man": "male",
    "no vocals": "no vocal",
    "no voice": "no vocal",
    "vocals": "vocal",
    "voice": "vocal",
}


def _clips(source: Source, variant: str) -> Iterator[Clip]:
    info = {row["clip_id"]: row for row in source.rows("clip_info_final.csv", separator="\t")}
    for row in source.rows("annotations_final.csv", separator="\t"):
        number, member = row.pop("clip_id"), row.pop("mp3_path")
        tags = {tag for tag, given in row.items() if given == "1"}
        top_tags = tags & _TOP_50
        splits = {}
        if number not in _EMPTY:
            splits["12-1-3"] = _PARTS[member[0]]
            if top_tags:
                splits["12-1-3-cleaned"] = _PARTS[member[0]]
        known = info.get(number, {})
        yield Clip(
            id=number,
            member=member,
            labels=tuple(sorted(_labels(variant, tags, top_tags))),
            # File names begin with the artist, in small letters.
            group=known.get("artist") or member[2:].split("-")[0],
            splits=splits,
            attributes={name: known[name] for name in ("album", "title") if known.get(name)},
        )


def _labels(variant: str, tags: set[str], top_tags: set[str]) -> set[str]:
    if variant == "top50-merged":
        return {_MERGED.get(tag, tag) for tag in top_tags}
    return tags if variant == "all188" else top_tags


def _variant(name: str, about: str, num_classes: int) -> Variant:
    shared = "the published parts are folders: some fifty artists have clips in several, songs and albums do not"
    splits = (
        Split(
            "12-1-3",
            "folders 0-b train, c valid, d-f test, without the three empty files",
            sizes={"train": 18_706, "valid": 1_825, "test": 5_329},
            shares_groups=shared,
        ),
        Split(
            "12-1-3-cleaned",
            "12-1-3 without the clips that have none of the 50 most frequent tags",
            sizes={"train": 15_244, "valid": 1_529, "test": 4_332},
            shares_groups=shared,
        ),
    )
    return Variant(name, about, num_clips=25_863, num_classes=num_classes, splits=splits, is_multi_label=True)


def _piece(name: str, num_bytes: int) -> Archive:
    return Archive(name, url=f"{_URL}/{name}", mirrors=(f"{_MIRROR}/{name}",), num_bytes=num_bytes)


def _table(name: str) -> Archive:
    return Archive(name, url=f"{_URL}/{name}", mirrors=(f"{_MIRROR}/{name}",), is_metadata=True)


RECIPE = Recipe(
    name="magnatagatune",
    title="MagnaTagATune",
    license="CC-BY-NC-SA-1.0",
    homepage="https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset",
    cite="E. Law et al., Evaluation of algorithms using games: the case of music tagging, ISMIR 2009",
    get="downloads 2.8 GiB",
    archives=(
        Archive(
            "mp3.zip",
            pieces=(
                _piece("mp3.zip.001", 1_100_000_000),
                _piece("mp3.zip.002", 1_100_000_000),
                _piece("mp3.zip.003", 772_769_864),
            ),
        ),
        _table("annotations_final.csv"),
        _table("clip_info_final.csv"),
    ),
    clips=_clips,
    variants=(
        _variant("top50", "the 50 most frequent tags", 50),
        _variant("top50-merged", "the 50 most frequent tags, those of one meaning made one", 50 - len(_MERGED)),
        _variant("all188", "all tags", 188),
    ),
    window_s=29.0,
    defects=(
        "three MP3 files are empty (clips 35644, 55753 and 57881); they are in no part of the published splits",
        "tags were given by players: a tag that is missing does not mean that the sound is",
        "no checksums are published",
    ),
)
