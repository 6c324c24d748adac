"""MUSAN: music, speech and noise to augment other corpora with, 109 hours, 16 kHz mono; three classes.

Layout   {music,speech,noise}/{source}/{class}-{source}-{number}.wav, and an ANNOTATIONS file for most sources
Splits   none published; a generated one has each file, and each artist, in one part
Groups   artist for music, else the file: who speaks in which file is not published
Defects  licences differ by file, in the words of a LICENSE file for each source
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Variant, clip_id

# What follows the file's name in a line of ANNOTATIONS.
_COLUMNS = {"music": ("genre", "vocals", "artist"), "speech": ("gender", "language")}


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    names = source.names()
    notes = {line[0]: line[1:] for line in _annotations(source, names)}
    for name in names:
        label, _, path = name.partition("/")
        if label in ("music", "speech", "noise") and path.endswith(".wav"):
            stem = path.rpartition("/")[2].removesuffix(".wav")
            attributes = dict(zip(_COLUMNS.get(label, ()), notes.get(stem, ()), strict=False))
            group = attributes.pop("artist", stem)
            yield Clip(clip_id(f"{stem}.wav"), name, (label,), group, attributes=attributes)


def _annotations(source: Source, names: list[str]) -> Iterator[list[str]]:
    for name in names:
        if name.endswith("/ANNOTATIONS") and name.partition("/")[0] in _COLUMNS:
            yield from (line.split() for line in source.text(name).splitlines() if line.strip())


RECIPE = Recipe(
    name="musan",
    title="MUSAN: music, speech and noise, for augmentation",
    license="CC-BY-4.0 and others, by file",
    homepage="https://www.openslr.org/17/",
    cite="D. Snyder, G. Chen, D. Povey, MUSAN: A Music, Speech, and Noise Corpus, arXiv:1510.08484, 2015",
    get="downloads 10.3 GiB",
    archives=(
        Archive(
            name="musan.tar.gz",
            url="https://www.openslr.org/resources/17/musan.tar.gz",
            mirrors=(
                "https://us.openslr.org/resources/17/musan.tar.gz",
                "https://openslr.elda.org/resources/17/musan.tar.gz",
            ),
            num_bytes=11_086_114_085,
            md5="0c472d4fc0c5141eca47ad1ffeb2a7df",
        ),
    ),
    clips=_clips,
    variants=(Variant(num_clips=2016, num_classes=3, class_sizes={"music": 660, "speech": 426, "noise": 930}),),
    window_s=5.0,
    loudness_mode="off",
    hours=109.0,
    defects=("licences differ by file, in the words of a LICENSE file for each source",),
)
