"""Sound events as lhotse's supervisions: who sounds from when to when."""

import gzip
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from audioprep.errors import ShardError, reason_of

# Of times: nearer than a sample of any audio, and free of the noise of floating point.
_DIGITS = 6


class Event(NamedTuple):
    """One sound.

    Attributes:
        onset_s: Where it begins, in seconds from the start of the clip.
        offset_s: Where it ends.
        label: What it is.
    """

    onset_s: float
    offset_s: float
    label: str


def write_events(path: Path, events: Mapping[str, Sequence[Event]]) -> None:
    """Write a lhotse SupervisionSet, `*.jsonl.gz`, with the same bytes for the same events.

    `lhotse.SupervisionSet.from_file` reads it; `custom` holds the labels, as in the cuts of a corpus. The set is plain JSON lines, so lhotse itself, which
    takes seconds to import and notes the time in its gzip files, is not needed to write it.

    Args:
        path: The file.
        events: Of each clip, by its id, which is the id of the recording.
    """
    with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        for clip in sorted(events):
            for number, event in enumerate(sorted(events[clip])):
                row = {
                    "id": f"{clip}-{number}",
                    "recording_id": clip,
                    "start": round(event.onset_s, _DIGITS),
                    "duration": round(event.offset_s - event.onset_s, _DIGITS),
                    "channel": 0,
                    "custom": {"labels": [event.label]},
                }
                file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def read_events(path: Path) -> dict[str, list[Event]]:
    """Read a lhotse SupervisionSet, JSON lines or such lines in gzip.

    Args:
        path: The file. `custom["labels"]` of each line are its labels, or else `text` is its label.

    Returns:
        Of each recording that has some its events, by onset; a line with several labels is as many events.

    Raises:
        ShardError: It is missing, or is no such set.
    """
    events: dict[str, list[Event]] = defaultdict(list)
    try:
        data = path.read_bytes()
        text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        for row in map(json.loads, text.splitlines()):
            start_s, end_s = float(row["start"]), float(row["start"]) + float(row["duration"])
            for label in (row.get("custom") or {}).get("labels") or [row["text"]]:
                events[row["recording_id"]].append(Event(start_s, end_s, str(label)))
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ShardError(
            f"{path}: expected lhotse supervisions with recording_id, start, duration and labels, got {reason_of(error)}; "
            "write them with lhotse's SupervisionSet.to_file"
        ) from None
    return {name: sorted(own) for name, own in events.items()}
