"""What detected events are worth: segment by segment, and event by event.

Source: Mesaros, Heittola and Virtanen 2016, Metrics for polyphonic sound event detection, Appl. Sci. 6(6), 162; the same
numbers as their program sed_eval 0.2.1 gives.

Shape letters: S segments, L classes, R true events, E estimated events.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from audioprep.errors import ShapeError
from audioprep.io.events import Event

Events = Mapping[str, Sequence[Event]]
# True positives, true events and estimated events of each class.
_Counts = npt.NDArray[np.int64]


def segment_f1(
    truth: Events,
    estimated: Events,
    classes: Sequence[str],
    *,
    durations_s: Mapping[str, float],
    segment_s: float = 1.0,
) -> dict[str, Any]:
    """Return precision, recall and F1 of the activity in segments of equal length.

    Args:
        truth: True events of each clip, by its id.
        estimated: Detected ones; a clip may be missing.
        classes: Names of the classes.
        durations_s: Of each clip.
        segment_s: Length of a segment; a class is active in each that one of its events touches.

    Returns:
        `f1`, `precision` and `recall` over all classes together, `macro_f1`, and `per_class` with these of each class.

    Raises:
        ShapeError: An event is of an unknown clip or class.
    """
    _check(truth, estimated, classes, durations_s)
    counts_3L = np.zeros((3, len(classes)), np.int64)
    for clip, duration_s in durations_s.items():
        num_segments = math.ceil(duration_s / segment_s)
        true_SL = _roll(truth.get(clip, ()), num_segments, segment_s, classes)
        found_SL = _roll(estimated.get(clip, ()), num_segments, segment_s, classes)
        counts_3L += np.array([(true_SL & found_SL).sum(axis=0), true_SL.sum(axis=0), found_SL.sum(axis=0)])
    return _rates(counts_3L, classes)


def event_f1(
    truth: Events,
    estimated: Events,
    classes: Sequence[str],
    *,
    collar_s: float = 0.2,
    share_of_length: float = 0.5,
) -> dict[str, Any]:
    """Return precision, recall and F1 of whole events.

    Args:
        truth: True events of each clip, by its id.
        estimated: Detected ones; a clip may be missing.
        classes: Names of the classes.
        collar_s: Onsets may differ by so much, and offsets too.
        share_of_length: Offsets may also differ by so much of the true event.

    Returns:
        As `segment_f1` does; each event belongs to one other at most, and as many as can be are matched.

    Raises:
        ShapeError: An event is of an unknown clip or class.
    """
    _check(truth, estimated, classes, truth)
    counts_3L = np.zeros((3, len(classes)), np.int64)
    for clip, events in truth.items():
        for place, label in enumerate(classes):
            true = [event for event in events if event.label == label]
            found = [event for event in estimated.get(clip, ()) if event.label == label]
            hits = _num_matched(true, found, collar_s, share_of_length)
            counts_3L[:, place] += hits, len(true), len(found)
    return _rates(counts_3L, classes)


def check_labels(events: Events, classes: Sequence[str]) -> None:
    """Refuse events of unknown classes.

    Raises:
        ShapeError: An event is of an unknown class.
    """
    for clip, own in events.items():
        if strange := sorted({event.label for event in own} - set(classes)):
            raise ShapeError(f"events of {clip}: expected labels of the classes given, got {strange[0]}; mend the list")


def _num_matched(true: Sequence[Event], found: Sequence[Event], collar_s: float, share_of_length: float) -> int:
    fits_RE = [
        [
            math.fabs(event.onset_s - other.onset_s) <= collar_s
            and math.fabs(event.offset_s - other.offset_s)
            <= max(collar_s, share_of_length * (event.offset_s - event.onset_s))
            for other in found
        ]
        for event in true
    ]
    if not true or not found:
        return 0
    return int((maximum_bipartite_matching(csr_array(np.array(fits_RE, np.int8))) >= 0).sum())


def _roll(
    events: Sequence[Event], num_segments: int, segment_s: float, classes: Sequence[str]
) -> npt.NDArray[np.bool_]:
    active_SL = np.zeros((num_segments, len(classes)), bool)
    for event in events:
        first, last = math.floor(event.onset_s / segment_s), math.ceil(event.offset_s / segment_s)
        active_SL[first:last, classes.index(event.label)] = True
    return active_SL


def _rates(counts_3L: _Counts, classes: Sequence[str]) -> dict[str, Any]:
    rows = {label: _rate(*counts_3L[:, place].tolist()) for place, label in enumerate(classes)}
    occurring = [row["f1"] for row in rows.values() if row["num_true"] or row["num_estimated"]]
    overall = _rate(*counts_3L.sum(axis=1).tolist())
    return {**overall, "macro_f1": math.fsum(occurring) / max(1, len(occurring)), "per_class": rows}


def _rate(hits: int, num_true: int, num_estimated: int) -> dict[str, Any]:
    return {
        "precision": hits / max(1, num_estimated),
        "recall": hits / max(1, num_true),
        "f1": 2 * hits / max(1, num_true + num_estimated),
        "num_true": num_true,
        "num_estimated": num_estimated,
    }


def _check(truth: Events, estimated: Events, classes: Sequence[str], clips: Mapping[str, Any]) -> None:
    for events in (truth, estimated):
        if unknown := sorted(set(events) - set(clips)):
            raise ShapeError(
                f"events: expected clips whose truth or duration is known, got {unknown[0]} ({len(unknown)} others); "
                "give theirs too"
            )
        check_labels(events, classes)
