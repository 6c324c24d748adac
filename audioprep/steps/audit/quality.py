"""What makes a split a poor one without being a leak: imbalance, missing classes, clips that stand out or are broken.

Shape letters: K clips.
"""

import numpy as np

from audioprep.steps.audit.findings import Findings, Scope, Severity
from audioprep.steps.splits.clips import USABLE, Bools, Clips, Floats
from audioprep.steps.splits.roles import ROLES, UNUSED, Roles

# The largest class has over ten times the clips of the smallest.
MAX_CLASS_RATIO = 10
# A group holds over a fifth of all clips, and over twice what a group has on average; or over half of a class. Fewer than
# ten clips are not looked at.
MAX_GROUP_FRACTION = 0.2
MAX_GROUP_OF_CLASS_FRACTION = 0.5
MIN_CLIPS = 10
# An outlier is further from the median than six robust deviations (1.4826 times the median distance from the median), of
# which one is never less than stated here: where all are alike, a little difference is none.
MAX_DEVIATIONS = 6.0
MIN_OUTLIER_CLIPS = 20
_MIN_DEVIATION_LU = 1.0
_MIN_DEVIATION_OCTAVES = 0.1
# Under one clip in a hundred has another rate than nine in ten have.
COMMON_RATE_FRACTION, RARE_RATE_FRACTION = 0.9, 0.01
# A recording at 16 kHz or more that ends where one at 8 kHz does, see `dsp.bandwidth`.
UPSAMPLED_MIN_RATE_HZ = 16_000
UPSAMPLED_BANDWIDTH_HZ = (3_500.0, 4_450.0)
MIN_FULL_BAND = 0.9
MAX_CLIPPED_FRACTION = 0.01
_MAX_NAMES = 10


def add_quality(clips: Clips, roles: Roles, findings: Findings) -> None:
    """Add what is not balanced, is missing, or stands out."""
    _add_missing_classes(clips, roles, findings)
    _add_class_imbalance(clips, findings)
    _add_group_imbalance(clips, findings)
    if clips.is_measured:
        _add_status(clips, roles, findings)
        _add_rates(clips, findings)
        _add_outliers(clips, findings)


def _add_missing_classes(clips: Clips, roles: Roles, findings: Findings) -> None:
    num_classes = len(clips.classes)
    is_class_L = clips.label_L >= 0
    for column, code_K in roles.codes.items():
        role_L = code_K[clips.clip_L[is_class_L]].astype(np.int64)
        held = np.bincount(role_L * num_classes + clips.label_L[is_class_L], minlength=len(ROLES) * num_classes)
        for role, counts in enumerate(held.reshape(len(ROLES), num_classes)):
            if role != UNUSED and (code_K == role).any() and not counts.all():
                lacking = [clips.classes[index] for index in np.flatnonzero(counts == 0).tolist()]
                findings.add("missing_class", "warning", f"{column} {ROLES[role]} lacks {_names(lacking)}")


def _add_class_imbalance(clips: Clips, findings: Findings) -> None:
    is_counted_L = (clips.label_L >= 0) & clips.is_used_K[clips.clip_L]
    sizes = np.bincount(clips.label_L[is_counted_L], minlength=len(clips.classes))
    largest, smallest = int(sizes.argmax()), int(sizes.argmin())
    ratio = sizes[largest] / sizes[smallest]
    if ratio > MAX_CLASS_RATIO:
        what = (
            f"{clips.classes[largest]} has {sizes[largest]:,} clips, {clips.classes[smallest]} {sizes[smallest]:,}: "
            f"{ratio:.0f} times as many (noted above {MAX_CLASS_RATIO})"
        )
        findings.add("class_imbalance", "info", what)


