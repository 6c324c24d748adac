"""Sounds of prepared corpora, such as noises and impulse responses, as files for what mixes them into others."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from audioprep.engine import file_sha256, read_index
from audioprep.errors import ConfigError
from audioprep.io.audio import decode_stored, encode_flac
from audioprep.io.shar import cuts_name, read_audio_tar, read_cuts, tar_name

# Of a corpus so many sounds are enough, and so much of each.
_MAX_SOUNDS = 100
_MAX_S = 30.0


def sounds_identity(where: str, names: Sequence[str], corpora: Path, rate_hz: int) -> list[list[str]]:
    """Return what decides the sounds of some prepared corpora: their names, and hashes of what was made of them.

    Args:
        where: The parameter that names them, for messages.
        names: Each a corpus, `musan`, or a label of one, `musan/noise`.
        corpora: The folder that they lie in.
        rate_hz: The sampling rate that is wanted.

    Raises:
        ConfigError: There is no such corpus, or it has another rate.
    """
    found = []
    for name in names:
        corpus, _, _ = name.partition("/")
        folders = corpora / corpus / "audio", corpora / corpus / "cuts"
        if not all((folder / "_index.json").is_file() for folder in folders):
            raise ConfigError(
                f"{where}: expected a prepared corpus, got '{corpus}', of which {corpora / corpus} has no audio and cuts; "
                f"run `audioprep prepare {corpus}`"
            )
        if (rate := read_index(folders[0])["rule"]["rate_hz"]) != rate_hz:
            raise ConfigError(
                f"{where}: expected audio of {rate_hz} Hz, got {rate} Hz of '{corpus}'; prepare it again with the same "
                "resample.rate_hz"
            )
        found.append([name, *(file_sha256(folder / "_index.json") for folder in folders)])
    return found


def write_sounds(where: str, names: Sequence[str], corpora: Path, out: Path) -> tuple[str, ...]:
    """Write sounds of prepared corpora as FLAC files, and return their paths.

    Args:
        where: The parameter that names them, for messages.
        names: As in `sounds_identity`.
        corpora: The folder that they lie in.
        out: A folder for the files.

    Raises:
        ConfigError: None of a corpus's clips sounds, or has the label.
        ShardError: Audio or cuts are damaged.
    """
    paths: list[Path] = []
    for number, name in enumerate(names):
        corpus, _, label = name.partition("/")
        own: list[Path] = []
        for wave_T, rate_hz in _used_sounds(corpora / corpus, label):
            own.append(out / f"{number}-{len(own):03d}.flac")
            own[-1].write_bytes(encode_flac(wave_T[: round(_MAX_S * rate_hz)], rate_hz))
            if len(own) == _MAX_SOUNDS:
                break
        if not own:
            raise ConfigError(f"{where}: expected clips of '{name}' that sound, got none; choose others")
        paths += own
    return tuple(str(path) for path in paths)


def _used_sounds(data: Path, label: str) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the recordings [T] of a corpus that are used, have the label where one is given, and sound; and their rate."""
    index = read_index(data / "audio")
    for shard in (entry["shard"] for entry in index["shards"] if entry["rows"]):
        cuts = read_cuts(data / "cuts" / cuts_name(shard))
        used = {
            cut["id"]
            for cut in cuts
            if cut["custom"]["used"] and (not label or label in cut["supervisions"][0]["custom"]["labels"])
        }
        for clip_id, sound in read_audio_tar(data / "audio" / "shar" / tar_name(shard)):
            if clip_id in used:
                wave_T = decode_stored(sound)
                if np.any(wave_T[: round(_MAX_S * index["rule"]["rate_hz"])]):
                    yield wave_T, index["rule"]["rate_hz"]
