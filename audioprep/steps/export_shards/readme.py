"""The two files that every export has beside its data: `dataset.json` for programs, `README.md` for people."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from audioprep.engine import write_atomically
from audioprep.io.window_cuts import hop_samples
from audioprep.steps.export_shards.content import Content


class Snippet(NamedTuple):
    """Lines of Python that read an export; `folder` is where it lies."""

    imports: Sequence[str]
    code: Sequence[str]


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


def readme_text(content: Content, files: Sequence[tuple[str, str]], snippet: Snippet) -> str:
    """Return the text of `README.md`.

    Args:
        content: What is exported.
        files: Names of the files beside it, each with what it holds.
        snippet: How it is read.
    """
    about = content.about
    where = 'folder = "."  # where this README is; its path where you are elsewhere'
    lines = [f"# {about['title']}", "", f"{_counts(content)}.", "", *_features(content), *_sound(content)]
    lines += ["```python", *snippet.imports, "", where, *snippet.code, "```", "", "| file | what |", "| --- | --- |"]
    lines += [f"| {names} | {what} |" for names, what in (*files, ("`dataset.json`", _described(content)))]
    lines += ["", f"Licence of the recordings: {about['license']}. Please cite: {about['cite'] or '-'}", ""]
    if about["notice"]:
        lines += [about["notice"], ""]
    return "\n".join(lines)


def _counts(content: Content) -> str:
    counts = ", ".join(f"{role} {count:,}" for role, count in content.counts.items())
    folds = f", tested on fold {content.fold} of {len(content.split.roles)}" if len(content.split.roles) > 1 else ""
    return f"{len(content.split.classes)} classes; split `{content.split_name}`{folds}: {counts}"


def _features(content: Content) -> list[str]:
    if content.kind is None:
        return []
    meta = content.meta
    hop = hop_samples(meta)
    if "hop_samples" in meta:
        frames = f"one every {1000 * hop / meta['rate_hz']:g} ms"
    else:
        frames = f"1 + {content.window_samples} // {hop}, centred every {meta['rule']['hop_ms']:g} ms"
    clips = f"clips of {meta['window_s']:g} s at {meta['rate_hz']} Hz"
    return [
        f"Features: {content.kind}, {meta['num_frames']} frames ({frames}) x {meta['num_bins']} bins, of {clips}.",
        "",
    ]


def _sound(content: Content) -> list[str]:
    if not content.with_audio:
        return []
    meta = content.meta
    return [f"Sound: {meta['window_s']:g} s at {meta['rate_hz']} Hz, mono, 16 bit, loudness as decided.", ""]


def _described(content: Content) -> str:
    features = f", the rule of the features, and mean and deviation of each bin over train of fold {content.fold}"
    return f"the classes in the order of their numbers, counts, split and folds{features if content.kind else ''}"
