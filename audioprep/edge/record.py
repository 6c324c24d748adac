"""A rolling record of what a device heard: one JSON line for each file or window, for `audioprep monitor`.

A line has `time` (UTC), `source`, and where they are known `start_s` and `stop_s` (of a window), `status` (why there is no answer),
`labels`, `probability` (of the likeliest class), `top` (the likeliest classes), `rms_db`, `loudness_lufs` and
`true_peak_db` (of the sound as it came in, before any gain), and `bundle` (which one judged).
"""

import json
import math
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from audioprep.dsp.arrays import Wave
from audioprep.dsp.levels import rms_db
from audioprep.dsp.loudness import integrated_lufs, true_peak_db
from audioprep.errors import ModelError

DEFAULT_LOG_MB = 5.0
SILENT = "silent"
QUIET = "quiet"  # there is sound, but less of it than whoever listens wants to know of
FULL_SCALE_DB = 0.0  # a true peak above this was clipped, or nearly so
_NUM_TOP = 5
# To make the card write each line at once would cost it several blocks a line. So lines wait for one another, no longer than
# the system itself keeps what was written to a file: Linux, by default, half a minute.
_WAIT_S = 10.0
_NUMBERS = ("start_s", "stop_s", "probability", "rms_db", "loudness_lufs", "true_peak_db")
_MAX_LINE_BYTES = 65_536
_LINE_START = b'{"time":"'


class Record:
    """Writes a record; it is closed at the end of a `with`.

    Whole lines are added to the file, the last ones at the end, or after ten seconds with the next line. A power cut costs
    the lines of ten seconds, and of as long as the system keeps what was written (Linux: half a minute); it leaves at most
    half a line. At its largest size the file becomes `FILE.1`, in place of
    the one before, and a new one begins: of the past at least as much is kept as one file holds.
    """

    def __init__(self, path: Path | None, bundle_id: str, rate_hz: int, max_mb: float = DEFAULT_LOG_MB) -> None:
        """Begin a record, or go on with one.

        Args:
            path: The file; None keeps no record, and measures nothing.
            bundle_id: Which bundle judges, `Bundle.id`.
            rate_hz: Rate of the sound that it is given, Hz.
            max_mb: Largest size of the file, MB; as much again is kept in `FILE.1`.

        Raises:
            ModelError: The file is something else, which is not written to.
            OSError: The file cannot be written.
        """
        self._path, self._bundle_id, self._rate_hz = path, bundle_id, rate_hz
        self._max_bytes = max_mb * 1e6
        self._waiting: list[bytes] = []
        self._written_s = -_WAIT_S
        if path is not None:
            if earlier(path).exists():
                _check_log(earlier(path))
            _check_log(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.write()

    def add(
        self,
        source: object,
        wave_T: Wave | None = None,
        ranked: Sequence[tuple[str, float]] = (),
        labels: Sequence[str] = (),
        *,
        start_s: float | None = None,
        status: str | None = None,
    ) -> None:
        """Add what is known of one file or window.

        Args:
            source: Name of the file or the microphone.
            wave_T: The sound as it came in, before any gain: samples [T], mono; None if there is none.
            ranked: Classes with their probabilities, the likeliest first; none where nothing was judged.
            labels: What it was given.
            start_s: Where a window begins, s from the start of its source.
            status: Why nothing was judged, such as `decode_error`; sound without classes is `silent` if nothing is said.

        Raises:
            OSError: The file cannot be written.
        """
        if self._path is None:
            return
        line: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "source": str(source)}
        if start_s is not None:
            num_samples = 0 if wave_T is None else len(wave_T)
            line |= {"start_s": round(start_s, 3), "stop_s": round(start_s + num_samples / self._rate_hz, 3)}
        if ranked:
            line |= {"labels": list(labels), "probability": round(ranked[0][1], 4)}
            line["top"] = {label: round(probability, 3) for label, probability in ranked[:_NUM_TOP]}
        else:
            line["status"] = status or SILENT
        if wave_T is not None and len(wave_T):
            line |= _levels(wave_T, self._rate_hz)
        self._waiting.append(_text(line | {"bundle": self._bundle_id}))
        if time.monotonic() - self._written_s >= _WAIT_S:
            self.write()

    def write(self) -> None:
        """Write the lines that wait.

        Raises:
            OSError: The file cannot be written.
        """
        if self._path is None:
            return
        lines, self._waiting = self._waiting, []
        self._written_s = time.monotonic()
        while lines:
            # Opened each time: then a log that someone moves or removes begins anew.
            try:
                with self._path.open("ab") as file:
                    ends = list(accumulate(map(len, lines), initial=file.tell()))[1:]
                    num_fitting = bisect_right(ends, self._max_bytes) or int(file.tell() == 0)
                    file.write(b"".join(lines[:num_fitting]))
            except OSError as error:
                error.filename = str(self._path)  # a full disk has none
                raise
            lines = lines[num_fitting:]
            if lines:
                self._path.replace(earlier(self._path))


def earlier(path: Path) -> Path:
    """Return where the lines before those of a record are kept."""
    return path.with_name(f"{path.name}.1")


def read_record(path: Path) -> Iterator[dict[str, Any] | None]:
    """Return the lines of a record, one by one, the oldest first; None for one that a power cut has halved, or that is no line of a record.

    Args:
        path: The file; what is kept in `FILE.1` comes before it.

    Raises:
        ModelError: There is no such file.
    """
    if not path.is_file():
        raise ModelError(
            f"{path}: expected a log of predictions, found no file; write one: audioprep predict FILES --log {path.name}"
        )
    return _lines([part for part in (earlier(path), path) if part.is_file()])


def _lines(parts: Sequence[Path]) -> Iterator[dict[str, Any] | None]:
    for part in parts:
        with part.open("rb") as file:
            # Of a file without line ends no more than a line's worth is in memory.
            while data := file.readline(_MAX_LINE_BYTES):
                yield _parsed(data)


def last_bundle(path: Path) -> str | None:
    """Return which bundle wrote the last line of a record; None if there is no line."""
    for part in (path, earlier(path)):
        if part.is_file():
            with part.open("rb") as file:
                file.seek(max(0, part.stat().st_size - _MAX_LINE_BYTES))
                lines = [line for line in map(_parsed, file.read().splitlines()) if line is not None]
            if lines:
                return str(lines[-1]["bundle"])
    return None


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(data)
        datetime.fromisoformat(line["time"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return line if _is_whole(line) else None


def _is_whole(line: dict[str, Any]) -> bool:
    numbers, labels = (line.get(name) for name in _NUMBERS), line.get("labels", [])
    return (
        isinstance(line.get("bundle"), str)
        and all(number is None or (isinstance(number, int | float) and math.isfinite(number)) for number in numbers)
        and isinstance(labels, list)
        and all(isinstance(label, str) for label in labels)
    )


def _text(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _levels(wave_T: Wave, rate_hz: int) -> Mapping[str, float | None]:
    measured = {
        "rms_db": rms_db(wave_T),
        "loudness_lufs": integrated_lufs(wave_T, rate_hz),
        "true_peak_db": true_peak_db(wave_T),
    }
    return {name: None if value is None else round(value, 2) for name, value in measured.items()}


def _check_log(path: Path) -> None:
    """Make the file if there is none, and see to it that what is added starts a line of its own."""
    with path.open("a+b") as file:
        file.seek(0)
        start = file.read(len(_LINE_START))
        if start and not _LINE_START.startswith(start):
            raise ModelError(
                f"{path}: expected a log of predictions or a new file, got something else; name another file"
            )
        if start:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
