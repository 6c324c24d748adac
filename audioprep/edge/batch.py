"""Many files: each is worked on, those that cannot be used are reported once at the end, and what was found becomes a table."""

import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audioprep.edge.record import Record
from audioprep.errors import AudioError, ConfigError, DatasetError
from audioprep.io.audio import DECODED_SUFFIXES

Write = Callable[[Sequence[object]], object]

_REMEDY = "give files that hold audio"


def for_each(paths: Iterable[Path], work: Callable[[Path], None], record: Record) -> None:
    """Do the work for every file, and for the audio files of folders in order.

    Args:
        paths: Files and folders.
        work: What is done with a file.
        record: Where files that cannot be used are noted.

    Raises:
        DatasetError: Some could not be used; the others were worked on. Of several there is a line each on stderr.
    """
    failures: list[str] = []
    num_files = 0
    for path in paths:
        for file in _files_of(path, failures):
            num_files += 1
            try:
                work(file)
            except AudioError as error:
                failures.append(str(error).removesuffix("."))
                record.add(file, status=error.status)
    if len(failures) == 1:
        raise DatasetError(f"{failures[0]}; {_REMEDY}")
    if failures:
        print("\n".join(failures), file=sys.stderr)
        raise DatasetError(f"files: expected audio, got {len(failures)} without, see above; {_REMEDY}")


def _files_of(path: Path, failures: list[str]) -> list[Path]:
    """Return a file as it is, and the audio files of a folder; what is wrong with a folder is added to the failures."""
    if not path.is_dir():
        return [path]
    num_before = len(failures)
    walk = os.walk(path, onerror=lambda error: failures.append(f"unreadable: {error.filename}: {error.strerror}"))
    files = [Path(folder, name) for folder, _, names in walk for name in names]
    found = sorted(file for file in files if file.suffix.lower() in DECODED_SUFFIXES and file.is_file())
    if not found and len(failures) == num_before:
        failures.append(f"empty: {path}: no audio files in the folder")
    return found


@contextmanager
def table(path: Path | None, columns: Sequence[str], inputs: Sequence[Path]) -> Iterator[Write]:
    """Yield what writes a row of a CSV file, which appears under its name when all files were looked at.

    Files that cannot be used do not make the others' rows worthless.

    Args:
        path: The table; None writes none.
        columns: Their names.
        inputs: What it must not take the place of.

    Raises:
        ConfigError: The table would take the place of a folder or of sound, its folder does not exist, or it cannot be written.
    """
    if path is None:
        yield lambda _: None
        return
    _check_place(path, inputs)
    # A pipe or a device is written to; a file appears when it is whole, where a link leads to.
    is_file = path.is_file() or not path.exists()
    target = path.resolve() if is_file else path
    part = target.with_name(f".{target.name}.part") if is_file else target
    num_rows = 0

    def write(row: Sequence[object]) -> None:
        nonlocal num_rows
        writer.writerow(row)
        num_rows += 1

    try:
        with part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:  # names keep their bytes
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            yield write
    except DatasetError:
        if is_file and num_rows:
            part.replace(target)
        raise
    except OSError as error:
        if error.filename in (None, str(part)):
            error.filename = str(path)
        raise
    else:
        if is_file:
            part.replace(target)
    finally:
        if is_file:
            part.unlink(missing_ok=True)


def _check_place(path: Path, inputs: Sequence[Path]) -> None:
    if path.is_dir() or not path.parent.is_dir() or path in inputs or path.suffix.lower() in DECODED_SUFFIXES:
        raise ConfigError(
            f"--csv: expected a file for a table in a folder that exists, and no sound, got {path}; name another, such as "
            "heard.csv"
        )