def _add_group_imbalance(clips: Clips, findings: Findings) -> None:
    sizes = np.bincount(clips.group_K[clips.is_used_K])
    largest, num_used = int(sizes.argmax()), int(sizes.sum())
    usual = num_used / np.count_nonzero(sizes)
    if sizes[largest] >= MIN_CLIPS and sizes[largest] > max(MAX_GROUP_FRACTION * num_used, 2 * usual):
        (name,) = clips.group_names([largest])
        findings.add("group_imbalance", "info", f"group {name} has {sizes[largest]:,} of {num_used:,} clips")
    is_counted_L = (clips.label_L >= 0) & clips.is_used_K[clips.clip_L]
    label_L, group_L = clips.label_L[is_counted_L], clips.group_K[clips.clip_L[is_counted_L]]
    pairs, counts = np.unique(label_L * len(clips.groups) + group_L, return_counts=True)
    class_sizes = np.bincount(label_L, minlength=len(clips.classes))
    most = np.zeros(len(clips.classes), np.int64)
    np.maximum.at(most, pairs // len(clips.groups), counts)
    is_dominated = (class_sizes >= MIN_CLIPS) & (most > MAX_GROUP_OF_CLASS_FRACTION * class_sizes)
    if is_dominated.any():
        named = [f"{clips.classes[c]} ({most[c]:,} of {class_sizes[c]:,})" for c in np.flatnonzero(is_dominated)]
        findings.add("group_imbalance", "info", f"one group has over half of the clips of {_names(named)}")


def _add_status(clips: Clips, roles: Roles, findings: Findings) -> None:
    if "status" not in clips.table.column_names:
        return
    status_K = clips.table["status"].to_numpy()
    is_missing_K = ~np.isin(status_K, USABLE)
    if is_missing_K.any():
        names, counts = np.unique(status_K[is_missing_K].astype(str), return_counts=True)
        each = ", ".join(f"{count:,} {name}" for name, count in zip(names, counts, strict=True))
        what = f"{int(is_missing_K.sum()):,} of {len(clips):,} declared clips cannot be used: {each}"
        rows = np.flatnonzero(is_missing_K)
        findings.add("missing_clips", "warning", what + _by_part(clips, roles, is_missing_K), rows)
    is_silent_K = status_K == "silent"
    _add_some(clips, findings, "silent_clips", "warning", is_silent_K & clips.is_used_K)
    _add_some(clips, findings, "silent_clips", "info", is_silent_K & ~clips.is_used_K, scope="left_out")
    clipped_K = clips.numbers("clipped_fraction")
    is_clipped_K = clips.is_used_K & (clipped_K > MAX_CLIPPED_FRACTION)
    most = f", up to {clipped_K[is_clipped_K].max():.0%}" if is_clipped_K.any() else ""
    about = f"over {MAX_CLIPPED_FRACTION:.0%} of the samples are clipped{most}"
    _add_some(clips, findings, "clipped_clips", "info", is_clipped_K, about)


def _by_part(clips: Clips, roles: Roles, is_missing_K: Bools) -> str:
    """Return how many are missing in each part of an official split, in words."""
    if roles.name not in clips.split_names():
        return ""
    part_K, parts = clips.parts(roles.name)
    declared = np.bincount(part_K + 1, minlength=len(parts) + 1)[1:]
    missing = np.bincount(part_K[is_missing_K] + 1, minlength=len(parts) + 1)[1:]
    each = [f"{missing[number]:,} of {declared[number]:,} in {part}" for number, part in enumerate(parts)]
    return f"; {', '.join(sorted(each, key=lambda text: text.split(' in ')[-1]))}"


def _add_rates(clips: Clips, findings: Findings) -> None:
    rate_hz_K = np.where(clips.is_used_K, clips.numbers("source_rate_hz"), np.nan)
    rates_hz, counts = np.unique(rate_hz_K[~np.isnan(rate_hz_K)], return_counts=True)
    is_rare = counts < RARE_RATE_FRACTION * counts.sum()
    if counts.max(initial=0) >= COMMON_RATE_FRACTION * counts.sum() and is_rare.any():
        rare = ", ".join(f"{hz:g} Hz ({count:,})" for hz, count in zip(rates_hz[is_rare], counts[is_rare], strict=True))
        about = f"{rare}, where {rates_hz[counts.argmax()]:g} Hz is usual ({counts.max():,})"
        _add_some(clips, findings, "rate_outlier", "info", np.isin(rate_hz_K, rates_hz[is_rare]), about)
    about = (
        f"a rate of {UPSAMPLED_MIN_RATE_HZ:,} Hz or more, and no sound above {UPSAMPLED_BANDWIDTH_HZ[1]:,.0f} Hz: "
        "upsampled from 8,000 Hz, by the look of it"
    )
    _add_some(clips, findings, "upsampled", "info", _is_upsampled(clips), about)


def _is_upsampled(clips: Clips) -> Bools:
    low_hz, high_hz = UPSAMPLED_BANDWIDTH_HZ
    bandwidth_hz_K = clips.numbers("bandwidth_hz")
    is_narrow_K = (bandwidth_hz_K >= low_hz) & (bandwidth_hz_K <= high_hz)
    return clips.is_used_K & is_narrow_K & (clips.numbers("source_rate_hz") >= UPSAMPLED_MIN_RATE_HZ)


def _add_outliers(clips: Clips, findings: Findings) -> None:
    loudness_K, duration_K, bandwidth_K = map(clips.numbers, ("loudness_lufs", "duration_s", "bandwidth_hz"))
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = (
            ("loudness_outlier", "LUFS", loudness_K, loudness_K, _MIN_DEVIATION_LU),
            ("duration_outlier", "s", duration_K, np.log2(duration_K), _MIN_DEVIATION_OCTAVES),
            ("bandwidth_outlier", "Hz", bandwidth_K, np.log2(bandwidth_K), _MIN_DEVIATION_OCTAVES),
        )
    # A recording that fills the band of its low rate is no oddity of bandwidth, nor one that is named as upsampled.
    is_explained_K = _is_upsampled(clips) | (bandwidth_K >= MIN_FULL_BAND * clips.numbers("source_rate_hz") / 2)
    for kind, unit, value_K, scaled_K, least in scales:
        is_there_K = clips.is_used_K & np.isfinite(scaled_K)
        is_out_K = is_there_K & _stands_out(np.where(is_there_K, scaled_K, np.nan), least)
        if kind == "bandwidth_outlier":
            is_out_K &= ~is_explained_K
        if is_out_K.any():
            values = value_K[is_out_K]
            about = (
                f"{values.min():.4g} to {values.max():.4g} {unit}, over {MAX_DEVIATIONS:g} robust deviations from the "
                f"median of {np.median(value_K[is_there_K]):.4g} {unit}"
            )
            _add_some(clips, findings, kind, "info", is_out_K, about)


def _stands_out(scaled_K: Floats, least: float) -> Bools:
    if np.count_nonzero(~np.isnan(scaled_K)) < MIN_OUTLIER_CLIPS:
        return np.zeros(len(scaled_K), bool)
    distance_K = np.abs(scaled_K - np.nanmedian(scaled_K))
    deviation = max(1.4826 * float(np.nanmedian(distance_K)), least)
    return np.asarray(distance_K > MAX_DEVIATIONS * deviation)


def _add_some(
    clips: Clips,
    findings: Findings,
    kind: str,
    severity: Severity,
    is_found_K: Bools,
    about: str = "",
    scope: Scope = "inside",
) -> None:
    """Add one finding about some clips, if there are any."""
    rows = np.flatnonzero(is_found_K)
    if len(rows):
        what = f"{len(rows):,} of {len(clips):,} clips{': ' if about else ''}{about}"
        findings.add(kind, severity, what, rows, scope=scope)


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more
