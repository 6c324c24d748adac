"""Handing a prepared corpus on to those who live elsewhere: WebDataset, Hugging Face, lhotse Shar, NumPy.

Nothing of it needs this package, nor the library that it is written for.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from audioprep.engine import fresh_folder
from audioprep.errors import DatasetError, unknown_name
from audioprep.steps.export_shards.arrays import write_numpy
from audioprep.steps.export_shards.content import Content
from audioprep.steps.export_shards.huggingface import write_huggingface
from audioprep.steps.export_shards.lhotse_shar import write_lhotse_shar
from audioprep.steps.export_shards.webdataset import write_webdataset

FORMATS: dict[str, Callable[[Content, Path], None]] = {
    "webdataset": write_webdataset,
    "hf": write_huggingface,
    "lhotse-shar": write_lhotse_shar,
    "numpy": write_numpy,
}


def contents_wanted(target: str, kind: str | None, *, with_audio: bool) -> tuple[str | None, bool]:
    """Return which features, if any, and whether the sound: as asked for, or what users of a format expect.

    Args:
        target: The format.
        kind: The features asked for.
        with_audio: Whether the sound is asked for.
    """
    if kind is None and not with_audio:
        return "logmel", target == "lhotse-shar"
    return kind, with_audio


def check_target(target: str, out: Path) -> None:
    """Refuse a format that does not exist, and a folder that holds something.

    Raises:
        DatasetError: It is so.
    """
    if target not in FORMATS:
        raise DatasetError(unknown_name("--to", target, FORMATS))
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DatasetError(
            f"{out}: expected a new or an empty folder, got one that holds something; delete it, or give another --out"
        )
    if out.resolve() == Path.cwd():
        raise DatasetError(f"{out}: expected a folder that is made anew, got the current one; name another with --out")


def export_shards(content: Content, target: str, out: Path) -> None:
    """Write a corpus in another format. The folder is there when all of it is.

    Args:
        content: What is exported.
        target: One of `FORMATS`.
        out: The folder; it is new or empty.

    Raises:
        DatasetError: There is no such format, or the folder holds something.
        ShardError: A shard is damaged.
    """
    check_target(target, out)
    out = out.resolve()  # of a link, the folder that it stands for
    temporary = fresh_folder(out.with_name(f".{out.name}.part"))
    try:
        FORMATS[target](content, temporary)
        if out.exists():
            out.rmdir()
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
