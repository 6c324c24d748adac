"""Sound events of a corpus's tested clips, found by networks that have not seen them.

Reads    models/<ds>/checkpoints/, data/<ds>/<kind>/, data/<ds>/splits/, cuts/, audio/facts.parquet

Every frame of a window is judged as a clip of that frame alone. Frames of windows that overlap are averaged on the
time of their recording, so that events may be longer than a window.

Shape letters: K clips, N frames, L classes.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from audioprep.console import track
from audioprep.engine import read_index
from audioprep.errors import ModelError
from audioprep.io.events import Event
from audioprep.io.shar import cuts_name, read_cuts
from audioprep.io.tables import read_table
from audioprep.io.window_cuts import sound_in_window, windows_of
from audioprep.model.checkpoints import Checkpoint, load_checkpoint
from audioprep.model.corpus import Corpus, Ints, load_corpus
from audioprep.model.events import EventRule, find_events, tune_thresholds
from audioprep.model.metrics.events import check_labels, event_f1, segment_f1
from audioprep.model.nets import Classifier
from audioprep.model.trained import check_fits, read_training
from audioprep.model.windows import recording_ids

_BATCH = 64
# So many windows are read at once, in the order in which they lie: each row group once, or nearly.
_READ = 512

Events = Mapping[str, Sequence[Event]]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DetectRule:
    """How events are found.

    Attributes:
        threshold: The probability from which a frame belongs to an event; None: the one of each class that is best on the
            frames of the validation clips where their true events are known, else a half.
        median_s: As in `EventRule`, as all that follow.
        max_gap_s: Likewise.
        min_s: Likewise.
    """

    threshold: float | None = None
    median_s: float = 0.0
    max_gap_s: float = 0.0
    min_s: float = 0.0


@dataclass(frozen=True)
class Detected:
    """What was found.

    Attributes:
        classes: Names of the classes.
        events: Of each tested recording, by its id, in seconds from its start.
        thresholds: Of each fold those of each class.
        scores: Segment-based and event-based F1, `segment` and `event`; empty where no true events are given.
    """

    classes: list[str]
    events: dict[str, list[Event]]
    thresholds: dict[int, dict[str, float]]
    scores: dict[str, Any]

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return what there is of each class, for people: the names of the columns, and a row a class."""
        columns = ("class", "events", "seconds", *(f"{kind} F1" for kind in self.scores))
        rows = []
        for label in self.classes:
            lengths_s = [e.offset_s - e.onset_s for own in self.events.values() for e in own if e.label == label]
            f1 = [f"{self.scores[kind]['per_class'][label]['f1']:.3f}" for kind in self.scores]
            rows.append((label, f"{len(lengths_s):,}", f"{math.fsum(lengths_s):,.1f}", *f1))
        return columns, rows


class _Track(NamedTuple):
    """The probabilities [N, L] of the frames of a recording's used part, and where in it that part begins and ends."""

    scores_NL: Floats
    frame_s: float
    start_s: float
    end_s: float

    def in_recording(self, event: Event) -> Event:
        """Return an event of the part on the time of its recording; the last frame may reach beyond the part."""
        onset_s, offset_s, label = event
        return Event(self.start_s + onset_s, min(self.start_s + offset_s, self.end_s), label)


def detect(
    data: Path, checkpoints: Path, rule: DetectRule, fold: int | None = None, truth: Events | None = None
) -> Detected:
    """Find the events of the tested clips of every trained fold.

    Args:
        data: The corpus's folder, `data/<ds>`.
        checkpoints: What the train stage wrote.
        rule: How events are found.
        fold: One fold alone.
        truth: True events, by recording; a recording that is not named has none.

    Raises:
        ModelError: A checkpoint is missing or belongs to other features or another split, the fold was not trained, or no
            tested clip has true events although some are given.
        ShardError: Features, cuts or split are missing or damaged.
        ShapeError: An event is of an unknown class, or times are impossible.
    """
    torch.set_num_threads(1)  # more threads would sum in another order
    folds = read_training(checkpoints)["folds"]
    if fold is not None and fold not in folds:
        raise ModelError(f"events: expected a trained fold of {folds}, got {fold}; choose one of them")
    loaded = [load_checkpoint(checkpoints / f"fold{one}.pt") for one in ([fold] if fold else folds)]
    corpus = load_corpus(data, loaded[0].rule.features, loaded[0].meta["split"])
    recordings = set(corpus.ids if corpus.recordings is None else corpus.recordings)
    check_labels({name: own for name, own in (truth or {}).items() if name in recordings}, corpus.classes)
    cuts = _read_cuts(data)
    events: dict[str, list[Event]] = {}
    thresholds = {}
    for checkpoint in track(loaded, "events", len(loaded), "fold"):
        check_fits(corpus, checkpoint)
        number = int(checkpoint.meta["fold"])
        thresholds_L = _thresholds(corpus, checkpoint, cuts, rule, truth or {})
        thresholds[number] = dict(zip(corpus.classes, thresholds_L.tolist(), strict=True))
        found = EventRule(thresholds_L, rule.median_s, rule.max_gap_s, rule.min_s)
        tested = corpus.rows(number, {"test"})
        events |= {name: [] for name in recording_ids(corpus, tested)}  # in the order of the split
        for name, own in _tracks(corpus, checkpoint.classifier, tested, cuts):
            of_part = find_events(own.scores_NL, own.frame_s, corpus.classes, found)
            events[name] = [own.in_recording(event) for event in of_part]
    scores = {} if truth is None else _scores(data, corpus.classes, events, truth)
    return Detected(corpus.classes, events, thresholds, scores)


