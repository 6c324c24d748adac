"""The two files that every export has beside its data: `dataset.json` for programs, `README.md` for people."""

import json
from pathlib import Path
from typing import Any

from audioprep.engine import write_atomically
from audioprep.steps.export_shards.content import Content


def write_description(content: Content, out: Path) -> None:
    """Write `dataset.json`: classes, counts, split and fold, what the features are, and their mean and deviation."""
    described: dict[str, Any] = {
        "dataset": content.layout.dataset,
        "title": content.about["title"],
        "license": content.about["license"],
        "cite": content.about["cite"],
        "classes": content.split.classes,
        "is_multi_label": content.is_multi_label,
        "split": content.split_name,
        "fold": content.fold,
        "folds": sorted(content.split.roles),
        "counts": content.counts,
        "rate_hz": content.meta["rate_hz"],
        "window_s": content.meta["window_s"],
    }
    if content.kind is not None:
        mean_M, std_M = content.normalisation(content.fold)
        described |= {
            "features": {key: content.meta[key] for key in ("kind", "num_frames", "num_bins", "rule")},
            "train_mean": [round(float(value), 6) for value in mean_M],
            "train_std": [round(float(value), 6) for value in std_M],
        }
    write_atomically(out / "dataset.json", json.dumps(described, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def readme_text(content: Content, code: str) -> str:
    """Return the text of `README.md`.

    Args:
        content: What is exported.
        code: How it is read, as Python.
    """
    about, meta = content.about, content.meta
    counts = ", ".join(f"{role} {count:,}" for role, count in content.counts.items())
    lines = [
        f"# {about['title']}",
        "",
        f"{len(content.split.classes)} classes; split `{content.split_name}`, tested on fold {content.fold}: {counts}.",
        "",
    ]
    if content.kind is not None:
        shape = f"{meta['num_frames']} frames x {meta['num_bins']} bins"
        hop = f"a frame every {meta['rule']['hop_ms']:g} ms, centred"
        lines += [
            f"Features: {content.kind}, {shape}, {hop}, of clips of {meta['window_s']:g} s at {meta['rate_hz']} Hz.",
            "",
        ]
    if content.with_audio:
        lines += [f"Sound: {meta['window_s']:g} s at {meta['rate_hz']} Hz, mono, 16 bit, loudness as decided.", ""]
    lines += ["```python", code.strip(), "```", ""]
    lines += [f"Licence of the recordings: {about['license']}. Please cite: {about['cite']}", ""]
    if about["notice"]:
        lines += [about["notice"], ""]
    lines += ["`dataset.json` has the classes, the rule of the features, and their mean and deviation over train.", ""]
    return "\n".join(lines)
