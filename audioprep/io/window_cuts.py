"""A decided cut in the time of its window: what features are made of, and what is handed on."""

from typing import Any


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
