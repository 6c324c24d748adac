"""Speech Commands: single English words of one second, 16 kHz mono, by 2,618 speakers; versions 0.01 and 0.02.

Layout   speech_commands_v0.0*/{word}/{speaker}_nohash_{take}.wav and _background_noise_/*.wav, six minutes of noise;
         speech_commands_test_set_v0.0*/{command, _unknown_, _silence_}/*.wav, the test set of the 12-class task
Splits   by speaker: a tenth valid, a tenth test, by the SHA-1 of the speaker; it gives the published lists to the file.
         In 12 classes the test part is the separate test set, and the test part of the main archive is not used
Groups   speaker, noise recording; all `_silence_` of the test set
Defects  clips shorter than a second; the `_silence_` of the test set does not say which noise it was cut from

Twelve classes are the ten commands, `_unknown_` and `_silence_`. Every other word is `_unknown_`, almost two thirds of all
clips: which of them to leave out is a choice that published results make in many ways, often at random, and that weights in
training make needless. `_silence_` is a window of a second every half second of a noise recording: running_tap is valid, the
other five are train, so that no recording is in two parts. These are the windows and the counts of TensorFlow Datasets.
The 64,727 files of version 0.01 are 64,721 words and the six noises.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace

from audioprep.datasets.recipe import SUBSETS, Archive, Clip, Recipe, Source, Split, Variant, clip_id

COMMANDS = frozenset(["down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes"])
UNKNOWN, SILENCE, NOISE = "_unknown_", "_silence_", "_background_noise_"
_VALID_NOISE = "running_tap"
_TRAIN_NOISES = ("doing_the_dishes", "dude_miaowing", "exercise_bike", "pink_noise", "white_noise")
SILENCE_LEAKS = dict.fromkeys(
    (*_TRAIN_NOISES, _VALID_NOISE, SILENCE), "the test set's silence does not say from which of the noises it was cut"
)


def which_set(speaker: str) -> str:
    """Return the part that a speaker is in.

    Source: `which_set` in `input_data.py` of TensorFlow's speech_commands example, the rule that made the published lists.
    """
    number = int(hashlib.sha1(speaker.encode(), usedforsecurity=False).hexdigest(), 16) % 2**27
    percent = 100 * number / (2**27 - 1)
    return "valid" if percent < 10 else "test" if percent < 20 else "train"


def speech_clips(source: Source, version: int, num_classes: int, split: str) -> Iterator[Clip]:
    """Return the clips of a task.

    Args:
        source: The opened archives.
        version: 1 or 2.
        num_classes: 12; 10, the commands; or 30 or 35, all words.
        split: The name of its official split.
    """
    names = source.names()
    main = f"speech_commands_v0.0{version}/"
    if not any(name.startswith(main) for name in names):
        main = ""  # the archive, unpacked by itself
    for name, folder, stem in _sounds(names, main):
        if folder == NOISE:
            if num_classes == 12:
                yield from _silence(source, name, stem, split)
            continue
        speaker = _speaker(stem)
        part = which_set(speaker)
        if (num_classes == 10 and folder not in COMMANDS) or (num_classes == 12 and part == "test"):
            continue
        label = folder if num_classes != 12 or folder in COMMANDS else UNKNOWN
        yield Clip(clip_id(f"{folder}/{stem}.wav"), name, (label,), speaker, {split: part})
    if num_classes == 12:
        for name, folder, stem in _sounds(names, f"speech_commands_test_set_v0.0{version}/"):
            group = SILENCE if folder == SILENCE else _speaker(stem)
            yield Clip(clip_id(f"test/{folder}/{stem}.wav"), name, (folder,), group, {split: "test"})


def _sounds(names: list[str], top: str) -> Iterator[tuple[str, str, str]]:
    """Return name, folder and stem of what lies two levels below `top`."""
    for name in names:
        folder, _, file = name.removeprefix(top).partition("/")
        if name.startswith(top) and file.endswith(".wav") and "/" not in file:
            yield name, folder, file.partition(".")[0]  # some of the test set end in .wav.wav


def _speaker(stem: str) -> str:
    """Return the speaker of `{speaker}_nohash_{take}`, or of `{word}_{speaker}_nohash_{take}` in `_unknown_`."""
    return stem.partition("_nohash_")[0].rpartition("_")[2]


def _silence(source: Source, name: str, stem: str, split: str) -> Iterator[Clip]:
    part = "valid" if stem == _VALID_NOISE else "train"
    for index in range(math.ceil((source.duration_s(name) - 1) / 0.5)):
        yield Clip(
            id=f"{NOISE}--{stem}-{index:03d}",
            member=name,
            labels=(SILENCE,),
            group=stem,
            splits={split: part},
            start_s=index / 2,
            end_s=index / 2 + 1,
        )


def _archive(name: str, num_bytes: int, sha256: str) -> Archive:
    file = f"{name}.tar.gz"
    return Archive(
        name=file,
        url=f"http://download.tensorflow.org/data/{file}",
        mirrors=(f"https://storage.googleapis.com/download.tensorflow.org/data/{file}",),
        num_bytes=num_bytes,
        sha256=sha256,
        folder=name,
    )


MAIN_1 = _archive(
    "speech_commands_v0.01", 1_489_096_277, "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d"
)
TEST_1 = _archive(
    "speech_commands_test_set_v0.01", 71_271_436, "baa084f6b62c91de660ff0588ae4dfc4e4d534aa99ac0e5f406cba75836cbd00"
)
MAIN_2 = _archive(
    "speech_commands_v0.02", 2_428_923_189, "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
)
TEST_2 = _archive(
    "speech_commands_test_set_v0.02", 112_563_277, "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df"
)


def _variant(version: int, num_classes: int, about: str, *sizes: int | None) -> Variant:
    name = f"v{version}-{num_classes}"
    rule = (
        "by speaker, train, valid and the separate test set" if num_classes == 12 else "by speaker, the published lists"
    )
    known = SILENCE_LEAKS if num_classes == 12 else {}
    split = Split(name, rule, dict(zip(SUBSETS, sizes, strict=True)), known)
    num_clips = None if None in sizes else sum(filter(None, sizes))
    return Variant(name, about, num_clips, num_classes, splits=(split,))


def _clips(source: Source, variant: str) -> Iterator[Clip]:
    version, num_classes = variant.removeprefix("v").split("-")
    return speech_clips(source, int(version), int(num_classes), variant)


RECIPE = Recipe(
    name="speech_commands",
    title="Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition",
    license="CC-BY-4.0",
    homepage="https://www.tensorflow.org/datasets/catalog/speech_commands",
    cite="P. Warden, Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition, arXiv:1804.03209, 2018",
    get="downloads 2.3 GiB",
    archives=(
        replace(MAIN_2, variants=("v2-35", "v2-12", "v2-10")),
        replace(TEST_2, variants=("v2-12",)),
        replace(MAIN_1, variants=("v1-30", "v1-12")),
        replace(TEST_1, variants=("v1-12",)),
    ),
    clips=_clips,
    variants=(
        _variant(2, 35, "all words of version 0.02", 84_843, 9_981, 11_005),
        _variant(2, 12, "ten commands, _unknown_ and _silence_, version 0.02", 85_511, 10_102, 4_890),
        _variant(2, 10, "the ten commands of version 0.02", 30_769, 3_703, 4_074),
        _variant(1, 30, "all words of version 0.01", 51_088, 6_798, 6_835),
        _variant(1, 12, "ten commands, _unknown_ and _silence_, version 0.01", None, None, 3_081),
    ),
    window_s=1.0,
    defects=("many clips are shorter than a second: words were cut at the end of the recording",),
)
