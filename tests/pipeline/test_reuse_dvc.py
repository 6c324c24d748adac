"""In a DVC project, too, cost follows change: DVC deletes what a stage writes, and its cache gives most of it back."""

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from import_closure import ROOT
from pipeline.conftest import Run, runner, tracked_files

pytestmark = pytest.mark.slow

STAGES = ("features@birds-logmel", "features@birds-mfcc")
LOGS = ("resample", "logmel", "mfcc")
PARAMS = """\
datasets: [birds]
recipes:
  birds: {{recipe: folder, variant: , root: {root}, archive: , window_s: 0.5, split: grouped-2fold, num_shards: 4,
    loudness_mode: , exclude: , fit_on: }}
resample: {{}}
loudness: {{}}
window: {{hop_s: }}
trim: {{}}
denoise: {{}}
features: {{kinds: [logmel, mfcc], logmel: {{}}, mfcc: {{}}}}
split: {{}}
augment: {{copies: 0}}
model: {{features: logmel}}
train: {{preset: default}}
presets: {{default: {{}}}}
evaluate: {{}}
export: {{}}
"""


def origins(project):
    lines = {log: (project / ".audioprep" / "log" / "birds" / f"{log}.jsonl").read_text().splitlines() for log in LOGS}
    return {log: dict(Counter(json.loads(line)["origin"] for line in found)) for log, found in lines.items()}


def write_sound(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(number).uniform(-0.3, 0.3, 8000), 16000)


@pytest.mark.parametrize("cache", ["", "[cache]\n    dir = ../../elsewhere\n    type = hardlink\n"])
def test_shards_come_back_from_the_cache_of_dvc(tmp_path: Path, cache: str) -> None:
    project = tmp_path / "project"
    for name in tracked_files():
        if name.startswith(("audioprep/", "stages/", ".dvc/", ".dvcignore", "dvc.yaml", ".gitignore")):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, project / name)
    for number in range(16):
        write_sound(tmp_path / "corpus" / "ab"[number % 2] / f"{number}.wav", number)
    (project / "params.yaml").write_text(PARAMS.format(root=tmp_path / "corpus"))
    with (project / ".dvc" / "config").open("a") as config:
        config.write(cache)
    run = runner(project)
    run("git", "init", "-q")
    run("dvc", "repro", *STAGES)
    # One pass over the audio makes the shards of both kinds.
    assert origins(project) == {"resample": {"computed": 4}, "logmel": {"computed": 4}, "mfcc": {"beside": 4}}
    cached = cache_of(project)

    if not cache:
        a_remark_computes_nothing(project, run)

    write_sound(tmp_path / "corpus" / "a" / "new.wav", 99)
    run("dvc", "repro", "--force", "--single-item", "download@birds")
    output = run("dvc", "repro", *STAGES)
    assert origins(project) == {
        "resample": {"computed": 1, "cache": 3},
        "logmel": {"computed": 1, "cache": 3},
        "mfcc": {"beside": 1, "cache": 3},
    }
    assert "logmel birds: 4 shards: 1 computed, 3 taken from the earlier version" in output
    assert {name: digest for name, digest in cache_of(project).items() if name in cached} == cached, (
        "not written through"
    )
    if not cache:
        shards = [*(project / "data" / "birds").glob("*/part-*"), *(project / "data" / "birds").glob("audio/shar/*")]
        assert {path.stat().st_nlink for path in shards} == {1}, "what DVC copies is no link into its cache"


def a_remark_computes_nothing(project: Path, run: Run) -> None:
    module = project / "audioprep" / "dsp" / "mel.py"
    module.write_text(module.read_text(encoding="utf-8") + "\n# a remark\n", encoding="utf-8")
    lock = outs_in(project)
    run("dvc", "repro", *STAGES)
    assert origins(project) == {"resample": {"computed": 4}, "logmel": {"cache": 4}, "mfcc": {"cache": 4}}
    assert outs_in(project) == lock


def outs_in(project: Path) -> list[str]:
    lines = (project / "dvc.lock").read_text().splitlines()
    return [line for line in lines if ".dir" in line and "md5" in line]


def cache_of(project: Path) -> dict[str, str]:
    folder = project.parent / "elsewhere"
    files = ((folder if folder.is_dir() else project / ".dvc" / "cache") / "files").rglob("*")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}