def _read_cuts(data: Path) -> dict[str, dict[str, Any]]:
    """Return the cut of every clip, by its id."""
    shards = [entry["shard"] for entry in read_index(data / "cuts")["shards"]]
    cuts = (cut for shard in shards for cut in read_cuts(data / "cuts" / cuts_name(shard)))
    return {cut["id"]: cut for whole in cuts for _, cut in windows_of(whole)}


def _thresholds(
    corpus: Corpus, checkpoint: Checkpoint, cuts: Mapping[str, dict[str, Any]], rule: DetectRule, truth: Events
) -> npt.NDArray[np.float64]:
    """Return the threshold of each class [L]."""
    if rule.threshold is not None:
        return np.full(len(corpus.classes), rule.threshold)
    held_out = corpus.rows(int(checkpoint.meta["fold"]), {"valid"} - set(checkpoint.meta["fit_on"]))
    if not truth.keys() & set(recording_ids(corpus, held_out)):
        return np.full(len(corpus.classes), 0.5)
    tracks = dict(_tracks(corpus, checkpoint.classifier, held_out, cuts))
    frame_s = next(iter(tracks.values())).frame_s
    of_tracks = [
        [Event(e.onset_s - own.start_s, e.offset_s - own.start_s, e.label) for e in truth.get(name, ())]
        for name, own in tracks.items()
    ]
    return tune_thresholds([own.scores_NL for own in tracks.values()], of_tracks, frame_s, corpus.classes)


def _tracks(
    corpus: Corpus, classifier: Classifier, rows_K: Ints, cuts: Mapping[str, dict[str, Any]]
) -> Iterator[tuple[str, _Track]]:
    """Yield each recording, as they are stored, with what its frames are given, the mean where windows overlap."""
    window_s, rate_hz = corpus.meta["window_s"], corpus.meta["rate_hz"]
    for name, rows, values_KNM in _recordings(corpus, rows_K):
        scores_KNL = _frame_scores(classifier, values_KNM)
        frame_s = window_s / scores_KNL.shape[1]
        own = [cuts[corpus.ids[row]] for row in rows]
        start_s = min(cut["start"] for cut in own)
        end_s = max(cut["start"] + cut["duration"] for cut in own)
        num_frames = max(1, math.ceil((end_s - start_s) / frame_s - 1e-6))
        sum_NL, count_N1 = (
            np.zeros((num_frames, scores_KNL.shape[2]), np.float32),
            np.zeros((num_frames, 1), np.float32),
        )
        for scores_NL, cut in zip(scores_KNL, own, strict=True):
            # Padding is no sound: only frames of the part that was cut out count.
            sound_s, _ = sound_in_window(cut["duration"], cut["custom"]["pad"], window_s, rate_hz)
            source, place = round(sound_s / frame_s), round((cut["start"] - start_s) / frame_s)
            length = math.ceil(cut["duration"] / frame_s - 1e-6)
            length = min(length, len(scores_NL) - source, num_frames - place)
            sum_NL[place : place + length] += scores_NL[source : source + length]
            count_N1[place : place + length] += 1
        yield name, _Track((sum_NL / np.maximum(count_N1, 1)).astype(np.float32), frame_s, start_s, end_s)


def _recordings(corpus: Corpus, rows_K: Ints) -> Iterator[tuple[str, list[int], npt.NDArray[Any]]]:
    """Yield each recording with its windows, as rows of the corpus, and their features."""
    windows: dict[str, list[int]] = defaultdict(list)
    for row, name in zip(rows_K.tolist(), recording_ids(corpus, rows_K), strict=True):
        windows[name].append(row)
    stored = sorted(windows.items(), key=lambda one: min(corpus.clips_K[one[1]]))
    num_read = accumulate(len(rows) for _, rows in stored)
    for _, chunk in groupby(zip(stored, num_read, strict=True), key=lambda one: one[1] // _READ):
        own = [recording for recording, _ in chunk]
        values_KNM = corpus.values(np.array([row for _, rows in own for row in rows]))
        ends = list(accumulate(len(rows) for _, rows in own))
        for (name, rows), own_KNM in zip(own, np.split(values_KNM, ends[:-1]), strict=True):
            yield name, rows, own_KNM


def _frame_scores(classifier: Classifier, values_KNM: npt.NDArray[Any]) -> Floats:
    """Return the probabilities [K, N', L] of frames, N' at the network's own frame rate."""
    parts = []
    with torch.inference_mode():
        for first in range(0, len(values_KNM), _BATCH):
            x_BNM = torch.from_numpy(values_KNM[first : first + _BATCH].astype(np.float32))
            logits_BNL = classifier.trunk.frame_logits(classifier.front(x_BNM))
            is_one = classifier.outputs == "softmax"
            parts.append(logits_BNL.softmax(2) if is_one else torch.sigmoid(logits_BNL))
    return np.asarray(torch.cat(parts).numpy(), np.float32)


def _scores(data: Path, classes: Sequence[str], events: Events, truth: Events) -> dict[str, Any]:
    of_tested = {name: truth.get(name, ()) for name in events}
    if not any(of_tested.values()):
        raise ModelError(
            f"events: expected true events of the {len(events)} tested clips, such as {next(iter(events))}, got those of "
            f"{len(truth)} others, such as {next(iter(truth), 'none')}; recording_id must be the id of a clip"
        )
    facts = read_table(data / "audio" / "facts.parquet", ["id", "duration_s"])
    duration_s = dict(zip(facts["id"].to_pylist(), facts["duration_s"].to_pylist(), strict=True))
    durations_s = {name: duration_s[name] for name in events}
    return {
        "segment": segment_f1(of_tested, events, classes, durations_s=durations_s),
        "event": event_f1(of_tested, events, classes),
    }
