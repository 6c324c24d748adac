"""From sliding windows to events: when which class sounds.

Shape letters: L classes.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from audioprep.edge.predict import Predictor
from audioprep.edge.stream import Heard


class Event(NamedTuple):
    """A class that sounds for a while.

    Attributes:
        start_s: Start, s from the start of the sound.
        stop_s: End.
        label: The class.
        probability: Its mean over the windows of the event.
    """

    start_s: float
    stop_s: float
    label: str
    probability: float


def events_of(
    predictor: Predictor, heard: Iterable[Heard], hop_s: float, threshold: float, late_s: float = 0.0
) -> Iterator[Event]:
    """Yield events as they end: windows in a row that are given one class, at a probability that counts.

    Every window speaks for the hop in its middle; the first also for what is before, the last for what is behind.

    Args:
        predictor: The classifier that heard the windows.
        heard: The windows.
        hop_s: Distance of the windows.
        threshold: From this probability a class counts, where a recording has one; where it may have several, each has its
            own, from the bundle.
        late_s: How much later than the window's middle its answer is, where it is a mean of windows before it.
    """
    open_: dict[str, tuple[float, list[float]]] = {}
    end_s = stop_s = 0.0
    for number, window in enumerate(heard):
        middle_s = (window.start_s + window.stop_s) / 2 - late_s
        begin_s = window.start_s if number == 0 else max(end_s, middle_s - hop_s / 2)
        given = _given(predictor, window, threshold)
        for label in [label for label in open_ if label not in given]:
            yield _event(label, *open_.pop(label), begin_s)
        for label, probability in given.items():
            open_.setdefault(label, (begin_s, []))[1].append(probability)
        end_s, stop_s = middle_s + hop_s / 2, window.stop_s
    for label, found in open_.items():
        yield _event(label, *found, stop_s)


def _given(predictor: Predictor, window: Heard, threshold: float) -> dict[str, float]:
    if window.probability_L is None:
        return {}
    ranked = predictor.ranked(window.probability_L)
    given = predictor.given(ranked)
    least = threshold if predictor.thresholds is None else 0.0
    return {label: probability for label, probability in ranked if label in given and probability >= least}


def _event(label: str, start_s: float, probabilities: list[float], stop_s: float) -> Event:
    return Event(start_s, stop_s, label, float(np.mean(probabilities)))
