"""The edge bundle: `bundle.json`, which says everything, and the files that it names."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.errors import ModelError

BUNDLE_NAME, ARRAYS_NAME = "bundle.json", "front.npz"
NETWORK_NAMES = {"fp32": "model.fp32.onnx", "int8": "model.int8.onnx"}
WAVE_NAME = "model.wave.onnx"  # the int8 network with its front end, where it was asked for
FORMAT = 3
_KEYS = ("labels", "audio", "features", "files", "decision")


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are looked at when they are used.

    Attributes:
        folder: Where it lies.
        about: What `bundle.json` holds.
    """

    folder: Path
    about: dict[str, Any]

    @property
    def labels(self) -> list[str]:
        """Names of the classes, in the order of the network's output."""
        return list(self.about["labels"])

    @property
    def id(self) -> str:
        """What tells this bundle from others: a hash of all that it says, and with it of its files."""
        return hash_of(self.about)[:12]

    def network(self, precision: str) -> bytes:
        """Return the bytes of a network.

        Args:
            precision: `int8` or `fp32`.

        Raises:
            ModelError: The bundle has no such network, or the file is missing or altered.
        """
        if precision not in NETWORK_NAMES:
            raise ModelError(
                f"{self.folder}: expected {' or '.join(NETWORK_NAMES)}, got '{precision}'; choose one of them"
            )
        return self.file(NETWORK_NAMES[precision])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the matrices of the front end.

        Raises:
            ModelError: The file is missing or altered.
        """
        with np.load(io.BytesIO(self.file(ARRAYS_NAME)), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def file(self, name: str) -> bytes:
        """Return the bytes of a file, which are those that were exported.

        Raises:
            ModelError: The file is missing or altered.
        """
        path = self.folder / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelError(
                f"{path}: expected a file of the bundle, got {error.strerror}; copy the whole bundle again"
            ) from None
        expected, found = self.about["files"].get(name), hashlib.sha256(data).hexdigest()
        if found != expected:
            raise ModelError(
                f"{path}: expected sha256 {str(expected)[:12]}… of {BUNDLE_NAME}, got {found[:12]}…; copy the bundle again"
            )
        return data

    def check(self) -> None:
        """Compare every file with its hash.

        Raises:
            ModelError: A file is missing or altered; the first one is named.
        """
        for name in self.about["files"]:
            self.file(name)


def hash_of(about: dict[str, Any]) -> str:
    """Return a hash of all that `bundle.json` says, but for the hash itself."""
    said = {key: value for key, value in about.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_bundle(folder: Path) -> Bundle:
    """Return the bundle in a folder.

    Raises:
        ModelError: There is none, or it is of another format.
    """
    path = folder / BUNDLE_NAME
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ModelError(
            f"{folder}: expected a bundle with {BUNDLE_NAME}, found none; name a folder that the export stage wrote, or a "
            "whole copy of one"
        ) from None
    except ValueError:
        raise ModelError(f"{path}: expected JSON, got something else; copy the bundle again") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT or any(key not in about for key in _KEYS):
        raise ModelError(
            f"{path}: expected a bundle of format {FORMAT}, got another; use the classify.py that lies beside it, or export "
            "the model again"
        )
    if about.get("sha256") != hash_of(about):
        raise ModelError(f"{path}: expected what was exported, got something else; copy the bundle again")
    return Bundle(folder, about)
