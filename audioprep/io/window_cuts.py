"""A decided cut in the time of its window: what features are made of, and what is handed on."""

from collections.abc import Iterator
from typing import Any

# What stands between the id of a recording and the number of a window.
_MARK = "@"
# A recording whose id ends so could have the id of another one's window.
WINDOW_ID = rf"{_MARK}\d{{4,}}$"


def window_id(recording_id: str, number: int) -> str:
    """Return the id of one of several windows of a recording; in their order, ids sort while there are at most 10 000."""
    return f"{recording_id}{_MARK}{number:04d}"


def windows_of(cut: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the cuts that features are made of, each with the id of its recording.

    A cut of one window is that itself. Of several, each has an id, a start and a duration of its own, and labels and custom
    fields of the whole.

    Args:
        cut: A decided cut, as plain values.
    """
    custom = cut["custom"]
    if "num_windows" not in custom:
        yield cut["id"], cut
        return
    for number, (offset_s, duration_s) in enumerate(spans(cut["duration"], custom)):
        own = {"id": window_id(cut["id"], number), "duration": duration_s}
        supervisions = [{**one, "id": own["id"], "duration": duration_s} for one in cut["supervisions"]]
        yield cut["id"], {**cut, **own, "start": cut["start"] + offset_s, "supervisions": supervisions}


def spans(part_s: float, custom: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """Yield where each window starts, in seconds from the start of its part, and how long it is.

    Args:
        part_s: Length of the part.
        custom: `num_windows`, `hop_s` and `window_s`, as a cut of several windows has them.
    """
    for number in range(custom["num_windows"]):
        offset_s = number * custom["hop_s"]
        yield offset_s, min(custom["window_s"], part_s - offset_s)


def hop_samples(meta: dict[str, Any]) -> int:
    """Return the hop of features, in samples, from what a feature shard says of itself."""
    if "hop_samples" in meta:  # an embedding's, which its model decides
        return int(meta["hop_samples"])
    num_samples: int = round(meta["rule"]["hop_ms"] * meta["rate_hz"] / 1000)
    return num_samples


def part_in_samples(cut: dict[str, Any], rate_hz: int) -> dict[str, Any]:
    """Return what is cut out of a recording, and how it is brought to the window: start, stop, gain_db and pad."""
    start = round(cut["start"] * rate_hz)
    custom = cut["custom"]
    stop = start + round(cut["duration"] * rate_hz)
    return {"start": start, "stop": stop, "gain_db": custom["gain_db"], "pad": custom["pad"]}


def sound_in_window(part_s: float, pad: str, window_s: float, rate_hz: int) -> tuple[float, float]:
    """Return where in its window the sound of a clip starts and how long it is there, in seconds.

    Args:
        part_s: Length of the decided part.
        pad: How it is brought to the window.
        window_s: The window.
        rate_hz: Sampling rate.
    """
    missing = round(window_s * rate_hz) - round(part_s * rate_hz)
    if pad in ("wrap", "reflect") or missing <= 0:
        return 0.0, window_s
    return (missing // 2 / rate_hz if pad == "centre" else 0.0), part_s
