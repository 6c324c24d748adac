"""GTZAN: 1,000 excerpts of 30 s in 10 genres, 22.05 kHz mono.

Layout   {genre}/{genre}.{number}.wav, or .au, in a folder genres or genres_original
Splits   fault-filtered: without copies and faulty files; artist-3fold; stratified: at random, with all faults
Groups   artist, from an index of artists and titles; a clip whose artist is unknown, or has no other, is alone
Defects  50 exact copies, distorted files, doubtful labels; every split divides some artists

The archive's server is gone most of the time, so that users have to bring a copy of their own.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from audioprep.datasets import gtzan_index as index
from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant

_SUFFIXES = (".wav", ".au")
_PARTS = {"t": "train", "v": "valid", "e": "test", "1": "1", "2": "2", "3": "3"}
_SPLITS = {
    "fault-filtered": index.FAULT_FILTERED,
    "artist-3fold": index.ARTIST_3FOLD,
    "stratified": index.STRATIFIED,
}
_DIVIDED = "its clips are in more than one part"


def _ids(text: str) -> Iterator[str]:
    """Yield the clips that are meant by, for example, `metal 58-60 rock 16`."""
    genre = ""
    for word in text.split():
        first, _, last = word.partition("-")
        if first.isdigit():
            yield from (f"{genre}_{number:05d}" for number in range(int(first), int(last or first) + 1))
        else:
            genre = word


_ARTISTS = {clip: artist for artist, text in index.ARTISTS.items() for clip in _ids(text)}


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    paths = (PurePosixPath(name) for name in source.names())
    for path in (path for path in paths if path.suffix in _SUFFIXES):
        genre, number = path.stem.split(".")
        clip = f"{genre}_{number}"
        letters = {name: genres[genre][int(number)] for name, genres in _SPLITS.items()}
        yield Clip(
            id=clip,
            member=str(path),
            labels=(genre,),
            group=_ARTISTS.get(clip, clip),
            splits={name: _PARTS[letter] for name, letter in letters.items() if letter != "."},
        )


def _copies() -> dict[str, str]:
    sets = (tuple(_ids(text)) for text in index.COPIES)
    return {copy: f"the same samples as {first}" for first, *copies in sets for copy in copies}


RECIPE = Recipe(
    name="gtzan",
    title="GTZAN genre collection",
    license="none is stated; excerpts of commercial recordings",
    homepage="https://arxiv.org/abs/1306.1461",
    cite="G. Tzanetakis, P. Cook, Musical genre classification of audio signals, IEEE Transactions on Speech and Audio "
    "Processing 10, 2002",
    get="downloads 1.2 GB where its server answers; else place genres.tar.gz, or give a folder with --root",
    archives=(
        Archive(
            name="genres.tar.gz",
            url="http://opihi.cs.uvic.ca/sound/genres.tar.gz",
            sha256="24347e0223d2ba798e0a558c4c172d9d4a19c00bb7963fe055d183dadb4ef2c6",
            md5="5b3d6dddb579ab49814ab86dba69e7c7",
        ),
    ),
    clips=_clips,
    variants=(
        Variant(
            num_clips=1000,
            num_classes=10,
            class_sizes=dict.fromkeys(index.FAULT_FILTERED, 100),
            splits=(
                Split(
                    "fault-filtered",
                    "Kereliuk, Sturm and Larsen 2015: 930 clips without copies, distortions and most divided artists",
                    sizes={"train": 443, "valid": 197, "test": 290},
                    known=dict.fromkeys(index.DIVIDED_BY_FAULT_FILTERED, _DIVIDED),
                ),
                Split(
                    "artist-3fold",
                    "Foleis and Tavares 2020: 948 clips, most artists in one fold; published results train on two folds",
                    sizes={"1": 315, "2": 316, "3": 317},
                    known=dict.fromkeys(index.DIVIDED_BY_ARTIST_3FOLD, _DIVIDED),
                ),
                Split(
                    "stratified",
                    "Kereliuk, Sturm and Larsen 2015: all 1,000 clips at random, to show what the faults do to results",
                    sizes={"train": 500, "valid": 250, "test": 250},
                    known=_copies(),
                    shares_groups="drawn by file, so that artists are in several parts",
                ),
            ),
        ),
    ),
    window_s=30.0,
    hours=8.33,
    ask="the server opihi.cs.uvic.ca seldom answers; any copy with the sha256 of genres.tar.gz will do",
    defects=(
        "50 clips are exact copies of others; one of them, metal_00058 and rock_00016, is in two genres",
        "jazz_00054 cannot be read in a copy that is widely shared; it is a training clip of fault-filtered",
        "reggae_00086 is distorted but for 5 s",
        "43 labels are conspicuously wrong and 63 are contentious (arXiv:1306.1461)",
    ),
)
