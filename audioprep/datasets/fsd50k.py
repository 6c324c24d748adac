"""FSD50K: 51,197 Freesound clips of 0.3 to 30 s, 44.1 kHz mono, labelled with 200 classes of the AudioSet ontology.

Layout   FSD50K.{dev,eval}_audio/{fname}.wav, FSD50K.ground_truth/{dev,eval}.csv,
         FSD50K.metadata/{dev,eval}_clips_info_FSD50K.json; the audio is published as two split zips
Splits   official: the train and val parts of dev.csv, eval.csv is test
Groups   uploader
Defects  labels of dev are right but may be incomplete; twelve dev clips are 30 s and longer, of wrong length in Freesound
"""

import json
from collections.abc import Iterator

from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant, clip_id

_URL = "https://zenodo.org/record/4060432/files/"
_PIECE_BYTES = 3_221_225_472
_DEV_PIECES = (
    ("z01", _PIECE_BYTES, "faa7cf4cc076fc34a44a479a5ed862a3"),
    ("z02", _PIECE_BYTES, "8f9b66153e68571164fb1315d00bc7bc"),
    ("z03", _PIECE_BYTES, "1196ef47d267a993d30fa98af54b7159"),
    ("z04", _PIECE_BYTES, "d088ac4e11ba53daf9f7574c11cccac9"),
    ("z05", _PIECE_BYTES, "81356521aa159accd3c35de22da28c7f"),
    ("zip", 2_306_663_327, "c480d119b8f7a7e32fdb58f3ea4d6c5a"),
)
_EVAL_PIECES = (
    ("z01", _PIECE_BYTES, "3090670eaeecc013ca1ff84fe4442aeb"),
    ("zip", 3_037_675_767, "6fa47636c3a3ad5c7dfeba99f2637982"),
)
# Words of the column split of dev.csv; eval.csv has no such column.
_PARTS = {"train": "train", "val": "valid", "test": "test"}
_TOO_LONG = "83298 83299 121351 121426 121471 121472 124796 124797 124800 124834 124858 397150"


def _file(name: str, num_bytes: int, md5: str, folder: str = "") -> Archive:
    return Archive(name=name, url=f"{_URL}{name}?download=1", num_bytes=num_bytes, md5=md5, folder=folder)


def _audio(name: str, pieces: tuple[tuple[str, int, str], ...]) -> Archive:
    files = tuple(_file(f"{name}.{suffix}", num_bytes, md5) for suffix, num_bytes, md5 in pieces)
    return Archive(name=f"{name}.zip", pieces=files, folder=name)


def _clips(source: Source, _variant: str) -> Iterator[Clip]:
    for part in ("dev", "eval"):
        infos = json.loads(source.text(f"FSD50K.metadata/{part}_clips_info_FSD50K.json"))
        for row in source.rows(f"FSD50K.ground_truth/{part}.csv"):
            info = infos[row["fname"]]
            yield Clip(
                id=clip_id(row["fname"]),
                member=f"FSD50K.{part}_audio/{row['fname']}.wav",
                labels=tuple(sorted(set(row["labels"].split(",")))),
                group=info["uploader"],
                splits={"official": _PARTS[row.get("split", "test")]},
                attributes={"license": _license(info["license"])},
            )


def _license(url: str) -> str:
    """Return the SPDX id of a Creative Commons licence, for example of http://creativecommons.org/licenses/by-nc/3.0/."""
    kind, version = url.strip("/").split("/")[-2:]
    names = {"zero": "CC0", "sampling+": "CC-Sampling-Plus"}
    return f"{names.get(kind, f'CC-{kind.upper()}')}-{version}"


RECIPE = Recipe(
    name="fsd50k",
    title="FSD50K: an Open Dataset of Human-Labeled Sound Events",
    license="CC-BY-4.0",
    homepage="https://zenodo.org/records/4060432",
    cite="E. Fonseca, X. Favory, J. Pons, F. Font, X. Serra, FSD50K: An Open Dataset of Human-Labeled Sound Events, "
    "IEEE/ACM Transactions on Audio, Speech, and Language Processing 30, 2022",
    get="downloads 23 GiB",
    archives=(
        _audio("FSD50K.dev_audio", _DEV_PIECES),
        _audio("FSD50K.eval_audio", _EVAL_PIECES),
        _file("FSD50K.ground_truth.zip", 334_701, "ca27382c195e37d2269c4c866dd73485", "FSD50K.ground_truth"),
        _file("FSD50K.metadata.zip", 6_700_838, "b9ea0c829a411c1d42adb9da539ed237", "FSD50K.metadata"),
    ),
    clips=_clips,
    variants=(
        Variant(
            num_clips=51_197,
            num_classes=200,
            is_multi_label=True,
            splits=(
                Split(
                    "official",
                    "train and val of the development set, evaluation set as test",
                    sizes={"train": 36_796, "valid": 4170, "test": 10_231},
                    shares_groups="an uploader's clips may be divided between train and valid, as the authors balanced "
                    "the classes; those of test are of other uploaders",
                ),
            ),
        ),
    ),
    window_s=10.0,
    hours=108.3,
    defects=(
        "labels of the development set are right but may be incomplete; those of the evaluation set are exhaustive",
        "labels include their ancestors in the AudioSet ontology",
        f"twelve development clips are 30 s and longer, as Freesound had them wrong: {_TOO_LONG}",
    ),
    notice="licences differ from clip to clip (CC0, CC BY, CC BY-NC, CC Sampling+); see the attribute license",
)
