import numpy as np
import pytest

from audioprep.errors import ShapeError
from audioprep.io.events import Event
from audioprep.model.metrics.events import Events, event_f1, segment_f1

CLASSES = ("bird", "car", "dog")
DURATIONS_S = {f"clip{number}": 10.0 for number in range(12)}


def random_events(seed: int, like: Events | None = None) -> dict[str, list[Event]]:
    """Return events of every clip; those of another set moved a little, some lost, some added."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Event]] = {}
    for clip in DURATIONS_S:
        moved = [
            Event(max(0.0, e.onset_s + rng.normal(0, 0.15)), min(10.0, e.offset_s + rng.normal(0, 0.5)), e.label)
            for e in (like or {}).get(clip, ())
            if rng.random() < 0.8
        ]
        for _ in range(rng.integers(1, 5)):
            onset_s, label = rng.random() * 8, CLASSES[rng.integers(3)]
            moved.append(Event(onset_s, onset_s + rng.random() * 2, label))
        found[clip] = [e for e in moved if e.offset_s > e.onset_s]
    return found


TRUTH = random_events(0)
ESTIMATED = random_events(1, TRUTH)


def test_the_numbers_are_those_of_sed_eval() -> None:
    # By sed_eval 0.2.1 from these events, with segments of 1 s, and a collar of 0.2 s or half an event's length: it needs
    # parts of setuptools that are no more, so it is not run here.
    segments = segment_f1(TRUTH, ESTIMATED, CLASSES, durations_s=DURATIONS_S)
    assert (segments["f1"], segments["precision"], segments["recall"]) == pytest.approx(
        (0.548148148, 0.425287356, 0.770833333)
    )
    assert segments["macro_f1"] == pytest.approx(0.517820481)
    assert [segments["per_class"][label]["f1"] for label in CLASSES] == pytest.approx(
        [0.454545455, 0.611111111, 0.487804878]
    )
    events = event_f1(TRUTH, ESTIMATED, CLASSES)
    assert (events["f1"], events["precision"], events["recall"]) == pytest.approx((0.368421053, 0.28, 0.538461538))
    assert events["macro_f1"] == pytest.approx(0.317460317)
    assert [events["per_class"][label]["f1"] for label in CLASSES] == pytest.approx([0.166666667, 0.5, 0.285714286])


def test_a_segment_is_active_where_an_event_touches_it() -> None:
    truth = {"a": [Event(0.5, 2.5, "dog")]}  # segments 0, 1, 2
    found = {"a": [Event(2.0, 4.0, "dog"), Event(9.0, 9.1, "car")]}  # segments 2, 3 and 9
    scores = segment_f1(truth, found, CLASSES, durations_s={"a": 10.0})
    assert (scores["recall"], scores["precision"]) == (1 / 3, 1 / 3)
    assert scores["per_class"]["dog"]["f1"] == pytest.approx(2 / 5)
    assert scores["macro_f1"] == pytest.approx((2 / 5 + 0) / 2)


@pytest.mark.parametrize(
    ("found", "hits"),
    [
        ([Event(1.2, 3.0, "dog")], 1),
        ([Event(1.21, 3.0, "dog")], 0),  # the onset is beyond its collar
        ([Event(1.0, 4.0, "dog")], 1),  # the offset is within half the length
        ([Event(1.0, 4.1, "dog")], 0),
        ([Event(1.0, 3.0, "car")], 0),
        ([Event(1.0, 3.0, "dog"), Event(1.1, 3.0, "dog")], 1),  # an event is found once
        ([], 0),
    ],
)
def test_an_event_counts_within_its_collars(found: list[Event], hits: int) -> None:
    scores = event_f1({"a": [Event(1.0, 3.0, "dog")]}, {"a": found}, CLASSES)
    assert scores["f1"] == pytest.approx(2 * hits / (1 + len(found)))


def test_as_many_events_as_can_be_are_matched() -> None:
    """The first estimate fits both true events, the second the first one alone."""
    truth = {"a": [Event(1.0, 2.0, "dog"), Event(1.3, 2.0, "dog")]}
    found = {"a": [Event(1.15, 2.0, "dog"), Event(0.9, 2.0, "dog")]}
    assert event_f1(truth, found, CLASSES)["f1"] == 1.0


def test_clips_without_estimates_are_missed() -> None:
    assert event_f1(TRUTH, {}, CLASSES)["recall"] == 0.0
    assert segment_f1(TRUTH, {}, CLASSES, durations_s=DURATIONS_S)["f1"] == 0.0


def test_unknown_clips_and_labels_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected clips whose truth or duration is known, got x"):
        event_f1({"a": []}, {"x": [Event(0, 1, "dog")]}, CLASSES)
    with pytest.raises(ShapeError, match=r"events of a: expected labels of the classes given, got cow"):
        segment_f1({"a": [Event(0, 1, "cow")]}, {}, CLASSES, durations_s={"a": 1.0})
