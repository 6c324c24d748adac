"""The clips that are measured on: real ones where they are at hand, otherwise those of the demo corpus."""

import io
from pathlib import Path

import numpy as np
import soundfile
import soxr

HERE = Path(__file__).resolve().parent
ESC10 = HERE.parent.parent / "shared" / "data" / "esc10" / "audio"
RATE_HZ = 16_000
NUM_CLIPS = 40
CLIP_S = 5.0


def source() -> str:
    """Return what the clips are, for the table."""
    return "ESC-10" if ESC10.is_dir() else "demo"


def oggs(count: int = NUM_CLIPS) -> list[bytes]:
    """Return OGG files of real 5-s clips at 44.1 kHz; made from the demo's audio where there are none."""
    if ESC10.is_dir():
        return [path.read_bytes() for path in sorted(ESC10.glob("*.ogg"))[:count]]
    return [_encoded(soxr.resample(wave_T, RATE_HZ, 44_100), "OGG", "VORBIS") for wave_T in _demo(count)]


def wavs(count: int = NUM_CLIPS) -> list[bytes]:
    """Return the same clips as 16-bit WAV files, which is how ESC-50 is published."""
    return [_encoded(soundfile.read(io.BytesIO(ogg), dtype="float32")[0], "WAV", "PCM_16") for ogg in oggs(count)]


def windows(length_s: float, count: int = NUM_CLIPS) -> list[bytes]:
    """Return so many seconds of each such WAV file, those around its loudest sample."""
    found = []
    for wav in wavs(count):
        wave_T, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float32")
        size = round(length_s * rate_hz)
        start = max(0, min(int(np.abs(wave_T).argmax()) - size // 2, len(wave_T) - size))
        found.append(_encoded(wave_T[start : start + size], "WAV", "PCM_16"))
    return found


def waves(count: int = NUM_CLIPS) -> list[np.ndarray]:
    """Return the same clips as samples [T], float32, at 16 kHz, in 16-bit steps, 5 s each."""
    found = []
    for ogg in oggs(count):
        wave_T, rate_hz = soundfile.read(io.BytesIO(ogg), dtype="float32", always_2d=True)
        wave_T = soxr.resample(wave_T.mean(axis=1), rate_hz, RATE_HZ)[: round(CLIP_S * RATE_HZ)]
        found.append((np.round(np.clip(wave_T, -1, 32767 / 32768) * 32768) / 32768).astype(np.float32))
    return found


def _encoded(wave_T: np.ndarray, container: str, encoding: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave_T, 44_100, format=container, subtype=encoding)
    return buffer.getvalue()


def _demo(count: int) -> list[np.ndarray]:
    tars = sorted((HERE.parent / "data" / "demo" / "audio" / "shar").glob("recording.*.tar"))
    if not tars:
        raise SystemExit(f"{HERE}: expected data/demo or ../shared/data/esc10, found neither; run `make demo` first")
    from audioprep.io.audio import decode_stored
    from audioprep.io.shar import read_audio_tar

    whole_T = np.concatenate([decode_stored(flac) for tar in tars for _, flac in read_audio_tar(tar)])
    size = round(CLIP_S * RATE_HZ)
    return [whole_T[start : start + size] for start in range(0, min(count, len(whole_T) // size) * size, size)]
