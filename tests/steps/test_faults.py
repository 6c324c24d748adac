"""Under fault: one clear line, no wrong data, and a rerun that finishes with the same bytes."""

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from steps.small_corpus import Run, tree

from audioprep.engine import alone
from audioprep.errors import ShardError, one_line_errors
from audioprep.steps.card.page import card
from audioprep.steps.loudness import loudness
from audioprep.steps.trim import trim

TESTS = Path(__file__).parents[1]

# Runs one stage as its script does, with the lock and the one line.
CHILD = """
import sys
from pathlib import Path
from audioprep.engine import alone
from audioprep.errors import one_line_errors
from steps.small_corpus import Run

root, out, stage = sys.argv[1:]
if __name__ == "__main__":
    with one_line_errors():
        run = Run(Path(root), Path(out))
        with alone(run.layout.lock(stage)):
            getattr(run, stage)()
"""
# The same, and in shard 2 it waits for ever with half a file written.
WAITING = """
import time
from pathlib import Path
from audioprep.steps import features

real = features.make_feature_shard

def make_feature_shard(arguments, out):
    if arguments["shard"] == 2:
        Path(out, "half").write_text("half")
        Path(out).parents[2].joinpath("waiting").touch()
        time.sleep(600)
    return real(arguments, out)

features.make_feature_shard = make_feature_shard
"""


@pytest.fixture
def run(prepared, tmp_path):
    """Return the small corpus with all that comes before the stage that is to fail."""
    run = Run(prepared.root, tmp_path / "out")
    run.download()
    return run


def before(run, stage):
    if stage == "features":
        run.resample()
        run.decide()
    return {"resample": run.layout.audio, "features": run.layout.features("logmel")}[stage]


def start(run, stage, code=CHILD, workers=1, **options):
    script = run.out.parent / "child.py"
    script.write_text(code)
    env = {"PYTHONPATH": f"{TESTS}:{TESTS.parent}", "AUDIOPREP_WORKERS": str(workers), "PATH": os.environ["PATH"]}
    env["PYTHONDONTWRITEBYTECODE"] = "1"  # a child that may not write much would leave half a file of bytecode
    command = [sys.executable, str(script), str(run.root), str(run.out), stage]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)


def last_words(child):
    """Return what the child says at its end; how far it has come is said on a busy machine only."""
    lines = child.communicate(timeout=120)[1].splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(("logmel small: ", "resample small: ")))


def finishes(run, stage, prepared):
    getattr(run, stage)()
    for folder in (run.layout.audio, run.layout.features("logmel")):
        if folder.exists():
            assert tree(folder) == tree(prepared.out / folder.relative_to(run.out))


@pytest.mark.parametrize(("stage", "workers"), [("resample", 1), ("features", 2)])
def test_a_full_disk(run, prepared, stage, workers):
    folder = before(run, stage)
    child = start(
        run,
        stage,
        workers=workers,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),  # no file grows past that
    )
    err = last_words(child)
    assert child.returncode == 1
    assert err.count("\n") == 1
    assert err.startswith("error: shard ")
    assert "File too large; check free space, path and permissions, then run again: finished shards are kept\n" in err
    assert not folder.exists()
    finishes(run, stage, prepared)


