"""Whether what a device heard is like what its network was trained on, as one number for each aspect.

The number is the population stability index (PSI), the usual one for this: over bins, the sum of the difference of two shares
times the logarithm of their ratio.

Source: thresholds 0.1 and 0.25, the distribution that chance gives: Yurdakul and Naranjo, Statistical properties of the
population stability index, Journal of Risk Model Validation 14 (2020).

Shape letters: B bins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

from audioprep.model.monitor.tally import Tally

LITTLE_PSI, MUCH_PSI = 0.1, 0.25
# Fewer lines are not judged.
MIN_LINES = 30
# What chance alone exceeds in one case of a hundred is no shift.
_CHANCE = 0.01

Verdict = Literal["as in training", "shifted a little", "shifted", "too few", "not compared"]


@dataclass(frozen=True)
class Drift:
    """How far one aspect is from training.

    Attributes:
        verdict: In words.
        psi: The number; None where it could not be had.
        chance_psi: What it would not exceed by chance alone, in ninety-nine cases of a hundred.
        num_lines: Of so many lines.
        num_expected: With so many clips they are compared.
    """

    verdict: Verdict
    psi: float | None = None
    chance_psi: float | None = None
    num_lines: int = 0
    num_expected: int = 0


def drifts(heard: Tally, facts: dict[str, Any]) -> dict[str, Drift]:
    """Return the drift of each aspect: `rms_db`, `loudness_lufs`, `confidence`, `classes`, `silent`, `over_full_scale`, `failed`.

    Args:
        heard: What a record says.
        facts: Section `training_facts` of the bundle.
    """
    num_clips, new = facts["num_clips"], heard.num_new / heard.num_lines
    found = {
        name: _of_values(heard.binned[name], facts[name], new) if name in facts else Drift("not compared")
        for name in ("rms_db", "loudness_lufs", "confidence")
    }
    shares = [*facts["class_shares"].values(), facts["without_label"]]
    counts = [*(heard.labels[label] for label in facts["class_shares"]), heard.num_unlabelled]
    # Without clips of a kind on either side, the kind is no bin.
    used = [number for number, share in enumerate(shares) if share or counts[number]]
    found["classes"] = drift([counts[number] for number in used], [shares[number] for number in used], num_clips, new)
    found["silent"] = _of_share(heard.num_silent, heard.num_lines, facts.get("silent"), num_clips, new)
    over = _of_share(heard.num_over, heard.num_peaks, facts.get("over_full_scale"), num_clips, new)
    # What could not be read was not trained on.
    failed = _of_share(heard.num_failed, heard.num_lines, 0.0, num_clips, new)
    return found | {"over_full_scale": over, "failed": failed}


def drift(counts: Sequence[int], expected: Sequence[float], num_expected: int, new: float = 1.0) -> Drift:
    """Return how far counts are from the shares that are expected.

    Half a line is added to each bin, and half a clip, so that an empty one does not make the number infinite.

    Args:
        counts: Lines in each bin [B].
        expected: Shares in each bin [B].
        num_expected: Of how many clips these are.
        new: Which share of a line says something that the one before has not said: overlapping windows are alike.
    """
    num_lines = sum(counts)
    if new * num_lines < MIN_LINES:
        return Drift("too few", None, None, num_lines, num_expected)
    counts_B, expected_B = np.array(counts, np.float64), np.array(expected, np.float64) * num_expected
    share_B, usual_B = ((each_B + 0.5) / (each_B + 0.5).sum() for each_B in (counts_B, expected_B))
    psi = float(((share_B - usual_B) * np.log(share_B / usual_B)).sum())
    chance_psi = float(chdtri(max(1, len(counts) - 1), _CHANCE) * (1 / (new * num_lines) + 1 / num_expected))
    return Drift(_verdict(psi, chance_psi), psi, chance_psi, num_lines, num_expected)


def _verdict(psi: float, chance_psi: float) -> Verdict:
    if psi < LITTLE_PSI:
        return "as in training"
    if psi <= chance_psi:
        return "as in training" if chance_psi < MUCH_PSI else "too few"
    return "shifted" if psi >= MUCH_PSI else "shifted a little"


def steps(deciles: Sequence[float]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the values of deciles, each once, and which share of all is up to each."""
    values, first = np.unique(deciles, return_index=True)
    last = np.append(first[1:], len(deciles)) - 1
    return values, last / (len(deciles) - 1)


def edges(fact: dict[str, Any]) -> list[float]:
    """Return where the bins end that hold a tenth of the training clips each, or more where many are alike; the last is open."""
    return [float(value) for value in steps(fact["deciles"][1:])[0][:-1]]


def _of_values(counts: Sequence[int], fact: dict[str, Any], new: float) -> Drift:
    inner = edges(fact)
    if not inner:  # all training clips are alike
        return Drift("not compared")
    values, shares = steps(fact["deciles"])
    up_to = np.append(shares[np.searchsorted(values, inner)], 1.0)
    return drift(counts, np.diff(up_to, prepend=0.0).tolist(), fact["num_clips"], new)


def _of_share(count: int, num_lines: int, expected: float | None, num_expected: int, new: float) -> Drift:
    if expected is None:
        return Drift("not compared")
    return drift([count, num_lines - count], [expected, 1.0 - expected], num_expected, new)
