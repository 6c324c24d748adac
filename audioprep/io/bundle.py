"""The edge bundle: `bundle.json`, which says everything, and the networks that it names."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioprep.errors import ModelError

BUNDLE_NAME = "bundle.json"
FORMAT = 2
_KEYS = ("labels", "audio", "features", "networks", "decision")


@dataclass(frozen=True)
class Bundle:
    """A checked bundle.

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

    def network(self, precision: str) -> bytes:
        """Return the bytes of a network.

        Args:
            precision: `int8` or `fp32`.

        Raises:
            ModelError: The bundle has no such network, or the file is missing or altered.
        """
        networks = self.about["networks"]
        if precision not in networks:
            raise ModelError(
                f"{self.folder}: expected {' or '.join(sorted(networks))}, got '{precision}'; choose one of them"
            )
        path = self.folder / str(networks[precision]["file"])
        try:
            data = path.read_bytes()
        except OSError:
            raise ModelError(f"{path}: expected a network, found none; copy the whole bundle or export again") from None
        if hashlib.sha256(data).hexdigest() != networks[precision]["sha256"]:
            raise ModelError(f"{path}: expected the sha256 in {BUNDLE_NAME}, got another; copy the bundle again")
        return bytes(data)


def read_bundle(folder: Path) -> Bundle:
    """Return the bundle in a folder.

    Raises:
        ModelError: There is none, or it is of another format.
    """
    path = folder / BUNDLE_NAME
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ModelError(f"{folder}: expected a bundle with {BUNDLE_NAME}, found none; run the export stage") from None
    except ValueError:
        raise ModelError(f"{path}: expected JSON, got something else; run the export stage again") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT or any(key not in about for key in _KEYS):
        raise ModelError(f"{path}: expected a bundle of format {FORMAT}, got another; run the export stage again")
    return Bundle(folder, about)
