"""The sound of augmented copies, for people to hear what training was given.

Reads    data/<ds>/augmented/<kind>/_index.json, audio/, cuts/, and the same of corpora whose sounds are mixed in
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from audioprep.config.augment import AugmentRule
from audioprep.dsp.features import windowed
from audioprep.dsp.wave_augment import Sounds, augmented_wave
from audioprep.engine import read_index, shard_of
from audioprep.errors import ModelError
from audioprep.io.audio import decode_stored
from audioprep.io.copies import read_copies
from audioprep.io.shar import cuts_name, read_cuts, read_recording, tar_name
from audioprep.io.sounds import write_sounds


def copied_waves(data: Path, kind: str, clip_ids: Sequence[str], most: int) -> Iterator[list[np.ndarray]]:
    """Yield, for each of some clips, its window and the first copies of it, as waves [T], float32.

    They are made anew, as the augment stage made them, at the rate that the index of the audio says; a copy may go beyond full
    scale. Where there are no copies, the window is alone.

    Args:
        data: The corpus's folder, `data/<ds>`; corpora whose sounds are mixed in lie beside it.
        kind: Feature kind of the copies.
        clip_ids: The clips.
        most: No more copies of each than so many.

    Raises:
        ModelError: A clip is not one of those that are used.
        ConfigError: A corpus whose sounds are mixed in is not there any more.
        ShardError: Audio or cuts are missing or damaged.
    """
    copies = read_copies(data / "augmented" / kind)
    rule = AugmentRule(**copies.rule)
    with TemporaryDirectory() as folder:
        sounds = Sounds(*(write_sounds(rule, data.parent, Path(folder)) if copies.num else ()))
        for clip_id in clip_ids:
            window_T, rate_hz = _window(data, clip_id)
            numbers = range(1, min(most, copies.num) + 1)
            yield [window_T, *(augmented_wave(window_T, rate_hz, rule, sounds, clip_id, number) for number in numbers)]


def _window(data: Path, clip_id: str) -> tuple[np.ndarray, int]:
    """Return the window [T] that a clip's features were made of, and its sampling rate."""
    index = read_index(data / "audio")
    rate_hz, shard = index["rule"]["rate_hz"], shard_of(clip_id, index["num_shards"])
    cut = {cut["id"]: cut for cut in read_cuts(data / "cuts" / cuts_name(shard))}.get(clip_id)
    if cut is None or not cut["custom"]["used"]:
        raise ModelError(f"{data}: expected a clip that is used, got '{clip_id}'; choose one of its split")
    start, custom = round(cut["start"] * rate_hz), cut["custom"]
    decided = {"start": start, "stop": start + round(cut["duration"] * rate_hz), **custom}
    sound = read_recording(data / "audio" / "shar" / tar_name(shard), clip_id)
    return windowed(decode_stored(sound), decided, round(custom["window_s"] * rate_hz)), rate_hz
