"""Stage train: every fold in a process of its own with one thread, so that the number of cores changes no weight.

Reads    data/<ds>/<kind>/, data/<ds>/augmented/<kind>/ (where there is one), data/<ds>/splits/
Writes   models/<ds>/checkpoints/fold<k>.pt, history.csv, train.json
Logs     .audioprep/log/<ds>/train.jsonl: what each fold cost; two runs differ in it, so it is no output

This module does not import torch: the parent only waits, and an import costs seconds.
"""

import csv
import json
import multiprocessing
import os
import queue
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from audioprep.config.training import ModelRule, TrainRule
from audioprep.console import counted, say, track
from audioprep.engine import file_sha256, fingerprint, fresh_folder, num_workers
from audioprep.errors import ModelError, SplitError
from audioprep.io.parquet import read_split

HISTORY_COLUMNS = ("fold", "epoch", "lr", "train_loss", "valid_loss", "valid_accuracy")
# A change in any of these may change the weights.
_CODE = (
    "ast_front_end",
    "augment",
    "batches",
    "checkpoints",
    "corpus",
    "loop",
    "losses",
    "nets",
    "panns_front_end",
    "pools",
)
_POLL_S = 0.2


@dataclass(frozen=True)
class FoldJob:
    """What a worker needs to train one fold."""

    data: Path
    split: str
    model: ModelRule
    train: TrainRule
    fold: int
    work: Path

    @property
    def done(self) -> Path:
        """The finished checkpoint, where it waits for the other folds."""
        return self.work / f"fold{self.fold}.pt"

    @property
    def record(self) -> Path:
        """History and cost of the finished fold; written after the checkpoint."""
        return self.work / f"fold{self.fold}.json"

    @property
    def state(self) -> Path:
        """State in which a killed training goes on."""
        return self.work / f"fold{self.fold}.state.pt"


def train_folds(
    data: Path, split: str, model: ModelRule, train: TrainRule, work: Path, out: Path, log: Path | None = None
) -> dict[str, Any]:
    """Train every wanted fold of one corpus and write the checkpoints.

    Args:
        data: The corpus's folder, `data/<ds>`.
        split: Name of its split.
        model: The network.
        train: The schedule.
        work: Folder that survives a kill; finished folds wait there for the others.
        out: Folder of the checkpoints.
        log: File to which the cost of each fold is added; None: it is told and forgotten.

    Returns:
        What `train.json` holds.

    Raises:
        SplitError: A wanted fold does not exist.
        ModelError: A fold could not be trained.
        ShardError: Features or split are missing or damaged.
    """
    roles = read_split(data / "splits" / f"{split}.parquet").roles
    folds = list(train.folds or sorted(roles))
    for fold in folds:
        if fold not in roles:
            raise SplitError(f"train.folds: expected folds of {sorted(roles)}, got {fold}; mend train.folds")
    work = work / _fingerprint(data, split, model, train)[:32]
    jobs = [FoldJob(data, split, model, train, fold, work) for fold in folds]
    todo = [job for job in jobs if not job.record.exists()]
    if any(path.exists() for job in jobs for path in (job.record, job.state)):
        say(f"{data.name}: goes on where an earlier run was ended; its epochs are counted first")
    epochs = chain(_finished(jobs), _run(todo))
    label, total = f"train {data.name} ({counted(len(jobs), 'fold')})", len(jobs) * train.epochs
    for _ in track(epochs, label, total, "epoch", EpochNotes()):
        pass
    records = [_result(job) for job in jobs]
    fresh_folder(out)
    for job in jobs:
        shutil.copyfile(job.done, out / job.done.name)
    summary = _write_summary(out, folds, train, records)
    costs = {out / job.done.name: record["cpu_seconds"] for job, record in zip(jobs, records, strict=True)}
    if log is not None:
        _log_costs(log, costs)
    shutil.rmtree(work)
    say(f"{data.name}: {counted(len(folds), 'fold')} trained in {sum(costs.values()):.0f} CPU seconds")
    return summary


def _log_costs(log: Path, cpu_seconds: Mapping[Path, float]) -> None:
    """Add what each checkpoint cost to the log, with its hash: which weights a line tells of can be seen later."""
    log.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"checkpoint": path.name, "sha256": file_sha256(path), "cpu_seconds": cost}
        for path, cost in cpu_seconds.items()
    ]
    with log.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _fingerprint(data: Path, split: str, model: ModelRule, train: TrainRule) -> str:
    """Return the hash of everything that decides the weights of a fold; which folds are wanted does not."""
    folder = Path(__file__).parent
    inputs = [data / model.features / "_index.json", data / "splits" / f"{split}.parquet"]
    if (copied := data / "augmented" / model.features / "_index.json").is_file():
        inputs.append(copied)
    inputs += [folder / f"{name}.py" for name in _CODE] + sorted(folder.glob("archs/*.py"))
    if model.init_checkpoint is not None:
        inputs += _files_of(Path(model.init_checkpoint))
    try:
        hashes = [file_sha256(path) for path in inputs]
    except OSError as error:
        raise ModelError(f"{error.filename}: expected a file, found none; run the stage that makes it") from None
    rules = [model.model_dump(mode="json"), train.model_dump(mode="json", exclude={"folds"})]
    return fingerprint(hashes, rules, version("torch"))


