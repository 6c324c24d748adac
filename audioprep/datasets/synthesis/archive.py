"""Synthesis of the demo corpus: clips of eight kinds of sound, a table, and every defect that a corpus can have.

Every clip is drawn from its own seeded generator, so that no clip depends on another, and is rounded to 16 bits before
it is encoded, so that the last bits of a CPU's sine and exponential never reach the archive.

Shape letters: T samples, C channels.
"""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from audioprep.datasets.synthesis.sounds import SOUNDS, Float64, Voice, level, noise

ROOT = "audioprep-demo"
LABELS = tuple(SOUNDS)
NUM_FOLDS = 5
SOURCES_PER_FOLD = 3
TAKES = "ab"  # clips cut from one source
SILENT, TRUNCATED, MISSING = "rain-04-b", "engine-07-a", "drum-10-b"  # TRUNCATED must be a WAV
DUPLICATE = "bell-02-b"  # holds the bytes of take a

_SEED = 20260
_FULL_SCALE = 1 << 15
# How hard the corpus is: a small CNN gets 94 % of the clips right, an SVM on mean and deviation of each band 66 %.
_SNR_DB = (-2.0, 18.0)  # of the sound over the noise
_INTRUDER_DB = (-18.0, -6.0)  # a sound of any class in the background, relative to the clip's own
_PEAK_DB = (-26.0, 6.0)  # above 0 the recording clips
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Recorder:
    """How a source was recorded: rate in Hz, channels, and the container and encoding in libsndfile's words."""

    rate_hz: int
    num_channels: int
    container: str
    encoding: str


RECORDERS = (
    Recorder(8000, 1, "WAV", "PCM_16"),
    Recorder(8000, 1, "WAV", "FLOAT"),
    Recorder(8000, 2, "FLAC", "PCM_16"),
    Recorder(11025, 1, "WAV", "PCM_24"),
    Recorder(16000, 1, "WAV", "PCM_16"),
    Recorder(16000, 1, "FLAC", "PCM_16"),
    Recorder(22050, 1, "FLAC", "PCM_16"),
    Recorder(22050, 1, "OGG", "VORBIS"),
    Recorder(44100, 2, "OGG", "VORBIS"),
    Recorder(48000, 1, "OGG", "VORBIS"),
)


def write_demo_archive(path: Path) -> None:
    """Write the demo corpus as a zip; the same bytes every time.

    Args:
        path: The zip file; replaced if it exists.
    """
    clips = list(_clips())
    unfinished = path.with_name(f"{path.name}.part")
    with zipfile.ZipFile(unfinished, "w") as archive:
        _add(archive, "meta/demo.csv", _table(clips))
        for clip in clips:
            if clip.name != MISSING:
                _add(archive, f"audio/{clip.filename}", _encoded(clip))
    unfinished.replace(path)


@dataclass(frozen=True)
class _Clip:
    """One row of the table, and the numbers that seed it."""

    label: str
    source: int
    take: int
    recorder: Recorder

    @property
    def group(self) -> str:
        return f"{self.label}-{self.source:02d}"

    @property
    def name(self) -> str:
        return f"{self.group}-{TAKES[self.take]}"

    @property
    def filename(self) -> str:
        return f"{self.name}.{self.recorder.container.lower()}"

    @property
    def fold(self) -> int:
        return 1 + self.source // SOURCES_PER_FOLD

    @property
    def seed(self) -> list[int]:
        return [_SEED, LABELS.index(self.label), self.source]


def _clips() -> Iterator[_Clip]:
    for label in LABELS:
        for source in range(NUM_FOLDS * SOURCES_PER_FOLD):
            for take in range(len(TAKES)):
                # 7 is prime to the number of recorders: a class meets them all, and no class owns one.
                recorder = RECORDERS[(7 * source + 3 * LABELS.index(label)) % len(RECORDERS)]
                yield _Clip(label, source, take, recorder)


