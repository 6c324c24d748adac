"""Decoding and encoding of audio, with an honest word for every file that cannot be used.

libsndfile reads WAV (and RF64, RIFX), FLAC, OGG, Opus, MP3, AIFF and AU. MP4 with 3GP, WebM, WMA, bare AAC, AMR and WavPack
need the program ffmpeg, see `audioprep/io/ffmpeg.py`.
"""

import io
import struct
from dataclasses import dataclass

import numpy as np
import soundfile

from audioprep.errors import AudioError
from audioprep.io.ffmpeg import decoded_wav, foreign_container

_BLOCK_FRAMES = 1 << 16
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


def decode(data: bytes, start_s: float | None = None, end_s: float | None = None) -> Decoded:
    """Decode one file, or a part of it.

    Args:
        data: The file's bytes.
        start_s: Where the part starts; None is the beginning.
        end_s: Where the part ends; None is the end. A part that ends after the file ends with the file.

    Raises:
        AudioError: With status `empty`, `decode_error`, `truncated`, `non_finite` or `out_of_range`.
    """
    if not data:
        raise AudioError("empty", "the file has 0 bytes")
    if not any(data):
        raise AudioError("decode_error", f"all {len(data)} bytes are zero")
    foreign = foreign_container(data)
    if foreign is not None:
        data = decoded_wav(data, foreign)
    try:
        with _Forward(_Bytes(data)) as file:
            wave_TC, rate_hz = _read_part(file, start_s, end_s), file.samplerate
            container = f"{foreign.name}/ffmpeg" if foreign else f"{file.format}/{file.subtype}"
            is_cut = "without an End-Of-Stream" in file.extra_info
    except (soundfile.SoundFileError, RuntimeError, MemoryError, OSError) as error:
        raise AudioError("decode_error", _plain(error)) from None
    if not 1 <= rate_hz <= _MAX_RATE_HZ:
        raise AudioError("decode_error", f"expected a rate of 1 to {_MAX_RATE_HZ} Hz, got {rate_hz}")
    if not len(wave_TC):
        # libsndfile reads nothing of an Ogg stream whose last page is missing.
        raise AudioError("truncated", "the stream has no end") if is_cut else AudioError("empty", "no samples")
    if not np.isfinite(wave_TC).all():
        raise AudioError("non_finite", f"{int((~np.isfinite(wave_TC)).sum())} samples are NaN or infinite")
    if np.abs(wave_TC).max() > _MAX_AMPLITUDE:
        raise AudioError("out_of_range", f"the loudest sample is {np.abs(wave_TC).max():.1e} times full scale")
    missing_bytes = _missing_bytes(data)
    if missing_bytes:
        raise AudioError("truncated", f"the header declares {missing_bytes} bytes of samples more than there are")
    return Decoded(wave_TC, rate_hz, container)


def duration_s(data: bytes) -> float:
    """Return the length of a file.

    It is read from the header where samples are stored as they are; other headers may lie, and such files are decoded.

    Args:
        data: The file's bytes.

    Raises:
        AudioError: As `decode` does.
    """
    try:
        with soundfile.SoundFile(_Bytes(data)) as file:
            is_plain = file.format in _PLAIN_FORMATS and file.subtype.startswith(_PLAIN_ENCODINGS)
            is_sound = 0 < file.frames < _UNKNOWN_FRAMES and 1 <= file.samplerate <= _MAX_RATE_HZ
            if is_plain and is_sound and not _missing_bytes(data):
                return float(file.frames / file.samplerate)
    except (soundfile.SoundFileError, RuntimeError, MemoryError, OSError):
        pass  # decoding says what is wrong
    decoded = decode(data)
    return len(decoded.wave_TC) / decoded.rate_hz


def encode_flac(wave_T: np.ndarray, rate_hz: int) -> bytes:
    """Return a mono clip as 16-bit FLAC.

    Args:
        wave_T: Samples [T], float32, within -1.0 and 1.0.
        rate_hz: Sampling rate.
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, wave_T, rate_hz, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode_flac(data: bytes) -> np.ndarray:
    """Return the samples [T], float32, of a clip written by `encode_flac`."""
    wave_T, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    return np.asarray(wave_T)


class _Forward(soundfile.SoundFile):  # type: ignore[misc] # it has no types
    def seekable(self) -> bool:
        """Keep soundfile from seeking, after every read, to where it is.

        An MP3 is not decoded alike from there, as it borrows bits from before, and FLAC of unknown length cannot seek to its
        end. FLAC of known length may: a header that is wrong about its blocks shows by it.
        """
        return bool(self.format == "FLAC" and self.frames < _UNKNOWN_FRAMES)


class _Bytes(io.BytesIO):
    def seek(self, offset: int, whence: int = 0) -> int:
        """Stay where we are when a damaged file points before its own start; libsndfile notices by the position."""
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _read_part(file: soundfile.SoundFile, start_s: float | None, end_s: float | None) -> np.ndarray:
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
    blocks, num_read = [], 0
    while num_read < wanted:
        block = file.read(min(_BLOCK_FRAMES, wanted - num_read), dtype="float32", always_2d=True)
        if not len(block):
            break
        blocks.append(block)
        num_read += len(block)
    if num_read < wanted and declared < _UNKNOWN_FRAMES:
        raise AudioError("truncated", f"the header declares {wanted} frames, {num_read} can be read")
    return np.concatenate(blocks) if blocks else np.empty((0, file.channels), np.float32)


def _missing_bytes(data: bytes) -> int:
    """Return how many bytes the samples of a WAV or AIFF file lack; libsndfile shortens such files silently."""
    if data[:4] not in _SAMPLE_CHUNKS or data[8:12] not in (b"WAVE", b"AIFF", b"AIFC"):
        return 0
    order, samples_name = _SAMPLE_CHUNKS[data[:4]]
    position, long_size = 12, 0
    while position + 8 <= len(data):
        name, size = data[position : position + 4], struct.unpack(f"{order}I", data[position + 4 : position + 8])[0]
        if name == b"ds64" and position + 24 <= len(data):  # RF64 keeps the size in 64 bits here
            long_size = struct.unpack("<Q", data[position + 16 : position + 24])[0]
        if name == samples_name:
            size = long_size if long_size and size == _UNKNOWN_CHUNK_BYTES[1] else size
            return 0 if size in _UNKNOWN_CHUNK_BYTES else max(0, position + 8 + size - len(data))
        position += 8 + size + size % 2
    return 0


def _plain(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.split(": ", 1)[-1] if text else type(error).__name__
