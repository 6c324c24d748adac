import numpy as np
import pytest
from sklearn.metrics import f1_score

from audioprep.errors import ShapeError
from audioprep.io.events import Event
from audioprep.model.events import EventRule, find_events, frame_truth, tune_thresholds

ONE = ("dog",)


def events_of(frames: str, **rule: float) -> list[tuple[float, float]]:
    """Return the events of frames of 0.5 s, of which `#` are active."""
    scores_NL = np.array([[0.9 if frame == "#" else 0.1] for frame in frames]).reshape(-1, 1)
    return [(event.onset_s, event.offset_s) for event in find_events(scores_NL, 0.5, ONE, EventRule((0.5,), **rule))]


def test_runs_of_frames_above_the_threshold_are_events() -> None:
    assert events_of("##..###.#") == [(0.0, 1.0), (2.0, 3.5), (4.0, 4.5)]
    assert events_of("......") == []
    assert events_of("") == []
    assert events_of("####") == [(0.0, 2.0)]


def test_the_threshold_itself_is_reached() -> None:
    found = find_events(np.array([[0.5, 0.5]]), 0.1, ("a", "b"), EventRule((0.5, 0.6)))
    assert found == [Event(0.0, 0.1, "a")]


def test_the_median_takes_short_runs_for_their_surroundings() -> None:
    # 1.5 s are three frames: single ones go, single holes close.
    assert events_of(".#..##.##..", median_s=1.5) == [(2.0, 4.5)]
    assert events_of(".#..##.##..", median_s=0.9) == events_of(".#..##.##..")


def test_gaps_are_filled_before_short_events_are_left_out() -> None:
    assert events_of("#.#...#", max_gap_s=0.5) == [(0.0, 1.5), (3.0, 3.5)]
    assert events_of("#.#...#", max_gap_s=0.5, min_s=1.0) == [(0.0, 1.5)]
    assert events_of("#.#...#", min_s=1.0) == []
    assert events_of("#.#...#", max_gap_s=1.5) == [(0.0, 3.5)]


def test_classes_do_not_touch_each_other() -> None:
    scores_NL = np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.9]])
    found = find_events(scores_NL, 1.0, ("a", "b"), EventRule((0.5, 0.5), max_gap_s=5.0))
    assert found == [Event(0.0, 2.0, "a"), Event(1.0, 3.0, "b")]


def test_events_of_true_frames_are_the_true_events() -> None:
    events = [Event(0.2, 0.7, "a"), Event(0.5, 1.0, "b")]
    truth_NL = frame_truth(events, 12, 0.1, ("a", "b"))
    found = find_events(truth_NL.astype(float), 0.1, ("a", "b"), EventRule((0.5, 0.5)))
    for event, other in zip(found, events, strict=True):
        assert (event.label, event.onset_s, event.offset_s) == (
            other.label,
            pytest.approx(other.onset_s),
            pytest.approx(other.offset_s),
        )


def test_thresholds_are_tuned_on_all_frames_of_the_validation_clips() -> None:
    rng = np.random.default_rng(0)
    events = [[Event(0.0, 1.0, "a")], [Event(2.0, 4.0, "a"), Event(0.0, 0.5, "b")]]
    truth = [frame_truth(own, 50, 0.1, ("a", "b")) for own in events]
    scores = [0.3 * own + 0.4 * rng.random(own.shape) for own in truth]
    thresholds_L = tune_thresholds(scores, events, 0.1, ("a", "b"))
    truth_FL, scores_FL = np.concatenate(truth), np.concatenate(scores)
    for column in range(2):
        every = [f1_score(truth_FL[:, column], scores_FL[:, column] >= t) for t in np.linspace(0, 1, 101)]
        assert f1_score(truth_FL[:, column], scores_FL[:, column] >= thresholds_L[column]) >= max(every)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(
        ShapeError, match=r"expected scores \[frames, 1 classes\] and as many thresholds, got \(3, 2\) and 1"
    ):
        find_events(np.zeros((3, 2)), 0.1, ONE, EventRule((0.5,)))
    with pytest.raises(ShapeError, match=r"expected a frame_s above 0 and no negative time, got 0 and"):
        find_events(np.zeros((3, 1)), 0.0, ONE, EventRule((0.5,)))
    with pytest.raises(ShapeError, match=r"expected a frame_s above 0 and no negative time, got 0.1 and .*min_s=-1"):
        find_events(np.zeros((3, 1)), 0.1, ONE, EventRule((0.5,), min_s=-1.0))
