"""Slices of one recording that overlap: the same sound twice, and a leak where they are on different sides.

Clips are slices of one recording if they are of one file, by `start_s` and `end_s`; or of one group, by `source_start_s` and
`source_end_s`, where those are published.

Shape letters: K clips; J slices: clips that are a part of a longer recording.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audioprep.steps.splits.clips import Bools, Clips, Floats, Ints
from audioprep.steps.splits.roles import TEST, TRAIN, UNUSED, VALID, Roles
from audioprep.steps.splits.sets import Sets, sets_by_code

_US_PER_S = 1_000_000
_NEVER_US = np.iinfo(np.int64).max


class _Line(NamedTuple):
    """Slices on one line of whole microseconds, one recording after the other, by start; recordings do not touch.

    What of two slices begins first, and whether they overlap, two running extremes along the line can tell.
    """

    rows_J: Ints
    recording_J: Ints
    start_J: Ints
    end_J: Ints


def overlapping_slices(clips: Clips, roles: Roles) -> tuple[Sets, tuple[Ints, int]]:
    """Return what overlaps.

    Args:
        clips: The corpus.
        roles: The split.

    Returns:
        For each recording with slices that overlap and are on different sides, those slices; then all clips that overlap an
        earlier one, as rows, and the number of recordings that have such clips.
    """
    code_K, is_later_K = np.full(len(clips), -1), np.zeros(len(clips), bool)
    num_recordings = 0
    for number, line in enumerate(_lines(clips)):
        is_across_J = np.zeros(len(line.rows_J), bool)
        for role_K in roles.codes.values():
            is_across_J |= _meets_another_role(line, role_K[line.rows_J])
        code_K[line.rows_J[is_across_J]] = line.recording_J[is_across_J] + number * len(clips)
        is_later_J = _end_before(line.end_J) > line.start_J
        is_later_K[line.rows_J[is_later_J]] = True
        num_recordings += len(np.unique(line.recording_J[is_later_J]))
    return sets_by_code("overlapping_slices", code_K), (np.flatnonzero(is_later_K), num_recordings)


def overlapping_stretches(clips: Clips) -> list[Sets]:
    """Return the slices that hang together, each overlapping the one before: no split should divide them."""
    found = []
    for line in _lines(clips):
        code_K = np.full(len(clips), -1)
        code_K[line.rows_J] = np.cumsum(_end_before(line.end_J) <= line.start_J)
        found.append(sets_by_code("overlapping_slices", code_K))
    return found


def _lines(clips: Clips) -> list[_Line]:
    lines = []
    for prefix in ("", "source_"):
        start_s_K, end_s_K = clips.numbers(f"{prefix}start_s"), clips.numbers(f"{prefix}end_s")
        rows_J = np.flatnonzero(clips.is_used_K & ~(np.isnan(start_s_K) & np.isnan(end_s_K)))
        if len(rows_J) > 1:
            recording_J = (clips.group_K if prefix else clips.codes("member"))[rows_J]
            lines.append(_line(rows_J, recording_J, start_s_K[rows_J], end_s_K[rows_J]))
    return lines


def _line(rows_J: Ints, recording_J: Ints, start_s_J: Floats, end_s_J: Floats) -> _Line:
    last_us = _US_PER_S * (1 + int(max(np.nanmax(start_s_J, initial=0), np.nanmax(end_s_J, initial=0))))
    start_J = np.round(np.nan_to_num(start_s_J, nan=0.0) * _US_PER_S).astype(np.int64)
    end_J = np.where(np.isnan(end_s_J), last_us, np.round(np.nan_to_num(end_s_J) * _US_PER_S)).astype(np.int64)
    _, number_J = np.unique(recording_J, return_inverse=True)
    offset_J = number_J * (last_us + 1)
    order = np.lexsort((end_J, start_J, number_J))
    return _Line(rows_J[order], recording_J[order], (start_J + offset_J)[order], (end_J + offset_J)[order])


def _meets_another_role(line: _Line, role_J: npt.NDArray[np.int8]) -> Bools:
    """Tell which slices overlap one of another role, unused ones apart."""
    meets_J = np.zeros(len(role_J), bool)
    for role in (TRAIN, VALID, TEST):
        from_before_J = _end_before(np.where(role_J == role, line.end_J, -1)) > line.start_J
        from_after_J = _start_after(np.where(role_J == role, line.start_J, _NEVER_US)) < line.end_J
        meets_J |= (from_before_J | from_after_J) & (role_J != role)
    return np.asarray(meets_J & (role_J != UNUSED))


def _end_before(end_J: Ints) -> Ints:
    """Return the latest end among all slices before each."""
    return np.concatenate([[-1], np.maximum.accumulate(end_J)[:-1]])


def _start_after(start_J: Ints) -> Ints:
    """Return the earliest start among all slices after each."""
    return np.concatenate([np.minimum.accumulate(start_J[::-1])[::-1][1:], [_NEVER_US]])