def _files_of(checkpoint: Path) -> list[Path]:
    """Return the files of a checkpoint: itself, or config and weights in a folder."""
    if not checkpoint.exists() and checkpoint.resolve().parent.name == "checkpoints":
        raise ModelError(
            f"model.init_checkpoint {checkpoint}: expected a checkpoint, found none; DVC empties the folder that is trained "
            "into: `dvc checkout`, and copy it elsewhere first"
        )
    if not checkpoint.exists():
        raise ModelError(
            f"model.init_checkpoint {checkpoint}: expected a checkpoint, found none; check the path, and give the whole one "
            "to a queued experiment"
        )
    if not checkpoint.is_dir():
        return [checkpoint]
    return [path for path in sorted(checkpoint.iterdir()) if path.suffix in (".json", ".safetensors")]


class EpochNotes:
    """What the line of progress says after each epoch: the numbers of that fold, the last that it has of each."""

    def __init__(self) -> None:
        self._valid: dict[int, float] = {}

    def __call__(self, row: Mapping[str, Any]) -> str:
        """Return the line, given one more row of a fold's history."""
        fold = row["fold"]
        if "valid_accuracy" in row:
            self._valid[fold] = row["valid_accuracy"]
        valid = f", valid {self._valid[fold]:.0%}" if fold in self._valid else ""
        return f"fold {fold} loss {row['train_loss']:.2f}{valid}"


def _finished(jobs: Sequence[FoldJob]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the history of folds that an earlier, killed run has finished."""
    for job in jobs:
        if job.record.exists():
            yield from _result(job)["history"]


def _result(job: FoldJob) -> dict[str, Any]:
    """Return history and cost of a finished fold."""
    return dict(json.loads(job.record.read_text(encoding="utf-8")))


def _run(jobs: Sequence[FoldJob]) -> Iterator[dict[str, Any]]:
    """Train folds side by side, and yield the row of the history after each epoch of any of them."""
    if not jobs:
        return
    context = multiprocessing.get_context("spawn")
    finished_epochs, stopped = context.Queue(), context.Event()
    workers = min(num_workers(), len(jobs))
    with ProcessPoolExecutor(workers, context, _start_worker, (finished_epochs, stopped)) as pool:
        futures = [pool.submit(_train_one, job) for job in jobs]
        try:
            while not all(future.done() for future in futures):
                _raise_failures(futures)
                try:
                    row = finished_epochs.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                yield row
            _raise_failures(futures)
        finally:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _raise_failures(futures: Sequence[Future[None]]) -> None:
    for future in futures:
        if not future.done():
            continue
        try:
            future.result()
        except BrokenProcessPool:
            raise ModelError(
                "train: expected every fold to finish, but a worker died (out of memory?); what is trained is kept, "
                "run again, with AUDIOPREP_WORKERS=1 if it recurs"
            ) from None


_finished_epochs: Any = None
_stopped: Any = None


def _start_worker(finished_epochs: Any, stopped: Any) -> None:
    """Give a worker its one thread, the queue on which it reports epochs, and the event that ends it before its time."""
    global _finished_epochs, _stopped
    _finished_epochs, _stopped = finished_epochs, stopped
    # After a failure nobody reads the queue: a worker that waited until its rows are read would never end.
    finished_epochs.cancel_join_thread()
    import torch

    torch.set_num_threads(1)


def _report_epoch(row: dict[str, Any]) -> None:
    """Report one epoch by its row of the history.

    Ends with the parent, so that a killed run leaves no worker behind, and once another fold has failed, so that its error
    is seen at once. Its training goes on from its state the next time.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and (not parent.is_alive() or _stopped.is_set()):
        os._exit(1)
    _finished_epochs.put(row)


def _train_one(job: FoldJob) -> None:
    """Train one fold in a worker and leave checkpoint and record, the record last."""
    from audioprep.model.checkpoints import save_checkpoint
    from audioprep.model.corpus import load_corpus
    from audioprep.model.loop import train_fold

    corpus = load_corpus(job.data, job.model.features, job.split, with_copies=True)
    result = train_fold(corpus, job.model, job.train, job.fold, job.state, _report_epoch)
    meta = {
        "dataset": job.data.name,
        "split": job.split,
        "fold": job.fold,
        "labels": corpus.classes,
        "features": corpus.meta,
        "fit_on": list(job.train.fit_on),
        **({"augment": corpus.copies.rule} if corpus.copies.num else {}),
    }
    save_checkpoint(job.done, result.classifier, job.model, result.shapes, meta)
    record = {
        "fold": job.fold,
        "num_clips": result.num_clips,
        "cpu_seconds": round(result.cpu_seconds, 2),
        "precision": result.precision,
        "num_parameters": sum(weight.numel() for weight in result.classifier.trunk.parameters()),
        "history": result.history,
    }
    temporary = job.record.with_suffix(".tmp")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    temporary.replace(job.record)
    job.state.unlink(missing_ok=True)


def _write_summary(
    out: Path, folds: Sequence[int], train: TrainRule, records: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    with (out / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HISTORY_COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for record in records:
            writer.writerows(record["history"])
    summary = {
        "folds": list(folds),
        "torch": version("torch"),
        "rule": train.model_dump(mode="json", exclude={"folds"}),
        "per_fold": [
            {key: value for key, value in record.items() if key not in {"history", "cpu_seconds"}} for record in records
        ],
    }
    (out / "train.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary
