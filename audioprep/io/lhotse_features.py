"""Feature shards as lhotse features: `cut.load_features()` reads them where they are.

Importing this module registers the reader under `audioprep_parquet`: a manifest that was saved needs that import before it is
read. Cuts and pickles made here import it themselves.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from lhotse import CutSet, Features, MonoCut, combine
from lhotse.features.io import FeaturesReader, register_reader
from lhotse.utils import fastcopy

from audioprep.engine import read_index
from audioprep.errors import ShardError, reason_of
from audioprep.io.feature_reader import read_meta
from audioprep.io.feature_writer import METADATA_KEY, decoded, part_name
from audioprep.io.manifests import Windows
from audioprep.io.shar import cuts_name
from audioprep.io.window_cuts import hop_samples, sound_in_window

# Of these a process keeps what it read last. A group has 128 clips: 8 MB where they are log-mels of 5 s.
_MAX_GROUPS = 16
_MAX_PARTS = 1024


@register_reader
class ParquetFeaturesReader(FeaturesReader):  # type: ignore[misc] # it has no types
    """Reads the features of one clip out of a feature shard.

    A row group is read at a time, and the last ones are kept: cuts in stored order, or shuffled within a buffer, cost one
    read of each group; cuts in random order out of a large corpus cost one read each.

    Args:
        storage_path: The shard, `part-NNNNNN.parquet`.
    """

    name = "audioprep_parquet"

    def __init__(self, storage_path: str | Path, *_args: object, **_options: object) -> None:
        super().__init__()
        self._path = Path(storage_path)

    def read(self, key: str, left_offset_frames: int = 0, right_offset_frames: int | None = None) -> np.ndarray:
        """Return features [N, M], float16 or float32.

        Args:
            key: The clip's id.
            left_offset_frames: First frame wanted.
            right_offset_frames: First frame that is no more wanted; None is the end.

        Raises:
            ShardError: The shard is missing or damaged, or does not hold the clip.
        """
        try:
            stat = self._path.stat()
            part = _opened(self._path, stat.st_mtime_ns, stat.st_size)
            group, row = part.rows[key]
            clip_NM = _group(self._path, stat.st_mtime_ns, stat.st_size, group)[row]
        except (OSError, pa.ArrowException) as error:
            raise ShardError(f"{self._path}: expected a feature shard, got {reason_of(error)}; make it again") from None
        except KeyError:
            raise ShardError(f"{self._path}: expected clip {key}, found none; make the cuts anew") from None
        # A copy: whoever changes it in place does not change what others read.
        return np.array(clip_NM[left_offset_frames:right_offset_frames])


class ParquetFeatures(Features):  # type: ignore[misc] # it has no types
    """Features that bring their reader along: who unpickles one imports this module, which registers it."""


def cuts_with_features(data: Path, kind: str = "logmel") -> CutSet:
    """Return the used clips of a corpus as lhotse cuts whose `load_features()` gives exactly what is stored, read lazily.

    A cut is the window that its features were made of: the decided part of the recording, at its gain and padded. Its
    time starts at 0 and ends after its last frame, `num_frames * frame_shift`, a hop later than the window itself: ours are
    `1 + T // hop` frames, centred, while lhotse reckons with `T / hop`. The supervision says where in the window the sound
    is; `custom["part"]` where in the recording it came from. The cut has no recording, as the recording is not the window;
    `audioprep.io.manifests.open_cuts` gives the same ids with their audio.

    Args:
        data: The corpus's folder, `data/<ds>`.
        kind: Feature kind.

    Raises:
        ShardError: Features or cuts are not there, or damaged.
    """
    index, cuts_index = read_index(data / kind), read_index(data / "cuts")
    there = {entry["shard"] for entry in cuts_index["shards"]}
    sets = []
    for shard in (entry["shard"] for entry in index["shards"]):
        if shard not in there:
            raise ShardError(f"{data / 'cuts'}: expected {cuts_name(shard)}, found none; run the trim stage")
        path = data / kind / part_name(shard)
        cuts = CutSet(Windows(CutSet.from_jsonl_lazy(data / "cuts" / cuts_name(shard))))
        sets.append(cuts.filter(_is_used).map(functools.partial(_with_features, path=path, meta=read_meta(path))))
    return sets[0] if len(sets) == 1 else combine(*sets)


def _is_used(cut: MonoCut) -> bool:
    return bool(cut.custom["used"])


def _with_features(cut: MonoCut, *, path: Path, meta: dict[str, Any]) -> MonoCut:
    rate_hz, num_frames = meta["rate_hz"], meta["num_frames"]
    frame_shift_s = hop_samples(meta) / rate_hz
    duration_s = num_frames * hop_samples(meta) / rate_hz
    features = ParquetFeatures(
        type=meta["kind"],
        num_frames=num_frames,
        num_features=meta["num_bins"],
        frame_shift=frame_shift_s,
        sampling_rate=rate_hz,
        start=0.0,
        duration=duration_s,
        storage_type=ParquetFeaturesReader.name,
        storage_path=str(path),
        storage_key=cut.id,
        recording_id=cut.id,
        channels=cut.channel,
    )
    start_s, sound_s = sound_in_window(cut.duration, cut.custom["pad"], meta["window_s"], rate_hz)
    return fastcopy(
        cut,
        start=0.0,
        duration=duration_s,
        features=features,
        supervisions=[fastcopy(one, start=start_s, duration=sound_s) for one in cut.supervisions],
        custom={**cut.custom, "part": {"start": cut.start, "duration": cut.duration}},
    )


@dataclass(frozen=True)
class _Part:
    """What a shard's footer and its column of ids say.

    Attributes:
        footer: The footer, so that it is read once.
        meta: What the shard says of itself.
        rows: Row group of each clip, and its row therein.
    """

    footer: pq.FileMetaData
    meta: dict[str, Any]
    rows: dict[str, tuple[int, int]]


# Both know a file by its time and size too: what was made anew is read anew. No file is kept open, so that threads and forked
# workers share nothing.
@functools.lru_cache(maxsize=_MAX_PARTS)
def _opened(path: Path, _mtime_ns: int, _num_bytes: int) -> _Part:
    with pq.ParquetFile(path) as file:
        footer = file.metadata
        rows: dict[str, tuple[int, int]] = {}
        for group in range(footer.num_row_groups):
            ids = file.read_row_group(group, columns=["id"], use_threads=False)["id"].to_pylist()
            rows |= {clip_id: (group, row) for row, clip_id in enumerate(ids)}
    return _Part(footer, json.loads(footer.metadata[METADATA_KEY]), rows)


@functools.lru_cache(maxsize=_MAX_GROUPS)
def _group(path: Path, mtime_ns: int, num_bytes: int, group: int) -> np.ndarray:
    part = _opened(path, mtime_ns, num_bytes)
    with pq.ParquetFile(path, metadata=part.footer) as file:
        return decoded(file.read_row_group(group, use_threads=False), part.meta)