def _obey_permissions():
    """Give up the right of root to write where permissions say no."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP, which takes effect when the child's program starts


def test_an_output_folder_that_cannot_be_written(run, prepared):
    before(run, "features")
    run.layout.log.mkdir(parents=True, exist_ok=True)
    run.layout.data.chmod(0o555)
    try:
        child = start(run, "features", preexec_fn=_obey_permissions)
        err = last_words(child)
    finally:
        run.layout.data.chmod(0o755)
    assert child.returncode == 1, err
    assert err == (
        f"error: {run.layout.features('logmel')}: expected to read or write it, got Permission denied; "
        "check path, permissions and free space\n"
    )
    finishes(run, "features", prepared)


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_audio_shard_becomes_no_features(run, prepared, damage):
    before(run, "features")
    tar = run.layout.shar / "recording.000002.tar"
    data = bytearray(tar.read_bytes())
    data[len(data) // 2] ^= 4
    tar.unlink()
    if damage != "gone":
        tar.write_bytes(data if damage == "flipped" else data[:-600])
    message = (
        r"recording\.000002\.tar: expected sha256 [0-9a-f]{16}, which its index lists, got .+; make it anew: "
        r"audioprep verify \S+/audio --repair$"
    )
    with pytest.raises(ShardError, match=message):
        run.features()
    assert not run.layout.features("logmel").exists()
    tar.unlink(missing_ok=True)
    run.resample()
    origins = [json.loads(line)["origin"] for line in (run.layout.log / "resample.jsonl").read_text().splitlines()]
    assert sorted(origins) == ["cache", "cache", "cache", "computed"]
    finishes(run, "features", prepared)


DECISIONS = {
    "loudness": lambda run: loudness(run.layout, run.params.loudness),
    "trim": lambda run: trim(run.layout, run.params.trim, run.recipe_rule.window_s),
    "split": Run.split,
    "card": lambda run: card(run.layout),
}


@pytest.mark.parametrize(
    ("table", "readers"),
    [
        ("audio/facts.parquet", ("loudness", "trim", "split", "card")),
        ("audio/status.parquet", ("trim", "split", "card")),
        ("audio/fingerprints.parquet", ("split",)),
        ("cuts/_used.parquet", ("split", "card")),
    ],
)
def test_a_damaged_table_decides_nothing(prepared, tmp_path, table, readers):
    run = Run(prepared.root, tmp_path / "out")
    shutil.copytree(prepared.out, run.out)
    path = run.out / table
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    before = tree(run.out)
    message = (
        rf"^{path}: expected sha256 \w{{16}}, which its index lists, got \w{{64}}; make it anew: audioprep verify "
    )
    for reader in readers:
        with pytest.raises(ShardError, match=message):
            DECISIONS[reader](run)
    assert tree(run.out) == before


def test_two_runs_at_once(run, prepared):
    with alone(run.layout.lock("resample")):
        err = last_words(child := start(run, "resample"))
    assert child.returncode == 1
    lock = run.layout.work / "resample.lock"
    assert err.startswith(f"error: {lock}: expected no other run, got process {os.getpid()} on ")
    assert err.endswith(" at work; wait until it has ended\n")
    finishes(run, "resample", prepared)
    with alone(run.layout.lock("resample")):
        pass  # whoever held it has ended, however


STOPPED = "stopped; what is finished is kept, run the same command again to go on\n"


@pytest.mark.parametrize(
    ("number", "workers", "status", "line"),
    [
        (signal.SIGTERM, 1, 143, STOPPED),
        (signal.SIGTERM, 2, 143, STOPPED),
        (signal.SIGINT, 2, 130, STOPPED),
        (signal.SIGKILL, 2, -9, ""),
    ],
)
def test_a_signal_ends_it_at_once_with_its_workers(run, prepared, number, workers, status, line):
    folder = before(run, "features")
    child = start(run, "features", WAITING + CHILD, workers)
    while not (run.layout.work.parent / "waiting").exists():
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.05)
    child.send_signal(number)
    err = last_words(child)  # which come when all that hold the pipe have ended
    assert (child.returncode, err) == (status, line)
    assert not folder.exists()
    finishes(run, "features", prepared)
    origins = [json.loads(line)["origin"] for line in (run.layout.log / "logmel.jsonl").read_text().splitlines()]
    assert origins.count("resumed") >= 1
    assert not (run.layout.work / folder.name).exists()


def test_nohup_stays_in_force(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    term = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a cluster of another test may have left its own
    try:
        with one_line_errors():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGTERM, term)
