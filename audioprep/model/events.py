"""Sound event detection: from probabilities of every frame to events.

Shape letters: N frames, F frames of several clips, L classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from audioprep.errors import ShapeError
from audioprep.io.events import Event
from audioprep.model.metrics.decisions import best_thresholds

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EventRule:
    """How frames become events.

    Attributes:
        thresholds_L: The probability from which a frame belongs to an event, of each class.
        median_s: Runs of frames shorter than half of this are taken for their surroundings; 0 leaves all as they are.
        max_gap_s: Events of one class that are no further apart become one.
        min_s: Events shorter than this are left out, after gaps are filled.
    """

    thresholds_L: Sequence[float] | Floats
    median_s: float = 0.0
    max_gap_s: float = 0.0
    min_s: float = 0.0


def find_events(scores_NL: Floats, frame_s: float, classes: Sequence[str], rule: EventRule) -> list[Event]:
    """Return the events of one clip, by onset.

    Args:
        scores_NL: Probability of each class in each frame.
        frame_s: From the start of one frame to that of the next; frame n reaches from n to n + 1 times this.
        classes: Names of the classes.
        rule: How frames become events.

    Raises:
        ShapeError: Scores, classes and thresholds do not go together, or a time is impossible.
    """
    thresholds_L = np.asarray(rule.thresholds_L, np.float64)
    if scores_NL.ndim != 2 or not scores_NL.shape[1] == len(classes) == len(thresholds_L):
        raise ShapeError(
            f"events: expected scores [frames, {len(classes)} classes] and as many thresholds, got {scores_NL.shape} and "
            f"{len(thresholds_L)}; give one of each for every class"
        )
    if not frame_s > 0 or min(rule.median_s, rule.max_gap_s, rule.min_s) < 0:
        raise ShapeError(
            f"events: expected a frame_s above 0 and no negative time, got {frame_s:g} and {rule}; mend it"
        )
    active_NL = scores_NL >= thresholds_L
    # An odd number of frames, so that a frame has as many before as after it.
    width = 2 * math.floor(rule.median_s / frame_s / 2 + 1e-9) + 1
    if width > 1:
        active_NL = median_filter(active_NL.astype(np.uint8), size=(width, 1), mode="constant") > 0
    events = [
        Event(start * frame_s, stop * frame_s, label)
        for column, label in enumerate(classes)
        for start, stop in _joined(_runs(active_NL[:, column]), rule.max_gap_s / frame_s)
        if (stop - start) * frame_s >= rule.min_s - 1e-9
    ]
    return sorted(events)


def frame_truth(events: Sequence[Event], num_frames: int, frame_s: float, classes: Sequence[str]) -> Bools:
    """Return which classes sound in the middle of each frame [N, L]."""
    middle_N = (np.arange(num_frames) + 0.5) * frame_s
    truth_NL = np.zeros((num_frames, len(classes)), bool)
    for event in events:
        truth_NL[:, classes.index(event.label)] |= (middle_N >= event.onset_s) & (middle_N < event.offset_s)
    return truth_NL


def tune_thresholds(
    scores: Sequence[Floats], events: Sequence[Sequence[Event]], frame_s: float, classes: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return the threshold of each class [L] with the highest F1 over all frames of the validation clips.

    Args:
        scores: Of each clip, [N, L].
        events: Of each clip, the true ones.
        frame_s: From frame to frame.
        classes: Names of the classes.
    """
    truth = [frame_truth(own, len(s), frame_s, classes) for s, own in zip(scores, events, strict=True)]
    truth_FL, scores_FL = np.concatenate(truth), np.concatenate(list(scores))
    return best_thresholds(truth_FL, scores_FL)


def _runs(active_N: Bools) -> list[tuple[int, int]]:
    """Return where runs of active frames begin and end."""
    padded = np.concatenate([[False], active_N, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1]).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _joined(runs: list[tuple[int, int]], max_gap: float) -> list[tuple[int, int]]:
    """Return runs of which those that are near each other are one."""
    if not runs:
        return []
    near = [after[0] - before[1] <= max_gap + 1e-9 for before, after in pairwise(runs)]
    starts = [runs[0][0]] + [run[0] for run, is_near in zip(runs[1:], near, strict=True) if not is_near]
    stops = [run[1] for run, is_near in zip(runs[:-1], near, strict=True) if not is_near] + [runs[-1][1]]
    return list(zip(starts, stops, strict=True))
