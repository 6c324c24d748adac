"""Miniature corpora: hand-written metadata in the published layout, and sounds that are made from their names.

A corpus has a folder `samples/<corpus>/`, or `samples/<corpus>.<variant>/` for a variant that needs its own; one that reads
the archives of another corpus can do with that one's folder. It holds the metadata files as published, and `_files.txt`
with one line per audio file:

    path [seconds [rate_hz [channels]]]     # 1.0 s, 16000 Hz and 1 channel where not said; 0 s is a file of no bytes
    !path                                   # the metadata declares it, and it is not there
"""

import hashlib
import io
import random
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from audioprep.datasets.recipe import Recipe, Variant
from audioprep.io.rows import parse_rows

FOLDER = Path(__file__).parent / "samples"
_LIST = "_files.txt"
# How soundfile names format and coding; a file that it cannot write, .m4a say, holds a WAV, which readers see by its content.
_FORMATS = {
    ".au": ("AU", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".wav": ("WAV", "PCM_16"),
}


@dataclass(frozen=True)
class Sound:
    """One audio file of a sample."""

    member: str
    duration_s: float = 1.0
    rate_hz: int = 16000
    num_channels: int = 1

    def encoded(self) -> bytes:
        """Return the file's bytes: tones and noise that no other name gives."""
        if self.duration_s == 0:
            return b""
        container, coding = _FORMATS.get(PurePosixPath(self.member).suffix.lower(), _FORMATS[".wav"])
        file = io.BytesIO()
        soundfile.write(file, self._wave_TC(), self.rate_hz, format=container, subtype=coding)
        return file.getvalue()

    def _wave_TC(self) -> np.ndarray:
        generator = np.random.default_rng(int(hashlib.sha256(self.member.encode()).hexdigest(), 16))
        num_samples = max(1, round(self.duration_s * self.rate_hz))
        # A new pitch and level every 1/16 s, so that no two files are alike to an ear or to a fingerprint.
        num_notes = num_samples * 16 // self.rate_hz + 1
        note_T = np.minimum(np.arange(num_samples) * 16 // self.rate_hz, num_notes - 1)
        pitch_T = (self.rate_hz * generator.uniform(0.02, 0.4, num_notes))[note_T]
        level_T = generator.uniform(0.05, 0.3, num_notes)[note_T]
        wave_T = level_T * np.sin(2 * np.pi * np.cumsum(pitch_T) / self.rate_hz)
        wave_T += generator.normal(0, 0.02, num_samples)
        return np.repeat(wave_T[:, None], self.num_channels, axis=1)


@dataclass(frozen=True)
class Sample:
    """The files of a miniature corpus.

    Attributes:
        texts: Metadata files, by name.
        sounds: Audio files, by name.
        missing: Audio files that the metadata declares and that are not there.
    """

    texts: dict[str, bytes]
    sounds: dict[str, Sound]
    missing: frozenset[str]

    def write(self, root: Path) -> Path:
        """Write all files below a folder, as `--root` reads them, and return it."""
        contents = self.texts | {name: sound.encoded() for name, sound in self.sounds.items()}
        for name, content in contents.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return root


class Tree:
    """A sample as a recipe sees an opened corpus, in memory; names and rows come in the order of the files or shuffled."""

    def __init__(self, sample: Sample, *, names_seed: int | None = None, rows_seed: int | None = None) -> None:
        self._sample = sample
        self._names_seed = names_seed
        self._rows_seed = rows_seed

    def names(self) -> list[str]:
        return _shuffled(sorted(self._sample.texts | self._sample.sounds), self._names_seed)

    def __contains__(self, name: str) -> bool:
        return name in self._sample.texts or name in self._sample.sounds

    def rows(self, name: str, separator: str | None = None) -> list[dict]:
        return _shuffled(parse_rows(name, self._sample.texts[name], *filter(None, [separator])), self._rows_seed)

    def text(self, name: str) -> str:
        return self._sample.texts[name].decode()

    def duration_s(self, name: str) -> float:
        return self._sample.sounds[name].duration_s


def sample_folder(recipe: Recipe, variant: Variant) -> Path:
    """Return where the miniature of a variant lies."""
    names = (f"{recipe.name}.{variant.name}", recipe.name, recipe.store_name)
    return next((FOLDER / name for name in names if (FOLDER / name).is_dir()), FOLDER / recipe.name)


def load_sample(recipe: Recipe, variant: Variant) -> Sample:
    """Return the miniature of a corpus, or of one of its variants."""
    folder = sample_folder(recipe, variant)
    lines = (folder / _LIST).read_text(encoding="utf-8").splitlines()
    sounds = [_sound(line) for line in lines if line.strip() and line[0] not in "!#"]
    return Sample(
        texts={
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != _LIST
        },
        sounds={sound.member: sound for sound in sounds},
        missing=frozenset(line[1:].strip() for line in lines if line.startswith("!")),
    )


def _sound(line: str) -> Sound:
    member, *values = line.split()
    kinds = (float, int, int)
    return Sound(member, *(kind(value) for kind, value in zip(kinds, values, strict=False)))


def _shuffled(items: list, seed: int | None) -> list:
    return items if seed is None else random.Random(seed).sample(items, len(items))
