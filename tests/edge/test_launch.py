"""The file that a bundle is started by: on any Python it ends with an answer or with one line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from bundles import tone, write_bundle

from audioprep.edge import launch
from audioprep.edge.launch import _problem_of_python

ROOT = Path(launch.__file__).parents[2]

NUM_THREADS = """
import runpy, sys, threadpoolctl
try:
    runpy.run_path(sys.argv[1], run_name=sys.argv.pop())
except SystemExit:
    pass
import numpy
pools = [pool for pool in threadpoolctl.threadpool_info() if pool["internal_api"] == "openblas"]
print(max((pool["num_threads"] for pool in pools), default=1))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("launch") / "bundle", with_code=True)


def run(bundle: Path, *arguments: str | Path, python: str = sys.executable) -> tuple[int, str, str]:
    done = subprocess.run(
        [python, "-I", bundle / "classify.py", *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_a_bundle_classifies(bundle: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(300.0, 0.4), 44100)
    status, out, err = run(bundle, tmp_path / "a.wav")
    assert (status, err) == (0, "")
    assert out.startswith(f"{tmp_path}/a.wav: low ")


@pytest.mark.parametrize("name", ["audioprep/edge/classify.py", "audioprep/errors.py"])
@pytest.mark.parametrize("data", [b"def (", b"", None])
def test_code_that_is_not_what_was_exported_is_named(
    bundle: Path, tmp_path: Path, name: str, data: bytes | None
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    if data is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(data)
    status, out, err = run(copy, "x.wav")
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    found = "got No such file or directory; copy the whole" if data is None else "…; copy the"
    assert err.startswith(f"error: {copy}/{name}: expected ")
    assert err.endswith(f"{found} bundle again\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "copy: expected a bundle with bundle.json, found none; name a folder that the export stage wrote"),
        ("{", "copy/bundle.json: expected JSON, got something else; copy the bundle again"),
        ("[]", "copy/bundle.json: expected a bundle of format 3, got another; use the classify.py that lies beside it"),
    ],
)
def test_a_bundle_that_does_not_say_what_it_is(bundle: Path, tmp_path: Path, text: str | None, message: str) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    if text is None:
        (copy / "bundle.json").unlink()
    else:
        (copy / "bundle.json").write_text(text)
    status, _, err = run(copy, "x.wav")
    assert status == 1
    assert err.startswith(f"error: {tmp_path}/{message}")
    assert len(err.splitlines()) == 1


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(sys, "version", "3.9.2 (default)")
    assert _problem_of_python() == (
        "python: expected 3.11 or newer, got 3.9.2; take a newer one, or run: uv run classify.py"
    )


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    problem = _problem_of_python()
    assert problem.startswith("python: expected onnxruntime, got: ")
    assert problem.endswith("; install it as README.md says, or run: uv run classify.py")


def test_the_device_has_the_onnxruntime_that_the_bundle_was_tried_with() -> None:
    (wanted,) = re.findall(r'"(onnxruntime[^"*]+)"', (ROOT / "pyproject.toml").read_text())
    for name in ("audioprep/edge/launch.py", "audioprep/model/bundle/README.md.j2"):
        assert wanted in (ROOT / name).read_text(), name


def num_threads(run_as: str, **wanted: str) -> str:
    command = [sys.executable, "-c", NUM_THREADS, str(launch.__file__), "--help", run_as]
    env = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")} | wanted
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.splitlines()[-1]


def test_the_script_has_one_thread() -> None:
    assert num_threads("__main__") == "1"


def test_the_user_may_want_more() -> None:
    two = {"OPENBLAS_NUM_THREADS": "2"}
    assert num_threads("__main__", **two) == num_threads("a_module", **two)


def test_the_module_changes_nothing() -> None:
    assert num_threads("a_module") == num_threads("a_module", OPENBLAS_NUM_THREADS=str(os.cpu_count()))
