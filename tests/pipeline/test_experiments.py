"""Experiments that are queued, run by DVC in a copy of the project, and compared."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

Run = Callable[..., str]
_PATIENCE_S = 540.0


def rows_of(table: object) -> list[dict]:
    """Return every experiment in the answer of `dvc exp show --json`, at whatever depth."""
    if isinstance(table, dict):
        own = [table] if "name" in table and "data" in table else []
        return own + [row for value in table.values() for row in rows_of(value)]
    return [row for value in table for row in rows_of(value)] if isinstance(table, list) else []


def wait_for(run: Run, name: str) -> None:
    end_s = time.monotonic() + _PATIENCE_S
    while not (status := run("dvc", "queue", "status")).count("Success"):
        assert "Failed" not in status, run("dvc", "queue", "logs", name)
        assert time.monotonic() < end_s, status
        time.sleep(2.0)


def test_a_queued_experiment_runs_the_code_of_its_time_and_is_compared(project: Path, run: Run) -> None:
    run("git", "checkout", "--", ".")
    short = ("-S", "train.epochs=1", "-S", "train.folds=[1]")
    run("dvc", "exp", "run", "--queue", "-n", "recurrent", "-S", "model.arch=crnn", *short)
    module = project / "audioprep" / "model" / "nets.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(text + "\nNEW = 'edited while the queue runs'\n", encoding="utf-8")
    try:
        run("dvc", "queue", "start")
        wait_for(run, "recurrent")
        assert "Running stage 'train@demo'" in run("dvc", "queue", "logs", "recurrent")
    finally:
        module.write_text(text, encoding="utf-8")
        run("dvc", "queue", "stop")
    (row,) = [row for row in rows_of(json.loads(run("dvc", "exp", "show", "--json"))) if row["name"] == "recurrent"]
    data = row["data"]
    assert data["params"]["params.yaml"]["data"]["model"]["arch"] == "crnn"
    assert 0.0 <= data["metrics"]["reports/demo/metrics.json"]["data"]["accuracy"] <= 1.0
    assert "recurrent" in run("dvc", "exp", "show", "--only-changed")
