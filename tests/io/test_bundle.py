import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from audioprep.errors import ModelError
from audioprep.io.bundle import read_bundle


def write(folder: Path, **changes: Any) -> Path:
    (folder / "model.onnx").write_bytes(b"network")
    sha256 = hashlib.sha256(b"network").hexdigest()
    about = {"format": 2, "labels": ["a", "b"], "audio": {}, "features": {}, "decision": {}}
    about |= {"networks": {"int8": {"file": "model.onnx", "sha256": sha256}}, **changes}
    (folder / "bundle.json").write_text(json.dumps(about))
    return folder


def test_a_whole_bundle_is_read(tmp_path: Path) -> None:
    bundle = read_bundle(write(tmp_path))
    assert bundle.labels == ["a", "b"]
    assert bundle.network("int8") == b"network"


def test_missing_bundles_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a bundle with bundle.json, found none; run the export stage"):
        read_bundle(tmp_path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text("{")
    with pytest.raises(ModelError, match=r"bundle.json: expected JSON, got something else"):
        read_bundle(tmp_path)
    with pytest.raises(ModelError, match=r"bundle.json: expected a bundle of format 2, got another"):
        read_bundle(write(tmp_path, format=1))


def test_missing_and_altered_networks_are_refused(tmp_path: Path) -> None:
    bundle = read_bundle(write(tmp_path))
    with pytest.raises(ModelError, match=r"expected int8, got 'fp32'; choose one of them"):
        bundle.network("fp32")
    (tmp_path / "model.onnx").write_bytes(b"altered")
    with pytest.raises(ModelError, match=r"model.onnx: expected the sha256 in bundle.json, got another; copy"):
        bundle.network("int8")
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model.onnx: expected a network, found none; copy the whole bundle"):
        bundle.network("int8")
