"""Decoding and encoding of audio, with an honest word for every file that cannot be used.

libsndfile reads WAV (and RF64, RIFX), FLAC, OGG, Opus, MP3, AIFF and AU.
"""

import io
import struct
from dataclasses import dataclass

import numpy as np
import soundfile

from audioprep.errors import AudioError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".aif", ".aiff", ".au", ".rf64", ".w64"})

_BLOCK_FRAMES = 1 << 16
# libsndfile reports this many frames when a stream does not say; see also `_declared_frames`.
_UNKNOWN_FRAMES = 1 << 62
_UNKNOWN_RIFF_BYTES = (0, 0xFFFFFFFF)
_MAX_RATE_HZ = 1_000_000


@dataclass(frozen=True)
class Decoded:
    """A decoded recording.

    Attributes:
        wave_TC: Samples [T, C], float32, full scale = 1.0.
        rate_hz: Sampling rate of the file.
        container: Format and encoding, for example `WAV/PCM_16`.
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
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            wave_TC, rate_hz = _read_part(file, start_s, end_s), file.samplerate
            container = f"{file.format}/{file.subtype}"
    except (soundfile.SoundFileError, RuntimeError, MemoryError, OSError) as error:
        raise AudioError("decode_error", _plain(error)) from None
    if not 1 <= rate_hz <= _MAX_RATE_HZ:
        raise AudioError("decode_error", f"expected a rate of 1 to {_MAX_RATE_HZ} Hz, got {rate_hz}")
    if not len(wave_TC):
        raise AudioError("empty", "no samples")
    if not np.isfinite(wave_TC).all():
        raise AudioError("non_finite", f"{int((~np.isfinite(wave_TC)).sum())} samples are NaN or infinite")
    missing_bytes = _missing_riff_bytes(data)
    if missing_bytes:
        raise AudioError("truncated", f"the header declares {missing_bytes} bytes of samples more than there are")
    return Decoded(wave_TC, rate_hz, container)


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


def _read_part(file: soundfile.SoundFile, start_s: float | None, end_s: float | None) -> np.ndarray:
    """Read in blocks until the stream ends: `frames` of some valid files is absurd and must size no buffer."""
    start = round((start_s or 0.0) * file.samplerate)
    declared = file.frames
    if start >= declared:
        raise AudioError("out_of_range", f"the part starts at {start_s} s, the file ends at {declared / file.samplerate:g} s")
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


def _missing_riff_bytes(data: bytes) -> int:
    """Return how many bytes the data chunk of a RIFF file lacks; libsndfile shortens such files silently."""
    order = {b"RIFF": "<", b"RIFX": ">"}.get(data[:4])
    if order is None or data[8:12] != b"WAVE":
        return 0
    position = 12
    while position + 8 <= len(data):
        name, size = data[position : position + 4], struct.unpack(f"{order}I", data[position + 4 : position + 8])[0]
        if name == b"data":
            return 0 if size in _UNKNOWN_RIFF_BYTES else max(0, position + 8 + size - len(data))
        position += 8 + size + size % 2
    return 0


def _plain(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.split(": ", 1)[-1] if text else type(error).__name__
