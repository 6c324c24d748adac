"""Killed in the middle of a shard, a stage continues where it stopped, and its bytes equal an undisturbed run's."""

import subprocess
import sys
from pathlib import Path

import pytest
from steps.small_corpus import Run, tree

from audioprep.steps import features as features_step
from audioprep.steps import resample as resample_step

FUNCTIONS = {"resample": (resample_step, "make_audio_shard"), "features": (features_step, "make_feature_shard")}

# Runs one stage; in its third shard it writes half a file and kills itself, as the out-of-memory killer would.
CHILD = """
import importlib, os, signal, sys
from pathlib import Path
from steps.small_corpus import Run

root, out, stage, function = sys.argv[1:]
module = importlib.import_module(f"audioprep.steps.{stage}")
real, made = getattr(module, function), []

def killed(arguments, folder):
    made.append(1)
    if len(made) == 3:
        (folder / "half").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    return real(arguments, folder)

setattr(module, function, killed)
getattr(Run(Path(root), Path(out)), stage)()
"""


@pytest.mark.parametrize("stage", FUNCTIONS)
def test_a_killed_stage_continues(prepared, tmp_path, monkeypatch, stage):
    run = Run(prepared.root, tmp_path / "out")
    run.download()
    if stage == "features":
        run.resample()
        run.decide()
    module, function = FUNCTIONS[stage]
    arguments = [sys.executable, "-c", CHILD, str(run.root), str(run.out), stage, function]
    tests = Path(__file__).parents[1]
    child = subprocess.run(
        arguments, check=False, env={"PYTHONPATH": f"{tests}:{tests.parent}", "AUDIOPREP_WORKERS": "1"}
    )
    assert child.returncode == -9
    folder, work = {
        "resample": (run.layout.audio, run.layout.work / "resample"),
        "features": (run.layout.features("logmel"), run.layout.work / "logmel"),
    }[stage]
    assert not folder.exists(), "nothing half-written"
    assert len(list(work.glob("[!.]*/_shard.json"))) == 2

    real, made = getattr(module, function), []

    def count(arguments, out):
        made.append(arguments["shard"])
        return real(arguments, out)

    monkeypatch.setattr(module, function, count)
    getattr(run, stage)()
    assert made == [2, 3], "the first two shards are kept"
    assert tree(folder) == tree(prepared.out / folder.relative_to(run.out))
    assert not work.exists(), "the work folder has done its duty"


def test_a_kill_between_linking_and_the_index_loses_nothing(prepared, tmp_path, monkeypatch):
    run = Run(prepared.root, tmp_path / "out")
    run.download()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("audioprep.engine.index.write_index", killed)
        with pytest.raises(KeyboardInterrupt):
            run.resample()
    assert not (run.layout.audio / "_index.json").exists()
    monkeypatch.setattr(resample_step, "make_audio_shard", killed)
    run.resample()
    assert tree(run.layout.audio) == tree(prepared.layout.audio)
