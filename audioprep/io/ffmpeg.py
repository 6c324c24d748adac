"""Decoding by the program ffmpeg, where it is installed, of what libsndfile cannot read.

Which files go this way is decided by their first bytes alone, so that a faulty WAV or FLAC has the same status on machines
with and without ffmpeg.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from audioprep.errors import AudioError

# What such files are usually called.
FFMPEG_SUFFIXES = frozenset({".m4a", ".mp4", ".3gp", ".aac", ".wma", ".webm", ".amr", ".wv"})

_PROGRAM = "ffmpeg"
_GET = "install it (apt install ffmpeg, brew install ffmpeg, conda install ffmpeg) and run again"
# What the part of a WMA header begins with that holds the file's size and whether it is known.
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_INPUT_NAME = "input"
# Words of ffmpeg's messages about a file that ends too early; a last packet that is not whole is a corrupt one.
_CUT_OFF = re.compile(r"partial file|prematurely|corrupt input packet|moov atom not found")
# What differs from run to run: the part of ffmpeg that speaks, with its address in memory, and other such numbers.
_SPEAKER = re.compile(r"^\[[^\]]* @ 0x[0-9a-f]+\] |^file:input: |\b0x[0-9a-f]+")


@dataclass(frozen=True)
class Container:
    """A kind of file that ffmpeg decodes.

    Attributes:
        name: What it is called.
        demuxer: What ffmpeg calls it.
    """

    name: str
    demuxer: str


def foreign_container(data: bytes) -> Container | None:
    """Return the kind of a file that ffmpeg decodes and libsndfile does not, or nothing."""
    if data[4:8] == b"ftyp":  # MPEG-4, and 3GP with it
        return Container("MP4", "mov")
    if data[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in data[:64]:
        return Container("WEBM", "matroska")
    if data[:4] == b"\x30\x26\xb2\x75":
        return Container("ASF", "asf")
    if data[:2] in (b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9"):  # MP3 has other bits there
        return Container("ADTS", "aac")
    if data[:5] == b"#!AMR":
        return Container("AMR", "amr")
    return Container("WAVPACK", "wv") if data[:4] == b"wvpk" else None


def has_ffmpeg() -> bool:
    """Tell whether the program is there."""
    return shutil.which(_PROGRAM) is not None


def decoded_wav(data: bytes, container: Container, limit_s: float) -> bytes:
    """Return the first audio stream of a file as a WAV of 32-bit floats, in its own rate and channels.

    Args:
        data: The file's bytes.
        container: Its kind.
        limit_s: How long it may take, s.

    Raises:
        AudioError: With status `decode_error`, `truncated` or `timeout`: it cannot be decoded, or not on this machine.
    """
    if container.name == "ASF" and _missing_asf_bytes(data):
        raise AudioError("truncated", f"the header declares {_missing_asf_bytes(data)} bytes more than there are")
    program = shutil.which(_PROGRAM)
    if program is None:
        raise AudioError("decode_error", f"expected the program ffmpeg for {container.name} audio, found none; {_GET}")
    command = [program, "-nostdin", "-hide_banner", "-loglevel", "error", "-xerror"]
    # The same bytes on every machine: the arithmetic of vector units differs in the last bits, and so may threads.
    command += ["-cpuflags", "0", "-threads", "1", "-flags", "bitexact"]
    # A file of this kind and nothing else: a playlist in its place could name other files.
    command += ["-f", container.demuxer, "-protocol_whitelist", "file", "-i", f"file:{_INPUT_NAME}"]
    command += ["-map", "0:a:0", "-c:a", "pcm_f32le", "-bitexact", "-f", "wav", "-rf64", "never", "pipe:1"]
    with tempfile.TemporaryDirectory(prefix="audioprep-") as folder:
        # Not through a pipe: the index of an MP4 file may lie at its end.
        Path(folder, _INPUT_NAME).write_bytes(data)
        try:
            run = subprocess.run(  # noqa: S603 - our own arguments
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise AudioError("timeout", f"ffmpeg has not ended in {limit_s:.0f} s") from None
        except OSError as error:
            raise AudioError("decode_error", f"ffmpeg cannot be run: {error.strerror}") from None
    messages = [_SPEAKER.sub("", line).strip() for line in run.stderr.decode("utf-8", "replace").splitlines()]
    if any(map(_CUT_OFF.search, messages)):
        raise AudioError("truncated", "ffmpeg finds the stream cut off")
    if run.returncode:  # it also complains about files that it decodes well
        said = next(filter(None, messages), f"exit status {run.returncode}")
        raise AudioError("decode_error", f"ffmpeg: {said[:200]}")
    return run.stdout


def _missing_asf_bytes(data: bytes) -> int:
    """Return how many bytes a WMA file lacks; ffmpeg does not notice if whole packets are missing."""
    properties = data.find(_ASF_PROPERTIES)
    if properties < 0 or len(data) < properties + 92:
        return 0
    num_bytes, flags = int.from_bytes(data[properties + 40 : properties + 48], "little"), data[properties + 88]
    is_broadcast = flags & 1  # its size is not known
    return 0 if is_broadcast else max(0, num_bytes - len(data))
