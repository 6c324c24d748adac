"""The section `augment` of params.yaml: how seeded copies of the clips are changed before their features are made.

It is apart from `config/data.py` so that a change in it is no change to any module that another data stage imports.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from audioprep.config.base import Section, parse_section, read_yaml

_CORPUS = re.compile(r"[a-z0-9][a-z0-9_]*(/[^/]+)?")
Bounds = tuple[float, float]


def _within(least: float, most: float) -> Callable[[Bounds], Bounds]:
    def check(bounds: Bounds) -> Bounds:
        low, high = bounds
        if not least <= low <= high <= most:
            raise ValueError(
                f"expected [lowest, highest] within {least:g} and {most:g}, got [{low:g}, {high:g}]; mend them"
            )
        return bounds

    return check


def _named(name: str) -> str:
    if not _CORPUS.fullmatch(name):
        raise ValueError(f"expected a prepared corpus, or a label of one, such as musan/noise, got '{name}'; mend it")
    return name


Chance = Annotated[float, Field(ge=0.0, le=1.0)]
Decibels = Annotated[Bounds, AfterValidator(_within(-100.0, 200.0))]
Corpora = tuple[Annotated[str, AfterValidator(_named)], ...]


class TimeStretchRule(Section):
    """Faster or slower at the same pitch."""

    prob: Chance = 0.5
    # Between one over this and this. Beyond 2, what stretches takes chance from the machine.
    max_factor: float = Field(default=1.2, ge=1.0, le=1.8)


class PitchShiftRule(Section):
    """Higher or lower at the same speed."""

    prob: Chance = 0.5
    max_semitones: float = Field(default=2.0, ge=0.0, le=24.0)


class ShiftRule(Section):
    """Moved in time, in a circle."""

    prob: Chance = 0.5
    max_share: float = Field(default=0.5, ge=0.0, le=1.0)


class RoomRule(Section):
    """In a room: one whose impulse response a prepared corpus has, else a synthetic one."""

    prob: Chance = 0.3
    corpora: Corpora = ()
    rt60_s: Annotated[Bounds, AfterValidator(_within(0.05, 20.0))] = (0.2, 0.8)


class BackgroundRule(Section):
    """With sounds of prepared corpora behind it; without corpora there is none."""

    prob: Chance = 0.5
    corpora: Corpora = ()
    snr_db: Decibels = (5.0, 30.0)


class ColourNoiseRule(Section):
    """With noise whose power in a hertz falls or rises steadily."""

    prob: Chance = 0.3
    snr_db: Decibels = (10.0, 40.0)
    # Per octave: -3 is pink, 0 white.
    slope_db: Annotated[Bounds, AfterValidator(_within(-24.0, 24.0))] = (-6.0, 6.0)


class BandPassRule(Section):
    """Through a narrow channel."""

    prob: Chance = 0.2
    centre_hz: Annotated[Bounds, AfterValidator(_within(1.0, 96000.0))] = (200.0, 4000.0)
    # Of the band, as a share of its centre.
    width: Annotated[Bounds, AfterValidator(_within(0.01, 1.99))] = (0.5, 1.99)


class GainRule(Section):
    """Louder or softer."""

    prob: Chance = 0.5
    range_db: Decibels = (-6.0, 6.0)


class AugmentRule(Section):
    """How many copies there are of each clip, and what is done to each of them, in this order."""

    copies: int = Field(default=0, ge=0, le=100)
    seed: int = Field(default=0, ge=0)
    time_stretch: TimeStretchRule = TimeStretchRule()
    pitch_shift: PitchShiftRule = PitchShiftRule()
    shift: ShiftRule = ShiftRule()
    room: RoomRule = RoomRule()
    background: BackgroundRule = BackgroundRule()
    colour_noise: ColourNoiseRule = ColourNoiseRule()
    band_pass: BandPassRule = BandPassRule()
    gain: GainRule = GainRule()


def load_augment_rule(path: Path = Path("params.yaml")) -> AugmentRule:
    """Read and check how clips are copied.

    Raises:
        ConfigError: One line that names the first key that is unknown, ill-typed or impossible.
    """
    return parse_section(AugmentRule, "augment", read_yaml(path).get("augment"))
