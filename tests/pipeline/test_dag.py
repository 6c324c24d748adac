"""What runs again, and what does not."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

Run = Callable[..., str]
DATA = {"download", "resample", "loudness", "trim", "features", "augment", "split"}


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


def test_the_pipeline_ends_in_a_report_and_an_int8_model(project: Path) -> None:
    assert (project / "reports" / "demo" / "report.html").stat().st_size > 10_000
    assert (project / "reports" / "demo" / "metrics.json").is_file()
    assert (project / "models" / "demo" / "bundle" / "model.int8.onnx").is_file()


def test_a_second_repro_runs_nothing(run: Run) -> None:
    assert stages_run(run("dvc", "repro")) == set()


def test_a_comment_in_the_model_invalidates_no_data_stage(project: Path, run: Run) -> None:
    module = project / "audioprep" / "model" / "nets.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(text + "\n# a remark\n", encoding="utf-8")
    changed = run("dvc", "status")
    module.write_text(text, encoding="utf-8")
    assert "train@demo" in changed
    assert not [stage for stage in DATA if f"{stage}@" in changed]


def test_a_comment_in_a_kernel_leaves_its_outputs_as_they_are(project: Path, run: Run) -> None:
    module = project / "audioprep" / "dsp" / "mel.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(text + "\n# a remark\n", encoding="utf-8")
    output = run("dvc", "repro")
    module.write_text(text, encoding="utf-8")
    data_stages = {"features@demo-logmel", "features@demo-mfcc", "augment@demo"}
    assert stages_run(output) == data_stages | edge_stages(output)
    assert stages_run(run("dvc", "repro")) == set()  # DVC's run cache knows this state


def edge_stages(output: str) -> set[str]:
    """Stages of the training side that import the kernels: for the edge, and for clips with noise. Training is none of them."""
    return {stage for stage in stages_run(output) if stage.split("@")[0] in ("evaluate", "export")}


@pytest.mark.parametrize(
    ("change", "expected"),
    [  # values that no other test of this copy takes: DVC remembers what it has run
        ("features.mfcc.n_mfcc=21", {"features@demo-mfcc"}),
        (
            "loudness.target_lufs=-21",
            {"loudness@demo", "trim@demo", "features@demo-logmel", "features@demo-mfcc"},
        ),
    ],
)
def test_a_data_parameter_reruns_only_what_reads_it(run: Run, change: str, expected: set[str]) -> None:
    output = run("dvc", "exp", "run", "-S", change, "features@demo-logmel", "features@demo-mfcc", "split@demo")
    data_stages = {stage for stage in stages_run(output) if stage.split("@")[0] in DATA}
    run("git", "checkout", "--", ".")
    run("dvc", "checkout")
    assert data_stages == expected


def test_another_network_reruns_the_training_side_only(run: Run) -> None:
    output = run("dvc", "exp", "run", "-S", "model.width=8", "-S", "train.epochs=1", "-S", "train.folds=[1]")
    run("git", "checkout", "--", ".")
    run("dvc", "checkout")
    assert stages_run(output) == {"train@demo", "evaluate@demo", "export@demo"}


def test_an_unknown_split_is_one_line(project: Path, run: Run) -> None:
    params = project / "params.yaml"
    wrong = params.read_text(encoding="utf-8").replace("split: official-5fold", "split: oficial-5fold", 1)
    params.write_text(wrong, encoding="utf-8")
    output = run("dvc", "repro", "split@demo", fails=True)
    run("git", "checkout", "--", ".")
    run("dvc", "checkout")
    assert (
        "error: split: expected one of grouped, grouped-5fold, official-5fold, got 'oficial-5fold'; did you mean"
        in output
    )
    assert "Traceback" not in output
