import csv
import itertools
import json
import multiprocessing
import queue
import threading
import time
from pathlib import Path

import pytest
from model.corpora import QUICK, SMALL_MODEL, SPLIT

from audioprep.config.training import TrainRule
from audioprep.engine import file_sha256
from audioprep.errors import ModelError, SplitError
from audioprep.model import folds
from audioprep.model.checkpoints import load_checkpoint
from audioprep.model.folds import FoldJob, train_folds

ONE_EPOCH = QUICK.model_copy(update={"epochs": 1, "folds": (1,)})


def in_process(jobs: list[FoldJob]):
    """Train in this process: a worker would import torch for every test."""
    for job in jobs:
        folds._finished_epochs = queue.SimpleQueue()
        folds._train_one(job)
        while not folds._finished_epochs.empty():
            yield folds._finished_epochs.get()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds, "_run", in_process)


def test_every_wanted_fold_has_a_checkpoint_and_a_history(checkpoints: Path) -> None:
    assert sorted(path.name for path in checkpoints.iterdir()) == ["fold1.pt", "fold2.pt", "history.csv", "train.json"]
    summary = json.loads((checkpoints / "train.json").read_text())
    assert summary["folds"] == [1, 2]
    with (checkpoints / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["fold"], row["epoch"]) for row in rows[11:13]] == [("1", "12"), ("2", "1")]
    assert float(rows[-1]["valid_accuracy"]) <= 1.0
    meta = load_checkpoint(checkpoints / "fold2.pt").meta
    assert (meta["dataset"], meta["fold"], meta["labels"]) == ("toy", 2, ["bell", "drum", "siren"])


def test_progress_tells_the_numbers_of_a_fold() -> None:
    note = folds.EpochNotes()
    assert note({"fold": 1, "epoch": 1, "train_loss": 2.0}) == "fold 1 loss 2.00"
    assert note({"fold": 2, "epoch": 1, "train_loss": 1.0, "valid_accuracy": 0.5}) == "fold 2 loss 1.00, valid 50%"
    assert note({"fold": 1, "epoch": 2, "train_loss": 0.5, "valid_accuracy": 0.9}) == "fold 1 loss 0.50, valid 90%"
    assert note({"fold": 2, "epoch": 2, "train_loss": 0.3}) == "fold 2 loss 0.30, valid 50%"


def test_no_work_is_left_behind(checkpoints: Path) -> None:
    assert not list((checkpoints.parent / "work").iterdir())


def test_workers_and_this_process_train_the_same(toy: Path, checkpoints: Path, tmp_path: Path, quick: None) -> None:
    train_folds(toy, SPLIT, SMALL_MODEL, QUICK.model_copy(update={"folds": (2,)}), tmp_path / "w", tmp_path / "out")
    assert (tmp_path / "out/fold2.pt").read_bytes() == (checkpoints / "fold2.pt").read_bytes()


