"""The audit of a split, as the report shows it: what is grave first, what is known apart, and suspicious clips to listen to."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from audioprep.io.audio import decode
from audioprep.io.layout import sound_name
from audioprep.model.report.media import sound

# Findings of one severity and kind that are shown.
_MAX_OF_KIND = 5
_TITLES = {
    ("leak", False): "Leaks between train, valid and test",
    ("warning", False): "Warnings",
    ("info", False): "Worth knowing",
    ("leak", True): "Known leaks, as the split is published",
    ("warning", True): "Known, worth a warning",
    ("info", True): "Known",
}
_ROLES = ("train", "valid", "test", "unused")


def read_audit(splits: Path) -> dict[str, Any] | None:
    """Return the audit of a split with what the page needs besides, or None if there is none.

    Args:
        splits: Folder of the split: `audit.json`, and `suspects/<id>.flac` for clips that people should hear.

    Returns:
        The audit, with `sections` (title, is_bad, num_findings, and `kinds`: kind, findings, num_more), `pairs` (suspects
        with their audio as data URIs), and `roles` (those that any clip has).
    """
    try:
        audit: dict[str, Any] = json.loads((splits / "audit.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    pairs = [_with_audio(pair, splits / "suspects") for pair in audit.get("suspects", [])]
    return {
        **audit,
        "roles": [name for name in _ROLES if any(name in counts for counts in audit["folds"].values())],
        "sections": [section for sort in _TITLES if (section := _section(sort, audit))],
        "pairs": [pair for pair in pairs if all(clip["audio"] for clip in pair["clips"])],
    }


def _section(sort: tuple[str, bool], audit: dict[str, Any]) -> dict[str, Any] | None:
    """Return what was found of one severity, known or new, kind by kind; None if there is nothing."""
    severity, is_known = sort
    listed: dict[str, list[dict[str, Any]]] = {}
    for found in audit["findings"]:
        if (found["severity"], bool(found["known"])) == sort:
            listed.setdefault(found["kind"], []).append(found)
    if not listed:
        return None
    counts = Counter({kind: len(findings) for kind, findings in listed.items()})
    # The list of findings is cut where there are very many; the counts are complete.
    if rows := [row for row in audit.get("counts", []) if (row["severity"], bool(row["known"])) == sort]:
        counts.clear()
        for row in rows:
            counts[row["kind"]] += row["num_findings"]
    kinds = [
        {"kind": kind, "findings": findings[:_MAX_OF_KIND], "num_more": max(counts[kind] - _MAX_OF_KIND, 0)}
        for kind, findings in listed.items()
    ]
    is_bad = severity == "leak" and not is_known
    return {"title": _TITLES[sort], "is_bad": is_bad, "num_findings": counts.total(), "kinds": kinds}


def _with_audio(pair: dict[str, Any], folder: Path) -> dict[str, Any]:
    clips = [
        {"id": clip_id, "labels": labels, "audio": _sound_of(folder / sound_name(clip_id))}
        for clip_id, labels in zip(pair["ids"], pair["labels"], strict=True)
    ]
    return {**pair, "clips": clips}


def _sound_of(path: Path) -> str:
    """Return what is heard in a file, or nothing if it is not there."""
    try:
        decoded = decode(path.read_bytes())
    except FileNotFoundError:
        return ""
    return sound(decoded.wave_TC[:, 0], decoded.rate_hz)
