"""NSynth: 305,979 notes of four seconds, 16 kHz mono, of 1,006 instruments; to tell family, source or pitch.

Layout   nsynth-{train,valid,test}/examples.json and audio/{family}_{source}_{number}-{pitch}-{velocity}.wav
Splits   official: instruments of train are in no other part; those of test are in valid, too
Groups   instrument. To tell instruments is no task here: no split can keep them together and test it
Defects  notes of some instruments sound the same at several velocities; there is no synth_lead in test

Pitches are MIDI numbers, three digits as in the file names. The pitch task has the 88 of a piano, 21 to 108: notes beyond
them are few, and are left out.
"""

import json
from collections.abc import Iterator
from typing import Any

from audioprep.datasets.recipe import SUBSETS, Archive, Clip, Recipe, Source, Split, Variant

_URL = "http://download.magenta.tensorflow.org/datasets/nsynth"
_PIANO = range(21, 109)
# All 53 instruments of test.
_SHARED = {
    "bass_electronic": "018 025 027",
    "bass_synthetic": "009 033 034 068 098 134 135",
    "brass_acoustic": "006 015 016 046 059",
    "flute_acoustic": "002",
    "flute_synthetic": "000",
    "guitar_acoustic": "010 014 015 021 030",
    "guitar_electronic": "022 028",
    "keyboard_acoustic": "004",
    "keyboard_electronic": "001 002 003 069 078 098",
    "keyboard_synthetic": "000",
    "mallet_acoustic": "047 056 062",
    "organ_electronic": "001 007 028 057 104 113",
    "reed_acoustic": "011 018 023 037",
    "string_acoustic": "012 014 056 057 071 080",
    "vocal_acoustic": "000",
    "vocal_synthetic": "003",
}
_KNOWN = {
    f"{kind}_{number}": "its notes are divided between valid and test"
    for kind, numbers in _SHARED.items()
    for number in numbers.split()
}


def _clips(source: Source, variant: str) -> Iterator[Clip]:
    for part in SUBSETS:
        for name, note in json.loads(source.text(f"nsynth-{part}/examples.json")).items():
            if variant == "pitch" and note["pitch"] not in _PIANO:
                continue
            qualities = ", ".join(note["qualities_str"])
            yield Clip(
                id=name,
                member=f"nsynth-{part}/audio/{name}.wav",
                labels=(_label(note, variant),),
                group=note["instrument_str"],
                splits={"official": part},
                attributes={"qualities": qualities} if qualities else {},
            )


def _label(note: dict[str, Any], variant: str) -> str:
    return f"{note['pitch']:03d}" if variant == "pitch" else str(note[f"instrument_{variant}_str"])


def _archive(part: str, md5: str, num_bytes: int | None = None) -> Archive:
    name = f"nsynth-{part}.jsonwav.tar.gz"
    return Archive(name, f"{_URL}/{name}", num_bytes=num_bytes, md5=md5, folder=f"nsynth-{part}")


def _variant(name: str, about: str, num_classes: int, sizes: dict[str, int] | None) -> Variant:
    split = Split("official", "by instrument, but for valid and test, which share theirs", sizes, _KNOWN)
    return Variant(name, about, sum(sizes.values()) if sizes else None, num_classes, splits=(split,))


_SIZES = {"train": 289_205, "valid": 12_678, "test": 4_096}
RECIPE = Recipe(
    name="nsynth",
    title="NSynth: musical notes",
    license="CC-BY-4.0",
    homepage="https://magenta.tensorflow.org/datasets/nsynth",
    cite="J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017",
    get="downloads 23.5 GiB",
    archives=(
        _archive("train", "fde6665a93865503ba598b9fac388660", 23_815_298_079),
        _archive("valid", "87e94a00a19b6dbc99cf6d4c0c0cae87"),
        _archive("test", "5e6f8719bf7e16ad0a00d518b78af77d"),
    ),
    clips=_clips,
    variants=(
        _variant("family", "the family of the instrument", 11, _SIZES),
        _variant("source", "acoustic, electronic or synthetic", 3, _SIZES),
        _variant("pitch", "MIDI pitch, 21 to 108", len(_PIANO), None),
    ),
    window_s=4.0,
    hours=340.0,
    defects=("notes of some instruments sound the same at several velocities",),
)