def test_no_output_depends_on_how_long_it_took(
    toy: Path, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    outs, log = [tmp_path / "first", tmp_path / "second"], tmp_path / "log/train.jsonl"
    for cost_s, out in enumerate(outs, start=1):
        clock = itertools.count(step=cost_s)
        monkeypatch.setattr("time.process_time", lambda clock=clock: float(next(clock)))
        train_folds(toy, SPLIT, SMALL_MODEL, ONE_EPOCH, tmp_path / "work", out, log)
    first, second = ({path.name: path.read_bytes() for path in out.iterdir()} for out in outs)
    assert first == second
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[1]["cpu_seconds"] == 2 * lines[0]["cpu_seconds"] > 0
    assert lines[1]["sha256"] == file_sha256(outs[1] / "fold1.pt")


def test_finished_folds_are_kept_for_the_next_run(
    toy: Path, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = []
    train_one = folds._train_one

    def fails_at_fold_2(job: FoldJob) -> None:
        trained.append(job.fold)
        if trained == [1, 2]:
            raise KeyboardInterrupt
        train_one(job)

    monkeypatch.setattr(folds, "_train_one", fails_at_fold_2)
    wanted = ONE_EPOCH.model_copy(update={"folds": (1, 2)})
    with pytest.raises(KeyboardInterrupt):
        train_folds(toy, SPLIT, SMALL_MODEL, wanted, tmp_path / "work", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert "goes on" not in capsys.readouterr().out
    train_folds(toy, SPLIT, SMALL_MODEL, wanted, tmp_path / "work", tmp_path / "out")
    assert trained == [1, 2, 2]
    assert "toy: goes on where an earlier run was ended; its epochs are counted first" in capsys.readouterr().out


def test_what_decides_the_weights_is_in_the_fingerprint(toy: Path, tmp_path: Path) -> None:
    def key(train: TrainRule = ONE_EPOCH, **model: object) -> str:
        return folds._fingerprint(toy, SPLIT, SMALL_MODEL.model_copy(update=model), train)

    (tmp_path / "init.pt").write_bytes(b"1")
    assert key() == key(ONE_EPOCH.model_copy(update={"folds": (3,)}))
    folder = tmp_path / "ast"
    folder.mkdir()
    (folder / "config.json").write_bytes(b"1")
    keys = {key(), key(QUICK), key(width=8), key(init_checkpoint=str(tmp_path / "init.pt"))}
    keys |= {key(init_checkpoint=str(folder))}
    (folder / "model.safetensors").write_bytes(b"1")
    keys |= {key(init_checkpoint=str(folder))}
    (folder / "README.md").write_bytes(b"1")
    keys |= {key(init_checkpoint=str(folder))}
    assert len(keys) == 6


def test_unknown_fold_is_refused(toy: Path, tmp_path: Path) -> None:
    wanted = QUICK.model_copy(update={"folds": (1, 9)})
    with pytest.raises(SplitError, match=r"train.folds: expected folds of \[1, 2, 3, 4, 5\], got 9; mend train.folds"):
        train_folds(toy, SPLIT, SMALL_MODEL, wanted, tmp_path / "w", tmp_path / "out")


def test_missing_initial_checkpoint_is_named(toy: Path, tmp_path: Path) -> None:
    model = SMALL_MODEL.model_copy(update={"init_checkpoint": str(tmp_path / "no.pth")})
    with pytest.raises(ModelError, match=r"init_checkpoint .*no.pth: expected a checkpoint, found none; check the"):
        train_folds(toy, SPLIT, model, ONE_EPOCH, tmp_path / "w", tmp_path / "out")


def test_a_failure_in_a_worker_reaches_the_user(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    model = SMALL_MODEL.model_copy(update={"arch": "cnn14"})
    with pytest.raises(
        ModelError, match=r"model.arch cnn14: expected at least 32 frames and bins, got 41 frames of 16"
    ):
        train_folds(toy, SPLIT, model, ONE_EPOCH, tmp_path / "w", tmp_path / "out")


def fails_beside_one_that_goes_on(job: FoldJob) -> None:
    """Fold 1 fails once fold 2 is at work, which has a minute to go and reports more than a pipe holds."""
    begun = job.work / "begun"
    job.work.mkdir(parents=True, exist_ok=True)
    if job.fold == 1:
        while not begun.exists():
            time.sleep(0.05)
        raise ModelError("fold 1: expected to be trained, got a failure; that is the test")
    for epoch in range(600):
        folds._report_epoch({"fold": job.fold, "epoch": epoch, "train_loss": 1.0, "more": "." * 2**20})
        begun.touch()
        time.sleep(0.1)
    (job.work / "ended").touch()


def test_a_failed_fold_ends_the_others(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOPREP_WORKERS", "2")
    monkeypatch.setattr(folds, "_train_one", fails_beside_one_that_goes_on)
    raised: list[Exception] = []

    def train() -> None:
        try:
            wanted = ONE_EPOCH.model_copy(update={"folds": (1, 2)})
            train_folds(toy, SPLIT, SMALL_MODEL, wanted, tmp_path / "work", tmp_path / "out")
        except ModelError as error:
            raised.append(error)

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    thread.join(timeout=180)
    hangs = thread.is_alive()
    for child in multiprocessing.active_children() if hangs else ():
        child.kill()
    assert not hangs
    assert [str(error) for error in raised] == ["fold 1: expected to be trained, got a failure; that is the test"]
    assert not list(tmp_path.glob("work/*/ended"))
