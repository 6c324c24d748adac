"""VoxCeleb1: 153,516 utterances of 1,251 celebrities, from videos on YouTube, 16 kHz mono.

Layout   wav/{speaker}/{video}/{number}.wav in two zips, one of them in four parts; iden_split.txt beside them
Splits   identification: every speaker in every part, videos in one; verification: 40 speakers for test, the second zip
Groups   video of a speaker
Defects  the two zips are the verification split: either split needs both of them
"""

from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant, clip_id

NOTICE = "this is personal data: voices of people who are named; the law of your country says what you may do with them"
ASK = "https://mm.kaist.ac.kr/datasets/voxceleb/"
_PARTS = {"1": "train", "2": "valid", "3": "test"}
_TEST_SPEAKERS = frozenset(f"id{number}" for number in range(10_270, 10_310))
IDENTIFICATION = Split(
    "identification",
    "the published list: videos of every speaker in train, valid and test",
    sizes={"train": 138_361, "valid": 6_904, "test": 8_251},
)
_VERIFICATION = Split(
    "verification",
    "dev and test zip, which share no speaker: a test of embeddings, not of a classifier of the train speakers; its valid "
    "part is drawn from train",
    sizes={"train": 148_642, "test": 4_874},
)


def utterances(source: Source) -> dict[str, str]:
    """Return the member of every `speaker/video/file`, wherever the folders of the speakers lie."""
    return {"/".join(name.split("/")[-3:]): name for name in sorted(source.names())}


def voxceleb1_clips(source: Source, *, with_verification: bool) -> Iterator[Clip]:
    """Return the utterances of the identification list."""
    members = utterances(source)
    for line in source.text("iden_split.txt").splitlines():
        number, path = line.split()
        speaker, video, _ = path.split("/")
        splits = {"identification": _PARTS[number]}
        if with_verification:
            splits["verification"] = "test" if speaker in _TEST_SPEAKERS else "train"
        yield Clip(clip_id(path), members.get(path, path), (speaker,), f"{speaker}/{video}", splits)


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    return voxceleb1_clips(source, with_verification=True)


ARCHIVES = (
    Archive(
        name="vox1_dev_wav.zip",
        md5="ae63e55b951748cc486645f532ba230b",
        pieces=tuple(
            Archive(f"vox1_dev_wav_part{part}", sha256=sha256)
            for part, sha256 in {
                "aa": "21ec6ca843659ebc2fdbe04b530baa4f191ad4b0971912672d92c158f32226a0",
                "ab": "311d21e0c8cbf33573a4fce6c80e5a279d80736274b381c394319fc557159a04",
                "ac": "92b64465f2b2a3dc0e4196ae8dd6828cbe9ddd1f089419a11e4cbfe2e1750df0",
                "ad": "00e6190c770b27f27d2a3dd26ee15596b17066b715ac111906861a7d09a211a5",
            }.items()
        ),
    ),
    Archive(
        name="vox1_test_wav.zip",
        sha256="8de57f347fe22b2c24526e9f444f689ecf5096fc2a92018cf420ff6b5b15eaea",
    ),
    Archive(
        name="iden_split.txt",
        url="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/meta/iden_split.txt",
        is_metadata=True,
    ),
)

RECIPE = Recipe(
    name="voxceleb1",
    title="VoxCeleb1: speakers in interviews",
    license="CC-BY-4.0 for the lists; the recordings belong to their owners",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html",
    cite="A. Nagrani, J. S. Chung, A. Zisserman, VoxCeleb: a large-scale speaker identification dataset, Interspeech 2017",
    get="ask for the archives, and place them",
    archives=ARCHIVES,
    clips=_clips,
    variants=(Variant(num_clips=153_516, num_classes=1_251, splits=(IDENTIFICATION, _VERIFICATION)),),
    window_s=4.0,
    ask=ASK,
    defects=("the list iden_split.txt is published without a hash",),
    notice=NOTICE,
)
