"""A corpus in numbers: what the dataset card says and draws, and what the report shows of the data.

Shape letters: K clips, sorted by id; L labels of all clips, one clip after the other; B bins.
"""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.steps.splits.clips import Bools, Clips, Floats

ROLES = ("train", "valid", "test", "unused")
_MAX_DURATION_BINS = 40
# Lengths that differ more than this read better in steps of 1, 2 and 5 than in equal ones.
_MAX_LINEAR_SPREAD = 20.0
_LOUDNESS_BIN_LU = 2.0
# BS.1770 gates what is quieter.
_LOWEST_LUFS = -70.0


def summarise_clips(clips: Clips) -> dict[str, Any]:
    """Return what there is of a corpus, as plain values.

    Args:
        clips: The clips with what was decided and measured.

    Returns:
        `counts`, `hours`, `statuses`, `classes` (largest first), `labels_per_clip`, `durations`, `loudness`,
        `source_rates`. Classes, hours and histograms are those of the used clips.
    """
    is_used_K = clips.is_used_K
    duration_K = np.nan_to_num(clips.numbers("duration_s"))
    num_missing = pc.sum(pc.equal(clips.table["status"], "missing")).as_py() or 0
    is_used_L = is_used_K[clips.clip_L]
    return {
        "counts": {
            "declared": len(clips),
            "missing": num_missing,
            "decoded": int((duration_K > 0).sum()),
            "used": int(is_used_K.sum()),
            **({"windows": int(clips.num_windows_K.sum())} if clips.has_windows else {}),
            "groups": len(np.unique(clips.group_K[is_used_K])),
            "classes": len(clips.classes),
        },
        "hours": round(float(duration_K[is_used_K].sum()) / 3600, 4),
        "statuses": _statuses(clips),
        "classes": _classes(clips, duration_K),
        "labels_per_clip": round(float(is_used_L.sum()) / max(int(is_used_K.sum()), 1), 3),
        "durations": _durations(duration_K[is_used_K]),
        "loudness": _loudness(clips.numbers("loudness_lufs")[is_used_K]),
        "source_rates": _rates(clips),
    }


def summarise_split(clips: Clips, split: pa.Table) -> list[dict[str, Any]]:
    """Return what each role of each fold holds: `fold`, `role`, and how many clips, groups, classes and minutes.

    Args:
        clips: The clips.
        split: The split's table: id, and the columns `fold1` and on; where clips have several windows, a row of each, and
            its recording.
    """
    if clips.has_windows:
        recordings = split["recording"].combine_chunks().dictionary_encode()
        _, first = np.unique(recordings.indices.to_numpy(), return_index=True)
        split = split.take(pa.array(np.sort(first))).drop_columns("id").rename_columns({"recording": "id"})
    row_K = pc.index_in(clips.table["id"].combine_chunks(), value_set=split["id"].combine_chunks())
    duration_K = np.nan_to_num(clips.numbers("duration_s"))
    columns = [name for name in split.column_names if name.startswith("fold") and name != "fold"]
    rows = []
    for column in columns:
        code_K = pc.fill_null(pc.index_in(split[column].cast(pa.string()), value_set=pa.array(ROLES)).take(row_K), -1)
        role_K = code_K.to_numpy()
        for code, role in enumerate(ROLES):
            is_in_K = role_K == code
            if is_in_K.any():
                held = _held(clips, is_in_K, duration_K)
                rows.append({"fold": int(column.removeprefix("fold")), "role": role, **held})
    return rows


def count_values(column: pa.ChunkedArray) -> list[tuple[Any, int]]:
    """Return the different values of a column but null, with how often each is there, the most frequent first."""
    counts = [(row["values"], row["counts"]) for row in pc.value_counts(column).to_pylist()]
    return sorted(
        ((value, count) for value, count in counts if value is not None), key=lambda pair: (-pair[1], pair[0])
    )


def _held(clips: Clips, is_in_K: Bools, duration_K: Floats) -> dict[str, Any]:
    return {
        "clips": int(is_in_K.sum()),
        **({"windows": int(clips.num_windows_K[is_in_K].sum())} if clips.has_windows else {}),
        "groups": _num_different(clips.group_K[is_in_K], len(clips.groups)),
        "classes": _num_different(clips.label_L[is_in_K[clips.clip_L]], len(clips.classes)),
        "minutes": round(float(duration_K[is_in_K].sum()) / 60, 2),
    }


