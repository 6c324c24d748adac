"""Sounds of prepared corpora, noises and impulse responses, for what mixes them into others.

They are named by their corpus, `musan`, or by a label of it, `musan/noise`; what names them, a parameter, is said in errors.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.config.augment import AugmentRule
from audioprep.engine import INDEX_NAME, file_sha256, read_index
from audioprep.errors import ConfigError
from audioprep.io.audio import decode_stored, encode_flac
from audioprep.io.shar import cuts_name, read_audio_tar, read_cuts, tar_name
from audioprep.io.tables import read_table

# Of a corpus so many sounds are enough, and so much of each.
_MAX_SOUNDS = 100
_MAX_S = 30.0


def sounds_identity(rule: AugmentRule, data: Path, rate_hz: int) -> list[list[str]]:
    """Return what decides the sounds that clips are changed with: the corpora, and hashes of what was made of them.

    Args:
        rule: Names corpora, `musan`, or labels of them, `musan/noise`.
        data: Folder of the corpus whose clips are changed; the others lie beside it.
        rate_hz: The sampling rate that is wanted.

    Raises:
        ConfigError: There is no such corpus, it has another rate, or it has recordings of the one whose clips are changed.
    """
    found = []
    for where, names in _named(rule):
        for name in names:
            corpus, _, _ = name.partition("/")
            if data.parent / corpus == data:
                raise ConfigError(
                    f"{where}: expected another corpus than '{corpus}' itself, whose tested clips would be heard in training; "
                    "name another"
                )
            check_sounds(where, data.parent, name, rate_hz)
            _check_apart(where, data, corpus)
            folders = data.parent / corpus / "audio", data.parent / corpus / "cuts"
            found.append([where, name, *(file_sha256(folder / INDEX_NAME) for folder in folders)])
    return found


def _check_apart(where: str, data: Path, corpus: str) -> None:
    own, other = (_sounding_pcm(folder / "audio" / "facts.parquet") for folder in (data, data.parent / corpus))
    if num_shared := pc.sum(pc.is_in(other, value_set=own)).as_py():
        raise ConfigError(
            f"{where}: expected another corpus than '{corpus}', of whose recordings '{data.name}' has {num_shared} too: its "
            "tested clips would be heard in training; name another"
        )


def _sounding_pcm(facts: Path) -> pa.ChunkedArray:
    """Return the hashes of recordings; digital silence, of which any two are the same, is left out."""
    table = read_table(facts, ["pcm_sha256", "peak_db"])
    return table["pcm_sha256"].filter(pc.is_finite(table["peak_db"]))


def check_sounds(where: str, corpora: Path, name: str, rate_hz: int, *, expected: str = "a prepared corpus") -> None:
    """Refuse sounds that are not there, or are of another rate.

    Args:
        where: The parameter that names them.
        corpora: The folder that corpora lie in.
        name: A corpus, or a label of it.
        rate_hz: The sampling rate that is wanted.
        expected: What the parameter may name.

    Raises:
        ConfigError: There is no such corpus, or it has another rate.
    """
    corpus, _, _ = name.partition("/")
    folders = corpora / corpus / "audio", corpora / corpus / "cuts"
    if not all((folder / INDEX_NAME).is_file() for folder in folders):
        raise ConfigError(
            f"{where}: expected {expected}, got '{corpus}', of which there are no audio and cuts in {corpora / corpus}; run "
            f"`audioprep prepare {corpus}`"
        )
    if (rate := read_index(folders[0])["rule"]["rate_hz"]) != rate_hz:
        raise ConfigError(
            f"{where}: expected audio of {rate_hz} Hz, got {rate} Hz of '{corpus}'; prepare it again with the same "
            "resample.rate_hz"
        )


def write_sounds(rule: AugmentRule, corpora: Path, out: Path) -> list[tuple[str, ...]]:
    """Write the sounds that clips are changed with as FLAC files.

    Args:
        rule: As in `sounds_identity`.
        corpora: The folder that they lie in.
        out: An empty folder for the files.

    Returns:
        Paths of the backgrounds, and of the impulse responses of rooms.

    Raises:
        ConfigError: None of a corpus's clips sounds, or has the label.
        ShardError: Audio or cuts are damaged.
    """
    found = []
    for where, names in _named(rule):
        paths: list[str] = []
        for name in names:
            for wave_T, rate_hz in used_sounds(where, corpora, name):
                path = out / f"{where}-{len(paths):04d}.flac"
                path.write_bytes(encode_flac(wave_T, rate_hz))
                paths.append(str(path))
        found.append(tuple(paths))
    return found


def used_sounds(where: str, corpora: Path, name: str) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the first sounds of a corpus: of recordings that are used, have the label, if any, and are not silent.

    Args:
        where: The parameter that names them.
        corpora: The folder that corpora lie in.
        name: A corpus, or a label of it.

    Yields:
        The beginning [T] of a recording, at most 30 s, and its sampling rate; at most 100 of them.

    Raises:
        ConfigError: None of the clips sounds, or has the label.
        ShardError: Audio or cuts are damaged.
    """
    found = islice(_beginnings(corpora, name), _MAX_SOUNDS)
    first = next(found, None)
    if first is None:
        raise ConfigError(f"{where}: expected clips of '{name}' that sound, got none; choose others")
    yield first
    yield from found


def _named(rule: AugmentRule) -> list[tuple[str, tuple[str, ...]]]:
    """Return the corpora of backgrounds and of rooms, after the parameter that names them; what is never done needs none."""
    parts = ("background", rule.background), ("room", rule.room)
    return [(f"augment.{name}.corpora", part.corpora if part.prob else ()) for name, part in parts]


def _beginnings(corpora: Path, name: str) -> Iterator[tuple[np.ndarray, int]]:
    corpus, _, label = name.partition("/")
    data = corpora / corpus
    index = read_index(data / "audio")
    rate_hz = index["rule"]["rate_hz"]
    for shard in (entry["shard"] for entry in index["shards"] if entry["rows"]):
        used = {
            cut["id"]
            for cut in read_cuts(data / "cuts" / cuts_name(shard))
            if cut["custom"]["used"] and (not label or label in cut["supervisions"][0]["custom"]["labels"])
        }
        for clip_id, sound in read_audio_tar(data / "audio" / "shar" / tar_name(shard)):
            if clip_id in used and np.any(wave_T := decode_stored(sound)[: round(_MAX_S * rate_hz)]):
                yield wave_T, rate_hz
