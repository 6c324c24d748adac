"""Changed copies of clips by audiomentations, each by a chance of its own.

Chance comes from the seed, the clip and the number of the copy alone: no other clip, no order and no number of workers
changes a copy. audiomentations draws from the two generators that a process shares; they are lent, and given back as
they were.

Shape letters: T samples.
"""

import hashlib
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from audioprep.config.augment import AugmentRule
from audioprep.dsp.arrays import Float32, Wave, check_mono
from audioprep.dsp.window import fit

Transform = Callable[[Float32, int], Float32]


class Sounds(NamedTuple):
    """Sound files that are mixed in; a copy depends on their order and content, not on where they lie.

    Attributes:
        backgrounds: What stands behind a clip; none of them silent.
        rooms: Impulse responses. Without any, rooms are synthetic.
    """

    backgrounds: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()


def augmented_wave(wave_T: Wave, rate_hz: int, rule: AugmentRule, sounds: Sounds, clip_id: str, copy: int) -> Float32:
    """Return one changed copy of a clip.

    Stretched clips are cut, or padded with zeros, at their end. A room keeps the clip's mean power, and so do its pitch,
    speed and place in time, nearly; noise comes on top of it.

    Args:
        wave_T: Samples [T], of one channel.
        rate_hz: Their sampling rate.
        rule: What may be done, and how likely each of it is.
        sounds: What is mixed in.
        clip_id: The clip.
        copy: Number of the copy.

    Returns:
        Samples [T], float32, finite; perhaps beyond full scale.

    Raises:
        ShapeError: It is no mono wave.
    """
    check_mono("augmented_wave", wave_T)
    changed_T = wave_T.astype(np.float32)
    with _chance_of(rule.seed, clip_id, copy), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # part of a background may be silent, and is not added then
        for transform in _transforms(rule, sounds):
            changed_T = np.ascontiguousarray(transform(changed_T, rate_hz), np.float32)
    return fit(changed_T, len(wave_T))


@contextmanager
def _chance_of(seed: int, clip_id: str, copy: int) -> Iterator[None]:
    """Let the generators that a process shares begin at a place of their own, and give them back."""
    digest = hashlib.sha256(f"{seed}\0{copy}\0{clip_id}".encode()).digest()
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is what audiomentations draws from
    random.seed(digest)
    np.random.seed(np.frombuffer(digest, "<u4"))  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


@lru_cache(maxsize=4)
def _transforms(rule: AugmentRule, sounds: Sounds) -> Sequence[Transform]:
    """Return what is done to a clip, in the order of how a sound comes about: source, room, noise, microphone."""
    import audiomentations as am  # a second, with librosa and scipy.signal

    speed, semitones, share = rule.time_stretch.max_factor, rule.pitch_shift.max_semitones, rule.shift.max_share
    (low_snr_db, high_snr_db), (low_db, high_db) = rule.background.snr_db, rule.gain.range_db
    noise, band = rule.colour_noise, rule.band_pass
    made: list[tuple[float, Callable[[float], Transform]]] = [
        (rule.time_stretch.prob, lambda p: am.TimeStretch(1 / speed, speed, p=p)),
        (rule.pitch_shift.prob, lambda p: am.PitchShift(-semitones, semitones, p=p)),
        (rule.shift.prob, lambda p: am.Shift(-share, share, p=p)),
        (
            rule.room.prob,
            lambda p: (
                _AtItsPower(am.ApplyImpulseResponse(sounds.rooms, p=p))
                if sounds.rooms
                else am.Lambda(_in_synthetic_room, p=p, rt60_s=rule.room.rt60_s)
            ),
        ),
        (
            rule.background.prob if sounds.backgrounds else 0.0,
            lambda p: am.AddBackgroundNoise(sounds.backgrounds, low_snr_db, high_snr_db, p=p),
        ),
        (noise.prob, lambda p: am.AddColorNoise(*noise.snr_db, *noise.slope_db, p=p)),
        (band.prob, lambda p: am.BandPassFilter(*band.centre_hz, *band.width, p=p)),
        (rule.gain.prob, lambda p: am.Gain(low_db, high_db, p=p)),
    ]
    return [make(prob) for prob, make in made if prob > 0]


class _AtItsPower:
    """A transform that would bring a clip to a level of its own, and leaves it at the mean power that it had."""

    def __init__(self, transform: Any) -> None:
        self._transform = transform

    def __call__(self, wave_T: Float32, rate_hz: int) -> Float32:
        changed_T = self._transform(wave_T, rate_hz)
        if not self._transform.parameters["should_apply"]:
            return wave_T
        before, after = (np.mean(np.square(part_T, dtype=np.float64)) for part_T in (wave_T, changed_T))
        return np.asarray(changed_T * np.float32(np.sqrt(before / after) if after > 0 else 1.0), np.float32)


def _in_synthetic_room(wave_T: Float32, rate_hz: int, rt60_s: tuple[float, float]) -> Float32:
    from audioprep.dsp.degrade import with_reverb  # it brings scipy.signal, which takes as long

    rng = np.random.default_rng(random.getrandbits(64))
    return with_reverb(wave_T, rate_hz, random.uniform(*rt60_s), rng).astype(np.float32)  # noqa: S311 - no secret
