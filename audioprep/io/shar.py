"""lhotse Shar shards without torch: a tar of audio and JSON pairs, and a JSON-lines file of cuts in the same order.

Layout   recording.NNNNNN.tar   <id>.flac or <id>.wav, <id>.json (a lhotse Recording whose source is a placeholder), …
         cuts.NNNNNN.jsonl      one lhotse MonoCut a recording
Source   lhotse/shar: the reader pairs members, and wants member stem == cut id.
"""

import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from audioprep.errors import ShardError, reason_of

SOUND_SUFFIXES = (".flac", ".wav")
_END_BYTES = 2 * tarfile.BLOCKSIZE  # of zeros; the whole is then filled up to records


def tar_name(shard: int) -> str:
    """Return the file name of an audio shard."""
    return f"recording.{shard:06d}.tar"


def cuts_name(shard: int) -> str:
    """Return the file name of a shard's cuts."""
    return f"cuts.{shard:06d}.jsonl"


def recording_manifest(recording_id: str, num_samples: int, rate_hz: int) -> dict[str, Any]:
    """Return a lhotse Recording whose audio lies beside it in the tar."""
    return {
        "id": recording_id,
        "sources": [{"type": "shar", "channels": [0], "source": ""}],
        "sampling_rate": rate_hz,
        "num_samples": num_samples,
        "duration": num_samples / rate_hz,
        "channel_ids": [0],
    }


def write_audio_tar(
    path: Path, recordings: Iterable[tuple[str, bytes, int]], rate_hz: int, suffix: str = ".flac"
) -> None:
    """Write one audio shard.

    Args:
        path: The tar.
        recordings: Id, bytes of the file and number of samples of each, in the order of the cuts.
        rate_hz: Sampling rate of all.
        suffix: What the files are called after their ids: `.flac` or `.wav`.
    """
    with path.open("wb") as file:
        for recording_id, sound, num_samples in recordings:
            manifest = recording_manifest(recording_id, num_samples, rate_hz)
            file.write(_member(f"{recording_id}{suffix}", sound))
            file.write(_member(f"{recording_id}.json", (json.dumps(manifest, ensure_ascii=False) + "\n").encode()))
        end = file.tell() + _END_BYTES
        file.write(bytes(_END_BYTES + -end % tarfile.RECORDSIZE))


def read_audio_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield id and bytes, FLAC or WAV, of each recording of a shard, in order.

    Raises:
        ShardError: The shard is missing or damaged.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            for info in tar:
                if info.name.endswith(SOUND_SUFFIXES):
                    file = tar.extractfile(info)
                    yield info.name.rpartition(".")[0], b"" if file is None else file.read()
    except (OSError, tarfile.TarError) as error:
        raise ShardError(
            f"{path}: expected a whole audio shard, got {reason_of(error)}; "
            "delete its folder and run the resample stage again"
        ) from None


def read_recording(path: Path, recording_id: str) -> bytes:
    """Return the bytes, FLAC or WAV, of one recording of a shard.

    Raises:
        ShardError: The shard is missing or damaged, or does not hold the recording.
    """
    for found_id, sound in read_audio_tar(path):
        if found_id == recording_id:
            return sound
    raise ShardError(f"{path}: expected recording {recording_id}, found none; run the resample stage again")


def write_cuts(path: Path, cuts: Iterable[dict[str, Any]]) -> None:
    """Write a shard's cuts, one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for cut in cuts:
            file.write(json.dumps(cut, ensure_ascii=False) + "\n")


def read_cuts(path: Path) -> list[dict[str, Any]]:
    """Return a shard's cuts as plain values.

    Raises:
        ShardError: The file is missing or damaged.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise ShardError(f"{path}: expected cuts, got {reason_of(error)}; run the stage that makes them") from None


def _member(name: str, data: bytes) -> bytes:
    """Return a member as `tarfile` would add it, which takes it three times as long."""
    # A fresh TarInfo has mtime 0 and no owner: nothing of this machine gets into the bytes.
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)
