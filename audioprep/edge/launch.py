# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=1.26", "onnxruntime>=1.22,<1.25", "sounddevice>=0.5", "soundfile>=0.12"]
# ///
"""Classify sound with the bundle that this file lies in: python classify.py dog.wav

In a bundle this file is `classify.py`. It looks at what it is about to import, which would end in a traceback where Python is
old, a library is missing, or a module was damaged on the way; so it keeps to what any Python 3 has.
"""

import hashlib
import importlib
import json
import os
import signal
import sys
from pathlib import Path

_LIBRARIES = ("numpy", "onnxruntime", "soundfile")


def launch(folder: Path) -> None:
    """Run the command line with the bundle in a folder, or end with the one line that says why it cannot run."""
    sys.dont_write_bytecode = True  # a bundle that is used stays as it was exported
    # For numpy, when it is imported: products of this size gain nothing from threads, which mostly wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # onnxruntime 1.29 and later report to their maker what is run; the versions that the bundle asks for do not.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        problem = _problem_of_python() or _problem_of_code(folder)
        if problem:
            sys.exit(f"error: {problem}")
        from audioprep.edge.classify import main
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(128 + signal.SIGINT)
    main(sys.argv[1:], folder=folder)


def _problem_of_python() -> str:
    if sys.version_info < (3, 11):  # noqa: UP036 - the machine that a bundle is copied to may have any
        return f"python: expected 3.11 or newer, got {sys.version.split()[0]}; take a newer one, or run: uv run classify.py"
    for library in _LIBRARIES:
        try:
            importlib.import_module(library)
        except (ImportError, OSError) as error:
            return f"python: expected {library}, got: {error}; install it as README.md says, or run: uv run classify.py"
    return ""


def _problem_of_code(folder: Path) -> str:
    """Return what is wrong with the modules; whatever else a bundle holds is looked at by them."""
    try:
        files = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))["files"]
        hashes = {folder / name: expected for name, expected in files.items() if name.endswith(".py")}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""  # not in a bundle, or the modules say what is wrong with it
    for path, expected in hashes.items():
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            return f"{path}: expected a file of the bundle, got {error.strerror}; copy the whole bundle again"
        if found != expected:
            return f"{path}: expected sha256 {expected[:12]}… of bundle.json, got {found[:12]}…; copy the bundle again"
    return ""


if __name__ == "__main__":
    launch(Path(__file__).resolve().parent)
