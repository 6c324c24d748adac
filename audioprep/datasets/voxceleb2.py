"""VoxCeleb2: 1.1 million utterances of 6,112 celebrities from YouTube, 16 kHz mono, AAC: to read it, ffmpeg must be there.

Layout   dev/aac/{speaker}/{video}/{number}.m4a from a zip in eight parts, test/aac/… from another; no list
Splits   official: the two zips, which share no speaker: its test speakers are none of those that a classifier learns.
         To tell speakers, use a generated split: it keeps videos together
Groups   video of a speaker
Defects  video of the corpus has the same names: only files of audio are taken, also those that users made of them
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant, clip_id
from audioprep.datasets.voxceleb1 import ASK, NOTICE, utterances

_PARTS = {"dev": "train", "test": "test"}


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    for path, member in utterances(source).items():
        if path.count("/") == 2 and path.startswith("id") and path.endswith((".m4a", ".wav", ".flac")):
            speaker, video, _ = path.split("/")
            part = _PARTS.get(member.partition("/")[0])
            splits = {"official": part} if part else {}
            yield Clip(clip_id(path), member, (speaker,), f"{speaker}/{video}", splits)


# fmt: off
_MD5 = (
    "da070494c573e5c0564b1d11c3b20577", "17fe6dab2b32b48abaf1676429cdd06f", "1de58e086c5edf63625af1cb6d831528",
    "5a043eb03e15c5a918ee6a52aad477f9", "cea401b624983e2d0b2a87fb5d59aa60", "fc886d9ba90ab88e7880ee98effd6ae9",
    "d160ecc3f6ee3eed54d55349531cb42e", "6b84a81b9af72a9d9eecbb3b1f602e65",
)
# fmt: on

RECIPE = Recipe(
    name="voxceleb2",
    title="VoxCeleb2: speakers in interviews",
    license="CC-BY-4.0 for the lists; the recordings belong to their owners",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox2.html",
    cite="J. S. Chung, A. Nagrani, A. Zisserman, VoxCeleb2: Deep Speaker Recognition, Interspeech 2018",
    get="ask for the archives, and place them; needs ffmpeg",
    archives=(
        Archive(
            name="vox2_dev_aac.zip",
            md5="bbc063c46078a602ca71605645c2a402",
            pieces=tuple(
                Archive(f"vox2_dev_aac_parta{letter}", md5=md5) for letter, md5 in zip("abcdefgh", _MD5, strict=True)
            ),
            folder="dev",
        ),
        Archive(name="vox2_test_aac.zip", md5="0d2b3ea430a821c33263b5ea37ede312", folder="test"),
    ),
    clips=_clips,
    variants=(
        Variant(
            num_clips=1_128_246,
            num_classes=6_112,
            splits=(
                Split(
                    "official",
                    "dev and test zip, which share no speaker: a test of embeddings, not of a classifier of the train "
                    "speakers; its valid part is drawn from train",
                    sizes={"train": 1_092_009, "test": 36_237},
                ),
            ),
        ),
    ),
    window_s=4.0,
    ask=ASK,
    notice=NOTICE,
)
