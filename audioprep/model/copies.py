"""The sound of augmented copies, for people to hear what training was given.

Reads    data/<ds>/augmented/<kind>/_index.json, audio/, cuts/, and the same of corpora whose sounds are mixed in
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from audioprep.config.augment import AugmentRule
from audioprep.dsp.denoise import denoiser
from audioprep.dsp.wave_augment import Sounds, augmented_wave
from audioprep.errors import ModelError
from audioprep.io.copies import read_copies
from audioprep.io.sounds import write_sounds
from audioprep.model.robustness import read_clips, shard_numbers


def copied_waves(data: Path, meta: Mapping[str, Any], clip_ids: Sequence[str], most: int) -> Iterator[list[np.ndarray]]:
    """Yield, for each of some clips, its window and the first copies of it, as waves [T], float32.

    They are made anew, as the augment stage made them, at the rate of the features; a copy may go beyond full scale. Where
    there are no copies, the window is alone.

    Args:
        data: The corpus's folder, `data/<ds>`; corpora whose sounds are mixed in lie beside it.
        meta: What the feature shards say of themselves.
        clip_ids: The clips.
        most: No more copies of each than so many.

    Raises:
        ModelError: A clip is not one of those that are used, or there is no audio.
        ConfigError: A corpus whose sounds are mixed in is not there any more.
        ShardError: Audio or cuts are damaged.
    """
    copies, rate_hz = read_copies(data / "augmented" / meta["kind"]), meta["rate_hz"]
    rule, clear = AugmentRule(**copies.rule), denoiser(meta.get("denoise"), rate_hz)
    found: dict[str, np.ndarray] = {}
    for clips in read_clips(data, shard_numbers(data), set(clip_ids), meta, clear):
        found |= {name: clip.window_T for name, clip in clips.items()}
    for name in clip_ids:
        if name not in found:
            raise ModelError(f"{data}: expected a clip that is used, got '{name}'; choose one of its split")
    with TemporaryDirectory() as folder:
        sounds = Sounds(*(write_sounds(rule, data.parent, Path(folder)) if copies.num else ()))
        for name in clip_ids:
            numbers = range(1, min(most, copies.num) + 1)
            yield [
                found[name],
                *(augmented_wave(found[name], rate_hz, rule, sounds, name, number) for number in numbers),
            ]
