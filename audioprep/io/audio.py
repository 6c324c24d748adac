"""Decoding and encoding of audio, with an honest word for every file that cannot be used.

libsndfile reads WAV (and RF64, RIFX), FLAC, OGG, Opus, MP3, AIFF and AU. MP4 with 3GP, WebM, WMA, bare AAC, AMR and WavPack
need the program ffmpeg, see `audioprep/io/ffmpeg.py`.
"""

import io
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, Literal

import numpy as np
import soundfile

from audioprep.errors import AudioError
from audioprep.io.ffmpeg import FFMPEG_SUFFIXES, decoded_wav, foreign_container

StoredFormat = Literal["flac", "wav"]

DECODED_SUFFIXES = FFMPEG_SUFFIXES | {
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64")
}

_BLOCK_FRAMES = 1 << 18
_HEAD_BYTES = 64
_FLAC_BLOCK_FRAMES = 1 << 16  # soundfile seeks after each: see `_Forward`
_STEP = np.float32(2.0**-15)  # of 16 bits; libsndfile scales by it too, one small block at a time
# libsndfile reports this many frames when a stream does not say; see also `_declared_frames`.
_UNKNOWN_FRAMES = 1 << 62
_UNKNOWN_CHUNK_BYTES = (0, 0xFFFFFFFF)
# Byte order and name of the chunk that holds the samples.
_SAMPLE_CHUNKS = {b"RIFF": ("<", b"data"), b"RIFX": (">", b"data"), b"RF64": ("<", b"data"), b"FORM": (">", b"SSND")}
# libsndfile's names of the formats and encodings that keep samples as they are: their length follows from their size.
_PLAIN_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU"})
_PLAIN_ENCODINGS = ("PCM_", "FLOAT", "DOUBLE")
# 192 dB above full scale: float files of whole numbers stay below, what is above is no audio and would overflow.
_MAX_AMPLITUDE = float(1 << 32)
_MAX_RATE_HZ = 1_000_000
_MP3_RATES_HZ = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
# Even MP3 is decoded ten times as fast.
_BYTES_PER_S = 100_000


@dataclass(frozen=True)
class Decoded:
    """A decoded recording.

    Attributes:
        wave_TC: Samples [T, C], float32, full scale = 1.0.
        rate_hz: Sampling rate of the file.
        container: Format and encoding, for example `WAV/PCM_16`; `MP4/ffmpeg` where ffmpeg has decoded it.
    """

    wave_TC: np.ndarray
    rate_hz: int
    container: str


def decode(data: bytes, start_s: float | None = None, end_s: float | None = None, *, limit_s: float = 60.0) -> Decoded:
    """Decode one file, or a part of it.

    Args:
        data: The file's bytes.
        start_s: Where the part starts; None is the beginning.
        end_s: Where the part ends; None is the end. A part that ends after the file ends with the file.
        limit_s: How long ffmpeg may take, s. libsndfile is a part of this process: whoever calls it
            from work that must not hang has to watch it, see `audioprep/io/time_limit.py`.

    Raises:
        AudioError: With status `empty`, `decode_error`, `truncated`, `non_finite`, `out_of_range` or `timeout`.
    """
    blocks = list(decode_blocks(io.BytesIO(data), start_s, end_s, limit_s=limit_s))
    waves = [block.wave_TC for block in blocks]
    return blocks[0] if len(blocks) == 1 else replace(blocks[0], wave_TC=np.concatenate(waves))


def decode_blocks(
    file: BinaryIO, start_s: float | None = None, end_s: float | None = None, *, limit_s: float = 60.0
) -> Iterator[Decoded]:
    """Decode one file block by block, so that its length needs no memory; there is at least one block.

    Args:
        file: The file, which can seek. What ffmpeg decodes is in memory all the same.
        start_s: As of `decode`, as are the others.
        end_s: Where the part ends.
        limit_s: How long ffmpeg may take, s.

    Raises:
        AudioError: As `decode` does; the blocks before it may have been good.
    """
    num_bytes = file.seek(0, io.SEEK_END)
    if not num_bytes:
        raise AudioError("empty", "the file has 0 bytes")
    if not _has_content(file):
        raise AudioError("decode_error", f"all {num_bytes} bytes are zero")
    file.seek(0)
    foreign = foreign_container(file.read(_HEAD_BYTES))
    file.seek(0)
    if foreign is not None:
        file = io.BytesIO(decoded_wav(file.read(), foreign, limit_s))
    try:
        for decoded in _read(file, start_s, end_s):
            yield replace(decoded, container=f"{foreign.name}/ffmpeg") if foreign else decoded
    except (soundfile.SoundFileError, RuntimeError, MemoryError, OSError) as error:
        raise AudioError("decode_error", _plain(error)) from None
    missing_bytes = _missing_bytes(file)
    if missing_bytes:
        raise AudioError("truncated", f"the header declares {missing_bytes} bytes of samples more than there are")


