"""What may be chance: confidence intervals, and tests of two networks on the same clips.

Clips of one group (one recording, one speaker) are not independent, so groups are drawn, not clips.

Shape letters: B draws, K clips.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

NUM_DRAWS = 1000
_DRAWS_AT_A_TIME = 50
# Two-sided 95 % of a normal distribution.
_Z95 = 1.959963984540054


def wilson_interval(num_right: int, num_clips: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, for clips that are independent of each other.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22, 209-212.
    """
    share, squared = num_right / num_clips, _Z95**2
    centre = (share + squared / (2 * num_clips)) / (1 + squared / num_clips)
    half = _Z95 * math.sqrt(share * (1 - share) / num_clips + squared / (4 * num_clips**2)) / (1 + squared / num_clips)
    return max(0.0, centre - half), min(1.0, centre + half)


def group_draws(groups: Sequence[str], num_draws: int = NUM_DRAWS, seed: int = 0) -> Iterator[Doubles]:
    """Yield how often each clip is drawn [B, K], when as many groups as there are are drawn with replacement.

    Args:
        groups: Of each clip; clips of one group are drawn together.
        num_draws: Of all parts together; each part is of some, so that memory holds few.
        seed: Of the draws; the same groups give the same draws, in whatever order the clips are.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 8.
    """
    names, group_K = np.unique(np.array(groups, dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    for first in range(0, num_draws, _DRAWS_AT_A_TIME):
        size = min(_DRAWS_AT_A_TIME, num_draws - first)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        yield drawn[:, group_K].astype(np.float64)


def interval(values_B: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the 95 % percentile interval of drawn values; those that a draw could not give (NaN) are left out, and NaN is what none give."""
    given_B = values_B[~np.isnan(values_B)]
    low, high = np.percentile(given_B, (2.5, 97.5)) if len(given_B) else (math.nan, math.nan)
    return float(low), float(high)


def mcnemar(is_right_a_K: Bools, is_right_b_K: Bools) -> dict[str, Any]:
    """Return the exact McNemar test of two networks on the same clips.

    Returns:
        `only_a` and `only_b`, the clips that one alone has right, and `p_value`, two-sided: how likely chance is to give
        so uneven counts, were both equally good and the clips independent.

    Source: McNemar 1947, Psychometrika 12, 153-157; Dietterich 1998, Neural Computation 10, 1895-1923.
    """
    only_a, only_b = int((is_right_a_K & ~is_right_b_K).sum()), int((is_right_b_K & ~is_right_a_K).sum())
    p_value = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {"only_a": only_a, "only_b": only_b, "p_value": float(p_value)}
