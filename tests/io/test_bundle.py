import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audioprep.errors import ModelError
from audioprep.io.bundle import hash_of, read_bundle


def write(folder: Path, **changes: Any) -> Path:
    np.savez(folder / "front.npz", window=np.ones(3))
    (folder / "model.int8.onnx").write_bytes(b"network")
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("front.npz", "model.int8.onnx")
    }
    about = {"format": 3, "labels": ["a", "b"], "audio": {}, "features": {}, "decision": {}, "files": files}
    about |= changes
    (folder / "bundle.json").write_text(json.dumps(about | {"sha256": hash_of(about)}))
    return folder


def test_a_whole_bundle_is_read(tmp_path: Path) -> None:
    bundle = read_bundle(write(tmp_path))
    bundle.check()
    assert bundle.labels == ["a", "b"]
    assert bundle.network("int8") == b"network"
    assert bundle.arrays()["window"].tolist() == [1.0, 1.0, 1.0]


def test_missing_bundles_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a bundle with bundle.json, found none; name a folder that"):
        read_bundle(tmp_path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text("{")
    with pytest.raises(ModelError, match=r"bundle.json: expected JSON, got something else"):
        read_bundle(tmp_path)
    with pytest.raises(ModelError, match=r"bundle.json: expected a bundle of format 3, got another"):
        read_bundle(write(tmp_path, format=1))


def test_missing_and_altered_files_are_named(tmp_path: Path) -> None:
    bundle = read_bundle(write(tmp_path))
    with pytest.raises(ModelError, match=r"expected fp32 or int8, got 'int4'; choose one of them"):
        bundle.network("int4")
    (tmp_path / "model.int8.onnx").write_bytes(b"altered")
    for use in (bundle.check, lambda: bundle.network("int8")):
        with pytest.raises(
            ModelError, match=r"model.int8.onnx: expected sha256 \w{12}… of bundle.json, got \w{12}…; copy"
        ):
            use()
    (tmp_path / "model.int8.onnx").unlink()
    with pytest.raises(
        ModelError,
        match=r"model.int8.onnx: expected a file of the bundle, got No such file or directory; copy the whole",
    ):
        bundle.check()


def test_bundle_json_itself_is_checked(tmp_path: Path) -> None:
    path = write(tmp_path) / "bundle.json"
    path.write_text(path.read_text().replace('"a"', '"c"'))
    with pytest.raises(
        ModelError, match=r"bundle.json: expected what was exported, got something else; copy the bundle"
    ):
        read_bundle(tmp_path)