def time_limit_s(data: bytes, limit_s: float) -> float:
    """Return how long decoding a file may take, s: a given time, and a second for every 100 kB."""
    return limit_s + len(data) / _BYTES_PER_S


def duration_s(data: bytes) -> float:
    """Return the length of a file.

    It is read from the header where samples are stored as they are; other headers may lie, and such files are decoded.

    Args:
        data: The file's bytes.

    Raises:
        AudioError: As `decode` does.
    """
    try:
        with soundfile.SoundFile(_Anywhere(io.BytesIO(data))) as file:
            is_plain = file.format in _PLAIN_FORMATS and file.subtype.startswith(_PLAIN_ENCODINGS)
            is_sound = 0 < file.frames < _UNKNOWN_FRAMES and 1 <= file.samplerate <= _MAX_RATE_HZ
            if is_plain and is_sound and not _missing_bytes(io.BytesIO(data)):
                return float(file.frames / file.samplerate)
    except (soundfile.SoundFileError, RuntimeError, MemoryError, OSError):
        pass  # decoding says what is wrong
    decoded = decode(data)
    return len(decoded.wave_TC) / decoded.rate_hz


def encode_stored(steps_T: np.ndarray, rate_hz: int, format_: StoredFormat = "flac") -> bytes:
    """Return a mono clip as a file of 16 bits.

    Args:
        steps_T: Samples [T], int16.
        rate_hz: Sampling rate.
        format_: FLAC, or WAV, which takes 1.8 times the space, and a tenth of the time to write and to read.
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, steps_T, rate_hz, format=format_.upper(), subtype="PCM_16")
    return buffer.getvalue()


def decode_stored(data: bytes) -> np.ndarray:
    """Return the samples [T], float32, of a clip written by `encode_stored`, whichever its format."""
    with _Stored(io.BytesIO(data)) as file:
        return np.asarray(file.read(file.frames, dtype="int16") * _STEP)


def encode_flac(wave_T: np.ndarray, rate_hz: int) -> bytes:
    """Return a mono clip [T], float32, within -1.0 and 1.0, as 16-bit FLAC; what lies between two steps is rounded."""
    return encode_stored(np.clip(np.rint(wave_T / _STEP), -32768, 32767).astype(np.int16), rate_hz)


def encode_for_ears(wave_T: np.ndarray, rate_hz: int) -> tuple[bytes, str]:
    """Return a mono clip [T], float32, as a small file that browsers play, the same bytes each time, and its media type.

    It is MP3, at about a quarter of FLAC's size; FLAC at rates that MP3 does not have. (Ogg would hold a random number.)
    """
    if rate_hz not in _MP3_RATES_HZ:
        return encode_flac(wave_T, rate_hz), "audio/flac"
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(wave_T, -1.0, 1.0), rate_hz, format="MP3", subtype="MPEG_LAYER_III")
    return buffer.getvalue(), "audio/mpeg"


class _Stored(soundfile.SoundFile):  # type: ignore[misc] # it has no types
    def seekable(self) -> bool:
        """Keep soundfile from seeking to where it is: what is stored is read in one go."""
        return False


class _Forward(soundfile.SoundFile):  # type: ignore[misc] # it has no types
    def seekable(self) -> bool:
        """Keep soundfile from seeking, after every read, to where it is.

        An MP3 is not decoded alike from there, as it borrows bits from before, and FLAC of unknown length cannot seek to its
        end. FLAC of known length may: a header that is wrong about its blocks shows by it.
        """
        return bool(self.format == "FLAC" and self.frames < _UNKNOWN_FRAMES)


class _Anywhere:
    """A file for libsndfile, which may seek before its start."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read, self.readinto, self.tell = file.read, file.readinto, file.tell  # type: ignore[attr-defined]
        file.seek(0)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Stay where we are when a damaged file points before its own start; libsndfile notices by the position."""
        try:
            return self._file.seek(offset, whence)
        except (ValueError, OSError):
            return self._file.tell()


def _has_content(file: BinaryIO) -> bool:
    """Tell whether any byte of a file is not zero."""
    file.seek(0)
    return any(map(any, iter(partial(file.read, 1 << 16), b"")))


def _read(file: BinaryIO, start_s: float | None, end_s: float | None) -> Iterator[Decoded]:
    """Yield what libsndfile makes of a file."""
    num_read = 0
    with _Forward(_Anywhere(file)) as sound:
        rate_hz, container = sound.samplerate, f"{sound.format}/{sound.subtype}"
        for block_TC in _read_part(sound, start_s, end_s):
            if not 1 <= rate_hz <= _MAX_RATE_HZ:
                raise AudioError("decode_error", f"expected a rate of 1 to {_MAX_RATE_HZ} Hz, got {rate_hz}")
            if not sound.subtype.startswith("PCM_"):
                _check_range(block_TC, num_read, rate_hz)
            num_read += len(block_TC)
            yield Decoded(block_TC, rate_hz, container)
        is_cut = "without an End-Of-Stream" in sound.extra_info
    if not num_read:
        # libsndfile reads nothing of an Ogg stream whose last page is missing.
        raise AudioError("truncated", "the stream has no end") if is_cut else AudioError("empty", "no samples")


def _check_range(block_TC: np.ndarray, num_before: int, rate_hz: int) -> None:
    peak = max(float(block_TC.max()), -float(block_TC.min()))
    if not math.isfinite(peak):
        first = num_before + int(np.argmin(np.isfinite(block_TC).all(axis=1)))
        raise AudioError("non_finite", f"NaN or infinite samples, the first at {first / rate_hz:g} s")
    if peak > _MAX_AMPLITUDE:
        raise AudioError("out_of_range", f"the loudest sample is {peak:.1e} times full scale")


def _read_part(file: soundfile.SoundFile, start_s: float | None, end_s: float | None) -> Iterator[np.ndarray]:
    """Read in blocks until the stream ends: `frames` of some valid files is absurd and must size no buffer."""
    start = round((start_s or 0.0) * file.samplerate)
    declared = file.frames
    if start and start >= declared:
        raise AudioError(
            "out_of_range", f"the part starts at {start_s} s, the file ends at {declared / file.samplerate:g} s"
        )
    if start:
        file.seek(start)
    wanted = declared - start if end_s is None else round(end_s * file.samplerate) - start
    wanted = min(wanted, declared - start)
    block_frames = _FLAC_BLOCK_FRAMES if file.format == "FLAC" else _BLOCK_FRAMES
    num_read = 0
    while num_read < wanted:
        block = _read_block(file, min(block_frames, wanted - num_read))
        if not len(block):
            break
        num_read += len(block)
        yield block
    if num_read < wanted and declared < _UNKNOWN_FRAMES:
        raise AudioError("truncated", f"the header declares {wanted} frames, {num_read} can be read")


def _read_block(file: soundfile.SoundFile, num_frames: int) -> np.ndarray:
    """Return the next samples [T, C], float32."""
    if file.subtype != "PCM_16":
        return np.asarray(file.read(num_frames, dtype="float32", always_2d=True))
    # The same numbers; as floats they would come from Python in pieces of 8 kB, which takes four times as long.
    return np.asarray(file.read(num_frames, dtype="int16", always_2d=True) * _STEP)


def _missing_bytes(file: BinaryIO) -> int:
    """Return how many bytes the samples of a WAV or AIFF file lack; libsndfile shortens such files silently."""
    num_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] not in _SAMPLE_CHUNKS or head[8:12] not in (b"WAVE", b"AIFF", b"AIFC"):
        return 0
    order, samples_name = _SAMPLE_CHUNKS[head[:4]]
    position, long_size = 12, 0
    while position + 8 <= num_bytes:
        file.seek(position)
        chunk = file.read(24)
        name, size = chunk[:4], struct.unpack(f"{order}I", chunk[4:8])[0]
        if name == b"ds64" and len(chunk) == 24:  # RF64 keeps the size in 64 bits here
            long_size = struct.unpack("<Q", chunk[16:24])[0]
        if name == samples_name:
            size = long_size if long_size and size == _UNKNOWN_CHUNK_BYTES[1] else size
            return 0 if size in _UNKNOWN_CHUNK_BYTES else max(0, position + 8 + size - num_bytes)
        position += 8 + size + size % 2
    return 0


def _plain(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.split(": ", 1)[-1] if text else type(error).__name__