def _table(clips: list[_Clip]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["filename", "fold", "label", "source"])
    writer.writerows([clip.filename, clip.fold, clip.label, clip.group] for clip in clips)
    return text.getvalue().encode()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # A ZipInfo made by hand carries 1980-01-01 and no file mode of this machine.
    archive.writestr(zipfile.ZipInfo(f"{ROOT}/{name}"), data)


def _encoded(clip: _Clip) -> bytes:
    """Return the file's bytes, its defect included."""
    if clip.name == DUPLICATE:
        clip = _Clip(clip.label, clip.source, 0, clip.recorder)
    samples_TC = _recording(clip)
    if clip.name == SILENT:
        samples_TC = np.zeros_like(samples_TC)
    data = _file_bytes(samples_TC, clip.recorder)
    return data[: len(data) // 2] if clip.name == TRUNCATED else data


def _recording(clip: _Clip) -> npt.NDArray[np.int16]:
    """Return one clip as it was recorded, [T, C], 16 bits."""
    source_rng = np.random.default_rng(clip.seed)
    voice = Voice(*source_rng.random(3))
    rng = np.random.default_rng([*clip.seed, clip.take])
    duration_s = 2.0 if rng.random() < 0.7 else rng.uniform(1.2, 3.0)
    rate_hz = clip.recorder.rate_hz
    num_samples = 100 * round(duration_s * rate_hz / 100)  # a length without large factors is quick to transform
    sound_T = level(SOUNDS[clip.label](num_samples, rate_hz, voice, rng))
    intruder = LABELS[rng.integers(len(LABELS))]
    intruder_T = level(SOUNDS[intruder](num_samples, rate_hz, Voice(*rng.random(3)), rng))
    noise_T = level(noise(num_samples, rate_hz, rng, slope=rng.uniform(0.0, 2.0)))
    clean_T = sound_T + _gain(rng.uniform(*_INTRUDER_DB)) * intruder_T
    noisy_T = clean_T + _gain(-rng.uniform(*_SNR_DB)) * noise_T
    noisy_T *= _gain(rng.uniform(*_PEAK_DB)) / np.abs(noisy_T).max()
    pan_C = rng.uniform(0.5, 1.0, clip.recorder.num_channels)
    scaled_TC: Float64 = np.rint(noisy_T[:, None] * (pan_C / pan_C.max() * _FULL_SCALE))
    return np.clip(scaled_TC, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)


def _file_bytes(samples_TC: npt.NDArray[np.int16], recorder: Recorder) -> bytes:
    """Return the samples in the recorder's format, without what differs from run to run."""
    buffer = io.BytesIO()
    wave_TC = samples_TC / _FULL_SCALE
    soundfile.write(buffer, wave_TC, recorder.rate_hz, format=recorder.container, subtype=recorder.encoding)
    data = bytearray(buffer.getvalue())
    if recorder.encoding == "FLOAT":
        clock = data.index(b"PEAK") + 12  # libsndfile notes the time of writing: name, size, version, time
        data[clock : clock + 4] = bytes(4)
    if recorder.container == "OGG":
        _number_ogg_stream(data, serial=1)
    return bytes(data)


def _gain(decibel: float) -> float:
    return float(10.0 ** (decibel / 20.0))


def _number_ogg_stream(data: bytearray, serial: int) -> None:
    """Put a fixed serial number into every page in place of libsndfile's random one, and mend the checksums.

    Source: RFC 3533, section 6.
    """
    page = 0
    while page < len(data):
        num_segments = data[page + 26]
        stop = page + 27 + num_segments + sum(data[page + 27 : page + 27 + num_segments])
        data[page + 14 : page + 18] = serial.to_bytes(4, "little")
        data[page + 22 : page + 26] = bytes(4)
        # Ogg's CRC-32 takes the highest bit first, from 0; zlib's is its mirror image, inverted before and after.
        mirrored = zlib.crc32(data[page:stop].translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
        data[page + 22 : page + 26] = int(f"{mirrored:032b}"[::-1], 2).to_bytes(4, "little")
        page = stop