def _num_different(codes: np.ndarray, num_codes: int) -> int:
    is_there = np.zeros(num_codes, bool)
    is_there[codes[codes >= 0]] = True
    return int(is_there.sum())


def _statuses(clips: Clips) -> list[dict[str, Any]]:
    """Return how many clips have each status, and how many of those are used, good ones first."""
    statuses = clips.table["status"]
    used = dict(count_values(statuses.filter(pa.array(clips.is_used_K))))
    counts = sorted(count_values(statuses), key=lambda pair: pair[0] != "ok")
    return [{"status": status, "clips": count, "used": used.get(status, 0)} for status, count in counts]


def _classes(clips: Clips, duration_K: Floats) -> list[dict[str, Any]]:
    is_counted_L = clips.is_used_K[clips.clip_L] & (clips.label_L >= 0)
    label_L, clip_L = clips.label_L[is_counted_L], clips.clip_L[is_counted_L]
    counts = np.bincount(label_L, minlength=len(clips.classes))
    seconds = np.bincount(label_L, duration_K[clip_L], minlength=len(clips.classes))
    rows = [
        {"label": label, "clips": int(count), "hours": round(float(total) / 3600, 4)}
        for label, count, total in zip(clips.classes, counts, seconds, strict=True)
    ]
    return sorted(rows, key=lambda row: (-row["clips"], row["label"]))


def _durations(duration_K: Floats) -> dict[str, Any]:
    duration_K = duration_K[duration_K > 0]
    if not len(duration_K):
        return {}
    edges_s = _duration_edges(duration_K)
    # Outer edges are rounded, so that they may miss the outermost clips by less than a sample.
    counts = np.histogram(np.clip(duration_K, edges_s[0], edges_s[-1]), edges_s)[0]
    quartiles = {"shortest_s": 0, "median_s": 50, "longest_s": 100}
    values = np.percentile(duration_K, list(quartiles.values())).tolist()
    return {
        "edges_s": edges_s,
        "clips": counts.tolist(),
        **{name: round(value, 3) for name, value in zip(quartiles, values, strict=True)},
    }


def _duration_edges(duration_K: Floats) -> list[float]:
    longest_s, median_s = float(duration_K.max()), float(np.median(duration_K))
    if longest_s > _MAX_LINEAR_SPREAD * median_s:
        lowest, highest = (math.floor(math.log10(value)) for value in (duration_K.min(), longest_s))
        steps = [round(factor * 10.0**power, 6) for power in range(lowest, highest + 2) for factor in (1, 2, 5)]
        first = max(index for index, step in enumerate(steps) if step <= duration_K.min() or index == 0)
        last = min(index for index, step in enumerate(steps) if step >= longest_s)
        return steps[first : last + 1]
    step_s = _round_step(longest_s / _MAX_DURATION_BINS)
    return [round(index * step_s, 6) for index in range(math.ceil(longest_s / step_s - 1e-9) + 1)]


def _round_step(rough: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below a number."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _loudness(loudness_K: Floats) -> dict[str, Any]:
    known_K = loudness_K[np.isfinite(loudness_K)]
    if not len(known_K):
        return {}
    known_K = np.maximum(known_K, _LOWEST_LUFS)
    low, high = (math.floor(value / _LOUDNESS_BIN_LU) for value in (known_K.min(), known_K.max()))
    edges = [_LOUDNESS_BIN_LU * index for index in range(low, high + 2)]
    counts = np.histogram(known_K, edges)[0]
    return {
        "edges_lufs": edges,
        "clips": counts.tolist(),
        "median_lufs": round(float(np.median(known_K)), 1),
        "without": len(loudness_K) - len(known_K),
    }


def _rates(clips: Clips) -> list[dict[str, int]]:
    rates = count_values(clips.table["source_rate_hz"].filter(pa.array(clips.is_used_K)))
    return [{"rate_hz": rate_hz, "clips": count} for rate_hz, count in rates]
