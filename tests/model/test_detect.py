"""Events of tested clips, on the time of their recordings."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lhotse import SupervisionSet
from model.corpora import SMALL_MODEL
from steps.small_corpus import Run, write_corpus
from typer.testing import CliRunner

from audioprep import cli
from audioprep.config.data import DataParams
from audioprep.errors import ModelError, ShapeError, ShardError
from audioprep.io.events import Event, read_events, write_events
from audioprep.io.feature_reader import FeatureShards
from audioprep.io.parquet import read_features, read_split
from audioprep.io.tables import read_table
from audioprep.model import detect as module
from audioprep.model.checkpoints import Shapes, build, save_checkpoint, standardise
from audioprep.model.corpus import load_corpus
from audioprep.model.detect import DetectRule, detect

SPLIT = "grouped-3fold"
RULE = DetectRule(threshold=0.34)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with a corpus in windows, and two folds of networks that nobody has trained."""
    root = tmp_path_factory.mktemp("detect")
    params = DataParams.model_validate({"resample": {"max_bad_fraction": 0.05}, "window": {"hop_s": 0.15}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOPREP_WORKERS", "1")
        Run(write_corpus(root / "sounds"), root / "data/small", params, {"window_s": 0.3}).all()
    corpus = load_corpus(root / "data/small", "logmel", SPLIT)
    folder = root / "models/small/checkpoints"
    for fold in (1, 2):
        torch.manual_seed(fold)
        shapes = Shapes(corpus.shards.num_frames, corpus.shards.num_bins, 3)
        classifier = build(SMALL_MODEL, shapes).eval()
        standardise(classifier, *corpus.normalisation(corpus.rows(fold, {"train"})))
        meta = {"dataset": "small", "split": SPLIT, "fold": fold, "labels": corpus.classes}
        meta |= {"features": corpus.meta, "fit_on": ["train"]}
        save_checkpoint(folder / f"fold{fold}.pt", classifier, SMALL_MODEL, shapes, meta)
    (folder / "train.json").write_text(json.dumps({"folds": [1, 2], "rule": {}}))
    return root


def found_in(root: Path, rule: DetectRule = RULE, **others):
    return detect(root / "data/small", root / "models/small/checkpoints", rule, **others)


def test_every_tested_recording_has_its_events_within_its_sound(root: Path) -> None:
    found = found_in(root)
    split = read_split(root / f"data/small/splits/{SPLIT}.parquet")
    tested = {
        name
        for fold in (1, 2)
        for name, role in zip(split.recordings, split.roles[fold], strict=True)
        if role == "test"
    }
    assert set(found.events) == tested
    assert any(found.events.values())
    facts = read_table(root / "data/small/audio/facts.parquet", ["id", "duration_s"]).to_pylist()
    duration_s = {row["id"]: row["duration_s"] for row in facts}
    for name, events in found.events.items():
        for event in events:
            assert 0 <= event.onset_s < event.offset_s <= duration_s[name] + 1e-6
    assert found.thresholds == {fold: dict.fromkeys(found.classes, 0.34) for fold in (1, 2)}
    assert found_in(root, fold=2).events == {
        k: v for k, v in found.events.items() if k in found_in(root, fold=2).events
    }


def test_each_row_group_is_read_once_and_nothing_else_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups, real = [], FeatureShards.read
    monkeypatch.setattr(FeatureShards, "read", lambda self, group: groups.append(group) or real(self, group))
    found = found_in(root, fold=1)
    assert len(groups) == len(set(groups)) > 1
    assert [*found.events] != sorted(found.events, key=lambda name: found_order(root).index(name)), "stored otherwise"
    groups.clear()
    monkeypatch.setattr(module, "_READ", 1)
    one_by_one = found_in(root, fold=1)
    assert len(groups) > len(set(groups))
    assert list(one_by_one.events.items()) == list(found.events.items())


def found_order(root: Path) -> list[str]:
    """Return the recordings as their features are stored."""
    return [name.split("@")[0] for name in read_features(root / "data/small/logmel").ids]


def test_events_that_are_the_truth_score_one(root: Path) -> None:
    events = found_in(root).events
    scores = found_in(root, truth={name: own for name, own in events.items() if own} | {"elsewhere": []}).scores
    assert scores["segment"]["f1"] == scores["event"]["f1"] == 1.0
    missed = found_in(root, truth={name: [Event(0.0, 0.1, "bell")] for name in events}).scores
    assert missed["event"]["per_class"]["bell"]["num_true"] == len(events)
    assert missed["segment"]["f1"] < 1


def test_thresholds_are_tuned_on_validation_clips_whose_truth_is_known(root: Path) -> None:
    split = read_split(root / f"data/small/splits/{SPLIT}.parquet")
    truth = {name: [Event(0.1, 0.3, name.split("--")[0])] for name in split.recordings}
    found = found_in(root, DetectRule(), truth=truth)
    assert {value for fold in found.thresholds.values() for value in fold.values()} != {0.5}
    assert found_in(root, DetectRule()).thresholds[1] == dict.fromkeys(found.classes, 0.5), "nothing to tune on"
    tested = {name: truth[name] for name in found_in(root, fold=1).events}
    alone = found_in(root, DetectRule(), fold=1, truth=tested)
    assert alone.thresholds[1] == dict.fromkeys(found.classes, 0.5), "tested clips tune nothing"


@pytest.mark.parametrize(("pad", "first_s"), [("zeros", 0.0), ("centre", 0.25), ("wrap", 0.0)])
def test_frames_are_put_on_the_time_of_the_recording(monkeypatch: pytest.MonkeyPatch, pad: str, first_s: float) -> None:
    """Of windows of a second every half second the second one has half a second of sound; a frame is 0.1 s."""
    custom = {"pad": pad}
    cuts = {
        "a@0000": {"start": 2.0, "duration": 1.0, "custom": custom},
        "a@0001": {"start": 2.5, "duration": 1.0, "custom": custom},
        "a@0002": {"start": 3.0, "duration": 0.5, "custom": custom},
    }
    corpus = SimpleNamespace(
        ids=[*cuts], recordings=["a"] * 3, meta={"window_s": 1.0, "rate_hz": 1000}, values=lambda rows: rows
    )
    corpus.clips_K = np.arange(3)
    # What frames are given is their time in the recording; padding is given what would be noticed.
    scores_KNL = np.full((3, 10, 1), 99.0)
    for window, cut in enumerate(cuts.values()):
        num_frames = round(10 * cut["duration"])
        first = round(10 * first_s) if num_frames < 10 else 0
        scores_KNL[window, first : first + num_frames, 0] = cut["start"] + 0.1 * np.arange(num_frames)
    monkeypatch.setattr(module, "_frame_scores", lambda _classifier, _values: scores_KNL)
    ((name, found),) = module._tracks(corpus, None, np.arange(3), cuts)
    assert (name, found.start_s, found.frame_s) == ("a", 2.0, 0.1)
    np.testing.assert_allclose(found.scores_NL[:, 0], 2.0 + 0.1 * np.arange(15), rtol=1e-5)


def test_the_command_writes_supervisions_and_says_what_there_is(root: Path, tmp_path: Path) -> None:
    def run(out: str, *options: str) -> str:
        options = (*options, "--data", str(root / "data"), "--threshold", "0.34", "--out", str(tmp_path / out))
        result = CliRunner().invoke(cli.app, ["events", "small", *options], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    plain = run("one", "--median", "0", "--gap", "0", "--shortest", "0")
    events = found_in(root).events
    assert len(SupervisionSet.from_file(tmp_path / "one/events.jsonl.gz")) == sum(map(len, events.values()))
    assert read_events(tmp_path / "one/events.jsonl.gz").keys() == {name for name, own in events.items() if own}
    assert f"{sum(map(len, events.values())):,} events" in plain
    assert "F1" not in plain
    truth = str(tmp_path / "one/events.jsonl.gz")
    scored = run("two", "--median", "0", "--gap", "0", "--shortest", "0", "--truth", truth)
    num_known = sum(map(bool, events.values()))
    assert "F1 of segments of 1 s 1.000 (macro 1.000), of events 1.000 (macro 1.000)" in scored
    assert f"; {num_known} of them have true events" in " ".join(scored.split())
    assert (tmp_path / "two/events.jsonl.gz").read_bytes() == (tmp_path / "one/events.jsonl.gz").read_bytes()
    about = json.loads((tmp_path / "two/events.json").read_text())
    assert about["rule"] == {"threshold": 0.34, "median_s": 0.0, "max_gap_s": 0.0, "min_s": 0.0}
    assert about["event"]["f1"] == 1.0


def test_what_cannot_be_done_is_said_in_one_line(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"events: expected a trained fold of \[1, 2\], got 3; choose one of them"):
        found_in(root, fold=3)
    with pytest.raises(
        ModelError,
        match=r"expected true events of the \d+ tested clips, such as \S+, got those of 1 others, such as \S+; rec",
    ):
        found_in(root, truth={"elsewhere": [Event(0.0, 1.0, "bell")]})
    first = next(iter(found_in(root).events))
    with pytest.raises(ShapeError, match=rf"events of {first}: expected labels of the classes given, got cow; mend"):
        found_in(root, truth={first: [Event(0.0, 1.0, "cow")]})
    validated = next(iter(found_in(root, fold=2).events))
    with pytest.raises(
        ShapeError, match=rf"events of {validated}: expected labels of the classes given, got cow; mend"
    ):
        found_in(root, DetectRule(), fold=1, truth={validated: [Event(0.0, 1.0, "cow")]})
    shutil.copytree(root / "data/small", tmp_path / "small")
    with pytest.raises(ModelError, match=r"train\.json: expected the summary of a training, found none; run the train"):
        detect(tmp_path / "small", tmp_path, RULE)
    write_events(tmp_path / "events.jsonl.gz", {"a": []})
    assert read_events(tmp_path / "events.jsonl.gz") == {}
    (tmp_path / "bad.jsonl").write_text('{"recording_id": "a"}\n')
    with pytest.raises(ShardError, match=r"bad\.jsonl: expected lhotse supervisions with recording_id, start, dur"):
        read_events(tmp_path / "bad.jsonl")
