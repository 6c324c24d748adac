"""Archives from the network: whole and verified under their name, or not there at all."""

import sys
from pathlib import Path

import pooch
import requests

from audioprep.errors import FetchError


def fetch(url: str, path: Path, sha256: str | None) -> None:
    """Download a file.

    Args:
        url: Where it is published.
        path: Where it goes; a partial file never gets this name.
        sha256: The hash it must have; None where none is published.

    Raises:
        FetchError: It cannot be reached, or it is not what was published.
    """
    pooch.get_logger().setLevel("WARNING")  # the caller says what is downloaded
    try:
        pooch.retrieve(
            url,
            known_hash=None if sha256 is None else f"sha256:{sha256}",
            fname=path.name,
            path=path.parent,
            progressbar=sys.stderr.isatty(),
        )
    except (requests.RequestException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FetchError(
            f"{url}: expected the archive, got {type(error).__name__} ({reason}); try again, or download it by other "
            f"means and give it with --archive"
        ) from None
    except ValueError as error:
        reason = " ".join(str(error).split())[:300]
        raise FetchError(
            f"{url}: expected sha256 {sha256}, got other bytes ({reason}); the published file has changed or the "
            "download was cut short: try again, or give a good copy with --archive"
        ) from None
